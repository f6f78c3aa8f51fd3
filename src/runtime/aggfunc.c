/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The aggregating functions: what a value is in words, how a hit changes it, how two are
 * merged, and the bounds of buckets.
 */
#include "own.h"

static void bump(uint64_t *word, uint64_t by)
{
	RT_WRITE(word, RT_READ(word) + by);
}

static void count(uint64_t *w, uint64_t param, int64_t value, uint64_t by)
{
	bump(w, 1);
}

static void sum(uint64_t *w, uint64_t param, int64_t value, uint64_t by)
{
	bump(w, (uint64_t)value);
}

static void avg(uint64_t *w, uint64_t param, int64_t value, uint64_t by)
{
	bump(w, 1);
	bump(w + 1, (uint64_t)value);
}

static void min(uint64_t *w, uint64_t param, int64_t value, uint64_t by)
{
	if (value < (int64_t)RT_READ(w))
		RT_WRITE(w, (uint64_t)value);
}

static void max(uint64_t *w, uint64_t param, int64_t value, uint64_t by)
{
	if (value > (int64_t)RT_READ(w))
		RT_WRITE(w, (uint64_t)value);
}

/* Adds a 128-bit number to two words. */
static void bump_wide(uint64_t *w, unsigned __int128 by)
{
	unsigned __int128 s = ((unsigned __int128)RT_READ(w + 1) << 64 | RT_READ(w)) + by;

	RT_WRITE(w, (uint64_t)s);
	RT_WRITE(w + 1, (uint64_t)(s >> 64));
}

static void stddev(uint64_t *w, uint64_t param, int64_t value, uint64_t by)
{
	bump(w, 1);
	bump(w + 1, (uint64_t)value);
	bump_wide(w + 2, (unsigned __int128)((__int128)value * value));
}

static uint32_t quantize_bucket(int64_t value)
{
	uint64_t v = (uint64_t)value;

	if (!value)
		return RT_QUANTIZE_ZERO;
	if (value > 0)
		return RT_QUANTIZE_ZERO + 64 - (uint32_t)__builtin_clzll(v);
	return RT_QUANTIZE_ZERO -
	       (v == 1ull << 63 ? 63 : 64 - (uint32_t)__builtin_clzll(-v));
}

static void quantize(uint64_t *w, uint64_t param, int64_t value, uint64_t by)
{
	bump(w + quantize_bucket(value), by);
}

int64_t rt_quantize_bound(uint32_t bucket)
{
	if (bucket == RT_QUANTIZE_ZERO)
		return 0;
	if (bucket > RT_QUANTIZE_ZERO)
		return (int64_t)(1ull << (bucket - RT_QUANTIZE_ZERO - 1));
	return -(int64_t)(1ull << (RT_QUANTIZE_ZERO - bucket - 1));
}

static void lquantize(uint64_t *w, uint64_t param, int64_t value, uint64_t by)
{
	int64_t base = (int32_t)param;
	uint64_t levels = (uint16_t)(param >> 32), step = (uint16_t)(param >> 48), level;

	if (value < base) {
		bump(w, by);
		return;
	}
	level = ((uint64_t)value - (uint64_t)base) / step;
	bump(w + (level < levels ? level + 1 : levels + 1), by);
}

/*
 * llquantize: orders of magnitude from factor^low to factor^(high + 1), each in linear
 * steps of 1/nsteps of its end; before and behind them a word for what is outside.
 */
struct order {
	uint64_t from, to;   /* its bounds */
	uint64_t step;       /* width of a bucket */
	uint32_t first, end; /* words */
};

static uint64_t power(uint64_t factor, uint32_t n)
{
	uint64_t p = 1;

	while (n-- && p <= 1ull << 63)
		if (__builtin_mul_overflow(p, factor, &p))
			return UINT64_MAX;
	return p;
}

/* The lowest order; 0: the parameters make no sense. */
static int first_order(uint64_t param, struct order *o)
{
	uint64_t factor = (uint16_t)param, nsteps = param >> 48;
	uint32_t low = (uint16_t)(param >> 16), high = (uint16_t)(param >> 32);

	if (factor < 2 || low >= high || nsteps < factor || nsteps % factor ||
		high > 63 || power(factor, high + 1) > 1ull << 63)
		return 0;
	o->from = power(factor, low);
	o->to = o->from * factor;
	o->step = o->to > nsteps ? o->to / nsteps : 1;
	o->first = 1;
	o->end = 1 + (uint32_t)((o->to - o->from) / o->step);
	return (uint64_t)(o->end - o->first) * o->step == o->to - o->from;
}

