/* SPDX-License-Identifier: BSD-2-Clause */
/* Stops by others, notices, and the keeper's death (G, H). */
#include "hold_unit.h"

#include <sys/syscall.h>

struct told {
	int n;
	enum dtproc_notice_kind kind[8];
	int code[8];
	pid_t pid[8];
	char text[8][200];
	int release;                /* the handler gives the handle back */
	struct hold_session *again; /* and sleeps once more */
};

static void on_notice(const struct dtproc_notice *n, void *arg)
{
	struct told *t = arg;

	if (t->n < 8) {
		t->kind[t->n] = n->kind;
		t->code[t->n] = n->code;
		t->pid[t->n] = n->pid;
		snprintf(t->text[t->n], sizeof t->text[0], "%s", n->text);
	}
	t->n++;
	assert_int_equal(dtproc_proc_pid(n->proc), n->pid);
	if (t->release)
		dtproc_proc_release(n->proc, DTPROC_RELEASE_DEFAULT);
	if (t->again)
		assert_int_equal(hold_deliver(t->again), 0);
	assert_int_equal(dtproc_proc_pid(n->proc), n->pid); /* still its memory */
}

/* Waits for the session's descriptor, then delivers. */
static int deliver(struct hold_session *s, int timeout_ms)
{
	struct pollfd p = {.fd = hold_fd(s), .events = POLLIN};

	return poll(&p, 1, timeout_ms) > 0 ? hold_deliver(s) : 0;
}

static void H1_how_it_ended(void **state)
{
	struct hold_session *s = session();
	struct told t = {0};
	char want[100];

	hold_on_notice(s, on_notice, &t);
	struct dtproc_proc *a = create_sh(s, "exit 3"),
			   *b = create_sh(s, "kill -SEGV $$");
	assert_int_equal(hold_deliver(s), 0);
	assert_ok(dtproc_proc_continue(a));
	assert_true(deliver(s, 5000) == 1);
	assert_ok(dtproc_proc_continue(b));
	assert_true(deliver(s, 5000) == 1);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.kind[0], DTPROC_NOTICE_EXITED);
	assert_int_equal(t.code[0], 3);
	snprintf(want, sizeof want, "pid %d exited with status 3", dtproc_proc_pid(a));
	assert_string_equal(t.text[0], want);
	assert_int_equal(t.kind[1], DTPROC_NOTICE_KILLED);
	assert_int_equal(t.code[1], SIGSEGV);
	snprintf(want, sizeof want, "pid %d terminated by SIGSEGV", dtproc_proc_pid(b));
	assert_string_equal(t.text[1], want);
	assert_int_equal(hold_deliver(s), 0);
	dtproc_proc_release(a, DTPROC_RELEASE_DEFAULT);
	dtproc_proc_release(b, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
}

/* H1: the handler may release the handle, and sleep again. */
static void H1_a_handler_releases(void **state)
{
	int fds = count_fds();
	struct hold_session *s = session();
	struct told t = {.release = 1, .again = s};

	hold_on_notice(s, on_notice, &t);
	for (int i = 0; i < 4; i++)
		assert_ok(dtproc_proc_continue(create_sh(s, "exit 1")));
	uint64_t end = now_ms() + 20000;
	while (t.n < 4 && now_ms() < end)
		deliver(s, 100);
	assert_int_equal(t.n, 4);
	assert_true(list_empty(&s->all));
	hold_close(s);
	assert_int_equal(count_fds(), fds);
}

