/* SPDX-License-Identifier: BSD-2-Clause */
/* No hit is lost and none is counted twice, with any number of threads (rule D2). */
#include "lib.h"

#include <string.h>

#define CLAUSE "pid$target:a.out:victim_target:entry { @calls[probefunc] = count(); }"

static void expect(struct cmd *c, long long calls)
{
	const char *text = cmd_text(c->out);
	long long n = text_count(text, "victim_target");

	CHECK(n == calls, "counted %lld, not %lld; output: %s; errors: %.2000s", n, calls,
		n < 0 ? text : "", cmd_text(c->err));
}

/* D2, B7: threads that were there before the grab. */
static void grabbed(int threads, int calls)
{
	struct vic v;
	struct cmd c;
	char line[64];
	uint64_t begin;

	snprintf(line, sizeof line, "hammer %d %d", threads, calls);
	vic_start(&v, line);
	if (cmd_trace(&c, v.pid, CLAUSE)) {
		begin = page_clock();
		vic_go(&v);
		vic_wait(&v, 300000);
		CHECK(cmd_wait(&c, 5000) == 0, "dtproc: %s", cmd_text(c.err));
		expect(&c, (long long)threads * calls);
		t_note("%d x %d: %.1f us a hit", threads, calls,
			(double)(page_clock() - begin) / 1e3 / threads / calls);
	} else {
		CHECK(!"armed", "-p");
		vic_kill(&v);
	}
	cmd_forget(&c);
	check_no_keeper("after -p");
}

/* C1, D2, B7: threads that come later, of a victim that dtproc starts. */
static void created(int threads, int calls)
{
	struct vic v;
	struct cmd c;
	char line[600];
	const char *argv[] = {"-q", "-c", line, "-n", CLAUSE, NULL};

	vic_page(&v);
	v.page->go = 1;
	setenv("VICTIM_PAGE", v.file, 1);
	snprintf(line, sizeof line, "%s %d %d", t_built("tests/victims/hammer"), threads,
		calls);
	cmd_start(&c, argv);
	CHECK(cmd_wait(&c, 300000) == 0, "dtproc: %s", cmd_text(c.err));
	CHECK(v.page->calls == (uint64_t)threads * (uint64_t)calls && !v.page->bad,
		"the victim made %llu calls, %llu wrong",
		(unsigned long long)v.page->calls, (unsigned long long)v.page->bad);
	expect(&c, (long long)threads * calls);
	cmd_forget(&c);
	unlink(v.file);
	check_no_keeper("after -c");
}

static void grabbed_8(void)
{
	for (int i = 0; i < 3; i++)
		grabbed(8, t_times(10000, 100000));
}

static void created_8(void)
{
	for (int i = 0; i < 3; i++)
		created(8, t_times(10000, 100000));
}

static void grabbed_full(void)
{
	grabbed(8, 100000);
}

static void created_1(void)
{
	created(1, t_times(5000, 100000));
}

/* Several clauses on one site: armed once, each counts; a predicate counts its share. */
static void clauses(void)
{
	struct vic v;
	struct cmd c;

	vic_start(&v, "hammer 4 3000");
	NEED(cmd_trace(&c, v.pid,
		     "pid$target:a.out:victim_target:entry { @[\"one\"] = count(); }"
		     "pid$target::victim_target:entry { @[\"two\"] = count(); }"
		     "pid$target:a.out:victim_target:entry /arg1 == 2/ "
		     "{ @[\"arg\"] = count(); @s[\"sum\"] = sum(arg0); }"),
		"-p");
	vic_go(&v);
	vic_wait(&v, 60000);
	CHECK(cmd_wait(&c, 5000) == 0, "%s", cmd_text(c.err));
	CHECK(text_count(cmd_text(c.out), "one") == 12000, "%s", cmd_text(c.out));
	CHECK(text_count(cmd_text(c.out), "two") == 12000, "%s", cmd_text(c.out));
	CHECK(text_count(cmd_text(c.out), "arg") == 3000, "%s", cmd_text(c.out));
	CHECK(text_count(cmd_text(c.out), "sum") == 2999 * 1500, "%s", cmd_text(c.out));
	cmd_forget(&c);
}

static uint64_t called;

