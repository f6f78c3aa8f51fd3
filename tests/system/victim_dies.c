/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The victim is killed at a random moment of grab, arm, continue, stop, release: each
 * call returns within a second, the end is told, and nothing is left (rules H6, C3, B5).
 */
#include "lib.h"

#include <malloc.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static struct {
	int notices;
	int code;
	enum dtproc_notice_kind kind;
	char text[128];
} told;

static void on_notice(const struct dtproc_notice *n, void *arg)
{
	(void)arg;
	told.notices++;
	told.kind = n->kind;
	told.code = n->code;
	snprintf(told.text, sizeof told.text, "%s", n->text);
}

static void on_hit(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	(void)p;
	(void)b;
	(void)tid;
	(void)arg;
}

static uint64_t slowest;
static const char *slowest_call;

/* A call with its time taken; its result is returned. */
#define TIMED(call)                                                                      \
	({                                                                               \
		uint64_t begin_ = page_clock(), took_;                                   \
		long timed_ = (long)(call);                                              \
		took_ = page_clock() - begin_;                                           \
		if (took_ > (uint64_t)500000000 * t_slack())                             \
			t_fail(__FILE__, __LINE__, #call, "took %llu ms",                \
				(unsigned long long)took_ / 1000000);                    \
		if (took_ > slowest) {                                                   \
			slowest = took_;                                                 \
			slowest_call = #call;                                            \
		}                                                                        \
		timed_;                                                                  \
	})

/* Kills `pid` from outside after `us`. */
static pid_t killer(pid_t pid, unsigned us)
{
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		page_nap((long)us * 1000);
		kill(pid, SIGKILL);
		_exit(0);
	}
	return child;
}

static bool end_code(long code)
{
	return code == DTPROC_EKILLED || code == DTPROC_ENOPROC ||
	       code == DTPROC_EZOMBIE || code == DTPROC_EEXITED ||
	       code == DTPROC_ESTATE || code == DTPROC_ERANGE || code == DTPROC_EIMAGE;
}

static void operations(struct dtproc_proc *p)
{
	struct dtproc_bkpt *b[4] = {NULL};
	dtproc_addr at;
	long code = 0;
	char bytes[64];

	code = TIMED(dtproc_proc_symbol(p, "a.out", "victim_target", &at, NULL));
	for (int i = 0; i < 4 && code >= 0; i++)
		code = TIMED(dtproc_bkpt_add(p, at, on_hit, NULL, &b[i]));
	if (code >= 0)
		code = TIMED(dtproc_proc_continue(p));
	for (int i = 0; i < 10 && code >= 0; i++) {
		t_pause(3000);
		code = TIMED(dtproc_proc_read(p, at, bytes, sizeof bytes));
		if (code >= 0)
			code = TIMED(dtproc_proc_stop(p));
		if (code >= 0 && b[i % 4]) {
			code = TIMED(dtproc_bkpt_remove(p, b[i % 4]));
			b[i % 4] = NULL;
		}
		if (code >= 0)
			code = TIMED(dtproc_proc_continue(p));
	}
	CHECK(code >= 0 || end_code(code) || code == DTPROC_ENOSYM, "%ld: %s", code,
		dtproc_error_text());
}

/* Somebody has killed the victim: a notice comes within a second and says so. */
static void expect_notice(struct dtproc *dt, struct dtproc_proc *p, pid_t pid)
{
	uint64_t end = page_clock() + (uint64_t)1000000000 * t_slack();
	char want[64];

	while (!told.notices && page_clock() < end)
		CHECK(dtproc_sleep(dt, 100) >= 0, "%s", dtproc_error_text());
	snprintf(want, sizeof want, "pid %d terminated by SIGKILL", pid);
	CHECK(told.notices == 1 && told.kind == DTPROC_NOTICE_KILLED &&
			told.code == SIGKILL && !strcmp(told.text, want),
		"%d notices, kind %d, code %d, \"%s\"", told.notices, told.kind,
		told.code, told.text);
	OK(TIMED(dtproc_proc_wait(p, 1000 * (int)t_slack())));
}

/* H6: one grab of a victim that is killed within `us`. */
static void one_grab(struct dtproc *dt, unsigned us)
{
	struct vic v;
	struct dtproc_proc *p;
	pid_t other;
	long code;

	vic_start(&v, "hammer 3 0");
	vic_go(&v);
	memset(&told, 0, sizeof told);
	other = killer(v.pid, us);
	code = TIMED(dtproc_proc_grab(dt, v.pid, 0, &p));
	CHECK(code >= 0 || end_code(code), "grab: %ld: %s", code, dtproc_error_text());
	if (code >= 0) {
		operations(p);
		wait_status(other, 2000);
		other = 0;
		if (us % 2)
			expect_notice(dt, p, v.pid);
		TIMED((dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT), 0));
	}
	if (other)
		wait_status(other, 2000);
	CHECK(WITHIN(1000, !proc_alive(v.pid)), "SIGKILL does not kill it");
	vic_kill(&v);
}

struct counts {
	int fds, threads, children, keepers;
	size_t heap;
};

