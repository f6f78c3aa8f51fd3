/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients as they are: with threads, with children and a SIGCHLD handler of their own,
 * and unlucky ones, whose keeper is killed.
 */
#include "lib.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ------------------------------------------------------- many threads (I1, I2) */

static struct dtproc *dt;
static struct vic herd[4];
static _Atomic uint64_t turns;
static _Atomic int over;

static void nothing(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	(void)p;
	(void)b;
	(void)tid;
	(void)arg;
}

static void one_turn(unsigned *state, struct dtproc_proc *p, dtproc_addr at)
{
	struct dtproc_bkpt *b;
	char bytes[32];

	switch (rand_r(state) % 5) {
	case 0:
		CHECK(dtproc_proc_read(p, at, bytes, sizeof bytes) == sizeof bytes, "%s",
			dtproc_error_text());
		break;
	case 1:
		CHECK(dtproc_bkpt_add(p, at, nothing, NULL, &b) == 0, "%s",
			dtproc_error_text());
		CHECK(dtproc_bkpt_remove(p, b) == 0, "%s", dtproc_error_text());
		break;
	case 2:
		CHECK(dtproc_proc_stop(p) == 0, "%s", dtproc_error_text());
		CHECK(dtproc_proc_continue(p) == 0, "%s", dtproc_error_text());
		break;
	case 3:
		CHECK(dtproc_proc_lock(p) == 0, "%s", dtproc_error_text());
		CHECK(dtproc_proc_read(p, at, bytes, 4) == 4, "%s", dtproc_error_text());
		CHECK(dtproc_proc_unlock(p) == 0, "%s", dtproc_error_text());
		break;
	default:
		CHECK(dtproc_proc_continue(p) == 0, "%s", dtproc_error_text());
		break;
	}
}

static void *client_thread(void *arg)
{
	unsigned state = (unsigned)(size_t)arg;

	while (!over) {
		struct vic *v = &herd[rand_r(&state) % 4];
		unsigned flags = rand_r(&state) % 4 ? 0 : DTPROC_GRAB_RDONLY;
		struct dtproc_proc *p;
		dtproc_addr at;

		if (dtproc_proc_grab(dt, v->pid, flags, &p)) {
			CHECK(!"grabbed", "%s", dtproc_error_text());
			break;
		}
		CHECK(dtproc_proc_symbol(p, "a.out", "victim_target", &at, NULL) == 0,
			"%s", dtproc_error_text());
		for (unsigned i = rand_r(&state) % 4; i > 0 && !flags; i--)
			one_turn(&state, p, at);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		turns++;
	}
	return NULL;
}

static void threads(void)
{
	pthread_t t[6];

	for (int i = 0; i < 4; i++) {
		vic_start(&herd[i], i % 2 ? "hammer 2 0" : "hammer idle 2");
		vic_go(&herd[i]);
	}
	OK(dtproc_open(NULL, &dt));
	for (size_t i = 0; i < 6; i++)
		pthread_create(
			&t[i], NULL, client_thread, (void *)(i + 1 + t_random(1000)));
	for (int i = 0; i < t_times(30, 600) && !t_failures(); i++)
		CHECK(dtproc_sleep(dt, 100) >= 0, "%s", dtproc_error_text());
	over = 1;
	for (size_t i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	t_note("%llu grabs", (unsigned long long)turns);
	dtproc_close(dt);
	for (int i = 0; i < 4; i++) {
		vic_check_free(&herd[i], "after all threads");
		vic_end(&herd[i]);
	}
	check_no_keeper("after all threads");
}

/* -------------------------------------------------------------- children (B3) */

static _Atomic int child_signals;

static void on_child(int signo)
{
	(void)signo;
	child_signals++;
}

static void *wait_for_all(void *arg)
{
	_Atomic int *strangers = arg;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, 0)) > 0 || (!over && (page_nap(1000000), 1)))
		if (pid > 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 33))
			++*strangers;
	return NULL;
}

