/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /proc/PID/maps, which the kernel writes but whose names the victim chooses: a name may
 * hold anything but a newline.  Lines that are not of the kernel's form are an error.
 */
#include "maps.h"
#include "victim.h"

#include <base/clean.h>
#include <base/procmap.h>
#include <base/vec.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#define TEXT_MAX (64u << 20)

/* A hexadecimal or decimal number that ends with `stop`; moves *at behind that. */
static int number(
	const char **at, const char *end, unsigned base, char stop, uint64_t *out)
{
	uint64_t v = 0;
	const char *s = *at;

	for (; s < end && *s != stop; s++) {
		unsigned d = *s >= '0' && *s <= '9'   ? (unsigned)(*s - '0')
			     : *s >= 'a' && *s <= 'f' ? (unsigned)(*s - 'a' + 10)
						      : 99;
		if (d >= base || v > (UINT64_MAX - d) / base)
			return -1;
		v = v * base + d;
	}
	if (s == end || s == *at)
		return -1;
	*at = s + 1;
	*out = v;
	return 0;
}

static unsigned protection(const char *s)
{
	return (s[0] == 'r' ? VICTIM_MAP_READ : 0u) |
	       (s[1] == 'w' ? VICTIM_MAP_WRITE : 0u) |
	       (s[2] == 'x' ? VICTIM_MAP_EXEC : 0u) |
	       (s[3] == 's' ? VICTIM_MAP_SHARED : 0u);
}

/* Ends the name at `s` of `len` bytes with a NUL; notes and removes " (deleted)". */
static void name(struct victim_map *m, char *s, size_t len)
{
	static const char gone[] = " (deleted)";
	size_t tail = sizeof gone - 1;

	if (len > tail && !memcmp(s + len - tail, gone, tail)) {
		m->flags |= VICTIM_MAP_DELETED;
		len -= tail;
	}
	s[len] = 0;
	m->path = s;
}

/* Parses the line from `at` to `end`, which is where its newline was. */
static int line(char *at, char *end, struct victim_map *m)
{
	const char *s = at;
	uint64_t major, minor;

	if (number(&s, end, 16, '-', &m->start) || number(&s, end, 16, ' ', &m->end) ||
		end - s < 5 || s[4] != ' ')
		return -1;
	m->flags = protection(s);
	s += 5;
	if (number(&s, end, 16, ' ', &m->offset) || number(&s, end, 16, ':', &major) ||
		number(&s, end, 16, ' ', &minor))
		return -1;
	*end = ' '; /* a line without a name may end behind the inode */
	if (number(&s, end + 1, 10, ' ', &m->inode) || m->start >= m->end)
		return -1;
	m->dev = makedev((unsigned)major, (unsigned)minor);
	while (s < end && *s == ' ')
		s++;
	name(m, at + (s > end ? end - at : s - at), s > end ? 0 : (size_t)(end - s));
	return 0;
}

typedef VEC(struct victim_map) map_vec;

static int lines(char *at, char *end, map_vec *v)
{
	for (char *nl; at < end; at = nl + 1) {
		struct victim_map m;
		nl = memchr(at, '\n', (size_t)(end - at));
		if (!nl || line(at, nl, &m) || (v->n && m.start < v->at[v->n - 1].end))
			return err_set(DTPROC_EPROTO, "the memory map is garbled");
		if (v->n == VICTIM_MAPS_MAX)
			return err_set(
				DTPROC_ELIMIT, "more than %u mappings", VICTIM_MAPS_MAX);
		if (vec_push(v, m))
			return err_nomem("the memory map");
	}
	return 0;
}

/* Parses `names`, which becomes the result's on success. */
static int parse(char *names, size_t len, struct victim_maps *out)
{
	map_vec v = {0};
	int rc = lines(names, names + len, &v);

	if (rc) {
		vec_free(&v);
		return rc;
	}
	*out = (struct victim_maps){v.at, v.n, v.room, names, len + 1};
	return 0;
}

int victim_maps_parse(const char *text, size_t len, struct victim_maps *out)
{
	CLEAN_FREE char *copy = malloc(len + 1);
	int rc;

	if (!copy)
		return err_nomem("the memory map");
	memcpy(copy, text, len);
	rc = parse(copy, len, out);
	if (rc == 0)
		(void)TAKE_PTR(copy);
	return rc;
}

