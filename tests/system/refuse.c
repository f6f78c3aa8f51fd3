/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What cannot be grabbed, and what is said then (rule C2): each reason has its code and
 * its text, and nothing is left (rule C3).  Root's part and an ordinary user's.
 */
#include "lib.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NOBODY 65534

static struct dtproc *dt;

/* A grab of pid must fail with `code` and a text that has the PID and `reason`. */
static void refused(pid_t pid, unsigned flags, int code, const char *reason)
{
	struct dtproc_proc *p = (void *)&dt;
	int rc = dtproc_proc_grab(dt, pid, flags, &p);
	char number[16];

	snprintf(number, sizeof number, "%d", pid);
	CHECK(rc == code, "grab of %d: %d (%s), not %d", pid, rc,
		rc < 0 ? dtproc_error_text() : "grabbed", code);
	CHECK(p == (void *)&dt || rc == 0, "the output was touched");
	if (rc == 0) {
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		return;
	}
	CHECK(strstr(dtproc_error_text(), number), "no PID in: %s", dtproc_error_text());
	CHECK(strstr(dtproc_error_text(), reason), "no \"%s\" in: %s", reason,
		dtproc_error_text());
}

/* Runs fn in a child as uid and gid `id`, with a session of its own. */
static void as_user(unsigned id, void (*fn)(void))
{
	pid_t pid = t_fork();

	if (pid == 0) {
		if (setresgid(id, id, id) || setresuid(id, id, id))
			t_fail(__FILE__, __LINE__, "setresuid", "%s", strerror(errno));
		prctl(PR_SET_DUMPABLE, 1);
		OK(dtproc_open(NULL, &dt));
		fn();
		dtproc_close(dt);
		t_leave();
	}
	CHECK(wait_status(pid, 20000) == 0, "the user's part failed");
}

static void need_root(void)
{
	if (getuid()) {
		t_note("not root: this case is left out");
		t_leave();
	}
}

static void no_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	OK(dtproc_open(NULL, &dt));
	WITHIN(1000, proc_state(pid) == 'Z');
	refused(pid, 0, DTPROC_EZOMBIE, "zombie");
	waitpid(pid, NULL, 0);
	refused(pid, 0, DTPROC_ENOPROC, "no such process");
	refused(pid, DTPROC_GRAB_RDONLY, DTPROC_ENOPROC, "no such process");
	refused(0x3fffff, 0, DTPROC_ENOPROC, "no such process");
	dtproc_close(dt);
}

static void oneself(void)
{
	OK(dtproc_open(NULL, &dt));
	refused(getpid(), 0, DTPROC_ESELF, "this very process");
	check_no_keeper("oneself");
	dtproc_close(dt);
}

static void own_keeper(void)
{
	struct vic v;
	struct dtproc_proc *p;

	vic_start(&v, "hammer 1 0");
	vic_go(&v);
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_grab(dt, v.pid, 0, &p));
	OK(dtproc_proc_continue(p));
	refused((pid_t)proc_status(v.pid, "TracerPid"), 0, DTPROC_ESELF, "keeper");
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	vic_check_free(&v, "after");
	vic_end(&v);
	dtproc_close(dt);
}

static void kernel_thread(void)
{
	if (proc_status(2, "Kthread") != 1)
		t_note("PID 2 is no kernel thread here");
	else {
		OK(dtproc_open(NULL, &dt));
		refused(2, 0, DTPROC_EKTHREAD, "kernel thread");
		dtproc_close(dt);
	}
}

static void thread_id(void)
{
	struct vic v;

	vic_start(&v, "hammer 2 0");
	NEED(WITHIN(1000, v.page->tid[1]), "no second thread");
	OK(dtproc_open(NULL, &dt));
	refused(v.page->tid[1], 0, DTPROC_ENOPROC, "thread of process");
	vic_end(&v);
	dtproc_close(dt);
}

