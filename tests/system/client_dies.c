/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client ends at a random moment, in every way there is: what it grabbed goes on
 * as if it had never been held, what it created dies (rules H5, A10).
 */
#include "lib.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#define CLAUSE                                                                           \
	"pid$target:a.out:victim_target:entry { @[tid] = count(); }"                     \
	"pid$target:libc:*:entry { @other = count(); }"
#define ONE "pid$target:a.out:victim_target:entry { @[tid] = count(); }"

/* One client grabs, arms, traces, and is ended `us` microseconds after its start. */
static void end_once(struct vic *v, const char *clause, int signo, unsigned us)
{
	char number[16], when[64];
	const char *argv[] = {"-q", "-p", number, "-n", clause, NULL};
	struct cmd c;

	snprintf(number, sizeof number, "%d", v->pid);
	cmd_start(&c, argv);
	page_nap((long)us * 1000);
	kill(c.pid, signo);
	snprintf(when, sizeof when, "signal %d after %u us", signo, us);
	CHECK(cmd_wait(&c, 5000) != -1, "%s: dtproc does not end", when);
	vic_check_free(v, when);
	check_no_keeper(when);
	cmd_forget(&c);
}

static void end_often(const char *victim, const char *clause, int signo, int times)
{
	struct vic v;

	vic_start(&v, victim);
	vic_go(&v);
	for (int i = 0; i < times && t_failures() < 5; i++)
		end_once(&v, clause, signo, 1000 + t_random(i % 3 ? 40000 : 200000));
	vic_end(&v);
}

static void kill_1(void)
{
	end_often("hammer 1 0", ONE, SIGKILL, t_times(30, 200));
}

static void kill_4(void)
{
	end_often("hammer 4 0", ONE, SIGKILL, t_times(30, 200));
}

static void kill_4_many(void)
{
	end_often("hammer 4 0", CLAUSE, SIGKILL, t_times(5, 100));
}

static void kill_idle(void)
{
	end_often("hammer idle 3", ONE, SIGKILL, t_times(10, 200));
}

static void term(void)
{
	static const int signals[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGSEGV};

	for (int i = 0; i < 5; i++) {
		end_often("hammer 4 0", ONE, signals[i], t_times(3, 40));
		end_often("hammer idle 2", ONE, signals[i], t_times(1, 10));
	}
}

/* The client's whole process group at once, as Ctrl-C does. */
static void group(void)
{
	struct vic v;

	vic_start(&v, "hammer 2 0");
	vic_go(&v);
	for (int i = 0; i < t_times(3, 50); i++) {
		struct cmd c;

		NEED(cmd_trace(&c, v.pid, ONE), "no trace");
		kill(-c.pid, i % 2 ? SIGINT : SIGKILL);
		CHECK(cmd_wait(&c, 5000) != -1, "dtproc does not end");
		vic_check_free(&v, "after the group's end");
		check_no_keeper("after the group's end");
		cmd_forget(&c);
	}
	vic_end(&v);
}

/* A session with a terminal of its own, which is closed. */
static pid_t on_terminal(const char *number, int *master)
{
	pid_t pid;

	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	NEED(*master >= 0 && !grantpt(*master) && !unlockpt(*master), "%s",
		strerror(errno));
	pid = fork();
	if (pid == 0) {
		int tty;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setsid();
		tty = open(ptsname(*master), O_RDWR);
		ioctl(tty, TIOCSCTTY, 0);
		dup2(tty, 0);
		dup2(tty, 1);
		dup2(tty, 2);
		execl(t_dtproc(), "dtproc", "-p", number, "-n", ONE, NULL);
		_exit(127);
	}
	return pid;
}

static void terminal(void)
{
	struct vic v;
	char number[16];

	vic_start(&v, "hammer 4 0");
	vic_go(&v);
	snprintf(number, sizeof number, "%d", v.pid);
	for (int i = 0; i < t_times(5, 50) && !t_failures(); i++) {
		int master;
		pid_t pid = on_terminal(number, &master);

		page_nap(2000000);
		t_pause(60000);
		close(master);
		CHECK(wait_status(pid, 5000) != -1, "dtproc outlives its terminal");
		if (t_failures())
			kill(pid, SIGKILL);
		vic_check_free(&v, "terminal closed");
		check_no_keeper("terminal closed");
	}
	vic_end(&v);
}

/* A10: a created victim is dead within a second; also while it idles or is stopped. */
static void created(void)
{
	for (int i = 0; i < t_times(12, 200) && t_failures() < 5; i++) {
		struct vic v;
		struct cmd c;
		char line[600];
		const char *argv[] = {"-q", "-c", line, "-n", ONE, NULL};
		static const int signals[] = {SIGKILL, SIGKILL, SIGTERM, SIGHUP, SIGINT};
		int signo = signals[i % 5];

		vic_page(&v);
		v.page->go = 1;
		setenv("VICTIM_PAGE", v.file, 1);
		snprintf(line, sizeof line, "%s %d 0", t_built("tests/victims/hammer"),
			i % 2 ? 4 : 1);
		cmd_start(&c, argv);
		t_pause(i % 3 ? 60000 : 8000);
		kill(c.pid, signo);
		CHECK(cmd_wait(&c, 5000) != -1, "dtproc does not end");
		CHECK(!v.page->pid || WITHIN(1000, !proc_alive(v.page->pid)),
			"the created victim lives after signal %d", signo);
		check_no_keeper("created");
		if (v.page->pid && proc_alive(v.page->pid))
			kill(v.page->pid, SIGKILL);
		cmd_forget(&c);
		unlink(v.file);
	}
}

