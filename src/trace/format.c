/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * printf() of records, and numbers in columns.
 *
 * A number is printed by the size and sign of its own type, whatever length the format
 * gives, as DTrace does: %d extends it by its sign, %u %x %o cut it to its size.  A
 * format meets only values that the compiler has checked; what does not fit all the same
 * (a hostile segment) prints as nothing.
 */
#include <ctype.h>
#include <string.h>
#include <time.h>
#include "own.h"

/* More than this in a width or precision is cut: the record may be hostile. */
#define WIDEST 65536

static uint64_t cut(const struct trace_value *v)
{
	return v->size >= 8 ? v->number : v->number & ((1ull << (8 * v->size)) - 1);
}

static int64_t extend(const struct trace_value *v)
{
	unsigned shift = v->size >= 8 ? 0 : 64 - 8 * v->size;

	if (!v->is_signed)
		return (int64_t)cut(v);
	return (int64_t)(v->number << shift) >> shift;
}

static int bounded(int64_t n)
{
	return n > WIDEST ? WIDEST : n < -WIDEST ? -WIDEST : (int)n;
}

/* One conversion with width, precision and flags worked out. */
struct spec {
	char flags[8];
	int width, precision; /* -1: none */
	FILE *out;
};

static int star(int fixed, int arg, const struct trace_value *values, unsigned n)
{
	if (fixed != LANG_STAR)
		return fixed < 0 ? -1 : bounded(fixed);
	return arg >= 0 && (unsigned)arg < n ? bounded(extend(&values[arg])) : -1;
}

static void make_spec(const struct lang_conv *c, const struct trace_value *values,
	unsigned n, FILE *out, struct spec *s)
{
	char *f = s->flags;

	s->out = out;
	s->width = star(c->width, c->width_arg, values, n);
	s->precision = star(c->precision, c->precision_arg, values, n);
	if (c->minus || (c->width == LANG_STAR && s->width < -1))
		*f++ = '-';
	if (c->width == LANG_STAR && s->width < 0)
		s->width = -s->width;
	if (c->plus)
		*f++ = '+';
	if (c->space)
		*f++ = ' ';
	if (c->alt)
		*f++ = '#';
	if (c->zero)
		*f++ = '0';
	if (c->group)
		*f++ = '\'';
	*f = 0;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static void print_integer(const struct spec *s, char conv, uint64_t number)
{
	char fmt[24];

	snprintf(fmt, sizeof fmt, "%%%s%s%sll%c", s->flags, s->width >= 0 ? "*" : "",
		s->precision >= 0 ? ".*" : "", conv);
	if (s->width >= 0 && s->precision >= 0)
		fprintf(s->out, fmt, s->width, s->precision, number);
	else if (s->width >= 0)
		fprintf(s->out, fmt, s->width, number);
	else if (s->precision >= 0)
		fprintf(s->out, fmt, s->precision, number);
	else
		fprintf(s->out, fmt, number);
}

#pragma GCC diagnostic pop

static void print_string(const struct spec *s, const char *text)
{
	int width = s->width < 0 ? 0 : s->width;

	fprintf(s->out, strchr(s->flags, '-') ? "%-*.*s" : "%*.*s", width,
		s->precision < 0 ? WIDEST : s->precision, text);
}

/* %S: what is not printable as an escape. */
static void print_escaped(const struct spec *s, const char *text)
{
	char *buf = malloc(4 * strlen(text) + 1), *p = buf;

	if (!buf)
		return;
	for (; *text; text++) {
		static const char from[] = "\a\b\t\n\v\f\r\\", to[] = "abtnvfr\\";
		const char *at = strchr(from, *text);

		if (at)
			p += sprintf(p, "\\%c", to[at - from]);
		else if (isprint((unsigned char)*text))
			*p++ = *text;
		else
			p += sprintf(p, "\\%03o", (unsigned char)*text);
	}
	*p = 0;
	print_string(s, buf);
	free(buf);
}

/* %Y: a walltimestamp as DTrace shows it. */
static void print_time(const struct spec *s, uint64_t ns)
{
	time_t t = (time_t)(ns / 1000000000);
	struct tm tm;
	char buf[64] = "";

	if (localtime_r(&t, &tm))
		strftime(buf, sizeof buf, "%Y %b %e %H:%M:%S", &tm);
	print_string(s, buf);
}

static void print_text(const struct spec *s, char conv, const char *text)
{
	if (conv == 'S')
		print_escaped(s, text);
	else
		print_string(s, text);
}

static void print_value(const struct spec *s, char conv, const struct trace_value *v)
{
	char one[2] = {(char)v->number, 0};

	if (v->print) {
		v->print(v->arg, s->out);
		return;
	}
	if (v->text) {
		print_text(s, conv, v->text);
		return;
	}
	switch (conv) {
	case 'd':
	case 'i':
		print_integer(s, 'd', (uint64_t)extend(v));
		break;
	case 'o':
	case 'u':
	case 'x':
	case 'X':
		print_integer(s, conv, cut(v));
		break;
	case 'p':
		print_integer(s, 'x', cut(v));
		break;
	case 'c':
		print_string(s, one);
		break;
	case 'Y':
		print_time(s, v->number);
		break;
	default:
		print_integer(s, 'd', (uint64_t)extend(v));
	}
}

void trace_format(const struct lang_format *format, const struct trace_value *values,
	unsigned n, FILE *out)
{
	for (unsigned i = 0; i < format->n; i++) {
		const struct lang_conv *c = &format->convs[i];
		struct spec s;

		fputs(c->text, out);
		if (!c->conv)
			continue;
		if (c->conv == '%') {
			fputc('%', out);
			continue;
		}
		if (c->arg < 0 || (unsigned)c->arg >= n)
			continue;
		make_spec(c, values, n, out, &s);
		print_value(&s, c->conv, &values[c->arg]);
	}
}

void trace_print_number(const struct trace_value *v, FILE *out)
{
	int width = v->size == 1 ? 3 : v->size == 2 ? 5 : v->size == 4 ? 8 : 16;

	fprintf(out, " %*lld", width, (long long)extend(v));
}
