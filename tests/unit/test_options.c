/* SPDX-License-Identifier: BSD-2-Clause */
/* src/trace: what an option may be, and that each one of the table has a test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <trace/options.h>

static void values(void **state)
{
	static const struct {
		enum trace_option which;
		const char *value;
		uint64_t number;
	} rows[] = {
		{TRACE_BUFSIZE, "64k", 65536},
		{TRACE_BUFSIZE, "64K", 65536},
		{TRACE_BUFSIZE, "25", 25},
		{TRACE_BUFSIZE, "1gb", 1u << 30},
		{TRACE_SWITCHRATE, "10hz", 100000000},
		{TRACE_SWITCHRATE, "10", 100000000},
		{TRACE_SWITCHRATE, "250ms", 250000000},
		{TRACE_SWITCHRATE, "300usec", 300000},
		{TRACE_SWITCHRATE, "400000ns", 400000},
		{TRACE_SWITCHRATE, "2min", 120000000000},
		{TRACE_SWITCHRATE, "1Hour", 3600000000000},
		{TRACE_CLEANRATE, "0", 0},
		{TRACE_AGGRATE, "1d", 86400000000000},
		{TRACE_NSPEC, "16", 16},
		{TRACE_USTACKFRAMES, "100", 100},
	};
	struct trace_options o;

	trace_options_init(&o);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (trace_options_set(&o, option_rows[rows[i].which].name, rows[i].value))
			fail_msg("%s: %s", rows[i].value, err_text());
		assert_int_equal(o.at[rows[i].which].number, rows[i].number);
	}
}

static void switches(void **state)
{
	static const char *const on[] = {NULL, "", "1", "on", "enable", "set"};
	static const char *const off[] = {"0", "off", "disable", "unset"};
	struct trace_options o;

	trace_options_init(&o);
	assert_null(trace_options_get(&o, "quiet"));
	for (size_t i = 0; i < sizeof on / sizeof *on; i++) {
		assert_int_equal(trace_options_set(&o, "quiet", on[i]), 0);
		assert_true(trace_option_on(&o, TRACE_QUIET));
	}
	for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
		assert_int_equal(trace_options_set(&o, "quiet", NULL), 0);
		assert_int_equal(trace_options_set(&o, "quiet", off[i]), 0);
		assert_false(trace_option_on(&o, TRACE_QUIET));
	}
}

static void defaults(void **state)
{
	struct trace_options o;

	trace_options_init(&o);
	assert_string_equal(trace_options_get(&o, "evaltime"), "postinit");
	assert_true(trace_option_is(&o, TRACE_BUFPOLICY, "switch"));
	assert_int_equal(trace_option_number(&o, TRACE_SPECSIZE, 0), 32768);
	assert_int_equal(trace_option_number(&o, TRACE_DYNVARSIZE, 0), 1 << 20);
	assert_int_equal(trace_option_number(&o, TRACE_AGGSORTPOS, 7), 7);
	assert_int_equal(trace_options_set(&o, "evaltime", "exec"), 0);
	assert_string_equal(trace_options_get(&o, "evaltime"), "exec");
}

/* What is about something that is not here: looked at, and without effect. */
static void without_effect(void **state)
{
	static const char *const rows[][2] = {{"amin", "Stable/Evolving/Common"},
		{"version", "1.2.2"}, {"version", "1.13"}, {"linkmode", "dynamic"},
		{"bufresize", "manual"}, {"errtags", NULL}, {"unodefs", NULL}};
	struct trace_options o;

	trace_options_init(&o);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (trace_options_set(&o, rows[i][0], rows[i][1]))
			fail_msg("%s: %s", rows[i][0], err_text());
		assert_null(trace_options_get(&o, rows[i][0]));
	}
}

static void refused(void **state)
{
	static const struct {
		const char *name, *value, *says;
	} rows[] = {
		{"bufsize", "lots",
			"Invalid value for specified option: 'lots' is not a size"},
		{"bufsize", "16384p", "is not a size"},
		{"bufsize", "1kk", "is not a size"},
		{"bufsize", "-1", "is not a size"},
		{"bufsize", "99999999999999999999", "is not a size"},
		{"bufsize", "8t", "out of range"},
		{"bufsize", "0", "out of range"},
		{"bufsize", NULL, "needs one"},
		{"bufpolicy", "loop", "is not one of switch fill ring"},
		{"nspec", "1k", "is not a number"},
		{"switchrate", "0", "out of range"},
		{"switchrate", "1fortnight", "is not a rate"},
		{"evaltime", "later", "exec preinit postinit main"},
		{"engine", "inline", "not built yet"},
		{"engine", "to", "is not"},
		{"quiet", "very", "is not for a switch"},
		{"amin", "Stable/Stable", "is not attributes"},
		{"amin", "Stable/Stable/Stable", "is not attributes"},
		{"version", "2.0", "is not a version"},
		{"version", "1.2.3.4", "is not a version"},
		{"cpu", "0", "a predicate /cpu == N/"},
		{"tree", "1", "-S prints the bytecode"},
		{"nosuch", NULL, "Invalid option name: nosuch"},
		{"flow", NULL, "Invalid option name"},
		{"", NULL, "Invalid option name"},
	};
	struct trace_options o;

	trace_options_init(&o);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(trace_options_set(&o, rows[i].name, rows[i].value),
			DTPROC_EINVAL);
		if (!strstr(err_text(), rows[i].says))
			fail_msg("%s=%s: %s", rows[i].name, rows[i].value, err_text());
	}
}

/* All tests of tracing in one text. */
static char *all_tests(void)
{
	char *text = NULL, line[4096];
	size_t size;
	FILE *all = open_memstream(&text, &size);
	glob_t g;

	assert_int_equal(glob(D_TESTS "/*.test", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		FILE *f = fopen(g.gl_pathv[i], "re");

		assert_non_null(f);
		while (fgets(line, sizeof line, f))
			fputs(line, all);
		fclose(f);
	}
	globfree(&g);
	fclose(all);
	return text;
}

/* Is it set somewhere, by -x or a pragma? */
static int is_tested(const char *tests, const char *name)
{
	static const char *const before[] = {"-x ", "option "};
	char words[64];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(words, sizeof words, "%s%s", before[i], name);
		for (const char *at = tests; (at = strstr(at, words)); at++)
			if (strchr("= \n", at[strlen(words)]))
				return 1;
	}
	return 0;
}

static void each_has_a_test(void **state)
{
	char *tests = all_tests(), missing[1024] = "";
	const char *name;

	for (unsigned i = 0; (name = option_name(i)); i++)
		if (!is_tested(tests, name)) {
			strcat(missing, " ");
			strcat(missing, name);
		}
	free(tests);
	if (*missing)
		fail_msg("options without a test in tests/d:%s", missing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(switches),
		cmocka_unit_test(defaults),
		cmocka_unit_test(without_effect),
		cmocka_unit_test(refused),
		cmocka_unit_test(each_has_a_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
