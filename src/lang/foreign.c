/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Types of the victim, through struct type_source: made when a name, a cast or a member
 * asks for them.  A struct stays incomplete until somebody wants to know what is in it,
 * so that a pointer does not bring along all that can be reached from it.
 *
 * A struct that D text only names (`struct foo *`) is completed by the victim's of that
 * name; one that D text declares is the text's own.
 */
#include "parts.h"

#include <base/hash.h>

#include <stdio.h>
#include <string.h>

#define IMPORTING_MAX 100u /* descriptions inside of each other */
#define IN_PROGRESS UINT8_MAX

static uint64_t key_of(const struct type_ref *r)
{
	return hash_mix(hash_mix((uintptr_t)r->file) + r->id) + r->dim;
}

static const struct lang_type *import(struct unit *u, const struct type_ref *ref);

/* "struct x" of "struct module`x"; the module, or NULL, in `module`. */
static const char *split(const char *name, char *buf, size_t room, const char **module)
{
	const char *mark = strchr(name, '`'), *space = strchr(name, ' ');
	size_t head, len;

	*module = NULL;
	if (!mark || strlen(name) >= room / 2)
		return name;
	head = space && space < mark ? (size_t)(space + 1 - name) : 0;
	len = (size_t)(mark - name) - head;
	snprintf(buf, room, "%.*s%s", (int)head, name, mark + 1);
	if (len) {
		char *copy = buf + strlen(buf) + 1;
		memcpy(copy, name + head, len);
		copy[len] = 0;
		*module = copy;
	}
	return buf;
}

static int find(struct unit *u, const char *name, struct type_ref *out)
{
	const struct type_source *s = u->src->types;
	char buf[4 * LANG_NAME_MAX];
	const char *module;

	name = split(name, buf, sizeof buf, &module);
	return s && s->find(s->arg, module, name, out) > 0;
}

/* ------------------------------------------------------------------------- integers */

static struct lang_type *integer(
	struct unit *u, const struct type_desc *d, const char *name)
{
	struct lang_type *t = type_new(u, LANG_T_INT, name, strlen(name));

	if (!t)
		return NULL;
	t->size = d->size == 1 || d->size == 2 || d->size == 8 ? (uint32_t)d->size : 4;
	t->is_signed = d->is_signed;
	t->rank = t->size == 1 ? 1 : t->size == 2 ? 2 : t->size == 4 ? 3 : 4;
	return t;
}

struct enums {
	struct unit *u;
	VEC(struct lang_enumerator) at;
	int is_signed;
};

static int add_enumerator(const char *name, int64_t value, void *arg)
{
	struct enums *e = arg;
	struct lang_enumerator one = {
		arena_copy(e->u->scope->arena, name, strlen(name)), value};

	e->is_signed |= value < 0;
	return one.name && !vec_push(&e->at, one) ? 0 : DTPROC_ENOMEM;
}

static struct lang_type *enumeration(
	struct unit *u, const struct type_ref *ref, const struct type_desc *d)
{
	const struct type_source *s = u->src->types;
	struct enums e = {.u = u};
	struct lang_enumerator *copy = NULL;
	struct lang_type *t;
	char name[LANG_NAME_MAX + 8];

	snprintf(name, sizeof name, *d->name ? "enum %s" : "enum%s", d->name);
	t = integer(u, d, name);
	if (t && s->enums(s->arg, ref, add_enumerator, &e) >= 0)
		copy = arena_alloc(u->scope->arena, e.at.n * sizeof *copy);
	if (copy) {
		if (e.at.n)
			memcpy(copy, e.at.at, e.at.n * sizeof *copy);
		t->enums = copy;
		t->n_enums = (uint32_t)e.at.n;
		t->is_enum = 1;
		t->is_signed = (uint8_t)e.is_signed;
		if (t->size == 4 && !e.is_signed)
			t->is_signed = 1; /* as D's own enums */
	}
	vec_free(&e.at);
	return copy ? t : NULL;
}

/* --------------------------------------------------------------------------- structs */

struct structure {
	struct unit *u;
	struct lang_type *type;
	VEC(struct lang_member) at;
};

