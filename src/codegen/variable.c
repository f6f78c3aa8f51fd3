/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Variables.  Globals and this-> lie at an offset of their memory; self-> variables and
 * elements of associative arrays are asked for by id and keys.
 *
 * Keys are evaluated once, into scratch memory, also where an element is read and then
 * written (x[k] += 1): the second use (lang_node.same) finds them there.
 */
#include "gen.h"

/* The memory of a variable that has a place of its own. */
static struct place place_of(const struct lang_var *v)
{
	return (struct place){
		v->scope == LANG_V_THIS ? BPF_AREA_LOCALS : BPF_AREA_GLOBALS, v->place,
		v->type->kind == LANG_T_STRING ? v->strsize : 8};
}

static int has_place(const struct lang_var *v)
{
	return v->scope != LANG_V_SELF && !v->n_keys;
}

/* The variable as the helpers know it. */
static uint64_t id_of(const struct lang_var *v)
{
	return v->place | (v->scope == LANG_V_SELF && v->n_keys ? RT_DYN_SELF : 0);
}

/* Where the keys of an element lie; they are evaluated when they were not before. */
static uint32_t keys_of(struct gen *g, const struct lang_node *n)
{
	const struct lang_node *first = n->same ? n->same : n, *a = n->args;
	struct gen_keys keys = {first, 0};
	uint32_t offset = 0;

	for (size_t i = 0; i < g->keys.n; i++)
		if (g->keys.at[i].of == first)
			return g->keys.at[i].base;
	keys.base = gen_scratch(g, lang_var_key_bytes(n->var));
	for (unsigned i = 0; i < n->var->n_keys; i++, a = a->next) {
		int is_text = n->var->keys[i]->kind == LANG_T_STRING;
		struct cg_field f = {.kind = is_text ? CG_STRING : CG_INT,
			.offset = offset,
			.size = is_text ? n->var->strsize : 8};
		gen_store(g, a, &f, keys.base);
		offset += f.size;
	}
	if (!g->err && vec_push(&g->keys, keys))
		g->err = err_nomem("a program");
	return keys.base;
}

void gen_keys(struct gen *g, const struct lang_node *n)
{
	if (n->kind == LANG_N_VAR && n->var->n_keys)
		keys_of(g, n);
}

/* r1 = the variable, and of an element r2, r3 = its key; the register behind them. */
static int name(struct gen *g, const struct lang_node *n)
{
	uint32_t base = n->var->n_keys ? keys_of(g, n) : 0;

	gen_number(g, R1, id_of(n->var));
	if (!n->var->n_keys)
		return R2;
	gen_address(g, R2, BPF_AREA_SCRATCH, base);
	gen_number(g, R3, lang_var_key_bytes(n->var));
	return R4;
}

void gen_variable(struct gen *g, const struct lang_node *n)
{
	const struct lang_var *v = n->var;

	if (has_place(v)) {
		gen_address(g, R1, place_of(v).area, v->place);
		gen_code(g, BPF_C_LDX | BPF_M_MEM | BPF_S_DW, R0, R1, 0, 0);
		return;
	}
	name(g, n);
	gen_call(g, v->n_keys ? RT_HELPER_DYN_GET : RT_HELPER_SELF_GET);
}

void gen_assign(struct gen *g, const struct lang_node *n)
{
	const struct lang_var *v = n->var;

	if (has_place(v)) {
		gen_address(g, R1, place_of(v).area, v->place);
		gen_code(g, BPF_C_STX | BPF_M_MEM | BPF_S_DW, R1, R0, 0, 0);
		return;
	}
	gen_save(g);
	gen_move(g, name(g, n), R0);
	gen_call(g, v->n_keys ? RT_HELPER_DYN_SET : RT_HELPER_SELF_SET);
	gen_restore(g, R0);
}

void gen_variable_string(struct gen *g, const struct lang_node *n, struct place to)
{
	const struct lang_var *v = n->var;

	if (has_place(v)) {
		gen_copy(g, place_of(v), to);
		return;
	}
	gen_span(g, name(g, n), to);
	gen_call(g, v->n_keys ? RT_HELPER_DYN_LOAD : RT_HELPER_SELF_LOAD);
}

void gen_assign_string(struct gen *g, const struct lang_node *n, struct place value)
{
	const struct lang_var *v = n->var;

	if (has_place(v)) {
		gen_copy(g, value, place_of(v));
		return;
	}
	gen_span(g, name(g, n), value);
	gen_call(g, v->n_keys ? RT_HELPER_DYN_STORE : RT_HELPER_SELF_STORE);
}
