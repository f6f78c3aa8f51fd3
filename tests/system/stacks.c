/* SPDX-License-Identifier: BSD-2-Clause */
/* Names and stacks by the public calls, of victims as people build them. */
#include "lib.h"

#include <string.h>
#include <sys/wait.h>

#define ROOM 64

static struct dtproc *dt;

/* The name of the function that a frame is in; "" when it has none. */
static const char *function_of(struct dtproc_proc *p, const struct dtproc_frame *f)
{
	dtproc_addr at = f->flags & DTPROC_FRAME_EXACT ? f->pc : f->pc - 1;
	struct dtproc_symbol s;

	OK(dtproc_proc_symbols_at(p, &at, 1, 0, &s));
	return s.symbol ? s.symbol : "";
}

/* Is there a function of that name on the stack?  Notes the stack when not. */
static bool is_on(struct dtproc_proc *p, const struct dtproc_frame *frames, long n,
	const char *name)
{
	for (long i = 0; i < n; i++)
		if (!strcmp(function_of(p, &frames[i]), name))
			return true;
	for (long i = 0; i < n; i++)
		t_note("%#llx %x %s", (unsigned long long)frames[i].pc, frames[i].flags,
			function_of(p, &frames[i]));
	return false;
}

static void stack_of(const char *line, bool described)
{
	struct dtproc_frame frames[ROOM];
	struct dtproc_proc *p;
	struct vic v;
	pid_t tids[64];

	vic_start(&v, line);
	vic_go(&v);
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_grab(dt, v.pid, 0, &p));
	long threads = dtproc_proc_threads(p, tids, 64);

	CHECK(threads >= 1, "%s: %ld threads", line, threads);
	for (long i = 0; i < threads; i++) {
		long n = dtproc_proc_stack(p, tids[i], frames, ROOM);

		CHECK(n >= 1 && n < ROOM, "%s: %ld frames", line, n);
		for (long k = 0; described && k < n; k++)
			CHECK(!(frames[k].flags & DTPROC_FRAME_GUESS), "%s: frame %ld",
				line, k);
		if (described && tids[i] == v.pid)
			CHECK(is_on(p, frames, n, "main"), "%s: no main", line);
	}
	CHECK(dtproc_proc_stack(p, 1, frames, ROOM) == DTPROC_ENOPROC, "a stranger");
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	vic_check_free(&v, "behind a look at its stacks");
	vic_kill(&v);
	dtproc_close(dt);
}

static void all_builds(void)
{
	stack_of("hammer 2 0", true);
	stack_of("hammer-nopie 2 0", true);
	stack_of("hammer-static 2 0", true);
	stack_of("hammer-static-pie 2 0", true);
	stack_of("hammer-cet 2 0", true);
	stack_of("hammer-stripped 2 0", false);
	stack_of("sleeps", true);
}

static void musl(void)
{
	stack_of("hammer-musl 2 0", false);
	stack_of("hammer-musl-static 2 0", false);
}

/* Rule E2: what was recorded is named when the victim has gone. */
static void names_of_the_dead(void)
{
	struct dtproc_symbol s;
	struct dtproc_proc *p;
	dtproc_addr at, libc;
	struct vic v;

	vic_start(&v, "hammer 1 0");
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_grab(dt, v.pid, 0, &p));
	OK(dtproc_proc_symbol(p, "a.out", "main", &at, NULL));
	OK(dtproc_proc_symbol(p, "libc", "malloc", &libc, NULL));
	OK(dtproc_proc_symbols_at(p, &at, 1, 0, &s));
	OK(dtproc_proc_continue(p));
	vic_kill(&v);
	OK(dtproc_proc_wait(p, 5000));
	OK(dtproc_proc_symbols_at(p, &at, 1, 0, &s));
	CHECK(s.symbol && !strcmp(s.symbol, "main"), "%s", s.symbol ? s.symbol : "-");
	OK(dtproc_proc_symbols_at(p, &libc, 1, 0, &s));
	CHECK(s.symbol && !strcmp(s.symbol, "malloc"), "%s", s.symbol ? s.symbol : "-");
	CHECK(!strcmp(s.object, "libc.so.6"), "%s", s.object);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	dtproc_close(dt);
}

/* Naming stops nobody; a stack needs a hold. */
static void read_only(void)
{
	struct dtproc_frame frame;
	struct dtproc_symbol s;
	struct dtproc_proc *p;
	dtproc_addr at;
	struct vic v;

	vic_start(&v, "hammer 1 0");
	vic_go(&v);
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_grab(dt, v.pid, DTPROC_GRAB_RDONLY, &p));
	OK(dtproc_proc_symbol(p, NULL, "malloc", &at, NULL));
	OK(dtproc_proc_symbols_at(p, &at, 1, 0, &s));
	CHECK(s.symbol && !strcmp(s.symbol, "malloc"), "%s", s.symbol ? s.symbol : "-");
	CHECK(proc_status(v.pid, "TracerPid") == 0, "it is traced");
	CHECK(dtproc_proc_stack(p, v.pid, &frame, 1) == DTPROC_ESTATE, "a stack");
	CHECK(dtproc_proc_threads(p, &v.pid, 0) == DTPROC_ESTATE, "threads");
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	dtproc_close(dt);
	vic_kill(&v);
}

/* One that runs has no stack to look at. */
static void running(void)
{
	struct dtproc_frame frame;
	struct dtproc_proc *p;
	struct vic v;

	vic_start(&v, "hammer 1 0");
	vic_go(&v);
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_grab(dt, v.pid, 0, &p));
	OK(dtproc_proc_continue(p));
	CHECK(dtproc_proc_stack(p, v.pid, &frame, 1) == DTPROC_ESTATE, "a stack");
	OK(dtproc_proc_stop(p));
	CHECK(dtproc_proc_stack(p, v.pid, &frame, 1) == 1, "no stack");
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	vic_check_free(&v, "in the end");
	vic_kill(&v);
	dtproc_close(dt);
}

static const struct t_case cases[] = {
	{"all_builds", all_builds, 60, 60},
	{"musl", musl, 30, 30},
	{"names_of_the_dead", names_of_the_dead, 30, 30},
	{"read_only", read_only, 30, 30},
	{"running", running, 30, 30},
};
T_MAIN(cases)
