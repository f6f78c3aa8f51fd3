/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text to tokens, one ahead.
 *
 * A `/` in a predicate is a division, or the end of the predicate when what follows it
 * (space and comments aside) is `{`, `;`, `/` or nothing: DTrace's rule.  Probe
 * descriptions are not made of these tokens; parse_descs() reads them from the text.
 */
#include "parts.h"

#include <stdio.h>
#include <string.h>

int is_name_start(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int is_digit(int c)
{
	return c >= '0' && c <= '9';
}

int is_name(int c)
{
	return is_name_start(c) || is_digit(c);
}

/* The character at an offset; 0 behind the end. */
static int peek(const struct unit *u, uint32_t at)
{
	return at < u->len ? (unsigned char)u->text[at] : 0;
}

/* Offset behind space and comments; *open is set when a comment does not end. */
static uint32_t after_space(const struct unit *u, uint32_t at, int *open)
{
	for (;;) {
		while (at < u->len && strchr(" \t\n\v\f\r", u->text[at]))
			at++;
		if (peek(u, at) == '/' && peek(u, at + 1) == '*') {
			const char *end =
				memmem(u->text + at + 2, u->len - at - 2, "*/", 2);
			if (!end) {
				*open = 1;
				return at;
			}
			at = (uint32_t)(end + 2 - u->text);
		} else {
			return at;
		}
	}
}

int skip_space(struct unit *u)
{
	int open = 0;

	u->at = after_space(u, u->at, &open);
	if (open)
		return fail(u, u->at, "D_SYNTAX", "begins here", "comment does not end");
	return 0;
}

/* ----------------------------------------------------------------------- constants */

static int digit_value(int c)
{
	if (is_digit(c))
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* Suffix u, l, ll in either order; 0 or -1. */
static int suffix(struct unit *u, int *is_unsigned, unsigned *longs)
{
	for (;; u->at++) {
		int c = peek(u, u->at) | 32;
		if (c == 'u' && !*is_unsigned)
			*is_unsigned = 1;
		else if (c == 'l' && *longs < 2)
			(*longs)++;
		else
			return is_name(peek(u, u->at)) ? -1 : 0;
	}
}

static int number(struct unit *u)
{
	uint32_t start = u->at;
	int base = 10, is_unsigned = 0, over = 0;
	unsigned longs = 0;
	uint64_t v = 0;

	if (peek(u, u->at) == '0') {
		base = 8;
		if ((peek(u, u->at + 1) | 32) == 'x' &&
			digit_value(peek(u, u->at + 2)) < 16) {
			base = 16;
			u->at += 2;
		}
	}
	for (int d; (d = digit_value(peek(u, u->at))) < (base == 16 ? 16 : 10); u->at++) {
		if (d >= base)
			return fail(u, u->at, "D_INT_DIGIT",
				"octal constants have digits 0 to 7",
				"'%c' is not an octal digit", peek(u, u->at));
		over |= __builtin_mul_overflow(v, (uint64_t)base, &v) ||
			__builtin_add_overflow(v, (uint64_t)d, &v);
	}
	if (peek(u, u->at) == '.')
		return fail(u, start, "D_SYNTAX", "",
			"floating-point constants are not permitted");
	if (suffix(u, &is_unsigned, &longs))
		return fail(u, u->at, "D_SYNTAX",
			"expected a suffix u, l or ll, or space",
			"malformed integer constant");
	u->tok.kind = T_INT;
	u->tok.value = v;
	u->tok.type = type_of_constant(v, base == 10, is_unsigned, longs);
	if (over || !u->tok.type)
		return fail(u, start, "D_INT_OFLOW", "",
			"integer constant %.*s cannot be represented in any built-in integral type",
			(int)(u->at - start > 60 ? 60 : u->at - start), u->text + start);
	return 0;
}

/* The character behind a backslash at u->at; moves behind it. */
static int escape(struct unit *u)
{
	static const char from[] = "abfnrtv0", to[] = "\a\b\f\n\r\t\v";
	int c = peek(u, u->at++), v = 0;
	const char *found;

	if (c == 'x') {
		for (int i = 0; i < 2 && digit_value(peek(u, u->at)) < 16; i++)
			v = v * 16 + digit_value(peek(u, u->at++));
		return v;
	}
	if (c >= '0' && c <= '7') {
		v = c - '0';
		for (int i = 0; i < 2 && peek(u, u->at) >= '0' && peek(u, u->at) <= '7';
			i++)
			v = v * 8 + peek(u, u->at++) - '0';
		return v & 255;
	}
	found = c ? strchr(from, c) : NULL;
	return found ? to[found - from] : c;
}

/* A string at u->at, in double quotes. */
static int string(struct unit *u)
{
	uint32_t start = u->at++;
	const char *quote = memchr(u->text + u->at, '"', u->len - u->at);
	size_t room = u->len - u->at, n = 0;
	char *out;

	/* Without escapes the first quote ends it; so a long text is not copied. */
	if (quote && !memchr(u->text + u->at, '\\', (size_t)(quote - u->text) - u->at))
		room = (size_t)(quote - u->text) - u->at;
	out = arena_alloc(u->arena, room + 1);
	if (!out)
		return DTPROC_ENOMEM;
	for (int c; (c = peek(u, u->at)) != '"';) {
		if (u->at >= u->len || c == '\n')
			return fail(u, start, "D_STR_NL", "begins here",
				u->at >= u->len
					? "string constant does not end"
					: "newline encountered in string literal");
		u->at++;
		if (c == '\\' && peek(u, u->at) == '\n') /* goes on in the next line */
			u->at++;
		else
			out[n++] = (char)(c == '\\' ? escape(u) : c);
	}
	u->at++;
	u->tok.kind = T_STRING;
	u->tok.text = out;
	u->tok.len = n;
	return 0;
}

/* A character constant: up to 8 characters make an integer, the first is the highest. */
static int character(struct unit *u)
{
	uint32_t start = u->at++;
	unsigned n = 0;
	uint64_t v = 0;

	for (int c; (c = peek(u, u->at)) != '\''; n++) {
		if (u->at >= u->len || c == '\n')
			return fail(u, start, "D_CHR_NL", "begins here",
				"newline encountered in character constant");
		u->at++;
		if (c == '\\')
			c = escape(u);
		v = v << 8 | (uint8_t)c;
	}
	u->at++;
	if (!n)
		return fail(u, start, "D_CHR_NULL", "", "empty character constant");
	if (n > 4)
		return fail(u, start, "D_CHR_OFLOW", "at most four characters",
			"character constant is too long");
	u->tok.kind = T_INT;
	u->tok.type = &lang_type_int;
	u->tok.value =
		n == 1 ? (uint64_t)(int64_t)(int8_t)v : lang_type_fit(&lang_type_int, v);
	return 0;
}

/* --------------------------------------------------------------------------- names */

/* The rest of a name with a module before it: a.out`x, libc.so.6`environ, `x. */
static void scoped(struct unit *u)
{
	uint32_t at = u->at;

	while (is_name(peek(u, at)) || peek(u, at) == '.')
		at++;
	if (peek(u, at) != '`' || !is_name_start(peek(u, at + 1)))
		return;
	while (is_name(peek(u, ++at)))
		;
	u->at = at;
}

static int name(struct unit *u, enum token_kind kind)
{
	uint32_t start = u->at;

	while (is_name(peek(u, u->at)))
		u->at++;
	if (kind == T_NAME)
		scoped(u);
	u->tok.kind = kind;
	u->tok.text = u->text + start;
	u->tok.len = u->at - start;
	if (u->tok.len > LANG_NAME_MAX)
		return fail(u, start, "D_SYNTAX", "", "name is longer than %d characters",
			LANG_NAME_MAX);
	return 0;
}

static int macro(struct unit *u)
{
	struct macro m;

	if (macro_read(u, &u->at, &m))
		return DTPROC_ESYNTAX;
	u->tok.text = m.text;
	u->tok.len = strlen(m.text);
	u->tok.value = m.value;
	u->tok.kind = m.quoted ? T_STRING : m.number ? T_INT : T_NAME;
	if (m.number) {
		int64_t v = (int64_t)m.value;
		u->tok.type = v >= INT32_MIN && v <= INT32_MAX ? &lang_type_int
							       : &lang_type_long;
	}
	return 0;
}

static int mark(struct unit *u)
{
	static const char *const marks[] = {"<<=", ">>=", "...", "->", "++", "--", "&&",
		"||", "^^", "==", "!=", "<=", ">=", "<<", ">>",
		"+=", "-=", "*=", "/=", "%=", "&=", "^=", "|=", "+", "-", "*", "/", "%",
		"&", "|", "^", "~", "!", "<", ">", "=", "?", ":", ",", ";", "(", ")", "[",
		"]", "{", "}", "."};

	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
		size_t n = strlen(marks[i]);
		if (n <= u->len - u->at && !memcmp(u->text + u->at, marks[i], n)) {
			u->tok.kind = T_MARK;
			u->tok.text = marks[i];
			u->tok.len = n;
			u->at += (uint32_t)n;
			return 0;
		}
	}
	return fail(u, u->at, "D_SYNTAX", "", "character 0x%02x is not part of D",
		peek(u, u->at));
}

/* Does the `/` at u->at end the predicate? */
static int closes(const struct unit *u)
{
	int open = 0, c = peek(u, after_space(u, u->at + 1, &open));

	return !c || c == '{' || c == ';' || c == '/';
}

static int token(struct unit *u)
{
	int c = peek(u, u->at);

	if (u->at >= u->len) {
		u->tok.kind = T_END;
		return 0;
	}
	if (is_digit(c))
		return number(u);
	if (is_name_start(c) || (c == '`' && is_name_start(peek(u, u->at + 1))))
		return name(u, T_NAME);
	switch (c) {
	case '"':
		return string(u);
	case '\'':
		return character(u);
	case '@':
		u->at++;
		return name(u, T_AGG);
	case '$':
		return macro(u);
	}
	if (c == '/' && u->in_predicate && closes(u)) {
		u->at++;
		u->tok.kind = T_CLOSE;
		return 0;
	}
	return mark(u);
}

/* Is the character ahead the first of its line? */
static int begins_line(const struct unit *u)
{
	uint32_t at = u->at;

	while (at && strchr(" \t", u->text[at - 1]))
		at--;
	return !at || u->text[at - 1] == '\n';
}

int next(struct unit *u)
{
	int err;

	if (skip_space(u))
		return DTPROC_ESYNTAX;
	while (peek(u, u->at) == '#' && begins_line(u)) /* also inside of clauses */
		if (parse_control(u) || skip_space(u))
			return DTPROC_ESYNTAX;
	u->tok = (struct token){.at = u->at};
	err = token(u);
	u->tok.end = u->at;
	return err;
}

int is_mark(const struct unit *u, const char *text)
{
	return u->tok.kind == T_MARK && !strcmp(u->tok.text, text);
}

int is_word(const struct unit *u, const char *word)
{
	return u->tok.kind == T_NAME && u->tok.len == strlen(word) &&
	       !memcmp(u->tok.text, word, u->tok.len);
}

int expect(struct unit *u, const char *text)
{
	char what[16];

	if (is_mark(u, text))
		return next(u);
	snprintf(what, sizeof what, "\"%s\"", text);
	return fail_syntax(u, what);
}
