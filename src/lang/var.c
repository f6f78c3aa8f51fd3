/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names: built-ins, variables and inline constants; assignments.
 *
 * A variable has the type of its declaration or of the first value assigned to it.  Its
 * place is given here once for the session: globals and this-> variables lie at an offset
 * of their memory (8 bytes a number, strsize a string), self-> variables have an id.
 *
 * Every kind of assignment becomes `variable = value`: x += 2 is x = x + 2, and x++ is
 * that with the old value kept.  So who makes code knows one form.
 */
#include "parts.h"

#include <runtime/runtime.h>

#include <stdio.h>
#include <string.h>

static const char *const prefixes[] = {"", "this->", "self->", ""};

struct lang_var *var_find(
	const struct unit *u, enum lang_var_scope scope, const char *name)
{
	for (size_t i = u->scope->vars.n; i-- > 0;) {
		struct lang_var *v = u->scope->vars.at[i];
		if (v->scope == scope && !strcmp(v->name, name))
			return v;
	}
	return NULL;
}

/* ---------------------------------------------------------------------- declaring */

int var_place(struct unit *u, uint32_t at, struct lang_var *v)
{
	static const uint32_t limits[LANG_V_SCOPES] = {
		RT_GLOBALS_MAX, RT_LOCALS_BYTES, UINT32_MAX - 1};
	uint32_t *used, bytes = v->type->kind == LANG_T_STRING ? v->strsize : 8;

	if (v->scope == LANG_V_INLINE)
		return 0;
	if (v->scope == LANG_V_GLOBAL && v->n_keys) {
		v->place = ++u->scope->arrays;
		return 0;
	}
	used = &u->scope->used[v->scope];
	if (v->scope == LANG_V_SELF) {
		v->place = ++*used;
		return 0;
	}
	if (bytes > limits[v->scope] - *used)
		return fail(u, at, "D_ID_OFLOW", "", "no room for variable %s%s",
			prefixes[v->scope], v->name);
	v->place = *used;
	*used += bytes;
	return 0;
}

int var_new(struct unit *u, enum lang_var_scope scope, uint32_t at, const char *name,
	const struct lang_type *t, struct lang_var **out)
{
	struct lang_var *v;

	if (!lang_type_is_scalar(t) && t->kind != LANG_T_STRING)
		return fail(u, at,
			t->is_incomplete ? "D_DECL_INCOMPLETE" : "D_DECL_VOIDOBJ", "",
			"variable %s%s may not have type %s", prefixes[scope], name,
			t->name);
	if (u->scope->vars.n >= LANG_VARS_MAX)
		return fail(
			u, at, "D_ID_OFLOW", "", "more than %d variables", LANG_VARS_MAX);
	v = arena_alloc(u->scope->arena, sizeof *v);
	if (!v)
		return DTPROC_ENOMEM;
	v->scope = scope;
	v->strsize = u->scope->strsize;
	v->name = arena_copy(u->scope->arena, name, strlen(name));
	v->type = t;
	if (!v->name || !v->type || vec_push(&u->scope->vars, v))
		return err_nomem("a variable");
	*out = v;
	return 0;
}

int var_declare(struct unit *u, enum lang_var_scope scope, uint32_t at, const char *name,
	const struct lang_type *t, struct lang_var **out)
{
	struct lang_var *v;

	if (var_new(u, scope, at, name, t, &v))
		return DTPROC_ESYNTAX;
	if (out)
		*out = v;
	return var_place(u, at, v);
}

/* ---------------------------------------------------------------------- resolving */

static int undefined(struct unit *u, const struct lang_node *n)
{
	const char *why = refused_why(n->text, n->len);
	char hint[64];

	if (n->value != LANG_V_GLOBAL)
		return fail(u, n->at, "D_IDENT_UNDEF", "assign to it first",
			"failed to resolve %s%s: it has no value yet", prefixes[n->value],
			n->text);
	if (func_find(n->text, n->len))
		return fail(u, n->at, "D_IDENT_BADREF", "expected (",
			"function '%s' may not be used as a variable", n->text);
	if (why)
		return fail(u, n->at, "D_IDENT_UNDEF", "", "%s is not available: %s",
			n->text, why);
	return fail(u, n->at, "D_IDENT_UNDEF",
		near_name(n->text, builtin_name, hint, sizeof hint),
		"failed to resolve %s: unknown variable name", n->text);
}

