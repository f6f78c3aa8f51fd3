/* SPDX-License-Identifier: BSD-2-Clause */
/* src/trace: what is printed, to the character, and what an option may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <trace/own.h>

static char *text;
static size_t text_len;

static FILE *begin(void)
{
	free(text);
	text = NULL;
	return open_memstream(&text, &text_len);
}

static void ends_as(FILE *f, const char *expected)
{
	fclose(f);
	assert_string_equal(text, expected);
}

/* A format of one conversion between two words. */
static void one(
	struct lang_conv conv, struct trace_value *v, unsigned n, const char *expected)
{
	struct lang_conv convs[2] = {conv, {.text = ">"}};
	struct lang_format f = {convs, 2, n};
	FILE *out = begin();

	convs[0].text = "<";
	trace_format(&f, v, n, out);
	ends_as(out, expected);
}

#define NO_STARS .width_arg = -1, .precision_arg = -1
#define PLAIN NO_STARS, .width = -1, .precision = -1
#define NUMBER(n, bytes, sign)                                                           \
	(&(struct trace_value){.number = (uint64_t)(n), .size = bytes, .is_signed = sign})
#define TEXT(s) (&(struct trace_value){.text = s})

static void numbers_by_their_own_size(void **state)
{
	one((struct lang_conv){PLAIN, .conv = 'd'}, NUMBER(-1, 4, 1), 1, "<-1>");
	one((struct lang_conv){PLAIN, .conv = 'd'}, NUMBER(0xffffffff, 4, 0), 1,
		"<4294967295>");
	one((struct lang_conv){PLAIN, .conv = 'd'}, NUMBER(0xffff, 2, 1), 1, "<-1>");
	one((struct lang_conv){PLAIN, .conv = 'x'}, NUMBER(-1, 4, 1), 1, "<ffffffff>");
	one((struct lang_conv){PLAIN, .conv = 'x'}, NUMBER(-1, 8, 1), 1,
		"<ffffffffffffffff>");
	one((struct lang_conv){PLAIN, .conv = 'u'}, NUMBER(-1, 1, 1), 1, "<255>");
	one((struct lang_conv){PLAIN, .conv = 'p'}, NUMBER(4096, 8, 0), 1, "<1000>");
	one((struct lang_conv){PLAIN, .conv = 'c'}, NUMBER('A', 1, 1), 1, "<A>");
	one((struct lang_conv){PLAIN, .conv = '%'}, NULL, 0, "<%>");
}

static void flags_widths_precisions(void **state)
{
	struct trace_value star[2] = {{.number = (uint64_t)-6, .size = 4, .is_signed = 1},
		{.number = 7, .size = 4, .is_signed = 1}};

	one((struct lang_conv){NO_STARS, .precision = -1, .conv = 'd', .width = 5},
		NUMBER(7, 4, 1), 1, "<    7>");
	one((struct lang_conv){NO_STARS, .precision = -1, .conv = 'd', .width = 5,
		    .zero = 1},
		NUMBER(7, 4, 1), 1, "<00007>");
	one((struct lang_conv){PLAIN, .conv = 'x', .alt = 1}, NUMBER(255, 4, 1), 1,
		"<0xff>");
	one((struct lang_conv){NO_STARS, .precision = -1, .conv = 's', .width = 5,
		    .minus = 1},
		TEXT("ab"), 1, "<ab   >");
	one((struct lang_conv){NO_STARS, .width = -1, .conv = 's', .precision = 2},
		TEXT("abcd"), 1, "<ab>");
	one((struct lang_conv){PLAIN, .conv = 'S'}, TEXT("a\n\001"), 1, "<a\\n\\001>");
	/* %*d with a negative width is left-aligned, as in C. */
	one((struct lang_conv){.conv = 'd',
		    .width = LANG_STAR,
		    .width_arg = 0,
		    .precision = -1,
		    .precision_arg = -1,
		    .arg = 1},
		star, 2, "<7     >");
}

/* Values that no compiler would make: from a segment that was scribbled on. */
static void hostile_values(void **state)
{
	struct trace_value wide[2] = {{.number = 1ull << 40, .size = 8, .is_signed = 1},
		{.number = 7, .size = 4, .is_signed = 1}};
	FILE *out = begin();
	struct lang_conv convs[] = {{.text = "",
					    .conv = 'd',
					    .width = LANG_STAR,
					    .width_arg = 0,
					    .precision = -1,
					    .arg = 1},
		{PLAIN, .text = "", .conv = 'd', .arg = 9}, {.text = ""}};
	struct lang_format f = {convs, 3, 2};

	trace_format(&f, wide, 2, out);
	fclose(out);
	assert_int_equal(text_len, 65536);
}