/* B3: nothing of ours shows in the client's wait, SIGCHLD; nor are its own taken. */
static void own_children(void)
{
	char *argv[] = {"/bin/sh", "-c", "exit 7", NULL};
	struct sigaction sa = {.sa_handler = on_child};
	_Atomic int strangers = 0;
	int made = 1;
	pthread_t waiter;
	pid_t stays = fork(); /* so that wait() waits */

	if (stays == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	sigaction(SIGCHLD, &sa, NULL);
	OK(dtproc_open(NULL, &dt));
	pthread_create(&waiter, NULL, wait_for_all, &strangers);
	for (int i = 0; i < t_times(20, 200); i++) {
		struct dtproc_proc *p;
		struct dtproc_proc_status st;

		if (fork() == 0)
			_exit(33);
		made++;
		OK(dtproc_proc_create(dt, argv[0], argv, NULL, &p));
		OK(dtproc_proc_continue(p));
		OK(dtproc_proc_wait(p, 5000 * (int)t_slack()));
		dtproc_proc_status(p, &st);
		CHECK(st.run == DTPROC_EXITED && st.code == 7, "run %d code %d", st.run,
			st.code);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	}
	page_nap(50000000);
	CHECK(strangers == 0, "%d strangers in the client's wait", strangers);
	CHECK(child_signals <= made, "%d SIGCHLD for %d children", child_signals, made);
	over = 1;
	kill(stays, SIGKILL);
	pthread_join(waiter, NULL);
	dtproc_close(dt);
	check_no_keeper("created ones");
}

/* A client that ignores SIGCHLD gets no zombies and loses no status of a victim. */
static void ignores_children(void)
{
	char *argv[] = {"/bin/sh", "-c", "exit 7", NULL};

	signal(SIGCHLD, SIG_IGN);
	OK(dtproc_open(NULL, &dt));
	for (int i = 0; i < 10; i++) {
		struct dtproc_proc *p;
		struct dtproc_proc_status st;

		OK(dtproc_proc_create(dt, argv[0], argv, NULL, &p));
		OK(dtproc_proc_continue(p));
		OK(dtproc_proc_wait(p, 5000 * (int)t_slack()));
		dtproc_proc_status(p, &st);
		CHECK(st.run == DTPROC_EXITED && st.code == 7, "run %d code %d", st.run,
			st.code);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	}
	dtproc_close(dt);
	CHECK(WITHIN(1000, proc_children() == 0), "%d children", proc_children());
}

/*
 * A client that inherits orphans: init of a PID namespace, or a subreaper.  It may be the
 * parent of our processes then, but sees neither SIGCHLD nor a zombie, and its own wait
 * gets nothing of theirs.
 */
static void inherits_orphans(void)
{
	struct sigaction sa = {.sa_handler = on_child};
	char *argv[] = {"/bin/sh", "-c", "exit 7", NULL};
	char *none[] = {"/etc/passwd", NULL};
	int status;

	child_signals = 0;
	sigaction(SIGCHLD, &sa, NULL);
	OK(dtproc_open(NULL, &dt));
	for (int i = 0; i < t_times(5, 100); i++) {
		struct dtproc_proc *p;

		OK(dtproc_proc_create(dt, argv[0], argv, NULL, &p));
		CHECK(waitpid(-1, &status, WNOHANG) <= 0, "a stranger while it is held");
		OK(dtproc_proc_continue(p));
		OK(dtproc_proc_wait(p, 5000 * (int)t_slack()));
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		CHECK(dtproc_proc_create(dt, none[0], none, NULL, &p) < 0, "created");
		setenv("DTPROC_KEEPER", "/bin/false", 1);
		CHECK(dtproc_proc_create(dt, argv[0], argv, NULL, &p) < 0, "no keeper");
		setenv("DTPROC_KEEPER", t_built("src/keeper/dtproc-keeper"), 1);
	}
	dtproc_close(dt);
	page_nap(20000000);
	CHECK(child_signals == 0, "%d SIGCHLD", child_signals);
	CHECK(waitpid(-1, &status, WNOHANG) < 0 && errno == ECHILD, "strangers are left");
	CHECK(WITHIN(1000, proc_children() == 0), "%d children", proc_children());
}

static void subreaper(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	inherits_orphans();
}

/* Its /proc is its own as well, since keepers look there. */
static void be_init(void *arg)
{
	(void)arg;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("proc", "/proc", "proc", 0, NULL)) {
		t_note("no mount: this case is left out");
		t_leave();
	}
	inherits_orphans();
}

static void init_of_namespace(void)
{
	if (unshare(CLONE_NEWPID | CLONE_NEWNS)) {
		t_note("no PID namespace: this case is left out");
		return;
	}
	CHECK(wait_status(client_fork(be_init, NULL), 20000) == 0, "init failed");
}

/* ------------------------------------------------------------- inheritance (C1) */

/* Output of the program run by `start` with standard output to a file. */
static char *output_of(void (*start)(void))
{
	char path[] = "/tmp/dtproc-test-XXXXXX";
	char *text = calloc(1, 65536);
	int fd = mkostemp(path, O_CLOEXEC), status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		dup2(fd, 1);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		start();
		_exit(0);
	}
	status = wait_status(pid, 10000);
	CHECK(status == 0, "status %#x", status);
	CHECK(pread(fd, text, 65535, 0) > 0, "no output");
	close(fd);
	unlink(path);
	return text;
}

static char *const quoted[] = {"inherits", "two words", "", "a\"b", "$HOME *", NULL};

static void start_plain(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execv(t_built("tests/victims/inherits"), quoted);
		_exit(1);
	}
	wait_status(pid, 5000);
}