static void is_variable(struct lang_node *n, struct lang_var *v)
{
	n->kind = LANG_N_VAR;
	n->var = v;
	n->type = v->type;
}

static int needs_keys(struct unit *u, const struct lang_node *n)
{
	return fail(u, n->at, "D_IDENT_BADREF", "expected [",
		"array %s%s may not be used without its keys", prefixes[n->value],
		n->text);
}

/* Makes the enumerator's value of its name. */
static int is_enumerator(struct unit *u, struct lang_node *n)
{
	const struct name *name = name_find(u, NAME_ENUMERATOR, n->text, n->len);

	if (!name)
		return 0;
	n->kind = LANG_N_INT;
	n->type = name->value > INT32_MAX ? &lang_type_uint : name->type;
	n->value = (uint64_t)name->value;
	return 1;
}

int var_read(struct unit *u, struct lang_node *n)
{
	struct lang_var *v = var_find(u, (enum lang_var_scope)n->value, n->text);

	if (!v && n->value == LANG_V_GLOBAL) {
		n->builtin = builtin_find(n->text, n->len);
		if (n->builtin) {
			n->kind = LANG_N_BUILTIN;
			n->type = n->builtin->type;
			return 0;
		}
		v = var_find(u, LANG_V_INLINE, n->text);
	}
	if (!v && n->value == LANG_V_GLOBAL && (is_enumerator(u, n) || constant_read(n)))
		return 0;
	if (!v)
		return undefined(u, n);
	if (v->n_keys)
		return needs_keys(u, n);
	is_variable(n, v);
	return 0;
}

int var_is_taken(struct unit *u, const struct lang_node *n)
{
	if (n->value != LANG_V_GLOBAL)
		return 0;
	if (builtin_find(n->text, n->len) || var_find(u, LANG_V_INLINE, n->text))
		return fail(u, n->at, "D_OP_WRITE", "", "%s is not a writable variable",
			n->text);
	return func_find(n->text, n->len) ? undefined(u, n) : 0;
}

int var_write(struct unit *u, struct lang_node *n, const struct lang_type *t)
{
	static const struct lang_type unknown = {.kind = LANG_T_INT,
		.size = 8,
		.is_signed = 1,
		.rank = 4,
		.name = "int64_t"};
	struct lang_var *v;

	if (n->kind == LANG_N_INDEX)
		return array_write(u, n, t ? t : &unknown);
	if (n->kind != LANG_N_IDENT)
		return fail(
			u, n->at, "D_OP_LVAL", "", "only a variable can be assigned to");
	if (var_is_taken(u, n))
		return DTPROC_ESYNTAX;
	v = var_find(u, (enum lang_var_scope)n->value, n->text);
	if (v && v->n_keys)
		return needs_keys(u, n);
	if (!v && var_declare(u, (enum lang_var_scope)n->value, n->at, n->text,
			  t ? t : &unknown, &v))
		return DTPROC_ESYNTAX;
	is_variable(n, v);
	return 0;
}

/* --------------------------------------------------------------------- assignments */

static enum lang_op operation_of(enum lang_op op)
{
	static const enum lang_op ops[] = {
		[LANG_OP_ADD_ASSIGN] = LANG_OP_ADD,
		[LANG_OP_SUB_ASSIGN] = LANG_OP_SUB,
		[LANG_OP_MUL_ASSIGN] = LANG_OP_MUL,
		[LANG_OP_DIV_ASSIGN] = LANG_OP_DIV,
		[LANG_OP_MOD_ASSIGN] = LANG_OP_MOD,
		[LANG_OP_AND_ASSIGN] = LANG_OP_AND,
		[LANG_OP_XOR_ASSIGN] = LANG_OP_XOR,
		[LANG_OP_OR_ASSIGN] = LANG_OP_OR,
		[LANG_OP_LSH_ASSIGN] = LANG_OP_LSH,
		[LANG_OP_RSH_ASSIGN] = LANG_OP_RSH,
	};

	if (op <= LANG_OP_RSH_ASSIGN)
		return ops[op];
	return op == LANG_OP_PREINC || op == LANG_OP_POSTINC ? LANG_OP_ADD : LANG_OP_SUB;
}

