/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacks of one instant, of a process or a core file.  While the process stands,
 * registers and stacks are copied and the maps are read; files are opened and stacks are
 * walked when somebody asks for them.  From the running process only code is read later,
 * which is no different then; where a walk needs other memory, it ends.
 */
#include <stdlib.h>
#include <string.h>
#include <base/clean.h>
#include <base/slurp.h>
#include <stack/stack.h>
#include "own.h"

struct dtproc_snapshot {
	pid_t pid;
	char name[64];
	struct hold_stacks stacks; /* of a process */
	struct stack_core *core;   /* of a core file; NULL: a process */
	int mem;                   /* -1: none */
	struct stack_view view;
	struct stack_source mapped, beneath, source;
	struct stack_copy copy; /* of the stack that is walked */
	struct stack_walker *walker;
};

void dtproc_snapshot_free(struct dtproc_snapshot *s)
{
	if (!s)
		return;
	stack_walker_destroy(s->walker);
	if (s->core)
		stack_core_close(s->core);
	else
		stack_space_destroy(s->view.space);
	clean_fd(&s->mem);
	free(s->stacks.at);
	free(s);
}

static void clean_snapshot(struct dtproc_snapshot **s)
{
	dtproc_snapshot_free(*s);
}

static struct dtproc_snapshot *new_snapshot(pid_t pid)
{
	struct dtproc_snapshot *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->pid = pid;
	s->mem = -1;
	s->view.when = STACK_NOW;
	return s;
}

static ssize_t read_memory(void *arg, dtproc_addr at, void *buf, size_t len)
{
	struct dtproc_snapshot *s = arg;

	return s->mem < 0 ? 0 : victim_mem_read(s->mem, at, buf, len);
}

static ssize_t read_code(void *arg, dtproc_addr at, void *buf, size_t len)
{
	struct dtproc_snapshot *s = arg;
	struct stack_code code;

	return s->mapped.code(s->mapped.arg, at, &code) == 1
		       ? read_memory(s, at, buf, len)
		       : 0;
}

static int find_code(void *arg, dtproc_addr at, struct stack_code *out)
{
	struct dtproc_snapshot *s = arg;

	return s->mapped.code(s->mapped.arg, at, out);
}

static int by_tid(const void *a, const void *b)
{
	const struct wire_stack *one = a, *other = b;

	return (one->tid > other->tid) - (one->tid < other->tid);
}

static void read_name(struct dtproc_snapshot *s)
{
	char path[40];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/comm", (int)s->pid);
	n = slurp_file(path, s->name, sizeof s->name);
	s->name[n < 0 ? 0 : strcspn(s->name, "\n")] = 0;
}

/* What has to be done while it stands. */
static int take(
	struct dtproc_proc *p, struct dtproc_snapshot *s, struct victim_maps *maps)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	int err = hold_stacks(p, &s->stacks);

	if (!err)
		err = hold_maps(p, maps);
	if (!err && victim_mem_open(s->pid, &s->mem))
		s->mem = -1; /* code without a file is read by nobody then */
	return err;
}

static int make_space(struct dtproc_snapshot *s, const struct victim_maps *maps)
{
	const struct stack_space_options options = {.pid = s->pid,
		.inner = trace_inner_pid(s->pid),
		.arg = s,
		.read = read_memory};
	int err = stack_space_create(&options, &s->view.space);

	if (!err)
		err = trace_space_update(s->view.space, maps, 0);
	if (err)
		return err;
	s->mapped = stack_view_source(&s->view);
	s->beneath = (struct stack_source){s, read_code, find_code};
	s->copy.beneath = &s->beneath;
	s->source = stack_copy_source(&s->copy);
	return stack_walker_create(&s->source, &s->walker);
}

