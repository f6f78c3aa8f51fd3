/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients that have too little of something: descriptors, memory, processes, file size,
 * CPU time.  Each limit rises until create and grab work; below that they fail with an
 * error, and leave nothing (rule C3).  And those that hold as many victims as they can.
 */
#include "lib.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define NOBODY 65534

#define MAYBE __attribute__((unused)) /* a build with sanitizers leaves it out */

static struct vic held;
static struct rlimit before;
static int limited; /* RLIMIT_... */
static unsigned long allowed;
static char victim_path[100];

enum outcome { WORKED = 0, FAILED = 1, REFUSED = 33 };

static char said[400];

/* For later: output may be limited as well. */
static int tell(int rc, const char *what)
{
	snprintf(said, sizeof said, "%s with %lu: %d %s", what, allowed, rc,
		dtproc_error_text());
	return rc == DTPROC_ELOST ? FAILED : REFUSED;
}

static int create_and_grab(struct dtproc *dt)
{
	char *argv[] = {"/bin/true", NULL};
	struct dtproc_proc *p;
	struct dtproc_bkpt *b;
	dtproc_addr at;
	int rc = dtproc_proc_grab(dt, held.pid, 0, &p);

	if (rc == 0)
		rc = dtproc_proc_symbol(p, "a.out", "victim_target", &at, NULL);
	if (rc == 0)
		rc = dtproc_bkpt_add(p, at, no_callback, NULL, &b);
	if (rc)
		return tell(rc, "grab");
	rc = dtproc_proc_create(dt, argv[0], argv, NULL, &p);
	return rc ? tell(rc, "create") : WORKED;
}

/* One session under the limit; what it leaves is looked at without. */
static int attempt(void)
{
	struct rlimit now = {allowed, before.rlim_max};
	struct dtproc *dt;
	int fds = proc_fds(), rc;

	setrlimit((unsigned)limited, &now);
	rc = dtproc_open(NULL, &dt);
	if (rc) {
		rc = tell(rc, "open");
	} else {
		rc = create_and_grab(dt);
		dtproc_close(dt);
	}
	setrlimit((unsigned)limited, &before);
	CHECK(rc != FAILED, "%s", said);
	if (t_soak() && rc)
		t_note("%s", said);
	CHECK(proc_fds() == fds, "%d descriptors, %d before", proc_fds(), fds);
	CHECK(proc_children() == 0, "%d children", proc_children());
	/* One that was joined is in /proc for a moment more. */
	CHECK(WITHIN(1000, proc_status(getpid(), "Threads") == 1), "threads are left");
	return t_failures() ? FAILED : rc;
}

/* The same in a process of its own, as `uid`; then the victim must be free. */
static int attempt_apart(unsigned uid)
{
	char when[64];
	pid_t pid;
	int status;

	pid = t_fork();
	if (pid == 0) {
		if (uid && (setresgid(uid, uid, uid) || setresuid(uid, uid, uid)))
			_exit(FAILED);
		prctl(PR_SET_DUMPABLE, 1);
		_exit(attempt());
	}
	status = wait_status(pid, 15000);
	snprintf(when, sizeof when, "with %lu", allowed);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) != FAILED, "%s: status %#x", when,
		status);
	if (status == -1) {
		kill(pid, SIGKILL);
		wait_status(pid, 1000);
	}
	vic_check_free(&held, when);
	check_no_keeper(when);
	return status;
}

/* Lets a limit rise from `from` by `step`, then by a `grow`th of itself. */
static void rise(int which, unsigned long from, unsigned long step, unsigned grow,
	unsigned long most)
{
	int status = -1;

	limited = which;
	getrlimit((unsigned)which, &before);
	vic_start(&held, "hammer idle 2");
	for (allowed = from; status && allowed <= most && t_failures() < 3;
		allowed += step + (grow ? allowed / grow : 0))
		status = attempt_apart(0);
	CHECK(status == 0, "does not work with %lu", allowed);
	vic_end(&held);
}

static void descriptors(void)
{
	rise(RLIMIT_NOFILE, 0, 1, 0, 80);
}

MAYBE static void address_space(void)
{
	rise(RLIMIT_AS, 64 << 10, 256 << 10, t_soak() ? 32 : 6, 1ul << 30);
}