/* Is it 0 for a string that gives its room back?  Then it is "". */
static int is_given_back(const struct lang_node *var, struct lang_node *value)
{
	if (var->type->kind != LANG_T_STRING || value->kind != LANG_N_INT ||
		value->value || (var->var->scope != LANG_V_SELF && !var->var->n_keys))
		return 0;
	value->kind = LANG_N_STRING;
	value->type = &lang_type_string;
	value->text = "";
	value->len = 0;
	return 1;
}

/* The value as the variable's type, or why it cannot be. */
static int fitting(struct unit *u, const struct lang_node *var, struct lang_node **value)
{
	const struct lang_type *to = var->type, *from = (*value)->type;

	if (is_given_back(var, *value))
		return 0;
	if ((to->kind == LANG_T_STRING) == (from->kind == LANG_T_STRING))
		return to->kind == LANG_T_STRING ? 0 : convert(u, value, to);
	return fail(u, (*value)->at, "D_OP_INCOMPAT", "",
		"operands have incompatible types: \"%s\" = \"%s\"", to->name,
		from->name);
}

/* A node `var op by`, checked. */
static struct lang_node *combined(struct unit *u, const struct lang_node *at,
	struct lang_node *var, struct lang_node *by)
{
	struct lang_node *n = node_new(u, LANG_N_BINARY, at->at);

	if (!n)
		return NULL;
	n->op = operation_of(at->op);
	n->left = var;
	n->right = by;
	n->height = at->height;
	return check_operands(u, &n) ? NULL : n;
}

static struct lang_node *one(struct unit *u, uint32_t at)
{
	struct lang_node *n = node_new(u, LANG_N_INT, at);

	if (n) {
		n->type = &lang_type_int;
		n->value = 1;
	}
	return n;
}

/* A copy of a variable's node, to be read in its own assignment. */
static struct lang_node *copy_of(struct unit *u, const struct lang_node *var)
{
	struct lang_node *n = node_new(u, LANG_N_VAR, var->at);

	if (n) {
		n->type = var->type;
		n->var = var->var;
		n->text = var->text;
		n->len = var->len;
		n->args = var->args;
		n->n_args = var->n_args;
		n->same = var->same ? var->same : var;
	}
	return n;
}

/* ++x and x++ become x = x + 1, of which x++ keeps the old value. */
static int check_step(struct unit *u, struct lang_node *n)
{
	struct lang_node *read, *by = one(u, n->at), *inner = n;
	int post = n->op == LANG_OP_POSTINC || n->op == LANG_OP_POSTDEC;

	if (var_write(u, n->left, NULL) || !by || !(read = copy_of(u, n->left)))
		return DTPROC_ESYNTAX;
	by = combined(u, n, read, by);
	if (!by || (post && !(inner = node_new(u, LANG_N_BINARY, n->at))))
		return DTPROC_ESYNTAX;
	inner->kind = LANG_N_BINARY;
	inner->op = LANG_OP_ASSIGN;
	inner->left = post ? copy_of(u, n->left) : n->left;
	inner->right = by;
	inner->type = n->type = n->left->type;
	n->height += 2;
	if (post)
		n->right = inner;
	return !inner->left || fitting(u, n->left, &inner->right) ? DTPROC_ESYNTAX : 0;
}

int check_assignment(struct unit *u, struct lang_node *n)
{
	struct lang_node *read;

	if (n->left->kind != LANG_N_IDENT && n->left->kind != LANG_N_INDEX)
		return fail(u, n->at, "D_OP_LVAL",
			n->op == LANG_OP_ASSIGN ? "== compares" : "",
			"operator %s requires a variable", op_text(n->op));
	if (n->op > LANG_OP_RSH_ASSIGN)
		return check_step(u, n);
	if (check_expression(u, &n->right))
		return DTPROC_ESYNTAX;
	if (n->right->type->kind == LANG_T_DYN || n->right->type->kind == LANG_T_ACTION)
		return fail(u, n->right->at, "D_OP_DYN", "",
			"operator %s: the right side has no value", op_text(n->op));
	if (var_write(u, n->left, n->right->type))
		return DTPROC_ESYNTAX;
	if (n->op != LANG_OP_ASSIGN) {
		read = copy_of(u, n->left);
		n->right = read ? combined(u, n, read, n->right) : NULL;
		if (!n->right)
			return DTPROC_ESYNTAX;
		n->op = LANG_OP_ASSIGN;
		n->height++;
	}
	n->type = n->left->type;
	return fitting(u, n->left, &n->right);
}
