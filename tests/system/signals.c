/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What others send and what the victim waits for: signals arrive unchanged and once
 * (D3), no system call returns early (D4), a stop stays a stop (G1, G2).
 */
#include "lib.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ONE "pid$target:a.out:victim_target:entry { @[tid] = count(); }"

/* Sends value n to thread i; waits when the queue is full. */
static void send_value(struct vic *v, int i, int n)
{
	siginfo_t info = {.si_signo = SIGRTMIN + i, .si_code = SI_QUEUE};

	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = n;
	CHECK(WITHIN(2000, !syscall(SYS_rt_tgsigqueueinfo, v->pid, v->page->tid[i],
				   SIGRTMIN + i, &info)),
		"send: %s", strerror(errno));
}

/* D3, D6: `threads` threads that hit at every call each get `n` values in order. */
static void values(int threads, int n)
{
	struct vic v;
	struct cmd c;
	char line[32];

	snprintf(line, sizeof line, "signals %d", threads);
	vic_start(&v, line);
	NEED(cmd_trace(&c, v.pid, ONE), "no trace");
	vic_go(&v);
	for (int i = 0; i < threads; i++)
		NEED(WITHIN(2000, v.page->tid[i]), "thread %d", i);
	for (int k = 1; k <= n; k++)
		for (int i = 0; i < threads; i++) {
			if (i == 0 && threads == 1)
				CHECK(WITHIN(2000,
					      !sigqueue(v.pid, SIGRTMIN,
						      (union sigval){.sival_int = k})),
					"sigqueue");
			else
				send_value(&v, i, k);
			if (k % 16 == 0)
				t_pause(300);
		}
	CHECK(WITHIN(20000, v.page->signals == (uint64_t)threads * (uint64_t)n),
		"%llu of %d signals arrived", (unsigned long long)v.page->signals,
		threads * n);
	CHECK(cmd_interrupt(&c) == 0, "%s", cmd_text(c.err));
	vic_check_free(&v, "after signals");
	vic_end(&v);
	cmd_forget(&c);
	check_no_keeper("after signals");
}

static void values_1(void)
{
	values(1, t_times(2000, 20000));
}

static void values_4(void)
{
	values(4, t_times(500, 5000));
}

/* Values keep coming while clients come and go. */
static void values_cycles(void)
{
	struct vic v;
	pid_t sender;

	vic_start(&v, "signals 2");
	vic_go(&v);
	NEED(WITHIN(2000, v.page->tid[1]), "threads");
	sender = fork();
	if (sender == 0) {
		v.page->sender = getpid();
		for (int k = 1; !v.page->poke; k++) {
			send_value(&v, 0, k);
			send_value(&v, 1, k);
			page_nap(200000);
		}
		_exit(t_failures() != 0);
	}
	for (int i = 0; i < t_times(8, 100); i++) {
		struct cmd c;

		CHECK(cmd_trace(&c, v.pid, ONE), "no trace");
		t_pause(30000);
		kill(c.pid, i % 2 ? SIGKILL : SIGINT);
		CHECK(cmd_wait(&c, 5000) != -1, "dtproc stays");
		CHECK(WITHIN(1000, proc_status(v.pid, "TracerPid") == 0), "traced still");
		cmd_forget(&c);
	}
	v.page->poke = 1;
	CHECK(wait_status(sender, 3000) == 0, "the sender complained");
	CHECK(v.page->signals > 20, "%llu signals", (unsigned long long)v.page->signals);
	vic_end(&v);
}

/* D4: waits of every kind, with clients that come, hit, stop, and go. */
static void waits(void)
{
	struct vic v;
	struct dtproc *dt;
	struct dtproc_proc *p;
	uint64_t before;

	vic_start(&v, "sleeps");
	vic_go(&v);
	page_nap(100000000);
	CHECK(!v.page->bad, "before: %s", v.page->text);
	before = v.page->calls;
	OK(dtproc_open(NULL, &dt));
	for (int i = 0; i < t_times(100, 2000) && !v.page->bad; i++) {
		OK(dtproc_proc_grab(dt, v.pid, 0, &p));
		t_pause(2000);
		OK(dtproc_proc_continue(p));
		t_pause(20000);
		if (i % 2) {
			OK(dtproc_proc_stop(p));
			OK(dtproc_proc_continue(p));
		}
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		t_pause(10000);
	}
	CHECK(v.page->calls > before + 50, "%llu waits only",
		(unsigned long long)(v.page->calls - before));
	vic_check_free(&v, "after the cycles");
	vic_end(&v);
	dtproc_close(dt);
}

/* D4 with probes: the command traces, is interrupted, is killed. */
static void waits_traced(void)
{
	struct vic v;

	vic_start(&v, "sleeps");
	vic_go(&v);
	for (int i = 0; i < t_times(6, 100) && !v.page->bad; i++) {
		struct cmd c;

		CHECK(cmd_trace(&c, v.pid, ONE), "no trace");
		t_pause(150000);
		kill(c.pid, i % 2 ? SIGKILL : SIGINT);
		CHECK(cmd_wait(&c, 5000) != -1, "dtproc stays");
		CHECK(WITHIN(1000, proc_status(v.pid, "TracerPid") == 0), "traced still");
		cmd_forget(&c);
	}
	vic_check_free(&v, "after tracing");
	vic_end(&v);
}

