/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Declarations, as C has them: specifiers ("unsigned long", "struct x { ... }") and
 * declarators ("*name[3]", "(*f)(int)").
 *
 * A declarator is read from the name outwards into a list of steps, and the list is then
 * applied from its end to the type that the specifiers gave.
 */
#include "parts.h"

#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------------- specifiers */

enum word {
	W_UNSIGNED,
	W_SIGNED,
	W_CHAR,
	W_SHORT,
	W_INT,
	W_LONG,
	W_VOID,
	W_STRING,
	W_FLOAT,
	W_DOUBLE,
	W_QUALIFIER,
	W_AGGREGATE,
	W_CLASS,
	WORDS
};

static const struct {
	const char *text;
	enum word word;
	enum class class;
} words[] = {
	{"unsigned", W_UNSIGNED, 0},
	{"signed", W_SIGNED, 0},
	{"char", W_CHAR, 0},
	{"short", W_SHORT, 0},
	{"int", W_INT, 0},
	{"long", W_LONG, 0},
	{"void", W_VOID, 0},
	{"string", W_STRING, 0},
	{"float", W_FLOAT, 0},
	{"double", W_DOUBLE, 0},
	{"const", W_QUALIFIER, 0},
	{"volatile", W_QUALIFIER, 0},
	{"restrict", W_QUALIFIER, 0},
	{"userland", W_QUALIFIER, 0},
	{"struct", W_AGGREGATE, 0},
	{"union", W_AGGREGATE, 0},
	{"enum", W_AGGREGATE, 0},
	{"auto", W_CLASS, CLASS_AUTO},
	{"extern", W_CLASS, CLASS_EXTERN},
	{"register", W_CLASS, CLASS_REGISTER},
	{"static", W_CLASS, CLASS_STATIC},
	{"typedef", W_CLASS, CLASS_TYPEDEF},
	{"self", W_CLASS, CLASS_SELF},
	{"this", W_CLASS, CLASS_THIS},
};
#define N_WORDS ((int)(sizeof words / sizeof words[0]))

/* What was read of a declaration's specifiers. */
struct specifiers {
	unsigned char n[WORDS];
	enum class class;
	const struct lang_type *type; /* by its name or its body */
	int is_named;
};

static int word_index(const char *text, size_t len)
{
	for (int i = 0; i < N_WORDS; i++)
		if (strlen(words[i].text) == len && !memcmp(words[i].text, text, len))
			return i;
	return -1;
}

static const struct lang_type *type_called(struct unit *u, const char *text, size_t len)
{
	const struct name *n = name_find(u, NAME_TYPE, text, len);
	const struct lang_type *t = n ? n->type : lang_type_named(text, len);

	return t ? t : type_of_victim(u, text, len);
}

int is_type_word(struct unit *u, const char *text, size_t len)
{
	int i = word_index(text, len);

	return i >= 0 ? words[i].word != W_CLASS : type_called(u, text, len) != NULL;
}

static int has_type(const struct specifiers *s)
{
	return s->type || s->n[W_CHAR] || s->n[W_INT] || s->n[W_VOID] || s->n[W_STRING] ||
	       s->n[W_FLOAT] || s->n[W_DOUBLE];
}

/* Words that make no type together. */
static int check_words(struct unit *u, uint32_t at, const struct specifiers *s)
{
	const unsigned char *n = s->n;
	int is_sized = n[W_SHORT] || n[W_LONG], has_sign = n[W_SIGNED] || n[W_UNSIGNED];
	int is_integer = !n[W_FLOAT] && !n[W_DOUBLE] && !n[W_STRING] && !s->type;

	if (n[W_CHAR] && is_sized)
		return fail(u, at, "D_DECL_CHARATTR", "",
			"short and long may not be used with char type");
	if (n[W_VOID] && (is_sized || has_sign))
		return fail(u, at, "D_DECL_VOIDATTR", "",
			"attributes may not be used with void type");
	if (has_sign && !is_integer)
		return fail(u, at, "D_DECL_SIGNINT", "",
			"signed and unsigned may only be used with integer type");
	if (n[W_LONG] && !is_integer && !n[W_DOUBLE])
		return fail(u, at, "D_DECL_LONGINT", "",
			"long and long long may only be used with integer or "
			"floating-point type");
	if (n[W_LONG] > 2 || n[W_SHORT] > 1 || n[W_SIGNED] > 1 || n[W_UNSIGNED] > 1 ||
		(n[W_SHORT] && (n[W_LONG] || !is_integer)) ||
		(n[W_SIGNED] && n[W_UNSIGNED]) || (n[W_DOUBLE] && n[W_LONG] > 1) ||
		n[W_CHAR] + n[W_INT] + n[W_VOID] + n[W_STRING] + n[W_FLOAT] +
				n[W_DOUBLE] + (s->type != NULL) >
			1)
		return fail(u, at, "D_DECL_COMBO", "", "invalid type combination");
	return 0;
}

