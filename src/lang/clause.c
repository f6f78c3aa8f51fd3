/* SPDX-License-Identifier: BSD-2-Clause */
/* Checking clauses: predicates, statements, actions, functions and aggregations. */
#include "parts.h"

#include <runtime/runtime.h>

#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------------- arguments */

static int bad_argument(struct unit *u, const struct lang_node *call,
	const struct lang_node *arg, int i, const char *want)
{
	char hint[48];

	if (call->func->kind == LANG_F_FUNCTION && call->func->code == LANG_FN_STRINGOF)
		return fail(u, arg->at, "D_STRINGOF_TYPE", "",
			"cannot make a string of a %s", arg->type->name);

	snprintf(hint, sizeof hint, "expected %s", want);
	return fail(u, arg->at, "D_PROTO_ARG", hint,
		"%s( ) argument #%d is incompatible with its prototype: it is %s%s",
		call->text, i + 1,
		arg->type->kind == LANG_T_DYN ? "an aggregation" : "a ",
		arg->type->kind == LANG_T_DYN ? "" : arg->type->name);
}

/* Argument i against the letter of its parameter (struct lang_func). */
/* What an array becomes: the text in it, a pointer, or, for a format, what it is. */
static int convert_param(struct unit *u, struct lang_node **node, char param)
{
	const struct lang_type *t = (*node)->type;
	int is_array = t->kind == LANG_T_ARRAY;

	if (is_text(t) && (strchr("sS", param) || (strchr("*v", param) && is_array)))
		return to_string(u, node);
	if (param == 'v' && is_array && t->to->kind == LANG_T_INT && t->to->size == 4)
		return 0;
	return decay(u, node);
}

static int check_param(struct unit *u, const struct lang_node *call,
	struct lang_node **node, int i, char param)
{
	const struct lang_node *arg;
	const struct lang_type *t;

	if (convert_param(u, node, param))
		return DTPROC_ESYNTAX;
	arg = *node;
	t = arg->type;

	switch (param) {
	case 'i':
		return lang_type_is_integer(t)
			       ? 0
			       : bad_argument(u, call, arg, i, "an integer");
	case 'p':
		return lang_type_is_scalar(t)
			       ? 0
			       : bad_argument(u, call, arg, i, "an address");
	case 'S':
		if (arg->kind == LANG_N_INT && !arg->value)
			return 0;
		/* fallthrough */
	case 's':
		return t->kind == LANG_T_STRING
			       ? 0
			       : bad_argument(u, call, arg, i, "a string");
	case '@':
		return arg->kind == LANG_N_AGG
			       ? 0
			       : bad_argument(u, call, arg, i, "an aggregation");
	case '*':
		return lang_type_is_scalar(t) || t->kind == LANG_T_STRING
			       ? 0
			       : bad_argument(u, call, arg, i, "a number or a string");
	}
	return 0; /* f, v, a, c: whoever has them looks himself */
}

static int check_count(struct unit *u, const struct lang_node *call)
{
	const struct lang_func *f = call->func;

	if (call->n_args >= f->least && call->n_args <= f->most)
		return 0;
	return fail(u, call->at, "D_PROTO_LEN", "",
		"%s( ) prototype mismatch: %u arg%s passed, %s%u expected", call->text,
		call->n_args, call->n_args == 1 ? "" : "s",
		f->least == f->most       ? ""
		: call->n_args < f->least ? "at least "
					  : "at most ",
		call->n_args < f->least ? f->least : f->most);
}

/* Resolves the function, types the arguments and holds them against the prototype. */
int check_arguments(struct unit *u, struct lang_node *call)
{
	const char *param = call->func->params;
	int i = 0;

	if (check_count(u, call))
		return DTPROC_ESYNTAX;
	for (struct lang_node **a = &call->args; *a; a = &(*a)->next, i++) {
		if (check_expression(u, a))
			return DTPROC_ESYNTAX;
		if (call->func->kind == LANG_F_ACTION &&
			(call->func->code == LANG_ACT_TRACE ||
				call->func->code == LANG_ACT_PRINT))
			continue;
		if (check_param(u, call, a, i, *param))
			return DTPROC_ESYNTAX;
		param += param[1] != 0;
	}
	call->type = call->func->type;
	return 0;
}

static int resolve(struct unit *u, struct lang_node *call)
{
	size_t len = call->len ? call->len : strlen(call->text);
	const char *why = refused_why(call->text, len);
	char hint[64];

	call->func = func_find(call->text, len);
	if (call->func)
		return 0;
	if (why)
		return fail(u, call->at, "D_FUNC_UNDEF", "", "%s( ) is not available: %s",
			call->text, why);
	return fail(u, call->at, "D_FUNC_UNDEF",
		near_name(call->text, func_name, hint, sizeof hint),
		"undefined function name: %s", call->text);
}

