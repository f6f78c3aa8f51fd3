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
	const char *file;      /* that the preprocessor named; NULL: the text's own */
	int file_len;
	const char *start;   /* of the line's window */
	unsigned len, caret; /* of the window; the caret's offset in it */
};

/* `# 12 "file.h"` or `#line 12`: the next line's number, and whose it is. */
static void read_marker(const char *line, const char *end, struct place *p)
{
	unsigned long n = 0;
	const char *name;

	if (*line++ != '#')
		return;
	line += strspn(line, " \t");
	if (!strncmp(line, "line", 4))
		line += 4 + strspn(line + 4, " \t");
	if (*line < '0' || *line > '9')
		return;
	for (; *line >= '0' && *line <= '9' && n < 100000000; line++)
		n = n * 10 + (unsigned long)(*line - '0');
	p->line = (unsigned)n;
	name = memchr(line, '"', (size_t)(end - line));
	end = name ? memchr(name + 1, '"', (size_t)(end - name - 1)) : NULL;
	if (end) {
		p->file = name + 1;
		p->file_len = end - name > 200 ? 200 : (int)(end - name - 1);
	}
}

static struct place place_of(const char *text, size_t len, uint32_t at)
{
	struct place p = {.line = 1, .column = 1, .start = text};
	const char *here = text + (at < len ? at : len), *end, *next;

	while ((next = memchr(p.start, '\n', (size_t)(here - p.start)))) {
		p.line++;
		read_marker(p.start, next, &p);
		p.start = next + 1;
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
	char line[WINDOW + 1], file[216] = "";

	shown(line, sizeof line, p.start, p.len);
	if (p.file)
		snprintf(file, sizeof file, "\"%.*s\", ", p.file_len, p.file);
	return err_set(DTPROC_ESYNTAX,
		"[%s] %sline %u, column %u: %s\n    %s\n    %*s^%s%s", tag, file, p.line,
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