static void on_event(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	struct vic *v = arg;

	(void)b;
	if (!dtproc_proc_pid(p) || proc_status(tid, "Tgid") != v->pid)
		t_fail(__FILE__, __LINE__, "tid", "called for thread %d", tid);
	if (called++ % 100 == 0)
		CHECK(proc_threads_in(v->pid, "tZ") == proc_status(v->pid, "Threads"),
			"%d of %ld threads are stopped", proc_threads_in(v->pid, "tZ"),
			proc_status(v->pid, "Threads"));
}

/* D1, D2: two users at one address; all stopped in the callback; hits are exact. */
static void events(void)
{
	struct dtproc *dt;
	struct dtproc_proc *p;
	struct dtproc_bkpt *one, *two;
	struct vic v;
	dtproc_addr at;

	vic_start(&v, "hammer 4 500");
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_grab(dt, v.pid, 0, &p));
	OK(dtproc_proc_symbol(p, "a.out", "victim_target", &at, NULL));
	OK(dtproc_bkpt_add(p, at, on_event, &v, &one));
	OK(dtproc_bkpt_add(p, at, on_event, &v, &two));
	CHECK(proc_text_differs(v.pid) == 0, "C5: the text of an idle victim");
	OK(dtproc_proc_continue(p));
	vic_go(&v);
	/* Until the handle has seen the end: the victim is ours to reap. */
	OK(dtproc_proc_wait(p, 100000));
	CHECK(dtproc_bkpt_hits(one) == 2000, "%llu",
		(unsigned long long)dtproc_bkpt_hits(one));
	CHECK(dtproc_bkpt_hits(two) == 2000, "%llu",
		(unsigned long long)dtproc_bkpt_hits(two));
	CHECK(called == 4000, "called %llu times", (unsigned long long)called);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	vic_wait(&v, 5000);
	dtproc_close(dt);
	check_no_keeper("after close");
}

static void count_call(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	(void)p;
	(void)b;
	(void)tid;
	__atomic_add_fetch((uint64_t *)arg, 1, __ATOMIC_SEQ_CST);
}

/* D1: one on memory that is not mapped yet is kept, and tried again at continue. */
static void unmapped(void)
{
	struct dtproc *dt;
	struct dtproc_proc *p;
	struct dtproc_bkpt *b;
	struct vic v;

	called = 0;
	vic_start(&v, "changes late-map");
	vic_go(&v);
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_grab(dt, v.pid, 0, &p));
	OK(dtproc_bkpt_add(p, LATE_MAP, count_call, &called, &b));
	OK(dtproc_proc_continue(p));
	v.page->poke = 1;
	CHECK(WITHIN(2000, v.page->poked == 1), "it maps nothing: %s", v.page->text);
	OK(dtproc_proc_stop(p));
	OK(dtproc_proc_continue(p));
	v.page->poke = 2;
	CHECK(WITHIN(2000, v.page->poked == 2), "it runs nothing");
	uint64_t calls = __atomic_load_n(&called, __ATOMIC_SEQ_CST);
	CHECK(dtproc_bkpt_hits(b) == 10 && calls == 10, "%llu hits, %llu calls",
		(unsigned long long)dtproc_bkpt_hits(b), (unsigned long long)calls);
	OK(dtproc_bkpt_remove(p, b));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	vic_end(&v);
	dtproc_close(dt);
}

/* B7: a thread that waits for its vfork child does not hinder; nor does the child. */
static void vforked(void)
{
	struct vic v;
	struct cmd c;

	vic_start(&v, "changes vforked");
	vic_go(&v);
	NEED(WITHIN(2000, v.page->calls > 10), "it does not call");
	for (int i = 0; i < 3; i++) {
		NEED(cmd_trace(&c, v.pid, CLAUSE), "no trace");
		uint64_t before = v.page->calls;
		CHECK(WITHIN(2000, v.page->calls > before + 50), "it hangs");
		CHECK(cmd_interrupt(&c) == 0, "%s", cmd_text(c.err));
		CHECK(text_count(cmd_text(c.out), "victim_target") > 10, "%s",
			cmd_text(c.out));
		vic_check_free(&v, "waits for vfork");
		cmd_forget(&c);
	}
	vic_end(&v);
}

static const struct t_case cases[] = {
	{"grabbed-8", grabbed_8, 60, 600},
	{"created-8", created_8, 60, 600},
	{"created-1", created_1, 30, 60},
	{"grabbed-full", grabbed_full, 120, 300},
	{"clauses", clauses, 30, 0},
	{"events", events, 30, 0},
	{"unmapped", unmapped, 0, 0},
	{"vforked", vforked, 0, 0},
};

T_MAIN(cases)