int check_call(struct unit *u, struct lang_node *call)
{
	if (resolve(u, call))
		return DTPROC_ESYNTAX;
	if (call->func->kind == LANG_F_AGG)
		return fail(u, call->at, "D_FUNC_IDKIND", "write @name = ...",
			"aggregating function %s( ) may only be assigned to an aggregation",
			call->text);
	if (call->func->kind == LANG_F_ACTION)
		return fail(u, call->at, "D_FUNC_IDKIND", "it is a statement of its own",
			"action %s( ) may not be called from a D expression", call->text);
	return check_arguments(u, call);
}

/* --------------------------------------------------------------------- aggregations */

static struct lang_agg *agg_find(struct unit *u, const char *name)
{
	for (size_t i = 0; i < u->scope->aggs.n; i++)
		if (!strcmp(u->scope->aggs.at[i]->name, name))
			return u->scope->aggs.at[i];
	return NULL;
}

static struct lang_agg *agg_new(struct unit *u, const struct lang_node *n)
{
	struct lang_agg *agg = NULL;

	if (u->scope->aggs.n >= LANG_AGGS_MAX)
		fail(u, n->at, "D_ID_OFLOW", "", "more than %d aggregations",
			LANG_AGGS_MAX);
	else
		agg = arena_alloc(u->scope->arena, sizeof *agg);
	if (!agg)
		return NULL;
	agg->name = arena_copy(u->scope->arena, n->text, n->len);
	if (!agg->name || vec_push(&u->scope->aggs, agg))
		return NULL;
	agg->id = (uint32_t)u->scope->aggs.n;
	return agg;
}

int check_agg(struct unit *u, struct lang_node *n)
{
	int i = 0;

	n->type = &lang_type_dyn;
	n->agg = agg_find(u, n->text);
	if (!n->agg && !(n->agg = agg_new(u, n)))
		return DTPROC_ENOMEM;
	if (n->n_args > LANG_KEYS_MAX)
		return fail(u, n->at, "D_PROTO_LEN", "", "@%s[ ] has more than %d keys",
			n->text, LANG_KEYS_MAX);
	if (n->has_keys && !n->n_args)
		return fail(u, n->at, "D_SYNTAX", "expected a key",
			"@%s[ ] without a key", n->text);
	for (struct lang_node **a = &n->args; *a; a = &(*a)->next, i++) {
		if (check_expression(u, a) ||
			((*a)->type->kind == LANG_T_ARRAY && is_text((*a)->type)
					? to_string(u, a)
					: decay(u, a)))
			return DTPROC_ESYNTAX;
		if (!lang_type_is_scalar((*a)->type) && !lang_type_is_trace((*a)->type) &&
			(*a)->type->kind != LANG_T_STRING)
			return fail(u, (*a)->at, "D_KEY_TYPE",
				"expected a number or a string",
				"@%s[ ] key #%d is not a value", n->text, i + 1);
	}
	return 0;
}

/* The keys of a statement against those that the aggregation has already. */
static int check_keys(struct unit *u, struct lang_node *n)
{
	struct lang_agg *agg = n->agg;
	unsigned i = 0;

	if (agg->defined && agg->n_keys != n->n_args)
		return fail(u, n->at, "D_PROTO_LEN", "",
			"@%s[ ] prototype mismatch: %u key%s passed, %u expected",
			n->text, n->n_args, n->n_args == 1 ? "" : "s", agg->n_keys);
	for (struct lang_node **a = &n->args; *a; a = &(*a)->next, i++) {
		const struct lang_type *t = agg->defined ? agg->keys[i] : (*a)->type;
		if ((t->kind == LANG_T_STRING) != ((*a)->type->kind == LANG_T_STRING))
			return fail(u, (*a)->at, "D_KEY_TYPE", "",
				"@%s[ ] key #%u is incompatible: a %s, and a %s before",
				n->text, i + 1, (*a)->type->name, t->name);
		if (t->kind == LANG_T_POINTER)
			t = &lang_type_ulong;
		if (t->kind != LANG_T_STRING && agg->defined && convert(u, a, t))
			return DTPROC_ENOMEM;
		/* A script's types go with it; the scope's stay. */
		if (!agg->defined)
			agg->keys[i] = t;
	}
	return 0;
}

