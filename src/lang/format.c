/* SPDX-License-Identifier: BSD-2-Clause */
/* printf() and printa() formats: taking them apart, and their arguments' types. */
#include "parts.h"

#include <stdio.h>
#include <string.h>

#define CONVS_MAX 256
#define WIDTH_MAX 4096

/* What a conversion takes. */
enum takes {
	TAKES_NOTHING,
	TAKES_INTEGER,
	TAKES_CHARACTER, /* an integer of 4 bytes at most */
	TAKES_TIME,      /* one of 8 bytes */
	TAKES_ADDRESS,   /* an integer or a pointer */
	TAKES_STRING,
	TAKES_WIDE, /* an array of wchar_t */
	TAKES_FLOAT,
	TAKES_STACK,
};

/* `lengths`: the prefixes that it may have; q stands for ll, - for none. */
static const struct {
	char conv;
	const char *lengths;
	enum takes takes;
} table[] = {
	{'a', "-", TAKES_ADDRESS},
	{'A', "-", TAKES_ADDRESS},
	{'c', "-lw", TAKES_CHARACTER},
	{'C', "-", TAKES_CHARACTER},
	{'d', "-hlq", TAKES_INTEGER},
	{'e', "-L", TAKES_FLOAT},
	{'E', "-L", TAKES_FLOAT},
	{'f', "-L", TAKES_FLOAT},
	{'g', "-L", TAKES_FLOAT},
	{'G', "-L", TAKES_FLOAT},
	{'i', "-hlq", TAKES_INTEGER},
	{'k', "-", TAKES_STACK},
	{'o', "-hlq", TAKES_INTEGER},
	{'p', "-", TAKES_ADDRESS},
	{'s', "-", TAKES_STRING},
	{'s', "lw", TAKES_WIDE},
	{'S', "-", TAKES_STRING},
	{'T', "-", TAKES_TIME},
	{'u', "-hlq", TAKES_INTEGER},
	{'x', "-hlq", TAKES_INTEGER},
	{'X', "-hlq", TAKES_INTEGER},
	{'Y', "-", TAKES_TIME},
};

static const char *const expected[] = {
	[TAKES_INTEGER] = "expected an integer",
	[TAKES_CHARACTER] = "expected a char, short or int",
	[TAKES_TIME] = "expected a 64-bit integer, as walltimestamp",
	[TAKES_ADDRESS] = "expected a pointer or an integer",
	[TAKES_STRING] = "expected a string or char [] (or use stringof)",
	[TAKES_WIDE] = "expected an array of wchar_t",
	[TAKES_FLOAT] = "expected a float, double or long double",
	[TAKES_STACK] = "expected a stack",
};

static enum takes takes(const struct lang_conv *c)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].conv == c->conv &&
			strchr(table[i].lengths, c->length ? c->length : '-'))
			return table[i].takes;
	return TAKES_NOTHING;
}

/* ------------------------------------------------------------------------- parsing */

/* A width or precision; its last digit, or NULL when it is too large. */
static const char *number(const char *p, int *value)
{
	for (*value = 0; *p >= '0' && *p <= '9'; p++) {
		*value = *value * 10 + *p - '0';
		if (*value > WIDTH_MAX)
			return NULL;
	}
	return p - 1;
}

/* Takes a character that is a flag: 1. */
static int flag(struct lang_conv *c, char at)
{
	switch (at) {
	case '-':
		c->minus = 1;
		c->zero = 0;
		return 1;
	case '+':
		c->plus = 1;
		return 1;
	case ' ':
		c->space = 1;
		return 1;
	case '#':
		c->alt = 1;
		return 1;
	case '\'':
		c->group = 1;
		return 1;
	case '@':
		c->at = 1;
		return 1;
	case '?': /* as wide as a pointer */
		c->width = 16;
		return 1;
	default:
		return 0;
	}
}

