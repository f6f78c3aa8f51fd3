/* SPDX-License-Identifier: BSD-2-Clause */
/* Create, grab, control threads and the ways control ends (A9 to A12, B, C). */
#include "hold_unit.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static struct dtproc_proc *create(struct hold_session *s, const char *script)
{
	char *argv[] = {"sh", "-c", (char *)script, NULL};
	struct dtproc_proc *p = NULL;

	assert_ok(hold_create(s, HOLD_FOR_CLIENT, "sh", argv, NULL, &p));
	return p;
}

/* Runs it to its end; its exit status, or -1 and worse. */
static int finish(struct dtproc_proc *p)
{
	struct dtproc_proc_status st;

	assert_ok(dtproc_proc_continue(p));
	assert_ok(dtproc_proc_wait(p, 10000));
	dtproc_proc_status(p, &st);
	return st.run == DTPROC_EXITED ? st.code : -st.code - 1;
}

/* The error of a control grab; 0: it succeeded, and was given back. */
static int grab_fails(struct hold_session *s, pid_t pid)
{
	struct dtproc_proc *p = NULL;
	int rc = hold_grab(s, HOLD_FOR_CLIENT, pid, 0, &p);

	if (rc == 0)
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	return rc;
}

/* ------------------------------------------------------------------ releases */

static void A9_release_modes(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_beat);

	dtproc_proc_release(grab_control(s, pid), DTPROC_RELEASE_DEFAULT);
	assert_int_equal(tracer_of(pid), 0);
	assert_true(strchr("SR", state_of(pid)) != NULL);
	dtproc_proc_release(grab_control(s, pid), DTPROC_RELEASE_STOPPED);
	assert_true(UNTIL(state_of(pid) == 'T'));
	assert_int_equal(tracer_of(pid), 0);
	kill(pid, SIGCONT);
	assert_true(UNTIL(state_of(pid) != 'T'));
	dtproc_proc_release(grab_control(s, pid), DTPROC_RELEASE_RUN);
	assert_int_equal(tracer_of(pid), 0);
	dtproc_proc_release(grab_control(s, pid), DTPROC_RELEASE_KILL);
	assert_true(UNTIL(state_of(pid) == 'Z'));
	child_end(pid);
	hold_close(s);
}

/* A10: killed and gone when the release returns; run instead when asked. */
static void A10_created_is_killed_at_last_close(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc *p = create(s, "while :; do sleep 1; done");
	pid_t pid = dtproc_proc_pid(p);

	assert_ok(dtproc_proc_continue(p));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	assert_int_equal(state_of(pid), 0);
	p = create(s, "exec sleep 60");
	pid = dtproc_proc_pid(p);
	assert_ok(dtproc_proc_continue(p));
	dtproc_proc_release(p, DTPROC_RELEASE_RUN);
	nap_ms(20);
	assert_int_equal(tracer_of(pid), 0);
	assert_true(strchr("SR", state_of(pid)) != NULL);
	kill(pid, SIGKILL);
	hold_close(s);
}

static int dtproc_threads(void)
{
	return count_threads();
}

static void A11_unmonitored_then_monitored(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_sleep);
	struct dtproc_proc *a = NULL, *b;
	struct dtproc_bkpt *k = NULL;
	int before = dtproc_threads();

	assert_ok(hold_grab(s, HOLD_FOR_CLIENT, pid, DTPROC_GRAB_UNMONITORED, &a));
	assert_int_equal(dtproc_threads(), before);
	assert_int_equal(dtproc_bkpt_add(a, 1, (dtproc_bkpt_fn *)1, NULL, &k), DTPROC_ESTATE);
	assert_text("without a control thread");
	b = grab_control(s, pid);
	assert_ptr_equal(a, b);
	assert_int_equal(dtproc_threads(), before + 1);
	dtproc_proc_release(a, DTPROC_RELEASE_DEFAULT);
	dtproc_proc_release(b, DTPROC_RELEASE_DEFAULT);
	assert_int_equal(dtproc_threads(), before);
	child_end(pid);
	hold_close(s);
}

/* An unmonitored handle learns of the end when somebody asks. */
static void A11_unmonitored_end(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_sleep);
	struct dtproc_proc *p = NULL;

	assert_ok(hold_grab(s, HOLD_FOR_CLIENT, pid, DTPROC_GRAB_UNMONITORED, &p));
	assert_ok(dtproc_proc_continue(p));
	assert_int_equal(dtproc_proc_wait(p, 20), DTPROC_ETIMEOUT);
	kill(pid, SIGKILL);
	assert_ok(dtproc_proc_wait(p, 5000));
	assert_int_equal(run_of(p), DTPROC_KILLED);
	assert_int_equal(dtproc_proc_stop(p), DTPROC_EKILLED);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

