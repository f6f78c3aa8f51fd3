/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Diagnostics and constants, from the files in tests/unit/lang.  A case is a line that
 * begins at the margin, then the text, each line behind a tab, then `= ` behind a tab and
 * what must be seen:
 *
 *	D_TYPE_MEMBER              the text does not compile; the tag, and what is said
 *		struct a { int x; };
 *		BEGIN { trace(((struct a *)8)->y); }
 *		= y is not a member of struct a
 *	value                      the last clause traces numbers; these
 *		BEGIN { trace(1 + 1); }
 *		= 2
 */
#include "unit.h"
#include "dlang.h"

#include <stdio.h>

struct test_case {
	char tag[64], text[8192], says[512];
	int line;
};

static struct dbench bench;

static void setup(void)
{
	struct rt_params params = {
		.ring_bytes = 65536, .agg_bytes = 4096, .probes = 8, .name_bytes = 4096};

	assert_int_equal(bench_open(&bench, &params), 0);
}

/* All numbers of the records that the clauses leave. */
static void values_of(char *out, size_t room)
{
	static uint64_t payload[RT_RECORD_MAX / 8];
	struct rt_record record;
	size_t at = 0;

	for (unsigned i = 0; i < bench.script->n_clauses; i++)
		if (bench_run(&bench, i))
			at += (size_t)snprintf(out + at, room - at, "fault ");
	out[at] = 0;
	while (rt_ring_next(&bench.client, 0, &record, payload) == 1) {
		const struct cg_clause *c =
			&bench.script->clauses[(record.program - 1) % 64];
		for (unsigned i = 0; record.kind == RT_RECORD_DATA && i < c->n_actions;
			i++)
			if (c->actions[i].n_fields)
				at += (size_t)snprintf(out + at, room - at, "%lld ",
					(long long)
						payload[c->actions[i].fields[0].offset /
							8]);
	}
	if (at)
		out[at - 1] = 0;
}

static void check_value(const struct test_case *c)
{
	char got[512];

	if (bench_compile(&bench, c->text))
		fail_msg("line %d: %s", c->line, err_text());
	values_of(got, sizeof got);
	if (strcmp(got, c->says))
		fail_msg("line %d: %s\ngives %s, not %s", c->line, c->text, got, c->says);
}

static void check_tag(const struct test_case *c)
{
	char tag[80];

	snprintf(tag, sizeof tag, "[%s] ", c->tag);
	if (bench_compile(&bench, c->text) != DTPROC_ESYNTAX)
		fail_msg("line %d: compiles: %s", c->line, c->text);
	if (strncmp(err_text(), tag, strlen(tag)) || !strstr(err_text(), c->says))
		fail_msg(
			"line %d: %s: %s\nsays %s", c->line, c->tag, c->text, err_text());
	if (!strstr(err_text(), "\n    ") || !strchr(strchr(err_text(), '\n'), '^'))
		fail_msg("line %d: no caret: %s", c->line, err_text());
}

static void check_case(const struct test_case *c)
{
	if (!*c->tag)
		return;
	setup();
	if (strcmp(c->tag, "value"))
		check_tag(c);
	else
		check_value(c);
	bench_close(&bench);
}

static unsigned check_file(const char *name)
{
	static struct test_case c;
	char path[512], line[4096];
	unsigned n = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", LANG_CASES, name);
	f = fopen(path, "re");
	assert_non_null(f);
	memset(&c, 0, sizeof c);
	for (int at = 1; fgets(line, sizeof line, f); at++) {
		line[strcspn(line, "\n")] = 0;
		if (*line == '#' || !*line)
			continue;
		if (!strncmp(line, "\t= ", 3)) {
			snprintf(c.says, sizeof c.says, "%s", line + 3);
		} else if (*line == '\t') {
			size_t used = strlen(c.text);
			snprintf(c.text + used, sizeof c.text - used, "%s\n", line + 1);
		} else {
			check_case(&c);
			n += *c.tag != 0;
			memset(&c, 0, sizeof c);
			c.line = at;
			snprintf(c.tag, sizeof c.tag, "%s", line);
		}
	}
	check_case(&c);
	fclose(f);
	return n + 1;
}

static void test_types(void **state)
{
	assert_in_range(check_file("types.txt"), 40, 10000);
}

static void test_inline(void **state)
{
	assert_in_range(check_file("inline.txt"), 20, 10000);
}

static void test_control(void **state)
{
	assert_in_range(check_file("control.txt"), 8, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_types),
		cmocka_unit_test(test_inline), cmocka_unit_test(test_control)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