/* Reads all of `fd`; the result's end is *len. */
static int slurp(int fd, char **text, size_t *len)
{
	size_t n = 0, room = 16384;
	CLEAN_FREE char *buf = malloc(room);

	for (;;) {
		if (!buf)
			return err_nomem("the memory map");
		ssize_t got = read(fd, buf + n, room - n - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == ESRCH) /* it ended meanwhile */
			return err_set(DTPROC_ENOPROC, "no such process");
		if (got < 0)
			return err_errno(
				DTPROC_ESYS, errno, "cannot read the memory map");
		if (got == 0)
			break;
		n += (size_t)got;
		if (n < room - 4096)
			continue;
		if (room >= TEXT_MAX)
			return err_set(DTPROC_ELIMIT, "the memory map is too long");
		char *more = realloc(buf, room *= 2);
		if (!more)
			return err_nomem("the memory map");
		buf = more;
	}
	*text = TAKE_PTR(buf);
	*len = n;
	return 0;
}

static int read_of(pid_t pid, struct victim_maps *out)
{
	char path[40];
	CLEAN_FREE char *text = NULL;
	size_t len = 0;
	int rc;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	CLEAN_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ESRCH))
		return err_set(DTPROC_ENOPROC, "pid %d: no such process", (int)pid);
	if (fd < 0)
		return err_errno(
			errno == EACCES || errno == EPERM ? DTPROC_EPERM : DTPROC_ESYS,
			errno, "cannot open %s", path);
	rc = slurp(fd, &text, &len);
	if (rc == 0)
		rc = parse(text, len, out);
	if (rc == 0)
		(void)TAKE_PTR(text);
	return rc;
}

int victim_maps_read(pid_t pid, struct victim_maps *out)
{
	struct victim_maps maps = {0};
	int rc = read_of(pid, &maps);
	pid_t tid = pid;

	/* A first thread that has ended shows no memory, though others have it. */
	if (rc == DTPROC_ENOPROC || (rc == 0 && maps.n == 0))
		tid = victim_live_tid(pid);
	if (tid != pid) {
		victim_maps_free(&maps);
		rc = read_of(tid, &maps);
	}
	if (rc == 0)
		*out = maps;
	return rc;
}

int victim_maps_open(pid_t pid)
{
	char path[40];

	snprintf(path, sizeof path, "/proc/%d/maps", (int)victim_live_tid(pid));
	return victim_lift(open(path, O_RDONLY | O_CLOEXEC));
}

int victim_maps_still(pid_t pid, const struct victim_map *m)
{
	struct procmap q = {.size = sizeof q, .addr = m->start};
	CLEAN_FD int fd = victim_maps_open(pid);

	if (fd < 0 || ioctl(fd, PROCMAP_ASK, &q) < 0)
		return 0;
	return q.start == m->start && q.end == m->end && q.offset == m->offset &&
	       q.inode == m->inode && makedev(q.dev_major, q.dev_minor) == m->dev;
}

/* ------------------------------------------------------------- one mapping alone */

#define QUERY_NAME_MAX 4096
/* PROCPROCMAP_ASK_VMA_EXECUTABLE, _COVERING_OR_NEXT_VMA, _FILE_BACKED_VMA */
#define QUERY_CODE (0x04u | 0x10u | 0x20u)

static int take_map(const struct victim_map *m, dtproc_addr to, struct victim_map *out)
{
	char *path = m->start < to ? strdup(m->path) : NULL;

	if (m->start >= to)
		return err_set(DTPROC_ERANGE, "nothing is mapped there");
	if (!path)
		return err_nomem("a mapping");
	*out = *m;
	out->path = path;
	return 0;
}

/* A mapping as the flags of a question say; ESYS: the kernel cannot be asked. */
static int query(
	int fd, unsigned flags, dtproc_addr from, dtproc_addr to, struct victim_map *out)
{
	char text[QUERY_NAME_MAX + 1] = "";
	struct procmap q = {.size = sizeof q,
		.flags = flags,
		.addr = from,
		.name_size = QUERY_NAME_MAX,
		.name_addr = (uintptr_t)text};

	if (ioctl(fd, PROCMAP_ASK, &q) < 0)
		return errno == ENOENT ? err_set(DTPROC_ERANGE, "nothing is mapped there")
				       : DTPROC_ESYS;
	struct victim_map m = {.start = q.start,
		.end = q.end,
		.offset = q.offset,
		.dev = makedev(q.dev_major, q.dev_minor),
		.inode = q.inode,
		.flags = (unsigned)q.map_flags & 15};
	name(&m, text, q.name_size ? strnlen(text, QUERY_NAME_MAX) : 0);
	return take_map(&m, to, out);
}

