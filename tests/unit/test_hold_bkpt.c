/* SPDX-License-Identifier: BSD-2-Clause */
/* Event breakpoints and memory as the client sees them (C5, D1, D2, D5, D6, F1, F2). */
#include "hold_unit.h"

#include <arch/arch.h>
#include <fcntl.h>

#define BEAT ((dtproc_addr)(uintptr_t)beat)

static struct hold_session *s;
static struct dtproc_proc *p;
static pid_t pid;

static int begin(void **state)
{
	shared->count = shared->stage = shared->value = 0;
	s = session();
	pid = child_run(body_beat);
	p = grab_control(s, pid);
	return 0;
}

static int finish(void **state)
{
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	child_end(pid);
	hold_close(s);
	return 0;
}

/* Static where it is used: the breakpoint may outlive the test's function. */
struct seen {
	long calls;
	pid_t tid;
	long count; /* the victim's, at the hit */
	struct dtproc_bkpt *other;
	int rc;
};

static void note(struct dtproc_proc *q, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	struct seen *seen = arg;

	__atomic_store_n(&seen->tid, tid, __ATOMIC_SEQ_CST);
	seen->count = shared->count;
	__atomic_add_fetch(&seen->calls, 1, __ATOMIC_SEQ_CST);
}

static long calls(struct seen *seen)
{
	return __atomic_load_n(&seen->calls, __ATOMIC_SEQ_CST);
}

static struct dtproc_bkpt *add(dtproc_addr addr, dtproc_bkpt_fn *fn, void *arg)
{
	struct dtproc_bkpt *b = NULL;

	assert_ok(dtproc_bkpt_add(p, addr, fn, arg, &b));
	return b;
}

/* The byte at an address, not as the library shows it but as it is. */
static int raw_byte(dtproc_addr addr)
{
	char path[40];
	unsigned char byte;
	int fd, got;

	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY);
	got = pread(fd, &byte, 1, (off_t)addr) == 1 ? byte : -1;
	close(fd);
	return got;
}

/* D2: called with everything stopped; D1: counted. */
static void D2_a_hit_is_told(void **state)
{
	static struct seen seen;
	struct dtproc_bkpt *b = add(BEAT, note, &seen);

	shared->count = 0; /* it idles */
	assert_int_equal(dtproc_bkpt_addr(b), BEAT);
	assert_ok(dtproc_proc_continue(p));
	assert_true(UNTIL(calls(&seen) >= 20));
	assert_ok(dtproc_proc_stop(p));
	assert_int_equal(__atomic_load_n(&seen.tid, __ATOMIC_SEQ_CST), pid);
	/* One more may have been hit and not told yet; locked, nobody tells it now. */
	assert_ok(dtproc_proc_lock(p));
	long told = calls(&seen), untold = (long)hold_ledger(p)->events - told;
	assert_int_equal(dtproc_bkpt_hits(b), told);
	assert_true(untold == 0 || untold == 1);
	/* No hit is lost: each beat was hit before it counted. */
	assert_in_range(told + untold - shared->count, 0, 1);
	assert_ok(dtproc_proc_unlock(p));
	assert_ok(dtproc_bkpt_remove(p, b));
}

static void D1_several_users_of_one_address(void **state)
{
	static struct seen a, b;
	struct dtproc_bkpt *ba = add(BEAT, note, &a), *bb = add(BEAT, note, &b);

	assert_ok(dtproc_proc_continue(p));
	assert_true(UNTIL(calls(&b) >= 5));
	assert_ok(dtproc_bkpt_remove(p, ba));
	long then = calls(&a), more = calls(&b);
	assert_true(UNTIL(calls(&b) >= more + 5));
	assert_int_equal(calls(&a), then);
	assert_ok(dtproc_bkpt_remove(p, bb));
	more = calls(&b);
	long count = shared->count;
	assert_true(UNTIL(shared->count > count + 5)); /* D5: it runs on */
	assert_int_equal(calls(&b), more);
	assert_int_equal(dtproc_bkpt_remove(p, bb), DTPROC_EINVAL);
}

