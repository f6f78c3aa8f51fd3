/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strings and variables.  A string is made at a place known when the code is made; its
 * bytes behind the NUL are zeros, so that strings can be parts of keys.
 */
#include "gen.h"

#include <string.h>

static uint32_t rounded(size_t n)
{
	return (uint32_t)((n + 7) & ~(size_t)7);
}

uint32_t gen_capacity(const struct lang_node *n)
{
	uint32_t a, b;

	switch (n->kind) {
	case LANG_N_STRING:
		return n->len < LANG_STRSIZE ? rounded(n->len + 1) : LANG_STRSIZE;
	case LANG_N_COND:
		a = gen_capacity(n->right);
		b = gen_capacity(n->third);
		return a > b ? a : b;
	case LANG_N_BINARY: /* a comma, or an assignment */
		return gen_capacity(n->right);
	case LANG_N_VAR:
		return LANG_STRSIZE;
	case LANG_N_CALL:
		if (n->args->type->kind == LANG_T_STRING)
			return gen_capacity(n->args);
		if (n->args->type->kind == LANG_T_ARRAY && n->args->type->size &&
			n->args->type->size < LANG_STRSIZE)
			return rounded(n->args->type->size + 1);
		break;
	default:
		break;
	}
	return rounded(n->type->size);
}

/* A constant in the program's data; equal ones share a place. */
static struct place literal(struct gen *g, const struct lang_node *n)
{
	struct place p = {BPF_AREA_RODATA, 0, gen_capacity(n)};
	char text[LANG_STRSIZE] = {0};

	memcpy(text, n->text, n->len < sizeof text ? n->len : sizeof text - 1);
	for (; p.offset + p.size <= g->rodata.n; p.offset += 8)
		if (!memcmp(g->rodata.at + p.offset, text, p.size))
			return p;
	p.offset = (uint32_t)g->rodata.n;
	if (vec_reserve((void **)&g->rodata.at, &g->rodata.room, p.offset + p.size, 1)) {
		g->err = err_nomem("a program");
		return p;
	}
	memcpy(g->rodata.at + p.offset, text, p.size);
	g->rodata.n += p.size;
	return p;
}

static void choose_string(struct gen *g, const struct lang_node *n, struct place to)
{
	uint32_t other = gen_label(g), out = gen_label(g);

	gen_branch(g, n->left, 0, other);
	gen_string_into(g, n->right, to);
	gen_jump(g, BPF_C_JMP | BPF_J_A, 0, 0, 0, out);
	gen_place(g, other);
	gen_string_into(g, n->third, to);
	gen_place(g, out);
}

/* reg, reg + 1 = address and size of a place */
static void span(struct gen *g, int reg, struct place p)
{
	gen_address(g, reg, p.area, p.offset);
	gen_number(g, reg + 1, p.size);
}

static void builtin_string(struct gen *g, const struct lang_builtin *b, struct place to)
{
	if (b->kind == LANG_B_PROBE) {
		gen_number(g, R1, b->code);
		span(g, R2, to);
		gen_call(g, RT_HELPER_PROBE_TEXT);
	} else {
		span(g, R1, to);
		gen_call(g, RT_HELPER_EXECNAME);
	}
}

/* A string of the victim's memory. */
static void load_string(struct gen *g, const struct lang_node *address, struct place to)
{
	gen_expression(g, address);
	gen_move(g, R3, R0);
	span(g, R1, to);
	gen_call(g, RT_HELPER_LOAD_STRING);
}

static void copy_string(struct gen *g, struct place from, struct place to);

/* A string of an array of characters, which ends at its end if not before. */
static void load_array(struct gen *g, const struct lang_node *array, struct place to)
{
	struct place p = {BPF_AREA_SCRATCH, 0, array->type->size};

	if (!p.size || p.size > LANG_STRSIZE)
		p.size = LANG_STRSIZE;
	p.offset = gen_scratch(g, p.size);
	if (array->type->size) {
		gen_load(g, array->left, p.size, p.offset);
	} else { /* char name[] at the end of a struct: up to its NUL */
		gen_expression(g, array->left);
		gen_move(g, R3, R0);
		span(g, R1, p);
		gen_call(g, RT_HELPER_LOAD_STRING);
	}
	copy_string(g, p, to);
}

