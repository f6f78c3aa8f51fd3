/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keeper's unwinder (base/unwind.h): a source whose mappings are asked of the kernel
 * one by one.  Those of files are kept until they are said to have changed; what is
 * mapped without one (a JIT's code) is asked for each time.
 */
#include "stack.h"

#include <base/clean.h>
#include <base/unwind.h>
#include <base/vec.h>
#include <victim/victim.h>

#include <stdlib.h>
#include <unistd.h>

#define FRAMES_MAX 1024u
#define CODES_MAX 8192u /* kept at once */

struct code {
	dtproc_addr start, end;
	struct stack_code what;
};

struct unwind {
	struct unwind_host host;
	int maps; /* descriptor; -1: to be opened */
	struct stack_walker *walker;
	VEC(struct code) codes;
	size_t last; /* of codes: the answer to the last question */
	struct stack_frame frames[FRAMES_MAX];
};

static ssize_t source_read(void *arg, dtproc_addr at, void *buf, size_t len)
{
	struct unwind *u = arg;

	return u->host.read(u->host.arg, at, buf, len);
}

/* The mapping that holds an address; its path is the caller's. */
static int find_map(struct unwind *u, dtproc_addr at, struct victim_map *out)
{
	pid_t live = u->host.live(u->host.arg);

	if (u->maps < 0)
		u->maps = victim_maps_open(live);
	int rc = victim_maps_ask(u->maps, at, out);

	if (rc != DTPROC_ESYS)
		return rc;
	/* An older kernel: files alone. */
	rc = victim_maps_code(live, at, at + 1, out);
	if (rc == 0)
		out->flags |= VICTIM_MAP_EXEC;
	return rc;
}

/* The file behind a mapping, if it is one that can be read. */
static void open_code(
	struct unwind *u, const struct victim_map *m, struct stack_code *out)
{
	struct object_id id = {m->dev, m->inode};

	if (object_open_mapped(u->host.live(u->host.arg), m->start, m->end, m->path, &id,
		    &out->object))
		return;
	if (object_bias(out->object, m->start, m->offset, &out->bias)) {
		object_unref(out->object);
		out->object = NULL;
	}
}

/* Keeps it; 0, and it is given back, when there is no room. */
static int keep(struct unwind *u, const struct code *c)
{
	if (u->codes.n < CODES_MAX && vec_push(&u->codes, *c) == 0) {
		u->last = u->codes.n - 1;
		return 1;
	}
	object_unref(c->what.object);
	return 0;
}

static int ask(struct unwind *u, dtproc_addr at, struct stack_code *out)
{
	CLEAN(victim_map_free) struct victim_map m = {0};
	struct code c = {0};

	if (find_map(u, at, &m) || !(m.flags & VICTIM_MAP_EXEC))
		return 0;
	if (!m.inode)
		return 1;
	c.start = m.start;
	c.end = m.end;
	open_code(u, &m, &c.what);
	if (keep(u, &c))
		*out = c.what;
	return 1;
}

static int holds(const struct unwind *u, size_t i, dtproc_addr at)
{
	return i < u->codes.n && at >= u->codes.at[i].start && at < u->codes.at[i].end;
}

static int source_code(void *arg, dtproc_addr at, struct stack_code *out)
{
	struct unwind *u = arg;
	size_t i = 0;

	*out = (struct stack_code){0};
	if (!holds(u, u->last, at)) {
		while (i < u->codes.n && !holds(u, i, at))
			i++;
		if (i == u->codes.n)
			return ask(u, at, out);
		u->last = i;
	}
	*out = u->codes.at[u->last].what;
	return 1;
}

static struct stack_source source_of(struct unwind *u)
{
	return (struct stack_source){u, source_read, source_code};
}

static void unwind_forget(struct unwind *u)
{
	struct stack_source source = source_of(u);

	for (size_t i = 0; i < u->codes.n; i++)
		object_unref(u->codes.at[i].what.object);
	u->codes.n = 0;
	if (u->maps >= 0)
		close(u->maps);
	u->maps = -1;
	stack_walker_reset(u->walker, &source);
}

static struct unwind *unwind_open(const struct unwind_host *host)
{
	struct unwind *u = calloc(1, sizeof *u);

	if (!u)
		return NULL;
	u->host = *host;
	u->maps = -1;
	struct stack_source source = source_of(u);
	if (stack_walker_create(&source, &u->walker)) {
		free(u);
		return NULL;
	}
	return u;
}

static void unwind_close(struct unwind *u)
{
	unwind_forget(u);
	vec_free(&u->codes);
	stack_walker_destroy(u->walker);
	free(u);
}

static size_t unwind_walk(
	struct unwind *u, const struct user_regs_struct *regs, uint64_t *pcs, size_t room)
{
	struct stack_regs first;
	enum stack_end end;
	size_t n;

	stack_regs_from(regs, &first);
	n = stack_walk(u->walker, &first, u->frames,
		room < FRAMES_MAX ? room : FRAMES_MAX, &end);
	for (size_t i = 0; i < n; i++)
		pcs[i] = u->frames[i].pc;
	return n;
}

__attribute__((
	visibility("default"))) extern const struct unwind_module dtproc_unwind_module;
const struct unwind_module dtproc_unwind_module = {.version = UNWIND_VERSION,
	.open = unwind_open,
	.close = unwind_close,
	.forget = unwind_forget,
	.walk = unwind_walk};
