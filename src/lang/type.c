/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Types: those of the table below, and what is derived from others.
 *
 * Sizes are those of DTrace's LP64 data model.  A value of any integer type is carried as
 * 64 bits, always cut to its size and extended by its sign; so converting to a wider
 * type of the same sign costs nothing, and comparing 64 bits compares the values.
 */
#include "parts.h"

#include <stdio.h>
#include <string.h>

#define INT_TYPE(name_, size_, signed_, rank_)                                           \
	{                                                                                \
		.kind = LANG_T_INT, .size = size_, .is_signed = signed_, .rank = rank_,  \
		.name = name_                                                            \
	}

const struct lang_type lang_type_void = {.kind = LANG_T_VOID, .name = "void"};
const struct lang_type lang_type_int = INT_TYPE("int", 4, 1, 3);
const struct lang_type lang_type_uint = INT_TYPE("unsigned int", 4, 0, 3);
const struct lang_type lang_type_long = INT_TYPE("long", 8, 1, 4);
const struct lang_type lang_type_ulong = INT_TYPE("unsigned long", 8, 0, 4);
const struct lang_type lang_type_string = {
	.kind = LANG_T_STRING, .size = LANG_STRSIZE, .name = "string"};
const struct lang_type lang_type_dyn = {.kind = LANG_T_DYN, .name = "<DYN>"};
const struct lang_type lang_type_action = {.kind = LANG_T_ACTION, .name = "void"};

static const struct lang_type types[] = {
	{.kind = LANG_T_FLOAT, .size = 4, .name = "float"},
	{.kind = LANG_T_FLOAT, .size = 8, .name = "double"},
	{.kind = LANG_T_FLOAT, .size = 16, .name = "long double"},
	INT_TYPE("char", 1, 1, 1),
	INT_TYPE("signed char", 1, 1, 1),
	INT_TYPE("unsigned char", 1, 0, 1),
	INT_TYPE("short", 2, 1, 2),
	INT_TYPE("unsigned short", 2, 0, 2),
	INT_TYPE("long long", 8, 1, 5),
	INT_TYPE("unsigned long long", 8, 0, 5),
	INT_TYPE("int8_t", 1, 1, 1),
	INT_TYPE("int16_t", 2, 1, 2),
	INT_TYPE("int32_t", 4, 1, 3),
	INT_TYPE("int64_t", 8, 1, 4),
	INT_TYPE("uint8_t", 1, 0, 1),
	INT_TYPE("uint16_t", 2, 0, 2),
	INT_TYPE("uint32_t", 4, 0, 3),
	INT_TYPE("uint64_t", 8, 0, 4),
	INT_TYPE("intptr_t", 8, 1, 4),
	INT_TYPE("uintptr_t", 8, 0, 4),
	INT_TYPE("size_t", 8, 0, 4),
	INT_TYPE("ssize_t", 8, 1, 4),
	INT_TYPE("off_t", 8, 1, 4),
	INT_TYPE("time_t", 8, 1, 4),
	INT_TYPE("hrtime_t", 8, 1, 4),
	INT_TYPE("pid_t", 4, 1, 3),
	INT_TYPE("id_t", 4, 1, 3),
	INT_TYPE("uid_t", 4, 0, 3),
	INT_TYPE("gid_t", 4, 0, 3),
	INT_TYPE("mode_t", 4, 0, 3),
	INT_TYPE("dev_t", 8, 0, 4),
	INT_TYPE("processorid_t", 4, 1, 3),
	INT_TYPE("uchar_t", 1, 0, 1),
	INT_TYPE("ushort_t", 2, 0, 2),
	INT_TYPE("uint_t", 4, 0, 3),
	INT_TYPE("ulong_t", 8, 0, 4),
	INT_TYPE("longlong_t", 8, 1, 5),
	INT_TYPE("u_longlong_t", 8, 0, 5),
	INT_TYPE("u_char", 1, 0, 1),
	INT_TYPE("u_short", 2, 0, 2),
	INT_TYPE("u_int", 4, 0, 3),
	INT_TYPE("u_long", 8, 0, 4),
	INT_TYPE("ptrdiff_t", 8, 1, 4),
	INT_TYPE("intmax_t", 8, 1, 4),
	INT_TYPE("uintmax_t", 8, 0, 4),
	INT_TYPE("clock_t", 8, 1, 4),
	INT_TYPE("clockid_t", 4, 1, 3),
	INT_TYPE("ino_t", 8, 0, 4),
	INT_TYPE("nlink_t", 8, 0, 4),
	INT_TYPE("major_t", 4, 0, 3),
	INT_TYPE("minor_t", 4, 0, 3),
	INT_TYPE("zoneid_t", 4, 1, 3),
	INT_TYPE("taskid_t", 4, 1, 3),
	INT_TYPE("projid_t", 4, 1, 3),
	INT_TYPE("poolid_t", 4, 1, 3),
	INT_TYPE("boolean_t", 4, 1, 3),
	INT_TYPE("_Bool", 1, 0, 1),
};
#define N_TYPES (sizeof types / sizeof types[0])

