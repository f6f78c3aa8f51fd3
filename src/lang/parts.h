/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the front end share. */
#ifndef LANG_PARTS_H
#define LANG_PARTS_H

#include "lang.h"

#include <base/err.h>
#include <base/hash.h>
#include <base/vec.h>

/* ------------------------------------------------------------------------ memory */

struct lang_arena;
struct lang_arena *arena_open(void);
void arena_close(struct lang_arena *);
/* Zeroed memory that lives as long as the arena; NULL with the error set. */
void *arena_alloc(struct lang_arena *, size_t bytes);
/* A copy of `len` bytes with a NUL behind it. */
char *arena_copy(struct lang_arena *, const char *text, size_t len);

/* ------------------------------------------------------------------ a text at work */

enum token_kind {
	T_END,
	T_INT,
	T_STRING,
	T_NAME,
	T_AGG,  /* text is the name behind @, perhaps empty */
	T_MARK, /* an operator or another mark: text */
	T_CLOSE /* the / that ends a predicate */
};

struct token {
	enum token_kind kind;
	uint32_t at, end; /* in the text */
	const char *text; /* STRING: escapes done; others: as written */
	size_t len;
	uint64_t value;
	const struct lang_type *type; /* of an INT */
};

enum name_kind {
	NAME_TYPE, /* a typedef */
	NAME_TAG,  /* "struct x", "union x", "enum x" */
	NAME_ENUMERATOR,
};
struct name {
	const char *text;
	uint64_t hash;
	enum name_kind kind;
	uint32_t next; /* of its bucket: index + 1 */
	struct lang_type *type;
	int64_t value; /* ENUMERATOR */
};
#define NAME_BUCKETS 512

struct lang_scope {
	struct lang_arena *arena;
	VEC(struct name) names; /* name.c */
	uint32_t buckets[NAME_BUCKETS];
	VEC(struct lang_type *) completed; /* that were incomplete when first named */
	VEC(struct xlator *) xlators;
	struct hash foreign; /* types made of the victim's */
	VEC(struct lang_agg *) aggs;
	VEC(struct lang_var *) vars;
	uint32_t used[LANG_V_SCOPES]; /* bytes of this-> and globals, ids of self-> */
	uint32_t arrays;              /* ids of global associative arrays */
	uint32_t strsize;
};

struct unit {
	struct lang_scope *scope;
	const struct lang_source *src;
	struct lang_script *script;
	struct lang_arena *arena;
	const char *text;
	uint32_t len;
	uint32_t at;      /* where the lexer is */
	struct token tok; /* the token ahead */
	unsigned flags;   /* enum lang_flags; options may add some */
	int in_predicate;
	unsigned depth;
	unsigned importing;         /* the victim's types, inside of each other */
	struct lang_clause *clause; /* that is checked */
	const struct lang_clause *params_of;
	struct type_params *params; /* of its probes */
	unsigned copies;            /* nodes of inline definitions and translators */
	int failed;                 /* the diagnostic is set */
	uint64_t args_used;         /* bits of $1 ... $63 */
	struct lang_option **last_option;
	uint32_t counted; /* newlines up to here are in `line` */
	unsigned line;
};

/* ------------------------------------------------------------------- diagnostics */

/*
 * Sets the diagnostic unless one is set already, and returns DTPROC_ESYNTAX.  `hint`
 * stands behind the caret; "" is none.
 */
int fail(struct unit *, uint32_t at, const char *tag, const char *hint, const char *fmt,
	...) __attribute__((format(printf, 5, 6)));
/* "syntax error near ..." at the token ahead. */
int fail_syntax(struct unit *, const char *expected);
/* Writes "did you mean 'x'?" when one of the names the walk gives is near; else "". */
typedef const char *near_fn(unsigned i);
const char *near_name(const char *name, near_fn *fn, char *buf, size_t room);
const char *near_one(const char *name, const char *candidate, char *buf, size_t room);

/* ------------------------------------------------------------------------- lexer */

/* Skips space and comments; 0, or the diagnostic (an open comment). */
int skip_space(struct unit *);
/* Reads the next token into u->tok; 0 or the diagnostic. */
int next(struct unit *);
/* Is the token ahead this mark or word? */
int is_mark(const struct unit *, const char *mark);
int is_word(const struct unit *, const char *word);
/* Skips the mark ahead, or says that it was expected. */
int expect(struct unit *, const char *mark);
/*
 * The macro whose `$` is at `*at`: its text (a copy), and behind it.  `quoted`: it was
 * $$1.  A diagnostic when it is not defined.
 */
struct macro {
	const char *text;
	int quoted, number;
	uint64_t value;
};
int macro_read(struct unit *, uint32_t *at, struct macro *out);
/* Diagnostic for an argument that no macro used; 0 when there is none. */
int macro_unused(struct unit *);
int is_name_start(int c);
int is_name(int c);

/* ------------------------------------------------------------------------ parser */

