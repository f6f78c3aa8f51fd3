/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Associative arrays: name[keys] and self->name[keys].  One begins to exist by a
 * declaration (`int a[string, int];`) or by the first value assigned to an element,
 * which gives it the types of its keys, too.  What else stands before a bracket is a
 * pointer.
 */
#include "parts.h"

#include <runtime/runtime.h>

#include <string.h>

static uint32_t bytes_of(const struct lang_var *v, const struct lang_type *t)
{
	return t->kind == LANG_T_STRING ? v->strsize : 8;
}

uint32_t lang_var_key_bytes(const struct lang_var *v)
{
	uint32_t bytes = 0;

	for (unsigned i = 0; i < v->n_keys; i++)
		bytes += bytes_of(v, v->keys[i]);
	return bytes;
}

uint32_t lang_scope_room(const struct lang_scope *s, enum lang_var_scope scope)
{
	uint32_t most = 0, room;

	for (size_t i = 0; i < s->vars.n; i++) {
		const struct lang_var *v = s->vars.at[i];

		if (v->scope != scope || (scope == LANG_V_GLOBAL && !v->n_keys))
			continue;
		room = lang_var_key_bytes(v) + bytes_of(v, v->type);
		most = room > most ? room : most;
	}
	return most;
}

/* A key's type as the array keeps it; NULL: it cannot be one. */
static const struct lang_type *key_type(const struct lang_type *t)
{
	if (t->kind == LANG_T_POINTER)
		return &lang_type_ulong;
	if (t->kind == LANG_T_STRING)
		return &lang_type_string;
	return lang_type_is_integer(t) ? t : NULL;
}

static int bad_key(struct unit *u, uint32_t at, const char *name, unsigned i,
	const struct lang_type *t)
{
	return fail(u, at, "D_KEY_TYPE", "expected a number or a string",
		"%s[ ] key #%u is not a value: it is a %s", name, i + 1, t->name);
}

/* Gives a new array its keys, and its place. */
static int make(struct unit *u, enum lang_var_scope scope, uint32_t at, const char *name,
	const struct lang_type *t, const struct lang_type *const *keys, unsigned n,
	struct lang_var **out)
{
	const struct lang_type **kept =
		arena_alloc(u->scope->arena, (n + !n) * sizeof *kept);
	struct lang_var *v;

	if (!kept)
		return DTPROC_ENOMEM;
	if (scope == LANG_V_THIS)
		return fail(u, at, "D_ARR_LOCAL", "use self-> or a global one",
			"cannot declare local associative array: %s", name);
	memcpy(kept, keys, n * sizeof *kept);
	if (var_new(u, scope, at, name, t, &v))
		return DTPROC_ESYNTAX;
	v->keys = kept;
	v->n_keys = n;
	if (lang_var_key_bytes(v) + bytes_of(v, v->type) > RT_DYN_ROOM_MAX)
		return fail(u, at, "D_ID_OFLOW", "",
			"keys and value of %s[ ] take more than %u bytes", name,
			RT_DYN_ROOM_MAX);
	*out = v;
	return var_place(u, at, v);
}

/* ---------------------------------------------------------------------- an element */

/* Keys as expressions; their types come out. */
static int check_keys(
	struct unit *u, struct lang_node *n, const struct lang_type *types[LANG_KEYS_MAX])
{
	unsigned i = 0;

	if (!n->n_args)
		return fail(u, n->at, "D_SYNTAX", "expected a key", "%s[ ] without a key",
			n->left->text);
	if (n->n_args > LANG_KEYS_MAX)
		return fail(u, n->at, "D_PROTO_LEN", "", "%s[ ] has more than %d keys",
			n->left->text, LANG_KEYS_MAX);
	for (struct lang_node **a = &n->args; *a; a = &(*a)->next, i++) {
		if (check_expression(u, a) ||
			((*a)->type->kind == LANG_T_ARRAY && is_text((*a)->type) &&
				to_string(u, a)))
			return DTPROC_ESYNTAX;
		types[i] = key_type((*a)->type);
		if (!types[i])
			return bad_key(u, (*a)->at, n->left->text, i, (*a)->type);
	}
	return 0;
}

