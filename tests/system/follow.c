/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Following children (rule F3): every process of a family is counted exactly, however it
 * was made; whatever ends in the midst of it, the family computes on.
 */
#include "lib.h"

#include <string.h>
#include <sys/resource.h>

#define COUNT "pid$target:a.out:victim_target:entry { @calls[probefunc] = count(); }"
#define NUMBERS "pid$target:a.out:victim_target:entry { @pids[pid] = count(); }"

static long long counted(struct cmd *c)
{
	return text_count(cmd_text(c->out), "victim_target");
}

/* Starts dtproc -x follow on a victim, as cmd_trace() does. */
static bool follow(struct cmd *c, pid_t pid, const char *clause)
{
	static char number[16];
	const char *argv[] = {"-q", "-x", "follow", "-p", number, "-n",
		"BEGIN { printf(\"armed\\n\"); }", "-n", clause, NULL};

	snprintf(number, sizeof number, "%d", pid);
	cmd_start(c, argv);
	return cmd_wait_text(c, "armed", 20000);
}

static void whole(const char *line)
{
	struct vic v;
	struct cmd c;

	vic_start(&v, line);
	NEED(follow(&c, v.pid, COUNT), "no trace: %s", cmd_text(c.err));
	vic_go(&v);
	CHECK(WITHIN(60000, !proc_alive(v.pid)), "%s does not end", line);
	CHECK(cmd_wait(&c, 15000) == 0, "%s: %s", line, cmd_text(c.err));
	CHECK(counted(&c) == (long long)v.page->calls && !v.page->bad,
		"%s: counted %lld of %llu: %s %s", line, counted(&c),
		(unsigned long long)v.page->calls, v.page->text, cmd_text(c.err));
	vic_wait(&v, 5000);
	cmd_forget(&c);
	check_no_keeper(line);
}

static void by_kind(const char *kind, int soak)
{
	char line[64];

	snprintf(line, sizeof line, "family tree 2 3 50 %s", kind);
	whole(line);
	snprintf(line, sizeof line, "family tree 1 %d 10 %s", t_times(12, 32), kind);
	for (int i = 0; i < t_times(1, soak); i++)
		whole(line);
}

static void by_fork(void)
{
	by_kind("fork", 20);
}

static void by_exec(void)
{
	by_kind("exec", 20);
}

static void by_spawn(void)
{
	by_kind("spawn", 20);
}

static void by_vfork(void)
{
	by_kind("vfork", 20);
}

static void by_threads(void)
{
	by_kind("thread", 20);
}

/* daemon()'s double fork: tracing goes on until the last has ended. */
static void by_daemon(void)
{
	whole("family daemon 25");
}

/* Each process is counted under its own PID: all but the root's are new. */
static void numbers(void)
{
	struct vic v;
	struct cmd c;
	char number[16];
	int lines = 0;

	vic_start(&v, "family tree 1 6 7 fork");
	NEED(follow(&c, v.pid, NUMBERS), "no trace: %s", cmd_text(c.err));
	vic_go(&v);
	CHECK(cmd_wait(&c, 60000) == 0, "%s", cmd_text(c.err));
	snprintf(number, sizeof number, "%d", v.pid);
	CHECK(text_count(cmd_text(c.out), number) == 7, "%s", cmd_text(c.out));
	for (const char *at = cmd_text(c.out); (at = strstr(at, " 7\n")); at++)
		lines++;
	CHECK(lines == 7, "%d processes: %s", lines, cmd_text(c.out));
	vic_wait(&v, 5000);
	cmd_forget(&c);
}

/* -------------------------------------------------------------- somebody ends early */

/* The client comes, goes, and is killed while children come and go. */
static void client_ends(void)
{
	struct vic v;

	vic_start(&v, "family storm");
	vic_go(&v);
	for (int i = 0; i < t_times(8, 200) && !v.page->bad && !t_failures(); i++) {
		struct cmd c;

		CHECK(follow(&c, v.pid, COUNT), "no trace: %s", cmd_text(c.err));
		t_pause(150000);
		kill(c.pid, i % 2 ? SIGKILL : SIGINT);
		CHECK(cmd_wait(&c, 10000) != -1, "dtproc stays");
		check_no_keeper("while it forks");
		uint64_t then = v.page->rounds;
		CHECK(WITHIN(5000, v.page->rounds > then + 2), "it hangs");
		vic_check_free(&v, "while it forks");
		cmd_forget(&c);
	}
	vic_end(&v);
	check_no_keeper("while it forks");
}