static struct counts count_all(void)
{
	struct counts c = {proc_fds(), (int)proc_status(getpid(), "Threads"),
		proc_children(), proc_keepers(), mallinfo2().uordblks};

	return c;
}

static void compare(const struct counts *before)
{
	struct counts now;

	CHECK(WITHIN(1500, proc_keepers() == before->keepers), "keepers are left");
	/* A thread that was joined, a child that was reaped, is in /proc for a moment. */
	WITHIN(1000, (now = count_all(), now.threads == before->threads &&
						 now.children == before->children));
	CHECK(now.fds <= before->fds, "%d descriptors, %d before", now.fds, before->fds);
	CHECK(now.threads == before->threads, "%d threads, %d before", now.threads,
		before->threads);
	CHECK(now.children == before->children, "%d children, %d before", now.children,
		before->children);
	CHECK(now.heap < before->heap + 64 * 1024, "%zu bytes of heap, %zu before",
		now.heap, before->heap);
}

static void grabs(void)
{
	struct dtproc *dt;
	struct counts before;
	int n = t_times(60, 500);

	OK(dtproc_open(NULL, &dt));
	dtproc_on_notice(dt, on_notice, NULL);
	for (int i = 0; i < 4; i++)
		one_grab(dt, 3000);
	before = count_all();
	for (int i = 0; i < n && t_failures() < 5; i++)
		one_grab(dt, i % 4 ? t_random(25000) : t_random(3000));
	compare(&before);
	dtproc_close(dt);
	t_note("%d grabs, slowest call %.1f ms: %s", n, (double)slowest / 1e6,
		slowest_call);
}

/* H6 for a victim that we create: it idles, runs, or is being started. */
static void one_create(struct dtproc *dt, unsigned us)
{
	static char path[512];
	char *argv[] = {path, "2", "0", NULL};
	struct dtproc_proc *p;
	pid_t other;

	snprintf(path, sizeof path, "%s", t_built("tests/victims/hammer"));
	unsetenv("VICTIM_PAGE");
	memset(&told, 0, sizeof told);
	OK(TIMED(dtproc_proc_create(dt, path, argv, NULL, &p)));
	other = killer(dtproc_proc_pid(p), us);
	operations(p);
	wait_status(other, 2000);
	expect_notice(dt, p, dtproc_proc_pid(p));
	TIMED((dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT), 0));
}

static void creates(void)
{
	struct dtproc *dt;
	struct counts before;

	OK(dtproc_open(NULL, &dt));
	dtproc_on_notice(dt, on_notice, NULL);
	for (int i = 0; i < 3; i++)
		one_create(dt, 2000);
	before = count_all();
	for (int i = 0; i < t_times(20, 200) && t_failures() < 5; i++)
		one_create(dt, t_random(20000));
	compare(&before);
	dtproc_close(dt);
}

/* Nobody dies: 100 grabs and releases leave nothing either (C3, B6). */
static void cycles(void)
{
	struct dtproc *dt;
	struct counts before = {0};
	struct vic v;

	vic_start(&v, "hammer 3 0");
	vic_go(&v);
	OK(dtproc_open(NULL, &dt));
	for (int i = 0; i < t_times(60, 1000) + 4 && !t_failures(); i++) {
		struct dtproc_proc *p;

		if (i == 4)
			before = count_all();
		OK(TIMED(dtproc_proc_grab(dt, v.pid, 0, &p)));
		if (i % 4)
			operations(p);
		TIMED((dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT), 0));
	}
	vic_check_free(&v, "after all");
	compare(&before);
	dtproc_close(dt);
	vic_end(&v);
}

/* The command: a victim killed under it ends it, with a message. */
static void one_command(unsigned us)
{
	struct vic v;
	struct cmd c;
	char want[64], number[16];
	const char *argv[] = {"-p", number, "-n",
		"pid$target:a.out:victim_target:entry { @ = count(); }", NULL};

	vic_start(&v, "hammer 4 0");
	vic_go(&v);
	snprintf(number, sizeof number, "%d", v.pid);
	cmd_start(&c, argv);
	NEED(WITHIN(5000, proc_status(v.pid, "TracerPid") > 0), "said: %s",
		cmd_text(c.err));
	page_nap((long)us * 1000);
	kill(v.pid, SIGKILL);
	CHECK(cmd_wait(&c, 2500) != -1, "dtproc stays");
	snprintf(want, sizeof want, "pid %d terminated by SIGKILL", v.pid);
	CHECK(strstr(cmd_text(c.err), want) || us < 20000, "said: %s", cmd_text(c.err));
	cmd_forget(&c);
	vic_kill(&v);
	check_no_keeper("victim killed");
}

static void command(void)
{
	for (int i = 0; i < t_times(6, 100) && !t_failures(); i++)
		one_command(i % 2 ? 20000 + t_random(50000) : t_random(20000));
}

static const struct t_case cases[] = {
	{"grabs", grabs, 90, 400},
	{"creates", creates, 60, 300},
	{"cycles", cycles, 60, 600},
	{"command", command, 30, 300},
};

T_MAIN(cases)
