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
	const struct trace_values *values;
};

static int star(int fixed, int arg, const struct trace_values *v)
{
	if (fixed != LANG_STAR)
		return fixed < 0 ? -1 : bounded(fixed);
	return arg >= 0 && (unsigned)arg < v->n ? bounded(extend(&v->at[arg])) : -1;
}

static void make_spec(const struct lang_conv *c, const struct trace_values *v, FILE *out,
	struct spec *s)
{
	char *f = s->flags;

	s->out = out;
	s->values = v;
	s->width = star(c->width, c->width_arg, v);
	s->precision = star(c->precision, c->precision_arg, v);
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

static void print_float(const struct spec *s, char conv, long double number)
{
	char fmt[24];

	snprintf(fmt, sizeof fmt, "%%%s*%sL%c", s->flags, s->precision >= 0 ? ".*" : "",
		conv);
	if (s->precision >= 0)
		fprintf(s->out, fmt, s->width < 0 ? 0 : s->width, s->precision, number);
	else
		fprintf(s->out, fmt, s->width < 0 ? 0 : s->width, number);
}

#pragma GCC diagnostic pop

static void print_string(const struct spec *s, const char *text)
{
	int width = s->width < 0 ? 0 : s->width;

	fprintf(s->out, strchr(s->flags, '-') ? "%-*.*s" : "%*.*s", width,
		s->precision < 0 ? WIDEST : s->precision, text);
}

/* %S and %C: what is not printable as an escape. */
static void print_escaped(const struct spec *s, const char *text, size_t len)
{
	char *buf = malloc(4 * len + 1), *p = buf;

	if (!buf)
		return;
	for (; len--; text++) {
		static const char from[] = "\a\b\t\n\v\f\r\\\"", to[] = "abtnvfr\\\"";
		const char *at = *text ? strchr(from, *text) : NULL;

		if (at)
			p += sprintf(p, "\\%c", to[at - from]);
		else if (!*text)
			p += sprintf(p, "\\0");
		else if (isprint((unsigned char)*text))
			*p++ = *text;
		else
			p += sprintf(p, "\\%03o", (unsigned char)*text);
	}
	*p = 0;
	print_string(s, buf);
	free(buf);
}

/* %Y: a walltimestamp as DTrace shows it; %T: as RFC 822 has it. */
static void print_time(const struct spec *s, const char *format, uint64_t ns)
{
	time_t t = (time_t)(ns / 1000000000);
	struct tm tm;
	char buf[64] = "";

	if (localtime_r(&t, &tm))
		strftime(buf, sizeof buf, format, &tm);
	print_string(s, buf);
}

static void print_address(const struct spec *s, uint64_t addr)
{
	const struct trace_values *v = s->values;
	char buf[512];

	if (v->session)
		trace_address_text(v->session, v->pid, addr, buf, sizeof buf);
	else
		snprintf(buf, sizeof buf, "0x%llx", (unsigned long long)addr);
	print_string(s, buf);
}

/* A character of Unicode as UTF-8, at most 4 bytes: how many. */
static int encode(uint32_t c, char *buf)
{
	char *p = buf;
	int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : c < 0x110000 ? 3 : -1;
	static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};

	if (more >= 0)
		*p++ = (char)(lead[more] | c >> (6 * more));
	while (more-- > 0)
		*p++ = (char)(0x80 | (c >> (6 * more) & 0x3f));
	return (int)(p - buf);
}

static void print_character(
	const struct spec *s, const struct lang_conv *c, const struct trace_value *v)
{
	char one[5] = {(char)v->number, 0};

	if (c->conv == 'C') {
		print_escaped(s, one, 1);
	} else if (c->length) {
		one[encode((uint32_t)cut(v), one)] = 0;
		print_string(s, one);
	} else if (!one[0]) { /* it is printed nevertheless */
		fwrite(one, 1, 1, s->out);
	} else {
		print_string(s, one);
	}
}

