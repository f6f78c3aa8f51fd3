/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Children of a held process run free and unharmed and are not counted, however they
 * were made; the parent's count is exact (rule F2).  Set-id programs keep what they may
 * do (rule F4: tests/system/setid.py).
 */
#include "lib.h"

#define ONE "pid$target:a.out:victim_target:entry { @calls[probefunc] = count(); }"

static void storm(const char *line)
{
	struct vic v;
	struct cmd c;
	long long n;

	vic_start(&v, line);
	NEED(cmd_trace(&c, v.pid, ONE), "no trace");
	vic_go(&v);
	CHECK(WITHIN(40000, !proc_alive(v.pid)), "it does not end: %llu children",
		(unsigned long long)v.page->children);
	CHECK(cmd_wait(&c, 5000) == 0, "%s", cmd_text(c.err));
	n = text_count(cmd_text(c.out), "victim_target");
	CHECK(n == (long long)v.page->calls,
		"%s: counted %lld, parent made %llu (children %llu)", line, n,
		(unsigned long long)v.page->calls,
		(unsigned long long)v.page->child_calls);
	CHECK(v.page->children > 0, "no children");
	vic_wait(&v, 5000);
	cmd_forget(&c);
	check_no_keeper(line);
}

static void by_kind(const char *kind)
{
	char line[64];

	snprintf(line, sizeof line, "forks 4 %d %s", t_times(25, 500), kind);
	storm(line);
}

static void by_fork(void)
{
	by_kind("fork");
}

static void by_vfork(void)
{
	by_kind("vfork");
}

static void by_vfork_exec(void)
{
	by_kind("vfork-exec");
}

static void by_spawn(void)
{
	by_kind("spawn");
}

static void by_clone(void)
{
	by_kind("clone");
}

static void by_all(void)
{
	char line[64];

	snprintf(line, sizeof line, "forks 4 %d", t_times(50, 1000));
	storm(line);
}

/* Clients come, go and are killed while children are made: nobody is harmed. */
static void client_ends(void)
{
	struct vic v;

	vic_start(&v, "forks 4 100000");
	vic_go(&v);
	for (int i = 0; i < t_times(10, 200) && !v.page->bad && !t_failures(); i++) {
		struct cmd c;
		char number[16];
		const char *argv[] = {"-q", "-p", number, "-n", ONE, NULL};

		snprintf(number, sizeof number, "%d", v.pid);
		cmd_start(&c, argv);
		t_pause(150000);
		kill(c.pid, i % 2 ? SIGKILL : SIGINT);
		CHECK(cmd_wait(&c, 5000) != -1, "dtproc stays");
		vic_check_free(&v, "while it forks");
		cmd_forget(&c);
	}
	vic_end(&v);
	check_no_keeper("while it forks");
}

/* F2: a child that shares the memory was there before the grab. */
static void shared_before(void)
{
	struct vic v;

	vic_start(&v, "forks shared");
	vic_go(&v);
	for (int i = 0; i < t_times(4, 60); i++) {
		struct cmd c;
		uint64_t before, children;

		before = v.page->calls;
		CHECK(cmd_trace(&c, v.pid, ONE), "no trace");
		children = v.page->child_calls;
		CHECK(WITHIN(3000, v.page->child_calls > children + 50),
			"the child is stuck");
		kill(c.pid, i % 2 ? SIGKILL : SIGINT);
		CHECK(cmd_wait(&c, 5000) != -1, "dtproc stays");
		if (i % 2 == 0)
			CHECK(text_count(cmd_text(c.out), "victim_target") <=
					(long long)(v.page->calls - before),
				"the child was counted");
		vic_check_free(&v, "shares memory");
		CHECK(proc_alive(v.page->helper) &&
				proc_status(v.page->helper, "TracerPid") == 0,
			"the child");
		cmd_forget(&c);
	}
	vic_end(&v);
}

static const struct t_case cases[] = {
	{"fork", by_fork, 60, 300},
	{"vfork", by_vfork, 60, 300},
	{"vfork-exec", by_vfork_exec, 60, 300},
	{"spawn", by_spawn, 60, 300},
	{"clone", by_clone, 60, 300},
	{"all", by_all, 60, 300},
	{"client-ends", client_ends, 60, 300},
	{"shared-before", shared_before, 30, 200},
};

T_MAIN(cases)
