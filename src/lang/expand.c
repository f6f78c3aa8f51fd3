/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inline definitions.  What one stands for is kept as it was read; each use gets a copy,
 * with the parameters replaced, and is checked there.  Copies are counted, since
 * definitions that use each other twice double in each step.
 */
#include "parts.h"

#include <string.h>

#define COPIES_MAX 200000u /* nodes, for a text */

static const struct lang_node *bound(const struct lang_node *n, const struct bindings *b)
{
	for (unsigned i = 0; n->kind == LANG_N_IDENT && !n->value && i < b->n; i++)
		if (b->names[i] && !strcmp(b->names[i], n->text))
			return b->trees[i];
	return NULL;
}

static int copy_operands(
	struct unit *u, struct lang_node *n, const struct bindings *b, uint32_t at)
{
	struct lang_node **operands[] = {&n->left, &n->right, &n->third};
	const struct lang_node *arg = n->args;
	struct lang_node **last = &n->args;

	for (int i = 0; i < 3; i++)
		if (*operands[i] && !(*operands[i] = node_copy(u, *operands[i], b, at)))
			return -1;
	for (n->args = NULL; arg; arg = arg->next, last = &(*last)->next)
		if (!(*last = node_copy(u, arg, b, at)))
			return -1;
	return 0;
}

struct lang_node *node_copy(struct unit *u, const struct lang_node *from,
	const struct bindings *b, uint32_t at)
{
	const struct lang_node *instead = bound(from, b);
	static const struct bindings none;
	struct lang_node *n;
	int err;

	if (instead)
		return node_copy(u, instead, &none, LANG_AT_KEPT);
	n = arena_alloc(b->arena ? b->arena : u->arena, sizeof *n);
	if (!n)
		return NULL;
	*n = *from;
	n->next = NULL;
	if (at != LANG_AT_KEPT)
		n->at = at;
	if (b->arena && n->text && !(n->text = arena_copy(b->arena, n->text, n->len)))
		return NULL;
	if (++u->copies > COPIES_MAX || u->depth >= CHECK_DEPTH_MAX) {
		fail(u, n->at, "D_SYNTAX", "", "an inline definition becomes too large");
		return NULL;
	}
	u->depth++;
	err = copy_operands(u, n, b, at);
	u->depth--;
	return err ? NULL : n;
}

struct lang_node *node_kept(struct unit *u, const struct lang_node *n)
{
	struct bindings b = {.arena = u->scope->arena};

	return node_copy(u, n, &b, LANG_AT_KEPT);
}

int check_as(struct unit *u, struct lang_node **node, const struct lang_type *t)
{
	struct lang_node *n = *node, *cast;

	if (check_expression(u, node))
		return DTPROC_ESYNTAX;
	n = *node;
	if (t->kind == LANG_T_STRING && is_text(n->type))
		return to_string(u, node);
	if (type_same(t, n->type) && !lang_type_is_scalar(t))
		return 0;
	if (decay(u, node))
		return DTPROC_ESYNTAX;
	n = *node;
	if (lang_type_is_scalar(t) && lang_type_is_scalar(n->type))
		return convert(u, node, t);
	cast = *node;
	return fail(u, cast->at, "D_OP_INCOMPAT", "", "a %s cannot be made of a %s",
		t->name, cast->type->name);
}

/* The definition behind a name that is not resolved yet; NULL: it is none. */
static const struct lang_var *definition(struct unit *u, const struct lang_node *n)
{
	if (n->kind != LANG_N_IDENT || n->value != LANG_V_GLOBAL ||
		var_find(u, LANG_V_GLOBAL, n->text) || builtin_find(n->text, n->len))
		return NULL;
	return var_find(u, LANG_V_INLINE, n->text);
}

struct lang_node *inline_body(struct unit *u, const struct lang_node *n)
{
	const struct lang_var *v = definition(u, n);
	struct bindings none = {0};

	return v && v->body && !v->n_params ? node_copy(u, v->body, &none, n->at) : NULL;
}

int inline_expand(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node;
	const struct lang_var *v = n->var;
	struct bindings none = {0};

	if (v->n_params)
		return fail(u, n->at, "D_IDENT_BADREF", "expected [",
			"inline %s may not be used without its arguments", v->name);
	n = node_copy(u, v->body, &none, n->at);
	if (!n)
		return DTPROC_ENOMEM;
	*node = n;
	return check_as(u, node, v->type);
}