static const struct lang_type *made_of(const struct specifiers *s)
{
	static const char *const names[2][5] = {
		{"char", "short", "int", "long", "long long"},
		{"unsigned char", "unsigned short", "unsigned int", "unsigned long",
			"unsigned long long"}};
	const unsigned char *n = s->n;
	const char *name;

	if (s->type)
		return s->type;
	if (n[W_VOID])
		return &lang_type_void;
	if (n[W_STRING])
		return &lang_type_string;
	name = n[W_FLOAT]    ? "float"
	       : n[W_DOUBLE] ? n[W_LONG] ? "long double" : "double"
	       : n[W_CHAR] && n[W_SIGNED]
		       ? "signed char"
		       : names[n[W_UNSIGNED] > 0][n[W_CHAR]        ? 0
						  : n[W_SHORT]     ? 1
						  : n[W_LONG] == 1 ? 3
						  : n[W_LONG] == 2 ? 4
								   : 2];
	return lang_type_named(name, strlen(name));
}

static int set_class(struct unit *u, enum class class, struct specifiers *s)
{
	if (s->class)
		return fail(u, u->tok.at, "D_DECL_CLASS", "",
			"only one storage class allowed in a declaration");
	s->class = class;
	return next(u);
}

/* One word of them: 1, 0 when it is none, or the diagnostic. */
static int specifier(struct unit *u, int classes, struct specifiers *s)
{
	int i = word_index(u->tok.text, u->tok.len), err;
	uint32_t at = u->tok.at;

	if (i < 0) {
		/* Behind a type, a type's name is what is declared. */
		if (has_type(s) || s->n[W_SHORT] || s->n[W_LONG] || s->n[W_SIGNED] ||
			s->n[W_UNSIGNED])
			return 0;
		s->type = type_called(u, u->tok.text, u->tok.len);
		return !s->type ? 0 : next(u) ? DTPROC_ESYNTAX : 1;
	}
	if (words[i].word == W_CLASS) {
		if (!classes)
			return 0;
		return set_class(u, words[i].class, s) ? DTPROC_ESYNTAX : 1;
	}
	if (words[i].word == W_AGGREGATE) {
		if (has_type(s))
			return fail(
				u, at, "D_DECL_COMBO", "", "invalid type combination");
		err = parse_aggregate(u, &s->type);
	} else {
		if (s->n[words[i].word] < 3)
			s->n[words[i].word]++;
		err = next(u);
	}
	return err || check_words(u, at, s) ? DTPROC_ESYNTAX : 1;
}

int parse_specifiers(struct unit *u, enum class *class, const struct lang_type **out)
{
	struct specifiers s = {0};
	uint32_t at = u->tok.at;
	int more = 1, seen = 0;

	*out = NULL;
	while (u->tok.kind == T_NAME && (more = specifier(u, class != NULL, &s)) > 0)
		seen = 1;
	if (more < 0)
		return DTPROC_ESYNTAX;
	if (class)
		*class = s.class;
	if (!seen)
		return 0;
	*out = made_of(&s);
	if (s.n[W_QUALIFIER] == seen && !*out)
		return fail(u, at, "D_DECL_COMBO", "", "invalid type combination");
	return *out ? 0 : DTPROC_ENOMEM;
}

/* --------------------------------------------------------------------- declarators */

enum step_kind { STEP_POINTER, STEP_ARRAY, STEP_FUNCTION };
struct step {
	enum step_kind kind;
	uint32_t n, at;
};
struct steps {
	struct step at[LANG_DEPTH_MAX];
	unsigned n;
};

static int step(struct unit *u, struct steps *s, enum step_kind kind, uint32_t n)
{
	if (s->n >= LANG_DEPTH_MAX)
		return fail(u, u->tok.at, "D_SYNTAX", "", "type is nested too deeply");
	s->at[s->n++] = (struct step){kind, n, u->tok.at};
	return 0;
}

