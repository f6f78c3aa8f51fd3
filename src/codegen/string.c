/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strings.  A string is made at a place known when the code is made; its
 * bytes behind the NUL are zeros, so that strings can be parts of keys.
 */
#include "gen.h"

#include <string.h>

static uint32_t rounded(size_t n)
{
	return (uint32_t)((n + 7) & ~(size_t)7);
}

uint32_t gen_strsize(const struct gen *g)
{
	return lang_scope_strsize(g->cg->scope);
}

uint32_t gen_capacity(const struct gen *g, const struct lang_node *n)
{
	uint32_t a, b, most = gen_strsize(g);

	switch (n->kind) {
	case LANG_N_STRING:
		return n->len < most ? rounded(n->len + 1) : most;
	case LANG_N_COND:
		a = gen_capacity(g, n->right);
		b = gen_capacity(g, n->third);
		return a > b ? a : b;
	case LANG_N_BINARY: /* a comma, or an assignment */
		return gen_capacity(g, n->right);
	case LANG_N_VAR:
		return n->var->strsize;
	case LANG_N_CALL:
		if (n->func->code != LANG_FN_STRINGOF)
			return rounded(gen_function_capacity(g, n));
		if (n->args->type->kind == LANG_T_STRING)
			return gen_capacity(g, n->args);
		if (n->args->type->kind == LANG_T_ARRAY && n->args->type->size &&
			n->args->type->size < most)
			return rounded(n->args->type->size + 1);
		break;
	default:
		break;
	}
	/* Of a built-in with less room, such as execname, its type knows. */
	return n->type->size < LANG_STRSIZE ? rounded(n->type->size) : most;
}

/* A constant in the program's data; equal ones share a place. */
static struct place literal(struct gen *g, const struct lang_node *n)
{
	struct place p = {BPF_AREA_RODATA, 0, gen_capacity(g, n)};
	char text[RT_STRING_MAX] = {0};

	memcpy(text, n->text, n->len < p.size ? n->len : p.size - 1);
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

void gen_span(struct gen *g, int reg, struct place p)
{
	gen_address(g, reg, p.area, p.offset);
	gen_number(g, reg + 1, p.size);
}

static void builtin_string(struct gen *g, const struct lang_builtin *b, struct place to)
{
	if (b->kind == LANG_B_PROBE) {
		gen_number(g, R1, b->code);
		gen_span(g, R2, to);
		gen_call(g, RT_HELPER_PROBE_TEXT);
	} else if (b->kind == LANG_B_TEXT) {
		gen_number(g, R1, b->code);
		gen_span(g, R2, to);
		gen_call(g, RT_HELPER_TEXT);
	} else {
		gen_span(g, R1, to);
		gen_call(g, RT_HELPER_EXECNAME);
	}
}

/* A string of the victim's memory. */
static void load_string(struct gen *g, const struct lang_node *address, struct place to)
{
	gen_expression(g, address);
	gen_move(g, R3, R0);
	gen_span(g, R1, to);
	gen_call(g, RT_HELPER_LOAD_STRING);
}

/* A string of an array of characters, which ends at its end if not before. */
static void load_array(struct gen *g, const struct lang_node *array, struct place to)
{
	struct place p = {BPF_AREA_SCRATCH, 0, array->type->size};

	if (!p.size || p.size > gen_strsize(g))
		p.size = gen_strsize(g);
	p.offset = gen_scratch(g, p.size);
	if (array->type->size) {
		gen_load(g, array->left, p.size, p.offset);
	} else { /* char name[] at the end of a struct: up to its NUL */
		gen_expression(g, array->left);
		gen_move(g, R3, R0);
		gen_span(g, R1, p);
		gen_call(g, RT_HELPER_LOAD_STRING);
	}
	gen_copy(g, p, to);
}

void gen_copy(struct gen *g, struct place from, struct place to)
{
	gen_span(g, R1, to);
	gen_span(g, R3, from);
	gen_call(g, RT_HELPER_STRCPY);
}

/*
 * variable = string; where the string lies afterwards.  It is made elsewhere first: what
 * is assigned may be made of the variable's old value.
 */
static struct place assign_string(struct gen *g, const struct lang_node *n)
{
	struct place value;

	gen_keys(g, n->left);
	value = gen_string(g, n->right);
	gen_assign_string(g, n->left, value);
	return value;
}

static void binary_string(struct gen *g, const struct lang_node *n, struct place to)
{
	if (n->op == LANG_OP_ASSIGN) {
		gen_copy(g, assign_string(g, n), to);
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
		gen_copy(g, literal(g, n), to);
	else if (n->kind == LANG_N_BUILTIN)
		builtin_string(g, n->builtin, to);
	else if (n->kind == LANG_N_VAR)
		gen_variable_string(g, n, to);
	else if (n->kind == LANG_N_UNARY)
		load_string(g, n->left, to);
	else if (n->kind == LANG_N_COND)
		choose_string(g, n, to);
	else if (n->kind == LANG_N_BINARY)
		binary_string(g, n, to);
	else if (n->func->code != LANG_FN_STRINGOF)
		gen_function_string(g, n, to);
	else if (n->args->type->kind == LANG_T_STRING)
		gen_string_into(g, n->args, to); /* stringof(a string) */
	else if (n->args->type->kind == LANG_T_ARRAY)
		load_array(g, n->args, to);
	else
		load_string(g, n->args, to);
}

struct place gen_string(struct gen *g, const struct lang_node *n)
{
	struct place p = {BPF_AREA_SCRATCH, 0, gen_capacity(g, n)};

	if (n->kind == LANG_N_STRING)
		return literal(g, n);
	if (n->kind == LANG_N_BINARY && n->op == LANG_OP_ASSIGN)
		return assign_string(g, n);
	p.offset = gen_scratch(g, p.size);
	gen_string_into(g, n, p);
	return p;
}
