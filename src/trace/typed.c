/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * print(): a value with its type, member by member, as DTrace's.  The type is the
 * compiler's, the bytes are a record's: no more of them is read than there are.
 */
#include <ctype.h>
#include <string.h>
#include "own.h"

#define INDENT 4

struct value {
	const struct lang_type *type;
	const unsigned char *bytes;
	size_t n; /* of them */
};

static void print_value(const struct value *v, int indent, FILE *out);

static uint64_t number(const struct value *v, size_t size)
{
	uint64_t n = 0;

	memcpy(&n, v->bytes, size < v->n ? size < 8 ? size : 8 : v->n < 8 ? v->n : 8);
	return n;
}

static int is_char(const struct lang_type *t)
{
	return t->kind == LANG_T_INT && t->size == 1 && t->is_signed && !t->is_enum;
}

static void print_char(uint8_t c, FILE *out)
{
	if (isprint(c))
		fprintf(out, "'%c'", c);
	else if (!c)
		fputs("'\\0'", out);
	else
		fprintf(out, "'\\%03o'", c);
}

static void print_integer(const struct value *v, FILE *out)
{
	const struct lang_type *t = v->type;
	int64_t n = (int64_t)lang_type_fit(t, number(v, t->size));

	for (uint32_t i = 0; t->is_enum && i < t->n_enums; i++)
		if (t->enums[i].value == n) {
			fputs(t->enums[i].name, out);
			return;
		}
	if (t->is_enum)
		fprintf(out, "%lld", (long long)n);
	else if (is_char(t))
		print_char((uint8_t)n, out);
	else
		fprintf(out, "%#llx", (unsigned long long)number(v, t->size));
}

static void print_float(const struct value *v, FILE *out)
{
	long double whole = 0;
	double d;
	float f;

	if (v->n < v->type->size) {
		fputs("<cut>", out);
	} else if (v->type->size == sizeof f) {
		memcpy(&f, v->bytes, sizeof f);
		fprintf(out, "%+.7e", (double)f);
	} else if (v->type->size == sizeof d) {
		memcpy(&d, v->bytes, sizeof d);
		fprintf(out, "%+.7e", d);
	} else if (v->type->size == sizeof whole) {
		memcpy(&whole, v->bytes, sizeof whole);
		fprintf(out, "%+.16Le", whole);
	} else {
		fputs("<unknown encoding>", out);
	}
}

/* The part of a value at an offset. */
static struct value part(
	const struct value *v, const struct lang_type *t, uint64_t offset)
{
	size_t at = offset < v->n ? (size_t)offset : v->n;

	return (struct value){t, v->bytes + at, v->n - at};
}

static int is_aggregate(const struct lang_type *t)
{
	return t->kind == LANG_T_STRUCT || t->kind == LANG_T_UNION;
}

/* Printable characters, and a zero behind them? */
static int is_text(const struct value *v)
{
	size_t n = v->type->size < v->n ? v->type->size : v->n, i = 0;

	if (!is_char(v->type->to))
		return 0;
	while (i < n && isprint(v->bytes[i]))
		i++;
	return i < n && !v->bytes[i];
}

static void print_elements(const struct value *v, int indent, FILE *out)
{
	const struct lang_type *t = v->type->to;
	uint32_t n = v->type->n;

	for (uint32_t i = 0; i < n; i++) {
		struct value e = part(v, t, (uint64_t)i * t->size);

		if (!e.n && t->size)
			break;
		if (is_aggregate(t))
			fprintf(out, "\n%*s%s ", indent + INDENT, "", t->name);
		print_value(&e, indent + INDENT, out);
		if (i + 1 < n)
			fputs(", ", out);
		else if (is_aggregate(t))
			fprintf(out, "\n%*s", indent, "");
	}
}

static void print_array(const struct value *v, int indent, FILE *out)
{
	fputs("[ ", out);
	if (is_text(v))
		fprintf(out, "\"%s\" ]", (const char *)v->bytes);
	else {
		print_elements(v, indent, out);
		fputs(v->type->n && is_aggregate(v->type->to) ? "]" : " ]", out);
	}
}

/* "int x = ", "char *x = ", "unsigned int x :3 = " */
static void print_name(const struct lang_member *m, FILE *out)
{
	const char *type = m->type->name;
	size_t len = strlen(type);

	fprintf(out, "%s%s%s", type, len && type[len - 1] == '*' ? "" : " ", m->name);
	if (m->bits)
		fprintf(out, " :%u", m->bits);
	fputs(*m->name ? " = " : "", out);
}

static void print_bits(const struct value *owner, const struct lang_member *m, FILE *out)
{
	struct value unit = part(owner, m->type, m->offset);
	uint64_t n = number(&unit, m->unit) >> m->bit;

	fprintf(out, "%#llx",
		(unsigned long long)(m->bits < 64 ? n & ((1ull << m->bits) - 1) : n));
}

static void print_members(const struct value *v, int indent, FILE *out)
{
	fputs("{\n", out);
	for (uint32_t i = 0; i < v->type->n_members; i++) {
		const struct lang_member *m = &v->type->members[i];
		struct value of = part(v, m->type, m->offset);

		fprintf(out, "%*s", indent + INDENT, "");
		print_name(m, out);
		if (m->bits)
			print_bits(v, m, out);
		else
			print_value(&of, indent + INDENT, out);
		fputc('\n', out);
	}
	fprintf(out, "%*s}", indent, "");
}

static void print_value(const struct value *v, int indent, FILE *out)
{
	switch (v->type->kind) {
	case LANG_T_INT:
		print_integer(v, out);
		break;
	case LANG_T_FLOAT:
		print_float(v, out);
		break;
	case LANG_T_ARRAY:
		print_array(v, indent, out);
		break;
	case LANG_T_STRUCT:
	case LANG_T_UNION:
		print_members(v, indent, out);
		break;
	default:
		fprintf(out, "%#llx", (unsigned long long)number(v, 8));
	}
}

void trace_print_typed(
	const struct lang_type *type, const void *bytes, size_t n, FILE *out)
{
	struct value v = {type, bytes, n};

	fprintf(out, "%s ", type->name);
	if (type->kind == LANG_T_STRING) {
		fprintf(out, "\"%.*s\"", (int)strnlen(bytes, n), (const char *)bytes);
	} else if (type->kind == LANG_T_ARRAY && is_text(&v)) {
		fprintf(out, "\"%s\"", (const char *)bytes);
	} else {
		print_value(&v, 0, out);
	}
	fputc('\n', out);
}
