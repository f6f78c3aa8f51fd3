/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expressions.  A number comes out in r0, always cut to its type's size and extended by
 * its sign, so that 64-bit comparisons compare values and widening costs nothing.  A
 * string comes out at a place known now.
 */
#include "gen.h"

#include <string.h>

#define ALU64 BPF_C_ALU64
#define ALU32 BPF_C_ALU32

static int fits_imm(const struct lang_node *n)
{
	return n->kind == LANG_N_INT && (int64_t)n->value == (int32_t)n->value;
}

/* Cuts r0 to a type narrower than 64 bits. */
static void fit(struct gen *g, const struct lang_type *t)
{
	if (t->size >= 8 || !t->size)
		return;
	if (t->is_signed)
		gen_code(g, ALU64 | BPF_A_MOV | BPF_X, R0, R0, (int)t->size * 8, 0);
	else if (t->size == 4)
		gen_code(g, ALU32 | BPF_A_MOV | BPF_X, R0, R0, 0, 0);
	else
		gen_code(g, ALU64 | BPF_A_AND | BPF_K, R0, 0, 0,
			t->size == 1 ? 0xff : 0xffff);
}

/* Left into r0, right into r1; or only left, when the right side fits an immediate. */
static void operands(struct gen *g, const struct lang_node *n)
{
	gen_expression(g, n->left);
	if (fits_imm(n->right))
		return;
	gen_save(g);
	gen_expression(g, n->right);
	gen_move(g, R1, R0);
	gen_restore(g, R0);
}

/* ---------------------------------------------------------------------- arithmetic */

static uint8_t alu_op(enum lang_op op, int is_signed)
{
	switch (op) {
	case LANG_OP_ADD:
		return BPF_A_ADD;
	case LANG_OP_SUB:
		return BPF_A_SUB;
	case LANG_OP_MUL:
		return BPF_A_MUL;
	case LANG_OP_DIV:
		return BPF_A_DIV;
	case LANG_OP_MOD:
		return BPF_A_MOD;
	case LANG_OP_AND:
		return BPF_A_AND;
	case LANG_OP_OR:
		return BPF_A_OR;
	case LANG_OP_XOR:
		return BPF_A_XOR;
	case LANG_OP_LSH:
		return BPF_A_LSH;
	default:
		return is_signed ? BPF_A_ARSH : BPF_A_RSH;
	}
}

/* Ends the clause with "divide-by-zero" when r1 is 0. */
static void guard_division(struct gen *g)
{
	uint32_t fine = gen_label(g);

	gen_jump(g, BPF_C_JMP | BPF_J_NE | BPF_K, R1, 0, 0, fine);
	gen_number(g, R1, RT_FAULT_DIVZERO);
	gen_number(g, R2, 0);
	gen_call(g, RT_HELPER_FAULT);
	gen_code(g, BPF_C_JMP | BPF_J_EXIT, 0, 0, 0, 0);
	gen_place(g, fine);
}

static void arithmetic(struct gen *g, const struct lang_node *n)
{
	const struct lang_type *t = n->left->type;
	int narrow = t->size == 4, divides = n->op == LANG_OP_DIV || n->op == LANG_OP_MOD;
	int shifts = n->op == LANG_OP_LSH || n->op == LANG_OP_RSH;
	uint8_t op = alu_op(n->op, t->is_signed) | (narrow ? ALU32 : ALU64);
	int off = divides && t->is_signed;

	operands(g, n);
	if (fits_imm(n->right)) {
		int64_t imm = (int64_t)n->right->value;
		gen_code(g, op | BPF_K, R0, 0, off,
			shifts ? imm & (narrow ? 31 : 63) : imm);
	} else {
		if (divides)
			guard_division(g);
		gen_code(g, op | BPF_X, R0, R1, off, 0);
	}
	if (narrow && t->is_signed)
		fit(g, t);
}

static void negate(struct gen *g, const struct lang_node *n)
{
	gen_expression(g, n->left);
	if (n->op == LANG_OP_NEG)
		gen_code(g, ALU64 | BPF_A_NEG, R0, 0, 0, 0);
	else if (n->op == LANG_OP_CPL)
		gen_code(g, ALU64 | BPF_A_XOR | BPF_K, R0, 0, 0, -1);
	fit(g, n->type);
}

/* A word of the victim's memory, whose address is the operand. */
static void load(struct gen *g, const struct lang_node *n)
{
	static const uint8_t sizes[] = {
		0, BPF_S_B, BPF_S_H, 0, BPF_S_W, 0, 0, 0, BPF_S_DW};
	uint32_t at = gen_scratch(g, 8), size = n->type->size;

	gen_expression(g, n->left);
	gen_move(g, R3, R0);
	gen_address(g, R1, BPF_AREA_SCRATCH, at);
	gen_number(g, R2, size);
	gen_call(g, RT_HELPER_LOAD);
	gen_code(g,
		BPF_C_LDX | sizes[size] |
			(n->type->is_signed && size < 8 ? BPF_M_SX : BPF_M_MEM),
		R0, R_SCRATCH, (int)at, 0);
}

