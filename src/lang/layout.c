/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Structs, unions and enums: their bodies, and where the ABI of x86-64 (and of every
 * other LP64 machine that aligns a type by its size) puts each member.
 */
#include "parts.h"

#include <stdio.h>
#include <string.h>

/* A body that is being read. */
struct body {
	struct lang_type *type;
	VEC(struct lang_member) members;
	uint64_t bits; /* used so far; of a union: by the longest member */
	uint32_t align;
	int is_open; /* the last member was an array of no size */
};

static uint32_t align_of(const struct lang_type *t)
{
	return t->align ? t->align : t->size ? t->size : 1;
}

static uint64_t rounded(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* -------------------------------------------------------------------------- members */

static int check_member_type(struct unit *u, const struct declarator *d)
{
	const struct lang_type *t = d->type;

	if (d->is_array)
		return fail(u, d->at, "D_DECL_DYNOBJ", "",
			"cannot have dynamic member: %s", d->name);
	if (t->kind == LANG_T_VOID)
		return fail(u, d->at, "D_DECL_VOIDOBJ", "", "cannot have void member: %s",
			d->name);
	if (t->kind == LANG_T_FUNCTION)
		return fail(u, d->at, "D_DECL_COMBO", "make it a pointer",
			"a member cannot be a function: %s", d->name);
	if (!type_complete(u, t))
		return fail(u, d->at, "D_DECL_INCOMPLETE", "",
			"incomplete struct/union/enum %s: %s", t->name,
			d->name ? d->name : "(anonymous)");
	return 0;
}

static int has_member(const struct body *b, const char *name)
{
	for (size_t i = 0; i < b->members.n; i++)
		if (*name && !strcmp(b->members.at[i].name, name))
			return 1;
	return 0;
}

/* Takes room for `bits` that may begin at a multiple of `align`; where they begin. */
static uint64_t take(struct body *b, uint64_t bits, uint64_t align)
{
	uint64_t at = b->type->kind == LANG_T_UNION ? 0 : rounded(b->bits, align);

	if (at + bits > b->bits)
		b->bits = at + bits;
	return at;
}

static int push(struct unit *u, struct body *b, uint32_t at, struct lang_member m)
{
	if (b->bits > (uint64_t)INT32_MAX * 8)
		return fail(u, at, "D_DECL_ARRBIG", "", "%s is too large", b->type->name);
	if (m.type->depth >= LANG_DEPTH_MAX)
		return fail(u, at, "D_SYNTAX", "", "type is nested too deeply");
	if (m.type->depth >= b->type->depth)
		b->type->depth = (uint8_t)(m.type->depth + 1);
	m.name = arena_copy(u->scope->arena, m.name, strlen(m.name));
	return m.name && !vec_push(&b->members, m) ? 0 : err_nomem("a type");
}

static int plain(struct unit *u, struct body *b, const struct declarator *d)
{
	struct lang_member m = {.name = d->name ? d->name : "", .type = d->type};

	if (b->is_open && b->type->kind == LANG_T_STRUCT)
		return fail(u, d->at, "D_DECL_INCOMPLETE", "only the last one can",
			"a member before %s has no size", m.name);
	b->is_open = d->type->kind == LANG_T_ARRAY && !d->type->n;
	if (align_of(d->type) > b->align)
		b->align = align_of(d->type);
	m.offset =
		(uint32_t)(take(b, d->type->size * 8ull, align_of(d->type) * 8ull) / 8);
	return push(u, b, d->at, m);
}

/* name : width; the colon is ahead. */
static int bit_field(struct unit *u, struct body *b, const struct declarator *d)
{
	struct lang_member m = {.name = d->name ? d->name : "", .type = d->type};
	uint64_t unit = d->type->size * 8ull, at = b->bits;
	int64_t bits;

	if (next(u) || parse_constant(u, "D_DECL_BFCONST",
			       "positive integral constant expression expected as "
			       "bit-field size",
			       &bits))
		return DTPROC_ESYNTAX;
	if (d->type->kind != LANG_T_INT)
		return fail(u, d->at, "D_DECL_BFTYPE", "expected an integer type",
			"invalid type for bit-field: %s", m.name);
	if (bits < 0 || (!bits && d->name))
		return fail(u, d->at, "D_DECL_BFCONST", "",
			"positive integral constant expression expected as bit-field "
			"size");
	if ((uint64_t)bits > unit)
		return fail(u, d->at, "D_DECL_BFSIZE", "",
			"bit-field too big for type: %s", m.name);
	if (!bits) {
		take(b, 0, unit);
		return 0;
	}
	if (d->name && align_of(d->type) > b->align)
		b->align = align_of(d->type);
	at = take(b, (uint64_t)bits,
		at / unit == (at + (uint64_t)bits - 1) / unit ? 1 : unit);
	m.unit = (uint8_t)d->type->size;
	m.offset = (uint32_t)(at / unit * d->type->size);
	m.bit = (uint8_t)(at % unit);
	m.bits = (uint8_t)bits;
	return d->name ? push(u, b, d->at, m) : 0;
}

static int member(struct unit *u, struct body *b, const struct lang_type *base)
{
	struct declarator d;

	if (parse_declarator(u, base, &d))
		return DTPROC_ESYNTAX;
	if (!d.name && !is_mark(u, ":"))
		return fail(u, d.at, "D_DECL_MNAME", "expected a name",
			"member declaration requires a name");
	if (check_member_type(u, &d))
		return DTPROC_ESYNTAX;
	if (d.name && has_member(b, d.name))
		return fail(u, d.at, "D_DECL_IDRED", "", "member redeclared: %s", d.name);
	return is_mark(u, ":") ? bit_field(u, b, &d) : plain(u, b, &d);
}

/* An anonymous struct or union, whose members are its owner's. */
static int anonymous(struct unit *u, struct body *b, const struct lang_type *t)
{
	struct declarator d = {.at = u->tok.at, .type = t};

	if (t->kind != LANG_T_STRUCT && t->kind != LANG_T_UNION)
		return t->is_enum ? 0
				  : fail(u, d.at, "D_DECL_MNAME", "expected a name",
					    "member declaration requires a name");
	return check_member_type(u, &d) ? DTPROC_ESYNTAX : plain(u, b, &d);
}

static int member_line(struct unit *u, struct body *b)
{
	const struct lang_type *t;
	enum class class;
	uint32_t at = u->tok.at;

	if (parse_specifiers(u, &class, &t))
		return DTPROC_ESYNTAX;
	if (!t)
		return fail_syntax(u, "a member or \"}\"");
	if (class)
		return fail(
			u, at, "D_DECL_BADCLASS", "", "a member has no storage class");
	if (is_mark(u, ";"))
		return anonymous(u, b, t) ? DTPROC_ESYNTAX : next(u);
	for (;;) {
		if (member(u, b, t))
			return DTPROC_ESYNTAX;
		if (is_mark(u, ";"))
			return next(u);
		if (!is_mark(u, ","))
			return fail_syntax(u, "\",\" or \";\"");
		if (next(u))
			return DTPROC_ESYNTAX;
	}
}

static int finish(struct unit *u, struct body *b)
{
	struct lang_type *t = b->type;
	size_t bytes = b->members.n * sizeof *b->members.at;
	struct lang_member *members = arena_alloc(u->scope->arena, bytes);

	if (!members)
		return DTPROC_ENOMEM;
	if (!t->is_incomplete)
		return fail(u, u->tok.at, "D_DECL_TYPERED", "", "type redeclared: %s",
			t->name);
	if (bytes)
		memcpy(members, b->members.at, bytes);
	t->members = members;
	t->n_members = (uint32_t)b->members.n;
	t->align = b->align;
	t->size = (uint32_t)rounded((b->bits + 7) / 8, b->align);
	t->is_incomplete = 0;
	return 0;
}

static int struct_body(struct unit *u, struct lang_type *t)
{
	struct body b = {.type = t, .align = 1};
	int err = next(u);

	while (!err && !is_mark(u, "}"))
		err = member_line(u, &b);
	if (!err && vec_push(&u->scope->completed, t))
		err = err_nomem("a type");
	if (!err)
		err = finish(u, &b);
	vec_free(&b.members);
	return err ? err : next(u);
}

/* ---------------------------------------------------------------------------- enums */

static int enumerator(struct unit *u, struct lang_type *t, int64_t *value)
{
	const char *text = u->tok.text;
	size_t len = u->tok.len;
	uint32_t at = u->tok.at;
	struct name *n;

	if (u->tok.kind != T_NAME)
		return fail_syntax(u, "an enumerator");
	if (name_find(u, NAME_ENUMERATOR, text, len))
		return fail(u, at, "D_DECL_IDRED", "", "enumerator redeclared: %.*s",
			(int)len, text);
	if (next(u))
		return DTPROC_ESYNTAX;
	if (is_mark(u, "=") &&
		(next(u) || parse_constant(u, "D_DECL_ENCONST",
				    "enumerator value must be an integral constant "
				    "expression",
				    value)))
		return DTPROC_ESYNTAX;
	if (*value > UINT32_MAX || *value < INT32_MIN)
		return fail(u, at, "D_DECL_ENOFLOW", "",
			"enumerator value overflows INT_MAX");
	n = name_add(u, NAME_ENUMERATOR, text, len, t);
	if (!n)
		return DTPROC_ENOMEM;
	n->value = *value;
	return 0;
}

/* The enumerators stand among the names from `first` on. */
static int finish_enum(struct unit *u, struct lang_type *t, size_t first)
{
	const struct name *names = u->scope->names.at;
	size_t n = u->scope->names.n;
	struct lang_enumerator *enums =
		arena_alloc(u->scope->arena, (n - first) * sizeof *enums);

	if (!enums || vec_push(&u->scope->completed, t))
		return err_nomem("a type");
	t->enums = enums;
	for (size_t i = first; i < n; i++)
		if (names[i].kind == NAME_ENUMERATOR && names[i].type == t)
			enums[t->n_enums++] =
				(struct lang_enumerator){names[i].text, names[i].value};
	t->is_incomplete = 0;
	return 0;
}

static int enum_body(struct unit *u, struct lang_type *t)
{
	size_t first = u->scope->names.n;
	int64_t value = 0;

	if (next(u))
		return DTPROC_ESYNTAX;
	for (; !is_mark(u, "}"); value++) {
		if (enumerator(u, t, &value))
			return DTPROC_ESYNTAX;
		if (is_mark(u, ",")
				? next(u)
				: !is_mark(u, "}") && fail_syntax(u, "\",\" or \"}\""))
			return DTPROC_ESYNTAX;
	}
	return finish_enum(u, t, first) ? DTPROC_ESYNTAX : next(u);
}

/* ----------------------------------------------------------------------------- tags */

static struct lang_type *fresh(
	struct unit *u, enum lang_type_kind kind, const char *name, size_t len)
{
	struct lang_type *t = type_new(u, kind, name, len);

	if (!t)
		return NULL;
	t->is_incomplete = 1;
	if (kind == LANG_T_INT) {
		t->size = 4;
		t->is_signed = t->is_enum = 1;
		t->rank = 3;
	}
	return t;
}

/* The type of a tag, made when it is new. */
static struct lang_type *tagged(
	struct unit *u, enum lang_type_kind kind, const char *name, int *is_new)
{
	struct name *n = name_find(u, NAME_TAG, name, strlen(name));
	struct lang_type *t;

	*is_new = !n;
	if (n)
		return n->type;
	t = fresh(u, kind, name, strlen(name));
	return t && name_add(u, NAME_TAG, name, strlen(name), t) ? t : NULL;
}

static int body_of(struct unit *u, uint32_t at, struct lang_type *t)
{
	unsigned depth = u->depth;
	int err;

	if (!t->is_incomplete)
		return fail(u, at, "D_DECL_TYPERED", "", "type redeclared: %s", t->name);
	if (enter(u))
		return DTPROC_ESYNTAX;
	err = t->is_enum ? enum_body(u, t) : struct_body(u, t);
	u->depth = depth;
	return err;
}

int parse_aggregate(struct unit *u, const struct lang_type **out)
{
	enum lang_type_kind kind = is_word(u, "struct")  ? LANG_T_STRUCT
				   : is_word(u, "union") ? LANG_T_UNION
							 : LANG_T_INT;
	static const char *const kinds[] = {[LANG_T_STRUCT] = "struct",
		[LANG_T_UNION] = "union",
		[LANG_T_INT] = "enum"};
	char name[LANG_NAME_MAX + 16];
	uint32_t at = u->tok.at;
	struct lang_type *t;
	int is_new;

	snprintf(name, sizeof name, "%s", kinds[kind]);
	if (next(u))
		return DTPROC_ESYNTAX;
	if (u->tok.kind == T_NAME) {
		snprintf(name, sizeof name, "%s %.*s", kinds[kind], (int)u->tok.len,
			u->tok.text);
		t = tagged(u, kind, name, &is_new);
		if (!t || next(u))
			return DTPROC_ENOMEM;
		if (t->ref.file &&
			is_mark(u, "{")) { /* the victim's: the text has its own */
			t = fresh(u, kind, name, strlen(name));
			if (!t || !name_add(u, NAME_TAG, name, strlen(name), t))
				return DTPROC_ENOMEM;
		}
	} else if (is_mark(u, "{")) {
		t = fresh(u, kind, name, strlen(name));
	} else {
		return fail_syntax(u, "a tag or \"{\"");
	}
	*out = t;
	if (!t)
		return DTPROC_ENOMEM;
	return is_mark(u, "{") ? body_of(u, at, t) : 0;
}

/* ------------------------------------------------------------------------- typedefs */

static int is_untagged(const struct lang_type *t)
{
	return !strcmp(t->name, "struct") || !strcmp(t->name, "union") ||
	       !strcmp(t->name, "enum");
}

int type_define(struct unit *u, const struct declarator *d)
{
	const struct name *old = name_find(u, NAME_TYPE, d->name, strlen(d->name));
	struct lang_type *t = (struct lang_type *)d->type;
	const char *name;

	if (d->is_array)
		return fail(u, d->at, "D_DECL_DYNOBJ", "",
			"cannot declare a type of associative arrays: %s", d->name);
	if (old && !type_same(old->type, t))
		return fail(
			u, d->at, "D_DECL_TYPERED", "", "type redeclared: %s", d->name);
	if (old)
		return 0;
	name = arena_copy(u->scope->arena, d->name, strlen(d->name));
	if (!name)
		return DTPROC_ENOMEM;
	/* A struct is one object, whatever it is called. */
	if (is_untagged(t)) {
		t->name = name;
	} else if (t->kind != LANG_T_STRUCT && t->kind != LANG_T_UNION && !t->is_enum) {
		t = type_new(u, t->kind, name, strlen(name));
		if (!t)
			return DTPROC_ENOMEM;
		*t = *d->type;
		t->name = name;
	}
	return name_add(u, NAME_TYPE, d->name, strlen(d->name), t) ? 0 : DTPROC_ENOMEM;
}
