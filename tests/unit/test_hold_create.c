/* SPDX-License-Identifier: BSD-2-Clause */
/* What create and grab promise, and what their failures leave: nothing (C). */
#include "hold_unit.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* ------------------------------------------------------------ create (C1, C3) */

/* What `argv` prints when it is run by us (p) or by fork and exec, for comparison. */
static void output_of(struct hold_session *s, char *const argv[], char *out, size_t room)
{
	int fd[2], saved = fcntl(1, F_DUPFD_CLOEXEC, 3);
	ssize_t n;

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	fflush(stdout);
	dup2(fd[1], 1);
	if (s) {
		struct dtproc_proc *p = NULL;
		int rc = hold_create(s, HOLD_FOR_CLIENT, argv[0], argv, NULL, &p);
		dup2(saved, 1);
		assert_ok(rc);
		assert_int_equal(run_out(p), 0);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	} else {
		pid_t pid = fork();
		if (pid == 0)
			execvp(argv[0], argv);
		dup2(saved, 1);
		waitpid(pid, NULL, 0);
	}
	close(saved);
	n = read(fd[0], out, room - 1);
	assert_true(n > 0);
	out[n] = 0;
	close(fd[0]);
	close(fd[1]);
}

static void assert_same_output(struct hold_session *s, char *const argv[])
{
	char got[600], want[600];

	output_of(s, argv, got, sizeof got);
	output_of(NULL, argv, want, sizeof want);
	assert_string_equal(got, want);
}

/* C1: as a child of a shell would have it. */
static void C1_inherits_what_a_shell_gives(void **state)
{
	static char *const signals[] = {
		"grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status", NULL};
	static char *const rest[] = {"sh", "-c",
		"pwd; umask; ulimit -a; nice; ls /proc/self/fd | wc -l;"
		"cut -d' ' -f5,6,7 /proc/$$/stat",
		NULL};
	struct hold_session *s = session();
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGHUP, (void (*)(int))body_sleep); /* a handler must not survive */
	mode_t mask = umask(027);
	int extra = dup(0); /* is inherited */
	assert_same_output(s, signals);
	assert_same_output(s, rest);
	close(extra);
	umask(mask);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGUSR2, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	hold_close(s);
}

static void C1_a_script_without_interpreter_line(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc *p = NULL;
	char file[] = "/tmp/hold-script-XXXXXX";
	char *argv[] = {"x", "7", NULL};
	int fd = mkstemp(file);

	assert_int_equal(write(fd, "exit $1\n", 8), 8);
	fchmod(fd, 0755);
	close(fd);
	assert_ok(hold_create(s, HOLD_FOR_CLIENT, file, argv, NULL, &p));
	assert_int_equal(run_out(p), 7);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	unlink(file);
	hold_close(s);
}

static void C1_command_and_environment(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc *p = NULL;
	char *argv[] = {"sh", "-c", "test \"$A$HOME\" = b && exit 9", NULL};
	char *envp[] = {"A=b", NULL};

	assert_ok(hold_create(s, HOLD_FOR_CLIENT, "sh", argv, envp, &p));
	assert_int_equal(run_out(p), 9);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	assert_ok(hold_create_command(s, HOLD_FOR_CLIENT, "sh -c 'exit 4'", &p));
	assert_int_equal(run_out(p), 4);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
}