int parse_constant(struct unit *u, const char *tag, const char *what, int64_t *out)
{
	struct lang_node *n = parse_assignment(u);

	if (!n || check_expression(u, &n))
		return DTPROC_ESYNTAX;
	if (n->kind != LANG_N_INT)
		return fail(u, n->at, tag, "expected an integer constant", "%s", what);
	*out = (int64_t)n->value;
	return 0;
}

/* The types of a tuple: of an associative array's keys. */
static int tuple(struct unit *u, struct declarator *out)
{
	struct declarator key;
	const struct lang_type *t;

	if (out->is_array)
		return fail(u, u->tok.at, "D_DECL_DYNOBJ", "",
			"cannot declare array of associative arrays");
	out->is_array = 1;
	do {
		if (out->n_keys >= LANG_KEYS_MAX)
			return fail(u, u->tok.at, "D_PROTO_LEN", "", "more than %d keys",
				LANG_KEYS_MAX);
		if ((out->n_keys && next(u)) || parse_specifiers(u, NULL, &t))
			return DTPROC_ESYNTAX;
		if (!t)
			return fail_syntax(u, "a type");
		if (parse_declarator(u, t, &key))
			return DTPROC_ESYNTAX;
		if (key.type->kind == LANG_T_VOID || key.is_array)
			return fail(u, key.at, "D_DECL_PROTO_TYPE", "",
				"array prototype may not use parameter of type %s: %s, "
				"parameter #%u",
				key.type->name, key.name ? key.name : "(anonymous)",
				out->n_keys + 1);
		out->params[out->n_keys] = key.name;
		out->keys[out->n_keys++] = key.type;
	} while (is_mark(u, ","));
	return expect(u, "]");
}

/* `[n]`, `[]` or `[int, string]`; the bracket is ahead. */
static int brackets(struct unit *u, struct steps *s, struct declarator *out)
{
	int64_t n;
	uint32_t at;

	if (next(u))
		return DTPROC_ESYNTAX;
	if (is_mark(u, "]"))
		return step(u, s, STEP_ARRAY, 0) ? DTPROC_ESYNTAX : next(u);
	if (u->tok.kind == T_NAME && is_type_word(u, u->tok.text, u->tok.len))
		return tuple(u, out);
	at = u->tok.at;
	if (parse_constant(u, "D_DECL_ARRSUB",
		    "positive integral constant expression or tuple signature expected "
		    "as array declaration subscript",
		    &n))
		return DTPROC_ESYNTAX;
	if (n <= 0)
		return fail(u, at, "D_DECL_ARRSUB", "",
			"positive integral constant expression expected as array "
			"declaration subscript");
	if (n > UINT32_MAX)
		return fail(u, at, "D_DECL_ARRBIG", "", "array dimension too big");
	return step(u, s, STEP_ARRAY, (uint32_t)n) ? DTPROC_ESYNTAX : expect(u, "]");
}

/* One parameter of a function, whose types mean nothing to D. */
static int parameter(struct unit *u, unsigned i)
{
	const struct lang_type *t;
	struct declarator d;
	enum class class;
	uint32_t at = u->tok.at;

	if (is_mark(u, "..."))
		return next(u);
	if (parse_specifiers(u, &class, &t))
		return DTPROC_ESYNTAX;
	if (!t)
		return fail_syntax(u, "a parameter's type");
	if (class && class != CLASS_REGISTER)
		return fail(u, at, "D_DECL_PARMCLASS", "",
			"inappropriate storage class for function or associative array "
			"parameter");
	if (parse_declarator(u, t, &d))
		return DTPROC_ESYNTAX;
	if (d.is_array)
		return fail(u, at, "D_DECL_PROTO_TYPE", "",
			"function prototype may not use an associative array");
	if (d.type->kind == LANG_T_VOID && d.name)
		return fail(u, d.at, "D_DECL_PROTO_NAME", "",
			"void parameter may not have a name: %s", d.name);
	if (d.type->kind == LANG_T_VOID && (i || !is_mark(u, ")")))
		return fail(
			u, at, "D_DECL_PROTO_VOID", "", "void must be sole parameter");
	return 0;
}

/* `(int, char *)`; the parenthesis is ahead. */
static int parameters(struct unit *u, struct steps *s)
{
	unsigned i = 0;

	if (step(u, s, STEP_FUNCTION, 0) || next(u))
		return DTPROC_ESYNTAX;
	while (!is_mark(u, ")")) {
		if ((i && expect(u, ",")) || parameter(u, i++))
			return DTPROC_ESYNTAX;
		if (!is_mark(u, ",") && !is_mark(u, ")"))
			return fail_syntax(u, "\",\" or \")\"");
	}
	return next(u);
}

