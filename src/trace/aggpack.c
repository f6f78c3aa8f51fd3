/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Aggregations with a line for each key: bars beside the keys of count() and sum()
 * (option agghist), and a whole quantize() in a line (option aggpack).
 */
#include <stdlib.h>
#include <string.h>
#include "aggregate.h"
#include "histogram.h"

#define STRING_WIDTH 16

static unsigned width_of(const struct cg_agg *a)
{
	unsigned width = 0;

	for (unsigned i = 0; i < a->n_keys; i++)
		width += 1 + (a->keys[i].kind == CG_INT ? (unsigned)trace_column(
								  a->keys[i].type_size)
							: STRING_WIDTH);
	return width;
}

static void print_keys(const struct trace_row *r, FILE *out)
{
	struct trace_value values[LANG_KEYS_MAX];

	trace_row_values(r, values);
	for (unsigned i = 0; i < r->agg->n_keys; i++) {
		if (values[i].text)
			fprintf(out, " %*s", STRING_WIDTH, values[i].text);
		else
			trace_print_number(&values[i], out);
	}
}

/* ----------------------------------------------------------------------- agghist */

static void print_bars(
	struct dtproc *d, struct trace_row *const *rows, size_t n, FILE *out)
{
	unsigned width = width_of(rows[0]->agg);
	struct trace_bars bars = {.normal = trace_normal_of(d, rows[0]->agg->group),
		.flags = trace_picture_flags(&d->options)};

	for (size_t i = 0; i < n; i++)
		trace_bars_add(&bars, (int64_t)rows[i]->words[0]);
	trace_print_bar_header(width ? width : 16, width ? "key" : "value", out);
	for (size_t i = 0; i < n; i++) {
		print_keys(rows[i], out);
		if (!width)
			fprintf(out, "%16s", "");
		fputc(' ', out);
		trace_print_bar(&bars, (int64_t)rows[i]->words[0], out);
	}
}

/* ----------------------------------------------------------------------- aggpack */

/* The buckets that a line shows. */
struct range {
	unsigned first, last;
	char low[32], high[32]; /* what the ends are called, */
	int before, behind;     /* and how wide that is */
};

static int at_least(int least, const char *text)
{
	int len = (int)strlen(text);

	return len > least ? len : least;
}

/* Those that any of the rows uses and one more at each end; all of an lquantize(). */
static void range_of(struct trace_row *const *rows, size_t n, struct range *out)
{
	const struct cg_agg *a = rows[0]->agg;
	unsigned low = a->words, high = 0;

	for (size_t k = 0; k < n; k++)
		for (unsigned i = 0; i < a->words; i++)
			if (rows[k]->words[i]) {
				low = i < low ? i : low;
				high = i > high ? i : high;
			}
	if (a->func != RT_AGG_QUANTIZE) {
		low = 0;
		high = a->words - 1;
	} else if (low > high) {
		low = high = RT_QUANTIZE_ZERO;
	} else {
		low -= low != 0 && low != RT_QUANTIZE_ZERO;
		high += high < a->words - 1;
	}
	out->first = low;
	out->last = high;
	trace_bucket_text(a->func, a->param, a->words, low, out->low, sizeof out->low);
	trace_bucket_text(a->func, a->param, a->words, high, out->high, sizeof out->high);
	out->before = at_least(a->func == RT_AGG_QUANTIZE ? 4 : 7, out->low);
	out->behind = at_least(a->func == RT_AGG_QUANTIZE ? 4 : 8, out->high);
}

/* Can the reader's terminal show more than ASCII? */
static int is_utf8(const struct trace_options *o)
{
	const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"}, *value = NULL;

	if (trace_option_on(o, TRACE_ENCODING))
		return trace_option_is(o, TRACE_ENCODING, "utf8");
	for (unsigned i = 0; i < 3 && (!value || !*value); i++)
		value = getenv(names[i]);
	return value && (strcasestr(value, "utf-8") || strcasestr(value, "utf8"));
}

/* One count as a character: U+2581 to U+2588 are an eighth of a block to a whole one. */
static void print_cell(int64_t count, long double total, int utf8, FILE *out)
{
	static const char positive[] = "__xxxxXX", negative[] = "vvvvVV";
	long double part = total > 0 ? (long double)count / total : 0;

	if (count == 0)
		fputc(' ', out);
	else if (count < 0)
		fputc(negative[(unsigned)(-part * 5 + 0.5L)], out);
	else if (utf8)
		trace_print_block(0x2581 + (unsigned)(part * 7 + 0.5L), out);
	else
		fputc(positive[(unsigned)(part * 7 + 0.5L)], out);
}

static void print_line(const struct trace_row *r, const struct range *range,
	const struct trace_options *o, FILE *out)
{
	struct trace_bars bars = {.flags = trace_picture_flags(o)};
	int utf8 = is_utf8(o);
	int64_t count = 0;

	for (unsigned i = range->first; i <= range->last; i++) {
		trace_bars_add(&bars, (int64_t)r->words[i]);
		count = (int64_t)((uint64_t)count + r->words[i]);
	}
	print_keys(r, out);
	fprintf(out, " %*s :", range->before, range->low);
	for (unsigned i = range->first; i <= range->last; i++)
		print_cell((int64_t)r->words[i], bars.total, utf8, out);
	fprintf(out, ": %-*s | %lld\n", range->behind, range->high, (long long)count);
}

static void print_lines(
	struct dtproc *d, struct trace_row *const *rows, size_t n, FILE *out)
{
	unsigned width = width_of(rows[0]->agg);
	struct range range;

	range_of(rows, n, &range);
	fprintf(out, "\n%*s %*s .", (int)width, width ? "key" : "", range.before, "min");
	for (unsigned i = range.first; i <= range.last; i++)
		fputc('-', out);
	fprintf(out, ". %-*s | count\n", range.behind, "max");
	for (size_t i = 0; i < n; i++)
		print_line(rows[i], &range, &d->options, out);
}

int trace_print_packed(
	struct dtproc *d, struct trace_row *const *rows, size_t n, FILE *out)
{
	enum rt_agg_func func = rows[0]->agg->func;

	if (trace_option_on(&d->options, TRACE_AGGHIST) &&
		(func == RT_AGG_COUNT || func == RT_AGG_SUM)) {
		print_bars(d, rows, n, out);
		return 1;
	}
	if (trace_option_on(&d->options, TRACE_AGGPACK) &&
		trace_row_is_histogram(rows[0])) {
		print_lines(d, rows, n, out);
		return 1;
	}
	return 0;
}