/* Traced by somebody else: which PID and which command. */
static void traced(const char *tool, const char *const argv[], struct vic *v)
{
	char reason[64];
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execvp(tool, (char *const *)argv);
		_exit(127);
	}
	if (!WITHIN(5000,
		    proc_status(v->pid, "TracerPid") > 0 || proc_state(pid) == 'Z') ||
		proc_state(pid) == 'Z') {
		t_note("%s is not here", tool);
		wait_status(pid, 1000);
		return;
	}
	snprintf(reason, sizeof reason, "%ld", proc_status(v->pid, "TracerPid"));
	refused(v->pid, 0, DTPROC_ETRACED, reason);
	refused(v->pid, 0, DTPROC_ETRACED, tool);
	check_no_keeper("refused");
	kill(pid, SIGKILL); /* gdb lets its victims die of SIGTERM at times */
	wait_status(pid, 1000);
}

static void by_others(void)
{
	struct vic v;
	char number[16];
	const char *const strace[] = {"strace", "-o", "/dev/null", "-p", number, NULL};
	const char *const gdb[] = {
		"gdb", "-nx", "-q", "-p", number, "-ex", "shell sleep 20", NULL};

	vic_start(&v, "hammer idle 2");
	snprintf(number, sizeof number, "%d", v.pid);
	OK(dtproc_open(NULL, &dt));
	traced("strace", strace, &v);
	traced("gdb", gdb, &v);
	dtproc_close(dt);
	kill(v.pid, SIGCONT);
	vic_end(&v);
}

/* By another session of ours: the keeper is named, and it is no "self". */
static void by_another_client(void)
{
	struct vic v;
	struct cmd c;
	char reason[32];

	vic_start(&v, "hammer 1 0");
	vic_go(&v);
	NEED(cmd_trace(
		     &c, v.pid, "pid$target:a.out:victim_target:entry { @ = count(); }"),
		"no trace");
	OK(dtproc_open(NULL, &dt));
	snprintf(reason, sizeof reason, "%ld", proc_status(v.pid, "TracerPid"));
	refused(v.pid, 0, DTPROC_ETRACED, reason);
	dtproc_close(dt);
	CHECK(cmd_interrupt(&c) == 0, "%s", cmd_text(c.err));
	cmd_forget(&c);
	vic_check_free(&v, "after");
	vic_end(&v);
}

/* ------------------------------------------------------------- an ordinary user */

static struct vic foreign;
static pid_t set_id, hidden;
static char set_id_path[128];

/* C3: what would run without us is not started at all. */
static void create_set_id(void)
{
	char *argv[] = {set_id_path, "0", NULL};
	struct dtproc_proc *p;
	int rc = dtproc_proc_create(dt, set_id_path, argv, NULL, &p);

	CHECK(rc == DTPROC_EUNOBSERVABLE && strstr(dtproc_error_text(), "set-id"),
		"created set-id: %d: %s", rc, dtproc_error_text());
}

static void user_part(void)
{
	struct vic v;
	struct dtproc_proc *p;
	dtproc_addr at;

	vic_start(&v, "hammer 2 0");
	vic_go(&v);
	OK(dtproc_proc_grab(dt, v.pid, 0, &p)); /* one's own works */
	OK(dtproc_proc_symbol(p, "a.out", "victim_target", &at, NULL));
	OK(dtproc_proc_continue(p));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	vic_check_free(&v, "own process");
	OK(dtproc_proc_grab(dt, v.pid, DTPROC_GRAB_RDONLY, &p));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	refused(foreign.pid, 0, DTPROC_EPERM, "another user");
	refused(foreign.pid, DTPROC_GRAB_RDONLY, DTPROC_EPERM, "another user");
	refused(1, 0, DTPROC_EPERM, "another user");
	refused(set_id, 0, DTPROC_EPERM, "set-id");
	refused(hidden, 0, DTPROC_EPERM, "not dumpable");
	if (proc_status(2, "Kthread") == 1)
		refused(2, 0, DTPROC_EKTHREAD, "kernel thread");
	refused(getpid(), 0, DTPROC_ESELF, "this very process");
	create_set_id();
	vic_end(&v);
}

