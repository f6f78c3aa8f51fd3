/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients that fork workers with copies of all our descriptors, execute another program,
 * close everything, lose their /proc: what they held goes on, what they created ends.
 */
#include "lib.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static struct dtproc *dt;
static _Atomic int over;

/* --------------------------------------------------- forks without an exec (H5) */

/* Forks a worker that keeps whatever descriptors there are. */
static pid_t worker(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

/* They live as long as the thread. */
static void *fork_all(void *arg)
{
	(void)arg;
	for (int n = 0; n < 300 && !over; n++) {
		worker();
		page_nap(1000000);
	}
	while (!over)
		page_nap(1000000);
	return NULL;
}

/* What the library logs goes to a file. */
static void log_to(char *path)
{
	int fd = mkostemp(path, O_CLOEXEC);

	NEED(fd >= 0 && dup2(fd, 2) == 2, "%s", path);
	close(fd);
	setenv("DTPROC_DEBUG", "hold:1", 1);
	setenv("DTPROC_DEBUG_STDERR", "1", 1);
}

/* Workers have copies of every end of every socket; nobody waits for them. */
static void workers(void)
{
	char log[] = "/tmp/dtproc-test-XXXXXX";
	char text[] = "/tmp/dtproc-test-XXXXXX", *none[] = {text, NULL};
	struct dtproc_proc *p;
	struct vic v;
	pthread_t t;
	int fd = mkostemp(text, O_CLOEXEC);

	NEED(write(fd, "#!/no/such/program\n", 19) == 19 && !fchmod(fd, 0755), "%s",
		text);
	close(fd);
	vic_start(&v, "hammer 2 0");
	vic_go(&v);
	log_to(log);
	OK(dtproc_open(NULL, &dt));
	pthread_create(&t, NULL, fork_all, NULL);
	for (int i = 0; i < 20 && !t_failures(); i++) {
		uint64_t from = page_clock();
		CHECK(dtproc_proc_create(dt, text, none, NULL, &p) == DTPROC_ENOEXEC,
			"%s", dtproc_error_text());
		check_quick(from, "a create that fails");
	}
	for (int i = 0; i < t_times(10, 50) && !t_failures(); i++) {
		uint64_t from = page_clock();
		create_once(dt);
		check_quick(from, "create");
		from = page_clock();
		grab_once(dt, &v);
		check_quick(from, "grab");
	}
	unlink(text);
	dtproc_close(dt);
	CHECK(!strstr(cmd_text(log), "does not end"), "%s", cmd_text(log));
	unlink(log);
	vic_check_free(&v, "the workers live still");
	check_no_keeper("the workers live still");
	over = 1;
	pthread_join(t, NULL);
	vic_end(&v);
}

static struct vic inherited;

/* Holds, forks a worker that closes the session it has a copy of, and dies. */
static void leave_worker(void *arg)
{
	struct dtproc_proc *p, *q;
	struct dtproc_bkpt *b;
	char *argv[] = {"/bin/sleep", "100", NULL};
	dtproc_addr at;

	(void)arg;
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_grab(dt, inherited.pid, 0, &p));
	OK(dtproc_proc_symbol(p, "a.out", "victim_target", &at, NULL));
	OK(dtproc_bkpt_add(p, at, no_callback, NULL, &b));
	OK(dtproc_proc_create(dt, argv[0], argv, NULL, &q));
	OK(dtproc_proc_continue(p));
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, 0);
		dtproc_close(dt);
		inherited.page->helper = getpid();
		for (;;)
			pause();
	}
	WITHIN(2000, inherited.page->helper);
	/* The copy was closed; what is held is held on. */
	CHECK(proc_status(inherited.pid, "TracerPid") > 0, "the worker let go");
	CHECK(dtproc_proc_read(p, at, &at, 4) == 4, "%s", dtproc_error_text());
	CHECK(WITHIN(1000, proc_keepers() == 2), "%d keepers", proc_keepers());
	t_leave();
}

static void outlived(void)
{
	pid_t pid;

	vic_start(&inherited, "hammer 2 0");
	vic_go(&inherited);
	pid = client_fork(leave_worker, NULL);
	CHECK(wait_status(pid, 10000) == 0, "the client failed");
	vic_check_free(&inherited, "a worker outlives the client");
	check_no_keeper("a worker outlives the client");
	NEED(inherited.page->helper > 0, "no worker");
	CHECK(proc_alive(inherited.page->helper), "the worker has ended");
	kill(inherited.page->helper, SIGKILL);
	vic_end(&inherited);
}