static void A12_the_first_victim_is_the_target(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_sleep);
	struct dtproc_proc *lib = grab_rdonly(s, pid), *p;

	assert_int_equal(hold_target(s), 0); /* the library's own grabs do not count */
	p = create(s, "exit 0");
	assert_int_equal(hold_target(s), dtproc_proc_pid(p));
	dtproc_proc_release(grab_control(s, pid), DTPROC_RELEASE_DEFAULT);
	assert_int_equal(hold_target(s), dtproc_proc_pid(p));
	dtproc_proc_release(lib, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

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
		assert_int_equal(finish(p), 0);
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
		"cut -d' ' -f5,6,7 /proc/$$/stat", NULL};
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
	assert_int_equal(finish(p), 7);
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
	assert_int_equal(finish(p), 9);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	assert_ok(hold_create_command(s, HOLD_FOR_CLIENT, "sh -c 'exit 4'", &p));
	assert_int_equal(finish(p), 4);
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
	assert_int_equal(count_threads(), threads);
}

static void C3_no_keeper_no_create(void **state)
{
	int fds = count_fds();
	struct hold_session *s = session();
	char *argv[] = {"true", NULL}, *keeper = getenv("DTPROC_KEEPER");
	struct dtproc_proc *p = NULL;

	keeper = keeper ? strdup(keeper) : NULL; /* NULL: it is found beside us */

	setenv("DTPROC_KEEPER", "/tmp/no-such-keeper", 1);
	assert_int_equal(hold_create(s, HOLD_FOR_CLIENT, "true", argv, NULL, &p),
		DTPROC_EKEEPER);
	assert_text("cannot start the keeper /tmp/no-such-keeper: No such file or directory");
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

/* From now on this process can fork, but have no more threads. */
static int forbid_threads(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
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
	int status;
	pid_t victim = child_run(body_beat), tester = fork();

	if (tester == 0)
		_exit(grab_without_threads(victim));
	waitpid(tester, &status, 0);
	long before = shared->count;
	int runs = UNTIL(shared->count > before);
	child_end(victim);
	assert_int_equal(status, 0);
	assert_true(runs);
}

/* C3: create returns a victim that is stopped before its first instruction. */
static void C3_stopped_until_continue(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc *p = create(s, "exit 3");

	nap_ms(50);
	assert_int_equal(run_of(p), DTPROC_IDLE);
	assert_int_equal(state_of(dtproc_proc_pid(p)), 't');
	assert_int_equal(finish(p), 3);
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
	assert_string_equal(
		err_text(), "failed to grab pid 999999999: no such process");
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
	if (grab_fails(s, other) != DTPROC_EPERM || !strstr(err_text(), "another user (root)"))
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
	snprintf(want, sizeof want, "already traced by pid %d (test_hold_contr)", getpid());
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

/* ------------------------------------------------------- control threads (B) */

/* B1, B2: while the victim runs anybody can read it. */
static void B2_reads_while_it_runs(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_beat);
	struct dtproc_proc *p = grab_control(s, pid);
	struct shared *at = NULL;

	assert_ok(dtproc_proc_continue(p));
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(dtproc_proc_read(p, (dtproc_addr)(uintptr_t)&shared, &at,
					 sizeof at),
			sizeof at);
		assert_ptr_equal(at, shared);
	}
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

static uint64_t mask_of(pid_t tid, const char *field)
{
	char path[80], line[200];
	unsigned long long v = 0;

	snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, field, strlen(field)))
			sscanf(line + strlen(field), "%llx", &v);
	if (f)
		fclose(f);
	return v;
}

static pid_t find_control_thread(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	pid_t found = 0;

	while ((e = readdir(d))) {
		char path[300], comm[40] = "";
		snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
		if (victim_slurp(path, comm, sizeof comm) > 0 &&
				!strcmp(comm, "dtproc-control\n"))
			found = atoi(e->d_name);
	}
	closedir(d);
	return found;
}

