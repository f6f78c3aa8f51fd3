/* SPDX-License-Identifier: BSD-2-Clause */
/* src/trace: what is printed, to the character, and what an option may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <trace/drain.h>
#include <trace/histogram.h>

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
	struct lang_format f = {convs, 2, n, 0};
	struct trace_values values = {.at = v, .n = n};
	FILE *out = begin();

	convs[0].text = "<";
	trace_format(&f, &values, out);
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
	struct lang_format f = {convs, 3, 2, 0};
	struct trace_values values = {.at = wide, .n = 2};

	trace_format(&f, &values, out);
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

static void picture(enum rt_agg_func func, const uint64_t *w, unsigned n, uint64_t param,
	unsigned flags, FILE *out)
{
	struct trace_picture p = {.func = func,
		.words = w,
		.n = n,
		.param = param,
		.normal = 1,
		.flags = flags};

	trace_print_picture(&p, out);
}

static void quantize_picture(void **state)
{
	uint64_t w[RT_QUANTIZE_BUCKETS] = {0};
	FILE *out = begin();

	w[RT_QUANTIZE_ZERO + 1] = 30; /* value 1 */
	w[RT_QUANTIZE_ZERO + 2] = 10; /* value 2 */
	picture(RT_AGG_QUANTIZE, w, RT_QUANTIZE_BUCKETS, 0, 0, out);
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

	picture(RT_AGG_QUANTIZE, w, RT_QUANTIZE_BUCKETS, 0, 0, out);
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

	picture(RT_AGG_LQUANTIZE, w, 5, RT_LQUANTIZE(0, 3, 10), 0, out);
	ends_as(out,
		"\n           value  ------------- Distribution ------------- count    \n"
		"             < 0 |@@@@@@@@@@                               1        \n"
		"               0 |                                         0        \n"
		"              10 |@@@@@@@@@@@@@@@@@@@@                     2        \n"
		"              20 |                                         0        \n"
		"           >= 30 |@@@@@@@@@@                               1        \n");
}

/* Counts below zero, which clear() and what was subtracted can leave. */
static void pictures_below_zero(void **state)
{
	uint64_t w[5] = {0, (uint64_t)-1, 2, 0, (uint64_t)-1};
	FILE *out = begin();

	picture(RT_AGG_LQUANTIZE, w, 5, RT_LQUANTIZE(0, 3, 10), 0, out);
	ends_as(out,
		"\n           value  ------------- Distribution ------------- count    \n"
		"             < 0                     |                     0        \n"
		"               0                @@@@@|                     -1       \n"
		"              10                     |@@@@@@@@@@           2        \n"
		"              20                     |                     0        \n"
		"           >= 30                @@@@@|                     -1       \n");
	w[2] = 0;
	out = begin();
	picture(RT_AGG_LQUANTIZE, w, 5, RT_LQUANTIZE(0, 3, 10), 0, out);
	ends_as(out,
		"\n           value  ------------- Distribution ------------- count    \n"
		"             < 0                                         | 0        \n"
		"               0                     @@@@@@@@@@@@@@@@@@@@| -1       \n"
		"              10                                         | 0        \n"
		"              20                                         | 0        \n"
		"           >= 30                     @@@@@@@@@@@@@@@@@@@@| -1       \n");
}

static void zoomed_pictures(void **state)
{
	uint64_t w[3] = {0, 1, 9};
	FILE *out = begin();

	picture(RT_AGG_LQUANTIZE, w, 3, RT_LQUANTIZE(0, 1, 10), PICTURE_ZOOM, out);
	ends_as(out,
		"\n           value  ------------- Distribution ------------- count    \n"
		"             < 0 |                                         0        \n"
		"               0 |@@@@                                     1        \n"
		"           >= 10 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@   9        \n");
	out = begin();
	picture(RT_AGG_LQUANTIZE, w, 3, RT_LQUANTIZE(0, 1, 10), PICTURE_UTF8, out);
	ends_as(out,
		"\n           value  ------------- Distribution ------------- count    \n"
		"             < 0 |                                         0        \n"
		"               0 |\u2588\u2588\u2588\u2588                                 "
		"    1        \n"
		"           >= 10 |\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588"
		"\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588"
		"\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588     9        \n");
}

