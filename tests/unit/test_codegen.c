/* SPDX-License-Identifier: BSD-2-Clause */
/* D text through compiler, verifier and interpreter to records and aggregations. */
#include "unit.h"
#include "dlang.h"
#include "values.h"

#include <stdio.h>

/* Runs `BEGIN { trace(expression); }`; its result. */
static int64_t value_of(const char *expression)
{
	char text[512];
	struct rt_record record;
	const struct cg_clause *c;

	snprintf(text, sizeof text, "BEGIN { trace(%s); }", expression);
	if (bench_compile(&bench, text))
		fail_msg("%s: %s", expression, err_text());
	c = bench.script->clauses;
	assert_int_equal(c->n_actions, 1);
	assert_int_equal(c->actions[0].kind, CG_TRACE);
	if (bench_run(&bench, 0) == -2)
		fail_msg("%s: %s", expression, err_text());
	assert_int_equal(rt_ring_next(&bench.client, 0, &record, payload), 1);
	if (record.kind != RT_RECORD_DATA)
		fail_msg("%s: fault", expression);
	assert_int_equal(record.program, c->program);
	return (int64_t)payload[c->actions[0].fields[0].offset / 8];
}

/* The same expression for C and for D, on constants and on what only a run knows. */
#define SAME(expr)                                                                       \
	do {                                                                             \
		int64_t want = (int64_t)(expr), got = value_of(#expr);                   \
		if (got != want)                                                         \
			fail_msg("%s is %lld, C says %lld", #expr, (long long)got,       \
				(long long)want);                                        \
	} while (0)

static void test_c_arithmetic(void **state)
{
	int64_t arg0 = 7, arg1 = -7, arg2 = 0;

	SAME(1 + 2 * 3 - 4 / 2 % 3);
	SAME(2147483647u + 1u);
	SAME(4294967295u + 1u);
	SAME(-7 / 2);
	SAME(-7 % 3);
	SAME(-7 / 2u);
	SAME(7 - 8u > 0);
	SAME(-1 < 1u);
	SAME(-1L < 1u);
	SAME(-1 < 1ul);
	SAME(arg1 / 2);
	SAME(arg1 % 3);
	SAME(arg0 / arg1 * 100 + arg0 % arg1);
	SAME((unsigned int)arg1 / 2);
	SAME((uint8_t)arg1);
	SAME((int8_t)(arg0 + 250));
	SAME((short)(arg0 << 13));
	SAME((int)arg1 >> 1);
	SAME((unsigned int)arg1 >> 28);
	SAME((uint64_t)arg1 >> 60);
	SAME(arg1 >> 1);
	SAME(1 << arg0);
	SAME(1L << (arg0 + 33));
	SAME(~arg0 & 0xff ^ 3 | 1 << 4);
	SAME(-arg0 + +arg1 - ~arg1);
	SAME(-(unsigned int)arg0);
	SAME(~(uint8_t)arg0);
	SAME(arg0 * 1000000007 * arg0 * 1234567);
	assert_int_equal(value_of("(int)arg0 * 400000000"), -1494967296);
	SAME('a' + '\n' + '\x7f' + '\0');
	SAME(017 + 0x1fUL + 10ll);
	SAME(sizeof(int) + sizeof(unsigned char) * sizeof(long long *));
	SAME(sizeof(1L) + sizeof 'a' + sizeof(arg0 + 1) - sizeof(char));
	SAME(-1 < sizeof(int));
	SAME((char)200);
	SAME((unsigned char)(char)200);
	SAME(18446744073709551615u / 10);
	SAME(arg2 / 5 + 9223372036854775807);
	(void)arg2;
}

static void test_c_logic(void **state)
{
	int64_t arg0 = 7, arg1 = -7, arg2 = 0;

	SAME(arg0 && arg1);
	SAME(arg2 && arg0 / arg2);
	SAME(arg0 || arg0 / arg2);
	SAME(!arg0 || !arg2 && arg1 < 0);
	SAME(!(arg0 && arg2) + !!arg1);
	SAME(arg0 > 6 ? arg1 > 6 ? 1 : 2 : 3);
	SAME(arg2 ? 1u : -1);
	SAME(arg2 ? 1 : -1);
	SAME((arg0 == 7) + (arg0 != 7) * 2 + (arg0 < 7) * 4 + (arg0 <= 7) * 8 +
		(arg0 > 7) * 16 + (arg0 >= 7) * 32);
	SAME((arg1 == -7) + (arg1 < arg0) * 2 + ((uint64_t)arg1 < (uint64_t)arg0) * 4);
	SAME((arg0, arg1, 5));
	SAME(1 ? 2 : 3 ? 4 : 5);
	SAME(arg0 & 3 == 3);
	SAME(arg0 < arg1 == 0);
	assert_int_equal(value_of("arg0 ^^ arg1"), 0);
	assert_int_equal(value_of("arg0 ^^ arg2"), 1);
	assert_int_equal(value_of("1 ^^ 0"), 1);
}

static void test_builtins(void **state)
{
	assert_int_equal(value_of("pid"), 42);
	assert_int_equal(value_of("tid"), 43);
	assert_int_equal(value_of("id"), 3);
	int64_t epid = value_of("epid");
	assert_int_equal(epid, bench.script->clauses[0].program);
	assert_int_equal(value_of("timestamp"), 1000 + RT_VALUE_TIMESTAMP);
	assert_int_equal(value_of("vtimestamp"), 1000 + RT_VALUE_VTIMESTAMP);
	assert_int_equal(value_of("walltimestamp"), 1000 + RT_VALUE_WALLTIMESTAMP);
	assert_int_equal(value_of("cpu"), 1000 + RT_VALUE_CPU);
	assert_int_equal(value_of("ppid"), 1000 + RT_VALUE_PPID);
	assert_int_equal(value_of("uid"), 1000 + RT_VALUE_UID);
	assert_int_equal(value_of("gid"), 1000 + RT_VALUE_GID);
	assert_int_equal(value_of("arg9"), 109);
	assert_int_equal(value_of("$target"), 4711);
	assert_int_equal(value_of("$pid"), getpid());
	assert_int_equal(value_of("$1 + $3"), 9);
	assert_int_equal(value_of("$$2 == \"word\""), 1);
}

static void test_strings(void **state)
{
	assert_int_equal(value_of("execname == \"victim\""), 1);
	assert_int_equal(value_of("execname != \"victim\""), 0);
	assert_int_equal(
		value_of("probefunc == \"malloc\" && probename == \"entry\""), 1);
	assert_int_equal(
		value_of("probemod == \"libc.so.6\" && probeprov == \"pid42\""), 1);
	assert_int_equal(value_of("\"abc\" < \"abd\""), 1);
	assert_int_equal(value_of("\"abc\" >= \"abcd\""), 0);
	assert_int_equal(value_of("\"a\" > \"\""), 1);
	assert_int_equal(value_of("(arg0 ? \"yes\" : \"no\") == \"yes\""), 1);
	assert_int_equal(value_of("(arg2 ? execname : probefunc) == \"malloc\""), 1);
	assert_int_equal(value_of("strlen(execname) + strlen(\"\")"), 6);
	assert_int_equal(value_of("copyinstr(0x1000) == \"hello\""), 1);
	assert_int_equal(value_of("stringof(0x1001) == \"ello\""), 1);
	assert_int_equal(value_of("(string)0x1000 == \"hello\""), 1);
	value_of("execname");
	assert_string_equal((char *)payload, "victim");
	value_of("\"\\\nover \\\ntwo\\x20lines\\\n\"");
	assert_string_equal((char *)payload, "over two lines");
	value_of("arg2 ? \"a longer text\" : \"short\"");
	assert_string_equal((char *)payload, "short");
}

static void test_pointers(void **state)
{
	assert_int_equal(value_of("*(char *)0x1000"), 'h');
	assert_int_equal(value_of("((char *)0x1000)[4]"), 'o');
	assert_int_equal(value_of("*(uint8_t *)(0x1000 + 63)"), 63 * 7 & 255);
	assert_int_equal(value_of("*((int8_t *)0x1000 + 63)"), (int8_t)(63 * 7));
	assert_int_equal(value_of("((uint16_t *)0x1010)[1]"), 18 * 7 | 19 * 7 << 8);
	assert_int_equal(value_of("&((int *)0x1000)[3] - (int *)0x1000"), 3);
	assert_int_equal(value_of("(uint64_t)((int *)0x1000 + 2)"), 0x1008);
}

/* The fault that an expression ends with, and its value. */
static uint32_t fault_of(const char *expression, uint64_t *value)
{
	char text[512];
	struct rt_record record;
	struct rt_fault_record *fault = (struct rt_fault_record *)payload;

	snprintf(text, sizeof text, "BEGIN { printf(\" \"); trace(%s); }", expression);
	if (bench_compile(&bench, text))
		fail_msg("%s: %s", expression, err_text());
	assert_int_equal(bench_run(&bench, 0), -1);
	assert_int_equal(rt_ring_next(&bench.client, 0, &record, payload), 1);
	assert_int_equal(record.kind, RT_RECORD_FAULT);
	assert_int_equal(rt_ring_next(&bench.client, 0, &record, payload + 64), 0);
	assert_int_equal(cg_clause_action_at(bench.script->clauses, fault->pc), 2);
	*value = fault->value;
	return fault->fault;
}

static void test_faults(void **state)
{
	uint64_t value;

	assert_int_equal(fault_of("1 / arg2", &value), RT_FAULT_DIVZERO);
	assert_int_equal(fault_of("arg0 % (int)arg2", &value), RT_FAULT_DIVZERO);
	assert_int_equal(fault_of("*(int *)0x10", &value), RT_FAULT_BADADDR);
	assert_int_equal(value, 0x10);
	assert_int_equal(fault_of("copyinstr(0x103e)", &value), RT_FAULT_BADADDR);
	assert_int_equal(value, 0x1040);
	assert_string_equal(rt_fault_text(RT_FAULT_DIVZERO), "divide-by-zero");
}

static void test_predicate(void **state)
{
	struct rt_record record;

	assert_int_equal(
		bench_compile(&bench,
			"#!/usr/sbin/dtproc -s\na:b:c:d /arg0 / 2 == 4/ { trace(1); }\n"
			"x,y,z /probefunc == \"malloc\"/;\n"
			"#pragma D option quiet\n"
			"#pragma D option bufsize=4m\n# 7 \"x.d\"\n"
			"dtrace:::END {\n# 9 \"x.d\" 2\n  # pragma D option zdefs\n}"),
		0);
	assert_int_equal(bench.script->n_clauses, 3);
	bench.args_read = 0;
	assert_int_equal(bench_run(&bench, 0), 0);
	assert_int_equal(bench.args_read, 1);
	assert_int_equal(rt_ring_next(&bench.client, 0, &record, payload), 0);
	assert_int_equal(bench_run(&bench, 1), 0);
	assert_int_equal(bench.args_read, 1); /* not asked for: not read */
	assert_int_equal(rt_ring_next(&bench.client, 0, &record, payload), 1);
	assert_int_equal(record.probe, 3);
	assert_int_equal(record.pid, 42);
	assert_int_equal(record.tid, 43);
	assert_int_equal(bench.script->clauses[1].n_descs, 3);
	assert_string_equal(bench.script->clauses[1].descs[2].part[RT_PART_NAME], "z");
	assert_string_equal(
		bench.script->clauses[0].descs[0].part[RT_PART_PROVIDER], "a");
	assert_int_equal(bench.script->clauses[2].has_record, 1);
	assert_int_equal(bench.script->clauses[2].n_actions, 0);
	assert_int_equal(bench.script->n_options, 3);
	assert_string_equal(bench.script->options[1].name, "bufsize");
	assert_string_equal(bench.script->options[1].value, "4m");
}

static void test_printf_layout(void **state)
{
	const struct cg_action *a;
	struct rt_record record;

	assert_int_equal(
		bench_compile(&bench,
			"BEGIN { printf(\"hi\\n\"); printf(\"%-*s|%5.3d|%c%%\\n\", 9, execname, arg1, 'x');"
			" printf(\"%s\", probefunc); exit(3); }"),
		0);
	a = bench.script->clauses[0].actions;
	assert_int_equal(bench.script->clauses[0].n_actions, 4);
	assert_int_equal(a[0].n_fields, 0);
	assert_string_equal(a[0].format->convs[0].text, "hi\n");
	assert_int_equal(a[1].n_fields, 4);
	assert_int_equal(a[1].format->convs[0].width, LANG_STAR);
	assert_int_equal(a[1].format->convs[0].minus, 1);
	assert_int_equal(a[1].format->convs[0].arg, 1);
	assert_string_equal(a[1].format->convs[1].text, "|");
	assert_int_equal(a[1].format->convs[1].width, 5);
	assert_int_equal(a[1].format->convs[1].precision, 3);
	assert_int_equal(a[1].format->convs[3].conv, '%');
	assert_string_equal(a[1].format->convs[4].text, "\n");
	assert_int_equal(a[1].fields[1].kind, CG_STRING);
	assert_int_equal(a[1].fields[1].size, 16);
	assert_int_equal(a[2].fields[0].kind, CG_PROBE);
	assert_int_equal(a[2].fields[0].part, RT_PART_FUNCTION);
	assert_int_equal(a[3].kind, CG_EXIT);
	assert_int_equal(bench_run(&bench, 0), 0);
	assert_int_equal(rt_view_bell(&bench.view), 1);
	assert_int_equal(rt_client_stopped(&bench.client), 1);
	assert_int_equal(rt_ring_next(&bench.client, 0, &record, payload), 1);
	assert_string_equal((char *)payload + a[1].fields[1].offset, "victim");
	assert_int_equal(payload[a[1].fields[0].offset / 8], 9);
	assert_int_equal((int64_t)payload[a[1].fields[2].offset / 8], -7);
	assert_int_equal(payload[a[2].fields[0].offset / 8], 3);
	assert_int_equal(payload[a[3].fields[0].offset / 8], 3);
	assert_int_equal(bench_run(&bench, 0), 1); /* tracing is over */
	bench.hit.flags = RT_HIT_ALWAYS;
	assert_int_equal(bench_run(&bench, 0), 0); /* but END runs */
}

struct seen {
	unsigned n;
	uint64_t value[4];
	char key[4][64];
	const struct cg_agg *agg[4];
};

static int see(const struct rt_agg_entry *e, void *arg)
{
	struct seen *seen = arg;

	assert_in_range(seen->n, 0, 3);
	seen->agg[seen->n] = cg_agg_by_id(bench.cg, e->id);
	assert_non_null(seen->agg[seen->n]);
	assert_int_equal(seen->agg[seen->n]->func, e->func);
	assert_int_equal(seen->agg[seen->n]->words, e->n_words);
	assert_true(e->key_bytes <= seen->agg[seen->n]->key_bytes);
	memcpy(seen->key[seen->n], e->key, e->key_bytes);
	seen->value[seen->n++] = e->words[e->n_words - 1];
	return 0;
}

static void test_aggregations(void **state)
{
	struct seen seen = {0};

	assert_int_equal(bench_compile(&bench,
				 "BEGIN { @ = count(); @hot[probefunc, arg1] = sum(arg0);"
				 " @hot[execname, 5] = sum(1); @s[arg2] = max(arg1); }"),
		0);
	assert_int_equal(bench.script->clauses[0].has_record, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(bench_run(&bench, 0), 0);
	rt_agg_each(&bench.client, 0, see, &seen);
	assert_int_equal(seen.n, 4);
	assert_string_equal(seen.agg[0]->name, "");
	assert_int_equal(seen.value[0], 3);
	assert_int_equal(seen.value[1], 21);
	assert_int_equal(seen.agg[1]->keys[0].kind, CG_PROBE);
	assert_int_equal(*(uint64_t *)seen.key[1], 3);
	assert_int_equal(*(int64_t *)(seen.key[1] + seen.agg[1]->keys[1].offset), -7);
	assert_int_equal(
		seen.agg[2]->group, seen.agg[1]->group); /* two layouts, one name */
	assert_string_equal(seen.key[2], "victim");
	assert_int_equal(*(uint64_t *)(seen.key[2] + seen.agg[2]->keys[1].offset), 5);
	assert_int_equal((int64_t)seen.value[3], -7);
}

/* Aggregations are the session's: another text goes on with the same. */
static void test_scripts_share(void **state)
{
	struct seen seen = {0};

	assert_int_equal(bench_compile(&bench, "BEGIN { @a[1] = count(); }"), 0);
	assert_int_equal(bench_run(&bench, 0), 0);
	assert_int_equal(bench_compile(&bench, "END { @a[1] = count(); }"), 0);
	assert_int_equal(bench_run(&bench, 0), 0);
	rt_agg_each(&bench.client, 0, see, &seen);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.value[0], 2);
	assert_int_equal(
		bench_compile(&bench, "END { @a[1] = sum(3); }"), DTPROC_ESYNTAX);
}

static void test_variables(void **state)
{
	assert_int_equal(last_value("BEGIN { x = 5; x += 2; x <<= 3; trace(x); }"), 56);
	assert_int_equal(last_value("BEGIN { trace(x++ * 100 + x--); }"), 5657);
	assert_int_equal(last_value("BEGIN { trace(++x); trace(--x - 1); }"), 55);
	assert_int_equal(last_value("int8_t c; BEGIN { c = 300; trace(c); }"), 44);
	assert_int_equal(last_value("BEGIN { n++; n++; trace(n); }"), 2);
	assert_int_equal(last_value("BEGIN { y = z = arg0; trace(y + z); }"), 14);
	assert_int_equal(
		last_value("BEGIN { z = arg0 ? (y = 3) : 4; trace(y * z); }"), 9);
	assert_int_equal(last_value("self int t; BEGIN { trace(self->t); }"), 0);
	assert_int_equal(
		last_value("BEGIN { self->t = 9; self->t += 2; trace(self->t); }"), 11);
	bench.hit.tid++; /* another thread has its own */
	assert_int_equal(last_value("BEGIN { trace(self->t); }"), 0);
	bench.hit.tid--;
	assert_int_equal(last_value("BEGIN { trace(self->t++); }"), 11);
	assert_int_equal(last_value("BEGIN { self->t = 0; trace(self->t); }"), 0);
	assert_int_equal(
		last_value("BEGIN { p = (char *)0x1000; p += 4; trace(*p); }"), 'o');
	assert_int_equal(last_value("BEGIN { p -= 3; trace(p[0]); }"), 'e');
	assert_int_equal(
		last_value("inline int FEW = 2 + 1; inline string S = \"victim\";"
			   "BEGIN { trace(FEW + (S == execname)); }"),
		4);
}

static void test_string_variables(void **state)
{
	last_value("BEGIN { s = execname; trace(s); }");
	assert_string_equal((char *)payload, "victim");
	last_value("BEGIN { s = s == \"victim\" ? \"was\" : \"not\"; trace(s); }");
	assert_string_equal((char *)payload, "was");
	last_value("BEGIN { self->s = s; s = \"\"; trace(self->s); }");
	assert_string_equal((char *)payload, "was");
	last_value("BEGIN { this->s = self->s; trace(this->s); }");
	assert_string_equal((char *)payload, "was");
	assert_int_equal(last_value("BEGIN { trace(strlen(s) + strlen(self->s)); }"), 3);
}

/* this-> lasts through the clauses of one firing, and begins as zero in the next. */
static void test_clause_local(void **state)
{
	struct rt_record record;

	assert_int_equal(bench_compile(&bench, "BEGIN { this->n += 2; trace(this->n); }"
					       "BEGIN { this->n += 3; trace(this->n); }"),
		0);
	for (int firing = 0; firing < 2; firing++) {
		bench.hit.locals = 0; /* an engine begins with a fresh hit */
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(bench_run(&bench, i), 0);
			assert_int_equal(
				rt_ring_next(&bench.client, 0, &record, payload), 1);
			assert_int_equal(payload[0], i ? 5 : 2);
		}
	}
}