/* Finds a unit of 1, 2, 4 or 8 bytes in the struct that holds the bits; 0: there is none.
 */
static int place_bits(const struct lang_type *owner, const struct type_member *from,
	struct lang_member *m)
{
	for (uint32_t unit = 1; unit <= 8; unit *= 2) {
		uint64_t at = from->bit / 8;

		if (at + unit > owner->size)
			at = owner->size >= unit ? owner->size - unit : owner->size;
		if (from->bit < at * 8 || from->bit + from->bits > (at + unit) * 8)
			continue;
		m->offset = (uint32_t)at;
		m->unit = (uint8_t)unit;
		m->bit = (uint8_t)(from->bit - at * 8);
		m->bits = (uint8_t)from->bits;
		return 1;
	}
	return 0;
}

static int add_member(const struct type_member *from, void *arg)
{
	struct structure *s = arg;
	const struct lang_type *t = import(s->u, &from->type);
	struct lang_member m = {.type = t, .offset = (uint32_t)(from->bit / 8)};

	/* What cannot be described is not there. */
	if (!t || !type_complete(s->u, t) || t->depth == IN_PROGRESS ||
		t->kind == LANG_T_VOID || t->kind == LANG_T_FUNCTION ||
		t->depth >= LANG_DEPTH_MAX || m.offset > s->type->size ||
		t->size > s->type->size - m.offset)
		return s->u->failed ? DTPROC_ESYNTAX : 0;
	if (from->bits && (t->kind != LANG_T_INT || !place_bits(s->type, from, &m)))
		return 0;
	m.name = arena_copy(s->u->scope->arena, from->name, strlen(from->name));
	return m.name && !vec_push(&s->at, m) ? 0 : DTPROC_ENOMEM;
}

static int fill(struct structure *s)
{
	struct lang_type *t = s->type;
	struct lang_member *copy =
		arena_alloc(s->u->scope->arena, s->at.n * sizeof *copy);
	uint8_t depth = 0;

	if (!copy || vec_push(&s->u->scope->completed, t))
		return 0;
	if (s->at.n)
		memcpy(copy, s->at.at, s->at.n * sizeof *copy);
	for (size_t i = 0; i < s->at.n; i++)
		if (copy[i].type->depth > depth)
			depth = copy[i].type->depth;
	t->members = copy;
	t->n_members = (uint32_t)s->at.n;
	t->depth = (uint8_t)(depth + 1);
	t->is_incomplete = 0;
	return 1;
}

static int complete(struct unit *u, struct lang_type *t)
{
	const struct type_source *src = u->src->types;
	struct structure s = {.u = u, .type = t};
	struct type_desc d;
	int ok;

	if (src->describe(src->arg, &t->ref, &d) <= 0 || d.is_incomplete ||
		d.size > INT32_MAX || t->depth == IN_PROGRESS ||
		u->importing >= IMPORTING_MAX ||
		d.kind != (t->kind == LANG_T_UNION ? TYPE_UNION : TYPE_STRUCT))
		return 0;
	t->size = (uint32_t)d.size;
	t->align = 1;
	t->depth = IN_PROGRESS;
	u->importing++;
	ok = src->members(src->arg, &t->ref, add_member, &s) >= 0;
	u->importing--;
	t->depth = 0;
	ok = ok && fill(&s);
	vec_free(&s.at);
	return ok;
}

int type_complete(struct unit *u, const struct lang_type *t)
{
	struct lang_type *own = (struct lang_type *)t; /* of the scope's memory */

	if (!t->is_incomplete)
		return 1;
	if (!u->src->types || (t->kind != LANG_T_STRUCT && t->kind != LANG_T_UNION) ||
		(!t->ref.file && !find(u, t->name, &own->ref)))
		return 0;
	return complete(u, own);
}

static struct lang_type *structure(
	struct unit *u, const struct type_ref *ref, const struct type_desc *d)
{
	int is_union = d->kind == TYPE_UNION;
	char name[LANG_NAME_MAX + 8];
	struct lang_type *t;
	const struct name *tag;