MAYBE static void data(void)
{
	rise(RLIMIT_DATA, 4096, 64 << 10, t_soak() ? 32 : 3, 1ul << 30);
}

/* Memfds are files to the kernel: an error, and not SIGXFSZ. */
MAYBE static void file_size(void)
{
	rise(RLIMIT_FSIZE, 0, 16 << 10, t_soak() ? 8 : 1, 1ul << 26);
}

static void become_nobodys(struct vic *v)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("VICTIM_PAGE", v->file, 1);
	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		_exit(1);
	execl(victim_path, "hammer", "idle", "2", NULL);
	_exit(127);
}

MAYBE static void processes(void)
{
	char dir[64] = "/var/tmp/dtproc-test-XXXXXX", line[100];
	int status = -1;

	if (getuid()) {
		t_note("not root: this case is left out");
		return;
	}
	limited = RLIMIT_NPROC;
	getrlimit(RLIMIT_NPROC, &before);
	t_open_house(dir);
	vic_page(&held);
	snprintf(victim_path, sizeof victim_path, "%s/hammer", dir);
	held.pid = fork();
	if (held.pid == 0)
		become_nobodys(&held);
	NEED(WITHIN(5000, held.page->ready), "the victim is not ready");
	for (allowed = 0; status && allowed < 4000 && t_failures() < 3;
		allowed += allowed < 12 ? 1 : 500)
		status = attempt_apart(NOBODY);
	CHECK(status == 0, "does not work with %lu", allowed);
	vic_end(&held);
	snprintf(line, sizeof line, "rm -r %s", dir);
	CHECK(system(line) == 0, "%s", line);
}

/*
 * CPU time runs out in SIGKILL, which would take the keeper's victims along: it lets go
 * in time.
 */
static void cpu_time(void)
{
	struct rlimit two = {2, 2};
	struct cmd c;

	getrlimit(RLIMIT_CPU, &before);
	vic_start(&held, "hammer 2 0");
	vic_go(&held);
	setrlimit(RLIMIT_CPU, &two);
	NEED(cmd_trace(&c, held.pid,
		     "pid$target:a.out:victim_target:entry { @ = count(); }"),
		"no trace");
	CHECK(WITHIN(20000, proc_status(held.pid, "TracerPid") == 0),
		"the keeper goes on for ever");
	check_no_keeper("its successor has looked after it");
	vic_check_free(&held, "the keeper has no CPU time left");
	cmd_interrupt(&c);
	check_no_keeper("the keeper has no CPU time left");
	cmd_forget(&c);
	vic_end(&held);
}

/* Threads of clients may have little stack: 64 KiB are enough, for the keeper as well. */
MAYBE static void stack(void)
{
	struct rlimit little = {64 << 10, 64 << 10};
	struct cmd c;

	vic_start(&held, "hammer 2 0");
	vic_go(&held);
	setrlimit(RLIMIT_STACK, &little);
	NEED(cmd_trace(&c, held.pid,
		     "pid$target:a.out:victim_target:entry { @[probefunc] = count(); }"
		     "tick-20hz { printf(\"%s %d\", probename, pid); }"),
		"no trace");
	CHECK(WITHIN(5000, vic_progress(&held) > 1000), "it does not compute");
	CHECK(cmd_interrupt(&c) == 0, "%s", cmd_text(c.err));
	CHECK(text_count(cmd_text(c.out), "victim_target") > 0, "%s", cmd_text(c.out));
	cmd_forget(&c);
	vic_check_free(&held, "little stack");
	vic_end(&held);
}

/* --------------------------------------------------------- five hundred at once */

#define MOST 500
#define CREATED 50

static struct dtproc *dt;
static int handles;
static struct dtproc_proc *crowd[MOST];
static pid_t crowd_pid[MOST];

static void sleep_on(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		page_nap(1000000000);
}

static void fill_crowd(void)
{
	char *argv[] = {"/bin/sleep", "1000", NULL};

	for (int i = 0; i < handles; i++) {
		if (i < CREATED) {
			OK(dtproc_proc_create(dt, argv[0], argv, NULL, &crowd[i]));
			crowd_pid[i] = dtproc_proc_pid(crowd[i]);
		} else {
			crowd_pid[i] = fork();
			if (crowd_pid[i] == 0)
				sleep_on();
			OK(dtproc_proc_grab(dt, crowd_pid[i], 0, &crowd[i]));
		}
		OK(dtproc_proc_continue(crowd[i]));
	}
}