static void B3_the_control_thread_takes_no_signal(void **state)
{
	static const int open[] = {
		SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP};
	struct hold_session *s = session();
	pid_t pid = child_run(body_sleep);
	struct dtproc_proc *p = grab_control(s, pid);
	pid_t tid;

	assert_true(UNTIL((tid = find_control_thread()) != 0));
	uint64_t blocked = mask_of(tid, "SigBlk:");
	for (int sig = 1; sig <= 64; sig++) {
		int should = sig != SIGKILL && sig != SIGSTOP && sig != 32 && sig != 33;
		for (size_t i = 0; i < COUNT_OF(open); i++)
			should &= sig != open[i];
		if (should && !(blocked >> (sig - 1) & 1))
			fail_msg("signal %d is not blocked", sig);
		if (!should && sig < 32 && (blocked >> (sig - 1) & 1))
			fail_msg("signal %d is blocked", sig);
	}
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

static int quit_waiting, stolen;

static void *wait_for_anybody(void *arg)
{
	while (!__atomic_load_n(&quit_waiting, __ATOMIC_SEQ_CST)) {
		if (waitpid(-1, NULL, WNOHANG | WUNTRACED | WCONTINUED) > 0)
			__atomic_add_fetch(&stolen, 1, __ATOMIC_SEQ_CST);
		usleep(50);
	}
	return NULL;
}

static volatile int sigchld;

static void count_sigchld(int sig)
{
	sigchld++;
}

/* B3: a client that waits for everybody, and one that ignores SIGCHLD. */
static void B3_nothing_shows_in_the_clients_waits(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_beat);
	pthread_t t;

	signal(SIGCHLD, count_sigchld);
	sigchld = quit_waiting = stolen = 0;
	pthread_create(&t, NULL, wait_for_anybody, NULL);
	for (int i = 0; i < 5; i++) {
		struct dtproc_proc *p = create(s, "exit 5");
		assert_int_equal(finish(p), 5);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		p = grab_control(s, pid);
		assert_ok(dtproc_proc_continue(p));
		assert_ok(dtproc_proc_stop(p));
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	}
	__atomic_store_n(&quit_waiting, 1, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
	assert_int_equal(stolen, 0);
	assert_int_equal(sigchld, 0);
	signal(SIGCHLD, SIG_IGN);
	struct dtproc_proc *p = create(s, "exit 6");
	assert_int_equal(finish(p), 6);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	signal(SIGCHLD, SIG_DFL);
	child_end(pid);
	hold_close(s);
}

/* B3: a client without 0, 1 and 2 must not find ours there. */
static int without_standard_files(void)
{
	struct hold_session *s = NULL;
	struct dtproc_proc *p = NULL;
	char *argv[] = {"sh", "-c", "test ! -e /proc/$$/fd/0 && exit 7", NULL};
	struct dtproc_proc_status st;

	for (int i = 0; i < 3; i++)
		close(i);
	if (hold_open(NULL, &s) ||
			hold_create(s, HOLD_FOR_CLIENT, "sh", argv, NULL, &p))
		return 1;
	for (int i = 0; i < 3; i++)
		if (fcntl(i, F_GETFD) >= 0)
			return 2;
	if (dtproc_proc_continue(p) || dtproc_proc_wait(p, 5000))
		return 3;
	dtproc_proc_status(p, &st);
	hold_close(s);
	return st.run == DTPROC_EXITED && st.code == 7 ? 0 : 4;
}

static void B3_closed_standard_files(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(without_standard_files());
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* B4: requests are served at once, while the victim runs and sleeps alike. */
static void B4_requests_are_served_at_once(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_sleep);
	struct dtproc_proc *p = grab_control(s, pid);
	uint64_t worst = 0;
	long v = 0;

	for (int i = 0; i < 200; i++) {
		uint64_t t = now_ms();
		assert_ok(dtproc_proc_continue(p));
		assert_int_equal(dtproc_proc_write(p, (dtproc_addr)(uintptr_t)&sigchld, &v, 4),
			4);
		assert_ok(dtproc_proc_stop(p));
		t = now_ms() - t;
		worst = t > worst ? t : worst;
	}
	print_message("           slowest of 200 rounds: %d ms\n", (int)worst);
	assert_true(worst < 250); /* the machine may be busy: a timer would show as more */
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

static void *wait_for_end(void *arg)
{
	return (void *)(intptr_t)dtproc_proc_wait(arg, 10000);
}

/* B5: the thread ends by itself and whoever waits is woken. */
static void B5_ends_with_the_victim(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_sleep);
	int before = count_threads();
	struct dtproc_proc *p = grab_control(s, pid);
	pthread_t t[3];
	void *rc;

	assert_ok(dtproc_proc_continue(p));
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, wait_for_end, p);
	nap_ms(10);
	uint64_t from = now_ms();
	kill(pid, SIGKILL);
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], &rc);
		assert_int_equal((intptr_t)rc, 0);
	}
	assert_true(now_ms() - from < 1000);
	assert_true(UNTIL(count_threads() == before));
	assert_int_equal(run_of(p), DTPROC_KILLED);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