/* What is executed by the client gets none of our descriptors. */
static void executed(void)
{
	struct dtproc_proc *p;
	char before[4096] = "", after[4096] = "";
	char *const bufs[2] = {before, after};
	struct vic v;

	vic_start(&v, "hammer 1 0");
	vic_go(&v);
	for (int i = 0; i < 2; i++) {
		FILE *f =
			popen("ls -l /proc/self/fd | sed 's/.*[0-9] \\([0-9]* ->\\)/\\1/'"
			      " | grep -v 'pipe:\\|/proc/'",
				"r");
		NEED(f && fread(bufs[i], 1, 4095, f) > 0, "ls");
		pclose(f);
		if (i)
			break;
		OK(dtproc_open(NULL, &dt));
		OK(dtproc_proc_grab(dt, v.pid, 0, &p));
		OK(dtproc_proc_continue(p));
	}
	CHECK(!strcmp(before, after), "before:\n%safter:\n%s", before, after);
	dtproc_close(dt);
	vic_end(&v);
}

/* --------------------------------------------- the ground goes from under it (H5) */

static void hold_both(struct dtproc_proc **grabbed, struct dtproc_proc **created)
{
	char *argv[] = {"/bin/sleep", "100", NULL};
	struct dtproc_bkpt *b;
	dtproc_addr at;

	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_grab(dt, inherited.pid, 0, grabbed));
	OK(dtproc_proc_symbol(*grabbed, "a.out", "victim_target", &at, NULL));
	OK(dtproc_bkpt_add(*grabbed, at, no_callback, NULL, &b));
	OK(dtproc_proc_create(dt, argv[0], argv, NULL, created));
	inherited.page->helper = dtproc_proc_pid(*created);
	OK(dtproc_proc_continue(*grabbed));
}

/* It executes another program: its PID lives on, and holds nothing any more. */
static void execute(void *arg)
{
	struct dtproc_proc *p, *q;

	(void)arg;
	hold_both(&p, &q);
	execl("/bin/sleep", "sleep", "100", NULL);
}

/* It closes all descriptors, as daemons do, and goes on. */
static void close_all(void *arg)
{
	struct dtproc_proc *p, *q;
	struct timespec before, cpu;

	(void)arg;
	hold_both(&p, &q);
	close_range(3, ~0u, 0);
	CHECK(WITHIN(2000, proc_status(inherited.pid, "TracerPid") == 0), "held still");
	CHECK(dtproc_proc_stop(p) < 0, "stopped");
	CHECK(dtproc_proc_continue(q) < 0, "continued");
	CHECK(dtproc_sleep(dt, 1) >= 0, "%s", dtproc_error_text());
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	page_nap(200000000);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	cpu.tv_nsec += (cpu.tv_sec - before.tv_sec) * 1000000000 - before.tv_nsec;
	CHECK(cpu.tv_nsec < 100000000, "%ld ns of CPU time", cpu.tv_nsec);
	dtproc_close(dt);
	t_leave();
}

static void leave_it(void (*how)(void *), const char *when)
{
	pid_t pid;

	vic_start(&inherited, "hammer 2 0");
	vic_go(&inherited);
	pid = client_fork(how, NULL);
	CHECK(WITHIN(5000, inherited.page->helper), "%s: nothing held", when);
	if (how == close_all)
		CHECK(wait_status(pid, 10000) == 0, "%s: the client failed", when);
	else
		CHECK(WITHIN(5000, proc_status(inherited.pid, "TracerPid") == 0),
			"%s: held still", when);
	vic_check_free(&inherited, when);
	CHECK(WITHIN(1000, !proc_alive(inherited.page->helper)), "%s: it lives", when);
	check_no_keeper(when);
	if (how == execute) {
		CHECK(proc_alive(pid), "the client has ended");
		kill(pid, SIGKILL);
	}
	vic_end(&inherited);
}

static void executes(void)
{
	leave_it(execute, "the client executes");
}

static void closes_all(void)
{
	leave_it(close_all, "the client closes all");
}

/* Without a /proc it is told that, and not that the process is none. */
static void no_proc(void)
{
	struct dtproc_proc *p;
	struct vic v;

	if (getuid()) {
		t_note("not root: this case is left out");
		return;
	}
	vic_start(&v, "hammer idle 2");
	OK(dtproc_open(NULL, &dt));
	CHECK(chroot("/var/empty") == 0 || chroot("/mnt") == 0, "%s", strerror(errno));
	for (unsigned flags = 0; flags <= DTPROC_GRAB_RDONLY; flags++) {
		CHECK(dtproc_proc_grab(dt, v.pid, flags, &p) == DTPROC_ESYS &&
				strstr(dtproc_error_text(), "/proc"),
			"%s", dtproc_error_text());
	}
	dtproc_close(dt);
	v.page->quit = 1;
	vic_poke(&v);
	CHECK(wait_status(v.pid, 5000) == 0, "the victim failed");
}

static const struct t_case cases[] = {
	{"workers", workers, 60, 200},
	{"outlived", outlived, 30, 0},
	{"executed", executed, 0, 0},
	{"executes", executes, 30, 0},
	{"closes-all", closes_all, 30, 0},
	{"no-proc", no_proc, 0, 0},
};

T_MAIN(cases)