int inline_call(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node, *casts[LANG_KEYS_MAX];
	const struct lang_var *v = definition(u, n->left);
	struct bindings b = {.names = v ? v->params : NULL,
		.trees = (const struct lang_node *const *)casts};
	struct lang_node *arg = n->args;

	if (!v || !v->n_params)
		return 0;
	if (v->n_params != n->n_args)
		return fail(u, n->at, "D_PROTO_LEN", "",
			"%s[ ] prototype mismatch: %u arg%s passed, %u expected", v->name,
			n->n_args, n->n_args == 1 ? "" : "s", v->n_params);
	for (; b.n < v->n_params; b.n++, arg = arg->next) {
		casts[b.n] = node_new(u, LANG_N_CAST, arg->at);
		if (!casts[b.n])
			return DTPROC_ENOMEM;
		casts[b.n]->type = v->param_types[b.n];
		casts[b.n]->left = arg;
	}
	*node = node_copy(u, v->body, &b, n->at);
	if (!*node)
		return DTPROC_ESYNTAX;
	return check_as(u, node, v->type) ? DTPROC_ESYNTAX : 1;
}

/* ---------------------------------------------------------------------- definitions */

struct lang_node *made_up(struct unit *u, uint32_t at, const struct lang_type *t)
{
	struct lang_node *n = node_new(u, LANG_N_IDENT, at);
	struct lang_node *cast = node_new(u, LANG_N_CAST, at), *deref;
	int is_whole = lang_type_is_bytes(t);

	if (!n || !cast)
		return NULL;
	n->text = "arg0";
	n->len = 4;
	cast->left = n;
	cast->type = is_whole ? pointer_to(u, t) : t;
	if (!cast->type || !is_whole)
		return cast->type ? cast : NULL;
	deref = node_new(u, LANG_N_UNARY, at);
	if (deref) {
		deref->op = LANG_OP_DEREF;
		deref->left = cast;
	}
	return deref;
}

/* The definition as it was read is checked once here, with made-up arguments. */
static int check_definition(
	struct unit *u, const struct lang_var *v, const struct lang_node *body)
{
	struct lang_node *made[LANG_KEYS_MAX], *copy;
	struct bindings b = {.names = v->params,
		.trees = (const struct lang_node *const *)made,
		.n = v->n_params};

	for (unsigned i = 0; i < v->n_params; i++)
		if (!(made[i] = made_up(u, body->at, v->param_types[i])))
			return DTPROC_ENOMEM;
	if (body->kind == LANG_N_XLATE)
		return 0;
	copy = node_copy(u, body, &b, LANG_AT_KEPT);
	return copy ? check_as(u, &copy, v->type) : DTPROC_ESYNTAX;
}

static int keep_params(struct unit *u, const struct declarator *d, struct lang_var *v)
{
	const char **names = arena_alloc(u->scope->arena, d->n_keys * sizeof *names);
	const struct lang_type **types =
		arena_alloc(u->scope->arena, d->n_keys * sizeof *types);

	if (!names || !types)
		return DTPROC_ENOMEM;
	for (unsigned i = 0; i < d->n_keys; i++) {
		if (!d->params[i])
			return fail(u, d->at, "D_DECL_PROTO_NAME", "expected a name",
				"parameter declaration requires a name: parameter #%u",
				i + 1);
		for (unsigned k = 0; k < i; k++)
			if (!strcmp(d->params[k], d->params[i]))
				return fail(u, d->at, "D_DECL_PROTO_FORM", "",
					"parameter is already declared in array "
					"prototype: %s, parameter #%u",
					d->params[i], i + 1);
		names[i] =
			arena_copy(u->scope->arena, d->params[i], strlen(d->params[i]));
		types[i] = d->keys[i];
		if (!names[i])
			return DTPROC_ENOMEM;
	}
	v->params = names;
	v->param_types = types;
	v->n_params = d->n_keys;
	return 0;
}

int inline_define(struct unit *u, const struct declarator *d)
{
	struct lang_node *n;
	struct lang_var *v;

	if (expect(u, "="))
		return DTPROC_ESYNTAX;
	n = parse_assignment(u);
	if (!n || var_declare(u, LANG_V_INLINE, d->at, d->name, d->type, &v))
		return DTPROC_ESYNTAX;
	v->name = ""; /* it does not know itself yet */
	if ((d->n_keys && keep_params(u, d, v)) || check_definition(u, v, n))
		return DTPROC_ESYNTAX;
	v->name = arena_copy(u->scope->arena, d->name, strlen(d->name));
	v->body = node_kept(u, n);
	return v->name && v->body ? 0 : DTPROC_ENOMEM;
}
