/* SPDX-License-Identifier: BSD-2-Clause */
/* Control threads, and the ways control ends (A9 to A12, B). */
#include "hold_unit.h"

#include <base/slurp.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void *thread_sleep(void *arg)
{
	__atomic_store_n((pid_t *)arg, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	for (;;)
		pause();
	return NULL;
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
	struct dtproc_proc *p = create_sh(s, "while :; do sleep 1; done");
	pid_t pid = dtproc_proc_pid(p);

	assert_ok(dtproc_proc_continue(p));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	assert_int_equal(state_of(pid), 0);
	p = create_sh(s, "exec sleep 60");
	pid = dtproc_proc_pid(p);
	assert_ok(dtproc_proc_continue(p));
	dtproc_proc_release(p, DTPROC_RELEASE_RUN);
	assert_int_equal(tracer_of(pid), 0);
	assert_true(UNTIL(state_of(pid) == 'S'));
	kill(pid, SIGKILL);
	hold_close(s);
}

static void A11_unmonitored_then_monitored(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_sleep);
	struct dtproc_proc *a = NULL, *b;
	struct dtproc_bkpt *k = NULL;
	int before = count_threads();

	assert_ok(hold_grab(s, HOLD_FOR_CLIENT, pid, DTPROC_GRAB_UNMONITORED, &a));
	assert_int_equal(count_threads(), before);
	assert_int_equal(
		dtproc_bkpt_add(a, 1, (dtproc_bkpt_fn *)1, NULL, &k), DTPROC_ESTATE);
	assert_text("without a control thread");
	b = grab_control(s, pid);
	assert_ptr_equal(a, b);
	assert_int_equal(count_threads(), before + 1);
	dtproc_proc_release(a, DTPROC_RELEASE_DEFAULT);
	dtproc_proc_release(b, DTPROC_RELEASE_DEFAULT);
	/* One that was joined is in /proc for a moment more. */
	assert_true(UNTIL(count_threads() == before));
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
	p = create_sh(s, "exit 0");
	assert_int_equal(hold_target(s), dtproc_proc_pid(p));
	dtproc_proc_release(grab_control(s, pid), DTPROC_RELEASE_DEFAULT);
	assert_int_equal(hold_target(s), dtproc_proc_pid(p));
	dtproc_proc_release(lib, DTPROC_RELEASE_DEFAULT);
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
		if (slurp_file(path, comm, sizeof comm) > 0 &&
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
		struct dtproc_proc *p = create_sh(s, "exit 5");
		assert_int_equal(run_out(p), 5);
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
	struct dtproc_proc *p = create_sh(s, "exit 6");
	assert_int_equal(run_out(p), 6);
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
	if (hold_open(NULL, &s) || hold_create(s, HOLD_FOR_CLIENT, "sh", argv, NULL, &p))
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
		assert_int_equal(
			dtproc_proc_write(p, (dtproc_addr)(uintptr_t)&sigchld, &v, 4), 4);
		assert_ok(dtproc_proc_stop(p));
		t = now_ms() - t;
		worst = t > worst ? t : worst;
	}
	print_message("           slowest of 200 rounds: %d ms\n", (int)worst);
	assert_true(
		worst < 1500); /* the machine may be busy: a timer would show as more */
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

static void *wait_for_end(void *arg)
{
	return (void *)(intptr_t)dtproc_proc_wait(arg, 30000);
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
	assert_true(now_ms() - from < 5000);
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
		assert_true(UNTIL(count_threads() == threads));
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

static void *ask(void *arg)
{
	char byte;

	return (void *)(intptr_t)dtproc_proc_read(
		arg, (dtproc_addr)(uintptr_t)beat, &byte, 1);
}

/* I1: a child forked while threads have and await the handle can close the session. */
static void I1_a_forked_child_closes(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_beat);
	struct dtproc_proc *p = grab_control(s, pid);
	pthread_t waits, asks;
	int status;

	assert_ok(dtproc_proc_continue(p));
	assert_int_equal(pthread_create(&waits, NULL, wait_for_end, p), 0);
	assert_ok(dtproc_proc_lock(p));
	assert_int_equal(pthread_create(&asks, NULL, ask, p), 0);
	nap_ms(20);                         /* until both sleep */
	pthread_mutex_lock(&s->table_lock); /* as another thread might have */
	pid_t worker = fork();
	if (worker == 0) {
		alarm(10);
		hold_close(s);
		_exit(0);
	}
	pthread_mutex_unlock(&s->table_lock);
	waitpid(worker, &status, 0);
	assert_int_equal(status, 0);
	assert_true(tracer_of(pid) > 0);
	assert_ok(dtproc_proc_unlock(p));
	child_end(pid);
	pthread_join(waits, NULL);
	pthread_join(asks, NULL);
	hold_close(s);
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
		struct dtproc_proc *other;
		if (dtproc_proc_stop(p) != DTPROC_ESTATE ||
			hold_grab(s, HOLD_FOR_CLIENT, pid, 0, &other) != DTPROC_ESTATE)
			_exit(1);
		dtproc_proc_release(p, DTPROC_RELEASE_KILL);
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
		cmocka_unit_test(B2_reads_while_it_runs),
		cmocka_unit_test(B3_the_control_thread_takes_no_signal),
		cmocka_unit_test(B3_nothing_shows_in_the_clients_waits),
		cmocka_unit_test(B3_closed_standard_files),
		cmocka_unit_test(B3_a_subreaper_is_left_no_zombie),
		cmocka_unit_test(B4_requests_are_served_at_once),
		cmocka_unit_test(B5_ends_with_the_victim),
		cmocka_unit_test(B6_destroy_lets_an_idle_victim_run),
		cmocka_unit_test(B7_all_threads_stop),
		cmocka_unit_test(I1_a_forked_child_closes),
		cmocka_unit_test(a_forked_child_has_no_say),
	};

	return cmocka_run_group_tests(tests, shared_make, NULL);
}