/* An assignment records nothing, so that nothing is printed. */
static void test_assignment_is_silent(void **state)
{
	assert_int_equal(
		bench_compile(&bench, "BEGIN { x = 1; @[x] = count(); x++; }"), 0);
	assert_int_equal(bench.script->clauses[0].has_record, 0);
}

/* ------------------------------------------- folded and computed are the same */

static uint64_t random_state;

static unsigned roll(unsigned below)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % below;
}

/* A random expression; A, B and C stand for arg0, arg1 and arg2. */
static char *make_expression(char *at, unsigned depth)
{
	static const char *const binaries[] = {"+", "-", "*", "/", "%", "&", "|", "^",
		"<<", ">>", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "^^"};
	static const char *const types[] = {"char", "unsigned char", "short", "uint16_t",
		"int", "unsigned", "long", "uint64_t"};
	static const char *const leaves[] = {"A", "B", "C", "1", "-3", "0x7fffffff",
		"255u", "4294967295", "0x8000000000000000", "'a'"};

	switch (depth ? roll(8) : 7) {
	case 0:
		at = stpcpy(at, roll(2) ? "-(" : roll(2) ? "~(" : "!(");
		return stpcpy(make_expression(at, depth - 1), ")");
	case 1:
		at += sprintf(at, "(%s)(", types[roll(COUNT_OF(types))]);
		return stpcpy(make_expression(at, depth - 1), ")");
	case 2:
		at = stpcpy(make_expression(stpcpy(at, "("), depth - 1), " ? ");
		at = stpcpy(make_expression(at, depth - 1), " : ");
		return stpcpy(make_expression(at, depth - 1), ")");
	case 7:
		return stpcpy(at, leaves[roll(COUNT_OF(leaves))]);
	}
	at = stpcpy(make_expression(stpcpy(at, "("), depth - 1), " ");
	at = stpcpy(stpcpy(at, binaries[roll(COUNT_OF(binaries))]), " ");
	return stpcpy(make_expression(at, depth - 1), ")");
}

