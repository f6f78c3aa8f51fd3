/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lies in the victim's memory: members, elements, addresses.
 *
 * `p->f` becomes *(p + offset of f), `p[i]` becomes *(p + i): a DEREF whose operand is an
 * address.  One whose type is a struct, a union or an array stands for all its bytes; its
 * members and elements are at that address again.  Bit-fields are cut out of the word
 * that holds them.
 */
#include "parts.h"

#include <stdio.h>
#include <string.h>

#define MEMBERS_MAX 100000u /* looked at for one name */

static int is_aggregate(const struct lang_type *t)
{
	return t->kind == LANG_T_STRUCT || t->kind == LANG_T_UNION;
}

static int is_in_memory(const struct lang_node *n)
{
	return n->kind == LANG_N_UNARY && n->op == LANG_OP_DEREF;
}

/* -------------------------------------------------------------------------- members */

/* A member by name, also of anonymous ones; its offset is the whole one. */
static int find(const struct lang_type *t, const char *name, uint32_t base,
	unsigned *budget, struct lang_member *out)
{
	for (uint32_t i = 0; i < t->n_members && *budget; i++, (*budget)--) {
		const struct lang_member *m = &t->members[i];
		if (!strcmp(m->name, name) && *name) {
			*out = *m;
			out->offset += base;
			return 1;
		}
		if (!*m->name && is_aggregate(m->type) &&
			find(m->type, name, base + m->offset, budget, out))
			return 1;
	}
	return 0;
}

/* A near name for one that is not there. */
static const char *near_member(
	const struct lang_type *t, const char *name, char *buf, size_t room)
{
	const char *near = "";

	for (uint32_t i = 0; i < t->n_members && i < 1000 && !*near; i++)
		near = near_one(name, t->members[i].name, buf, room);
	return near;
}

int member_has(const struct lang_type *t, const char *name)
{
	unsigned budget = MEMBERS_MAX;
	struct lang_member m;

	return find(t, name, 0, &budget, &m);
}

int member_find(struct unit *u, uint32_t at, const struct lang_type *t, const char *name,
	struct lang_member *out)
{
	unsigned budget = MEMBERS_MAX;
	char hint[LANG_NAME_MAX + 24];

	if (!type_complete(u, t))
		return fail(
			u, at, "D_OP_INCOMPLETE", "", "type %s is not complete", t->name);
	if (find(t, name, 0, &budget, out))
		return 0;
	return fail(u, at, "D_TYPE_MEMBER", near_member(t, name, hint, sizeof hint),
		"%s is not a member of %s", name, t->name);
}

/* ------------------------------------------------------------------------ addresses */

/* What is at an address, which has type `pointer to t`. */
static struct lang_node *at_address(
	struct unit *u, uint32_t at, struct lang_node *address, const struct lang_type *t)
{
	struct lang_node *n = node_new(u, LANG_N_UNARY, at);

	if (!n)
		return NULL;
	n->op = LANG_OP_DEREF;
	n->type = t;
	n->left = address;
	return node_grown(u, n);
}

/* `address` + offset, as a pointer to t; sums are put together. */
static struct lang_node *moved(struct unit *u, struct lang_node *address, uint32_t offset,
	const struct lang_type *t)
{
	int is_sum = address->kind == LANG_N_BINARY && address->op == LANG_OP_ADD &&
		     address->right->kind == LANG_N_INT;
	struct lang_node *n = node_new(u, LANG_N_BINARY, address->at);
	const struct lang_type *pointer = pointer_to(u, t);
	struct lang_node *by = node_new(u, LANG_N_INT, address->at);

	if (!n || !by || !pointer)
		return NULL;
	by->type = &lang_type_long;
	by->value = offset + (is_sum ? address->right->value : 0);
	n->op = LANG_OP_ADD;
	n->type = pointer;
	n->left = is_sum ? address->left : address;
	n->right = by;
	return node_grown(u, n);
}

/* An integer type without sign of so many bytes. */
static const struct lang_type *unit_type(unsigned bytes)
{
	static const char *const names[] = {
		[1] = "uint8_t", [2] = "uint16_t", [4] = "uint32_t", [8] = "uint64_t"};

	return lang_type_named(names[bytes], strlen(names[bytes]));
}