/* A client with many victims, and a forked worker that keeps its descriptors open. */
static struct vic herd[8];

static void nothing(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	(void)p;
	(void)b;
	(void)tid;
	(void)arg;
}

static void hold_herd(void *arg)
{
	struct dtproc *dt;
	struct dtproc_proc *p[8];

	(void)arg;
	OK(dtproc_open(NULL, &dt));
	for (int i = 0; i < 8; i++) {
		dtproc_addr at;
		struct dtproc_bkpt *b;

		OK(dtproc_proc_grab(dt, herd[i].pid,
			i % 4 == 3 ? DTPROC_GRAB_UNMONITORED : 0, &p[i]));
		OK(dtproc_proc_symbol(p[i], "a.out", "victim_target", &at, NULL));
		if (i % 4 != 3)
			OK(dtproc_bkpt_add(p[i], at, nothing, NULL, &b));
		if (i % 2 == 0)
			OK(dtproc_proc_continue(p[i]));
	}
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, 0);
		alarm(30);
		herd[0].page->helper = getpid();
		pause();
	}
	for (;;)
		pause();
}

static void many(void)
{
	pid_t pid, worker;

	for (int i = 0; i < 8; i++) {
		vic_start(&herd[i], "hammer 2 0");
		vic_go(&herd[i]);
	}
	pid = client_fork(hold_herd, NULL);
	NEED(WITHIN(8000, herd[0].page->helper), "the client holds not all");
	worker = herd[0].page->helper;
	CHECK(WITHIN(1000, proc_keepers() == 8), "%d keepers for 8 victims",
		proc_keepers());
	kill(pid, SIGKILL);
	wait_status(pid, 1000);
	for (int i = 0; i < 8; i++) {
		vic_check_free(&herd[i], "one of a herd");
		vic_end(&herd[i]);
	}
	check_no_keeper("the herd's");
	kill(worker, SIGKILL);
}

/* A forked worker closes the session that it inherited: its parent's goes on, exactly. */
static void worker_closes(void)
{
	struct vic v;
	struct dtproc *dt;
	struct dtproc_proc *p;
	pid_t worker;
	char *text;

	vic_start(&v, "hammer 2 3000");
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_setopt(dt, "quiet", NULL));
	OK(dtproc_proc_grab(dt, v.pid, 0, &p));
	OK(dtproc_script(dt, "worker",
		"pid$target:a.out:victim_target:entry { @[\"n\"] = count(); }", 0, NULL));
	OK(dtproc_go(dt, NULL, NULL));
	worker = t_fork();
	if (worker == 0) {
		dtproc_close(dt);
		t_leave();
	}
	CHECK(wait_status(worker, 5000) == 0, "the worker does not end");
	CHECK(proc_status(v.pid, "TracerPid") > 0, "the worker let the victim go");
	vic_go(&v);
	text = session_run(dt, 20000);
	CHECK(text_count(text, "n") == 6000, "%s", text);
	free(text);
	dtproc_close(dt);
	vic_wait(&v, 5000);
	check_no_keeper("worker closed");
}

/*
 * The keeper is killed, alone or in one moment with its client, while threads hammer a
 * breakpoint: the guard in the victim sends them on, and puts the text back as they come
 * by (H4, H5).
 */
static void keeper_once(struct vic *v, int both, int i)
{
	struct cmd c;
	pid_t keeper, first, second;
	uint64_t calls;

	NEED(cmd_trace(&c, v->pid, ONE), "no trace");
	t_pause(30000);
	keeper = (pid_t)proc_status(v->pid, "TracerPid");
	NEED(keeper > 0, "no keeper");
	first = i % 2 && both ? c.pid : keeper;
	second = first == keeper ? c.pid : keeper;
	kill(first, SIGKILL);
	if (both)
		kill(second, SIGKILL);
	CHECK(cmd_wait(&c, 5000) != -1, "dtproc does not end");
	CHECK(WITHIN(1000, proc_status(v->pid, "TracerPid") == 0), "still traced");
	calls = vic_progress(v);
	if (!both) {
		vic_check_free(v, "keeper killed");
	} else { /* a trap that nobody hits stays in the text */
		CHECK(WITHIN(2000, vic_progress(v) > calls + 100), "it does not compute");
		CHECK(proc_alive(v->pid) && v->page->bad == 0, "it died, or is wrong");
		CHECK(WITHIN(1000, proc_threads_in(v->pid, "tT") == 0),
			"a thread is stopped");
	}
	check_no_keeper("keeper killed");
	cmd_forget(&c);
}

static void keeper_often(int both)
{
	static const char *const victims[] = {"hammer 4 0", "hammer 1 0"};

	for (int n = 0; n < 2; n++) {
		struct vic v;

		vic_start(&v, victims[n]);
		vic_go(&v);
		for (int i = 0; i < t_times(8, 200) && t_failures() < 3; i++)
			keeper_once(&v, both, i);
		vic_end(&v);
	}
}

static void keeper(void)
{
	keeper_often(0);
}

static void both(void)
{
	keeper_often(1);
}

static const struct t_case cases[] = {
	{"kill-1", kill_1, 60, 300},
	{"kill-4", kill_4, 60, 300},
	{"kill-4-many", kill_4_many, 60, 300},
	{"kill-idle", kill_idle, 60, 300},
	{"signals", term, 60, 600},
	{"group", group, 30, 120},
	{"terminal", terminal, 30, 120},
	{"created", created, 60, 300},
	{"many", many, 30, 0},
	{"keeper", keeper, 60, 600},
	{"both", both, 60, 600},
	{"worker-closes", worker_closes, 30, 0},
};

T_MAIN(cases)
