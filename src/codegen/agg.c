/* SPDX-License-Identifier: BSD-2-Clause */
/* Aggregations: their ids and layouts, and the code that updates one. */
#include "gen.h"

#include <string.h>

static int same_keys(const struct cg_agg *a, const struct cg_field *keys, unsigned n)
{
	if (a->n_keys != n)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		const struct cg_field *x = &a->keys[i], *y = &keys[i];
		if (x->kind != y->kind || x->size != y->size || x->part != y->part ||
			x->type_size != y->type_size || x->is_signed != y->is_signed)
			return 0;
	}
	return 1;
}

/* The entry of an aggregation with these keys; made when it is new. */
static const struct cg_agg *entry(struct gen *g, const struct lang_agg *agg,
	const struct cg_field *keys, unsigned n, uint32_t key_bytes)
{
	struct cg *cg = g->cg;
	struct cg_agg *a;

	for (size_t i = 0; i < cg->aggs.n; i++)
		if (cg->aggs.at[i]->group == agg->id &&
			same_keys(cg->aggs.at[i], keys, n))
			return cg->aggs.at[i];
	a = calloc(1, sizeof *a);
	if (!a || vec_push(&cg->aggs, a)) {
		free(a);
		g->err = err_nomem("an aggregation");
		return NULL;
	}
	a->id = (uint32_t)cg->aggs.n;
	a->group = agg->id;
	a->name = agg->name;
	a->func = (enum rt_agg_func)agg->func;
	a->param = agg->param;
	a->words = rt_agg_words(a->func, a->param);
	a->key_bytes = key_bytes;
	a->n_keys = n;
	memcpy(a->keys, keys, n * sizeof *keys);
	return a;
}

const struct cg_agg *cg_agg_by_id(const struct cg *cg, uint32_t id)
{
	return id && id <= cg->aggs.n ? cg->aggs.at[id - 1] : NULL;
}

/* Evaluates the keys into fresh scratch memory; where it lies. */
static uint32_t keys_into(struct gen *g, const struct lang_node *agg,
	const struct cg_field *keys, uint32_t key_bytes)
{
	uint32_t base = gen_scratch(g, key_bytes ? key_bytes : 8);
	unsigned i = 0;

	if (!key_bytes)
		gen_code(g, BPF_C_ST | BPF_M_MEM | BPF_S_DW, R_SCRATCH, 0, (int)base, 0);
	for (const struct lang_node *k = agg->args; k; k = k->next)
		gen_store(g, k, &keys[i++], base);
	return base;
}

/* How much a bucket grows, when the call says so; NULL: by one. */
static const struct lang_node *increment(const struct lang_node *call)
{
	const struct lang_node *a = call->args;
	unsigned i = call->func->code == RT_AGG_QUANTIZE     ? 1
		     : call->func->code == RT_AGG_LQUANTIZE  ? 4
		     : call->func->code == RT_AGG_LLQUANTIZE ? 5
							     : LANG_ARGS_MAX;

	while (a && i--)
		a = a->next;
	return a;
}

/* Stores r0 into a word of the scratch memory. */
static void keep(struct gen *g, uint32_t at)
{
	gen_code(g, BPF_C_STX | BPF_M_MEM | BPF_S_DW, R_SCRATCH, R0, (int)at, 0);
}

static void update_by(struct gen *g, const struct cg_agg *a, const struct lang_node *call,
	struct place key)
{
	struct place by = {BPF_AREA_SCRATCH, gen_scratch(g, sizeof(struct rt_agg_by)),
		sizeof(struct rt_agg_by)};

	gen_expression(g, call->args);
	keep(g, by.offset + offsetof(struct rt_agg_by, value));
	gen_expression(g, increment(call));
	keep(g, by.offset + offsetof(struct rt_agg_by, by));
	gen_number(g, R0, a->param);
	keep(g, by.offset + offsetof(struct rt_agg_by, param));
	gen_number(g, R1, a->id | (uint64_t)a->func << 32);
	gen_span(g, R2, key);
	gen_span(g, R4, by);
	gen_call(g, RT_HELPER_AGG_BY);
}

static void update(struct gen *g, const struct cg_agg *a, const struct lang_node *call,
	struct place key)
{
	if (call->args)
		gen_expression(g, call->args);
	else
		gen_number(g, R0, 1);
	gen_move(g, R4, R0);
	gen_number(g, R1, a->id | (uint64_t)a->func << 32);
	gen_span(g, R2, key);
	gen_number(g, R5, a->param);
	gen_call(g, RT_HELPER_AGG);
}

void gen_agg(struct gen *g, const struct lang_node *agg, const struct lang_node *call)
{
	struct cg_field keys[LANG_KEYS_MAX];
	struct place key = {BPF_AREA_SCRATCH, 0, 8};
	uint32_t key_bytes = 0;
	const struct cg_agg *a;
	unsigned n = 0;

	for (const struct lang_node *k = agg->args; k; k = k->next)
		keys[n++] = gen_field(g, k, &key_bytes);
	if (key_bytes > RT_KEY_MAX) {
		g->err = lang_script_error(g->script, agg->at, "D_CG_EXPR", "",
			"the keys of @%s take more than %u bytes", agg->text, RT_KEY_MAX);
		return;
	}
	a = entry(g, agg->agg, keys, n, key_bytes);
	if (!a)
		return;
	key.offset = keys_into(g, agg, keys, key_bytes);
	key.size = key_bytes ? key_bytes : 8;
	if (increment(call))
		update_by(g, a, call, key);
	else
		update(g, a, call, key);
}
