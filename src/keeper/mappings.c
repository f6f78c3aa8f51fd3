/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which memory is mapped where in the victim, to judge an address by.  The kernel is
 * asked for the mapping of each address, since there may be thousands of others; one that
 * cannot be asked (Linux 6.11 is the first) tells them all.
 */
#include "mappings.h"

#include <base/procmap.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int unreadable(struct keeper *k)
{
	return err_set(DTPROC_ESYS, "pid %d: its mappings cannot be read", k->pid);
}

int mappings_read(struct keeper *k, struct mappings *m)
{
	char line[512];
	struct mapping one;
	unsigned long from, to;
	int failed = 0;
	FILE *f = proc_open("/proc/%d/maps", live_tid(k));

	if (!f)
		return unreadable(k);
	m->read = 1;
	while (!failed && fgets(line, sizeof line, f)) {
		if (sscanf(line, "%lx-%lx %4c %lx %*s %lu", &from, &to, one.perms,
			    &one.offset, &one.inode) == 5) {
			one.from = from;
			one.to = to;
			failed = vec_push(&m->all, one) ? err_nomem("mappings") : 0;
		}
		while (!strchr(line, '\n') && fgets(line, sizeof line, f))
			;
	}
	if (!failed && ferror(f))
		failed = unreadable(k);
	fclose(f);
	return failed;
}

static const struct mapping *search(const struct mappings *m, dtproc_addr addr)
{
	size_t lo = 0, hi = m->all.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (addr < m->all.at[mid].from)
			hi = mid;
		else if (addr >= m->all.at[mid].to)
			lo = mid + 1;
		else
			return &m->all.at[mid];
	}
	return NULL;
}

static struct mapping answer(const struct procmap *q)
{
	const uint64_t f = q->map_flags;

	return (struct mapping){.from = q->start,
		.to = q->end,
		.offset = q->offset,
		.inode = q->inode,
		.perms = {f & PROCMAP_READ ? 'r' : '-', f & PROCMAP_WRITE ? 'w' : '-',
			f & PROCMAP_EXEC ? 'x' : '-', f & PROCMAP_SHARED ? 's' : 'p'}};
}

/* As ioctl(2); k->maps belongs to the image. */
static int query(struct keeper *k, struct procmap *q)
{
	char path[32];

	if (k->maps < 0) {
		snprintf(path, sizeof path, "/proc/%d/maps", live_tid(k));
		k->maps = open(path, O_RDONLY | O_CLOEXEC);
	}
	return k->maps < 0 ? -1 : ioctl(k->maps, PROCMAP_ASK, q);
}

/* 0: *out is what there is; -1: the kernel cannot be asked. */
static int ask(struct keeper *k, struct mappings *m, dtproc_addr addr,
	const struct mapping **out)
{
	struct procmap q = {.size = sizeof q, .addr = addr};

	errno = 0;
	if (query(k, &q))
		return errno == ENOENT ? (*out = NULL, 0) : -1;
	m->last = answer(&q);
	*out = &m->last;
	return 0;
}

int mappings_find(struct keeper *k, struct mappings *m, dtproc_addr addr,
	const struct mapping **out)
{
	int rc;

	if (!m->read && addr - m->last.from < m->last.to - m->last.from)
		*out = &m->last;
	else if (m->read || ask(k, m, addr, out)) {
		if (!m->read && (rc = mappings_read(k, m)))
			return rc;
		*out = search(m, addr);
	}
	return 0;
}

int mappings_file(struct keeper *k, dtproc_addr addr, struct stat *st)
{
	char path[PATH_MAX];
	struct procmap q = {.size = sizeof q,
		.flags = PROCMAP_FILE,
		.addr = addr,
		.name_size = sizeof path,
		.name_addr = (uintptr_t)path};

	if (query(k, &q) || !q.name_size || path[0] != '/' || stat(path, st))
		return -1;
	return st->st_ino == q.inode && st->st_dev == makedev(q.dev_major, q.dev_minor)
		       ? 0
		       : -1;
}

void mappings_free(struct mappings *m)
{
	vec_free(&m->all);
}