/* @name[keys] = function(...) */
static int check_agg_statement(struct unit *u, struct lang_stmt *s)
{
	struct lang_node *n = s->expr->left, *call = s->expr->right;
	struct lang_agg *agg;
	uint64_t param = 0;

	if (call->kind != LANG_N_CALL)
		return fail(u, call->at, "D_AGG_FUNC", "such as count()",
			"@%s = requires an aggregating function", n->text);
	if (check_agg(u, n) || resolve(u, call))
		return DTPROC_ESYNTAX;
	if (call->func->kind != LANG_F_AGG)
		return fail(u, call->at, "D_AGG_FUNC", "such as count()",
			"%s is not an aggregating function", call->text);
	if (check_arguments(u, call))
		return DTPROC_ESYNTAX;
	if (check_quantize(u, call, &param))
		return DTPROC_ESYNTAX;
	agg = n->agg;
	if (agg->defined && agg->func != call->func->code)
		return fail(u, n->at, "D_AGG_REDEF", "",
			"aggregation redefined: @%s has another function", n->text);
	if (agg->defined && agg->param != param)
		return quantize_mismatch(u, n, agg, param);
	if (check_keys(u, n))
		return DTPROC_ESYNTAX;
	agg->n_keys = n->n_args;
	agg->func = call->func->code;
	agg->param = param;
	agg->defined = 1;
	s->agg = n;
	s->call = call;
	return 0;
}

/* ------------------------------------------------------------------------- clauses */

static int is_call_of(struct unit *u, const struct lang_node *n, enum lang_func_kind kind)
{
	const struct lang_func *f =
		n->kind == LANG_N_CALL ? func_find(n->text, n->len) : NULL;

	return f && f->kind == kind;
}

/* Does it assign anything, whatever else it does? */
static int has_effect(const struct lang_node *n)
{
	if (!n)
		return 0;
	if (n->op == LANG_OP_ASSIGN || n->op >= LANG_OP_PREINC)
		return 1;
	if (n->kind == LANG_N_CALL && n->func->kind == LANG_F_FUNCTION &&
		n->type->kind == LANG_T_VOID)
		return 1;
	for (const struct lang_node *a = n->args; a; a = a->next)
		if (has_effect(a))
			return 1;
	return has_effect(n->left) || has_effect(n->right) || has_effect(n->third);
}

/* `ustack();` is trace(ustack()). */
static int make_trace(struct unit *u, struct lang_stmt *s)
{
	struct lang_node *call = node_new(u, LANG_N_CALL, s->expr->at);

	if (!call)
		return DTPROC_ENOMEM;
	call->text = "trace";
	call->len = 5;
	call->args = s->expr;
	call->n_args = 1;
	s->expr = call;
	s->is_action = 1;
	return resolve(u, call);
}

static int check_statement(struct unit *u, struct lang_stmt *s)
{
	struct lang_node *n = s->expr;

	if (n->kind == LANG_N_BINARY && n->op == LANG_OP_ASSIGN &&
		n->left->kind == LANG_N_AGG)
		return check_agg_statement(u, s);
	if (n->kind == LANG_N_AGG)
		return fail(u, n->at, "D_AGG_NULL", "write @name = function()",
			"@%s alone has no effect", n->text);
	if (is_call_of(u, n, LANG_F_ACTION)) {
		s->is_action = 1;
		return resolve(u, n) || check_action(u, n) ? DTPROC_ESYNTAX : 0;
	}
	if (check_expression(u, &s->expr))
		return DTPROC_ESYNTAX;
	if (lang_type_is_trace(s->expr->type))
		return make_trace(u, s);
	if (has_effect(s->expr))
		return 0;
	return fail(u, n->at, "D_EXPR_NULL", "", "expression has null effect");
}

int check_clause(struct unit *u, struct lang_clause *c)
{
	u->clause = c;
	if (c->predicate) {
		if (check_expression(u, &c->predicate))
			return DTPROC_ESYNTAX;
		if (!lang_type_is_scalar(c->predicate->type))
			return fail(u, c->predicate->at, "D_PRED_SCALAR",
				"expected a number or a comparison",
				"predicate result must be of scalar type");
	}
	for (struct lang_stmt *s = c->stmts; s; s = s->next)
		if (check_statement(u, s))
			return DTPROC_ESYNTAX;
	return check_speculation(u, c);
}

int check_defined(struct unit *u, const struct lang_clause *c)
{
	for (const struct lang_stmt *s = c->stmts; s; s = s->next) {
		if (s->agg)
			continue;
		for (const struct lang_node *a = s->expr->args; a; a = a->next)
			if (a->kind == LANG_N_AGG && !a->agg->defined)
				return fail(u, a->at, "D_AGG_NULL", "",
					"undefined aggregation: @%s", a->text);
		if (s->is_action && s->expr->func->code == LANG_ACT_PRINTA &&
			check_printa_args(u, s->expr))
			return DTPROC_ESYNTAX;
	}
	return 0;
}
