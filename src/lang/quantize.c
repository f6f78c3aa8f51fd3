/* SPDX-License-Identifier: BSD-2-Clause */
/* The parameters of lquantize() and llquantize(), with DTrace's tags for what is wrong.
 */
#include "parts.h"

#include <runtime/runtime.h>

#include <stdio.h>

/* A constant argument, within [least, most]; `tag` begins its two tags. */
static int number(struct unit *u, const struct lang_node *arg, const char *tag,
	const char *what, int64_t least, int64_t most)
{
	char full[32];
	int64_t v = (int64_t)arg->value;
	int is_constant = arg->kind == LANG_N_INT;

	if (is_constant && v >= least && v <= most)
		return 0;
	snprintf(full, sizeof full, "D_%s%s", tag, is_constant ? "VAL" : "TYPE");
	return fail(u, arg->at, full, "expected an integer constant",
		is_constant ? "%s is out of range" : "%s must be an integer constant",
		what);
}

static int lquantize(struct unit *u, struct lang_node *call, uint64_t *param)
{
	const struct lang_node *base = call->args->next, *limit = base->next;
	const struct lang_node *step = limit->next;
	int64_t by = 1, levels;

	if (number(u, base, "LQUANT_BASE", "lquantize( ) argument #2 (base)", INT32_MIN,
		    INT32_MAX) ||
		number(u, limit, "LQUANT_LIM", "lquantize( ) argument #3 (limit)",
			INT32_MIN, INT32_MAX) ||
		(step && number(u, step, "LQUANT_STEP", "lquantize( ) argument #4 (step)",
				 1, UINT16_MAX)))
		return DTPROC_ESYNTAX;
	if ((int64_t)base->value >= (int64_t)limit->value)
		return fail(u, limit->at, "D_LQUANT_MISMATCH", "",
			"lquantize( ) base (argument #2) must be less than limit (argument #3)");
	if (step)
		by = (int64_t)step->value;
	levels = ((int64_t)limit->value - (int64_t)base->value) / by;
	if (!levels)
		return fail(u, limit->at, "D_LQUANT_STEPLARGE", "",
			"lquantize( ) step (argument #4) leaves no level");
	if (levels + 2 > (int64_t)RT_WORDS_MAX)
		return fail(u, limit->at, "D_LQUANT_STEPSMALL", "make the step larger",
			"lquantize( ) has more than %u levels", RT_WORDS_MAX - 2);
	*param = RT_LQUANTIZE(base->value, levels, by);
	return 0;
}

static const struct {
	const char *tag, *what;
} ll[] = {{"LLQUANT_FACTOR", "llquantize( ) argument #2 (factor)"},
	{"LLQUANT_LOW", "llquantize( ) argument #3 (low magnitude)"},
	{"LLQUANT_HIGH", "llquantize( ) argument #4 (high magnitude)"},
	{"LLQUANT_NSTEP", "llquantize( ) argument #5 (linear steps per magnitude)"}};

/* Does the factor divide the number of steps, and that a power of the factor? */
static int divides_evenly(uint64_t factor, uint64_t nsteps)
{
	uint64_t power = factor;

	while (power < nsteps)
		power *= factor;
	return nsteps % factor == 0 && power % nsteps == 0;
}

static int check_orders(
	struct unit *u, const struct lang_node *call, const uint64_t v[4], uint64_t param)
{
	uint64_t power = 1;

	if (v[0] < 2)
		return fail(u, call->at, "D_LLQUANT_FACTORSMALL", "",
			"llquantize( ) factor (argument #2) must be two or more");
	if (v[1] >= v[2])
		return fail(u, call->at, "D_LLQUANT_MAGRANGE", "",
			"llquantize( ) high magnitude (argument #4) must be greater than "
			"low magnitude (argument #3)");
	if (v[3] < v[0])
		return fail(u, call->at, "D_LLQUANT_FACTORNSTEPS", "",
			"llquantize( ) factor (argument #2) must be at most the number "
			"of linear steps per magnitude (argument #5)");
	if (!divides_evenly(v[0], v[3]))
		return fail(u, call->at, "D_LLQUANT_FACTOREVEN", "",
			"llquantize( ) factor (argument #2) must evenly divide the "
			"number of steps per magnitude (argument #5), and that a power "
			"of the factor");
	for (uint64_t i = 0; i <= v[2]; i++)
		if (__builtin_mul_overflow(power, v[0], &power) || power > 1ull << 63)
			return fail(u, call->at, "D_LLQUANT_MAGTOOBIG", "",
				"llquantize( ) factor (%d) raised to power of high "
				"magnitude (%d) overflows 64-bits",
				(int)v[0], (int)v[2]);
	if (!rt_agg_words(RT_AGG_LLQUANTIZE, param))
		return fail(u, call->at, "D_LLQUANT_NSTEPVAL", "make fewer steps",
			"llquantize( ) has more than %u levels", RT_WORDS_MAX - 2);
	return 0;
}

static int llquantize(struct unit *u, struct lang_node *call, uint64_t *param)
{
	const struct lang_node *a = call->args;
	uint64_t v[4];

	for (int i = 0; i < 4; i++) {
		a = a->next;
		if (number(u, a, ll[i].tag, ll[i].what, 0, UINT16_MAX))
			return DTPROC_ESYNTAX;
		v[i] = a->value;
	}
	*param = RT_LLQUANTIZE(v[0], v[1], v[2], v[3]);
	return check_orders(u, call, v, *param);
}

int check_quantize(struct unit *u, struct lang_node *call, uint64_t *param)
{
	if (call->func->code == RT_AGG_LQUANTIZE)
		return lquantize(u, call, param);
	if (call->func->code == RT_AGG_LLQUANTIZE)
		return llquantize(u, call, param);
	*param = 0;
	return 0;
}

static int differs(struct unit *u, const struct lang_node *n, const char *tag,
	const char *what, int64_t expected, int64_t found)
{
	return fail(u, n->at, tag, "",
		"%s doesn't match previous declaration: expected %lld, found %lld", what,
		(long long)expected, (long long)found);
}

int quantize_mismatch(struct unit *u, const struct lang_node *n,
	const struct lang_agg *agg, uint64_t param)
{
	int64_t base = (int32_t)agg->param, found = (int32_t)param;
	uint64_t step = agg->param >> 48, by = param >> 48;
	char tag[32];

	if (agg->func == RT_AGG_LQUANTIZE) {
		if (base != found)
			return differs(u, n, "D_LQUANT_MATCHBASE",
				"lquantize( ) base (argument #2)", base, found);
		if (step == by)
			return differs(u, n, "D_LQUANT_MATCHLIM",
				"lquantize( ) limit (argument #3)",
				base + (int64_t)((agg->param >> 32 & 0xffff) * step),
				found + (int64_t)((param >> 32 & 0xffff) * by));
		return differs(u, n, "D_LQUANT_MATCHSTEP",
			"lquantize( ) step (argument #4)", (int64_t)step, (int64_t)by);
	}
	for (int i = 0;; i++) {
		uint16_t was = (uint16_t)(agg->param >> 16 * i),
			 is = (uint16_t)(param >> 16 * i);
		snprintf(tag, sizeof tag, "D_%sMATCH", ll[i].tag);
		if (was != is || i == 3)
			return differs(u, n, tag, ll[i].what, was, is);
	}
}