/* A bit-field out of the word that holds it. */
static void bits(struct gen *g, const struct lang_node *n)
{
	unsigned low = n->value & 255, width = n->value >> 8 & 255;
	int is_signed = n->value >> 16 & 1;

	gen_expression(g, n->left);
	gen_code(g, ALU64 | BPF_A_LSH | BPF_K, R0, 0, 0, 64 - low - width);
	gen_code(g, ALU64 | (is_signed ? BPF_A_ARSH : BPF_A_RSH) | BPF_K, R0, 0, 0,
		64 - width);
}

void gen_load(
	struct gen *g, const struct lang_node *address, uint32_t size, uint32_t offset)
{
	gen_expression(g, address);
	gen_move(g, R3, R0);
	gen_address(g, R1, BPF_AREA_SCRATCH, offset);
	gen_number(g, R2, size);
	gen_call(g, RT_HELPER_LOAD);
}

void gen_bytes(struct gen *g, const struct lang_node *n, uint32_t offset)
{
	uint32_t size = n->type->size;

	if (n->kind == LANG_N_BINARY) { /* a comma */
		gen_discard(g, n->left);
		gen_bytes(g, n->right, offset);
		return;
	}
	if (size % 8)
		gen_code(g, BPF_C_ST | BPF_M_MEM | BPF_S_DW, R_SCRATCH, 0,
			(int)(offset + size / 8 * 8), 0);
	if (size)
		gen_load(g, n->left, size, offset);
}

/* ------------------------------------------------------------------------ branches */

static int is_comparison(enum lang_op op)
{
	return op >= LANG_OP_EQ && op <= LANG_OP_GE;
}

static uint8_t jump_op(enum lang_op op, int is_signed)
{
	switch (op) {
	case LANG_OP_EQ:
		return BPF_J_EQ;
	case LANG_OP_NE:
		return BPF_J_NE;
	case LANG_OP_LT:
		return is_signed ? BPF_J_SLT : BPF_J_LT;
	case LANG_OP_LE:
		return is_signed ? BPF_J_SLE : BPF_J_LE;
	case LANG_OP_GT:
		return is_signed ? BPF_J_SGT : BPF_J_GT;
	default:
		return is_signed ? BPF_J_SGE : BPF_J_GE;
	}
}

static enum lang_op opposite(enum lang_op op)
{
	switch (op) {
	case LANG_OP_EQ:
		return LANG_OP_NE;
	case LANG_OP_NE:
		return LANG_OP_EQ;
	case LANG_OP_LT:
		return LANG_OP_GE;
	case LANG_OP_LE:
		return LANG_OP_GT;
	case LANG_OP_GT:
		return LANG_OP_LE;
	default:
		return LANG_OP_LT;
	}
}

static void compare_strings(struct gen *g, const struct lang_node *n)
{
	struct place a = gen_string(g, n->left), b = gen_string(g, n->right);

	gen_address(g, R1, a.area, a.offset);
	gen_number(g, R2, a.size);
	gen_address(g, R3, b.area, b.offset);
	gen_number(g, R4, b.size);
	gen_call(g, RT_HELPER_STRCMP);
}

static void branch_comparison(
	struct gen *g, const struct lang_node *n, int sense, uint32_t label)
{
	enum lang_op op = sense ? n->op : opposite(n->op);

	if (n->left->type->kind == LANG_T_STRING) {
		compare_strings(g, n);
		gen_jump(g, BPF_C_JMP | BPF_K | jump_op(op, 1), R0, 0, 0, label);
		return;
	}
	operands(g, n);
	if (fits_imm(n->right))
		gen_jump(g, BPF_C_JMP | BPF_K | jump_op(op, n->left->type->is_signed), R0,
			0, (int64_t)n->right->value, label);
	else
		gen_jump(g, BPF_C_JMP | BPF_X | jump_op(op, n->left->type->is_signed), R0,
			R1, 0, label);
}

/* && and ||: `decides` is the truth of one side that settles the whole. */
static void branch_either(
	struct gen *g, const struct lang_node *n, int decides, int sense, uint32_t label)
{
	uint32_t out = gen_label(g);

	if (sense == decides) {
		gen_branch(g, n->left, sense, label);
		gen_branch(g, n->right, sense, label);
	} else {
		gen_branch(g, n->left, decides, out);
		gen_branch(g, n->right, sense, label);
	}
	gen_place(g, out);
}