/* B6: an idle victim runs again, nothing of ours is left. */
static void B6_destroy_lets_an_idle_victim_run(void **state)
{
	int fds = count_fds(), threads = count_threads();
	struct hold_session *s = session();
	pid_t pid = child_run(body_beat);

	for (int i = 0; i < 5; i++) {
		struct dtproc_proc *p = grab_control(s, pid);
		long before = shared->count;
		pid_t keeper = tracer_of(pid);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		assert_true(UNTIL(shared->count > before));
		assert_int_equal(count_threads(), threads);
		assert_true(UNTIL(state_of(keeper) == 0 || state_of(keeper) == 'Z'));
	}
	child_end(pid);
	hold_close(s);
	assert_int_equal(count_fds(), fds);
}

static void *thread_nothing(void *arg)
{
	return arg;
}

static void body_threads(void)
{
	pthread_t t[8];
	pid_t tid[8];

	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, thread_sleep, &tid[i]);
	nap_ms(20);
	shared->stage = 1;
	for (;;) {
		pthread_t one;
		pthread_create(&one, NULL, thread_nothing, NULL);
		pthread_join(one, NULL);
		shared->count++;
	}
}

/* B7: all threads stop, those born meanwhile too. */
static void B7_all_threads_stop(void **state)
{
	struct hold_session *s = session();

	shared->stage = 0;
	pid_t pid = child_run(body_threads);
	assert_true(UNTIL(shared->stage));
	struct dtproc_proc *p = grab_control(s, pid);
	for (int i = 0; i < 20; i++) {
		char dir[40];
		snprintf(dir, sizeof dir, "/proc/%d/task", pid);
		DIR *d = opendir(dir);
		for (struct dirent *e; (e = readdir(d));) {
			int tid = atoi(e->d_name);
			/* One that is on its way out of the kernel ends by itself. */
			if (tid && !UNTIL(strchr("tXZ", state_of(tid))))
				fail_msg("thread %d is in state %c", tid, state_of(tid));
		}
		closedir(d);
		assert_ok(dtproc_proc_continue(p));
		nap_ms(2);
		assert_ok(dtproc_proc_stop(p));
	}
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

/* The client may be a subreaper: then the keepers are its children in the end. */
static int as_subreaper(void)
{
	struct hold_session *s = NULL;
	pid_t pid = child_run(body_sleep);

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (hold_open(NULL, &s) || grab_fails(s, pid))
		return 1;
	child_end(pid);
	hold_close(s);
	return waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD ? 0 : 2;
}

static void B3_a_subreaper_is_left_no_zombie(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(as_subreaper());
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* H5's small brother: a forked worker of the client must not end our control. */
static void a_forked_child_has_no_say(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_beat);
	struct dtproc_proc *p = grab_control(s, pid);
	int status;

	assert_ok(dtproc_proc_continue(p));
	pid_t worker = fork();
	if (worker == 0) {
		hold_close(s);
		_exit(0);
	}
	waitpid(worker, &status, 0);
	assert_int_equal(status, 0);
	assert_true(tracer_of(pid) > 0);
	assert_ok(dtproc_proc_stop(p));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(A9_release_modes),
		cmocka_unit_test(A10_created_is_killed_at_last_close),
		cmocka_unit_test(A11_unmonitored_then_monitored),
		cmocka_unit_test(A11_unmonitored_end),
		cmocka_unit_test(A12_the_first_victim_is_the_target),
		cmocka_unit_test(C1_inherits_what_a_shell_gives),
		cmocka_unit_test(C1_a_script_without_interpreter_line),
		cmocka_unit_test(C1_command_and_environment),
		cmocka_unit_test(C3_a_failed_create_leaves_nothing),
		cmocka_unit_test(C3_no_keeper_no_create),
		cmocka_unit_test(C3_no_control_thread_no_grab),
		cmocka_unit_test(C3_stopped_until_continue),
		cmocka_unit_test(C2_who_cannot_be_grabbed),
		cmocka_unit_test(C2_permission_denied_by_what),
		cmocka_unit_test(C2_already_traced),
		cmocka_unit_test(C6_continue_of_a_running_victim),
		cmocka_unit_test(B2_reads_while_it_runs),
		cmocka_unit_test(B3_the_control_thread_takes_no_signal),
		cmocka_unit_test(B3_nothing_shows_in_the_clients_waits),
		cmocka_unit_test(B3_closed_standard_files),
		cmocka_unit_test(B3_a_subreaper_is_left_no_zombie),
		cmocka_unit_test(B4_requests_are_served_at_once),
		cmocka_unit_test(B5_ends_with_the_victim),
		cmocka_unit_test(B6_destroy_lets_an_idle_victim_run),
		cmocka_unit_test(B7_all_threads_stop),
		cmocka_unit_test(a_forked_child_has_no_say),
	};

	return cmocka_run_group_tests(tests, shared_make, NULL);
}