static const struct lang_type *const basic[] = {&lang_type_void, &lang_type_int,
	&lang_type_uint, &lang_type_long, &lang_type_ulong, &lang_type_string};

static int named(const struct lang_type *t, const char *name, size_t len)
{
	return strlen(t->name) == len && !memcmp(t->name, name, len);
}

const struct lang_type *lang_type_named(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof basic / sizeof basic[0]; i++)
		if (named(basic[i], name, len))
			return basic[i];
	for (size_t i = 0; i < N_TYPES; i++)
		if (named(&types[i], name, len))
			return &types[i];
	return NULL;
}

int lang_type_is_integer(const struct lang_type *t)
{
	return t->kind == LANG_T_INT;
}

int lang_type_is_bytes(const struct lang_type *t)
{
	return t->kind == LANG_T_STRUCT || t->kind == LANG_T_UNION ||
	       t->kind == LANG_T_ARRAY || t->kind == LANG_T_FLOAT;
}

int lang_type_is_trace(const struct lang_type *t)
{
	return t->kind == LANG_T_STACK || t->kind == LANG_T_ADDRESS;
}

int lang_type_is_scalar(const struct lang_type *t)
{
	return t->kind == LANG_T_INT || t->kind == LANG_T_POINTER;
}

uint64_t lang_type_fit(const struct lang_type *t, uint64_t v)
{
	unsigned shift = 64 - 8 * t->size;

	if (!lang_type_is_scalar(t) || t->size >= 8)
		return v;
	v <<= shift;
	return t->is_signed ? (uint64_t)((int64_t)v >> shift) : v >> shift;
}

const struct lang_type *promoted(const struct lang_type *t)
{
	return t->rank < lang_type_int.rank ? &lang_type_int : t;
}

static const struct lang_type *unsigned_of(const struct lang_type *t)
{
	if (!t->is_signed)
		return t;
	return t->rank == lang_type_int.rank ? &lang_type_uint
	       : t->rank == lang_type_long.rank
		       ? &lang_type_ulong
		       : lang_type_named("unsigned long long", 18);
}

const struct lang_type *balanced(const struct lang_type *a, const struct lang_type *b)
{
	const struct lang_type *wide, *other;

	a = promoted(a);
	b = promoted(b);
	if (a->is_signed == b->is_signed)
		return a->rank >= b->rank ? a : b;
	wide = a->rank >= b->rank ? a : b;
	other = wide == a ? b : a;
	if (wide->rank == other->rank)
		return wide->is_signed ? other : wide;
	if (!wide->is_signed || wide->size > other->size)
		return wide;
	return unsigned_of(wide);
}

/* ----------------------------------------------------------------- derived types */

struct lang_type *type_new(
	struct unit *u, enum lang_type_kind kind, const char *name, size_t len)
{
	struct lang_type *t = arena_alloc(u->scope->arena, sizeof *t);