/* C1, C3: what the kernel itself refuses (a broken interpreter, a broken format). */
static void C3_a_failed_create_leaves_nothing(void **state)
{
	int fds = count_fds(), threads = count_threads();
	struct hold_session *s = session();
	struct dtproc_proc *p = NULL;
	char file[] = "/tmp/hold-broken-XXXXXX";
	char *argv[] = {"x", NULL};
	int fd = mkstemp(file), status;

	assert_true(write(fd, "#!/nonesuch\n", 12) == 12);
	fchmod(fd, 0755);
	close(fd);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(hold_create(s, HOLD_FOR_CLIENT, file, argv, NULL, &p),
			DTPROC_ENOEXEC);
		assert_text("cannot execute '/tmp/hold-broken-");
		assert_text("': No such file or directory");
	}
	assert_null(p);
	unlink(file);
	hold_close(s);
	assert_int_equal(waitpid(-1, &status, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(count_fds(), fds);
	assert_true(UNTIL(count_threads() == threads));
}

static void C3_no_keeper_no_create(void **state)
{
	int fds = count_fds();
	struct hold_session *s = session();
	char *argv[] = {"true", NULL}, *keeper = getenv("DTPROC_KEEPER");
	struct dtproc_proc *p = NULL;

	keeper = keeper ? strdup(keeper) : NULL; /* NULL: it is found beside us */

	setenv("DTPROC_KEEPER", "/tmp/no-such-keeper", 1);
	assert_int_equal(
		hold_create(s, HOLD_FOR_CLIENT, "true", argv, NULL, &p), DTPROC_EKEEPER);
	assert_text(
		"cannot start the keeper /tmp/no-such-keeper: No such file or directory");
	setenv("DTPROC_KEEPER", "/bin/true", 1); /* one that says nothing */
	assert_true(hold_create(s, HOLD_FOR_CLIENT, "true", argv, NULL, &p) < 0);
	unsetenv("DTPROC_KEEPER");
	if (keeper)
		setenv("DTPROC_KEEPER", keeper, 1);
	free(keeper);
	hold_close(s);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
}

/* Runs `body` in a client of its own; its status is 0, and the victim runs on. */
static void assert_client_leaves_nothing(int (*body)(pid_t victim))
{
	int status;
	pid_t victim = child_run(body_beat), tester = fork();

	if (tester == 0)
		_exit(body(victim));
	waitpid(tester, &status, 0);
	long before = shared->count;
	int runs = UNTIL(shared->count > before);
	child_end(victim);
	assert_int_equal(status, 0);
	assert_true(runs);
}

/* From now on this process can fork, but have no more threads. */
static int forbid_threads(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
		BPF_STMT(
			BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {COUNT_OF(code), code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

static int grab_without_threads(pid_t victim)
{
	struct hold_session *s = NULL;
	int fds = count_fds();

	if (hold_open(NULL, &s) || forbid_threads())
		return 1;
	if (grab_fails(s, victim) != DTPROC_ESYS)
		return 2;
	if (!strstr(err_text(), "cannot start the control thread: Resource temporarily"))
		return 3;
	hold_close(s);
	return tracer_of(victim) != 0 ? 4 : count_fds() != fds ? 5 : 0;
}

/* C3: a control thread that cannot be started undoes the grab, and says why. */
static void C3_no_control_thread_no_grab(void **state)
{
	assert_client_leaves_nothing(grab_without_threads);
}

/* Grabs and creates with ever more descriptors to be had; what failed left nothing. */
static int with_few_descriptors(pid_t victim)
{
	struct rlimit limit = {20000, 20000};
	struct hold_session *s = NULL;
	char *argv[] = {"true", NULL};
	int fds = count_fds(), failed = 0, worked = 0, threads;

	if (hold_open(NULL, &s) || grab_fails(s, victim))
		return 1;
	threads = count_threads();
	for (int room = 1; room < 24; room++) {
		struct dtproc_proc *p = NULL, *q = NULL;
		limit.rlim_cur = (rlim_t)fds + (rlim_t)room;
		setrlimit(RLIMIT_NOFILE, &limit);
		int rc = hold_grab(s, HOLD_FOR_CLIENT, victim, 0, &p);
		int rc2 = hold_create(s, HOLD_FOR_CLIENT, "true", argv, NULL, &q);
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		failed += (rc != 0) + (rc2 != 0);
		worked += (rc == 0) + (rc2 == 0);
		if (rc == 0)
			dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		if (rc2 == 0)
			dtproc_proc_release(q, DTPROC_RELEASE_DEFAULT);
		/* directory and eventfd of the session are open while we count */
		if (tracer_of(victim) != 0 || count_fds() != fds + 1)
			return 2;
		if (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
			return 3;
	}
	hold_close(s);
	return failed > 5 && worked > 5 && UNTIL(count_threads() == threads) ? 0 : 4;
}

static void C3_no_descriptors_left(void **state)
{
	assert_client_leaves_nothing(with_few_descriptors);
}

/* C3: create returns a victim that is stopped before its first instruction. */
static void C3_stopped_until_continue(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc *p = create_sh(s, "exit 3");

	nap_ms(50);
	assert_int_equal(run_of(p), DTPROC_IDLE);
	assert_int_equal(state_of(dtproc_proc_pid(p)), 't');
	assert_int_equal(run_out(p), 3);
	assert_int_equal(dtproc_proc_stop(p), DTPROC_EEXITED);
	assert_text("exited with status 3");
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
}

/* --------------------------------------------------------------- grab (C2, C3) */

static void *thread_sleep(void *arg)
{
	__atomic_store_n((pid_t *)arg, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	for (;;)
		pause();
	return NULL;
}

static void body_thread(void)
{
	pthread_t t;
	pid_t tid = 0;

	pthread_create(&t, NULL, thread_sleep, &tid);
	while (!__atomic_load_n(&tid, __ATOMIC_SEQ_CST))
		usleep(100);
	shared->value = tid;
	body_sleep();
}

static void C2_who_cannot_be_grabbed(void **state)
{
	struct hold_session *s = session();

	assert_int_equal(grab_fails(s, 999999999), DTPROC_ENOPROC);
	assert_string_equal(err_text(), "failed to grab pid 999999999: no such process");
	assert_int_equal(grab_fails(s, getpid()), DTPROC_ESELF);
	shared->value = 0;
	pid_t pid = child_run(body_thread);
	assert_true(UNTIL(shared->value));
	assert_int_equal(grab_fails(s, (pid_t)shared->value), DTPROC_ENOPROC);
	assert_text("is a thread of process");
	struct dtproc_proc *p = grab_control(s, pid);
	assert_int_equal(grab_fails(s, tracer_of(pid)), DTPROC_ESELF);
	assert_text("keeper");
	/* Held by another session, so by another tracer. */
	struct hold_session *other = session();
	assert_int_equal(grab_fails(other, pid), DTPROC_ETRACED);
	assert_text("already traced by pid");
	assert_text("(dtproc-keeper)");
	hold_close(other);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

static void body_exec_sleep(void)
{
	execl("/bin/sleep", "sleep", "60", (char *)NULL);
}

static int as_nobody(pid_t other, pid_t undumpable)
{
	struct hold_session *s = NULL;

	if (setgid(65534) || setuid(65534) || hold_open(NULL, &s))
		return 1;
	if (grab_fails(s, other) != DTPROC_EPERM ||
		!strstr(err_text(), "another user (root)"))
		return 2;
	if (grab_fails(s, undumpable) != DTPROC_EPERM ||
		!strstr(err_text(), "not dumpable"))
		return 3;
	/* A change of user takes dumpability away; an exec gives it back. */
	pid_t own = child_run(body_exec_sleep);
	if (!UNTIL(comm_is(own, "sleep")) || grab_fails(s, own) != 0)
		return 4;
	child_end(own);
	hold_close(s);
	return 0;
}

static int create_undumpable(void)
{
	struct hold_session *s = NULL;
	struct dtproc_proc *p = NULL;
	char *argv[] = {"true", NULL};

	if (setgid(65534) || setuid(65534) || hold_open(NULL, &s))
		return 1;
	if (hold_create(s, HOLD_FOR_CLIENT, "true", argv, NULL, &p) != DTPROC_EPERM)
		return 2;
	return strstr(err_text(), "this very process is not dumpable") ? 0 : 3;
}

/* C3: a client that is not dumpable is told so. */
static void C3_an_undumpable_client(void **state)
{
	int status;

	if (geteuid() != 0)
		skip(); /* needs two users */
	pid_t tester = fork();
	if (tester == 0)
		_exit(create_undumpable());
	waitpid(tester, &status, 0);
	assert_int_equal(status, 0);
}

static void body_undumpable(void)
{
	if (setgid(65534) || setuid(65534))
		_exit(1);
	prctl(PR_SET_DUMPABLE, 0);
	shared->stage = 1;
	body_sleep();
}

/* C2, as an ordinary user: whose it is, and why not. */
static void C2_permission_denied_by_what(void **state)
{
	int status;

	if (geteuid() != 0)
		skip(); /* needs two users */
	shared->stage = 0;
	pid_t other = child_run(body_sleep), undumpable = child_run(body_undumpable);
	assert_true(UNTIL(shared->stage == 1));
	pid_t tester = fork();
	if (tester == 0)
		_exit(as_nobody(other, undumpable));
	waitpid(tester, &status, 0);
	child_end(other);
	child_end(undumpable);
	assert_int_equal(status, 0);
}

/* C2: a victim that gdb or the like has. */
static void C2_already_traced(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_sleep);
	char want[100];
	struct dtproc_proc *p;

	assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	assert_int_equal(grab_fails(s, pid), DTPROC_ETRACED);
	snprintf(want, sizeof want, "already traced by pid %d (test_hold_creat)",
		getpid());
	assert_text(want);
	p = grab_rdonly(s, pid); /* reading it is another matter */
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

/* C6 */
static void C6_continue_of_a_running_victim(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_beat);
	struct dtproc_proc *p = grab_control(s, pid);

	assert_ok(dtproc_proc_continue(p));
	assert_int_equal(run_of(p), DTPROC_RUNNING);
	for (int i = 0; i < 100; i++)
		assert_ok(dtproc_proc_continue(p));
	assert_ok(dtproc_proc_stop(p));
	long before = shared->count;
	nap_ms(20);
	assert_int_equal(shared->count, before);
	assert_ok(dtproc_proc_continue(p));
	assert_true(UNTIL(shared->count > before));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(C1_inherits_what_a_shell_gives),
		cmocka_unit_test(C1_a_script_without_interpreter_line),
		cmocka_unit_test(C1_command_and_environment),
		cmocka_unit_test(C3_a_failed_create_leaves_nothing),
		cmocka_unit_test(C3_no_keeper_no_create),
		cmocka_unit_test(C3_no_control_thread_no_grab),
		cmocka_unit_test(C3_no_descriptors_left),
		cmocka_unit_test(C3_stopped_until_continue),
		cmocka_unit_test(C2_who_cannot_be_grabbed),
		cmocka_unit_test(C2_permission_denied_by_what),
		cmocka_unit_test(C3_an_undumpable_client),
		cmocka_unit_test(C2_already_traced),
		cmocka_unit_test(C6_continue_of_a_running_victim),
	};

	return cmocka_run_group_tests(tests, shared_make, NULL);
}