void gen_branch(struct gen *g, const struct lang_node *n, int sense, uint32_t label)
{
	if (n->kind == LANG_N_UNARY && n->op == LANG_OP_NOT) {
		gen_branch(g, n->left, !sense, label);
	} else if (n->kind == LANG_N_BINARY && is_comparison(n->op)) {
		branch_comparison(g, n, sense, label);
	} else if (n->kind == LANG_N_BINARY && n->op == LANG_OP_LAND) {
		branch_either(g, n, 0, sense, label);
	} else if (n->kind == LANG_N_BINARY && n->op == LANG_OP_LOR) {
		branch_either(g, n, 1, sense, label);
	} else {
		gen_expression(g, n);
		gen_jump(g, BPF_C_JMP | BPF_K | (sense ? BPF_J_NE : BPF_J_EQ), R0, 0, 0,
			label);
	}
}

/* 1 or 0 into r0. */
static void truth(struct gen *g, const struct lang_node *n)
{
	uint32_t no = gen_label(g), out = gen_label(g);

	gen_branch(g, n, 0, no);
	gen_number(g, R0, 1);
	gen_jump(g, BPF_C_JMP | BPF_J_A, 0, 0, 0, out);
	gen_place(g, no);
	gen_number(g, R0, 0);
	gen_place(g, out);
}

static void exclusive(struct gen *g, const struct lang_node *n)
{
	truth(g, n->left);
	gen_save(g);
	truth(g, n->right);
	gen_restore(g, R1);
	gen_code(g, ALU64 | BPF_A_XOR | BPF_X, R0, R1, 0, 0);
}

static void choose(struct gen *g, const struct lang_node *n)
{
	uint32_t other = gen_label(g), out = gen_label(g);

	gen_branch(g, n->left, 0, other);
	gen_expression(g, n->right);
	gen_jump(g, BPF_C_JMP | BPF_J_A, 0, 0, 0, out);
	gen_place(g, other);
	gen_expression(g, n->third);
	gen_place(g, out);
}

/* --------------------------------------------------------------------- expressions */

void gen_discard(struct gen *g, const struct lang_node *n)
{
	if (n->type->kind == LANG_T_STRING)
		gen_string(g, n);
	else if (lang_type_is_bytes(n->type))
		gen_bytes(g, n, gen_scratch(g, n->type->size));
	else
		gen_expression(g, n);
}

static void binary(struct gen *g, const struct lang_node *n)
{
	if (n->op == LANG_OP_COMMA) {
		gen_discard(g, n->left);
		gen_expression(g, n->right);
	} else if (n->op == LANG_OP_ASSIGN) {
		gen_keys(g, n->left);
		gen_expression(g, n->right);
		gen_assign(g, n->left);
	} else if (n->op == LANG_OP_LXOR) {
		exclusive(g, n);
	} else if (n->op == LANG_OP_LAND || n->op == LANG_OP_LOR ||
		   is_comparison(n->op)) {
		truth(g, n);
	} else {
		arithmetic(g, n);
	}
}

/* x++: the old value stays, while right assigns the new one. */
static void stepped(struct gen *g, const struct lang_node *n)
{
	gen_variable(g, n->left);
	gen_save(g);
	gen_expression(g, n->right);
	gen_restore(g, R0);
}

static void unary(struct gen *g, const struct lang_node *n)
{
	if (n->op == LANG_OP_NOT)
		truth(g, n);
	else if (n->op == LANG_OP_DEREF)
		load(g, n);
	else if (n->op == LANG_OP_BITS)
		bits(g, n);
	else if (n->op == LANG_OP_POSTINC || n->op == LANG_OP_POSTDEC)
		stepped(g, n);
	else
		negate(g, n);
}

static void builtin(struct gen *g, const struct lang_builtin *b)
{
	gen_number(g, R1, b->code);
	gen_call(g, b->kind == LANG_B_ARG ? RT_HELPER_ARG : RT_HELPER_VALUE);
	fit(g, b->type);
}

void gen_expression(struct gen *g, const struct lang_node *n)
{
	if (g->err)
		return;
	g->at = n->at;
	switch (n->kind) {
	case LANG_N_INT:
		gen_number(g, R0, n->value);
		break;
	case LANG_N_BUILTIN:
		builtin(g, n->builtin);
		break;
	case LANG_N_VAR:
		gen_variable(g, n);
		break;
	case LANG_N_UNARY:
		unary(g, n);
		break;
	case LANG_N_BINARY:
		binary(g, n);
		break;
	case LANG_N_COND:
		choose(g, n);
		break;
	case LANG_N_CAST:
		gen_expression(g, n->left);
		fit(g, n->type);
		break;
	case LANG_N_CALL:
		gen_function(g, n);
		break;
	default:
		g->err = lang_script_error(g->script, n->at, "D_CG_EXPR", "",
			"expression cannot be translated");
	}
}