static void print_number(
	const struct spec *s, const struct lang_conv *c, const struct trace_value *v)
{
	switch (c->conv) {
	case 'o':
	case 'u':
	case 'x':
	case 'X':
		print_integer(s, c->conv, cut(v));
		break;
	case 'p':
		print_integer(s, 'x', cut(v));
		break;
	case 'a':
	case 'A':
		print_address(s, cut(v));
		break;
	case 'c':
	case 'C':
		print_character(s, c, v);
		break;
	case 'T':
		print_time(s, "%a, %d %b %Y %T %Z", v->number);
		break;
	case 'Y':
		print_time(s, "%Y %b %e %T", v->number);
		break;
	default:
		if (v->is_signed)
			print_integer(s, 'd', (uint64_t)extend(v));
		else
			print_integer(s, 'u', cut(v));
	}
}

static long double float_of(const struct trace_value *v)
{
	long double l = 0;
	double d = 0;
	float f = 0;

	if (v->n_bytes == sizeof f) {
		memcpy(&f, v->bytes, sizeof f);
		return f;
	}
	if (v->n_bytes == sizeof d) {
		memcpy(&d, v->bytes, sizeof d);
		return d;
	}
	if (v->n_bytes == sizeof l)
		memcpy(&l, v->bytes, sizeof l);
	return l;
}

/* A copy with a NUL behind it; the caller frees. */
static char *copy_of(const struct trace_value *v)
{
	char *copy = malloc((size_t)v->n_bytes + 1);

	if (copy) {
		memcpy(copy, v->bytes, v->n_bytes);
		copy[v->n_bytes] = 0;
	}
	return copy;
}

/* An array of wchar_t as UTF-8. */
static char *utf8_of(const struct trace_value *v)
{
	char *copy = malloc((size_t)v->n_bytes + 1), *p = copy;

	for (uint32_t i = 0; copy && i + 4 <= v->n_bytes; i += 4) {
		uint32_t c;

		memcpy(&c, (const char *)v->bytes + i, sizeof c);
		if (!c)
			break;
		p += encode(c, p);
	}
	if (p)
		*p = 0;
	return copy;
}

/* A float, or an array of characters. */
static void print_memory(
	const struct spec *s, const struct lang_conv *c, const struct trace_value *v)
{
	char *copy;

	if (strchr("eEfgG", c->conv)) {
		print_float(s, c->conv, float_of(v));
		return;
	}
	copy = c->length ? utf8_of(v) : copy_of(v);
	if (!copy)
		return;
	if (c->conv == 'S')
		print_escaped(s, copy, strlen(copy));
	else
		print_string(s, copy);
	free(copy);
}

static void print_named(const struct spec *s, const struct trace_value *v)
{
	char buf[TRACE_NAME_MAX];

	if (v->is_stack) {
		trace_print_stack(s->values->session, v, s->width, s->out);
		return;
	}
	trace_named_text(s->values->session, v, buf, sizeof buf);
	print_string(s, buf);
}

static void print_value(
	const struct spec *s, const struct lang_conv *c, const struct trace_value *v)
{
	if (v->print)
		v->print(v->arg, s->out);
	else if (v->words)
		print_named(s, v);
	else if (v->bytes)
		print_memory(s, c, v);
	else if (!v->text)
		print_number(s, c, v);
	else if (c->conv == 'S')
		print_escaped(s, v->text, strlen(v->text));
	else
		print_string(s, v->text);
}

/* The value of a conversion; NULL: there is none.  The last aggregation stands for more.
 */
static const struct trace_value *value_of(
	const struct lang_conv *c, const struct trace_values *v)
{
	unsigned i = (unsigned)c->arg;

	if (c->arg < 0 || (c->at ? !v->n_aggs : i >= v->n))
		return NULL;
	return c->at ? &v->aggs[i < v->n_aggs ? i : v->n_aggs - 1] : &v->at[i];
}

void trace_format(
	const struct lang_format *format, const struct trace_values *values, FILE *out)
{
	for (unsigned i = 0; i < format->n; i++) {
		const struct lang_conv *c = &format->convs[i];
		const struct trace_value *v = value_of(c, values);
		struct spec s;

		fputs(c->text, out);
		if (c->conv == '%')
			fputc('%', out);
		if (!c->conv || !v)
			continue;
		make_spec(c, values, out, &s);
		print_value(&s, c, v);
	}
}

int trace_column(unsigned size)
{
	return size == 1 ? 3 : size == 2 ? 5 : size == 4 ? 8 : 16;
}

void trace_print_number(const struct trace_value *v, FILE *out)
{
	fprintf(out, " %*lld", trace_column(v->size), (long long)extend(v));
}
