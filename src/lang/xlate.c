/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translators: how the members of one struct are made of a value of another type.
 *
 *	translator out_t < struct in *p > { size = p->len; name = stringof(p->text); };
 *
 * A translation is used through its members: `xlate <out_t> (x).size` is the translator's
 * expression with x in the place of p, each time anew, and nothing else is evaluated.
 */
#include "parts.h"

#include <string.h>

struct xlator_member {
	const char *name;
	const struct lang_node *tree;
	struct xlator_member *next;
};
struct xlator {
	const struct lang_type *to, *from;
	const char *param;
	struct xlator_member *members;
};

static int is_aggregate(const struct lang_type *t)
{
	return t->kind == LANG_T_STRUCT || t->kind == LANG_T_UNION;
}

static struct xlator *find(
	struct unit *u, const struct lang_type *to, const struct lang_type *from)
{
	struct xlator *near = NULL;

	for (size_t i = u->scope->xlators.n; i-- > 0;) {
		struct xlator *x = u->scope->xlators.at[i];
		if (x->to != to)
			continue;
		if (type_same(x->from, from))
			return x;
		if (x->from->kind == LANG_T_INT && from->kind == LANG_T_INT)
			near = x;
	}
	return near;
}

/* ------------------------------------------------------------------------------ use */

struct lang_node *xlate_behind(struct unit *u, struct lang_node *n)
{
	if (n->kind == LANG_N_IDENT)
		n = inline_body(u, n);
	return n && n->kind == LANG_N_XLATE ? n : NULL;
}

/* The struct that is translated to; NULL with the diagnostic when it is none. */
static const struct lang_type *target(
	struct unit *u, const struct lang_node *x, const struct lang_node *member)
{
	const struct lang_type *t = x->type;

	if (t->kind == LANG_T_POINTER)
		t = t->to;
	if (!is_aggregate(t))
		fail(u, x->at, "D_XLATE_SOU", "",
			"output type %s is not a struct or union type", t->name);
	else if (member->value && t == x->type)
		fail(u, member->at, "D_OP_PTR", "use .",
			"operator -> must be applied to a pointer, not to a %s", t->name);
	else if (!member->value && t != x->type)
		fail(u, member->at, "D_OP_SOU", "use ->",
			"operator . cannot be applied to a %s", x->type->name);
	else
		return t;
	return NULL;
}

/* The translator from the operand's type. */
static struct xlator *xlator_of(
	struct unit *u, const struct lang_node *x, const struct lang_type *to)
{
	static const struct bindings none;
	struct lang_node *copy = node_copy(u, x->left, &none, LANG_AT_KEPT);
	struct xlator *found;

	if (!copy || check_expression(u, &copy))
		return NULL;
	found = find(u, to, copy->type);
	if (!found)
		fail(u, x->at, "D_XLATE_NONE", "",
			"cannot translate from \"%s\" to \"%s\"", copy->type->name,
			x->type->name);
	return found;
}

int xlate_member(struct unit *u, struct lang_node **node, struct lang_node *x)
{
	const struct lang_type *to = target(u, x, *node);
	const char *name = (*node)->text;
	struct bindings b = {.trees = (const struct lang_node *const *)&x->left, .n = 1};
	struct xlator_member *m;
	struct lang_member member;
	struct xlator *xlator;

	if (!to || member_find(u, (*node)->at, to, name, &member) ||
		!(xlator = xlator_of(u, x, to)))
		return DTPROC_ESYNTAX;
	for (m = xlator->members; m && strcmp(m->name, name);)
		m = m->next;
	if (!m)
		return fail(u, (*node)->at, "D_XLATE_NOCONV", "",
			"translator does not define conversion for member: %s", name);
	b.names = &xlator->param;
	*node = node_copy(u, m->tree, &b, (*node)->at);
	return *node ? check_as(u, node, member.type) : DTPROC_ESYNTAX;
}

/* ----------------------------------------------------------------------- definition */

