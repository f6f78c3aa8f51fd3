/* SPDX-License-Identifier: BSD-2-Clause */
/* The table, references and the cache (rules A1 to A8), mostly on read-only handles. */
#include "hold_unit.h"

#define MANY 12

static pid_t kids[MANY];

static int start_kids(void **state)
{
	for (int i = 0; i < MANY; i++)
		kids[i] = child_run(body_sleep);
	return shared_make(state);
}

static int end_kids(void **state)
{
	for (int i = 0; i < MANY; i++)
		child_end(kids[i]);
	return 0;
}

static struct hold_session *session_with(unsigned buckets, unsigned limit)
{
	struct dtproc_options o = {
		.size = sizeof o, .buckets = buckets, .cache_limit = limit};
	struct hold_session *s = NULL;

	assert_ok(hold_open(&o, &s));
	return s;
}

/* Grabs and gives back; the handle is then only worth comparing. */
static struct dtproc_proc *touch(struct hold_session *s, pid_t pid)
{
	struct dtproc_proc *p = grab_rdonly(s, pid);

	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	return p;
}

/* Is there an idle or used handle of `pid`?  A fresh one would have opened files. */
static int is_cached(struct hold_session *s, pid_t pid)
{
	int found = 0;

	pthread_mutex_lock(&s->table_lock);
	list_each(it, &s->recent) {
		found |= list_entry(it, struct dtproc_proc, recent)->pid == pid;
	}
	pthread_mutex_unlock(&s->table_lock);
	return found;
}

static void A1_buckets_are_rounded_up(void **state)
{
	static const unsigned asked[] = {1, 2, 3, 5, 16, 17},
			      got[] = {1, 2, 4, 8, 16, 32};

	for (size_t i = 0; i < COUNT_OF(asked); i++) {
		struct hold_session *s = session_with(asked[i], 0);
		assert_int_equal(s->mask + 1, got[i]);
		for (int k = 0; k < MANY; k++)
			assert_int_equal(dtproc_proc_pid(touch(s, kids[k])), kids[k]);
		hold_close(s);
	}
}