static void every_conversion(void **state)
{
	uint64_t second = 1000000000, then = 1764324000 * second; /* 2025-11-28 10:00 */

	setenv("TZ", "UTC", 1);
	one((struct lang_conv){PLAIN, .conv = 'i'}, NUMBER(-1, 4, 0), 1, "<4294967295>");
	one((struct lang_conv){PLAIN, .conv = 'o'}, NUMBER(-1, 1, 1), 1, "<377>");
	one((struct lang_conv){PLAIN, .conv = 'X'}, NUMBER(0xab, 4, 1), 1, "<AB>");
	one((struct lang_conv){PLAIN, .conv = 'a'}, NUMBER(4096, 8, 0), 1, "<0x1000>");
	one((struct lang_conv){PLAIN, .conv = 'C'}, NUMBER('\n', 4, 1), 1, "<\\n>");
	one((struct lang_conv){PLAIN, .conv = 'C'}, NUMBER(0, 4, 1), 1, "<\\0>");
	one((struct lang_conv){PLAIN, .conv = 'C'}, NUMBER('"', 4, 1), 1, "<\\\">");
	one((struct lang_conv){PLAIN, .conv = 'c', .length = 'w'}, NUMBER(0x20ac, 4, 1),
		1, "<\u20ac>");
	one((struct lang_conv){PLAIN, .conv = 'c', .length = 'l'},
		NUMBER(0x7fffffff, 4, 1), 1, "<>");
	one((struct lang_conv){PLAIN, .conv = 'Y'}, NUMBER(then, 8, 1), 1,
		"<2025 Nov 28 10:00:00>");
	one((struct lang_conv){PLAIN, .conv = 'Y'}, NUMBER(3 * 86400 * second, 8, 1), 1,
		"<1970 Jan  4 00:00:00>");
	one((struct lang_conv){PLAIN, .conv = 'T'}, NUMBER(then, 8, 1), 1,
		"<Fri, 28 Nov 2025 10:00:00 UTC>");
	one((struct lang_conv){PLAIN, .conv = 'd', .plus = 1}, NUMBER(1, 8, 1), 1,
		"<+1>");
	one((struct lang_conv){PLAIN, .conv = 'd', .group = 1}, NUMBER(1234567, 8, 1), 1,
		"<1234567>"); /* the C locale groups nothing */
}

/* The newest records that fit, in their order; one alone when it is larger than all. */
static void what_ring_keeps(void **state)
{
	static unsigned char payload[RT_RECORD_MAX], got[RT_RECORD_MAX];
	struct trace_retained q = {.limit = 400};
	struct rt_record r = {0};
	uint32_t n = 0, seed = 7, first = 0, kept = 0;

	for (; n < 5000; n++) {
		seed = seed * 1103515245 + 12345;
		r.size = (uint32_t)sizeof r + (seed >> 16) % 13 * 8;
		r.probe = n;
		memset(payload, (int)n, r.size - sizeof r);
		assert_int_equal(trace_retain(&q, &r, payload), 0);
		assert_true(q.end - q.first <= 400);
	}
	while (trace_retained_next(&q, &r, got)) {
		if (!first)
			first = r.probe;
		assert_int_equal(r.probe, first + kept++);
		if (r.size > sizeof r)
			assert_int_equal(got[0], (unsigned char)r.probe);
	}
	assert_int_equal(first + kept, n);
	assert_true(kept >= 400 / (sizeof r + 96) && kept <= 400 / sizeof r);
	r.size = RT_RECORD_MAX;
	assert_int_equal(trace_retain(&q, &r, payload), 0);
	assert_int_equal(trace_retain(&q, &r, payload), 0);
	assert_int_equal(trace_retained_next(&q, &r, got), 1);
	assert_int_equal(trace_retained_next(&q, &r, got), 0);
	free(q.bytes);
}

static void flow(struct dtproc *d, int32_t tid, const char *function, const char *name,
	const char *expected)
{
	struct probe p = {.id = 1 + (uint32_t)function[0],
		.provider = "pid1",
		.module = "",
		.function = function,
		.name = name};
	struct rt_record r = {.program = 1, .probe = p.id, .tid = tid};
	FILE *out = begin();
	char line[64];

	trace_print_flow(d, &r, &p, NULL, out);
	snprintf(line, sizeof line, "  0 %-41s ", expected);
	ends_as(out, line);
}

/* Two threads that are in different functions at once. */
static void indentation_of_threads(void **state)
{
	struct dtproc *d = calloc(1, sizeof *d);

	trace_options_init(&d->options);
	flow(d, 7, "a", "entry", " -> a");
	flow(d, 8, "b", "entry", " -> b");
	flow(d, 7, "c", "method-entry", "   -> c");
	flow(d, 8, "b", "return", " <- b");
	flow(d, 8, "b", "return", " <- b");
	flow(d, 7, "x", "carpentry", "    | x:carpentry");
	flow(d, 7, "c", "method-return", "   <- c");
	flow(d, 7, "a", "return", " <- a");
	for (int32_t tid = 0; tid < 70000; tid++) { /* a segment that was scribbled on */
		struct rt_record r = {.program = 1, .probe = 1, .tid = tid};
		FILE *out = begin();

		trace_print_flow(d, &r, NULL, NULL, out);
		fclose(out);
	}
	trace_forget_flows(d);
	free(d);
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
		cmocka_unit_test(pictures_below_zero),
		cmocka_unit_test(zoomed_pictures),
		cmocka_unit_test(every_conversion),
		cmocka_unit_test(what_ring_keeps),
		cmocka_unit_test(indentation_of_threads),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	free(text);
	return failed;
}