	snprintf(name, sizeof name, *d->name ? "%s %s" : "%s%s",
		is_union ? "union" : "struct", d->name);
	tag = *d->name ? name_find(u, NAME_TAG, name, strlen(name)) : NULL;
	if (tag && tag->type->is_incomplete && !tag->type->ref.file) {
		tag->type->ref = *ref;
		return tag->type;
	}
	t = type_new(u, is_union ? LANG_T_UNION : LANG_T_STRUCT, name, strlen(name));
	if (!t)
		return NULL;
	t->is_incomplete = 1;
	t->ref = *ref;
	if (*d->name && !tag)
		return name_add(u, NAME_TAG, name, strlen(name), t) ? t : NULL;
	return t;
}

/* ---------------------------------------------------------------------------- others */

/* A typedef: its name for what it stands for. */
static const struct lang_type *alias(struct unit *u, const struct type_desc *d)
{
	const struct lang_type *to = import(u, &d->to);
	struct lang_type *t;

	if (!to || !*d->name || to == &lang_type_void)
		return to;
	if (to->kind == LANG_T_STRUCT || to->kind == LANG_T_UNION || to->is_enum) {
		t = (struct lang_type *)to;
		if (!strcmp(to->name, "struct") || !strcmp(to->name, "union") ||
			!strcmp(to->name, "enum"))
			t->name = arena_copy(u->scope->arena, d->name, strlen(d->name));
		return t->name ? t : NULL;
	}
	t = type_new(u, to->kind, d->name, strlen(d->name));
	if (t) {
		const char *name = t->name;
		*t = *to;
		t->name = name;
	}
	return t;
}

static const struct lang_type *bytes(struct unit *u, uint64_t n)
{
	return n && n <= INT32_MAX
		       ? array_of(u, 0, lang_type_named("uint8_t", 7), (uint32_t)n)
		       : NULL;
}

static const struct lang_type *array(struct unit *u, const struct type_desc *d)
{
	const struct lang_type *to = import(u, &d->to);
	uint64_t size;

	if (!to || to->kind == LANG_T_VOID || to->kind == LANG_T_FUNCTION ||
		!type_complete(u, to) || d->count > INT32_MAX ||
		__builtin_mul_overflow(d->count, (uint64_t)to->size, &size) ||
		size > INT32_MAX || to->depth >= LANG_DEPTH_MAX)
		return NULL;
	return array_of(u, 0, to, (uint32_t)d->count);
}

static const struct lang_type *made_of(
	struct unit *u, const struct type_ref *ref, const struct type_desc *d)
{
	const struct lang_type *to;
	struct lang_type *t;

	switch (d->kind) {
	case TYPE_INT:
		return integer(u, d, *d->name ? d->name : "int");
	case TYPE_FLOAT:
		t = type_new(u, LANG_T_FLOAT, d->name, strlen(d->name));
		if (t)
			t->size = (uint32_t)(d->size <= 16 ? d->size : 16);
		return t;
	case TYPE_POINTER:
		to = import(u, &d->to);
		return to ? pointer_to(u, to) : NULL;
	case TYPE_FUNCTION:
		to = import(u, &d->to);
		return to && to->kind != LANG_T_ARRAY && to->kind != LANG_T_FUNCTION
			       ? function_to(u, to)
			       : NULL;
	case TYPE_ARRAY:
		return array(u, d);
	case TYPE_STRUCT:
	case TYPE_UNION:
		return structure(u, ref, d);
	case TYPE_ENUM:
		return enumeration(u, ref, d);
	case TYPE_ALIAS:
		return alias(u, d);
	case TYPE_VOID:
		return &lang_type_void;
	default:
		return bytes(u, d->size);
	}
}

static const struct lang_type *import(struct unit *u, const struct type_ref *ref)
{
	const struct type_source *s = u->src->types;
	const struct lang_type *t;
	struct type_desc d;

	if (!ref->file)
		return &lang_type_void;
	t = hash_get(&u->scope->foreign, key_of(ref));
	if (t || u->importing >= IMPORTING_MAX || s->describe(s->arg, ref, &d) <= 0 ||
		strlen(d.name) > LANG_NAME_MAX)
		return t;
	u->importing++;
	t = made_of(u, ref, &d);
	u->importing--;
	if (t && t != &lang_type_void &&
		hash_put(&u->scope->foreign, key_of(ref), (void *)t))
		return NULL;
	return t;
}

