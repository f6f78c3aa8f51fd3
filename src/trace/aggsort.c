/* SPDX-License-Identifier: BSD-2-Clause */
/* What an aggregation's row amounts to, and the order that rows stand in. */
#include <string.h>
#include "aggregate.h"

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

/* ------------------------------------------------------------------- numbers */

static int64_t average(const uint64_t *w, uint64_t normal)
{
	int64_t sum = (int64_t)w[1], n = (int64_t)normal;

	/* No value is less than INT64_MIN / -1. */
	return w[0] ? (int64_t)((__int128)sum / n / (int64_t)w[0]) : 0;
}

static uint64_t square_root(unsigned __int128 n)
{
	unsigned __int128 low = 0, high = (unsigned __int128)1 << 64;

	while (high - low > 1) {
		unsigned __int128 mid = low + (high - low) / 2;

		if (mid * mid <= n)
			low = mid;
		else
			high = mid;
	}
	return (uint64_t)low;
}

static int64_t deviation(const uint64_t *w, uint64_t normal)
{
	unsigned __int128 squares = (unsigned __int128)w[3] << 64 | w[2];
	__int128 mean = average(w, normal), spread;

	if (!w[0])
		return 0;
	spread = (__int128)(squares / normal / normal / w[0]) - mean * mean;
	return spread > 0 ? (int64_t)square_root((unsigned __int128)spread) : 0;
}

int64_t trace_row_number(const struct trace_row *r, uint64_t normal)
{
	switch (r->agg->func) {
	case RT_AGG_AVG:
		return average(r->words, normal);
	case RT_AGG_STDDEV:
		return deviation(r->words, normal);
	default:
		return (int64_t)((__int128)(int64_t)r->words[0] / (int64_t)normal);
	}
}

int trace_row_is_histogram(const struct trace_row *r)
{
	return r->agg->func >= RT_AGG_QUANTIZE && r->agg->func <= RT_AGG_LLQUANTIZE;
}

/* ------------------------------------------------------------------- values */

/* What a bucket stands for: its lower bound; one below and one above lquantize's range.
 */
static long double bucket_value(const struct cg_agg *a, unsigned i)
{
	int64_t base = (int32_t)a->param;
	unsigned levels = (uint16_t)(a->param >> 32), step = (uint16_t)(a->param >> 48);

	if (a->func == RT_AGG_QUANTIZE)
		return (long double)rt_quantize_bound(i);
	if (a->func == RT_AGG_LLQUANTIZE)
		return i ? (long double)rt_llquantize_bound(a->param, i)
			 : (long double)rt_llquantize_bound(a->param, 1) - 1;
	if (i == 0)
		return (long double)base - 1;
	if (i > levels)
		return (long double)base + (long double)levels * step + 1;
	return (long double)base + ((long double)i - 1) * step;
}

/* What a histogram weighs: the sum of bucket times count. */
static long double weight(const struct trace_row *r)
{
	long double sum = 0;

	for (uint32_t i = 0; i < r->agg->words; i++)
		sum += bucket_value(r->agg, i) * (long double)(int64_t)r->words[i];
	return sum;
}

/* How often the value was zero, which weighs nothing. */
static int64_t zeros(const struct trace_row *r)
{
	if (r->agg->func == RT_AGG_QUANTIZE)
		return (int64_t)r->words[RT_QUANTIZE_ZERO];
	for (uint32_t i = 1; i + 1 < r->agg->words; i++)
		if (bucket_value(r->agg, i) == 0)
			return (int64_t)r->words[i];
	return 0;
}

int trace_row_compare_values(const struct trace_row *a, const struct trace_row *b)
{
	if (trace_row_is_histogram(a) && trace_row_is_histogram(b)) {
		long double wa = weight(a), wb = weight(b);

		return COMPARE(wa, wb) ?: COMPARE(zeros(a), zeros(b));
	}
	return COMPARE(trace_row_number(a, 1), trace_row_number(b, 1));
}

/* ------------------------------------------------------------------- keys */

/* Where field `i` of a key lies. */
static const unsigned char *key_field(const struct trace_row *r, unsigned i)
{
	const unsigned char *k = r->key;

	for (unsigned at = 0; at < i; at++)
		k += trace_key_bytes(&r->agg->keys[at], k);
	return k;
}

static int compare_field(const struct trace_row *a, const struct trace_row *b, unsigned i)
{
	const unsigned char *ka = key_field(a, i), *kb = key_field(b, i);
	uint64_t na, nb;

	if (a->agg->keys[i].kind == CG_STACK || a->agg->keys[i].kind == CG_ADDRESS)
		return memcmp(ka, kb, a->agg->keys[i].size);
	if (a->agg->keys[i].kind != CG_INT)
		return strcmp((const char *)ka, (const char *)kb);
	memcpy(&na, ka, sizeof na);
	memcpy(&nb, kb, sizeof nb);
	return COMPARE(na, nb); /* signed ones too: as DTrace has it */
}

int trace_row_compare_keys(const struct trace_row *a, const struct trace_row *b,
	const struct trace_options *o)
{
	uint64_t first = o ? trace_option_number(o, TRACE_AGGSORTKEYPOS, 0) : 0;
	unsigned n = a->agg->n_keys;
	int c = 0;

	if (first >= n)
		first = 0;
	for (unsigned i = 0; i < n && !c; i++)
		c = compare_field(a, b, (unsigned)((first + i) % n));
	return c;
}

int trace_row_compare(const struct trace_row *a, const struct trace_row *b,
	const struct trace_options *o)
{
	int c = COMPARE(a->agg->group, b->agg->group);

	if (!c && trace_option_on(o, TRACE_AGGSORTKEY))
		c = trace_row_compare_keys(a, b, o) ?: trace_row_compare_values(a, b);
	else if (!c)
		c = trace_row_compare_values(a, b) ?: trace_row_compare_keys(a, b, o);
	return trace_option_on(o, TRACE_AGGSORTREV) ? -c : c;
}

static int compare(const void *pa, const void *pb, void *options)
{
	return trace_row_compare(
		*(struct trace_row *const *)pa, *(struct trace_row *const *)pb, options);
}

void trace_table_sort(struct trace_table *t)
{
	if (t->rows.n)
		qsort_r(t->rows.at, t->rows.n, sizeof *t->rows.at, compare,
			&t->session->options);
}
