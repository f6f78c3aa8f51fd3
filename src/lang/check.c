/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Types of expressions, by C's rules; names become what they stand for, constants are
 * folded, conversions become casts.  After it a node's operands have the type that its
 * operator computes in.
 */
#include "parts.h"

#include <runtime/runtime.h>

#include <stdio.h>
#include <string.h>

static int is_string(const struct lang_node *n)
{
	return n->type->kind == LANG_T_STRING;
}

static int is_pointer(const struct lang_node *n)
{
	return n->type->kind == LANG_T_POINTER;
}

static int is_integer(const struct lang_node *n)
{
	return n->type->kind == LANG_T_INT;
}

static int is_scalar(const struct lang_node *n)
{
	return lang_type_is_scalar(n->type);
}

/* Is it a value at all: a number, a pointer or a string? */
static int needs_value(struct unit *u, const struct lang_node *n, const char *op)
{
	if (is_scalar(n) || is_string(n))
		return 0;
	if (n->kind == LANG_N_UNARY && n->op == LANG_OP_DEREF &&
		n->type->kind == LANG_T_VOID)
		return fail(u, n->at, "D_SYM_NOTYPES",
			"its address can be taken and cast",
			"the type of the symbol is not known");
	if (n->type->kind == LANG_T_DYN)
		return fail(u, n->at, "D_OP_DYN", "",
			"operand of %s may not be an aggregation", op);
	return fail(u, n->at, n->type->kind == LANG_T_VOID ? "D_OP_VFPTR" : "D_OP_SCALAR",
		"", "operator %s cannot be applied to a %s", op, n->type->name);
}

static int needs_scalar(struct unit *u, const struct lang_node *n, const char *op)
{
	if (needs_value(u, n, op))
		return DTPROC_ESYNTAX;
	if (is_scalar(n))
		return 0;
	return fail(u, n->at, "D_OP_SCALAR", "expected a number or a pointer",
		"operator %s requires operands of scalar type", op);
}

static int needs_integer(
	struct unit *u, const struct lang_node *n, const char *tag, const char *op)
{
	if (needs_value(u, n, op))
		return DTPROC_ESYNTAX;
	if (is_integer(n))
		return 0;
	return fail(u, n->at, tag, "expected an integer",
		"operator %s requires operands of integral type", op);
}

int convert(struct unit *u, struct lang_node **node, const struct lang_type *t)
{
	struct lang_node *n = *node, *cast;

	if (n->type == t)
		return 0;
	if (n->kind == LANG_N_INT) {
		n->value = lang_type_fit(t, n->value);
		n->type = t;
		return 0;
	}
	cast = node_new(u, LANG_N_CAST, n->at);
	if (!cast)
		return DTPROC_ENOMEM;
	cast->left = n;
	cast->type = t;
	cast->height = n->height + 1;
	cast->next = n->next;
	n->next = NULL;
	*node = cast;
	return 0;
}

/* ------------------------------------------------------------------------- constants */

/* Makes a constant of an operation whose operands are constants of type t. */
static int fold(struct unit *u, struct lang_node *n, const struct lang_type *t)
{
	uint64_t b = n->right ? n->right->value : 0;

	if ((n->op == LANG_OP_DIV || n->op == LANG_OP_MOD) &&
		n->right->kind == LANG_N_INT && !b)
		return fail(
			u, n->right->at, "D_DIV_ZERO", "", "expression divides by zero");
	if (n->left->kind != LANG_N_INT || (n->right && n->right->kind != LANG_N_INT))
		return 0;
	if (!lang_op_fold(n->op, t, n->left->value, b, &n->value)) {
		n->kind = LANG_N_INT;
		n->left = n->right = NULL;
	}
	return 0;
}

static struct lang_node *constant(struct unit *u, uint32_t at, uint64_t v)
{
	struct lang_node *n = node_new(u, LANG_N_INT, at);

	if (n) {
		n->type = &lang_type_long;
		n->value = v;
	}
	return n;
}

/* ------------------------------------------------------------------------ operators */

