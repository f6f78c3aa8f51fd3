/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is and was mapped.  What is mapped now is an array by address, searched by halves;
 * what has left is a list, the last one first, in which the first that holds the address
 * and was there at the time is taken.
 */
#include "space.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <base/clean.h>

#define PAST_MAX 1024

int stack_space_create(
	const struct stack_space_options *options, struct stack_space **out)
{
	struct stack_space *s = calloc(1, sizeof *s);

	if (!s)
		return err_nomem("an address space");
	s->options = *options;
	*out = s;
	return 0;
}

static void free_region(struct region *r)
{
	if (!r)
		return;
	object_unref(r->object);
	free(r->path);
	free(r);
}

void stack_space_destroy(struct stack_space *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->now.n; i++)
		free_region(s->now.at[i]);
	for (size_t i = 0; i < s->past.n; i++)
		free_region(s->past.at[i]);
	vec_free(&s->now);
	vec_free(&s->past);
	object_jit_destroy(s->map.names);
	object_jit_destroy(s->dump.names);
	free(s);
}

uint64_t stack_space_changes(const struct stack_space *s)
{
	return s->changes;
}

/* ------------------------------------------------------------------ updates */

static int is_same(const struct region *r, const struct stack_map *m)
{
	return r->start == m->start && r->end == m->end && r->offset == m->offset &&
	       r->dev == m->dev && r->inode == m->inode &&
	       r->executable == m->executable && !strcmp(r->path, m->path);
}

static struct region *make_region(const struct stack_map *m, uint64_t when)
{
	struct region *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	*r = (struct region){.start = m->start,
		.end = m->end,
		.offset = m->offset,
		.dev = m->dev,
		.inode = m->inode,
		.executable = m->executable,
		.born = when,
		.died = STACK_NOW,
		.path = strdup(m->path)};
	if (r->path)
		return r;
	free(r);
	return NULL;
}

/* Finds the old region of a mapping; *from moves on, since both are by address. */
static struct region *still_there(
	const struct stack_space *s, const struct stack_map *m, size_t *from)
{
	while (*from < s->now.n && s->now.at[*from]->start < m->start)
		++*from;
	if (*from < s->now.n && is_same(s->now.at[*from], m))
		return s->now.at[*from];
	return NULL;
}

/* Moves a region to the past, or forgets it when nothing of it can be named. */
static void bury(struct stack_space *s, struct region *r, uint64_t when)
{
	r->died = when;
	s->changes += r->executable;
	if (s->past.n == PAST_MAX) {
		free_region(s->past.at[0]);
		memmove(s->past.at, s->past.at + 1,
			(PAST_MAX - 1) * sizeof s->past.at[0]);
		s->past.n--;
	}
	if ((!r->inode && !r->object) || vec_push(&s->past, r))
		free_region(r);
}

int stack_space_update(
	struct stack_space *s, const struct stack_map *maps, size_t n, uint64_t when)
{
	CLEAN_FREE struct region **fresh = calloc(n + 1, sizeof *fresh);
	size_t from = 0, made = 0;

	for (; fresh && made < n; made++) {
		struct region *r = still_there(s, &maps[made], &from);

		fresh[made] = r ? r : make_region(&maps[made], when);
		if (!fresh[made])
			break;
		fresh[made]->kept = r != NULL;
	}
	if (!fresh || made < n) {
		for (size_t i = 0; i < made; i++)
			if (!fresh[i]->kept)
				free_region(fresh[i]);
		for (size_t i = 0; i < s->now.n; i++)
			s->now.at[i]->kept = 0;
		return err_nomem("an address space");
	}
	for (size_t i = 0; i < s->now.n; i++)
		if (!s->now.at[i]->kept)
			bury(s, s->now.at[i], when);
	for (size_t i = 0; i < n; i++)
		fresh[i]->kept = 0;
	s->map.absent = s->dump.absent = 0;
	free(s->now.at);
	s->now.at = TAKE_PTR(fresh);
	s->now.n = n;
	s->now.room = n + 1;
	return 0;
}

/* ------------------------------------------------------------------- lookup */

/* Index of the first region of now that ends behind `at`. */
static size_t region_behind(const struct stack_space *s, dtproc_addr at)
{
	size_t low = 0, high = s->now.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->now.at[mid]->end <= at)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int holds(const struct region *r, dtproc_addr at)
{
	return at >= r->start && at < r->end;
}

/*
 * The region of an address at that time.  When there was none, the one that is there now
 * or was there last: maps are looked at a moment after they have changed.
 */
static struct region *find_region(
	const struct stack_space *s, dtproc_addr at, uint64_t when)
{
	size_t i = region_behind(s, at);
	struct region *now =
		i < s->now.n && holds(s->now.at[i], at) ? s->now.at[i] : NULL;
	struct region *last = NULL;

	if (now && (when >= now->born || !s->past.n))
		return now;
	for (i = s->past.n; i-- > 0;) {
		struct region *r = s->past.at[i];

		if (!holds(r, at))
			continue;
		if (r->born <= when && when < r->died)
			return r;
		if (!last)
			last = r;
	}
	return now ? now : last;
}