/* Takes a length's letter: 1. */
static int length(struct lang_conv *c, char at)
{
	if (!at || !strchr("hlLw", at))
		return 0;
	c->length = c->length == 'l' && at == 'l' ? 'q' : c->length ? '!' : at;
	return 1;
}

/*
 * What stands between % and the letter: in any order, as DTrace has it.  Where the letter
 * is, or NULL.
 */
static const char *modifiers(const char *p, struct lang_conv *c, const char **why)
{
	int *size = &c->width;

	for (; p; p++) {
		if (*p == '0' && *size == -1 && size == &c->width) {
			c->zero = 1;
			c->minus = 0;
		} else if (*p >= '0' && *p <= '9') {
			*why = "a width is too large";
			p = number(p, size);
			if (!p)
				return NULL;
		} else if (*p == '.') {
			*why = "there is a second '.'";
			if (size == &c->precision)
				return NULL;
			size = &c->precision;
			*size = 0;
		} else if (*p == '*') {
			*why = "there is a second '*'";
			if (*size == LANG_STAR)
				return NULL;
			*size = LANG_STAR;
		} else if (!flag(c, *p) && !length(c, *p)) {
			return p;
		}
	}
	return NULL;
}

/* One conversion behind its '%'; where it ends, or NULL with *why set. */
static const char *conversion(
	const char *p, struct lang_conv *c, struct lang_format *f, const char **why)
{
	const char *start = p;

	p = modifiers(p, c, why);
	if (!p)
		return NULL;
	c->conv = *p;
	if (*p == '%') {
		*why = "%% has no flags";
		return p == start ? p + 1 : NULL;
	}
	*why = !*p         ? "it ends inside a conversion"
	       : *p == '$' ? "there are no positional formats (%n$)"
			   : "there is no such conversion";
	if (!*p || takes(c) == TAKES_NOTHING)
		return NULL;
	if (c->width == LANG_STAR)
		c->width_arg = (int)f->args++;
	if (c->precision == LANG_STAR)
		c->precision_arg = (int)f->args++;
	c->arg = (int)(c->at ? f->aggs++ : f->args++);
	return p + 1;
}

int format_parse(
	struct unit *u, const struct lang_node *text, const struct lang_format **out)
{
	struct lang_format *f = arena_alloc(u->arena, sizeof *f);
	const char *p = text->text, *why = NULL;
	unsigned n = 1;

	for (const char *c = p; (c = strchr(c, '%')); c++)
		n++;
	if (n > CONVS_MAX)
		return fail(u, text->at, "D_PRINTF_FMT", "", "more than %d conversions",
			CONVS_MAX);
	if (!f || !(f->convs = arena_alloc(u->arena, n * sizeof *f->convs)))
		return DTPROC_ENOMEM;
	do {
		size_t len = strcspn(p, "%");
		struct lang_conv *c = &f->convs[f->n++];
		*c = (struct lang_conv){.width = -1,
			.precision = -1,
			.width_arg = -1,
			.precision_arg = -1,
			.arg = -1};
		c->text = arena_copy(u->arena, p, len);
		if (!c->text)
			return DTPROC_ENOMEM;
		p += len;
		if (*p && !(p = conversion(p + 1, c, f, &why)))
			return fail(u, text->at, "D_PRINTF_FMT", why,
				"format conversion #%u cannot be read", f->n);
	} while (*p);
	*out = f;
	return 0;
}

/* ----------------------------------------------------------------------- arguments */

static int is_sized(const struct lang_type *t, char length)
{
	return !length || t->size == (length == 'h' ? 2u : 8u);
}

static int is_array_of(const struct lang_type *t, uint32_t size)
{
	return t->kind == LANG_T_ARRAY && t->to->kind == LANG_T_INT &&
	       t->to->size == size;
}