/* The member at an address of its owner. */
static struct lang_node *member_at(struct unit *u, uint32_t at, struct lang_node *address,
	const struct lang_member *m)
{
	const struct lang_type *t = m->bits ? unit_type(m->unit) : m->type;
	struct lang_node *bits, *n = moved(u, address, m->offset, t);

	n = n ? at_address(u, at, n, t) : NULL;
	if (!n || !m->bits)
		return n;
	bits = node_new(u, LANG_N_UNARY, at);
	if (!bits)
		return NULL;
	bits->op = LANG_OP_BITS;
	bits->left = n;
	bits->value = m->bit | (uint64_t)m->bits << 8;
	/* As C promotes it; the sign is in the third byte. */
	bits->type = m->bits < 32 && !m->type->is_enum ? &lang_type_int : m->type;
	bits->value |= (uint64_t)m->type->is_signed << 16;
	return node_grown(u, bits);
}

/* The address of the struct that `base->` or `base.` is about. */
static struct lang_node *owner(
	struct unit *u, const struct lang_node *n, const struct lang_type **t)
{
	struct lang_node *base = n->left;

	*t = base->type;
	if (n->value && base->type->kind != LANG_T_POINTER) {
		fail(u, n->at, "D_OP_PTR", is_aggregate(base->type) ? "use ." : "",
			"operator -> must be applied to a pointer, not to a %s",
			base->type->name);
		return NULL;
	}
	if (n->value)
		*t = base->type->to;
	if (!is_aggregate(*t)) {
		fail(u, n->at, "D_OP_SOU",
			(*t)->kind == LANG_T_POINTER && !n->value ? "use ->" : "",
			"operator %s cannot be applied to a %s", n->value ? "->" : ".",
			base->type->name);
		return NULL;
	}
	return n->value ? base : base->left;
}

int check_member(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node, *address, *xlate = xlate_behind(u, n->left);
	const struct lang_type *t;
	struct lang_member m;

	if (xlate)
		return xlate_member(u, node, xlate);
	if (check_expression(u, &n->left) || (n->value && decay(u, &n->left)))
		return DTPROC_ESYNTAX;
	address = owner(u, n, &t);
	if (!address || member_find(u, n->at, t, n->text, &m))
		return DTPROC_ESYNTAX;
	*node = member_at(u, n->at, address, &m);
	return *node ? 0 : DTPROC_ENOMEM;
}

int decay(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node, *cast;
	const struct lang_type *t;

	if (n->type->kind != LANG_T_ARRAY || !is_in_memory(n))
		return 0;
	t = pointer_to(u, n->type->to);
	cast = node_new(u, LANG_N_CAST, n->at);
	if (!cast || !t)
		return DTPROC_ENOMEM;
	cast->left = n->left;
	cast->type = t;
	cast->next = n->next;
	*node = node_grown(u, cast);
	return *node ? 0 : DTPROC_ESYNTAX;
}

int check_deref(struct unit *u, struct lang_node *n)
{
	const struct lang_type *t;

	if (decay(u, &n->left))
		return DTPROC_ESYNTAX;
	if (n->left->type->kind != LANG_T_POINTER)
		return fail(u, n->at, "D_DEREF_NONPTR", "cast it to a pointer first",
			"cannot dereference a %s", n->left->type->name);
	t = n->left->type->to;
	if (t->kind == LANG_T_VOID)
		return fail(u, n->at, "D_DEREF_VOID", "cast it to another pointer first",
			"cannot dereference a pointer to %s", t->name);
	if (t->kind == LANG_T_FUNCTION)
		return fail(u, n->at, "D_DEREF_FUNC", "",
			"cannot dereference a pointer to a function");
	if (!type_complete(u, t))
		return fail(u, n->at, "D_OP_INCOMPLETE", "",
			"operator * cannot be applied to a pointer to incomplete type %s",
			t->name);
	n->type = t;
	return 0;
}

int check_address(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node, *of = n->left;

	if (is_in_memory(of)) {
		*node = of->left;
		return 0;
	}
	if (of->kind == LANG_N_UNARY && of->op == LANG_OP_BITS)
		return fail(u, n->at, "D_ADDROF_BITFIELD", "",
			"cannot take address of a bit-field");
	if (of->kind == LANG_N_VAR || of->kind == LANG_N_BUILTIN)
		return fail(u, n->at, "D_ADDROF_VAR", "",
			"cannot take address of a D variable");
	return fail(u, n->at, "D_ADDROF_LVAL", "",
		"only what lies in the victim's memory has an address");
}

/* ------------------------------------------------------------------------- elements */