/* Puts a text in for each of A, B and C. */
static void substitute(char *to, const char *from, const char *const with[3])
{
	for (; *from; from++) {
		if (*from >= 'A' && *from <= 'C')
			to = stpcpy(to, with[*from - 'A']);
		else
			*to++ = *from;
	}
	*to = 0;
}

/* The value of an expression; 0 when it divides by zero, then or now. */
static int computed(const char *expression, int64_t *out)
{
	static char text[32768];
	struct rt_record record;

	snprintf(text, sizeof text, "BEGIN { trace(%s); }", expression);
	if (bench_compile(&bench, text)) {
		if (!strstr(err_text(), "[D_DIV_ZERO]"))
			fail_msg("%s: %s", expression, err_text());
		return 0;
	}
	if (bench_run(&bench, 0) == -2)
		fail_msg("%s: %s", expression, err_text());
	assert_int_equal(rt_ring_next(&bench.client, 0, &record, payload), 1);
	*out = (int64_t)payload[0];
	return record.kind == RT_RECORD_DATA;
}

/*
 * Expressions of constants are computed by the compiler, of arguments by the program.
 * Both must say the same.  A division by zero that is never reached is refused as a
 * constant; such expressions say nothing here.
 */
static void test_random_expressions(void **state)
{
	static const char *const constants[] = {
		"((int64_t)7)", "((int64_t)-7)", "((int64_t)0)"};
	static const char *const arguments[] = {"arg0", "arg1", "arg2"};
	static const char *const mixed[] = {"arg0", "((int64_t)-7)", "(v - v)"};
	static char pattern[8192], folded[32768], run[32768];
	unsigned compared = 0;

	assert_int_equal(bench_compile(&bench, "BEGIN { v = 1L; }"), 0);
	for (random_state = 1; compared < 2000;) {
		int64_t a, b, c;

		make_expression(pattern, 1 + roll(4));
		substitute(folded, pattern, constants);
		substitute(run, pattern, arguments);
		if (!computed(folded, &a))
			continue;
		compared++;
		if (!computed(run, &b) || a != b)
			fail_msg("%s: %ld folded, %ld run", pattern, a, b);
		substitute(run, pattern, mixed);
		if (computed(run, &c) && a != c)
			fail_msg("%s: %ld folded, %ld mixed", pattern, a, c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_c_arithmetic),
		BENCH_TEST(test_c_logic),
		BENCH_TEST(test_builtins),
		BENCH_TEST(test_strings),
		BENCH_TEST(test_pointers),
		BENCH_TEST(test_faults),
		BENCH_TEST(test_predicate),
		BENCH_TEST(test_printf_layout),
		BENCH_TEST(test_aggregations),
		BENCH_TEST(test_scripts_share),
		BENCH_TEST(test_random_expressions),
		BENCH_TEST(test_variables),
		BENCH_TEST(test_string_variables),
		BENCH_TEST(test_clause_local),
		BENCH_TEST(test_assignment_is_silent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
