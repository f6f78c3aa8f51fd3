/* SPDX-License-Identifier: BSD-2-Clause */
/* printf() formats: taking them apart, and their arguments' types. */
#include "parts.h"

#include <stdio.h>
#include <string.h>

#define CONVS_MAX 256
#define WIDTH_MAX 4096

/* What a conversion takes: i a number, s a string, @ an aggregation's value. */
static const struct {
	char conv, takes;
} kinds[] = {
	{'d', 'i'},
	{'i', 'i'},
	{'u', 'i'},
	{'o', 'i'},
	{'x', 'i'},
	{'X', 'i'},
	{'c', 'i'},
	{'p', 'i'},
	{'Y', 'i'},
	{'T', 'i'},
	{'a', 'i'},
	{'A', 'i'},
	{'s', 's'},
	{'S', 's'},
	{'@', '@'},
};

static char takes(char conv)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (kinds[i].conv == conv)
			return kinds[i].takes;
	return 0;
}

static const char *flags(const char *p, struct lang_conv *c)
{
	for (;; p++) {
		switch (*p) {
		case '-':
			c->minus = 1;
			break;
		case '+':
			c->plus = 1;
			break;
		case ' ':
			c->space = 1;
			break;
		case '#':
			c->alt = 1;
			break;
		case '0':
			c->zero = 1;
			break;
		case '\'':
			c->group = 1;
			break;
		case '@':
			c->at = 1;
			break;
		default:
			return p;
		}
	}
}

/* A width or precision; NULL when it is too large. */
static const char *size(const char *p, int *value, int *arg, unsigned *args)
{
	if (*p == '*') {
		*value = LANG_STAR;
		*arg = (int)(*args)++;
		return p + 1;
	}
	if (*p < '0' || *p > '9')
		return p;
	for (*value = 0; *p >= '0' && *p <= '9'; p++) {
		*value = *value * 10 + *p - '0';
		if (*value > WIDTH_MAX)
			return NULL;
	}
	return p;
}

/* One conversion behind its '%'; where it ends, or NULL with *why set. */
static const char *conversion(
	const char *p, struct lang_conv *c, struct lang_format *f, const char **why)
{
	const char *start = p;

	p = flags(p, c);
	/* A lone @ is the conversion, not the flag: "%@d" has both. */
	if (c->at && p[-1] == '@' && !takes(*p) &&
		(!*p || !strchr("lh%.*0123456789", *p))) {
		c->at = 0;
		p--;
	}
	p = size(p, &c->width, &c->width_arg, &f->args);
	if (p && *p == '.') {
		c->precision = 0;
		p = size(p + 1, &c->precision, &c->precision_arg, &f->args);
	}
	if (!p) {
		*why = "a width is too large";
		return NULL;
	}
	p += strspn(p, "hlLjzt");
	c->conv = *p;
	if (*p == '%' && p == start)
		return p + 1;
	if (!*p || !takes(*p)) {
		*why = *p ? "there is no such conversion" : "it ends inside a conversion";
		return NULL;
	}
	c->arg = (int)f->args++;
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

static int check_value(
	struct unit *u, struct lang_node *call, const struct lang_conv *c, unsigned conv)
{
	struct lang_node *n = argument(call, c->arg);
	char what = takes(c->conv);

	if (what == '@' || c->at)
		return fail(u, call->at, "D_PRINTF_AGG_CONV", "only printa( ) has it",
			"%s( ) conversion #%u (%%@) prints an aggregation", call->text,
			conv);
	if (!n)
		return fail(u, call->at, "D_PRINTF_ARG_PROTO", "",
			"%s( ) prototype mismatch: conversion #%u (%%%c) is missing a "
			"corresponding value argument",
			call->text, conv, c->conv);
	if (what == 's' ? n->type->kind != LANG_T_STRING : !lang_type_is_scalar(n->type))
		return fail(u, n->at, "D_PRINTF_ARG_TYPE",
			what == 's' ? "expected a string" : "expected a number",
			"%s( ) argument #%d is incompatible with conversion #%u (%%%c): it is a %s",
			call->text, c->arg + 2, conv, c->conv, n->type->name);
	return 0;
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
