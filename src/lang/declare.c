/* SPDX-License-Identifier: BSD-2-Clause */
/* Declarations outside of clauses: types, variables, inline definitions. */
#include "parts.h"

#include <string.h>

/* Is the name free for it?  1, 0: it was declared so already, or the diagnostic. */
static int is_free(struct unit *u, enum lang_var_scope scope, const struct declarator *d)
{
	const struct lang_var *old = var_find(u, scope, d->name);
	int is_own = builtin_find(d->name, strlen(d->name)) ||
		     func_find(d->name, strlen(d->name)) ||
		     name_find(u, NAME_ENUMERATOR, d->name, strlen(d->name));

	if (strchr(d->name, '`'))
		return fail(u, d->at, "D_DECL_SCOPE", "",
			"D scoping operator may not be used in a declaration name (%s)",
			d->name);
	if ((scope == LANG_V_GLOBAL || scope == LANG_V_INLINE) && is_own)
		return fail(u, d->at, "D_DECL_IDRED", "", "identifier redeclared: %s",
			d->name);
	if (!old)
		return 1;
	if (scope != LANG_V_INLINE && !old->n_keys && !d->is_array &&
		type_same(old->type, d->type))
		return 0;
	return fail(u, d->at, "D_DECL_IDRED", "", "identifier redeclared: %s", d->name);
}

static int variable(struct unit *u, enum lang_var_scope scope, const struct declarator *d)
{
	int is = is_free(u, scope, d);

	if (is <= 0)
		return is;
	if (d->is_array && scope == LANG_V_THIS)
		return fail(u, d->at, "D_DECL_LOCASSC", "",
			"cannot declare clause-local associative array: %s", d->name);
	if (d->is_array)
		return array_declare(u, scope, d);
	if (d->type->kind == LANG_T_ARRAY && !d->type->n)
		return fail(u, d->at, "D_DECL_ARRNULL", "",
			"array declaration requires array dimension or tuple signature: "
			"%s",
			d->name);
	return var_declare(u, scope, d->at, d->name, d->type, NULL);
}

/* One declarator of a declaration of that class. */
static int declare(struct unit *u, enum class class, const struct lang_type *base)
{
	struct declarator d;

	if (parse_declarator(u, base, &d))
		return DTPROC_ESYNTAX;
	if (!d.name)
		return fail_syntax(u, "a name");
	if (class == CLASS_TYPEDEF)
		return type_define(u, &d);
	if (class == CLASS_EXTERN || d.type->kind == LANG_T_FUNCTION)
		return 0; /* the victim's, which D does not call */
	return variable(u,
		class == CLASS_SELF   ? LANG_V_SELF
		: class == CLASS_THIS ? LANG_V_THIS
				      : LANG_V_GLOBAL,
		&d);
}

static int declarators(struct unit *u, enum class class, const struct lang_type *base)
{
	for (;;) {
		if (declare(u, class, base))
			return DTPROC_ESYNTAX;
		if (!is_mark(u, ","))
			return 0;
		if (next(u))
			return DTPROC_ESYNTAX;
	}
}

static int is_tag(const struct lang_type *t)
{
	return t->kind == LANG_T_STRUCT || t->kind == LANG_T_UNION || t->is_enum;
}

static int inline_definition(struct unit *u)
{
	const struct lang_type *t;
	struct declarator d;

	if (next(u) || parse_specifiers(u, NULL, &t))
		return DTPROC_ESYNTAX;
	if (!t)
		return fail_syntax(u, "a type");
	if (parse_declarator(u, t, &d))
		return DTPROC_ESYNTAX;
	if (!d.name)
		return fail_syntax(u, "a name");
	return is_free(u, LANG_V_INLINE, &d) < 0 ? DTPROC_ESYNTAX : inline_define(u, &d);
}

static int declaration(struct unit *u)
{
	const struct lang_type *t;
	enum class class;
	uint32_t at = u->tok.at;

	if (parse_specifiers(u, &class, &t))
		return DTPROC_ESYNTAX;
	if (!t)
		return fail_syntax(u, "a declaration");
	if (class == CLASS_AUTO || class == CLASS_REGISTER || class == CLASS_STATIC)
		return fail(u, at, "D_DECL_BADCLASS", "",
			"specified storage class not appropriate in D");
	if (!is_mark(u, ";"))
		return declarators(u, class, t);
	return is_tag(t) && class == CLASS_NONE
		       ? 0
		       : fail(u, at, "D_DECL_USELESS", "expected a name",
				 "useless declaration");
}

int parse_declaration(struct unit *u)
{
	int err = next(u);

	if (!err)
		err = is_word(u, "inline")       ? inline_definition(u)
		      : is_word(u, "translator") ? parse_translator(u)
						 : declaration(u);
	if (err)
		return DTPROC_ESYNTAX;
	if (!is_mark(u, ";"))
		return fail_syntax(u, "\";\"");
	u->at = u->tok.end;
	return 0;
}