/* Can this conversion print a value of that type? */
static int fits(const struct lang_conv *c, const struct lang_type *t)
{
	int is_integer = lang_type_is_integer(t);

	switch (takes(c)) {
	case TAKES_INTEGER:
		return is_integer && is_sized(t, c->length);
	case TAKES_CHARACTER:
		return is_integer && t->size <= 4;
	case TAKES_TIME:
		return is_integer && t->size == 8;
	case TAKES_ADDRESS:
		return lang_type_is_scalar(t) ||
		       (c->conv != 'p' && t->kind == LANG_T_ADDRESS);
	case TAKES_STACK:
		return t->kind == LANG_T_STACK;
	case TAKES_STRING:
		return t->kind == LANG_T_STRING || is_array_of(t, 1);
	case TAKES_WIDE:
		return is_array_of(t, 4);
	case TAKES_FLOAT:
		return t->kind == LANG_T_FLOAT && (!c->length || t->size == 16);
	default:
		return 0;
	}
}

static const char *prefix(const struct lang_conv *c)
{
	static const char letters[] = "hlLwq";
	static const char *const prefixes[] = {"h", "l", "L", "w", "ll"};
	const char *at = c->length ? strchr(letters, c->length) : NULL;

	return at ? prefixes[at - letters] : "";
}

/* `what` is the value, in words. */
static int check_type(struct unit *u, uint32_t at, const char *name, const char *what,
	const struct lang_conv *c, unsigned conv, const struct lang_type *t)
{
	if (fits(c, t))
		return 0;
	return fail(u, at, "D_PRINTF_ARG_TYPE",
		takes(c) == TAKES_INTEGER && lang_type_is_integer(t)
			? "expected another size (or none in the format)"
			: expected[takes(c)],
		"%s( ) %s is incompatible with conversion #%u (%%%s%c): it is a %s", name,
		what, conv, prefix(c), c->conv, t->name);
}

static struct lang_node *argument(struct lang_node *call, int i)
{
	struct lang_node *n = call->args->next;

	while (n && i--)
		n = n->next;
	return n;
}

static int check_star(struct unit *u, struct lang_node *call, int arg, unsigned conv)
{
	struct lang_node *n;

	if (arg < 0)
		return 0;
	n = argument(call, arg);
	if (!n)
		return fail(u, call->at, "D_PRINTF_DYN_PROTO", "",
			"%s( ) prototype mismatch: conversion #%u (*) is missing its argument",
			call->text, conv);
	if (!lang_type_is_integer(n->type))
		return fail(u, n->at, "D_PRINTF_DYN_TYPE", "expected an integer",
			"%s( ) argument of conversion #%u (*) is a %s", call->text, conv,
			n->type->name);
	return 0;
}

static int missing(struct unit *u, const struct lang_node *call,
	const struct lang_conv *c, unsigned conv)
{
	return fail(u, call->at, "D_PRINTF_ARG_PROTO", "",
		"%s( ) prototype mismatch: conversion #%u (%%%s%c) is missing a "
		"corresponding value argument",
		call->text, conv, prefix(c), c->conv);
}

static int check_value(
	struct unit *u, struct lang_node *call, const struct lang_conv *c, unsigned conv)
{
	struct lang_node *n = argument(call, c->arg);
	char what[32];

	if (c->at)
		return fail(u, call->at, "D_PRINTF_AGG_CONV", "only printa( ) has it",
			"%s( ) conversion #%u (%%@) prints an aggregation", call->text,
			conv);
	if (!n)
		return missing(u, call, c, conv);
	snprintf(what, sizeof what, "argument #%d", c->arg + 2);
	return check_type(u, n->at, call->text, what, c, conv, n->type);
}