/* D1: memory that is not mapped is no error; garbage is, with its reason. */
static void D1_unmapped_and_refused(void **state)
{
	static struct seen seen;
	struct dtproc_bkpt *b = NULL;

	assert_ok(dtproc_bkpt_remove(p, add(0x10000, note, &seen)));
	assert_int_equal(dtproc_bkpt_add(p, (dtproc_addr)(uintptr_t)&s, note, &seen, &b),
		DTPROC_ESITE);
	assert_text("not executable");
	assert_int_equal(dtproc_bkpt_add(p, BEAT, NULL, NULL, &b), DTPROC_EINVAL);
	assert_null(b);
}

/* C5: idle means clean; reads show the program's own bytes at any time. */
static void C5_no_trap_in_an_idle_victim(void **state)
{
	static struct seen seen;
	int orig = *(unsigned char *)BEAT;
	unsigned char byte = 0;

	add(BEAT, note, &seen);
	assert_int_equal(raw_byte(BEAT), orig);
	assert_ok(dtproc_proc_continue(p));
	assert_true(UNTIL(calls(&seen) >= 1));
	assert_int_equal(raw_byte(BEAT), ARCH_TRAP);
	assert_int_equal(dtproc_proc_read(p, BEAT, &byte, 1), 1);
	assert_int_equal(byte, orig);
	assert_ok(dtproc_proc_stop(p));
	assert_int_equal(raw_byte(BEAT), orig);
	assert_ok(dtproc_proc_continue(p));
	/* A hit that came amid the stop is told first. */
	assert_true(UNTIL(raw_byte(BEAT) == ARCH_TRAP));
}

/* A6, D6: nor does who goes on with a stale read-only handle see them. */
static void A6_a_stale_handle_shows_no_trap(void **state)
{
	static struct seen seen;
	struct hold_session *s2 = session();
	pid_t kid = child_run(body_beat);
	struct dtproc_proc *ro = grab_rdonly(s2, kid), *rw = grab_control(s2, kid);
	struct dtproc_bkpt *b = NULL;
	unsigned char byte = 0;

	assert_ok(dtproc_bkpt_add(rw, BEAT, note, &seen, &b));
	assert_ok(dtproc_proc_continue(rw));
	assert_true(UNTIL(calls(&seen) >= 2));
	for (int i = 0; i < 50; i++) {
		assert_int_equal(dtproc_proc_read(ro, BEAT, &byte, 1), 1);
		assert_int_equal(byte, *(unsigned char *)BEAT);
	}
	assert_int_equal(rw->refs, 1);
	dtproc_proc_release(rw, DTPROC_RELEASE_DEFAULT);
	dtproc_proc_release(ro, DTPROC_RELEASE_DEFAULT);
	child_end(kid);
	hold_close(s2);
}

static void remove_self(
	struct dtproc_proc *q, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	struct seen *seen = arg;

	seen->rc = dtproc_bkpt_remove(q, b);
	note(q, b, tid, arg);
}

static void add_and_remove_other(
	struct dtproc_proc *q, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	struct seen *seen = arg;

	if (seen->other)
		seen->rc |= dtproc_bkpt_remove(q, seen->other);
	seen->rc |= dtproc_bkpt_add(q, BEAT, note, &seen[1], &seen->other);
	note(q, b, tid, arg);
}

static void D2_a_callback_removes_itself(void **state)
{
	static struct seen seen = {.rc = -1};

	add(BEAT, remove_self, &seen);
	assert_ok(dtproc_proc_continue(p));
	assert_true(UNTIL(calls(&seen) == 1));
	long count = shared->count;
	assert_true(UNTIL(shared->count > count + 5));
	assert_int_equal(calls(&seen), 1);
	assert_int_equal(seen.rc, 0);
	assert_int_equal(raw_byte(BEAT), *(unsigned char *)BEAT);
}