	if (!t)
		return NULL;
	t->kind = kind;
	t->name = arena_copy(u->scope->arena, name, len);
	return t->name ? t : NULL;
}

/*
 * A type's name with `part` where C writes it: "int" and "*" make "int *", "int [3]" and
 * "*" make "int (*)[3]", "int (*)()" and "[4]" make "int (*[4])()".
 */
static const char *name_with(struct unit *u, const char *name, const char *part)
{
	const char *at = strstr(name, "(*"), *open = "", *close = "";
	size_t room = strlen(name) + strlen(part) + 4;
	char *out = arena_alloc(u->arena, room);

	if (at) {
		at++;
		at += strspn(at, "*");
	} else if ((at = strpbrk(name, "[(")) && *part == '*') {
		open = "(";
		close = ")";
	} else if (!at) {
		at = name + strlen(name);
		if (at > name && at[-1] != '*')
			open = " ";
	}
	if (out)
		snprintf(out, room, "%.*s%s%s%s%s", (int)(at - name), name, open, part,
			close, at);
	return out;
}

static struct lang_type *derived(struct unit *u, enum lang_type_kind kind,
	const struct lang_type *to, const char *part)
{
	const char *name = name_with(u, to->name, part);
	struct lang_type *t = name ? type_new(u, kind, name, strlen(name)) : NULL;

	if (t)
		t->to = to;
	return t;
}

const struct lang_type *pointer_to(struct unit *u, const struct lang_type *to)
{
	struct lang_type *t = derived(u, LANG_T_POINTER, to, "*");

	if (t)
		t->size = 8;
	return t;
}

const struct lang_type *array_of(
	struct unit *u, uint32_t at, const struct lang_type *to, uint32_t n)
{
	struct lang_type *t;
	char part[16];

	snprintf(part, sizeof part, n ? "[%u]" : "[]", n);
	t = derived(u, LANG_T_ARRAY, to, part);
	if (!t)
		return NULL;
	t->n = n;
	t->align = to->align ? to->align : to->size;
	t->depth = (uint8_t)(to->depth + 1);
	if (to->depth >= LANG_DEPTH_MAX)
		fail(u, at, "D_SYNTAX", "", "type is nested too deeply");
	else if (__builtin_mul_overflow(to->size, n, &t->size) || t->size > INT32_MAX)
		fail(u, at, "D_DECL_ARRBIG", "", "array dimension too big");
	else
		return t;
	return NULL;
}

const struct lang_type *function_to(struct unit *u, const struct lang_type *to)
{
	return derived(u, LANG_T_FUNCTION, to, "()");
}

int type_same(const struct lang_type *a, const struct lang_type *b)
{
	for (; a != b; a = a->to, b = b->to) {
		if (a->kind != b->kind || a->size != b->size || a->n != b->n)
			return 0;
		if (!a->to || !b->to)
			return (a->kind == LANG_T_INT && a->is_signed == b->is_signed) ||
			       a->kind == LANG_T_VOID || a->kind == LANG_T_FLOAT ||
			       a->kind == LANG_T_STRING;
	}
	return 1;
}

const struct lang_type *type_of_constant(
	uint64_t value, int decimal, int is_unsigned, unsigned longs)
{
	static const struct {
		const struct lang_type *type;
		uint64_t limit;
		unsigned longs;
	} ladder[] = {
		{&lang_type_int, INT32_MAX, 0},
		{&lang_type_uint, UINT32_MAX, 0},
		{&lang_type_long, INT64_MAX, 1},
		{&lang_type_ulong, UINT64_MAX, 1},
	};
	for (size_t i = 0; i < sizeof ladder / sizeof ladder[0]; i++) {
		const struct lang_type *t = ladder[i].type;
		if (value > ladder[i].limit || ladder[i].longs < (longs > 0) ||
			(is_unsigned && t->is_signed) ||
			(decimal && !is_unsigned && !t->is_signed))
			continue;
		if (longs == 2)
			return lang_type_named(
				t->is_signed ? "long long" : "unsigned long long",
				t->is_signed ? 9 : 18);
		return t;
	}
	return NULL;
}