static void start_created(void)
{
	struct dtproc_proc *p;
	char line[700];

	snprintf(line, sizeof line, "%s 'two words' \"\" a\\\"b \"\\$HOME *\"",
		t_built("tests/victims/inherits"));
	if (dtproc_open(NULL, &dt) || dtproc_proc_create_command(dt, line, &p) ||
		dtproc_proc_continue(p) || dtproc_proc_wait(p, 20000)) {
		printf("failed: %s\n", dtproc_error_text());
		t_leave();
	}
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	dtproc_close(dt);
}

static void inheritance(void)
{
	struct rlimit files = {200, 300};
	sigset_t mask;
	char *plain, *created;

	CHECK(chdir("/usr") == 0, "chdir");
	umask(027);
	setenv("INHERITED", "yes", 1);
	setrlimit(RLIMIT_NOFILE, &files);
	CHECK(setpriority(PRIO_PROCESS, 0, 3) == 0, "nice");
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGPIPE);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGUSR2, SIG_IGN);
	CHECK(dup2(open("/dev/zero", O_RDONLY), 42) == 42, "dup2");
	plain = output_of(start_plain);
	created = output_of(start_created);
	CHECK(!strcmp(plain, created), "started by a shell:\n%sby us:\n%s", plain,
		created);
	CHECK(strstr(created, "descriptors") != NULL, "%s", created);
}

/* ---------------------------------------------------- keepers that die (H4, H5) */

static struct {
	int notices;
	enum dtproc_notice_kind kind;
	char text[200];
} told;

static void on_notice(const struct dtproc_notice *n, void *arg)
{
	(void)arg;
	told.notices++;
	told.kind = n->kind;
	snprintf(told.text, sizeof told.text, "%s", n->text);
}

/* H4: the keeper dies; the text is repaired before anybody is told. */
static void keeper_dies(void)
{
	struct vic v;

	OK(dtproc_open(NULL, &dt));
	dtproc_on_notice(dt, on_notice, NULL);
	for (int i = 0; i < t_times(5, 100) && !t_failures(); i++) {
		struct dtproc_proc *p;
		struct dtproc_bkpt *b;
		dtproc_addr at;

		memset(&told, 0, sizeof told);
		vic_start(&v, "hammer idle 3");
		OK(dtproc_proc_grab(dt, v.pid, 0, &p));
		OK(dtproc_proc_symbol(p, "a.out", "victim_target", &at, NULL));
		OK(dtproc_bkpt_add(p, at, nothing, NULL, &b));
		if (i % 2)
			OK(dtproc_proc_continue(p));
		kill((pid_t)proc_status(v.pid, "TracerPid"), SIGKILL);
		for (int j = 0; j < 200 && !told.notices; j++)
			CHECK(dtproc_sleep(dt, 100) >= 0, "%s", dtproc_error_text());
		CHECK(told.notices == 1 && told.kind == DTPROC_NOTICE_LOST,
			"%d notices, kind %d: %s", told.notices, told.kind, told.text);
		CHECK(proc_text_differs(v.pid) == 0, "told before the text was repaired");
		vic_check_free(&v, "keeper killed");
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		vic_end(&v);
	}
	dtproc_close(dt);
	check_no_keeper("keeper killed");
}

/*
 * H5, the last sentence: client and keeper killed in the same moment.  An idle victim
 * lives; of those that hammer the share is told, not judged.
 */
static int both_die(const char *line, int times)
{
	int alive = 0;

	for (int i = 0; i < times; i++) {
		struct vic v;
		struct cmd c;
		pid_t keeper;

		vic_start(&v, line);
		vic_go(&v);
		NEED(cmd_trace(&c, v.pid,
			     "pid$target:a.out:victim_target:entry { @ = count(); }"),
			"no trace");
		keeper = (pid_t)proc_status(v.pid, "TracerPid");
		t_pause(3000);
		kill(c.pid, SIGKILL);
		kill(keeper, SIGKILL);
		cmd_wait(&c, 2000);
		page_nap(30000000);
		alive += proc_alive(v.pid);
		cmd_forget(&c);
		vic_kill(&v);
	}
	return alive;
}

static void both_killed(void)
{
	int n = t_times(5, 100), idle, busy;

	idle = both_die("hammer idle 2", n);
	busy = both_die("hammer 2 0", n);
	CHECK(idle == n, "%d of %d idle victims live", idle, n);
	t_note("client and keeper killed together: %d of %d idle and %d of %d busy live",
		idle, n, busy, n);
}

static const struct t_case cases[] = {
	{"threads", threads, 30, 120},
	{"own-children", own_children, 30, 100},
	{"ignores-children", ignores_children, 0, 0},
	{"subreaper", subreaper, 30, 100},
	{"init-of-namespace", init_of_namespace, 30, 100},
	{"inheritance", inheritance, 0, 0},
	{"keeper-dies", keeper_dies, 30, 200},
	{"both-killed", both_killed, 30, 200},
};

T_MAIN(cases)