/* The one above; 0: there is none. */
static int next_order(uint64_t param, struct order *o)
{
	uint64_t factor = (uint16_t)param, nsteps = param >> 48;

	if (o->to >= power(factor, (uint16_t)(param >> 32) + 1u))
		return 0;
	o->from = o->to;
	o->to = o->from * factor;
	o->step = o->to > nsteps ? o->to / nsteps : 1;
	o->first = o->end;
	o->end += (uint32_t)((o->to - o->from) / o->step);
	return 1;
}

static void llquantize(uint64_t *w, uint64_t param, int64_t value, uint64_t by)
{
	struct order o;
	uint32_t at = 0;

	if (!first_order(param, &o))
		return;
	if (value >= (int64_t)o.from) {
		while ((uint64_t)value >= o.to && next_order(param, &o))
			;
		at = (uint64_t)value >= o.to
			     ? o.end
			     : o.first + (uint32_t)(((uint64_t)value - o.from) / o.step);
	}
	bump(w + at, by);
}

static uint32_t llquantize_words(uint64_t param)
{
	struct order o;

	if (!first_order(param, &o))
		return 0;
	do
		if (o.end >= RT_WORDS_MAX)
			return 0;
	while (next_order(param, &o));
	return o.end + 1;
}

int64_t rt_llquantize_bound(uint64_t param, uint32_t word)
{
	struct order o;

	if (!word || !first_order(param, &o))
		return INT64_MIN;
	while (word >= o.end && next_order(param, &o))
		;
	return word >= o.end ? (int64_t)(o.to - 1) + 1
			     : (int64_t)(o.from + (word - o.first) * o.step);
}

static void merge_add(uint32_t n, uint64_t *to, const uint64_t *from)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] += from[i];
}

static void merge_min(uint32_t n, uint64_t *to, const uint64_t *from)
{
	min(to, 0, (int64_t)from[0], 1);
}

static void merge_max(uint32_t n, uint64_t *to, const uint64_t *from)
{
	max(to, 0, (int64_t)from[0], 1);
}

static void merge_stddev(uint32_t n, uint64_t *to, const uint64_t *from)
{
	merge_add(2, to, from);
	bump_wide(to + 2, (unsigned __int128)from[3] << 64 | from[2]);
}

const struct rt_func rt_funcs[RT_AGG_FUNCS] = {
	[RT_AGG_COUNT] = {1, count, merge_add, 0, 1},
	[RT_AGG_SUM] = {1, sum, merge_add, 0, 1},
	[RT_AGG_AVG] = {2, avg, merge_add, 0, 2},
	[RT_AGG_MIN] = {1, min, merge_min, INT64_MAX, 1},
	[RT_AGG_MAX] = {1, max, merge_max, 1ull << 63, 1},
	[RT_AGG_STDDEV] = {4, stddev, merge_stddev, 0, 2},
	[RT_AGG_QUANTIZE] = {RT_QUANTIZE_BUCKETS, quantize, merge_add, 0, 1},
	[RT_AGG_LQUANTIZE] = {0, lquantize, merge_add, 0, 1},
	[RT_AGG_LLQUANTIZE] = {0, llquantize, merge_add, 0, 1},
};

uint32_t rt_agg_words(enum rt_agg_func func, uint64_t param)
{
	uint32_t levels = (uint16_t)(param >> 32);

	if ((uint32_t)func >= RT_AGG_FUNCS)
		return 0;
	if (func == RT_AGG_LLQUANTIZE)
		return llquantize_words(param);
	if (func != RT_AGG_LQUANTIZE)
		return rt_funcs[func].words;
	return param >> 48 && levels && levels + 2 <= RT_WORDS_MAX ? levels + 2 : 0;
}

void rt_agg_merge(
	enum rt_agg_func func, uint32_t words, uint64_t *to, const uint64_t *from)
{
	rt_funcs[func].merge(words, to, from);
}