static int is_args(const struct unit *u, const struct lang_node *n)
{
	return n->kind == LANG_N_IDENT && n->value == LANG_V_GLOBAL &&
	       !strcmp(n->text, "args") && !var_find(u, LANG_V_GLOBAL, "args");
}

int check_element(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node, *sum, *out;
	int called = inline_call(u, node);

	if (called)
		return called < 0 ? called : 0;
	if (is_args(u, n->left))
		return check_args(u, node);
	if (n->n_args != 1)
		return fail(u, n->at, "D_ARR_BADREF",
			n->n_args ? "it is no associative array" : "expected an index",
			"%u values in [ ]", n->n_args);
	if (check_expression(u, &n->left) || check_expression(u, &n->args) ||
		decay(u, &n->left))
		return DTPROC_ESYNTAX;
	if (n->left->type->kind != LANG_T_POINTER &&
		n->args->type->kind != LANG_T_POINTER)
		return fail(u, n->at, "D_DEREF_NONPTR", "cast it to a pointer first",
			"a %s has no elements", n->left->type->name);
	sum = node_new(u, LANG_N_BINARY, n->at);
	out = node_new(u, LANG_N_UNARY, n->at);
	if (!sum || !out)
		return DTPROC_ENOMEM;
	sum->op = LANG_OP_ADD;
	sum->left = n->left;
	sum->right = n->args;
	if (check_operands(u, &sum) || !node_grown(u, sum))
		return DTPROC_ESYNTAX;
	out->op = LANG_OP_DEREF;
	out->left = sum;
	*node = out;
	return check_deref(u, out) || !node_grown(u, out) ? DTPROC_ESYNTAX : 0;
}

/* ----------------------------------------------------------------------- char arrays */

static int is_char(const struct lang_type *t)
{
	return t->kind == LANG_T_INT && t->size == 1 && !t->is_enum;
}

int is_text(const struct lang_type *t)
{
	return t->kind == LANG_T_STRING ||
	       ((t->kind == LANG_T_ARRAY || t->kind == LANG_T_POINTER) && is_char(t->to));
}

int to_string(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node, *call;

	if (n->type->kind == LANG_T_STRING)
		return 0;
	call = node_new(u, LANG_N_CALL, n->at);
	if (!call)
		return DTPROC_ENOMEM;
	call->func = func_find("stringof", 8);
	call->text = call->func->name;
	call->type = &lang_type_string;
	call->args = n;
	call->n_args = 1;
	call->next = n->next;
	n->next = NULL;
	*node = node_grown(u, call);
	return *node ? 0 : DTPROC_ESYNTAX;
}

/* ------------------------------------------------------------------------- offsetof */

/* The path of members behind the comma of offsetof. */
static int offset_path(struct unit *u, const struct lang_type *t, uint64_t *offset)
{
	struct lang_member m;

	for (;;) {
		char *name;

		if (u->tok.kind != T_NAME)
			return fail_syntax(u, "a member's name");
		name = arena_copy(u->arena, u->tok.text, u->tok.len);
		if (!name || member_find(u, u->tok.at, t, name, &m))
			return DTPROC_ESYNTAX;
		if (m.bits)
			return fail(u, u->tok.at, "D_OFFSETOF_BITFIELD", "",
				"cannot take offset of a bit-field: %s", name);
		*offset += m.offset;
		if (next(u))
			return DTPROC_ESYNTAX;
		if (!is_mark(u, ".") || !is_aggregate(m.type))
			return 0;
		t = m.type;
		if (next(u))
			return DTPROC_ESYNTAX;
	}
}

struct lang_node *parse_offsetof(struct unit *u)
{
	struct lang_node *n = node_new(u, LANG_N_INT, u->tok.at);
	const struct lang_type *t;
	uint32_t at;

	if (!n || next(u) || expect(u, "("))
		return NULL;
	at = u->tok.at;
	if (parse_type(u, &t))
		return NULL;
	if (!t) {
		fail_syntax(u, "a struct or union type");
		return NULL;
	}
	if (!is_aggregate(t)) {
		fail(u, at, "D_OFFSETOF_TYPE", "",
			"offsetof operand must be a struct or union type, not %s",
			t->name);
		return NULL;
	}
	if (expect(u, ",") || offset_path(u, t, &n->value) || expect(u, ")"))
		return NULL;
	n->type = &lang_type_ulong;
	return n;
}
