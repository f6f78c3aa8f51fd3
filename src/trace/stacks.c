/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names and stacks of a handle.  What is known of a victim's address space is kept with
 * its handle, so that names survive what they belonged to; it is brought up to date by a
 * look at the maps in each call, but for a victim that has not run since the last one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <base/clean.h>
#include <base/slurp.h>
#include <stack/stack.h>
#include "own.h"

struct names {
	struct stack_view view;
	struct stack_source source;
	struct stack_walker *walker; /* NULL: nothing was walked yet */
	uint64_t changes;            /* of the space, when the walker was made or reset */
	uint32_t generation;         /* of the victim, and its pauses, at the last look */
	uint64_t pauses;
	int looked;
};

static void destroy(void *arg)
{
	struct names *n = arg;

	stack_walker_destroy(n->walker);
	stack_space_destroy(n->view.space);
	free(n);
}

static ssize_t read_victim(void *arg, dtproc_addr at, void *buf, size_t len)
{
	return dtproc_proc_read(arg, at, buf, len);
}

pid_t trace_inner_pid(pid_t pid)
{
	char path[48], text[8192];
	const char *line, *last;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (slurp_file(path, text, sizeof text) <= 0)
		return pid;
	line = strstr(text, "\nNSpid:");
	if (!line)
		return pid;
	line++;
	last = line + strcspn(line, "\n");
	while (last > line && last[-1] >= '0' && last[-1] <= '9')
		last--;
	return (pid_t)atoi(last) ?: pid;
}

/* With the handle locked. */
static int get_names(struct dtproc_proc *p, struct names **out)
{
	struct stack_space_options options = {.arg = p, .read = read_victim};
	struct names *n = hold_user(p);
	int err;

	if (n) {
		*out = n;
		return 0;
	}
	n = calloc(1, sizeof *n);
	if (!n)
		return err_nomem("names");
	options.pid = dtproc_proc_pid(p);
	options.inner = trace_inner_pid(options.pid);
	err = stack_space_create(&options, &n->view.space);
	if (err) {
		free(n);
		return err;
	}
	n->view.when = STACK_NOW;
	n->source = stack_view_source(&n->view);
	hold_set_user(p, n, destroy);
	*out = n;
	return 0;
}

/* Has the victim not run since the last look? */
static int is_fresh(struct dtproc_proc *p, const struct names *n)
{
	const struct wire_ledger *ledger = hold_ledger(p);
	struct dtproc_proc_status st;

	dtproc_proc_status(p, &st);
	return n->looked && ledger && st.run == DTPROC_IDLE &&
	       st.generation == n->generation && ledger->pauses == n->pauses;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int trace_space_update(
	struct stack_space *space, const struct victim_maps *maps, uint64_t when)
{
	CLEAN_FREE struct stack_map *list = calloc(maps->n + 1, sizeof *list);

	if (!list)
		return err_nomem("mappings");
	for (size_t i = 0; i < maps->n; i++) {
		const struct victim_map *m = &maps->at[i];

		list[i] = (struct stack_map){m->start, m->end, m->offset, m->dev,
			m->inode, (m->flags & VICTIM_MAP_EXEC) != 0, m->path};
	}
	return stack_space_update(space, list, maps->n, when);
}

/* Looks at the maps; of a victim at its end what was seen before has to do. */
static int refresh(struct dtproc_proc *p, struct names *n)
{
	const struct wire_ledger *ledger = hold_ledger(p);
	struct dtproc_proc_status st;
	struct victim_maps maps = {0};
	int err;

	if (is_fresh(p, n))
		return 0;
	err = hold_maps(p, &maps);
	if (err)
		return n->looked ? 0 : err;
	err = trace_space_update(n->view.space, &maps, now_ns());
	victim_maps_free(&maps);
	if (err)
		return err;
	stack_space_keep(n->view.space);
	dtproc_proc_status(p, &st);
	n->generation = st.generation;
	n->pauses = ledger ? ledger->pauses : 0;
	n->looked = 1;
	return 0;
}

long dtproc_proc_symbols_at(struct dtproc_proc *p, const dtproc_addr *at, size_t n,
	uint64_t when, struct dtproc_symbol *out)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct names *names;
	long known = 0;
	int err = get_names(p, &names);

	if (!err)
		err = refresh(p, names);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		struct stack_name name;

		known += stack_space_name(
			names->view.space, at[i], when ? when : STACK_NOW, &name);
		out[i] = (struct dtproc_symbol){
			name.object, name.path, name.symbol, name.start, name.size};
	}
	return known;
}

char *dtproc_demangle(const char *symbol, int brief)
{
	return object_demangle(symbol, brief ? OBJECT_DEMANGLE_SHORT : 0);
}

/* ------------------------------------------------------------------- stacks */

static int get_walker(struct names *n)
{
	uint64_t changes = stack_space_changes(n->view.space);
	int err = 0;

	if (!n->walker)
		err = stack_walker_create(&n->source, &n->walker);
	else if (changes != n->changes)
		stack_walker_reset(n->walker, &n->source);
	n->changes = changes;
	return err;
}

unsigned trace_frame_flags(const struct stack_frame *f)
{
	return (f->exact ? DTPROC_FRAME_EXACT : 0u) |
	       (f->signal ? DTPROC_FRAME_SIGNAL : 0u) |
	       (f->via == STACK_POINTER ? DTPROC_FRAME_POINTER : 0u) |
	       (f->via == STACK_SCAN ? DTPROC_FRAME_GUESS : 0u);
}

long dtproc_proc_threads(struct dtproc_proc *p, pid_t *tids, size_t room)
{
	CLEAN_FREE struct wire_thread *list = NULL;
	size_t n;
	int err = hold_threads(p, &list, &n);

	if (err)
		return err;
	for (size_t i = 0; i < n && i < room; i++)
		tids[i] = list[i].tid;
	return (long)n;
}

long dtproc_proc_stack(
	struct dtproc_proc *p, pid_t tid, struct dtproc_frame *frames, size_t room)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	CLEAN_FREE struct stack_frame *walked = calloc(room + 1, sizeof *walked);
	struct user_regs_struct user;
	struct stack_regs regs;
	struct names *names;
	enum stack_end end;
	int err = walked ? hold_regs(p, tid, &user) : err_nomem("a stack");

	if (!err)
		err = get_names(p, &names);
	if (!err)
		err = refresh(p, names);
	if (!err)
		err = get_walker(names);
	if (err)
		return err;
	stack_regs_from(&user, &regs);
	size_t n = stack_walk(names->walker, &regs, walked, room, &end);

	for (size_t i = 0; i < n; i++)
		frames[i] = (struct dtproc_frame){
			walked[i].pc, walked[i].cfa, trace_frame_flags(&walked[i])};
	return (long)n;
}