/* Multiplies or divides an integer by the size of what a pointer points to. */
static int scale(
	struct unit *u, struct lang_node **n, enum lang_op op, const struct lang_type *p)
{
	struct lang_node *m = node_new(u, LANG_N_BINARY, (*n)->at);

	if (!m || convert(u, n, &lang_type_long))
		return DTPROC_ENOMEM;
	m->op = op;
	m->left = *n;
	m->right = constant(u, (*n)->at, p->to->size ? p->to->size : 1);
	m->type = &lang_type_long;
	m->height = (*n)->height + 1;
	*n = m;
	return m->right ? fold(u, m, &lang_type_long) : DTPROC_ENOMEM;
}

/* p + n, n + p, p - n, p - q */
static int check_pointer_sum(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node, *swap = n->left;
	const struct lang_type *p;

	if (n->op == LANG_OP_ADD && !is_pointer(n->left)) {
		n->left = n->right;
		n->right = swap;
	}
	p = n->left->type;
	if (is_pointer(n->left) && is_integer(n->right)) {
		n->type = p;
		return scale(u, &n->right, LANG_OP_MUL, p);
	}
	if (n->op == LANG_OP_SUB && is_pointer(n->left) && is_pointer(n->right) &&
		p->to->size == n->right->type->to->size) {
		n->type = &lang_type_long;
		return scale(u, node, LANG_OP_DIV, p);
	}
	return fail(u, n->at, "D_OP_INCOMPAT", "",
		"operands have incompatible types: \"%s\" %s \"%s\"", n->left->type->name,
		op_text(n->op), n->right->type->name);
}

static int check_arithmetic(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node;
	const char *op = op_text(n->op);
	int sum = n->op == LANG_OP_ADD || n->op == LANG_OP_SUB;
	const char *tag = sum || n->op == LANG_OP_MUL || n->op == LANG_OP_DIV
				  ? "D_OP_ARITH"
				  : "D_OP_INT";
	const struct lang_type *t;

	if (sum && (is_pointer(n->left) || is_pointer(n->right)))
		return check_pointer_sum(u, node);
	if (needs_integer(u, n->left, tag, op) || needs_integer(u, n->right, tag, op))
		return DTPROC_ESYNTAX;
	if (n->op == LANG_OP_LSH || n->op == LANG_OP_RSH)
		t = promoted(n->left->type);
	else
		t = balanced(n->left->type, n->right->type);
	if (convert(u, &n->left, t) || convert(u, &n->right, t))
		return DTPROC_ENOMEM;
	n->type = t;
	return fold(u, n, t);
}

static int check_comparison(struct unit *u, struct lang_node *n)
{
	const char *op = op_text(n->op);
	const struct lang_type *t;

	if (needs_value(u, n->left, op) || needs_value(u, n->right, op))
		return DTPROC_ESYNTAX;
	n->type = &lang_type_int;
	if (is_string(n->left) && is_string(n->right))
		return 0;
	if (is_string(n->left) || is_string(n->right))
		return fail(u, n->at, "D_OP_INCOMPAT", "",
			"operands have incompatible types: \"%s\" %s \"%s\"",
			n->left->type->name, op, n->right->type->name);
	t = is_pointer(n->left) || is_pointer(n->right)
		    ? &lang_type_ulong
		    : balanced(n->left->type, n->right->type);
	if (convert(u, &n->left, t) || convert(u, &n->right, t))
		return DTPROC_ENOMEM;
	return fold(u, n, t);
}

static int check_logic(struct unit *u, struct lang_node *n)
{
	if (needs_scalar(u, n->left, op_text(n->op)) ||
		needs_scalar(u, n->right, op_text(n->op)))
		return DTPROC_ESYNTAX;
	n->type = &lang_type_int;
	return fold(u, n, &lang_type_ulong);
}

static int check_binary(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node;

	if (n->op >= LANG_OP_ASSIGN && n->op <= LANG_OP_RSH_ASSIGN)
		return check_assignment(u, n);
	if (check_expression(u, &n->left) || check_expression(u, &n->right))
		return DTPROC_ESYNTAX;
	return check_operands(u, node);
}