/* Each hit takes the other one away before it is reached, and sets a new one. */
static void D2_a_callback_changes_others(void **state)
{
	static struct seen seen[2];

	add(BEAT, add_and_remove_other, &seen[0]);
	assert_ok(dtproc_proc_continue(p));
	assert_true(UNTIL(calls(&seen[0]) >= 10));
	assert_ok(dtproc_proc_stop(p));
	assert_int_equal(seen[0].rc, 0);
	assert_int_equal(calls(&seen[1]), 0);
}

static void misuse(struct dtproc_proc *q, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	struct seen *seen = arg;
	long v = 0;

	if (calls(seen) == 0) {
		seen->rc =
			dtproc_proc_lock(q) == DTPROC_ELOCK &&
			dtproc_proc_unlock(q) == DTPROC_ELOCK &&
			dtproc_proc_wait(q, 0) == DTPROC_ELOCK &&
			dtproc_proc_read(q, (dtproc_addr)(uintptr_t)&pid, &v, 4) == 4 &&
			dtproc_proc_write(q, (dtproc_addr)(uintptr_t)&pid, &v, 4) == 4 &&
			dtproc_proc_continue(q) == 0;
	}
	note(q, b, tid, arg);
}

/* I2: what a callback must not do is caught; what it may do works. */
static void I2_calls_in_a_callback(void **state)
{
	static struct seen seen;

	add(BEAT, misuse, &seen);
	assert_ok(dtproc_proc_continue(p));
	assert_true(UNTIL(calls(&seen) >= 3));
	assert_int_equal(seen.rc, 1);
}

static void give_back(struct dtproc_proc *q, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	if (calls(arg) == 0)
		dtproc_proc_release(q, DTPROC_RELEASE_DEFAULT);
	note(q, b, tid, arg);
}

/* The last release in a callback is not allowed; it must not hang nor crash either. */
static void a_last_release_in_a_callback(void **state)
{
	static struct seen seen;

	add(BEAT, give_back, &seen);
	assert_ok(dtproc_proc_continue(p));
	assert_true(UNTIL(calls(&seen) >= 3)); /* it is held on */
	assert_ptr_equal(grab_control(s, pid), p);
}

static void slow(struct dtproc_proc *q, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	note(q, b, tid, arg);
	nap_ms(5);
}

/* B4, B6: with an event outstanding requests are served and a release is clean. */
static void B6_release_amid_events(void **state)
{
	static struct seen seen[2];

	for (int i = 0; i < 10; i++) {
		struct dtproc_proc *old = p;
		memset(seen, 0, sizeof seen);
		add(BEAT, slow, &seen[0]);
		assert_ok(dtproc_proc_continue(p));
		assert_true(UNTIL(calls(&seen[0]) >= 2));
		assert_ok(dtproc_proc_stop(p));
		assert_ok(dtproc_proc_continue(p));
		dtproc_proc_release(old, DTPROC_RELEASE_DEFAULT);
		long count = shared->count;
		assert_true(UNTIL(shared->count > count));
		assert_int_equal(raw_byte(BEAT), *(unsigned char *)BEAT);
		p = grab_control(s, pid);
	}
}

/* What is written under a breakpoint is read back and takes effect at its removal. */
static void writes_under_a_breakpoint(void **state)
{
	static struct seen seen;
	unsigned char nop = 0x90, byte;
	dtproc_addr at = 0;

	/* beat() has a run of one-byte nops; the first of them. */
	for (dtproc_addr a = BEAT; a < BEAT + 64 && !at; a++)
		if (!memcmp((void *)(uintptr_t)a, "\x90\x90\x90\x90", 4))
			at = a;
	if (!at)
		skip(); /* another CPU's nop */
	struct dtproc_bkpt *b = add(at, note, &seen);
	assert_ok(dtproc_proc_continue(p));
	assert_true(UNTIL(calls(&seen) >= 2));
	nop = 0xf8; /* clc: harmless */
	assert_int_equal(dtproc_proc_write(p, at, &nop, 1), 1);
	assert_int_equal(dtproc_proc_read(p, at, &byte, 1), 1);
	assert_int_equal(byte, 0xf8);
	assert_int_equal(raw_byte(at), ARCH_TRAP);
	long before = calls(&seen);
	assert_true(UNTIL(calls(&seen) >= before + 2));
	assert_ok(dtproc_bkpt_remove(p, b));
	assert_int_equal(raw_byte(at), 0xf8);
}