/* The executable mapping of the same file: it tells the bias. */
static const struct region *code_of(const struct stack_space *s, const struct region *r)
{
	size_t i = region_behind(s, r->start);

	if (r->executable)
		return r;
	for (size_t k = i; k < s->now.n && k < i + 8; k++)
		if (s->now.at[k]->executable && s->now.at[k]->inode == r->inode)
			return s->now.at[k];
	for (size_t k = i; k-- > 0 && k + 8 > i;)
		if (s->now.at[k]->executable && s->now.at[k]->inode == r->inode)
			return s->now.at[k];
	return NULL;
}

/* Where the file of this code begins in memory. */
static dtproc_addr image_start(const struct stack_space *s, const struct region *code)
{
	size_t i = region_behind(s, code->start);

	for (size_t k = i; k-- > 0 && k + 8 > i && code->offset;)
		if (s->now.at[k]->inode == code->inode && s->now.at[k]->offset == 0)
			return s->now.at[k]->start;
	return code->start;
}

/* Is the file that has this path now the one that ran?  By its build-id. */
static int is_what_ran(
	const struct stack_space *s, const struct region *code, const struct object *o)
{
	const struct object_build_id *have = object_build_id(o);
	struct object_build_id ran = {.len = 0};

	if (s->options.read)
		object_image_build_id(
			image_start(s, code), s->options.read, s->options.arg, &ran);
	return !ran.len ||
	       (ran.len == have->len && !memcmp(ran.bytes, have->bytes, ran.len));
}

static int open_file(
	const struct stack_space *s, const struct region *code, struct object **out)
{
	const struct object_id id = {code->dev, code->inode};

	if (s->options.pid)
		return object_open_mapped(
			s->options.pid, code->start, code->end, code->path, &id, out);
	int err = object_open(code->path, NULL, out);

	if (!err && !is_what_ran(s, code, *out)) {
		object_unref(*out);
		return err_set(
			DTPROC_ENOSYM, "%s: was replaced by another file", code->path);
	}
	return err;
}

/* The image in memory whose code this is begins with its first mapping. */
static int open_image(const struct stack_space *s, const struct region *code,
	struct object **out, uint64_t *bias)
{
	if (!s->options.read || code->died != STACK_NOW)
		return err_set(DTPROC_ENOSYM, "%s: not a file", code->path);
	return object_open_image(code->path, image_start(s, code), s->options.read,
		s->options.arg, out, bias);
}

static int is_image(const struct region *r)
{
	return r->inode || !strcmp(r->path, "[vdso]");
}

/* Opens the object of a region, once. */
static void resolve(struct stack_space *s, struct region *r)
{
	const struct region *code = code_of(s, r);
	struct object *o = NULL;
	uint64_t bias = 0;

	if (r->tried || !code || !is_image(r))
		return;
	r->tried = 1;
	if (r->inode && !open_file(s, code, &o) &&
		object_bias(o, code->start, code->offset, &bias)) {
		object_unref(o);
		o = NULL;
	}
	if (!o && open_image(s, code, &o, &bias))
		return;
	r->object = o;
	r->bias = bias;
}

void stack_space_keep(struct stack_space *s)
{
	for (size_t i = 0; i < s->now.n; i++)
		if (s->now.at[i]->executable)
			resolve(s, s->now.at[i]);
}

/* .bss lies behind the mappings of its file, in memory that has none. */
static struct region *before_bss(const struct stack_space *s, const struct region *r)
{
	size_t i = region_behind(s, r->start);
	struct region *before = i ? s->now.at[i - 1] : NULL;

	return before && !r->path[0] && before->inode && before->end == r->start ? before
										 : NULL;
}

struct region *space_region(struct stack_space *s, dtproc_addr at, uint64_t when)
{
	struct region *r = find_region(s, at, when);

	if (r && !is_image(r) && !r->executable) {
		struct region *before = before_bss(s, r);

		r = before ? before : r;
	}
	if (r)
		resolve(s, r);
	return r;
}

uint64_t stack_space_since(const struct stack_space *s, dtproc_addr at, uint64_t when)
{
	const struct region *r = find_region(s, at, when);

	return r ? r->born : 0;
}

/* ------------------------------------------------------------------ sources */

static ssize_t view_read(void *arg, dtproc_addr at, void *buf, size_t len)
{
	const struct stack_view *v = arg;
	const struct stack_space_options *o = &v->space->options;

	return o->read ? o->read(o->arg, at, buf, len) : 0;
}

static int view_code(void *arg, dtproc_addr at, struct stack_code *out)
{
	const struct stack_view *v = arg;
	const struct region *r = space_region(v->space, at, v->when);

	if (!r || !r->executable || !holds(r, at))
		return 0;
	*out = (struct stack_code){r->object, r->bias};
	return 1;
}

struct stack_source stack_view_source(const struct stack_view *v)
{
	return (struct stack_source){(void *)v, view_read, view_code};
}
