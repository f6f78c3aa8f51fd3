/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The outer grammar: probe descriptions, clauses, statements, preprocessor lines; and
 * the scope and script that hold what is read.
 */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------- preprocessor lines */

/* Options count from their line on. */
static int set_option(struct unit *u, const struct lang_option *o, uint32_t at)
{
	char why[ERR_TEXT_MAX];

	if (!u->src->set_option ||
		!u->src->set_option(u->src->option_arg, o->name, o->value, &u->flags))
		return 0;
	snprintf(why, sizeof why, "%s", err_text());
	return fail(u, at, "D_PRAGMA_OPTSET", "", "failed to set option '%.40s': %s",
		o->name, why);
}

static int option(struct unit *u, const char *word, size_t len)
{
	struct lang_option *o = arena_alloc(u->arena, sizeof *o);
	const char *equals = memchr(word, '=', len);
	size_t name = equals ? (size_t)(equals - word) : len;

	if (!o)
		return DTPROC_ENOMEM;
	o->name = arena_copy(u->arena, word, name);
	o->value = equals ? arena_copy(u->arena, equals + 1, len - name - 1) : "";
	if (!o->name || !o->value)
		return DTPROC_ENOMEM;
	*u->last_option = o;
	u->last_option = &o->next;
	return set_option(u, o, (uint32_t)(word - u->text));
}

/* The next word of a line; its length, 0 at the end. */
static size_t word_of(const char **at, const char *end, const char **word)
{
	while (*at < end && strchr(" \t\r", **at))
		(*at)++;
	*word = *at;
	while (*at < end && !strchr(" \t\r", **at))
		(*at)++;
	return (size_t)(*at - *word);
}

static int same_word(const char *word, size_t len, const char *text)
{
	return strlen(text) == len && !memcmp(word, text, len);
}

/* #pragma D option name=value */
static int pragma_option(struct unit *u, uint32_t where, const char *at, const char *end)
{
	const char *word;
	size_t len = word_of(&at, end, &word);

	if (!len || *word == '=')
		return fail(u, where, "D_PRAGMA_MALFORM", "expected name or name=value",
			"malformed #pragma D option");
	if (option(u, word, len))
		return DTPROC_ESYNTAX;
	if (word_of(&at, end, &word))
		return fail(u, (uint32_t)(word - u->text), "D_PRAGMA_MALFORM",
			"expected the end of the line",
			"superfluous arguments of #pragma");
	return 0;
}

/*
 * What describes a definition to DTrace's own consumers (its stability, the version that
 * brought it, what it needs) has the right form here, and no effect.
 */
static int pragma_ignored(struct unit *u, uint32_t where, const char *name,
	unsigned words, const char *at, const char *end)
{
	const char *word;

	for (unsigned i = 0; i < words; i++)
		if (!word_of(&at, end, &word))
			return fail(u, where, "D_PRAGMA_MALFORM", "",
				"malformed #pragma D %s: %u words are expected", name,
				words);
	return 0;
}

static int pragma(struct unit *u, const char *at, const char *end)
{
	uint32_t where = (uint32_t)(at - u->text);
	const char *word;
	size_t len = word_of(&at, end, &word);

	if (!same_word(word, len, "D"))
		return 0; /* somebody else's */
	len = word_of(&at, end, &word);
	if (same_word(word, len, "option"))
		return pragma_option(u, where, at, end);
	if (same_word(word, len, "attributes"))
		return pragma_ignored(u, where, "attributes", 2, at, end);
	if (same_word(word, len, "binding"))
		return pragma_ignored(u, where, "binding", 2, at, end);
	if (same_word(word, len, "depends_on"))
		return pragma_ignored(u, where, "depends_on", 2, at, end);
	return fail(u, where, "D_PRAGMA_INVAL", "expected \"option\"",
		"invalid pragma \"%.*s\"", len > 40 ? 40 : (int)len, word);
}

int parse_control(struct unit *u)
{
	const char *at = u->text + u->at + 1, *word;
	const char *end = memchr(at, '\n', (size_t)(u->text + u->len - at));
	uint32_t where = u->at;
	size_t len;

	end = end ? end : u->text + u->len;
	u->at = (uint32_t)(end - u->text);
	if (at < end && *at == '!')
		return where ? fail(u, where, "D_SYNTAX", "",
				       "#! belongs on the first line")
			     : 0;
	len = word_of(&at, end, &word);
	if (same_word(word, len, "pragma"))
		return pragma(u, at, end);
	if (!len || same_word(word, len, "line") || same_word(word, len, "ident") ||
		(*word >= '0' && *word <= '9'))
		return 0; /* what the preprocessor leaves behind */
	if (same_word(word, len, "error"))
		return fail(u, where, "D_PRAGERR", "", "#error%.*s",
			end - at > 120 ? 120 : (int)(end - at), at);
	return fail(u, where, "D_PRAGCTL_INVAL", "use -C for the C preprocessor",
		"invalid control directive: #%.*s", len > 40 ? 40 : (int)len, word);
}