static void memory_in_and_out(void **state)
{
	static char big[3 << 20];
	dtproc_addr at = (dtproc_addr)(uintptr_t)big;
	char *copy = malloc(sizeof big), byte;

	memset(copy, 'x', sizeof big);
	assert_int_equal(dtproc_proc_write(p, at, copy, sizeof big), sizeof big);
	memset(copy, 0, sizeof big);
	assert_int_equal(dtproc_proc_read(p, at, copy, sizeof big), sizeof big);
	for (size_t i = 0; i < sizeof big; i += 4095)
		assert_int_equal(copy[i], 'x');
	free(copy);
	assert_int_equal(dtproc_proc_read(p, 16, &byte, 1), DTPROC_ERANGE);
	assert_int_equal(dtproc_proc_write(p, 16, &byte, 1), DTPROC_ERANGE);
	assert_int_equal(dtproc_proc_read(p, ~0ull - 8, &byte, 1), DTPROC_ERANGE);
	assert_int_equal(dtproc_proc_read(p, at, &byte, 0), 0);
}

/* Symbols, through the object that is mapped. */
static void symbols(void **state)
{
	dtproc_addr addr = 0;
	size_t size = 0;

	assert_ok(dtproc_proc_symbol(p, "a.out", "main", &addr, &size));
	assert_true(size > 0);
	assert_ok(dtproc_proc_symbol(p, "libc", "getpid", &addr, NULL));
	assert_ok(dtproc_proc_symbol(p, NULL, "getpid", &addr, NULL));
	assert_int_equal(
		dtproc_proc_symbol(p, "libc", "nonesuch", &addr, NULL), DTPROC_ENOSYM);
	assert_text("no symbol 'nonesuch' in libc");
	assert_int_equal(
		dtproc_proc_symbol(p, "nonesuch", "main", &addr, NULL), DTPROC_ENOSYM);
}

static void run_to(void **state)
{
	assert_ok(hold_run_to(p, BEAT, 2000));
	assert_int_equal(run_of(p), DTPROC_IDLE);
	assert_int_equal(raw_byte(BEAT), *(unsigned char *)BEAT);
	for (int i = 0; i < 10; i++) {
		long count = shared->count;
		assert_ok(hold_run_to(p, BEAT, 2000));
		assert_int_equal(shared->count, count + 1);
	}
	/* A place that is never reached. */
	assert_int_equal(
		hold_run_to(p, (dtproc_addr)(uintptr_t)run_to, 30), DTPROC_ETIMEOUT);
	assert_int_equal(run_of(p), DTPROC_RUNNING);
	long count = shared->count;
	assert_true(UNTIL(shared->count > count));
	assert_ok(dtproc_proc_stop(p));
	kill(pid, SIGKILL);
	assert_int_equal(hold_run_to(p, BEAT, 2000), DTPROC_EKILLED);
}

static int hooked;

static void count_exec(struct dtproc_proc *q, enum hold_change change, void *arg)
{
	__atomic_add_fetch(&hooked, 1, __ATOMIC_SEQ_CST);
}

static void body_exec(void)
{
	while (!shared->stage)
		beat();
	execl("/bin/sleep", "sleep", "60", (char *)NULL);
}

