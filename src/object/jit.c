/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of code that a program made for itself, as it tells them to perf(1): a line for
 * each function in /tmp/perf-PID.map, or records in a jitdump file.  Both grow while the
 * program runs, so reading goes on where it ended; what comes later is right where two
 * overlap.  The victim writes them: every number is checked, and there is an end.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <base/clean.h>
#include <base/cursor.h>
#include <base/vec.h>
#include "object.h"

#define FILE_MOST (512u << 20)
#define SYMBOLS_MAX (4u << 20)
#define NAME_MOST 1024
#define PIECE (256u << 10)
#define LOOK_BACK 64

#define DUMP_MAGIC 0x4a695444u
enum { DUMP_LOAD = 0, DUMP_MOVE = 1 };

struct code {
	uint64_t start, size;
	uint32_t name;
	uint32_t turn; /* the later one is right */
};

struct object_jit {
	VEC(struct code) codes; /* by address when `sorted` */
	VEC(char) names;
	int sorted;
	uint64_t done; /* bytes of the file that were read */
};

int object_jit_create(struct object_jit **out)
{
	struct object_jit *j = calloc(1, sizeof *j);

	if (!j)
		return err_nomem("names of generated code");
	*out = j;
	return 0;
}

void object_jit_destroy(struct object_jit *j)
{
	if (!j)
		return;
	vec_free(&j->codes);
	vec_free(&j->names);
	free(j);
}

static int add(
	struct object_jit *j, uint64_t start, uint64_t size, const char *name, size_t len)
{
	size_t at = j->names.n;

	len = len < NAME_MOST ? len : NAME_MOST;
	if (!size || !len || start + size < start || j->codes.n >= SYMBOLS_MAX)
		return 0;
	if (at + len + 1 > UINT32_MAX ||
		vec_reserve((void **)&j->names.at, &j->names.room, at + len + 1, 1))
		return err_nomem("names of generated code");
	memcpy(j->names.at + at, name, len);
	j->names.at[at + len] = 0;
	j->names.n += len + 1;
	j->sorted = 0;
	const struct code c = {start, size, (uint32_t)at, (uint32_t)j->codes.n};

	return vec_push(&j->codes, c) ? err_nomem("names of generated code") : 0;
}

/* ------------------------------------------------------------------ a perf map */

static int hex(const char **at, const char *end, uint64_t *out)
{
	const char *s = *at;
	uint64_t v = 0;

	for (; s < end && *s != ' '; s++) {
		unsigned d = *s >= '0' && *s <= '9'   ? (unsigned)(*s - '0')
			     : *s >= 'a' && *s <= 'f' ? (unsigned)(*s - 'a' + 10)
			     : *s >= 'A' && *s <= 'F' ? (unsigned)(*s - 'A' + 10)
						      : 99;

		if (d > 15 || s - *at > 16)
			return -1;
		v = v << 4 | d;
	}
	if (s == end || s == *at)
		return -1;
	*at = s + 1;
	*out = v;
	return 0;
}

/* START SIZE name; some write 0x before the numbers. */
static int add_line(struct object_jit *j, const char *line, const char *end)
{
	uint64_t start, size;

	if (end - line > 2 && !memcmp(line, "0x", 2))
		line += 2;
	if (hex(&line, end, &start))
		return 0;
	if (end - line > 2 && !memcmp(line, "0x", 2))
		line += 2;
	if (hex(&line, end, &size))
		return 0;
	return add(j, start, size, line, (size_t)(end - line));
}

/* Whole lines alone; the rest is read again.  Returns the bytes taken, or an error. */
static int64_t take_lines(struct object_jit *j, const char *text, size_t len)
{
	const char *at = text, *end = text + len, *nl;

	while ((nl = memchr(at, '\n', (size_t)(end - at)))) {
		int err = add_line(j, at, nl);

		if (err)
			return err;
		at = nl + 1;
	}
	return at - text;
}

/* ------------------------------------------------------------------- a jitdump */

