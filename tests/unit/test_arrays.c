/* SPDX-License-Identifier: BSD-2-Clause */
/* Associative arrays in D: compiled, verified and run. */
#include "unit.h"
#include "dlang.h"
#include "values.h"

static void test_elements(void **state)
{
	assert_int_equal(
		last_value("BEGIN { a[1] = 5; a[2] = 7; trace(a[1] + a[2]); }"), 12);
	assert_int_equal(last_value("BEGIN { trace(a[1] + a[3]); }"), 5);
	assert_int_equal(last_value("BEGIN { a[1] += 10; trace(a[1]); }"), 15);
	assert_int_equal(last_value("BEGIN { trace(a[1]++ * 100 + a[1]--); }"), 1516);
	assert_int_equal(last_value("BEGIN { trace(++a[1]); trace(--a[1] + 1); }"), 16);
	assert_int_equal(last_value("BEGIN { a[1] = 0; trace(a[1]); }"), 0);
	assert_int_equal(
		last_value("BEGIN { i = 3; a[i++] += 2; a[i++] += 2; trace(i); }"), 5);
	assert_int_equal(last_value("BEGIN { trace(a[3] * 10 + a[4]); }"), 22);
	assert_int_equal(last_value("BEGIN { a[a[3]] = 9; trace(a[a[a[3] + 1]]); }"), 9);
	assert_int_equal(last_value("BEGIN { a[a[3]] = 9; trace(a[2]); }"), 9);
}

static void test_tuples(void **state)
{
	assert_int_equal(last_value("BEGIN { t[execname, 1] = 3; t[\"victim\", 2] = 4;"
				    " trace(t[\"victim\", 1] * 10 + t[execname, 2]); }"),
		34);
	assert_int_equal(last_value("BEGIN { trace(t[\"victi\", 1]); }"), 0);
	assert_int_equal(last_value("BEGIN { t[probefunc, -1] = 5;"
				    " trace(t[\"malloc\", (char)arg2 - 1]); }"),
		5);
	assert_int_equal(last_value("int d[string, int8_t, char *]; BEGIN {"
				    " d[\"\", 300, (char *)8] = 1L << 33 | 6;"
				    " trace(d[\"\", 44, (char *)8]); }"),
		6);
}

static void test_strings(void **state)
{
	last_value("BEGIN { s[1] = execname; s[2] = \"other\"; trace(s[1]); }");
	assert_string_equal((char *)payload, "victim");
	last_value(
		"BEGIN { s[1] = s[1] == \"victim\" ? \"was\" : \"not\"; trace(s[1]); }");
	assert_string_equal((char *)payload, "was");
	last_value("BEGIN { s[1] = 0; trace(s[1]); }");
	assert_string_equal((char *)payload, "");
	last_value("string names[string]; BEGIN { names[s[2]] = \"one\"; "
		   "trace(names[\"other\"]); }");
	assert_string_equal((char *)payload, "one");
	last_value(
		"self string t; BEGIN { self->t = \"x\"; self->t = 0; trace(self->t); }");
	assert_string_equal((char *)payload, "");
}

static void test_thread_arrays(void **state)
{
	assert_int_equal(
		last_value("BEGIN { self->a[1, \"x\"] = 8; trace(self->a[1, \"x\"]); }"),
		8);
	bench.hit.tid++;
	assert_int_equal(last_value("BEGIN { trace(self->a[1, \"x\"]); }"), 0);
	bench.hit.tid--;
	assert_int_equal(last_value("BEGIN { trace(self->a[1, \"x\"]--); }"), 8);
	assert_int_equal(last_value("BEGIN { trace(self->a[1, \"x\"]); }"), 7);
}

/* A pointer's brackets are what they are in C. */
static void test_pointers_stay(void **state)
{
	assert_int_equal(
		last_value("BEGIN { p = (char *)0x1000; trace(p[1] * 1000 + p[arg2]); }"),
		101 * 1000 + 104);
}

static void test_diagnostics(void **state)
{
	static const char *const cases[][2] = {
		{"BEGIN { trace(nothing[1]); }", "[D_IDENT_UNDEF]"},
		{"BEGIN { a[1] = 1; a[1, 2] = 1; }", "[D_PROTO_LEN]"},
		{"BEGIN { a[1] = 1; a[\"x\"] = 1; }", "[D_PROTO_ARG]"},
		{"BEGIN { a[1] = 1; trace(a); }", "[D_IDENT_BADREF]"},
		{"BEGIN { a[1] = 1; a = 1; }", "[D_IDENT_BADREF]"},
		{"BEGIN { a = 1; a[1] = 1; }", "[D_OP_LVAL]"},
		{"BEGIN { a[] = 1; }", "[D_SYNTAX]"},
		{"BEGIN { a[@x] = 1; }", "[D_KEY_TYPE]"},
		{"BEGIN { pid[1] = 1; }", "[D_OP_WRITE]"},
		{"BEGIN { this->a[1] = 1; }", "[D_ARR_LOCAL]"},
		{"this int a[int]; BEGIN { }", "[D_DECL_LOCASSC]"},
		{"struct s { int x; }; int a[struct s]; BEGIN { }", "[D_KEY_TYPE]"},
		{"int a[int]; int a[int]; BEGIN { }", "[D_DECL_IDRED]"},
		{"BEGIN { a[1] = 1; a[1] = \"x\"; }", "[D_OP_INCOMPAT]"},
		{"BEGIN { p = (char *)1; trace(p[1, 2]); }", "[D_ARR_BADREF]"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(bench_compile(&bench, cases[i][0]), DTPROC_ESYNTAX);
		if (!strstr(err_text(), cases[i][1]))
			fail_msg("%s: %s", cases[i][0], err_text());
	}
}

/* Keys and values that no table has room for are refused when they are compiled. */
static void test_too_large(void **state)
{
	char text[1024] = "string a[string";

	for (int i = 0; i < 31; i++)
		strcat(text, ", string");
	strcat(text, "]; BEGIN { }");
	assert_int_equal(bench_compile(&bench, text), DTPROC_ESYNTAX);
	assert_non_null(strstr(err_text(), "[D_ID_OFLOW]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_elements),
		BENCH_TEST(test_tuples),
		BENCH_TEST(test_strings),
		BENCH_TEST(test_thread_arrays),
		BENCH_TEST(test_pointers_stay),
		BENCH_TEST(test_diagnostics),
		BENCH_TEST(test_too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
