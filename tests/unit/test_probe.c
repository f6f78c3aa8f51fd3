/* SPDX-License-Identifier: BSD-2-Clause */
/* src/probe: which probes a description makes, in a real victim. */
#include "unit.h"
#include "calls.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <arch/arch.h>
#include <probe/probe.h>

static struct hold_session *session;
static struct probe_table *table;
static pid_t victim;

static int setup(void **state)
{
	victim = calls_start();
	return hold_open(NULL, &session) ||
	       probe_table_open(session, PROBE_TO_LIST, &table);
}

static int teardown(void **state)
{
	probe_table_close(table);
	hold_close(session);
	return calls_end(victim);
}

struct seen {
	long n;
	char last[256];
	uint32_t id;
	const struct probe *probe;
};

static int note(const struct probe *p, void *arg)
{
	struct seen *s = arg;

	s->n++;
	s->id = p->id;
	s->probe = p;
	snprintf(s->last, sizeof s->last, "%s:%s:%s", p->module, p->function, p->name);
	return 0;
}

static long match(
	const char *module, const char *function, const char *name, struct seen *s)
{
	char provider[32];
	struct probe_desc d = {provider, module, function, name};

	snprintf(provider, sizeof provider, "pid%d", (int)victim);
	*s = (struct seen){0};
	return probe_each(table, &d, note, s);
}

static void own_probes_have_dtraces_ids(void **state)
{
	static const char *const names[] = {"BEGIN", "END", "ERROR"};

	for (unsigned i = 0; i < 3; i++) {
		struct probe_desc d = {"", "", "", names[i]};
		struct seen s = {0};

		assert_int_equal(probe_each(table, &d, note, &s), 1);
		assert_int_equal(s.id, i + 1);
	}
	assert_null(probe_by_id(table, 0));
	assert_null(probe_by_id(table, 4000));
}

/* A12: a grab that the library makes for itself sets no $target. */
static void own_grab_sets_no_target(void **state)
{
	struct seen s;

	assert_int_equal(match("a.out", "first_call", "entry", &s), 1);
	assert_string_equal(s.last, "calls:first_call:entry");
	assert_int_equal(hold_target(session), 0);
}

static void one_probe_for_one_name(void **state)
{
	struct seen a, b;

	assert_int_equal(match("a.out", "first_call", "entry", &a), 1);
	assert_int_equal(match("calls", "first_c*", "entr?", &b), 1);
	assert_ptr_equal(a.probe, b.probe);
	/* Another name of the address is another probe, at the same place. */
	assert_int_equal(match("", "__first_alias", "entry", &b), 1);
	assert_int_not_equal(a.id, b.id);
	assert_int_equal(a.probe->places[0].addr, b.probe->places[0].addr);
	/* A glob takes the preferred name alone. */
	assert_int_equal(match("a.out", "*first_*", "entry", &b), 1);
	assert_ptr_equal(a.probe, b.probe);
}

static void modules(void **state)
{
	struct seen s;

	assert_int_equal(match("libc", "puts", "entry", &s), 1);
	assert_string_equal(s.last, "libc.so.6:puts:entry");
	assert_int_equal(match("libc.so", "puts", "entry", &s), 1);
	assert_int_equal(match("libc.so.6", "puts", "entry", &s), 1);
	assert_int_equal(match("lib*", "puts", "entry", &s), 1);
	assert_int_equal(match("", "puts", "entry", &s), 1);
	assert_int_equal(match("a.out", "puts", "entry", &s), 0);
	assert_int_equal(match("lib", "puts", "entry", &s), 0);
	assert_non_null(strstr(probe_why_none(table), "no object called lib"));
	assert_true(match("libc", "*alloc*", "entry", &s) > 3);
}

static void instructions(void **state)
{
	struct seen entry, first, all;

	assert_int_equal(match("a.out", "ten_arguments", "entry", &entry), 1);
	assert_int_equal(match("a.out", "ten_arguments", "0", &first), 1);
	assert_int_equal(entry.probe->places[0].addr, first.probe->places[0].addr);
	/* At the first instruction there are two probes, entry and 0. */
	assert_true(match("a.out", "ten_arguments", "*", &all) > 10);
	/* An address is what it is, whatever the module. */
	char hex[24];

	snprintf(
		hex, sizeof hex, "%llx", (unsigned long long)entry.probe->places[0].addr);
	assert_int_equal(match("", "-", hex, &first), 1);
	assert_int_equal(first.probe->places[0].addr, entry.probe->places[0].addr);
	assert_int_equal(match("", "-", "entry", &first), DTPROC_ENOPROBE);
	assert_int_equal(match("a.out", "ten_arguments", "fff", &all), 0);
	assert_string_equal(probe_why_none(table), "no instruction begins at offset fff");
}

static void refused(void **state)
{
	struct seen s;

	assert_int_equal(match("", "first_call", "exit", &s), 0);
	assert_int_equal(match("libc", "strlen", "entry", &s), 0);
	assert_non_null(strstr(probe_why_none(table), "indirect"));
}

static long tick(const char *provider, const char *name, struct seen *s)
{
	struct probe_desc d = {provider, "", "", name};

	*s = (struct seen){0};
	return probe_each(table, &d, note, s);
}