/* A sleep with its set-id bit on, run by nobody. */
static pid_t start_set_id(const char *path)
{
	char line[700];
	pid_t pid;

	snprintf(line, sizeof line, "cp /bin/sleep %s && chmod 4755 %s", path, path);
	NEED(system(line) == 0, "%s", line);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setresgid(NOBODY, NOBODY, NOBODY) ||
			setresuid(NOBODY, NOBODY, NOBODY))
			_exit(1);
		execl(path, "sleep", "60", NULL);
		_exit(127);
	}
	return pid;
}

static pid_t start_hidden(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setresgid(NOBODY, NOBODY, NOBODY) ||
			setresuid(NOBODY, NOBODY, NOBODY))
			_exit(1);
		prctl(PR_SET_DUMPABLE, 0);
		for (;;)
			pause();
	}
	return pid;
}

static void close_house(const char *dir)
{
	char line[128];

	snprintf(line, sizeof line, "rm -r %s", dir);
	CHECK(system(line) == 0, "%s", line);
}

/* The effective user of one that nobody runs is root: it is executed. */
static bool is_set_id(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	return strstr(cmd_text(path), "\nUid:\t65534\t0\t") != NULL;
}

static void ordinary_user(void)
{
	char dir[64] = "/var/tmp/dtproc-test-XXXXXX";

	need_root();
	vic_start(&foreign, "hammer 1 0");
	t_open_house(dir);
	snprintf(set_id_path, sizeof set_id_path, "%s/sleep", dir);
	set_id = start_set_id(set_id_path);
	hidden = start_hidden();
	NEED(WITHIN(2000, is_set_id(set_id)) &&
			WITHIN(2000, proc_status(hidden, "Uid") == NOBODY),
		"helpers");
	as_user(NOBODY, user_part);
	vic_end(&foreign);
	kill(set_id, SIGKILL);
	kill(hidden, SIGKILL);
	wait_status(set_id, 1000);
	wait_status(hidden, 1000);
	check_no_keeper("the user's");
	close_house(dir);
}

/* C1, C3: what cannot be started. */
static void not_executable(const char *file, const char *reason)
{
	char *argv[] = {(char *)file, NULL};
	struct dtproc_proc *p;
	int rc = dtproc_proc_create(dt, file, argv, NULL, &p);

	CHECK(rc == DTPROC_ENOEXEC, "%s: %d: %s", file, rc, dtproc_error_text());
	CHECK(strstr(dtproc_error_text(), file) && strstr(dtproc_error_text(), reason),
		"no \"%s\" in: %s", reason, dtproc_error_text());
	if (rc == 0)
		dtproc_proc_release(p, DTPROC_RELEASE_KILL);
}

static void cannot_start(void)
{
	int children, fds;

	OK(dtproc_open(NULL, &dt));
	children = proc_children();
	fds = proc_fds();
	not_executable("/no/such/program", "No such file");
	not_executable("no-such-program-in-path", "");
	not_executable("/etc/passwd", "ermission denied");
	not_executable("/tmp", "");
	not_executable(t_built("tests/victims/zoo.p/zoo.c.o"), "");
	CHECK(WITHIN(1000, proc_children() == children), "%d children are left",
		proc_children());
	CHECK(proc_fds() == fds, "%d descriptors, %d before", proc_fds(), fds);
	check_no_keeper("cannot start");
	dtproc_close(dt);
}

static const struct t_case cases[] = {
	{"no-process", no_process, 0, 0},
	{"oneself", oneself, 0, 0},
	{"own-keeper", own_keeper, 0, 0},
	{"kernel-thread", kernel_thread, 0, 0},
	{"thread-id", thread_id, 0, 0},
	{"by-others", by_others, 0, 0},
	{"by-another-client", by_another_client, 0, 0},
	{"ordinary-user", ordinary_user, 0, 0},
	{"cannot-start", cannot_start, 0, 0},
};

T_MAIN(cases)
