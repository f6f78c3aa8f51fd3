/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many threads at once (section I).  Built with -fsanitize=thread this is where a lock
 * that is missing shows.
 */
#include "hold_unit.h"

#include <sys/syscall.h>

#define KIDS 4
#define THREADS 8

static pid_t kids[KIDS];
static struct hold_session *s;

static int begin(void **state)
{
	for (int i = 0; i < KIDS; i++)
		kids[i] = child_run(body_beat);
	s = session();
	return 0;
}

static int finish(void **state)
{
	hold_close(s);
	for (int i = 0; i < KIDS; i++)
		child_end(kids[i]);
	return 0;
}

static void run_threads(void *(*body)(void *))
{
	pthread_t t[THREADS];
	void *failed;

	for (intptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, body, (void *)i), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], &failed);
		if (failed)
			fail_msg("thread %d: %s", i, (char *)failed);
	}
}

/* cmocka's assertions may not be used off the main thread. */
#define EXPECT(cond)                                                                     \
	do {                                                                             \
		if (!(cond))                                                             \
			return (void *)(__FILE__ ": " #cond);                            \
	} while (0)

/* ---------------------------------------------------------------------- I1 */

static void *read_only_traffic(void *arg)
{
	intptr_t me = (intptr_t)arg;
	struct shared *at;
	struct dtproc_proc *p;
	struct dtproc_proc_status st;

	for (int i = 0; i < 300; i++) {
		EXPECT(hold_grab(s, HOLD_FOR_LIBRARY, kids[(me + i) % KIDS],
			       DTPROC_GRAB_RDONLY, &p) == 0);
		EXPECT(dtproc_proc_read(p, (dtproc_addr)(uintptr_t)&shared, &at,
			       sizeof at) == sizeof at);
		EXPECT(at == shared);
		dtproc_proc_status(p, &st);
		EXPECT(st.run == DTPROC_RUNNING);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	}
	return NULL;
}

static void I1_read_only_from_many_threads(void **state)
{
	run_threads(read_only_traffic);
	for (int i = 0; i < KIDS; i++) {
		struct dtproc_proc *p = grab_rdonly(s, kids[i]);
		assert_int_equal(p->refs, 1); /* all of theirs were given back */
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	}
}

static void count_hit(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	__atomic_add_fetch((long *)arg, 1, __ATOMIC_SEQ_CST);
}

static void *control_traffic(void *arg)
{
	intptr_t me = (intptr_t)arg;
	struct dtproc_proc *p;
	struct dtproc_bkpt *b;
	char byte;
	long hits = 0;

	for (int i = 0; i < 12; i++) {
		EXPECT(hold_grab(s, HOLD_FOR_CLIENT, kids[(me + i) % KIDS], 0, &p) == 0);
		EXPECT(dtproc_bkpt_add(p, (dtproc_addr)(uintptr_t)beat, count_hit, &hits,
			       &b) == 0);
		EXPECT(dtproc_proc_continue(p) == 0);
		EXPECT(dtproc_proc_read(p, (dtproc_addr)(uintptr_t)beat, &byte, 1) == 1);
		EXPECT(byte == *(char *)(uintptr_t)beat);
		EXPECT(dtproc_proc_stop(p) == 0);
		EXPECT(dtproc_bkpt_remove(p, b) == 0);
		EXPECT(dtproc_proc_continue(p) == 0);
		dtproc_proc_release(p, DTPROC_RELEASE_RUN);
	}
	return NULL;
}

/* A2, A3: grabs and last releases of the same victims meet in every order. */
static void I1_control_from_many_threads(void **state)
{
	run_threads(control_traffic);
	for (int i = 0; i < KIDS; i++)
		assert_int_equal(tracer_of(kids[i]), 0);
	assert_true(list_empty(&s->all));
}

static void *mixed_traffic(void *arg)
{
	intptr_t me = (intptr_t)arg;
	struct dtproc_proc *p;
	char byte;

	for (int i = 0; i < 40; i++) {
		unsigned flags = me % 2 ? DTPROC_GRAB_RDONLY : DTPROC_GRAB_UNMONITORED;
		if (me == 0 && i % 4 == 0)
			flags = 0;
		EXPECT(hold_grab(s, HOLD_FOR_CLIENT, kids[i % KIDS], flags, &p) == 0);
		EXPECT(dtproc_proc_read(p, (dtproc_addr)(uintptr_t)beat, &byte, 1) == 1);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	}
	return NULL;
}

/* A6, A11: upgrades and downgrades amid readers. */
static void I1_upgrades_amid_readers(void **state)
{
	run_threads(mixed_traffic);
	for (int i = 0; i < KIDS; i++)
		assert_int_equal(tracer_of(kids[i]), 0);
}

/* Notices come while handles are grabbed and released. */
static void on_notice(const struct dtproc_notice *n, void *arg)
{
	__atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static void *short_lives(void *arg)
{
	char *argv[] = {"true", NULL};
	struct dtproc_proc *p;

	for (int i = 0; i < 4; i++) {
		EXPECT(hold_create(s, HOLD_FOR_CLIENT, "true", argv, NULL, &p) == 0);
		EXPECT(dtproc_proc_continue(p) == 0);
		if (i % 2)
			EXPECT(dtproc_proc_wait(p, 10000) == 0);
		hold_notice_error(p, "x");
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	}
	return NULL;
}

static int stop_delivering;

static void *deliver(void *arg)
{
	while (!__atomic_load_n(&stop_delivering, __ATOMIC_SEQ_CST)) {
		struct pollfd f = {.fd = hold_fd(s), .events = POLLIN};
		poll(&f, 1, 5);
		hold_deliver(s);
	}
	return NULL;
}

static void H3_delivery_amid_releases(void **state)
{
	pthread_t t;
	int told = 0;

	hold_on_notice(s, on_notice, &told);
	__atomic_store_n(&stop_delivering, 0, __ATOMIC_SEQ_CST);
	pthread_create(&t, NULL, deliver, NULL);
	run_threads(short_lives);
	__atomic_store_n(&stop_delivering, 1, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
	hold_deliver(s);
	assert_true(list_empty(&s->all));
}

/* ---------------------------------------------------------------------- I2 */

static struct dtproc_proc *locked;

static void *try_unlock(void *arg)
{
	return (void *)(intptr_t)(dtproc_proc_unlock(locked) == DTPROC_ELOCK);
}

static void I2_misuse_is_caught(void **state)
{
	struct dtproc_proc *p = locked = grab_control(s, kids[0]);
	pthread_t t;
	void *caught;

	assert_int_equal(dtproc_proc_unlock(p), DTPROC_ELOCK);
	assert_ok(dtproc_proc_lock(p));
	assert_int_equal(dtproc_proc_lock(p), DTPROC_ELOCK);
	pthread_create(&t, NULL, try_unlock, NULL);
	pthread_join(t, &caught);
	assert_non_null(caught);
	assert_ok(dtproc_proc_continue(p)); /* operations nest */
	assert_ok(dtproc_proc_stop(p));
	assert_int_equal(dtproc_proc_wait(p, 0), DTPROC_ELOCK);
	assert_ok(dtproc_proc_unlock(p));
	assert_int_equal(dtproc_proc_unlock(p), DTPROC_ELOCK);
	/* A last release by the thread that has it locked is no deadlock. */
	assert_ok(dtproc_proc_lock(p));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
}

/* I2, B1, B4: reactions are held back while a client has the handle, requests are not. */
static void I2_lock_holds_reactions_back(void **state)
{
	struct dtproc_proc *p = grab_control(s, kids[0]);
	struct dtproc_bkpt *b;
	long hits = 0;
	char byte;

	assert_ok(dtproc_bkpt_add(p, (dtproc_addr)(uintptr_t)beat, count_hit, &hits, &b));
	assert_ok(dtproc_proc_lock(p));
	assert_ok(dtproc_proc_continue(p));
	assert_true(UNTIL(hold_ledger(p)->events == 1)); /* it is hit, and waits */
	nap_ms(5);
	assert_int_equal(__atomic_load_n(&hits, __ATOMIC_SEQ_CST), 0);
	uint64_t from = now_ms();
	for (int i = 0; i < 20; i++)
		assert_int_equal(
			dtproc_proc_write(p, (dtproc_addr)(uintptr_t)&locked, "", 1), 1);
	assert_int_equal(dtproc_proc_read(p, (dtproc_addr)(uintptr_t)beat, &byte, 1), 1);
	assert_true(now_ms() - from < 2000);
	assert_int_equal(__atomic_load_n(&hits, __ATOMIC_SEQ_CST), 0);
	assert_ok(dtproc_proc_unlock(p));
	assert_true(UNTIL(__atomic_load_n(&hits, __ATOMIC_SEQ_CST) > 3));
	assert_ok(dtproc_bkpt_remove(p, b));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
}

static _Atomic pid_t asker;

/* Waits for the handle; tells whether somebody else has had it meanwhile. */
static void *ask_for_it(void *arg)
{
	struct dtproc_proc *p = arg;

	asker = (pid_t)syscall(SYS_gettid);
	EXPECT(dtproc_proc_lock(p) == 0);
	asker = 0;
	EXPECT(dtproc_proc_unlock(p) == 0);
	return NULL;
}

/*
 * B4: the handle is given in the order of asking: who takes it again the moment that he
 * has given it up, as a control thread does that reacts to one event after the other,
 * comes behind those who wait.
 */
static void B4_nobody_is_overtaken(void **state)
{
	struct dtproc_proc *p = grab_control(s, kids[0]);
	pthread_t t;
	void *failed;

	for (int i = 0; i < 50; i++) {
		asker = 0;
		assert_ok(dtproc_proc_lock(p));
		assert_int_equal(pthread_create(&t, NULL, ask_for_it, p), 0);
		assert_true(UNTIL(asker && state_of(asker) == 'S'));
		assert_ok(dtproc_proc_unlock(p));
		assert_ok(dtproc_proc_lock(p));
		assert_int_equal(asker, 0);
		assert_ok(dtproc_proc_unlock(p));
		pthread_join(t, &failed);
		assert_null(failed);
	}
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
}

static int moved;

/* Counts, and looks whether the victim really stands still (rule D2). */
static void count_still(
	struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	char state = state_of(kids[0]);

	nap_ms(1);
	if (state != 't' || state_of(kids[0]) != 't')
		__atomic_store_n(&moved, 1, __ATOMIC_SEQ_CST);
	count_hit(p, b, tid, arg);
}

/*
 * A stop and a continue while an event waits for its reaction: it is not lost, and the
 * victim does not run before the callback has.
 */
static void I2_stop_and_continue_amid_an_event(void **state)
{
	struct dtproc_proc *p = grab_control(s, kids[0]);
	struct dtproc_bkpt *b;
	long hits = 0;

	assert_ok(
		dtproc_bkpt_add(p, (dtproc_addr)(uintptr_t)beat, count_still, &hits, &b));
	for (int i = 0; i < 10; i++) {
		assert_ok(dtproc_proc_lock(p));
		assert_ok(dtproc_proc_continue(p));
		nap_ms(2);
		assert_ok(dtproc_proc_stop(p));
		assert_ok(dtproc_proc_continue(p));
		assert_ok(dtproc_proc_unlock(p));
		long seen = __atomic_load_n(&hits, __ATOMIC_SEQ_CST);
		assert_true(UNTIL(__atomic_load_n(&hits, __ATOMIC_SEQ_CST) > seen + 2));
		assert_ok(dtproc_proc_stop(p));
	}
	assert_ok(dtproc_bkpt_remove(p, b));
	assert_false(__atomic_load_n(&moved, __ATOMIC_SEQ_CST));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
}

static int each(struct dtproc_proc *p, void *arg)
{
	int *n = arg;

	return ++*n == 3 ? 7 : 0;
}

static void hold_each_walks_those_that_control(void **state)
{
	struct dtproc_proc *p[KIDS];
	int n = 0;

	for (int i = 0; i < KIDS; i++)
		p[i] = i == 1 ? grab_rdonly(s, kids[i]) : grab_control(s, kids[i]);
	assert_int_equal(hold_each(s, each, &n), 7);
	assert_int_equal(n, KIDS - 1);
	for (int i = 0; i < KIDS; i++) {
		assert_int_equal(p[i]->refs, 1);
		dtproc_proc_release(p[i], DTPROC_RELEASE_DEFAULT);
	}
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(I1_read_only_from_many_threads),
		WITH(I1_control_from_many_threads),
		WITH(I1_upgrades_amid_readers),
		WITH(H3_delivery_amid_releases),
		WITH(I2_misuse_is_caught),
		WITH(I2_lock_holds_reactions_back),
		WITH(B4_nobody_is_overtaken),
		WITH(I2_stop_and_continue_amid_an_event),
		WITH(hold_each_walks_those_that_control),
	};

	return cmocka_run_group_tests(tests, shared_make, NULL);
}