static void ticks(void **state)
{
	struct seen s;

	assert_int_equal(tick("", "tick-10", &s), 1);
	assert_int_equal(s.probe->interval_ns, 100000000);
	assert_int_equal(tick("profile", "tick-3s", &s), 1);
	assert_int_equal(s.probe->interval_ns, 3000000000);
	assert_int_equal(tick("tick", "tick-500USEC", &s), 1);
	assert_int_equal(s.probe->interval_ns, 500000);
	assert_int_equal(tick("", "tick-0", &s), DTPROC_ENOPROBE);
	assert_int_equal(tick("", "tick-1us", &s), DTPROC_ENOPROBE);
	assert_int_equal(tick("", "tick-99999999999999999999s", &s), DTPROC_ENOPROBE);
	assert_int_equal(tick("", "tick-99999999999d", &s), DTPROC_ENOPROBE);
	assert_int_equal(tick("", "profile-250ms", &s), 1); /* one victim is known */
	assert_int_equal(s.probe->places[0].interval_ns, 250000000);
	assert_int_equal(tick("", "profile-5001", &s), DTPROC_ENOPROBE);
	assert_int_equal(tick("dtrace", "tick-1s", &s), 0);
}

/* Bytes that lie at 0x1000 in a victim. */
struct code {
	const uint8_t *at;
	size_t n;
};

static int read_code(void *cookie, dtproc_addr addr, void *buf, size_t len)
{
	const struct code *c = cookie;

	if (addr < 0x1000 || addr - 0x1000 > c->n || len > c->n - (addr - 0x1000))
		return -1;
	memcpy(buf, c->at + (addr - 0x1000), len);
	return 0;
}

/* Start code of `n` bytes, with others behind it. */
static dtproc_addr start_main(const uint8_t *code, size_t n)
{
	uint8_t all[256] = {0};
	struct code c = {all, sizeof all};

	memcpy(all, code, n);
	return arch_start_main(read_code, &c, 0x1000);
}

static void main_by_the_start_code(void **state)
{
	/* xor ebp,ebp; mov rdi,0x627ca0; call [rip+...] */
	static const uint8_t fixed[] = {0x31, 0xed, 0x48, 0xc7, 0xc7, 0xa0, 0x7c, 0x62, 0,
		0xff, 0x15, 0, 0, 0, 0, 0xf4};
	/* lea rdi,[rip+0x10]; call [rip+...] */
	static const uint8_t relative[] = {
		0x48, 0x8d, 0x3d, 0x10, 0, 0, 0, 0xff, 0x15, 0, 0, 0, 0};
	/* mov rdi,[rip+6]; call [rip+...]; and the table */
	static const uint8_t listed[] = {0x48, 0x8b, 0x3d, 6, 0, 0, 0, 0xff, 0x15, 0, 0,
		0, 0, 0x21, 0x43, 0x65, 0, 0, 0, 0, 0};
	/* mov rdi,rsp; call: musl's, which passes its stack; mov rdi,0x401030; jmp */
	static const uint8_t stack[] = {0x48, 0x89, 0xe7, 0xe8, 1, 0, 0, 0, 0xf4, 0x48,
		0xc7, 0xc7, 0x30, 0x10, 0x40, 0, 0xe9, 0, 0, 0, 0};
	/* the address is overwritten before the call */
	static const uint8_t lost[] = {0x48, 0xc7, 0xc7, 0xa0, 0x7c, 0x62, 0, 0x48, 0x89,
		0xe7, 0xff, 0x15, 0, 0, 0, 0};
	/* call to itself, for ever */
	static const uint8_t again[] = {0xe8, 0xfb, 0xff, 0xff, 0xff};
	/* jz: another language's start */
	static const uint8_t branch[] = {
		0x48, 0xc7, 0xc7, 0xa0, 0x7c, 0x62, 0, 0x74, 0, 0xe8, 0, 0, 0, 0};

	assert_int_equal(start_main(fixed, sizeof fixed), 0x627ca0);
	assert_int_equal(start_main(relative, sizeof relative), 0x1017);
	assert_int_equal(start_main(listed, sizeof listed), 0x654321);
	assert_int_equal(start_main(stack, sizeof stack), 0x401030);
	assert_int_equal(start_main(lost, sizeof lost), 0);
	assert_int_equal(start_main(again, sizeof again), 0);
	assert_int_equal(start_main(branch, sizeof branch), 0);
	/* At the end of what is mapped, and cut anywhere. */
	for (size_t n = 0; n <= sizeof fixed; n++) {
		struct code c = {fixed, n};
		assert_int_equal(arch_start_main(read_code, &c, 0x1000),
			n == sizeof fixed ? 0x627ca0 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_probes_have_dtraces_ids),
		cmocka_unit_test(own_grab_sets_no_target),
		cmocka_unit_test(one_probe_for_one_name),
		cmocka_unit_test(modules),
		cmocka_unit_test(instructions),
		cmocka_unit_test(refused),
		cmocka_unit_test(ticks),
		cmocka_unit_test(main_by_the_start_code),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