/* H2: at once; H1: in order for each victim. */
static void H2_sleep_wakes_and_order_is_kept(void **state)
{
	struct hold_session *s = session();
	struct told t = {0};
	pid_t pid = child_run(body_sleep);
	struct dtproc_proc *p = grab_control(s, pid);

	hold_on_notice(s, on_notice, &t);
	assert_ok(dtproc_proc_continue(p));
	hold_notice_error(p, "first");
	hold_notice_error(p, "second");
	kill(pid, SIGKILL);
	uint64_t from = now_ms(), end = from + 20000;
	while (t.n < 3 && now_ms() < end)
		deliver(s, 10000);
	assert_int_equal(t.n, 3);
	assert_true(now_ms() - from < 5000);
	assert_int_equal(t.kind[0], DTPROC_NOTICE_ERROR);
	assert_string_equal(t.text[0], "first");
	assert_string_equal(t.text[1], "second");
	assert_int_equal(t.kind[2], DTPROC_NOTICE_KILLED);
	assert_int_equal(deliver(s, 0), 0); /* not readable when there is nothing */
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

static void H3_a_destroyed_handle_has_no_notices(void **state)
{
	struct hold_session *s = session();
	struct told t = {0};
	pid_t pid = child_run(body_sleep), other = child_run(body_sleep);
	struct dtproc_proc *p = grab_control(s, pid), *q = grab_control(s, other);

	hold_on_notice(s, on_notice, &t);
	hold_notice_error(p, "of p");
	hold_notice_error(q, "of q");
	hold_notice_error(p, "of p");
	assert_ok(dtproc_proc_continue(p));
	kill(pid, SIGKILL);
	assert_ok(dtproc_proc_wait(p, 5000));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	hold_deliver(s);
	assert_int_equal(t.n, 1);
	assert_string_equal(t.text[0], "of q");
	hold_notice_error(q, "never told");
	hold_close(s);
	child_end(pid);
	child_end(other);
}

/* --------------------------------------------------------- the keeper dies (H4) */

static void nothing(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	__atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static void body_beat_rarely(void)
{
	for (;;) {
		while (!shared->stage)
			usleep(500);
		beat();
		shared->stage = 0;
	}
}

static long arm_raised(struct dtproc_proc *p, struct wire_site *site, int at)
{
	*site = (struct wire_site){.addr = (uintptr_t)beat + (unsigned)at,
		.user = 1,
		.kind = WIRE_SITE_EVENT,
		.semaphore = (uintptr_t)&shared->value};
	return hold_arm(p, 0, site, 1, 0);
}

/* A semaphore is raised once for all that want it, and lowered whoever dies (H4). */
static void H4_a_semaphore_is_lowered(void **state)
{
	struct hold_session *s = session();
	struct wire_site a, b;
	struct told t = {0};
	pid_t pid = child_run(body_sleep);
	struct dtproc_proc *p = grab_control(s, pid);

	hold_on_notice(s, on_notice, &t);
	shared->value = 5;
	assert_int_equal(arm_raised(p, &a, 0), 1);
	assert_int_equal(arm_raised(p, &b, 4), 1);
	assert_int_equal(shared->value, 6);
	assert_ok(hold_disarm(p, &a, 1));
	assert_int_equal(shared->value, 6);
	assert_ok(hold_disarm(p, &b, 1));
	assert_int_equal(shared->value, 5);
	assert_int_equal(arm_raised(p, &a, 0), 1);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	assert_int_equal(shared->value, 5);
	p = grab_control(s, pid);
	assert_int_equal(arm_raised(p, &a, 0), 1);
	assert_ok(dtproc_proc_continue(p));
	assert_int_equal(shared->value, 6);
	kill(tracer_of(pid), SIGKILL);
	for (uint64_t end = now_ms() + 20000; t.n < 1 && now_ms() < end;)
		deliver(s, 1000);
	assert_int_equal(t.kind[0], DTPROC_NOTICE_LOST);
	assert_int_equal(shared->value, 5);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
	child_end(pid);
}

/*
 * The victim sits outside of the breakpoint when its keeper is killed, so it survives
 * that moment; then the trap must be gone before it is told lost.
 */
static void H4_a_dead_keeper_is_repaired_after(void **state)
{
	int fds = count_fds(), hits = 0;
	struct hold_session *s = session();
	struct told t = {0};
	struct dtproc_bkpt *b = NULL;
	unsigned char byte;

	shared->stage = shared->count = 0;
	pid_t pid = child_run(body_beat_rarely);
	struct dtproc_proc *p = grab_control(s, pid);
	hold_on_notice(s, on_notice, &t);
	assert_ok(dtproc_bkpt_add(p, (dtproc_addr)(uintptr_t)beat, nothing, &hits, &b));
	assert_ok(dtproc_proc_continue(p));
	shared->stage = 1;
	assert_true(UNTIL(shared->count == 1));
	kill(tracer_of(pid), SIGKILL);
	uint64_t end = now_ms() + 20000;
	while (t.n < 1 && now_ms() < end)
		deliver(s, 1000);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.kind[0], DTPROC_NOTICE_LOST);
	assert_non_null(strstr(t.text[0], "was lost: the keeper"));
	assert_null(strstr(t.text[0], "not repaired"));
	assert_int_equal(run_of(p), DTPROC_LOST);
	assert_int_equal(tracer_of(pid), 0);
	assert_int_equal(dtproc_proc_stop(p), DTPROC_ELOST);
	struct dtproc_proc *ro = grab_rdonly(s, pid);
	assert_int_equal(dtproc_proc_read(ro, (dtproc_addr)(uintptr_t)beat, &byte, 1), 1);
	assert_int_equal(byte, *(unsigned char *)(uintptr_t)beat);
	dtproc_proc_release(ro, DTPROC_RELEASE_DEFAULT);
	shared->stage = 1;
	assert_true(UNTIL(shared->count == 2));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	p = grab_control(s, pid); /* it can be held again */
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
	assert_int_equal(count_fds(), fds);
}

/* The same noticed by a request, on a handle that nobody watches. */
static void H4_noticed_by_a_request(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_beat);
	struct dtproc_proc *p = NULL;

	assert_ok(hold_grab(s, HOLD_FOR_CLIENT, pid, DTPROC_GRAB_UNMONITORED, &p));
	assert_ok(dtproc_proc_continue(p));
	kill(tracer_of(pid), SIGKILL);
	assert_int_equal(dtproc_proc_stop(p), DTPROC_ELOST);
	assert_int_equal(run_of(p), DTPROC_LOST);
	long count = shared->count;
	assert_true(UNTIL(shared->count > count));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

/* A10: a created victim whose keeper died is killed at its release all the same. */
static void A10_created_and_lost(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc *p = create_sh(s, "exec sleep 60");
	pid_t pid = dtproc_proc_pid(p);

	assert_ok(dtproc_proc_continue(p));
	kill(tracer_of(pid), SIGKILL);
	assert_ok(dtproc_proc_wait(p, 5000));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	assert_true(UNTIL(state_of(pid) == 0 || state_of(pid) == 'Z'));
	hold_close(s);
}

/* A9: and a grabbed one is killed, or stopped, if that is asked for. */
static void A9_modes_without_a_keeper(void **state)
{
	static const struct {
		enum dtproc_release_mode mode;
		const char *states;
	} want[] = {{DTPROC_RELEASE_DEFAULT, "SR"}, {DTPROC_RELEASE_STOPPED, "T"},
		{DTPROC_RELEASE_KILL, "Z"}};
	struct hold_session *s = session();

	for (size_t i = 0; i < COUNT_OF(want); i++) {
		pid_t pid = child_run(body_sleep);
		struct dtproc_proc *p = grab_control(s, pid);
		assert_ok(dtproc_proc_continue(p));
		kill(tracer_of(pid), SIGKILL);
		assert_ok(dtproc_proc_wait(p, 5000));
		assert_int_equal(run_of(p), DTPROC_LOST);
		dtproc_proc_release(p, want[i].mode);
		assert_true(UNTIL(strchr(want[i].states, state_of(pid)) != NULL));
		child_end(pid);
	}
	hold_close(s);
}

/* -------------------------------------------------------- the victim dies (H6) */

static void H6_killed_in_the_middle_of_anything(void **state)
{
	int fds = count_fds(), threads = count_threads();
	struct hold_session *s = session();
	uint64_t worst = 0;

	for (int i = 0; i < 40; i++) {
		struct dtproc_proc *p = NULL;
		struct dtproc_bkpt *b;
		int hits = 0;
		pid_t pid = child_run(body_beat), killer = fork();
		if (killer == 0) {
			usleep((unsigned)(i % 20) * 300);
			kill(pid, SIGKILL);
			_exit(0);
		}
		uint64_t from = now_ms();
		int rc = hold_grab(s, HOLD_FOR_CLIENT, pid, 0, &p);
		if (rc == 0) {
			rc = dtproc_bkpt_add(
				p, (dtproc_addr)(uintptr_t)beat, nothing, &hits, &b);
			rc = rc ? rc : dtproc_proc_continue(p);
			rc = rc ? rc : dtproc_proc_stop(p);
			rc = rc ? rc : dtproc_proc_continue(p);
			rc = rc ? rc : dtproc_proc_wait(p, 10000);
			dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		}
		uint64_t took = now_ms() - from;
		worst = took > worst ? took : worst;
		assert_true(rc != DTPROC_ETIMEOUT && rc != DTPROC_ELOST);
		waitpid(killer, NULL, 0);
		child_end(pid);
	}
	print_message("           slowest of 40: %d ms\n", (int)worst);
	assert_true(worst < 3000); /* a second where nobody else is */
	hold_close(s);
	assert_int_equal(count_fds(), fds);
	assert_true(UNTIL(count_threads() == threads));
}

/* --------------------------------------------------------- stopped by others (G) */

static void G1_stopped_by_others(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_beat);
	struct dtproc_proc *p = grab_control(s, pid);

	assert_ok(dtproc_proc_continue(p));
	kill(pid, SIGSTOP);
	assert_true(UNTIL(run_of(p) == DTPROC_STOPPED));
	long count = shared->count;
	nap_ms(20);
	assert_int_equal(shared->count, count);
	kill(pid, SIGCONT);
	assert_true(UNTIL(run_of(p) == DTPROC_RUNNING)); /* G2: noticed */
	assert_true(UNTIL(shared->count > count));
	kill(pid, SIGSTOP);
	assert_true(UNTIL(run_of(p) == DTPROC_STOPPED));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT); /* A9: left stopped */
	assert_int_equal(tracer_of(pid), 0);
	assert_true(UNTIL(state_of(pid) == 'T'));
	nap_ms(20);
	assert_int_equal(state_of(pid), 'T');
	p = grab_control(s, pid);
	assert_ok(dtproc_proc_continue(p));
	assert_true(UNTIL(run_of(p) == DTPROC_STOPPED));
	kill(pid, SIGKILL); /* G2: dies while it is stopped */
	assert_ok(dtproc_proc_wait(p, 10000));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