/* A keeper that is killed: all whom it had are repaired, and go on. */
static void keeper_ends(void)
{
	struct vic v;

	vic_start(&v, "family storm");
	vic_go(&v);
	for (int i = 0; i < t_times(5, 100) && !v.page->bad && !t_failures(); i++) {
		struct cmd c;
		long keeper;

		CHECK(follow(&c, v.pid, COUNT), "no trace: %s", cmd_text(c.err));
		t_pause(100000);
		keeper = proc_status(v.pid, "TracerPid");
		if (keeper > 0)
			kill((pid_t)keeper, SIGKILL);
		uint64_t then = v.page->rounds;
		CHECK(WITHIN(5000, v.page->rounds > then + 2), "it hangs");
		kill(c.pid, SIGINT);
		CHECK(cmd_wait(&c, 10000) != -1, "dtproc stays");
		vic_check_free(&v, "its keeper was killed");
		cmd_forget(&c);
	}
	vic_end(&v);
	check_no_keeper("its keeper was killed");
}

/* A command of -c ends with its client; what it has left behind goes on, clean. */
static void created(void)
{
	for (int i = 0; i < t_times(3, 60); i++) {
		struct vic v;
		struct cmd c;
		char line[600];
		const char *argv[] = {
			"-q", "-x", "follow", "-c", line, "-n", COUNT, NULL};

		vic_page(&v);
		setenv("VICTIM_PAGE", v.file, 1);
		snprintf(line, sizeof line, "%s daemon 5",
			t_built("tests/victims/family"));
		cmd_start(&c, argv);
		v.page->go = 1;
		NEED(WITHIN(10000, v.page->helper && v.page->calls >= 5), "no daemon: %s",
			cmd_text(c.err));
		t_pause(50000);
		kill(c.pid, i % 2 ? SIGKILL : SIGINT);
		CHECK(cmd_wait(&c, 10000) != -1, "dtproc stays");
		CHECK(WITHIN(10000, v.page->rounds == 1), "the daemon did not go on");
		CHECK(v.page->calls == 100 && !v.page->bad, "%llu calls: %s",
			(unsigned long long)v.page->calls, v.page->text);
		check_no_keeper("a daemon is left");
		unsetenv("VICTIM_PAGE");
		cmd_forget(&c);
	}
}

/* ------------------------------------------------------------------- a slow client */

/* E5: a client that is stopped delays a birth by its deadline, and is told. */
static void late(void)
{
	struct vic v;
	struct cmd c;

	vic_start(&v, "family storm");
	NEED(follow(&c, v.pid, COUNT), "no trace: %s", cmd_text(c.err));
	kill(c.pid, SIGSTOP);
	NEED(WITHIN(2000, proc_state(c.pid) == 'T'), "dtproc is not stopped");
	vic_go(&v);
	CHECK(WITHIN(10000, v.page->rounds >= 5), "round %llu after 10 s",
		(unsigned long long)v.page->rounds);
	kill(c.pid, SIGCONT);
	CHECK(WITHIN(5000, strstr(cmd_text(c.err), "no reaction to its birth")),
		"it is not told: %s", cmd_text(c.err));
	v.page->quit = 1;
	CHECK(WITHIN(10000, !proc_alive(v.pid)), "it does not end");
	CHECK(cmd_wait(&c, 15000) == 0, "%s", cmd_text(c.err));
	CHECK(!v.page->bad, "%s", v.page->text);
	vic_wait(&v, 5000);
	cmd_forget(&c);
	check_no_keeper("after a late reaction");
}

/* Without descriptors for more children the others run free, and that is told. */
static void descriptors(void)
{
	struct rlimit old, few;
	struct vic v;
	struct cmd c;
	bool traced;

	vic_start(&v, "family tree 1 30 20 fork");
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = few.rlim_max = 60;
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){60, old.rlim_max});
	traced = follow(&c, v.pid, COUNT);
	setrlimit(RLIMIT_NOFILE, &old);
	NEED(traced, "no trace: %s", cmd_text(c.err));
	vic_go(&v);
	CHECK(WITHIN(60000, !proc_alive(v.pid)), "it does not end");
	CHECK(cmd_wait(&c, 15000) == 0, "%s", cmd_text(c.err));
	CHECK(!v.page->bad && v.page->calls == 31 * 20, "%s", v.page->text);
	CHECK(counted(&c) <= 31 * 20 && counted(&c) >= 40, "counted %lld", counted(&c));
	CHECK(counted(&c) == 31 * 20 || strstr(cmd_text(c.err), "is not followed"),
		"counted %lld and not told: %s", counted(&c), cmd_text(c.err));
	vic_wait(&v, 5000);
	cmd_forget(&c);
	check_no_keeper("without descriptors");
}

static const struct t_case cases[] = {
	{"fork", by_fork, 60, 300},
	{"exec", by_exec, 60, 300},
	{"spawn", by_spawn, 60, 300},
	{"vfork", by_vfork, 60, 300},
	{"threads", by_threads, 60, 300},
	{"daemon", by_daemon, 0, 0},
	{"numbers", numbers, 0, 0},
	{"client-ends", client_ends, 60, 300},
	{"keeper-ends", keeper_ends, 60, 300},
	{"created", created, 60, 300},
	{"late", late, 60, 60},
	{"descriptors", descriptors, 60, 60},
};

T_MAIN(cases)