struct lang_node *node_new(struct unit *, enum lang_node_kind, uint32_t at);
/* Sets the height from the operands; NULL with a diagnostic when it is too large. */
struct lang_node *node_grown(struct unit *, struct lang_node *);
struct lang_node *parse_expression(struct unit *);
struct lang_node *parse_assignment(struct unit *);
/* Counts a nesting; 0 or the diagnostic.  The caller takes it back from u->depth. */
int enter(struct unit *);

/* ------------------------------------------------------------------ declarations */

enum class {
	CLASS_NONE,
	CLASS_AUTO,
	CLASS_EXTERN,
	CLASS_REGISTER,
	CLASS_STATIC,
	CLASS_TYPEDEF,
	CLASS_SELF,
	CLASS_THIS,
};
/* What one declarator makes of the type before it. */
struct declarator {
	const char *name; /* NULL: none */
	uint32_t at;
	const struct lang_type *type;
	int is_array; /* an associative array with these keys: */
	const struct lang_type *keys[LANG_KEYS_MAX];
	const char *params[LANG_KEYS_MAX]; /* their names, NULL: none */
	unsigned n_keys;
};
/* "unsigned const int", "struct x { ... }": *out NULL when the token begins no type. */
int parse_specifiers(struct unit *, enum class *, const struct lang_type **out);
/* `*x[3]` behind a type. */
int parse_declarator(struct unit *, const struct lang_type *base, struct declarator *out);
/* A type name, when the token ahead begins one; *out NULL: it does not. */
int parse_type(struct unit *, const struct lang_type **out);
/* Does a word begin a type? */
int is_type_word(struct unit *, const char *text, size_t len);
/* A struct, union or enum, whose word is ahead. */
int parse_aggregate(struct unit *, const struct lang_type **out);
/* A constant expression; `tag` when it is none. */
int parse_constant(struct unit *, const char *tag, const char *what, int64_t *out);
/* Names of the scope.  NULL: it has none. */
struct name *name_find(struct unit *, enum name_kind, const char *text, size_t len);
struct name *name_add(
	struct unit *, enum name_kind, const char *text, size_t len, struct lang_type *);
void names_cut(struct lang_scope *, size_t n);
/* typedef: `t` under another name. */
int type_define(struct unit *, const struct declarator *);
/* All clauses of the text. */
int parse_program(struct unit *);
/* A #pragma line (u->at is at its #) or another line of the preprocessor. */
int parse_control(struct unit *);
/* The descriptions before a predicate or a body. */
int parse_descs(struct unit *, struct lang_desc **out);

/* ----------------------------------------------------------------------- checker */

/* Types of the victim (foreign.c).  Is the type complete, or can it be made so? */
int type_complete(struct unit *, const struct lang_type *);
const struct lang_type *type_import(struct unit *, const struct type_ref *);
/* By name; NULL: it has none. */
const struct lang_type *type_of_victim(struct unit *, const char *text, size_t len);
/* module`name */
int check_symbol(struct unit *, struct lang_node **node);
/* args[n] */
int check_args(struct unit *, struct lang_node **node);

#define CHECK_DEPTH_MAX (4u * LANG_DEPTH_MAX) /* of trees with all inlines expanded */

/*
 * A copy of a tree that is not checked yet, with other trees in the place of some names.
 * It says that it stands at `at`, or where the original does.
 */
struct bindings {
	const char *const *names;
	const struct lang_node *const *trees;
	unsigned n;
	struct lang_arena *arena; /* NULL: the text's */
};
#define LANG_AT_KEPT UINT32_MAX
struct lang_node *node_copy(
	struct unit *, const struct lang_node *, const struct bindings *, uint32_t at);
/* One that lives as long as the scope. */
struct lang_node *node_kept(struct unit *, const struct lang_node *);
/* A tree that has a type and stands for any value of it. */
struct lang_node *made_up(struct unit *, uint32_t at, const struct lang_type *);
/* Checks and converts. */
int check_as(struct unit *, struct lang_node **node, const struct lang_type *);

/* Inline definitions (expand.c): behind the declarator; the use of a name; a copy of what
 * a name stands for (NULL: it is no inline); name[args]: 1, 0: it is none. */
int inline_define(struct unit *, const struct declarator *);
int inline_expand(struct unit *, struct lang_node **node);
struct lang_node *inline_body(struct unit *, const struct lang_node *name);
int inline_call(struct unit *, struct lang_node **node);

/* Translators (xlate.c): `translator` is ahead; the translation that an unchecked tree
 * is, or NULL; a member of it. */
int parse_translator(struct unit *);
struct lang_node *xlate_behind(struct unit *, struct lang_node *);
int xlate_member(struct unit *, struct lang_node **node, struct lang_node *xlate);
int member_has(const struct lang_type *, const char *name);

int check_clause(struct unit *, struct lang_clause *);
/* Every aggregation that an action names has a function by now. */
int check_defined(struct unit *, const struct lang_clause *);
/* Types, resolves and folds an expression; replaces *node. */
int check_expression(struct unit *, struct lang_node **node);
int check_call(struct unit *, struct lang_node *);
/*
 * Variables.  A variable begins to exist by a declaration or its first assignment.
 * var_write() resolves the left side of one whose right side has type `t` (NULL: an
 * unknown one becomes a 64-bit integer); var_read() any other use.
 */