/* NULL or 0, where the other side is a string: the string that is empty. */
static void make_null_string(struct lang_node *n, const struct lang_node *other)
{
	if (!is_string(other) || n->kind != LANG_N_INT || n->value)
		return;
	n->kind = LANG_N_STRING;
	n->type = &lang_type_string;
	n->text = "";
	n->len = 0;
}

/* Where one side is a string, the other may be what DTrace takes for one. */
static int make_strings(struct unit *u, struct lang_node *n)
{
	if (n->op >= LANG_OP_EQ && n->op <= LANG_OP_GE) {
		make_null_string(n->left, n->right);
		make_null_string(n->right, n->left);
	}
	if ((is_string(n->left) || is_string(n->right)) && is_text(n->left->type) &&
		is_text(n->right->type) &&
		(to_string(u, &n->left) || to_string(u, &n->right)))
		return DTPROC_ESYNTAX;
	return decay(u, &n->left) || decay(u, &n->right) ? DTPROC_ESYNTAX : 0;
}

int check_operands(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node;

	if (n->op != LANG_OP_COMMA && make_strings(u, n))
		return DTPROC_ESYNTAX;
	switch (n->op) {
	case LANG_OP_COMMA:
		n->type = n->right->type;
		return 0;
	case LANG_OP_LOR:
	case LANG_OP_LXOR:
	case LANG_OP_LAND:
		return check_logic(u, n);
	case LANG_OP_EQ:
	case LANG_OP_NE:
	case LANG_OP_LT:
	case LANG_OP_LE:
	case LANG_OP_GT:
	case LANG_OP_GE:
		return check_comparison(u, n);
	default:
		return check_arithmetic(u, node);
	}
}

/* The size of a type, or of an operand that is not evaluated. */
static int check_sizeof(struct unit *u, struct lang_node *n)
{
	const struct lang_type *t = n->type;

	if (n->left) {
		if (check_expression(u, &n->left))
			return DTPROC_ESYNTAX;
		t = n->left->type;
	}
	if (n->left && n->left->kind == LANG_N_UNARY && n->left->op == LANG_OP_BITS)
		return fail(u, n->at, "D_SIZEOF_BITFIELD", "",
			"cannot apply sizeof to a bit-field");
	if (!type_complete(u, t) || (!lang_type_is_scalar(t) && !lang_type_is_bytes(t) &&
					    t->kind != LANG_T_STRING))
		return fail(u, n->at, "D_SIZEOF_TYPE", "",
			"cannot apply sizeof to a%s %s",
			t->is_incomplete ? "n incomplete" : "", t->name);
	n->kind = LANG_N_INT;
	n->value = t == &lang_type_string ? u->scope->strsize : t->size;
	n->type = &lang_type_ulong;
	n->left = NULL;
	return 0;
}

static int check_unary(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node;
	const char *op = op_text(n->op);

	if (n->op == LANG_OP_SIZEOF)
		return check_sizeof(u, n);

	if (n->op >= LANG_OP_PREINC)
		return check_assignment(u, n);
	if (check_expression(u, &n->left) ||
		(n->op != LANG_OP_ADDROF && decay(u, &n->left)))
		return DTPROC_ESYNTAX;
	switch (n->op) {
	case LANG_OP_NOT:
		n->type = &lang_type_int;
		return needs_scalar(u, n->left, op) ? DTPROC_ESYNTAX
						    : fold(u, n, &lang_type_ulong);
	case LANG_OP_DEREF:
		return needs_value(u, n->left, op) ? DTPROC_ESYNTAX : check_deref(u, n);
	case LANG_OP_ADDROF:
		return check_address(u, node);
	case LANG_OP_NEG:
	case LANG_OP_CPL:
	case LANG_OP_PLUS:
		if (needs_integer(u, n->left,
			    n->op == LANG_OP_CPL ? "D_OP_INT" : "D_OP_ARITH", op))
			return DTPROC_ESYNTAX;
		n->type = promoted(n->left->type);
		return convert(u, &n->left, n->type) ? DTPROC_ENOMEM
						     : fold(u, n, n->type);
	default:
		return 0;
	}
}