/* -------------------------------------------------------------------- descriptions */

static int is_desc_char(int c)
{
	return is_name(c) || (c && strchr("-$:.?*\\[]!`+~@^<>&()", c));
}

/* Reads a description with its macros expanded; its length in buf, or -1. */
static long desc_text(struct unit *u, char *buf, size_t room)
{
	struct macro m;
	size_t n = 0, len;
	int nested = 0, c;

	while (u->at < u->len) {
		c = (unsigned char)u->text[u->at];
		if (!is_desc_char(c) && !(nested > 0 && (c == ',' || c == ' ')))
			break;
		nested += (c == '(') - (c == ')'); /* of a C++ name: foo(int, char) */
		m = (struct macro){.text = u->text + u->at};
		len = 1;
		if (c == '$') {
			if (macro_read(u, &u->at, &m))
				return -1;
			len = strlen(m.text);
		} else {
			u->at++;
		}
		if (n + len >= room)
			return fail(
				u, u->at, "D_PDESC_INVAL", "", "description is too long");
		memcpy(buf + n, m.text, len);
		n += len;
	}
	buf[n] = 0;
	return (long)n;
}

/*
 * provider:module:scope::function:name, with C++'s or Rust's `::` in the function alone:
 * more colons than divide parts, and those between the second and the last in pairs.
 */
static int split_scoped(struct lang_desc *d, char *text)
{
	char *module = strchr(text, ':');
	char *function = module ? strchr(module + 1, ':') : NULL;
	char *name = strrchr(text, ':'), *s;

	if (!function || name <= function)
		return 0;
	for (s = function + 1; s < name; s++)
		if (*s == ':' && *++s != ':')
			return 0;
	if (s != name)
		return 0;
	*module = *function = *name = 0;
	d->part[0] = text;
	d->part[1] = module + 1;
	d->part[2] = function + 1;
	d->part[3] = name + 1;
	return 1;
}

/* Cuts a description into its parts, which are written from the right. */
static int split(struct unit *u, struct lang_desc *d, char *text, uint32_t at)
{
	int last = LANG_NAME - (int)u->src->spec, part;
	char *colon;

	for (int i = 0; i < LANG_PARTS; i++)
		d->part[i] = "";
	if (last == LANG_NAME && strstr(text, "::") && split_scoped(d, text))
		return 0;
	for (part = last; part >= 0; part--) {
		colon = part ? strrchr(text, ':') : strchr(text, ':');
		d->part[part] = colon ? colon + 1 : text;
		if (!colon)
			return 0;
		*colon = 0;
		if (!part)
			break;
	}
	return fail(u, at, "D_PDESC_INVAL", "at most provider:module:function:name",
		"invalid probe description '%.60s'", d->text);
}

static struct lang_desc *desc(struct unit *u)
{
	struct lang_desc *d = arena_alloc(u->arena, sizeof *d);
	uint32_t at = u->at;
	char buf[2048], *copy, *end;
	long n = desc_text(u, buf, sizeof buf);
	unsigned long id;

	if (n < 0 || !d)
		return NULL;
	if (!n) {
		u->tok = (struct token){.kind = u->at < u->len ? T_MARK : T_END,
			.at = u->at,
			.end = u->at + 1};
		fail_syntax(u, "a probe description");
		return NULL;
	}
	d->text = arena_copy(u->arena, buf, (size_t)n);
	copy = arena_copy(u->arena, buf, (size_t)n);
	if (!d->text || !copy)
		return NULL;
	id = strtoul(buf, &end, 10);
	if (!*end && buf[0] >= '0' && buf[0] <= '9') {
		if (!id || id > UINT32_MAX) {
			fail(u, at, "D_PDESC_INVAL", "", "there is no probe %.20s", buf);
			return NULL;
		}
		d->id = (uint32_t)id;
		copy[0] = 0;
	}
	return split(u, d, copy, at) ? NULL : d;
}