static void columns(void **state)
{
	FILE *out = begin();

	trace_print_number(NUMBER(7, 8, 1), out);
	trace_print_number(NUMBER(7, 4, 1), out);
	trace_print_number(NUMBER(7, 2, 1), out);
	trace_print_number(NUMBER(7, 1, 1), out);
	ends_as(out, "                7        7     7   7");
}

static void quantize_picture(void **state)
{
	uint64_t w[RT_QUANTIZE_BUCKETS] = {0};
	FILE *out = begin();

	w[RT_QUANTIZE_ZERO + 1] = 30; /* value 1 */
	w[RT_QUANTIZE_ZERO + 2] = 10; /* value 2 */
	trace_print_quantize(w, RT_QUANTIZE_BUCKETS, out);
	ends_as(out,
		"\n           value  ------------- Distribution ------------- count    \n"
		"               0 |                                         0        \n"
		"               1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@           30       \n"
		"               2 |@@@@@@@@@@                               10       \n"
		"               4 |                                         0        \n");
}

static void quantize_of_nothing(void **state)
{
	uint64_t w[RT_QUANTIZE_BUCKETS] = {0};
	FILE *out = begin();

	trace_print_quantize(w, RT_QUANTIZE_BUCKETS, out);
	ends_as(out,
		"\n           value  ------------- Distribution ------------- count    \n"
		"              -1 |                                         0        \n"
		"               0 |                                         0        \n"
		"               1 |                                         0        \n");
}

static void lquantize_picture(void **state)
{
	uint64_t w[5] = {1, 0, 2, 0, 1}; /* lquantize(x, 0, 30, 10) */
	FILE *out = begin();

	trace_print_lquantize(w, 5, RT_LQUANTIZE(0, 3, 10), out);
	ends_as(out,
		"\n           value  ------------- Distribution ------------- count    \n"
		"             < 0 |@@@@@@@@@@                               1        \n"
		"               0 |                                         0        \n"
		"              10 |@@@@@@@@@@@@@@@@@@@@                     2        \n"
		"              20 |                                         0        \n"
		"           >= 30 |@@@@@@@@@@                               1        \n");
}

static void options(void **state)
{
	struct trace_options o;

	trace_options_init(&o);
	assert_null(trace_options_get(&o, "quiet"));
	assert_int_equal(trace_options_set(&o, "quiet", NULL), 0);
	assert_string_equal(trace_options_get(&o, "quiet"), "");
	assert_int_equal(trace_options_set(&o, "bufsize", "64k"), 0);
	assert_int_equal(o.at[TRACE_BUFSIZE].number, 65536);
	assert_int_equal(trace_options_set(&o, "switchrate", "10hz"), 0);
	assert_int_equal(o.at[TRACE_SWITCHRATE].number, 100000000);
	assert_int_equal(trace_options_set(&o, "switchrate", "250ms"), 0);
	assert_int_equal(o.at[TRACE_SWITCHRATE].number, 250000000);
	assert_string_equal(trace_options_get(&o, "evaltime"), "postinit");
	assert_int_equal(trace_options_set(&o, "evaltime", "exec"), 0);
}

static void refused_options(void **state)
{
	static const struct {
		const char *name, *value, *says;
	} rows[] = {
		{"bufsize", "lots", "is not a size"},
		{"bufsize", "16384p", "is not a size"},
		{"bufsize", "99999999999999999999", "is not a size"},
		{"bufsize", "8t", "out of range"},
		{"bufsize", NULL, "needs a value"},
		{"switchrate", "0", "is not a rate"},
		{"evaltime", "preinit", "not built yet"},
		{"evaltime", "later", "exec postinit"},
		{"engine", "inline", "not built yet"},
		{"engine", "to", "is not"},
		{"flowindent", NULL, "not built yet"},
		{"nosuch", NULL, "no such option"},
		{"flow", NULL, "no such option"},
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_by_their_own_size),
		cmocka_unit_test(flags_widths_precisions),
		cmocka_unit_test(hostile_values),
		cmocka_unit_test(columns),
		cmocka_unit_test(quantize_picture),
		cmocka_unit_test(quantize_of_nothing),
		cmocka_unit_test(lquantize_picture),
		cmocka_unit_test(options),
		cmocka_unit_test(refused_options),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	free(text);
	return failed;
}