const struct lang_type *type_import(struct unit *u, const struct type_ref *ref)
{
	return u->src->types ? import(u, ref) : NULL;
}

const struct lang_type *type_of_victim(struct unit *u, const char *text, size_t len)
{
	struct type_ref ref;
	char name[4 * LANG_NAME_MAX];

	if (!u->src->types || len >= sizeof name || builtin_find(text, len) ||
		func_find(text, len) || name_find(u, NAME_ENUMERATOR, text, len))
		return NULL;
	memcpy(name, text, len);
	name[len] = 0;
	if (var_find(u, LANG_V_GLOBAL, name) || var_find(u, LANG_V_INLINE, name) ||
		!find(u, name, &ref))
		return NULL;
	return import(u, &ref);
}

/* ----------------------------------------------------------------------------- args */

/* What the probes of this clause have in common. */
static int read_params(struct unit *u, uint32_t at)
{
	const struct type_source *s = u->src->types;
	const char *(*descs)[LANG_PARTS];
	const char *why = "there is no debug information";
	unsigned n = 0;
	int got;

	u->params_of = u->clause;
	for (const struct lang_desc *d = u->clause->descs; d; d = d->next)
		n++;
	descs = arena_alloc(u->arena, n * sizeof *descs);
	u->params = arena_alloc(u->arena, sizeof *u->params);
	if (!descs || !u->params)
		return DTPROC_ENOMEM;
	n = 0;
	for (const struct lang_desc *d = u->clause->descs; d; d = d->next, n++)
		memcpy(descs[n], d->part, sizeof descs[n]);
	got = s ? s->params(s->arg, (const char *const(*)[4])descs, n, u->params, &why)
		: 0;
	if (got > 0)
		return 0;
	return fail(u, at, got < 0 ? "D_ARGS_MULTI" : "D_ARGS_NONE", "",
		got < 0 ? "args[ ] are not the same for all probes of this clause: %s"
			: "args[ ] may not be referenced here: %s",
		why);
}

int check_args(struct unit *u, struct lang_node **node)
{
	struct lang_node *n = *node, *index = n->args, *cast;
	const struct lang_type *t;
	char name[8];
	uint64_t i;

	if (!u->clause || n->n_args != 1)
		return fail(u, n->at, "D_ARGS_NONE", "", "args[ ] needs a probe");
	if (check_expression(u, &n->args))
		return DTPROC_ESYNTAX;
	index = n->args;
	if (index->kind != LANG_N_INT)
		return fail(u, index->at, "D_ARGS_TYPE", "",
			"args[ ] index must be an integer constant");
	if (u->params_of != u->clause && read_params(u, n->at))
		return DTPROC_ESYNTAX;
	i = index->value;
	if (i >= u->params->n)
		return fail(u, index->at, "D_ARGS_IDX", "",
			"index %lld is out of range: the function has %u parameter%s",
			(long long)i, u->params->n, u->params->n == 1 ? "" : "s");
	t = u->params->at[i].slot < 0 ? NULL : type_import(u, &u->params->at[i].type);
	if (!t || !lang_type_is_scalar(t))
		return fail(u, index->at, "D_ARGS_TYPE", "", "args[%u] cannot be had: %s",
			(unsigned)i,
			u->params->at[i].slot < 0 ? u->params->at[i].why
						  : "its type is not known");
	snprintf(name, sizeof name, "arg%d", u->params->at[i].slot);
	n->left->kind = LANG_N_BUILTIN;
	n->left->builtin = builtin_find(name, 4);
	n->left->type = n->left->builtin->type;
	cast = node_new(u, LANG_N_CAST, n->at);
	if (!cast)
		return DTPROC_ENOMEM;
	cast->left = n->left;
	cast->type = t;
	u->clause->uses_args = 1;
	*node = node_grown(u, cast);
	return *node ? 0 : DTPROC_ESYNTAX;
}