int check_format_args(struct unit *u, struct lang_node *call)
{
	const struct lang_format *f = call->format;

	for (unsigned i = 0; i < f->n; i++) {
		const struct lang_conv *c = &f->convs[i];
		if (check_star(u, call, c->width_arg, i + 1) ||
			check_star(u, call, c->precision_arg, i + 1) ||
			(c->arg >= 0 && check_value(u, call, c, i + 1)))
			return DTPROC_ESYNTAX;
	}
	if (f->args < call->n_args - 1)
		return fail(u, argument(call, (int)f->args)->at, "D_PRINTF_ARG_EXTRA", "",
			"%s( ) prototype mismatch: only %u argument%s required by this format "
			"string",
			call->text, f->args, f->args == 1 ? "" : "s");
	return 0;
}

/* -------------------------------------------------------------------------- printa */

static int check_key_star(struct unit *u, const struct lang_node *call,
	const struct lang_agg *agg, int arg, unsigned conv)
{
	if (arg < 0)
		return 0;
	if ((unsigned)arg >= agg->n_keys)
		return fail(u, call->at, "D_PRINTF_DYN_PROTO", "",
			"%s( ) prototype mismatch: conversion #%u (*) is missing its key",
			call->text, conv);
	if (!lang_type_is_integer(agg->keys[arg]))
		return fail(u, call->at, "D_PRINTF_DYN_TYPE", "expected an integer",
			"%s( ) key #%d of conversion #%u (*) is a %s", call->text,
			arg + 1, conv, agg->keys[arg]->name);
	return 0;
}

static int check_key(struct unit *u, const struct lang_node *call,
	const struct lang_agg *agg, const struct lang_conv *c, unsigned conv)
{
	char what[32];

	if (check_key_star(u, call, agg, c->width_arg, conv) ||
		check_key_star(u, call, agg, c->precision_arg, conv))
		return DTPROC_ESYNTAX;
	if (c->arg < 0)
		return 0;
	if (c->at)
		return check_type(u, call->at, call->text, "the aggregation", c, conv,
			&lang_type_long);
	if ((unsigned)c->arg >= agg->n_keys)
		return missing(u, call, c, conv);
	snprintf(what, sizeof what, "key #%d", c->arg + 1);
	return check_type(u, call->at, call->text, what, c, conv, agg->keys[c->arg]);
}

/* Are these keys of one kind? */
static int are_alike(const struct lang_type *a, const struct lang_type *b)
{
	return a->kind == b->kind || (lang_type_is_scalar(a) && lang_type_is_scalar(b));
}

/* Aggregations are joined by their keys: these must have the same ones. */
static int check_joined(
	struct unit *u, const struct lang_node *first, const struct lang_node *other)
{
	const struct lang_agg *a = first->agg, *b = other->agg;

	if (a->n_keys != b->n_keys)
		return fail(u, other->at, "D_PRINTA_AGGKEY", "",
			"printa( ): @%s and @%s do not have matching key signatures: @%s "
			"has %u key%s, @%s has %u key%s",
			a->name, b->name, a->name, a->n_keys, a->n_keys == 1 ? "" : "s",
			b->name, b->n_keys, b->n_keys == 1 ? "" : "s");
	for (unsigned i = 0; i < a->n_keys; i++)
		if (!are_alike(a->keys[i], b->keys[i]))
			return fail(u, other->at, "D_PRINTA_AGGPROTO", "",
				"printa( ): @%s[ ] key #%u is incompatible with @%s: it is "
				"a %s, not a %s",
				b->name, i + 1, a->name, b->keys[i]->name,
				a->keys[i]->name);
	return 0;
}

int check_printa_args(struct unit *u, const struct lang_node *call)
{
	const struct lang_node *first = call->format ? call->args->next : call->args;
	unsigned n = call->format ? call->format->n : 0;

	for (unsigned i = 0; i < n; i++)
		if (check_key(u, call, first->agg, &call->format->convs[i], i + 1))
			return DTPROC_ESYNTAX;
	for (const struct lang_node *a = first->next; a; a = a->next)
		if (check_joined(u, first, a))
			return DTPROC_ESYNTAX;
	return 0;
}
