/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Diagnostics: tag, line and column, what is wrong; the line; a caret and what was
 * expected.  Long lines show a window around the caret.  The first mistake is the one
 * that is told.
 */
#include "parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WINDOW 72 /* characters of a line that are shown */

struct place {
	unsigned line, column; /* from 1 */
	const char *start;     /* of the line's window */
	unsigned len, caret;   /* of the window; the caret's offset in it */
};

static struct place place_of(const char *text, size_t len, uint32_t at)
{
	struct place p = {1, 1, text, 0, 0};
	const char *here = text + (at < len ? at : len), *end;

	for (const char *c = text; c < here; c++) {
		if (*c == '\n') {
			p.line++;
			p.start = c + 1;
		}
	}
	p.column = (unsigned)(here - p.start) + 1;
	end = memchr(here, '\n', (size_t)(text + len - here));
	end = end ? end : text + len;
	if (here - p.start > WINDOW * 2 / 3)
		p.start = here - WINDOW * 2 / 3;
	p.len = end - p.start > WINDOW ? WINDOW : (unsigned)(end - p.start);
	p.caret = (unsigned)(here - p.start);
	return p;
}

/* Copies what is shown of a text: control characters become spaces. */
static void shown(char *to, size_t room, const char *from, size_t len)
{
	size_t n = 0;

	for (; n < len && n + 1 < room; n++)
		to[n] = (unsigned char)from[n] < 32 || from[n] == 127 ? ' ' : from[n];
	to[n] = 0;
}

static int set(const char *text, size_t len, uint32_t at, const char *tag,
	const char *hint, const char *what)
{
	struct place p = place_of(text, len, at);
	char line[WINDOW + 1];

	shown(line, sizeof line, p.start, p.len);
	return err_set(DTPROC_ESYNTAX,
		"[%s] line %u, column %u: %s\n    %s\n    %*s^%s%s", tag, p.line,
		p.column, what, line, (int)p.caret, "", *hint ? " " : "", hint);
}

int fail(struct unit *u, uint32_t at, const char *tag, const char *hint, const char *fmt,
	...)
{
	char what[200];
	va_list ap;

	if (u->failed)
		return DTPROC_ESYNTAX;
	u->failed = 1;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	return set(u->text, u->len, at, tag, hint, what);
}

int fail_syntax(struct unit *u, const char *expected)
{
	char hint[96], near[32];

	snprintf(hint, sizeof hint, "expected %s", expected);
	if (u->tok.kind == T_END)
		return fail(
			u, u->len, "D_SYNTAX", hint, "syntax error near end of input");
	shown(near, sizeof near, u->text + u->tok.at, u->tok.end - u->tok.at);
	return fail(u, u->tok.at, "D_SYNTAX", hint, "syntax error near \"%s\"", near);
}

int lang_script_error(const struct lang_script *script, uint32_t at, const char *tag,
	const char *hint, const char *fmt, ...)
{
	char what[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	return set(script->text, strlen(script->text), at, tag, hint, what);
}

/* ----------------------------------------------------------------------- near names */

/* How many letters must change to make b of a (Levenshtein); above 2 is far. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[32], n = (unsigned)strlen(b), m = (unsigned)strlen(a);

	if (n >= 31 || m >= 31 || n > m + 2 || m > n + 2)
		return 9;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; i <= m; i++) {
		unsigned corner = row[0];
		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned best = corner + (a[i - 1] != b[j - 1]);
			corner = row[j];
			best = row[j] + 1 < best ? row[j] + 1 : best;
			row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
		}
	}
	return row[n];
}

const char *near_name(const char *name, near_fn *fn, char *buf, size_t room)
{
	const char *best = NULL, *candidate;
	unsigned limit = strlen(name) < 4 ? 1 : 2;

	buf[0] = 0;
	for (unsigned i = 0; (candidate = fn(i)); i++) {
		unsigned d = distance(name, candidate);
		if (d && d <= limit) {
			best = candidate;
			limit = d - 1;
		}
	}
	if (best)
		snprintf(buf, room, "did you mean '%s'?", best);
	return buf;
}

const char *near_one(const char *name, const char *candidate, char *buf, size_t room)
{
	unsigned d = distance(name, candidate);

	buf[0] = 0;
	if (d && d <= (strlen(name) < 4 ? 1u : 2u))
		snprintf(buf, room, "did you mean '%s'?", candidate);
	return buf;
}