static int take_load(struct object_jit *j, struct cursor *c)
{
	cursor_u64(c); /* pid and tid */
	cursor_u64(c); /* vma */
	uint64_t start = cursor_u64(c), size = cursor_u64(c);

	cursor_u64(c); /* index */
	const char *name = cursor_str(c);

	return name ? add(j, start, size, name, strlen(name)) : 0;
}

static int take_move(struct object_jit *j, struct cursor *c)
{
	cursor_u64(c);
	cursor_u64(c);
	uint64_t from = cursor_u64(c), to = cursor_u64(c), size = cursor_u64(c);

	for (size_t i = j->codes.n; !c->bad && i-- > 0;)
		if (j->codes.at[i].start == from) {
			char name[NAME_MOST + 1];

			snprintf(name, sizeof name, "%s",
				j->names.at + j->codes.at[i].name);
			return add(j, to, size, name, strlen(name));
		}
	return 0;
}

/* Whole records alone; what the first bytes are tells `done`. */
static int64_t take_records(struct object_jit *j, const char *bytes, size_t len)
{
	struct cursor c = cursor_of(bytes, len);

	if (j->done == 0) {
		uint32_t magic = cursor_u32(&c), version = cursor_u32(&c),
			 size = cursor_u32(&c);

		if (c.bad || magic != DUMP_MAGIC || version != 1 || size < 12 ||
			!cursor_get(&c, size - 12))
			return 0;
	}
	while (cursor_left(&c) >= 16) {
		struct cursor r = c;
		uint32_t id = cursor_u32(&r), size = cursor_u32(&r);
		int err = 0;

		if (size < 16 || size > cursor_left(&c))
			break;
		r = cursor_of(c.at + 16, size - 16); /* behind the time */
		if (id == DUMP_LOAD)
			err = take_load(j, &r);
		else if (id == DUMP_MOVE)
			err = take_move(j, &r);
		if (err)
			return err;
		cursor_get(&c, size);
	}
	return (int64_t)(len - cursor_left(&c));
}

/* --------------------------------------------------------------------- reading */

static int64_t take(struct object_jit *j, const char *bytes, size_t len, int dump)
{
	return dump ? take_records(j, bytes, len) : take_lines(j, bytes, len);
}

int object_jit_read(struct object_jit *j, int fd, enum object_jit_form form)
{
	struct stat st;
	size_t room = PIECE;
	CLEAN_FREE char *bytes = malloc(room);

	if (!bytes)
		return err_nomem("names of generated code");
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return err_errno(DTPROC_ENOSYM, errno, "names of generated code");
	while (j->done < (uint64_t)st.st_size && j->done < FILE_MOST) {
		ssize_t got = pread(fd, bytes, room, (off_t)j->done);
		int64_t taken =
			got > 0 ? take(j, bytes, (size_t)got, form == OBJECT_JIT_DUMP)
				: 0;

		if (taken < 0)
			return (int)taken;
		j->done += (uint64_t)taken;
		if (taken == 0 && (got < (ssize_t)room || room > FILE_MOST / 8))
			break;
		if (taken == 0) { /* one that is longer than the piece */
			char *more = realloc(bytes, room *= 4);

			if (!more)
				return err_nomem("names of generated code");
			bytes = more;
		}
	}
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct code *one = a, *other = b;

	if (one->start != other->start)
		return one->start > other->start ? 1 : -1;
	return (one->turn > other->turn) - (one->turn < other->turn);
}

const char *object_jit_at(
	struct object_jit *j, uint64_t at, uint64_t *start, uint64_t *size)
{
	const struct code *best = NULL;
	size_t low = 0, high = j->codes.n;

	if (!j->sorted && j->codes.n)
		qsort(j->codes.at, j->codes.n, sizeof *j->codes.at, by_start);
	j->sorted = 1;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (j->codes.at[mid].start <= at)
			low = mid + 1;
		else
			high = mid;
	}
	for (size_t i = low, tries = 0; i-- > 0 && tries < LOOK_BACK; tries++) {
		const struct code *c = &j->codes.at[i];

		if (at - c->start < c->size && (!best || c->turn > best->turn))
			best = c;
	}
	if (!best)
		return NULL;
	*start = best->start;
	*size = best->size;
	return j->names.at + best->name;
}