int dtproc_proc_snapshot(struct dtproc_proc *p, struct dtproc_snapshot **out)
{
	CLEAN(clean_snapshot)
	struct dtproc_snapshot *s = new_snapshot(dtproc_proc_pid(p));
	struct victim_maps maps = {0};
	int err = s ? take(p, s, &maps) : err_nomem("a snapshot");

	if (!err)
		err = make_space(s, &maps);
	victim_maps_free(&maps);
	if (err)
		return err;
	read_name(s);
	qsort(s->stacks.at, s->stacks.n, sizeof *s->stacks.at, by_tid);
	*out = TAKE_PTR(s);
	return 0;
}

int dtproc_core_snapshot(const char *path, struct dtproc_snapshot **out)
{
	CLEAN(clean_snapshot) struct dtproc_snapshot *s = new_snapshot(0);
	int err = s ? stack_core_open(path, &s->core) : err_nomem("a snapshot");

	if (err)
		return err;
	s->pid = stack_core_pid(s->core);
	snprintf(s->name, sizeof s->name, "%s", stack_core_name(s->core));
	s->view.space = stack_core_space(s->core);
	s->source = stack_view_source(&s->view);
	err = stack_walker_create(&s->source, &s->walker);
	if (err)
		return err;
	*out = TAKE_PTR(s);
	return 0;
}

pid_t dtproc_snapshot_pid(const struct dtproc_snapshot *s)
{
	return s->pid;
}

const char *dtproc_snapshot_name(const struct dtproc_snapshot *s)
{
	return s->name;
}

size_t dtproc_snapshot_threads(const struct dtproc_snapshot *s)
{
	size_t n = s->stacks.n;

	if (s->core)
		(void)stack_core_threads(s->core, &n);
	return n;
}

/* Its number and registers; NULL: there is no such one. */
static const struct user_regs_struct *thread_of(
	const struct dtproc_snapshot *s, size_t i, pid_t *tid)
{
	size_t n;

	if (i >= dtproc_snapshot_threads(s))
		return NULL;
	if (s->core) {
		const struct stack_core_thread *t = &stack_core_threads(s->core, &n)[i];

		*tid = t->tid;
		return &t->regs;
	}
	*tid = s->stacks.at[i].tid;
	return &s->stacks.at[i].regs;
}

pid_t dtproc_snapshot_tid(const struct dtproc_snapshot *s, size_t i)
{
	pid_t tid = 0;

	(void)thread_of(s, i, &tid);
	return tid;
}

long dtproc_snapshot_stack(
	struct dtproc_snapshot *s, size_t i, struct dtproc_frame *frames, size_t room)
{
	CLEAN_FREE struct stack_frame *walked = calloc(room + 1, sizeof *walked);
	pid_t tid;
	const struct user_regs_struct *user = thread_of(s, i, &tid);
	const struct wire_stack *w = s->core ? NULL : &s->stacks.at[i];
	struct stack_regs regs;
	enum stack_end end;

	if (!walked)
		return err_nomem("a stack");
	if (!user)
		return err_set(DTPROC_EINVAL, "the snapshot has no thread %zu", i);
	if (w && !w->stopped)
		return 0;
	if (w) {
		s->copy.at = w->at;
		s->copy.bytes = s->stacks.bytes + w->offset;
		s->copy.len = w->len;
	}
	stack_regs_from(user, &regs);
	size_t n = stack_walk(s->walker, &regs, walked, room, &end);

	for (size_t k = 0; k < n; k++)
		frames[k] = (struct dtproc_frame){
			walked[k].pc, walked[k].cfa, trace_frame_flags(&walked[k])};
	if (n && end != STACK_BOTTOM)
		frames[n - 1].flags |= DTPROC_FRAME_CUT;
	return (long)n;
}

int dtproc_snapshot_symbol(
	struct dtproc_snapshot *s, dtproc_addr at, struct dtproc_symbol *out)
{
	struct stack_name name;
	int known = stack_space_name(s->view.space, at, STACK_NOW, &name);

	*out = (struct dtproc_symbol){
		name.object, name.path, name.symbol, name.start, name.size};
	return known;
}
