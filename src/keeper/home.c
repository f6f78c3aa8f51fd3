/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text that goes away: unmapped, moved, replaced.  A trap is only ever taken out of the
 * page that it was put into, or of a copy of it.
 */
#include "mappings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t offset_in(const struct mapping *m, dtproc_addr addr)
{
	return m->inode ? m->offset + (addr - m->from) : 0;
}

void home_learn(struct site *s, const struct mapping *m, size_t seen)
{
	s->inode = m->inode;
	s->offset = offset_in(m, s->addr);
	s->seen = (uint8_t)seen;
}

/* Is there a trap at this address, and behind it what stood behind ours? */
static int looks_like(struct keeper *k, const struct site *s, dtproc_addr at)
{
	uint8_t now[ARCH_INSN_MAX];

	if (pread(k->mem, now, sizeof now, (off_t)at) < s->seen || now[0] != ARCH_TRAP)
		return 0;
	for (size_t i = 1; i < s->seen; i++)
		if (now[i] != s->orig[i] &&
			(now[i] != ARCH_TRAP || !site_get(k, s->addr + i)))
			return 0;
	return 1;
}

/* The page is the one that the trap was put into, or a copy of it. */
static int is_home(struct keeper *k, const struct site *s, const struct mapping *m)
{
	if (!m)
		return 0;
	if (m->inode == s->inode && offset_in(m, s->addr) == s->offset &&
		(m->inode || m->perms[2] == 'x'))
		return 1;
	return looks_like(k, s, s->addr);
}

/* Text that was moved took the trap along. */
static void mend_moved(
	struct keeper *k, const struct site *s, const struct mappings *maps)
{
	for (size_t i = 0; s->inode && i < maps->all.n; i++) {
		const struct mapping *m = &maps->all.at[i];
		dtproc_addr at = m->from + (s->offset - m->offset);
		if (m->inode != s->inode || at - m->from >= m->to - m->from ||
			at == s->addr || !looks_like(k, s, at))
			continue;
		if (pwrite(k->mem, s->orig, 1, (off_t)at) != 1)
			log_line("sites", 1, "pid %d: a trap stays at %#lx", k->pid,
				(unsigned long)at);
	}
}

void sites_verify(struct keeper *k)
{
	CLEAN(mappings_free) struct mappings maps = {0};

	if (!k->sites.n || k->mem < 0 || mappings_read(k, &maps))
		return;
	hash_each(&k->sites, i) {
		struct site *s = k->sites.slots[i].value;
		const struct mapping *m;
		if (!s->planted || mappings_find(k, &maps, s->addr, &m) ||
			is_home(k, s, m))
			continue;
		log_line("sites", 1, "pid %d: the text at %#lx has gone", k->pid,
			(unsigned long)s->addr);
		mend_moved(k, s, &maps);
		s->planted = 0;
		ledger_leave(k, s);
	}
}

/* Is the trap still where it was put? */
static int is_there(struct keeper *k, const struct site *s, struct mappings *maps)
{
	const struct mapping *m;
	uint8_t now = 0;

	return s->planted && pread(k->mem, &now, 1, (off_t)s->addr) == 1 &&
	       now == ARCH_TRAP && !mappings_find(k, maps, s->addr, &m) &&
	       is_home(k, s, m);
}

void sites_left(struct keeper *k, dtproc_addr from, dtproc_addr to)
{
	CLEAN(mappings_free) struct mappings maps = {0};
	VEC(struct site *) gone = {0};

	hash_each(&k->sites, i) {
		struct site *s = k->sites.slots[i].value;
		if (s->addr - from < to - from && s->ready && vec_push(&gone, s))
			break; /* out of memory: found out at the next stop of all */
	}
	for (size_t i = 0; i < gone.n; i++)
		if (!is_there(k, gone.at[i], &maps) || !site_lift(k, gone.at[i]))
			site_forget(k, gone.at[i]);
	vec_free(&gone);
}