/* How a read-only handle learns of the end: the kernel keeps the status. */
static void read_only_status(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_sleep);
	struct dtproc_proc *p = grab_rdonly(s, pid);

	assert_int_equal(run_of(p), DTPROC_RUNNING);
	assert_int_equal(dtproc_proc_wait(p, 10), DTPROC_ETIMEOUT);
	assert_int_equal(dtproc_proc_stop(p), DTPROC_ESTATE);
	assert_int_equal(dtproc_proc_write(p, 0, "", 1), DTPROC_ESTATE);
	child_end(pid);
	assert_ok(dtproc_proc_wait(p, 10000));
	assert_true(run_of(p) == DTPROC_KILLED || run_of(p) == DTPROC_EXITED);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(H1_how_it_ended),
		cmocka_unit_test(H1_a_handler_releases),
		cmocka_unit_test(H2_sleep_wakes_and_order_is_kept),
		cmocka_unit_test(H3_a_destroyed_handle_has_no_notices),
		cmocka_unit_test(H4_a_semaphore_is_lowered),
		cmocka_unit_test(H4_a_dead_keeper_is_repaired_after),
		cmocka_unit_test(H4_noticed_by_a_request),
		cmocka_unit_test(A10_created_and_lost),
		cmocka_unit_test(A9_modes_without_a_keeper),
		cmocka_unit_test(H6_killed_in_the_middle_of_anything),
		cmocka_unit_test(G1_stopped_by_others),
		cmocka_unit_test(read_only_status),
	};

	return cmocka_run_group_tests(tests, shared_make, NULL);
}