int parse_descs(struct unit *u, struct lang_desc **out)
{
	struct lang_desc **last = out;

	for (;;) {
		*last = desc(u);
		if (!*last)
			return DTPROC_ESYNTAX;
		last = &(*last)->next;
		if (skip_space(u))
			return DTPROC_ESYNTAX;
		if (u->at >= u->len || u->text[u->at] != ',')
			return 0;
		u->at++;
		if (skip_space(u))
			return DTPROC_ESYNTAX;
	}
}

/* ------------------------------------------------------------------------- clauses */

static int statement(struct unit *u, struct lang_stmt ***last)
{
	struct lang_stmt *s;

	if (is_mark(u, ";"))
		return next(u);
	s = arena_alloc(u->arena, sizeof *s);
	if (!s)
		return DTPROC_ENOMEM;
	s->expr = parse_expression(u);
	if (!s->expr)
		return DTPROC_ESYNTAX;
	**last = s;
	*last = &s->next;
	if (is_mark(u, "}"))
		return 0;
	return is_mark(u, ";") ? next(u) : fail_syntax(u, "\";\" or \"}\"");
}

/* The body, whose brace is ahead; afterwards u->at is behind its end. */
static int body(struct unit *u, struct lang_clause *clause)
{
	struct lang_stmt **last = &clause->stmts;

	if (next(u) || next(u))
		return DTPROC_ESYNTAX;
	while (!is_mark(u, "}"))
		if (u->tok.kind == T_END ? fail_syntax(u, "\"}\"") : statement(u, &last))
			return DTPROC_ESYNTAX;
	u->at = u->tok.end;
	return 0;
}

static int predicate(struct unit *u, struct lang_clause *clause)
{
	int err;

	u->at++;
	u->in_predicate = 1;
	err = next(u);
	if (!err)
		clause->predicate = parse_expression(u);
	u->in_predicate = 0;
	if (err || !clause->predicate)
		return DTPROC_ESYNTAX;
	if (u->tok.kind != T_CLOSE)
		return fail_syntax(u, "\"/\" at the end of the predicate");
	return skip_space(u);
}

static int ahead(const struct unit *u, char c)
{
	return u->at < u->len && u->text[u->at] == c;
}

/* The line that the lexer is in; it only moves on. */
static unsigned line_here(struct unit *u)
{
	for (; u->counted < u->at; u->counted++)
		u->line += u->text[u->counted] == '\n';
	return u->line + 1;
}

static struct lang_clause *clause(struct unit *u)
{
	struct lang_clause *c = arena_alloc(u->arena, sizeof *c);

	if (!c)
		return NULL;
	c->at = u->at;
	c->line = line_here(u);
	if (parse_descs(u, &c->descs))
		return NULL;
	if (ahead(u, '/') && predicate(u, c))
		return NULL;
	if (ahead(u, '{'))
		return body(u, c) ? NULL : c;
	if (u->src->input == LANG_INPUT_FILE && !(u->flags & LANG_PSPEC) &&
		!c->predicate) {
		fail(u, u->at, "D_SYNTAX", "expected a predicate or { actions }",
			"syntax error behind the probe description");
		return NULL;
	}
	if (u->at < u->len && !ahead(u, '#') && !(c->predicate && ahead(u, ';')) &&
		!is_desc_char((unsigned char)u->text[u->at])) {
		u->tok = (struct token){.kind = T_MARK, .at = u->at, .end = u->at + 1};
		fail_syntax(u, c->predicate ? "\"{\"" : "\",\", \"/\" or \"{\"");
		return NULL;
	}
	return c;
}

/* Does a word that begins a declaration stand here, and not a description? */
static int declaration(struct unit *u)
{
	static const char *const starts[] = {"auto", "const", "enum", "extern", "inline",
		"self", "signed", "static", "struct", "this", "translator", "typedef",
		"union", "unsigned", "volatile", "provider", "register", "restrict",
		"import"};
	uint32_t end = u->at;
	size_t len;

	while (end < u->len && is_name((unsigned char)u->text[end]))
		end++;
	len = end - u->at;
	if (!len || (end < u->len && is_desc_char((unsigned char)u->text[end])))
		return 0;
	for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
		if (same_word(u->text + u->at, len, starts[i]))
			return 1;
	return is_type_word(u, u->text + u->at, len);
}