static void copy_string(struct gen *g, struct place from, struct place to)
{
	span(g, R1, to);
	span(g, R3, from);
	gen_call(g, RT_HELPER_STRCPY);
}

/* Where a variable with a place of its own lies. */
static struct place variable(const struct lang_var *v)
{
	return (struct place){
		v->scope == LANG_V_THIS ? BPF_AREA_LOCALS : BPF_AREA_GLOBALS, v->place,
		v->type->kind == LANG_T_STRING ? LANG_STRSIZE : 8};
}

static void variable_string(struct gen *g, const struct lang_var *v, struct place to)
{
	if (v->scope != LANG_V_SELF) {
		copy_string(g, variable(v), to);
		return;
	}
	gen_number(g, R1, v->place);
	span(g, R2, to);
	gen_call(g, RT_HELPER_SELF_LOAD);
}

/*
 * variable = string; where the string lies afterwards.  It is made elsewhere first: what
 * is assigned may be made of the variable's old value.
 */
static struct place assign_string(struct gen *g, const struct lang_node *n)
{
	struct place value = gen_string(g, n->right);
	const struct lang_var *v = n->left->var;

	if (v->scope != LANG_V_SELF) {
		copy_string(g, value, variable(v));
		return value;
	}
	gen_number(g, R1, v->place);
	span(g, R2, value);
	gen_call(g, RT_HELPER_SELF_STORE);
	return value;
}

static void binary_string(struct gen *g, const struct lang_node *n, struct place to)
{
	if (n->op == LANG_OP_ASSIGN) {
		copy_string(g, assign_string(g, n), to);
	} else {
		gen_discard(g, n->left);
		gen_string_into(g, n->right, to);
	}
}

void gen_string_into(struct gen *g, const struct lang_node *n, struct place to)
{
	if (g->err)
		return;
	g->at = n->at;
	if (n->kind == LANG_N_STRING)
		copy_string(g, literal(g, n), to);
	else if (n->kind == LANG_N_BUILTIN)
		builtin_string(g, n->builtin, to);
	else if (n->kind == LANG_N_VAR)
		variable_string(g, n->var, to);
	else if (n->kind == LANG_N_UNARY)
		load_string(g, n->left, to);
	else if (n->kind == LANG_N_COND)
		choose_string(g, n, to);
	else if (n->kind == LANG_N_BINARY)
		binary_string(g, n, to);
	else if (n->args->type->kind == LANG_T_STRING)
		gen_string_into(g, n->args, to); /* stringof(a string) */
	else if (n->args->type->kind == LANG_T_ARRAY)
		load_array(g, n->args, to);
	else
		load_string(g, n->args, to);
}

struct place gen_string(struct gen *g, const struct lang_node *n)
{
	struct place p = {BPF_AREA_SCRATCH, 0, gen_capacity(n)};

	if (n->kind == LANG_N_STRING)
		return literal(g, n);
	if (n->kind == LANG_N_BINARY && n->op == LANG_OP_ASSIGN)
		return assign_string(g, n);
	p.offset = gen_scratch(g, p.size);
	gen_string_into(g, n, p);
	return p;
}

/* ---------------------------------------------------------------- number variables */

void gen_variable(struct gen *g, const struct lang_var *v)
{
	if (v->scope == LANG_V_SELF) {
		gen_number(g, R1, v->place);
		gen_call(g, RT_HELPER_SELF_GET);
		return;
	}
	gen_address(g, R1, variable(v).area, v->place);
	gen_code(g, BPF_C_LDX | BPF_M_MEM | BPF_S_DW, R0, R1, 0, 0);
}

/* variable = r0, which stays in r0 */
void gen_assign(struct gen *g, const struct lang_var *v)
{
	if (v->scope == LANG_V_SELF) {
		gen_save(g);
		gen_move(g, R2, R0);
		gen_number(g, R1, v->place);
		gen_call(g, RT_HELPER_SELF_SET);
		gen_restore(g, R0);
		return;
	}
	gen_address(g, R1, variable(v).area, v->place);
	gen_code(g, BPF_C_STX | BPF_M_MEM | BPF_S_DW, R1, R0, 0, 0);
}