/* The keys against the array's; they are converted to its types. */
static int fit_keys(struct unit *u, struct lang_node *n, const struct lang_var *v)
{
	unsigned i = 0;

	if (n->n_args != v->n_keys)
		return fail(u, n->at, "D_PROTO_LEN", "",
			"%s[ ] prototype mismatch: %u key%s passed, %u expected", v->name,
			n->n_args, n->n_args == 1 ? "" : "s", v->n_keys);
	for (struct lang_node **a = &n->args; *a; a = &(*a)->next, i++) {
		const struct lang_type *t = v->keys[i];

		if ((t->kind == LANG_T_STRING) != ((*a)->type->kind == LANG_T_STRING))
			return fail(u, (*a)->at, "D_PROTO_ARG", "",
				"%s[ ] key #%u is incompatible with its prototype: a %s, "
				"and a %s is expected",
				v->name, i + 1, (*a)->type->name, t->name);
		if (t->kind != LANG_T_STRING && convert(u, a, t))
			return DTPROC_ENOMEM;
	}
	return 0;
}

static void is_element(struct lang_node *n, struct lang_var *v)
{
	n->kind = LANG_N_VAR;
	n->var = v;
	n->type = v->type;
	n->text = v->name;
	n->left = NULL;
}

int array_write(struct unit *u, struct lang_node *n, const struct lang_type *t)
{
	const struct lang_type *types[LANG_KEYS_MAX];
	struct lang_node *base = n->left;
	enum lang_var_scope scope = (enum lang_var_scope)base->value;
	struct lang_var *v =
		base->kind == LANG_N_IDENT ? var_find(u, scope, base->text) : NULL;

	if (base->kind != LANG_N_IDENT || (v && !v->n_keys))
		return fail(
			u, n->at, "D_OP_LVAL", "", "only a variable can be assigned to");
	if (var_is_taken(u, base))
		return DTPROC_ESYNTAX;
	if (check_keys(u, n, types) ||
		(!v && make(u, scope, n->at, base->text, t, types, n->n_args, &v)))
		return DTPROC_ESYNTAX;
	if (fit_keys(u, n, v))
		return DTPROC_ESYNTAX;
	is_element(n, v);
	return 0;
}

/* uregs[n] */
static int check_register(struct unit *u, struct lang_node *n)
{
	n->kind = LANG_N_CALL;
	n->text = "uregs[]";
	n->len = 0;
	n->left = NULL;
	return check_call(u, n);
}

int check_index(struct unit *u, struct lang_node **node)
{
	const struct lang_type *types[LANG_KEYS_MAX];
	struct lang_node *n = *node, *base = n->left;
	struct lang_var *v =
		base->kind == LANG_N_IDENT
			? var_find(u, (enum lang_var_scope)base->value, base->text)
			: NULL;

	if (!v && base->kind == LANG_N_IDENT && base->value == LANG_V_GLOBAL &&
		!strcmp(base->text, "uregs"))
		return check_register(u, n);
	if (!v || !v->n_keys)
		return check_element(u, node);
	if (check_keys(u, n, types) || fit_keys(u, n, v))
		return DTPROC_ESYNTAX;
	is_element(n, v);
	return 0;
}

int array_declare(struct unit *u, enum lang_var_scope scope, const struct declarator *d)
{
	const struct lang_type *types[LANG_KEYS_MAX];
	struct lang_var *v;

	for (unsigned i = 0; i < d->n_keys; i++) {
		types[i] = key_type(d->keys[i]);
		if (!types[i])
			return bad_key(u, d->at, d->name, i, d->keys[i]);
	}
	return make(u, scope, d->at, d->name, d->type, types, d->n_keys, &v);
}