/* D4: a wait ends by a signal that has a handler, and by no other, held or not. */
static void handlers(void)
{
	struct vic v;
	struct dtproc *dt;
	struct dtproc_proc *p;

	vic_start(&v, "eintr");
	vic_go(&v);
	NEED(WITHIN(2000, v.page->poked), "it does not go");
	OK(dtproc_open(NULL, &dt));
	for (uint64_t i = 1; i <= (uint64_t)t_times(50, 1000) && !v.page->bad; i++) {
		NEED(WITHIN(2000, proc_state(v.pid) == 'S'), "it does not wait");
		OK(dtproc_proc_grab(dt, v.pid, 0, &p));
		kill(v.pid, i % 3 ? SIGURG : SIGUSR2); /* ignored */
		if (i % 2)
			kill(v.pid, SIGUSR1);
		OK(dtproc_proc_continue(p));
		kill(v.pid, SIGURG);
		t_pause(3000);
		if (i % 2 == 0)
			kill(v.pid, SIGUSR1);
		CHECK(WITHIN(2000, v.page->signals == i), "%llu handled, not %llu",
			(unsigned long long)v.page->signals, (unsigned long long)i);
		NEED(WITHIN(2000, v.page->calls == i), "%llu waits ended, not %llu",
			(unsigned long long)v.page->calls, (unsigned long long)i);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	}
	v.page->quit = 1;
	kill(v.pid, SIGUSR1);
	vic_wait(&v, 5000);
	dtproc_close(dt);
}

/* ---------------------------------------------------------------------- stops */

/* The victim's parent (we) sees its stop and its continuation as ever. */
static void expect_wait(pid_t pid, int signo)
{
	int status = 0;

	if (signo) {
		CHECK(WITHIN(1000, waitpid(pid, &status, WUNTRACED | WNOHANG) == pid) &&
				WIFSTOPPED(status) && WSTOPSIG(status) == signo,
			"no stop by %d: %#x", signo, status);
		return;
	}
	CHECK(WITHIN(1000, waitpid(pid, &status, WCONTINUED | WNOHANG) == pid) &&
			WIFCONTINUED(status),
		"not continued: %#x", status);
}

/* Does it stand still, once all of its threads do? */
static bool stands_still(const struct vic *v)
{
	uint64_t before;

	return WITHIN(1000, (before = vic_progress(v), page_nap(20000000),
				    vic_progress(v) == before));
}

/* G1, G2: SIGSTOP and SIGCONT as without us, while traced. */
static void stop_traced(void)
{
	static const int signals[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGSTOP};
	struct vic v;
	struct cmd c;
	uint64_t before;

	vic_start(&v, "hammer 3 0");
	vic_go(&v);
	NEED(cmd_trace(&c, v.pid, ONE), "no trace");
	for (int i = 0; i < t_times(8, 100); i++) {
		kill(v.pid, signals[i % 4]);
		expect_wait(v.pid, signals[i % 4]);
		CHECK(stands_still(&v), "it runs though stopped");
		before = vic_progress(&v);
		kill(v.pid, SIGCONT);
		expect_wait(v.pid, 0);
		CHECK(WITHIN(1000, vic_progress(&v) != before), "it does not run again");
	}
	CHECK(cmd_interrupt(&c) == 0, "%s", cmd_text(c.err));
	vic_check_free(&v, "after stops");
	vic_end(&v);
	cmd_forget(&c);
}

/* G1, A9: stopped when the client ends, in whatever way: stays stopped, text clean. */
static void stop_stays(int signo)
{
	struct vic v;
	struct cmd c;
	uint64_t before;

	vic_start(&v, "hammer 2 0");
	vic_go(&v);
	NEED(cmd_trace(&c, v.pid, ONE), "no trace");
	kill(v.pid, SIGSTOP);
	expect_wait(v.pid, SIGSTOP);
	page_nap(10000000);
	kill(c.pid, signo);
	CHECK(cmd_wait(&c, 5000) != -1, "dtproc stays");
	check_no_keeper("stopped victim");
	CHECK(WITHIN(1000, proc_threads_in(v.pid, "T") == 2),
		"%d threads stopped after signal %d", proc_threads_in(v.pid, "T"), signo);
	before = vic_progress(&v);
	page_nap(50000000);
	CHECK(vic_progress(&v) == before, "it runs after signal %d", signo);
	CHECK(proc_text_differs(v.pid) == 0, "text of the stopped victim");
	CHECK(proc_status(v.pid, "TracerPid") == 0, "traced still");
	kill(v.pid, SIGCONT);
	vic_check_free(&v, "continued");
	vic_end(&v);
	cmd_forget(&c);
}