static int fits(struct unit *u, struct xlator *x, const struct lang_node *tree,
	const struct lang_member *m)
{
	struct lang_node *made = made_up(u, tree->at, x->from), *copy;
	struct bindings b = {.names = &x->param,
		.trees = (const struct lang_node *const *)&made,
		.n = 1};
	const struct lang_type *t = m->type;

	copy = made ? node_copy(u, tree, &b, LANG_AT_KEPT) : NULL;
	if (!copy || check_expression(u, &copy))
		return DTPROC_ESYNTAX;
	if ((t->kind == LANG_T_STRING && is_text(copy->type)) ||
		type_same(t, copy->type) ||
		(lang_type_is_scalar(t) && (lang_type_is_scalar(copy->type) ||
						   copy->type->kind == LANG_T_ARRAY)))
		return 0;
	return fail(u, copy->at, "D_XLATE_INCOMPAT", "",
		"translator member %s definition uses incompatible types: \"%s\" = \"%s\"",
		m->name, t->name, copy->type->name);
}

/* member = expression ; */
static int member(struct unit *u, struct xlator *x, struct xlator_member **last)
{
	struct xlator_member *m = arena_alloc(u->scope->arena, sizeof *m);
	uint32_t at = u->tok.at;
	struct lang_member of;
	struct lang_node *tree;

	if (!m)
		return DTPROC_ENOMEM;
	if (u->tok.kind != T_NAME)
		return fail_syntax(u, "a member's name");
	m->name = arena_copy(u->scope->arena, u->tok.text, u->tok.len);
	if (!m->name)
		return DTPROC_ENOMEM;
	if (!member_has(x->to, m->name))
		return fail(u, at, "D_XLATE_MEMB", "",
			"translator member %s is not a member of %s", m->name,
			x->to->name);
	for (struct xlator_member *old = x->members; old; old = old->next)
		if (!strcmp(old->name, m->name))
			return fail(u, at, "D_XLATE_MEMB", "",
				"translator member %s is defined already", m->name);
	if (member_find(u, at, x->to, m->name, &of) || next(u) || expect(u, "="))
		return DTPROC_ESYNTAX;
	tree = parse_assignment(u);
	if (!tree || fits(u, x, tree, &of) || !(m->tree = node_kept(u, tree)))
		return DTPROC_ESYNTAX;
	*last = m;
	return expect(u, ";");
}

/* `out_t < struct in *p >` */
static int head(struct unit *u, struct xlator *x)
{
	struct declarator d;
	uint32_t at;

	if (next(u))
		return DTPROC_ESYNTAX;
	at = u->tok.at;
	if (parse_type(u, &x->to))
		return DTPROC_ESYNTAX;
	if (!x->to)
		return fail_syntax(u, "a type");
	if (!is_aggregate(x->to))
		return fail(u, at, "D_XLATE_SOU", "",
			"output type %s is not a struct or union type", x->to->name);
	if (expect(u, "<") || parse_specifiers(u, NULL, &x->from))
		return DTPROC_ESYNTAX;
	if (!x->from)
		return fail_syntax(u, "a type");
	if (parse_declarator(u, x->from, &d))
		return DTPROC_ESYNTAX;
	if (!d.name || d.is_array)
		return fail_syntax(u, "a name for what is translated");
	x->from = d.type;
	x->param = arena_copy(u->scope->arena, d.name, strlen(d.name));
	for (size_t i = 0; i < u->scope->xlators.n; i++)
		if (u->scope->xlators.at[i]->to == x->to &&
			type_same(u->scope->xlators.at[i]->from, x->from))
			return fail(u, at, "D_XLATE_REDECL", "",
				"translator from %s to %s is declared already",
				x->from->name, x->to->name);
	return x->param ? expect(u, ">") : DTPROC_ENOMEM;
}

int parse_translator(struct unit *u)
{
	struct xlator *x = arena_alloc(u->scope->arena, sizeof *x);
	struct xlator_member **last;

	if (!x || head(u, x) || expect(u, "{"))
		return DTPROC_ESYNTAX;
	for (last = &x->members; !is_mark(u, "}"); last = &(*last)->next)
		if (member(u, x, last))
			return DTPROC_ESYNTAX;
	if (next(u))
		return DTPROC_ESYNTAX;
	return vec_push(&u->scope->xlators, x) ? err_nomem("a translator") : 0;
}