/* ------------------------------------------------------------------------ folding */

static uint64_t divide(int is_signed, uint64_t a, uint64_t b)
{
	if (!is_signed)
		return a / b;
	return b == UINT64_MAX ? -a : (uint64_t)((int64_t)a / (int64_t)b);
}

static uint64_t modulo(int is_signed, uint64_t a, uint64_t b)
{
	if (!is_signed)
		return a % b;
	return b == UINT64_MAX ? 0 : (uint64_t)((int64_t)a % (int64_t)b);
}

static int compare(int is_signed, uint64_t a, uint64_t b)
{
	if (is_signed)
		return ((int64_t)a > (int64_t)b) - ((int64_t)a < (int64_t)b);
	return (a > b) - (a < b);
}

static uint64_t shift_right(const struct lang_type *t, uint64_t a, uint64_t by)
{
	return t->is_signed ? (uint64_t)((int64_t)a >> by) : a >> by;
}

/* An operation whose result is 0 or 1; 1 when `op` is one. */
static int fold_truth(
	enum lang_op op, const struct lang_type *t, uint64_t a, uint64_t b, uint64_t *out)
{
	int order = compare(t->is_signed, a, b);
	const int truths[LANG_OPS] = {
		[LANG_OP_NOT] = !a,
		[LANG_OP_EQ] = order == 0,
		[LANG_OP_NE] = order != 0,
		[LANG_OP_LT] =
			order<0, [LANG_OP_LE] = order <= 0, [LANG_OP_GT] = order> 0,
		[LANG_OP_GE] = order >= 0,
		[LANG_OP_LAND] = a && b,
		[LANG_OP_LOR] = a || b,
		[LANG_OP_LXOR] = !a != !b,
	};

	if (op != LANG_OP_NOT && (op < LANG_OP_EQ || op > LANG_OP_GE) &&
		(op < LANG_OP_LOR || op > LANG_OP_LAND))
		return 0;
	*out = (uint64_t)truths[op];
	return 1;
}

/* An operation whose result has the operands' type, before it is cut; 1: it is one. */
static int fold_value(
	enum lang_op op, const struct lang_type *t, uint64_t a, uint64_t b, uint64_t *out)
{
	/* A shift counts modulo the width, as the machine does. */
	uint64_t by = b & (t->size == 8 ? 63 : 31);
	const uint64_t values[LANG_OPS] = {
		[LANG_OP_ADD] = a + b,
		[LANG_OP_SUB] = a - b,
		[LANG_OP_MUL] = a * b,
		[LANG_OP_DIV] = b ? divide(t->is_signed, a, b) : 0,
		[LANG_OP_MOD] = b ? modulo(t->is_signed, a, b) : 0,
		[LANG_OP_AND] = a & b,
		[LANG_OP_OR] = a | b,
		[LANG_OP_XOR] = a ^ b,
		[LANG_OP_LSH] = a << by,
		[LANG_OP_RSH] = shift_right(t, a, by),
		[LANG_OP_NEG] = -a,
		[LANG_OP_CPL] = ~a,
		[LANG_OP_PLUS] = a,
	};
	int unary = op == LANG_OP_NEG || op == LANG_OP_CPL || op == LANG_OP_PLUS;

	if (!unary && (op < LANG_OP_LSH || op > LANG_OP_MOD) &&
		(op < LANG_OP_OR || op > LANG_OP_AND))
		return 0;
	*out = values[op];
	return 1;
}

int lang_op_fold(
	enum lang_op op, const struct lang_type *t, uint64_t a, uint64_t b, uint64_t *out)
{
	uint64_t v;

	if ((op == LANG_OP_DIV || op == LANG_OP_MOD) && !b)
		return -1;
	if (fold_truth(op, t, a, b, out))
		return 0;
	if (!fold_value(op, t, a, b, &v))
		return -1;
	*out = lang_type_fit(t, v);
	return 0;
}