int var_declare(struct unit *, enum lang_var_scope, uint32_t at, const char *name,
	const struct lang_type *, struct lang_var **out);
int var_read(struct unit *, struct lang_node *);
struct lang_var *var_find(const struct unit *, enum lang_var_scope, const char *name);
/* Is the name to be assigned to one of the language's own?  Then a diagnostic. */
int var_is_taken(struct unit *, const struct lang_node *);
/* A variable without a place, and its place. */
int var_new(struct unit *, enum lang_var_scope, uint32_t at, const char *name,
	const struct lang_type *, struct lang_var **out);
int var_place(struct unit *, uint32_t at, struct lang_var *);
/* array.c: a[k], read and written; and declared. */
int check_index(struct unit *, struct lang_node **node);
int array_write(struct unit *, struct lang_node *, const struct lang_type *t);
int array_declare(struct unit *, enum lang_var_scope, const struct declarator *);
int var_write(struct unit *, struct lang_node *, const struct lang_type *t);
/* An assignment of any kind, or ++ and --: to `left = right`. */
int check_assignment(struct unit *, struct lang_node *);
/* A declaration or an inline definition; u->at is at its first word. */
int parse_declaration(struct unit *);
/* left->name, left.name and left[index] become loads of the victim's memory. */
int check_member(struct unit *, struct lang_node **node);
int check_element(struct unit *, struct lang_node **node);
/* `*left` and `&left`, whose operand is checked. */
int check_deref(struct unit *, struct lang_node *);
int check_address(struct unit *, struct lang_node **node);
/* The member of that name, also of anonymous members, with its whole offset. */
int member_find(struct unit *, uint32_t at, const struct lang_type *, const char *name,
	struct lang_member *out);
/* An array in the victim's memory becomes the address of its first element. */
int decay(struct unit *, struct lang_node **node);
/* A string, or what DTrace takes for one: an array of or a pointer to char. */
int is_text(const struct lang_type *);
/* Makes a string of such. */
int to_string(struct unit *, struct lang_node **node);
/* offsetof (type, member); `offsetof` is ahead. */
struct lang_node *parse_offsetof(struct unit *);
/* The common parts of binary operators whose operands are checked already. */
int check_operands(struct unit *, struct lang_node **node);
/* The keys of an aggregation, or its bare use. */
int check_agg(struct unit *, struct lang_node *);
/* `*node` as type `t`: folded, wrapped in a cast, or as it is. */
int convert(struct unit *, struct lang_node **node, const struct lang_type *t);
const struct lang_type *promoted(const struct lang_type *);
/* The common type of two integer types. */
const struct lang_type *balanced(const struct lang_type *, const struct lang_type *);
int format_parse(
	struct unit *, const struct lang_node *text, const struct lang_format **out);
/* The arguments of a printf() from the first behind its format. */
int check_format_args(struct unit *, struct lang_node *call);
/* The format of a printa() and its aggregations, when all have their keys. */
int check_printa_args(struct unit *, const struct lang_node *call);

/* ------------------------------------------------------------------------- tables */

const struct lang_builtin *builtin_find(const char *name, size_t len);
const char *builtin_name(unsigned i);
/* Why a name of DTrace means nothing here; NULL: it is none. */
const char *refused_why(const char *name, size_t len);
/* The arguments against the prototype; action.c: those of an action, and statements that
 * do not go with speculate() or commit(). */
int check_arguments(struct unit *, struct lang_node *call);
int check_action(struct unit *, struct lang_node *call);
int check_speculation(struct unit *, const struct lang_clause *);
/* quantize.c: the parameters of a quantizing function, packed; and how they differ from
 * those that the aggregation has.  Of others it is 0. */
int check_quantize(struct unit *, struct lang_node *call, uint64_t *param);
int quantize_mismatch(
	struct unit *, const struct lang_node *, const struct lang_agg *, uint64_t param);
/* constant.c: a name that DTrace's library defines becomes its value: 1, or 0. */
int constant_read(struct lang_node *);
const struct lang_func *func_find(const char *name, size_t len);
const char *func_name(unsigned i);
const char *op_text(enum lang_op);

extern const struct lang_type lang_type_void, lang_type_int, lang_type_uint,
	lang_type_long, lang_type_ulong, lang_type_string, lang_type_dyn,
	lang_type_action;
struct lang_type *type_new(
	struct unit *, enum lang_type_kind, const char *name, size_t len);
const struct lang_type *pointer_to(struct unit *, const struct lang_type *);
const struct lang_type *array_of(
	struct unit *, uint32_t at, const struct lang_type *, uint32_t n);
const struct lang_type *function_to(struct unit *, const struct lang_type *);
/* Do both name the same type, whatever typedefs call it? */
int type_same(const struct lang_type *, const struct lang_type *);
/* The type of an integer constant: the first of C's that holds it; NULL: none does. */
const struct lang_type *type_of_constant(
	uint64_t value, int decimal, int is_unsigned, unsigned longs);

#endif