/* D1, F1: exec drops breakpoints; what the client still points to stays harmless. */
static void F1_exec_drops_breakpoints(void **state)
{
	struct hold_hooks hooks = {.changed = count_exec};
	struct hold_session *s2 = session();
	struct dtproc_proc_status st;
	static struct seen seen;
	struct dtproc_bkpt *b = NULL;
	char byte;

	hold_set_hooks(s2, &hooks);
	hooked = 0;
	pid_t kid = child_run(body_exec);
	struct dtproc_proc *q = grab_control(s2, kid);
	dtproc_proc_status(q, &st);
	uint32_t generation = st.generation;
	assert_ok(dtproc_bkpt_add(q, BEAT, note, &seen, &b));
	assert_ok(dtproc_proc_continue(q));
	assert_true(UNTIL(calls(&seen) > 2));
	shared->stage = 1;
	assert_true(UNTIL(__atomic_load_n(&hooked, __ATOMIC_SEQ_CST) == 1));
	assert_true(UNTIL(comm_is(kid, "sleep")));
	dtproc_proc_status(q, &st);
	assert_int_equal(st.generation, generation + 1);
	assert_int_equal(dtproc_proc_read(q, BEAT, &byte, 1), DTPROC_ERANGE);
	assert_true(dtproc_bkpt_hits(b) > 2);
	/* One at the same address of the new image must not call the old one. */
	assert_ok(dtproc_proc_lock(q));
	assert_true(list_empty(&q->bkpts));
	assert_ok(dtproc_proc_unlock(q));
	assert_ok(dtproc_bkpt_remove(q, b));
	assert_int_equal(dtproc_bkpt_remove(q, b), DTPROC_EINVAL);
	dtproc_addr at; /* once its linker has mapped it */
	assert_true(UNTIL(dtproc_proc_symbol(q, "libc", "getpid", &at, NULL) == 0));
	/* What was found in the old image is not for this one. */
	struct wire_site site = {.addr = at, .user = 1, .kind = WIRE_SITE_EVENT};
	assert_int_equal(hold_arm(q, generation, &site, 1, 0), DTPROC_EIMAGE);
	assert_int_equal(hold_arm(q, generation + 1, &site, 1, 0), 1);
	assert_ok(hold_disarm(q, &site, 1));
	dtproc_proc_release(q, DTPROC_RELEASE_DEFAULT);
	child_end(kid);
	hold_close(s2);
}

static int arm_with(unsigned first, unsigned n, unsigned size)
{
	struct {
		struct wire_site site;
		struct wire_operand operand;
	} both = {{.addr = BEAT,
			  .kind = WIRE_SITE_EVENT,
			  .flags = WIRE_SITE_OPERANDS,
			  .operand = first,
			  .operands = (uint8_t)n},
		{.kind = WIRE_OPERAND_REG, .size = (uint8_t)size}};

	assert_true(hold_arm(p, 0, &both.site, 1, 1) >= 0);
	if (both.site.result == 0)
		assert_ok(hold_disarm(p, &both.site, 1));
	return both.site.result;
}

/* Operands that are not there, or of no size, refuse their site. */
static void operands_are_checked(void **state)
{
	struct wire_site often = {.addr = WIRE_MOMENTS + WIRE_MOMENT_PROFILE,
		.kind = WIRE_SITE_EVENT,
		.interval = WIRE_INTERVAL_MIN - 1};

	assert_true(hold_arm(p, 0, &often, 1, 0) >= 0);
	assert_int_equal(often.result, DTPROC_EPROTO);
	assert_int_equal(arm_with(0, 1, 4), 0);
	assert_int_equal(arm_with(0, 1, 3), DTPROC_EPROTO);
	assert_int_equal(arm_with(0, 2, 4), DTPROC_EPROTO);
	assert_int_equal(arm_with(0, WIRE_OPERANDS_MAX + 1, 4), DTPROC_EPROTO);
	assert_int_equal(arm_with(~0u, 1, 4), DTPROC_EPROTO);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(D2_a_hit_is_told),
		WITH(D1_several_users_of_one_address),
		WITH(D1_unmapped_and_refused),
		WITH(C5_no_trap_in_an_idle_victim),
		WITH(A6_a_stale_handle_shows_no_trap),
		WITH(D2_a_callback_removes_itself),
		WITH(D2_a_callback_changes_others),
		WITH(I2_calls_in_a_callback),
		WITH(a_last_release_in_a_callback),
		WITH(B6_release_amid_events),
		WITH(writes_under_a_breakpoint),
		WITH(memory_in_and_out),
		WITH(symbols),
		WITH(run_to),
		WITH(operands_are_checked),
		WITH(F1_exec_drops_breakpoints),
	};

	return cmocka_run_group_tests(tests, shared_make, NULL);
}