static void A2_A3_one_handle_counted(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc *a = grab_rdonly(s, kids[0]), *b = grab_rdonly(s, kids[0]);

	assert_ptr_equal(a, b);
	assert_int_equal(a->refs, 2);
	dtproc_proc_release(a, DTPROC_RELEASE_DEFAULT);
	assert_int_equal(a->refs, 1);
	dtproc_proc_release(b, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
}

/* A2: nothing happens to the victim until the last release. */
static void A2_control_until_the_last_release(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc *a = grab_control(s, kids[0]), *b = grab_control(s, kids[0]);

	assert_ptr_equal(a, b);
	dtproc_proc_release(a, DTPROC_RELEASE_KILL);
	assert_true(tracer_of(kids[0]) > 0);
	dtproc_proc_release(b, DTPROC_RELEASE_RUN);
	assert_int_equal(tracer_of(kids[0]), 0);
	assert_non_null(strchr("RS", state_of(kids[0])));
	hold_close(s);
}

/* A3: a grab moves the handle to the front, so another one is evicted. */
static void A3_a_grab_is_a_use(void **state)
{
	struct hold_session *s = session_with(0, 2);

	touch(s, kids[0]);
	touch(s, kids[1]);
	touch(s, kids[0]);
	touch(s, kids[2]);
	assert_true(is_cached(s, kids[0]));
	assert_false(is_cached(s, kids[1]));
	hold_close(s);
}

static void A4_an_idle_handle_is_found_again(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc *a = touch(s, kids[0]);
	int fds = count_fds();

	assert_int_equal(a->refs, 0);
	assert_ptr_equal(grab_rdonly(s, kids[0]), a);
	assert_int_equal(count_fds(), fds);
	dtproc_proc_release(a, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
}

static void A5_the_least_recently_used_is_closed(void **state)
{
	struct hold_session *s = session();
	int fds = count_fds();

	for (int i = 0; i < 8; i++)
		touch(s, kids[i]);
	int full = count_fds();
	assert_true(full > fds);
	touch(s, kids[8]);
	assert_int_equal(s->cached, 8);
	assert_int_equal(count_fds(), full);
	assert_false(is_cached(s, kids[0]));
	assert_true(is_cached(s, kids[1]));
	hold_close(s);
}

static void A5_one_in_use_is_never_evicted(void **state)
{
	struct hold_session *s = session_with(0, 2);
	struct dtproc_proc *p[4];

	for (int i = 0; i < 4; i++)
		p[i] = grab_rdonly(s, kids[i]);
	assert_int_equal(s->cached, 4); /* above the limit, all in use */
	dtproc_proc_release(p[3], DTPROC_RELEASE_DEFAULT);
	assert_int_equal(s->cached, 3); /* the surplus goes at its release */
	assert_false(is_cached(s, kids[3]));
	dtproc_proc_release(p[0], DTPROC_RELEASE_DEFAULT);
	assert_int_equal(s->cached, 2);
	dtproc_proc_release(p[1], DTPROC_RELEASE_DEFAULT);
	assert_int_equal(s->cached, 2); /* fits: idles */
	assert_true(is_cached(s, kids[1]));
	dtproc_proc_release(p[2], DTPROC_RELEASE_DEFAULT);
	hold_close(s);
}

static void A6_upgrade_makes_the_old_one_stale(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc *ro = grab_rdonly(s, kids[0]), *rw = grab_control(s, kids[0]);
	long seen = 0;

	assert_ptr_not_equal(ro, rw);
	assert_true(ro->stale);
	/* Its holder goes on using it ... */
	assert_int_equal(
		dtproc_proc_read(ro, (dtproc_addr)(uintptr_t)&kids[0], &seen, 4), 4);
	assert_int_equal(seen, 0); /* the child was forked before kids[0] was set */
	/* ... lookups skip it ... */
	assert_ptr_equal(grab_rdonly(s, kids[0]), rw);
	dtproc_proc_release(rw, DTPROC_RELEASE_DEFAULT);
	/* ... and it is closed, not cached, at its last release. */
	int fds = count_fds();
	dtproc_proc_release(ro, DTPROC_RELEASE_DEFAULT);
	assert_true(count_fds() < fds);
	assert_int_equal(s->cached, 0);
	dtproc_proc_release(rw, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
}

static void A6_an_idle_one_is_closed_at_once(void **state)
{
	struct hold_session *s = session();
	int fds = count_fds();

	touch(s, kids[0]);
	assert_int_equal(s->cached, 1);
	struct dtproc_proc *rw = grab_control(s, kids[0]);
	assert_int_equal(s->cached, 0);
	dtproc_proc_release(rw, DTPROC_RELEASE_DEFAULT);
	assert_int_equal(count_fds(), fds);
	hold_close(s);
}

/* A6: nor is it found when the one that took its place is gone. */
static void A6_a_stale_one_stays_stale(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc *ro = grab_rdonly(s, kids[0]), *rw = grab_control(s, kids[0]);

	dtproc_proc_release(rw, DTPROC_RELEASE_DEFAULT);
	struct dtproc_proc *again = grab_rdonly(s, kids[0]);
	assert_ptr_not_equal(again, ro);
	hold_close(s);
}

static void A7_a_dead_process_is_not_handed_out(void **state)
{
	struct hold_session *s = session();
	pid_t pid = child_run(body_sleep);
	struct dtproc_proc *p = grab_rdonly(s, pid), *again = NULL;

	child_end(pid);
	assert_int_equal(hold_grab(s, HOLD_FOR_LIBRARY, pid, DTPROC_GRAB_RDONLY, &again),
		DTPROC_ENOPROC);
	assert_null(again);
	assert_true(p->stale);
	assert_int_equal(run_of(p), DTPROC_KILLED);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	assert_int_equal(s->cached, 0);
	hold_close(s);
}

static void body_exec_when_told(void)
{
	while (!shared->stage)
		usleep(500);
	execl("/bin/sleep", "sleep", "60", (char *)NULL);
}

/* A7: after an exec the cached handle is that of the new image. */
static void A7_another_image_is_noticed(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc_status st;
	char byte, comm = 0;

	shared->stage = 0;
	pid_t pid = child_run(body_exec_when_told);
	struct dtproc_proc *p = grab_rdonly(s, pid);
	dtproc_addr here = (dtproc_addr)(uintptr_t)body_exec_when_told;
	assert_int_equal(dtproc_proc_read(p, here, &byte, 1), 1);
	dtproc_proc_status(p, &st);
	assert_int_equal(st.generation, 1);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	shared->stage = 1;
	struct victim_stat vs;
	assert_true(UNTIL(!victim_stat_read(pid, &vs) && !strcmp(vs.comm, "sleep")));
	assert_ptr_equal(grab_rdonly(s, pid), p);
	dtproc_proc_status(p, &st);
	assert_int_equal(st.generation, 2);
	assert_int_equal(dtproc_proc_read(p, here, &comm, 1), DTPROC_ERANGE);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

/* Makes the next fork give `pid`, if nobody is quicker; needs privilege. */
static pid_t fork_as(pid_t pid)
{
	char last[16];
	FILE *f;

	for (int i = 0; i < 50; i++) {
		snprintf(last, sizeof last, "%d", pid - 1);
		f = fopen("/proc/sys/kernel/ns_last_pid", "w");
		if (!f || fputs(last, f) < 0 || fclose(f))
			return 0;
		pid_t got = child_run(body_sleep);
		if (got == pid)
			return got;
		child_end(got);
	}
	return 0;
}

/* A7: a later process with the same PID is another one. */
static void A7_a_pid_that_is_used_again(void **state)
{
	struct hold_session *s = session();
	long marks = 0, mark = 1;

	shared->value = 1;
	pid_t pid = child_run(body_sleep);
	struct dtproc_proc *old = grab_rdonly(s, pid);
	struct dtproc_proc *idle = grab_rdonly(s, pid);
	dtproc_proc_release(idle, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	if (!fork_as(pid)) {
		dtproc_proc_release(old, DTPROC_RELEASE_DEFAULT);
		hold_close(s);
		skip(); /* not privileged, or PIDs are in great demand */
	}
	struct dtproc_proc *p = grab_rdonly(s, pid);
	assert_ptr_not_equal(p, old);
	assert_int_equal(
		dtproc_proc_read(p, (dtproc_addr)(uintptr_t)&marks, &mark, 1), 1);
	assert_true(dtproc_proc_read(old, (dtproc_addr)(uintptr_t)&marks, &mark, 1) < 0);
	assert_int_equal(run_of(old), DTPROC_KILLED);
	assert_int_equal(run_of(p), DTPROC_RUNNING);
	dtproc_proc_release(old, DTPROC_RELEASE_DEFAULT);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

/* A2: the client's mistake while the handle idles does no harm. */
static void A2_released_once_too_often(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc *p = touch(s, kids[0]);

	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	assert_ptr_equal(grab_rdonly(s, kids[0]), p);
	assert_int_equal(p->refs, 1);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
}

/* A7: a reader that is in the middle of things gets an error of its own. */
static void A7_a_read_over_an_exec_fails_once(void **state)
{
	struct hold_session *s = session();
	char byte;

	shared->stage = 0;
	pid_t pid = child_run(body_exec_when_told);
	struct dtproc_proc *p = grab_rdonly(s, pid);
	shared->stage = 1;
	struct victim_stat vs;
	assert_true(UNTIL(!victim_stat_read(pid, &vs) && !strcmp(vs.comm, "sleep")));
	dtproc_addr here = (dtproc_addr)(uintptr_t)body_exec_when_told;
	assert_int_equal(dtproc_proc_read(p, here, &byte, 1), DTPROC_EIMAGE);
	/* Its text is known a moment after its name. */
	assert_true(UNTIL(!victim_stat_read(pid, &vs) &&
			  dtproc_proc_read(p, vs.start_code, &byte, 1) == 1));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

static void *go_on(void *arg)
{
	for (;;)
		pause();
	return NULL;
}

static void body_leader_ends(void)
{
	pthread_t t;

	pthread_create(&t, NULL, go_on, NULL);
	pthread_exit(NULL);
}

/* C2: a process whose first thread has ended is no zombie. */
static void C2_a_leader_that_has_ended(void **state)
{
	struct hold_session *s = session();
	struct shared *at = NULL;
	struct victim_maps maps;
	dtproc_addr main_at;

	pid_t pid = child_run(body_leader_ends);
	assert_true(UNTIL(state_of(pid) == 'Z'));
	struct dtproc_proc *p = grab_rdonly(s, pid);
	assert_int_equal(
		dtproc_proc_read(p, (dtproc_addr)(uintptr_t)&shared, &at, sizeof at),
		sizeof at);
	assert_ptr_equal(at, shared);
	assert_ok(hold_maps(p, &maps));
	assert_true(maps.n > 5);
	victim_maps_free(&maps);
	assert_ok(dtproc_proc_symbol(p, "a.out", "main", &main_at, NULL));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	assert_ptr_equal(grab_rdonly(s, pid), p);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
}

/* A8: whatever their counts, and nothing is left. */
static void A8_close_releases_everything(void **state)
{
	int fds = count_fds(), threads = count_threads();
	struct hold_session *s = session();
	char *argv[] = {"sleep", "60", NULL};
	struct dtproc_proc *made = NULL;

	assert_ok(hold_create(s, HOLD_FOR_CLIENT, "sleep", argv, NULL, &made));
	pid_t pid = dtproc_proc_pid(made);
	for (int i = 0; i < 3; i++) {
		grab_rdonly(s, kids[0]);
		grab_control(s, kids[1]);
	}
	assert_true(tracer_of(kids[1]) > 0);
	hold_close(s);
	assert_int_equal(tracer_of(kids[1]), 0);
	/* It goes back to sleep by itself; nobody has to do anything for that. */
	assert_true(UNTIL(state_of(kids[1]) == 'S'));
	assert_int_equal(
		state_of(pid), 0); /* created: killed, and reaped by its keeper */
	assert_int_equal(count_fds(), fds);
	assert_true(UNTIL(count_threads() == threads));
}

/* A4, A7: a hit is two system calls, so it must be far cheaper than opening. */
static void A4_a_hit_is_cheap(void **state)
{
	struct hold_session *s = session();
	struct timespec a, b;

	touch(s, kids[0]);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 10000; i++)
		touch(s, kids[0]);
	clock_gettime(CLOCK_MONOTONIC, &b);
	double ns =
		((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) /
		10000;
	print_message("           cached read-only grab and release: %.0f ns\n", ns);
	assert_true(ns < 100000); /* with sanitizers and a busy machine, too */
	hold_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(A1_buckets_are_rounded_up),
		cmocka_unit_test(A2_A3_one_handle_counted),
		cmocka_unit_test(A2_control_until_the_last_release),
		cmocka_unit_test(A3_a_grab_is_a_use),
		cmocka_unit_test(A4_an_idle_handle_is_found_again),
		cmocka_unit_test(A4_a_hit_is_cheap),
		cmocka_unit_test(A5_the_least_recently_used_is_closed),
		cmocka_unit_test(A5_one_in_use_is_never_evicted),
		cmocka_unit_test(A6_upgrade_makes_the_old_one_stale),
		cmocka_unit_test(A6_an_idle_one_is_closed_at_once),
		cmocka_unit_test(A6_a_stale_one_stays_stale),
		cmocka_unit_test(A7_a_dead_process_is_not_handed_out),
		cmocka_unit_test(A7_another_image_is_noticed),
		cmocka_unit_test(A7_a_pid_that_is_used_again),
		cmocka_unit_test(A2_released_once_too_often),
		cmocka_unit_test(A7_a_read_over_an_exec_fails_once),
		cmocka_unit_test(C2_a_leader_that_has_ended),
		cmocka_unit_test(A8_close_releases_everything),
	};

	return cmocka_run_group_tests(tests, start_kids, end_kids);
}
