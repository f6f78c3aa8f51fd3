/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every allocation fails in turn (the linker sends the library's calls here): each
 * operation then ends with an error, leaves nothing behind, and works the next time.
 */
#include "failing.h"
#include "hold_unit.h"

static struct hold_session *s;
static pid_t pid;

static int begin(void **state)
{
	pid = child_run(body_beat);
	s = session();
	return 0;
}

static int finish(void **state)
{
	hold_close(s);
	child_end(pid);
	return 0;
}

static void never(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
}

/* Runs op with the nth allocation failing, n growing until none does; how many. */
static int each_failure(int (*op)(void))
{
	assert_ok(op()); /* what is made once and kept is made here */
	for (int n = 0; n < 500; n++) {
		int fds = count_fds(), threads = count_threads();
		fail_nth(n);
		int rc = op();
		/* Is there some left?  Then it did not get that far. */
		int untouched = fail_none();
		if (rc == 0 && untouched)
			return n;
		if (rc < 0 && rc != DTPROC_ENOMEM && rc != DTPROC_ENOSYM)
			fail_msg("allocation %d: %s: %s", n, err_name(rc), err_text());
		assert_int_equal(tracer_of(pid), 0);
		assert_int_equal(count_fds(), fds);
		/* A joined thread is seen in /proc a moment longer. */
		assert_true(UNTIL(count_threads() == threads));
		assert_true(waitpid(-1, NULL, WNOHANG | __WALL) <= 0);
	}
	return 0;
}

static int grab_and_break(void)
{
	struct dtproc_proc *p;
	struct dtproc_bkpt *b;
	int rc = hold_grab(s, HOLD_FOR_CLIENT, pid, 0, &p);

	if (rc)
		return rc;
	rc = dtproc_bkpt_add(p, (dtproc_addr)(uintptr_t)beat, never, NULL, &b);
	if (rc == 0)
		rc = dtproc_proc_continue(p);
	dtproc_proc_release(p, DTPROC_RELEASE_RUN);
	return rc;
}

static void C3_H6_control(void **state)
{
	assert_true(each_failure(grab_and_break) > 3);
}

static int grab_and_look(void)
{
	struct hold_session *own;
	struct dtproc_proc *p;
	dtproc_addr addr;
	int rc = hold_open(NULL, &own);

	if (rc)
		return rc;
	rc = hold_grab(own, HOLD_FOR_CLIENT, pid, DTPROC_GRAB_RDONLY, &p);
	if (rc == 0) {
		rc = dtproc_proc_symbol(p, "a.out", "main", &addr, NULL);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	}
	hold_close(own);
	return rc;
}

static void A8_read_only(void **state)
{
	assert_true(each_failure(grab_and_look) > 5);
}

static int create(void)
{
	struct dtproc_proc *p;
	int rc = hold_create_command(s, HOLD_FOR_CLIENT, "sh -c 'exit 3'", &p);

	if (rc)
		return rc;
	rc = dtproc_proc_continue(p);
	rc = rc ? rc : dtproc_proc_wait(p, 5000);
	rc = rc ? rc : run_of(p) == DTPROC_EXITED ? 0 : DTPROC_ESTATE;
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	return rc;
}

static void C3_create(void **state)
{
	assert_true(each_failure(create) > 5);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(C3_H6_control),
		WITH(A8_read_only),
		WITH(C3_create),
	};

	return cmocka_run_group_tests(tests, shared_make, NULL);
}