/* As victim_maps_code(), by a descriptor of maps. */
static int query_code(int fd, dtproc_addr from, dtproc_addr to, struct victim_map *out)
{
	return query(fd, QUERY_CODE, from, to, out);
}

int victim_maps_ask(int fd, dtproc_addr at, struct victim_map *out)
{
	return query(fd, 0, at, at + 1, out);
}

static int search_code(
	pid_t pid, dtproc_addr from, dtproc_addr to, struct victim_map *out)
{
	CLEAN(victim_maps_free) struct victim_maps maps = {0};
	int rc = victim_maps_read(pid, &maps);

	for (size_t i = 0; i < maps.n && rc == 0; i++)
		if (maps.at[i].end > from && maps.at[i].inode &&
			(maps.at[i].flags & VICTIM_MAP_EXEC))
			return take_map(&maps.at[i], to, out);
	return rc ? rc : err_set(DTPROC_ERANGE, "no code is mapped there");
}

int victim_maps_code(pid_t pid, dtproc_addr from, dtproc_addr to, struct victim_map *out)
{
	CLEAN_FD int fd = victim_maps_open(pid);
	int rc = query_code(fd, from, to, out);

	return rc == DTPROC_ESYS ? search_code(pid, from, to, out) : rc;
}

void victim_map_free(struct victim_map *m)
{
	free((char *)(uintptr_t)m->path);
	m->path = NULL;
}

/* The code in [from, to), as far as there is any. */
static int collect(int fd, dtproc_addr from, dtproc_addr to, map_vec *out)
{
	struct victim_map m;
	int rc = 0;

	while (from < to && !rc) {
		rc = query_code(fd, from, to, &m);
		if (!rc && vec_push(out, m)) {
			victim_map_free(&m);
			rc = err_nomem("the memory map");
		}
		from = rc ? from : m.end;
	}
	return rc == DTPROC_ERANGE ? 0 : rc;
}

static int owns_name(const struct victim_maps *m, size_t i)
{
	return (uintptr_t)m->at[i].path - (uintptr_t)m->names >= m->names_len;
}

/* Puts `n` mappings into the place of those from index `lo` to before `hi`. */
static int replace(struct victim_maps *m, size_t lo, size_t hi,
	const struct victim_map *with, size_t n)
{
	if (vec_reserve((void **)&m->at, &m->room, m->n + n, sizeof *m->at))
		return err_nomem("the memory map");
	for (size_t i = lo; i < hi; i++)
		if (owns_name(m, i))
			victim_map_free(&m->at[i]);
	memmove(m->at + lo + n, m->at + hi, (m->n - hi) * sizeof *m->at);
	if (n)
		memcpy(m->at + lo, with, n * sizeof *with);
	m->n = m->n + n - (hi - lo);
	return 0;
}

int victim_maps_update(
	pid_t pid, int fd, struct victim_maps *m, dtproc_addr from, dtproc_addr to)
{
	struct victim_maps all;
	map_vec now = {0};
	size_t lo = (size_t)(victim_maps_behind(m, from) - m->at), hi;
	int rc = collect(fd, from, to, &now);

	for (hi = lo; hi < m->n && m->at[hi].start < to; hi++)
		;
	if (rc == 0)
		rc = replace(m, lo, hi, now.at, now.n);
	for (size_t i = 0; rc && i < now.n; i++)
		victim_map_free(&now.at[i]);
	vec_free(&now);
	if (rc != DTPROC_ESYS)
		return rc;
	rc = victim_maps_read(pid, &all);
	if (rc == 0) {
		victim_maps_free(m);
		*m = all;
	}
	return rc;
}

void victim_maps_free(struct victim_maps *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (owns_name(m, i))
			victim_map_free(&m->at[i]);
	free(m->at);
	free(m->names);
	*m = (struct victim_maps){0};
}

const struct victim_map *victim_maps_behind(const struct victim_maps *m, dtproc_addr addr)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (m->at[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return m->at + lo;
}

const struct victim_map *victim_maps_find(const struct victim_maps *m, dtproc_addr addr)
{
	const struct victim_map *at = victim_maps_behind(m, addr);

	return at < m->at + m->n && at->start <= addr ? at : NULL;
}
