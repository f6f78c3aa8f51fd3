/* SPDX-License-Identifier: BSD-2-Clause */
/* The pictures of quantize() and lquantize(), DTrace's to the character. */
#include <string.h>
#include "own.h"

#define WIDTH 40

enum sides { POSITIVE, NEGATIVE, BOTH };

struct picture {
	long double total; /* of the counts' absolute values */
	enum sides sides;
	FILE *out;
};

static struct picture picture_of(
	const uint64_t *w, unsigned first, unsigned last, FILE *out)
{
	struct picture p = {.out = out};
	int positive = 0, negative = 0;

	for (unsigned i = first; i <= last; i++) {
		int64_t n = (int64_t)w[i];

		positive |= n > 0;
		negative |= n < 0;
		p.total += n < 0 ? -(long double)n : (long double)n;
	}
	p.sides = !negative ? POSITIVE : positive ? BOTH : NEGATIVE;
	return p;
}

static void print_header(FILE *out)
{
	fprintf(out, "\n%16s %41s %-9s\n", "value",
		"------------- Distribution -------------", "count");
}

static void repeat(int c, unsigned n, FILE *out)
{
	while (n--)
		fputc(c, out);
}

static void print_line(const struct picture *p, int64_t n)
{
	unsigned width = p->sides == BOTH ? WIDTH / 2 : WIDTH;
	long double size = n < 0 ? -(long double)n : (long double)n;
	unsigned bar = p->total > 0 ? (unsigned)(size * width / p->total + 0.5L) : 0;

	if (bar > width)
		bar = width;
	if (p->sides == POSITIVE || (p->sides == BOTH && n > 0)) {
		repeat(' ', p->sides == BOTH ? width : 0, p->out);
		fputc('|', p->out);
		repeat('@', bar, p->out);
		repeat(' ', width - bar, p->out);
	} else {
		repeat(' ', width - bar, p->out);
		repeat('@', bar, p->out);
		fputc('|', p->out);
		repeat(' ', p->sides == BOTH ? width : 0, p->out);
	}
	fprintf(p->out, " %-9lld\n", (long long)n);
}

/* The range of buckets to show: those that count, and one more on each side. */
static void range_of(
	const uint64_t *w, unsigned n, unsigned middle, unsigned *first, unsigned *last)
{
	unsigned low = 0, high = n - 1;

	while (low < n && !w[low])
		low++;
	if (low == n) {
		*first = middle ? middle - 1 : 0;
		*last = middle + 1 < n ? middle + 1 : n - 1;
		return;
	}
	while (!w[high])
		high--;
	*first = low ? low - 1 : 0;
	*last = high + 1 < n ? high + 1 : high;
}

void trace_print_quantize(const uint64_t *w, unsigned n, FILE *out)
{
	unsigned first, last;

	range_of(w, n, RT_QUANTIZE_ZERO, &first, &last);
	struct picture p = picture_of(w, first, last, out);

	print_header(out);
	for (unsigned i = first; i <= last; i++) {
		fprintf(out, "%16lld ", (long long)rt_quantize_bound(i));
		print_line(&p, (int64_t)w[i]);
	}
}

void trace_print_lquantize(const uint64_t *w, unsigned n, uint64_t param, FILE *out)
{
	int64_t base = (int32_t)param;
	unsigned levels = (uint16_t)(param >> 32), step = (uint16_t)(param >> 48);
	unsigned first, last;

	range_of(w, n, 0, &first, &last);
	struct picture p = picture_of(w, first, last, out);

	print_header(out);
	for (unsigned i = first; i <= last; i++) {
		char text[32];
		int64_t at = base + ((int64_t)i - 1) * step;

		if (i == 0)
			snprintf(text, sizeof text, "< %lld", (long long)base);
		else if (i == levels + 1)
			snprintf(text, sizeof text, ">= %lld", (long long)at);
		else
			snprintf(text, sizeof text, "%lld", (long long)at);
		fprintf(out, "%16s ", text);
		print_line(&p, (int64_t)w[i]);
	}
}