static void stop_outlives(void)
{
	for (int i = 0; i < t_times(2, 40); i++) {
		stop_stays(SIGKILL);
		stop_stays(SIGINT);
		stop_stays(SIGTERM);
	}
}

/* A client with a created victim in the group of `leader`, which outlives it. */
static void create_in_group(void *leader)
{
	struct dtproc *dt;
	struct dtproc_proc *p;
	char line[600];

	setpgid(0, *(pid_t *)leader);
	snprintf(line, sizeof line, "%s 2 0", t_built("tests/victims/hammer"));
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_create_command(dt, line, &p));
	OK(dtproc_proc_continue(p));
	pause();
}

/*
 * G1, A10: SIGSTOP suspends kill on last close; a job-control stop does not.  The group
 * must not become orphaned by the client's death, or the kernel ends what is stopped.
 */
static void stop_created_by(int signo)
{
	struct vic v;
	pid_t leader = fork(), client;

	if (leader == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
	}
	setpgid(leader, leader);
	vic_page(&v);
	v.page->go = 1;
	setenv("VICTIM_PAGE", v.file, 1);
	client = client_fork(create_in_group, &leader);
	NEED(WITHIN(5000, vic_progress(&v) > 0), "it does not run");
	v.pid = v.page->pid;
	kill(v.pid, signo);
	CHECK(WITHIN(2000, proc_threads_in(v.pid, "tT") == 2), "not stopped");
	page_nap(20000000);
	kill(client, SIGKILL);
	wait_status(client, 1000);
	check_no_keeper("stopped created victim");
	if (signo != SIGSTOP) {
		CHECK(WITHIN(1000, !proc_alive(v.pid)), "signal %d saves it from its end",
			signo);
	} else {
		CHECK(WITHIN(500, proc_threads_in(v.pid, "T") == 2),
			"it is not left stopped");
		kill(v.pid, SIGCONT);
		vic_check_free(&v, "continued");
	}
	kill(v.pid, SIGKILL);
	kill(leader, SIGKILL);
	wait_status(leader, 1000);
	unlink(v.file);
}

static void stop_created(void)
{
	stop_created_by(SIGSTOP);
	stop_created_by(SIGTSTP);
}

/* Grabbing what somebody has stopped: it can be looked at, and stays stopped (G1). */
static void grab_stopped(void)
{
	struct vic v;
	struct dtproc *dt;
	struct dtproc_proc *p;
	struct dtproc_proc_status st;

	vic_start(&v, "hammer 2 0");
	vic_go(&v);
	kill(v.pid, SIGSTOP);
	expect_wait(v.pid, SIGSTOP);
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_grab(dt, v.pid, 0, &p));
	OK(dtproc_proc_continue(p));
	CHECK(WITHIN(1000, (dtproc_proc_status(p, &st), st.run == DTPROC_STOPPED)),
		"state %d", st.run);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	CHECK(WITHIN(500, proc_threads_in(v.pid, "T") == 2), "%d stopped",
		proc_threads_in(v.pid, "T"));
	OK(dtproc_proc_grab(dt, v.pid, 0, &p));
	OK(dtproc_proc_continue(p));
	kill(v.pid, SIGCONT);
	CHECK(WITHIN(1000, (dtproc_proc_status(p, &st), st.run == DTPROC_RUNNING)),
		"state %d after SIGCONT", st.run);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	vic_check_free(&v, "continued");
	vic_end(&v);
	dtproc_close(dt);
}

/* A9: released as stopped, it is found stopped; a created one too. */
static void leave_stopped(void)
{
	struct vic v;
	struct dtproc *dt;
	struct dtproc_proc *p;

	vic_start(&v, "hammer 2 0");
	vic_go(&v);
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_grab(dt, v.pid, 0, &p));
	OK(dtproc_proc_continue(p));
	dtproc_proc_release(p, DTPROC_RELEASE_STOPPED);
	expect_wait(v.pid, SIGSTOP);
	CHECK(WITHIN(1000, proc_threads_in(v.pid, "T") == 2), "not stopped");
	CHECK(proc_status(v.pid, "TracerPid") == 0, "traced");
	kill(v.pid, SIGCONT);
	vic_check_free(&v, "continued");
	vic_end(&v);
	dtproc_close(dt);
}

static const struct t_case cases[] = {
	{"values-1", values_1, 30, 200},
	{"values-4", values_4, 30, 200},
	{"values-cycles", values_cycles, 30, 120},
	{"waits", waits, 40, 400},
	{"waits-traced", waits_traced, 40, 200},
	{"handlers", handlers, 30, 120},
	{"stop-traced", stop_traced, 30, 60},
	{"stop-outlives", stop_outlives, 30, 200},
	{"stop-created", stop_created, 30, 0},
	{"grab-stopped", grab_stopped, 30, 0},
	{"leave-stopped", leave_stopped, 30, 0},
};

T_MAIN(cases)