/* How many of them are as they should be behind the end of control. */
static int crowd_right(void)
{
	int n = 0;

	for (int i = 0; i < handles; i++)
		n += i < CREATED ? !proc_alive(crowd_pid[i])
				 : proc_status(crowd_pid[i], "TracerPid") == 0;
	return n;
}

static void five_hundred(void)
{
	struct rlimit files;
	uint64_t from = page_clock();

	handles = t_times(150, MOST);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	NEED(files.rlim_cur >= (rlim_t)handles * 10, "%lu descriptors",
		(long)files.rlim_cur);
	OK(dtproc_open(NULL, &dt));
	fill_crowd();
	t_note("%d held after %llu ms, %d descriptors", handles,
		(unsigned long long)(page_clock() - from) / 1000000, proc_fds());
	CHECK(proc_keepers() == handles, "%d keepers", proc_keepers());
	for (int i = 0; i < handles; i++)
		OK(dtproc_proc_stop(crowd[i]));
	for (int i = 0; i < handles; i++)
		OK(dtproc_proc_continue(crowd[i]));
	dtproc_close(dt);
	CHECK(WITHIN(1000, crowd_right() == handles), "%d of %d", crowd_right(), handles);
	CHECK(proc_fds() < 20, "%d descriptors", proc_fds());
	check_no_keeper("five hundred");
}

/* Holds as many as its descriptors suffice for. */
#define FEW 80

static void hold_few(void *arg)
{
	struct rlimit files = {400, 400};
	struct vic *v = arg;
	int n = 0, rc = 0;

	setrlimit(RLIMIT_NOFILE, &files);
	OK(dtproc_open(NULL, &dt));
	while (n < FEW && (rc = dtproc_proc_grab(dt, crowd_pid[n], 0, &crowd[n])) == 0)
		n++;
	CHECK(n < FEW && (rc == DTPROC_ESYS || rc == DTPROC_EKEEPER) &&
			strstr(dtproc_error_text(), "Too many open files"),
		"%d held, %d: %s", n, rc, dtproc_error_text());
	CHECK(WITHIN(1000, proc_status(crowd_pid[n], "TracerPid") == 0),
		"the one too many is held");
	for (int i = 0; i < n; i++)
		OK(dtproc_proc_continue(crowd[i]));
	v->page->helper = t_failures() ? -1 : n;
	pause();
}

static int few_free(void)
{
	int n = 0;

	for (int i = 0; i < FEW; i++)
		n += proc_status(crowd_pid[i], "TracerPid") == 0 &&
		     proc_state(crowd_pid[i]) == 'S';
	return n;
}

static void too_many(void)
{
	struct vic v;
	pid_t pid;

	vic_page(&v);
	for (int i = 0; i < FEW; i++)
		if ((crowd_pid[i] = fork()) == 0)
			sleep_on();
	pid = client_fork(hold_few, &v);
	CHECK(WITHIN(20000, v.page->helper) && v.page->helper > 20, "%d", v.page->helper);
	CHECK(WITHIN(1000, proc_keepers() == v.page->helper), "%d keepers",
		proc_keepers());
	kill(pid, SIGKILL);
	wait_status(pid, 5000);
	CHECK(WITHIN(2000, few_free() == FEW), "%d of %d are free", few_free(), FEW);
	check_no_keeper("the client of too many");
	unlink(v.file);
}

static const struct t_case cases[] = {
	{"descriptors", descriptors, 60, 60},
	{"cpu-time", cpu_time, 60, 60},
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
	/* Sanitizers want memory, threads, files and stack for themselves. */
	{"address-space", address_space, 60, 300},
	{"data", data, 60, 300},
	{"file-size", file_size, 60, 300},
	{"processes", processes, 60, 60},
	{"stack", stack, 60, 60},
#endif
	{"five-hundred", five_hundred, 90, 180},
	{"too-many", too_many, 60, 60},
};

T_MAIN(cases)