int parse_program(struct unit *u)
{
	struct lang_clause **last = &u->script->clauses;

	for (;;) {
		if (skip_space(u))
			return DTPROC_ESYNTAX;
		if (u->at >= u->len)
			return 0;
		if (ahead(u, '#')) {
			if (parse_control(u))
				return DTPROC_ESYNTAX;
			continue;
		}
		if (ahead(u, ';')) {
			u->at++;
			continue;
		}
		if (declaration(u)) {
			if (parse_declaration(u))
				return DTPROC_ESYNTAX;
			continue;
		}
		*last = clause(u);
		if (!*last)
			return DTPROC_ESYNTAX;
		last = &(*last)->next;
	}
}

/* ------------------------------------------------------------------------ compiling */

int lang_scope_open(struct lang_scope **out)
{
	struct lang_scope *s = calloc(1, sizeof *s);

	if (!s || !(s->arena = arena_open())) {
		free(s);
		return err_nomem("a script");
	}
	s->strsize = LANG_STRSIZE;
	*out = s;
	return 0;
}

void lang_scope_set_strsize(struct lang_scope *s, uint32_t bytes)
{
	s->strsize = (bytes + 7) & ~7u;
}

uint32_t lang_scope_strsize(const struct lang_scope *s)
{
	return s->strsize;
}

void lang_scope_close(struct lang_scope *s)
{
	if (!s)
		return;
	vec_free(&s->names);
	vec_free(&s->completed);
	vec_free(&s->xlators);
	hash_free(&s->foreign);
	vec_free(&s->aggs);
	vec_free(&s->vars);
	arena_close(s->arena);
	free(s);
}

void lang_scope_mark(const struct lang_scope *s, struct lang_mark *out)
{
	out->aggs = s->aggs.n;
	out->names = s->names.n;
	out->completed = s->completed.n;
	out->xlators = s->xlators.n;
	out->vars = s->vars.n;
	memcpy(out->used, s->used, sizeof out->used);
	out->arrays = s->arrays;
}

void lang_scope_reset(struct lang_scope *s, const struct lang_mark *mark)
{
	while (s->completed.n > mark->completed)
		s->completed.at[--s->completed.n]->is_incomplete = 1;
	names_cut(s, mark->names);
	s->xlators.n = mark->xlators;
	s->aggs.n = mark->aggs;
	s->vars.n = mark->vars;
	memcpy(s->used, mark->used, sizeof s->used);
	s->arrays = mark->arrays;
}

uint32_t lang_scope_bytes(const struct lang_scope *s, enum lang_var_scope scope)
{
	return s->used[scope];
}

const struct lang_agg *lang_scope_agg(const struct lang_scope *s, uint32_t id)
{
	return id && id <= s->aggs.n ? s->aggs.at[id - 1] : NULL;
}

static int compile(struct unit *u)
{
	int err = parse_program(u);

	for (struct lang_clause *c = u->script->clauses; !err && c; c = c->next)
		err = check_clause(u, c);
	for (struct lang_clause *c = u->script->clauses; !err && c; c = c->next)
		err = check_defined(u, c);
	if (!err && !u->script->clauses && !(u->flags & LANG_EMPTY))
		err = fail(u, 0, "D_EMPTY", "expected a clause", "empty D program");
	return err ? err : macro_unused(u);
}

int lang_compile(
	struct lang_scope *scope, const struct lang_source *src, struct lang_script **out)
{
	struct unit u = {.scope = scope, .src = src};
	size_t len = strlen(src->text);
	struct lang_mark mark;
	int err;

	if (len > LANG_TEXT_MAX)
		return err_set(DTPROC_ESYNTAX, "[D_SYNTAX] text is longer than %u bytes",
			LANG_TEXT_MAX);
	lang_scope_mark(scope, &mark);
	u.arena = arena_open();
	if (!u.arena)
		return DTPROC_ENOMEM;
	u.script = arena_alloc(u.arena, sizeof *u.script);
	u.text = u.script ? arena_copy(u.arena, src->text, len) : NULL;
	if (!u.text) {
		arena_close(u.arena);
		return DTPROC_ENOMEM;
	}
	u.len = (uint32_t)len;
	u.script->text = u.text;
	u.script->arena = u.arena;
	u.last_option = &u.script->options;
	u.flags = src->flags;
	err = compile(&u);
	if (!err && u.failed)
		err = DTPROC_ESYNTAX;
	if (err) {
		if (!u.failed) /* without a diagnostic it can only be this */
			err = err_nomem("a script");
		lang_scope_reset(scope, &mark);
		arena_close(u.arena);
		return err;
	}
	*out = u.script;
	return 0;
}

void lang_script_free(struct lang_script *script)
{
	if (script)
		arena_close(script->arena);
}