static int declarator(struct unit *u, struct steps *s, struct declarator *out);

/* Is the parenthesis ahead one around a declarator, and not around parameters? */
static int is_nested(struct unit *u)
{
	struct unit ahead = *u;
	int is;

	if (next(&ahead)) {
		u->failed = ahead.failed;
		return -1;
	}
	is = is_mark(&ahead, "*") || is_mark(&ahead, "(") || is_mark(&ahead, "[") ||
	     (ahead.tok.kind == T_NAME &&
		     !is_type_word(u, ahead.tok.text, ahead.tok.len));
	return is;
}

/* The name or the declarator in parentheses. */
static int inner(struct unit *u, struct steps *s, struct declarator *out)
{
	int nested;

	if (u->tok.kind == T_NAME) {
		out->at = u->tok.at;
		out->name = arena_copy(u->arena, u->tok.text, u->tok.len);
		return out->name ? next(u) : DTPROC_ENOMEM;
	}
	if (!is_mark(u, "("))
		return 0;
	nested = is_nested(u);
	if (nested <= 0)
		return nested;
	return next(u) || declarator(u, s, out) ? DTPROC_ESYNTAX : expect(u, ")");
}

static int declarator(struct unit *u, struct steps *s, struct declarator *out)
{
	unsigned pointers = 0, depth = u->depth;

	if (enter(u))
		return DTPROC_ESYNTAX;
	for (; is_mark(u, "*"); pointers++) {
		do {
			if (next(u))
				return DTPROC_ESYNTAX;
		} while (is_word(u, "const") || is_word(u, "volatile") ||
			 is_word(u, "restrict"));
	}
	if (inner(u, s, out))
		return DTPROC_ESYNTAX;
	while (is_mark(u, "[") || is_mark(u, "("))
		if (is_mark(u, "[") ? brackets(u, s, out) : parameters(u, s))
			return DTPROC_ESYNTAX;
	while (pointers--)
		if (step(u, s, STEP_POINTER, 0))
			return DTPROC_ESYNTAX;
	u->depth = depth;
	return 0;
}

static const struct lang_type *applied(
	struct unit *u, const struct step *s, const struct lang_type *t)
{
	if (s->kind == STEP_POINTER)
		return pointer_to(u, t);
	if (t->kind == LANG_T_FUNCTION)
		fail(u, s->at, "D_DECL_COMBO", "", "there is no %s of functions",
			s->kind == STEP_ARRAY ? "array" : "function");
	else if (s->kind == STEP_FUNCTION && t->kind == LANG_T_ARRAY)
		fail(u, s->at, "D_DECL_COMBO", "", "a function cannot return an array");
	else if (s->kind == STEP_FUNCTION)
		return function_to(u, t);
	else if (t->kind == LANG_T_VOID)
		fail(u, s->at, "D_DECL_VOIDOBJ", "", "cannot declare array of void");
	else if (!type_complete(u, t) || (t->kind == LANG_T_ARRAY && !t->n))
		fail(u, s->at, "D_DECL_INCOMPLETE", "", "array of incomplete type %s",
			t->name);
	else
		return array_of(u, s->at, t, s->n);
	return NULL;
}

int parse_declarator(struct unit *u, const struct lang_type *base, struct declarator *out)
{
	struct steps s;

	s.n = 0;
	*out = (struct declarator){.at = u->tok.at};
	if (declarator(u, &s, out))
		return DTPROC_ESYNTAX;
	while (base && s.n)
		base = applied(u, &s.at[--s.n], base);
	out->type = base;
	return base ? 0 : DTPROC_ESYNTAX;
}

int parse_type(struct unit *u, const struct lang_type **out)
{
	struct declarator d;

	if (u->tok.kind == T_NAME && !is_type_word(u, u->tok.text, u->tok.len)) {
		*out = NULL;
		return 0;
	}
	if (parse_specifiers(u, NULL, out) || !*out)
		return u->failed ? DTPROC_ESYNTAX : 0;
	if (parse_declarator(u, *out, &d))
		return DTPROC_ESYNTAX;
	if (d.name || d.is_array)
		return fail(u, d.at, "D_SYNTAX", "", "expected a type without a name");
	*out = d.type;
	return 0;
}
