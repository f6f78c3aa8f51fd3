/* SPDX-License-Identifier: BSD-2-Clause */
/* The pictures of quantize() and its like, DTrace's to the character. */
#include "histogram.h"
#include <string.h>

#define WIDTH 40

/* With option aggzoom the highest bar takes this part of the room. */
#define ZOOM 0.95L

/* ------------------------------------------------------------------------- bars */

void trace_bars_add(struct trace_bars *b, int64_t count)
{
	long double size = count < 0 ? -(long double)count : (long double)count;

	b->positive |= count > 0;
	b->negative |= count < 0;
	if (!(b->flags & PICTURE_ZOOM))
		b->total += size;
	else if (b->total < size / ZOOM)
		b->total = size / ZOOM;
}

void trace_print_bar_header(unsigned width, const char *what, FILE *out)
{
	fprintf(out, "\n%*s %41s %-9s\n", (int)width, what,
		"------------- Distribution -------------", "count");
}

static void repeat(int c, unsigned n, FILE *out)
{
	while (n--)
		fputc(c, out);
}

void trace_print_block(unsigned code, FILE *out)
{
	fputc((int)(0xe0 | code >> 12), out);
	fputc((int)(0x80 | (code >> 6 & 0x3f)), out);
	fputc((int)(0x80 | (code & 0x3f)), out);
}

/* In eighths of a character: U+2588 is a whole one, U+258F an eighth. */
static void print_blocks(long double part, FILE *out)
{
	unsigned eighths = (unsigned)(part * WIDTH * 8), whole = eighths / 8;

	fputc('|', out);
	for (unsigned i = 0; i < whole; i++)
		trace_print_block(0x2588, out);
	if (eighths % 8)
		trace_print_block(0x2590 - eighths % 8, out);
	repeat(' ', WIDTH - whole - (eighths % 8 != 0), out);
}

/* Bars of both signs have half of the room each. */
static void print_ats(
	const struct trace_bars *b, int64_t count, long double part, FILE *out)
{
	int both = b->positive && b->negative;
	unsigned width = both ? WIDTH / 2 : WIDTH;
	unsigned bar = (unsigned)(part * width + 0.5L);

	if (!b->negative || (both && count > 0)) {
		repeat(' ', both ? width : 0, out);
		fputc('|', out);
		repeat('@', bar, out);
		repeat(' ', width - bar, out);
	} else {
		repeat(' ', width - bar, out);
		repeat('@', bar, out);
		fputc('|', out);
		repeat(' ', both ? width : 0, out);
	}
}

void trace_print_bar(const struct trace_bars *b, int64_t count, FILE *out)
{
	long double size = count < 0 ? -(long double)count : (long double)count;
	long double part = b->total > 0 ? size / b->total : 0;
	int64_t shown = (int64_t)((__int128)count / (int64_t)b->normal);

	if (part > 1)
		part = 1;
	if (b->flags & PICTURE_UTF8 && !b->negative && b->positive)
		print_blocks(part, out);
	else
		print_ats(b, count, part, out);
	fprintf(out, " %-9lld\n", (long long)shown);
}

unsigned trace_picture_flags(const struct trace_options *o)
{
	return (trace_option_on(o, TRACE_AGGZOOM) ? PICTURE_ZOOM : 0) |
	       (trace_option_is(o, TRACE_ENCODING, "utf8") ? PICTURE_UTF8 : 0);
}

/* ---------------------------------------------------------------------- buckets */

/* The range of buckets to show: those that count, and one more on each side. */
static void range_of(const struct trace_picture *p, unsigned *first, unsigned *last)
{
	unsigned low = 0, high = p->n - 1;
	unsigned middle = p->func == RT_AGG_QUANTIZE ? RT_QUANTIZE_ZERO : 1;

	while (low < p->n && !p->words[low])
		low++;
	if (low == p->n) {
		*first = middle - 1;
		*last = middle + 1 < p->n ? middle + 1 : p->n - 1;
		return;
	}
	while (!p->words[high])
		high--;
	*first = low ? low - 1 : 0;
	*last = high + 1 < p->n ? high + 1 : high;
}

void trace_bucket_text(enum rt_agg_func func, uint64_t param, unsigned n, unsigned bucket,
	char *buf, size_t size)
{
	int64_t base = (int32_t)param;
	unsigned step = (uint16_t)(param >> 48);
	int64_t at = base + ((int64_t)bucket - 1) * step;

	if (func == RT_AGG_LLQUANTIZE) {
		base = rt_llquantize_bound(param, 1);
		at = rt_llquantize_bound(param, bucket);
	}
	if (func == RT_AGG_QUANTIZE)
		snprintf(buf, size, "%lld", (long long)rt_quantize_bound(bucket));
	else if (bucket == 0)
		snprintf(buf, size, "< %lld", (long long)base);
	else if (bucket == n - 1)
		snprintf(buf, size, ">= %lld", (long long)at);
	else
		snprintf(buf, size, "%lld", (long long)at);
}

void trace_print_picture(const struct trace_picture *p, FILE *out)
{
	struct trace_bars bars = {.normal = p->normal, .flags = p->flags};
	unsigned first, last;

	range_of(p, &first, &last);
	for (unsigned i = first; i <= last; i++)
		trace_bars_add(&bars, (int64_t)p->words[i]);
	trace_print_bar_header(16, "value", out);
	for (unsigned i = first; i <= last; i++) {
		char text[32];

		trace_bucket_text(p->func, p->param, p->n, i, text, sizeof text);
		fprintf(out, "%16s ", text);
		trace_print_bar(&bars, (int64_t)p->words[i], out);
	}
}