static int check_cond(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node;
	const struct lang_type *t;

	if (check_expression(u, &n->left) || check_expression(u, &n->right) ||
		check_expression(u, &n->third) || decay(u, &n->left) ||
		decay(u, &n->right) || decay(u, &n->third) ||
		needs_scalar(u, n->left, "?:") || needs_value(u, n->right, "?:") ||
		needs_value(u, n->third, "?:"))
		return DTPROC_ESYNTAX;
	if (is_string(n->right) != is_string(n->third))
		return fail(u, n->third->at, "D_OP_INCOMPAT", "",
			"operator ?: operands have incompatible types: \"%s\" and \"%s\"",
			n->right->type->name, n->third->type->name);
	if (is_string(n->right)) {
		n->type = &lang_type_string;
		return 0;
	}
	t = is_pointer(n->right)   ? n->right->type
	    : is_pointer(n->third) ? n->third->type
				   : balanced(n->right->type, n->third->type);
	if (convert(u, &n->right, t) || convert(u, &n->third, t))
		return DTPROC_ENOMEM;
	n->type = t;
	if (n->left->kind == LANG_N_INT)
		*node = n->left->value ? n->right : n->third;
	return 0;
}

static int check_cast(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node, *inner, *rest = n->next;
	const struct lang_type *to = n->type;

	if (check_expression(u, &n->left) ||
		(to->kind != LANG_T_STRING &&
			(decay(u, &n->left) || needs_value(u, n->left, "a cast"))))
		return DTPROC_ESYNTAX;
	inner = n->left;
	if (to->kind == LANG_T_STRING) {
		n->kind = LANG_N_CALL;
		n->func = func_find("stringof", 8);
		n->text = n->func->name;
		n->args = inner;
		n->n_args = 1;
		n->left = NULL;
		return check_call(u, n);
	}
	if (!lang_type_is_scalar(to) || is_string(inner))
		return fail(u, n->at, "D_CAST_INVAL", "",
			"invalid cast expression: \"%s\" to \"%s\"", inner->type->name,
			to->name);
	if (inner->kind == LANG_N_INT && !convert(u, &inner, to)) {
		inner->next = rest;
		*node = inner;
	}
	return 0;
}

static int check_kind(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node;

	switch (n->kind) {
	case LANG_N_STRING:
		n->type = &lang_type_string;
		return 0;
	case LANG_N_IDENT:
		if (n->value == LANG_V_GLOBAL && strchr(n->text, '`'))
			return check_symbol(u, node);
		if (var_read(u, n))
			return DTPROC_ESYNTAX;
		return n->kind == LANG_N_VAR && n->var->scope == LANG_V_INLINE
			       ? inline_expand(u, node)
			       : 0;
	case LANG_N_XLATE:
		return fail(u, n->at, "D_CG_DYN", "use one of its members",
			"a translation is no value of its own");
	case LANG_N_AGG:
		return check_agg(u, n);
	case LANG_N_INDEX:
		return check_index(u, node);
	case LANG_N_MEMBER:
		return check_member(u, node);
	case LANG_N_UNARY:
		return check_unary(u, node);
	case LANG_N_BINARY:
		return check_binary(u, node);
	case LANG_N_COND:
		return check_cond(u, node);
	case LANG_N_CAST:
		return check_cast(u, node);
	case LANG_N_CALL:
		return check_call(u, n);
	default:
		return 0;
	}
}

int check_expression(struct unit *u, struct lang_node **node)
{
	struct lang_node *rest = (*node)->next;
	int err;

	if (u->depth >= CHECK_DEPTH_MAX)
		return fail(u, (*node)->at, "D_SYNTAX", "",
			"expression is nested too deeply");
	(*node)->next = NULL;
	u->depth++;
	err = check_kind(u, node);
	u->depth--;
	if (*node)
		(*node)->next = rest;
	return err;
}
