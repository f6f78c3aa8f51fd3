/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * D text to a typed tree, or to a diagnostic.
 *
 * A *scope* outlives texts: aggregations, variables and options that several -n and -s
 * share.  A *script* is one text: clauses of probe descriptions, a predicate and
 * statements, every node typed and checked, names resolved, constants folded.  All of
 * it lies in the script's arena and goes with it.
 *
 * Nothing here knows a process, a probe or a machine.  No text crashes or hangs it:
 * length, nesting and numbers are limited (LANG_*_MAX).  Out of memory is an error.
 */
#ifndef LANG_LANG_H
#define LANG_LANG_H

#include <base/typedesc.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LANG_TEXT_MAX (1u << 20)
#define LANG_DEPTH_MAX 250 /* height of an expression's tree */
#define LANG_KEYS_MAX 32   /* of a tuple */
#define LANG_ARGS_MAX 64   /* of a call */
#define LANG_NAME_MAX 128
#define LANG_AGGS_MAX 4096 /* in a scope */
#define LANG_VARS_MAX 4096
#define LANG_STRSIZE                                                                     \
	256 /* bytes of a string, unless lang_scope_set_strsize() says so                \
	     */

/* ------------------------------------------------------------------------- types */

enum lang_type_kind {
	LANG_T_VOID,
	LANG_T_INT,
	LANG_T_STRING,
	LANG_T_POINTER,
	LANG_T_DYN,    /* an aggregation: no value of its own */
	LANG_T_ACTION, /* the result of an action: nothing */
	LANG_T_FLOAT,  /* can be sized, copied and printed; D does not compute with it */
	LANG_T_ARRAY,
	LANG_T_STRUCT,
	LANG_T_UNION,
	LANG_T_FUNCTION,
	LANG_T_STACK,   /* ustack(): for records, keys and formats alone */
	LANG_T_ADDRESS, /* uaddr() and its like: likewise */
};

struct lang_member {
	const char *name; /* "": an anonymous struct or union, or padding */
	const struct lang_type *type;
	uint32_t offset; /* bytes; of a bit-field: where its storage begins, */
	uint8_t unit;    /* bytes of that storage (1, 2, 4, 8), */
	uint8_t bit;     /* its lowest bit there, and */
	uint8_t bits;    /* its width; 0: no bit-field */
};
struct lang_enumerator {
	const char *name;
	int64_t value;
};

/*
 * A type lives as long as the scope that it was declared in; a struct, union or enum is
 * one object, so that pointers to it compare.  An enum is an integer with enumerators.
 */
struct lang_type {
	enum lang_type_kind kind;
	uint32_t size; /* bytes of a value; of a string: its room; array of []: 0 */
	uint8_t is_signed;
	uint8_t rank; /* of the usual arithmetic conversions */
	uint8_t is_enum, is_incomplete;
	uint8_t depth;    /* aggregates inside of each other, at most LANG_DEPTH_MAX */
	uint32_t align;   /* 0: as its size */
	const char *name; /* as a diagnostic prints it */
	const struct lang_type *to; /* of a pointer; elements; what a function returns */
	uint32_t n;                 /* elements of an array */
	const struct lang_member *members;
	const struct lang_enumerator *enums;
	uint32_t n_members, n_enums;
	struct type_ref ref; /* of the victim's type that this is; file NULL: of none */
};

/* The type of that name ("unsigned long", "uint8_t", "pid_t"), or NULL. */
const struct lang_type *lang_type_named(const char *name, size_t len);
int lang_type_is_integer(const struct lang_type *);
/* A stack, or an address that is printed by name. */
int lang_type_is_trace(const struct lang_type *);
int lang_type_is_scalar(const struct lang_type *); /* a number or a pointer */
/* A struct, union, array or floating-point number: bytes that are copied as a whole. */
int lang_type_is_bytes(const struct lang_type *);
/* A value of any integer type as 64 bits: cut to its size and extended by its sign. */
uint64_t lang_type_fit(const struct lang_type *, uint64_t value);

/* ------------------------------------------------- built-ins, functions, operators */

enum lang_builtin_kind {
	LANG_B_VALUE,    /* a number: code is enum rt_value */
	LANG_B_ARG,      /* code: 0 ... 9 */
	LANG_B_EXECNAME, /* a string */
	LANG_B_PROBE,    /* a string: code is enum rt_part */
	LANG_B_TEXT,     /* a string: code is enum rt_text */
};
struct lang_builtin {
	const char *name;
	enum lang_builtin_kind kind;
	uint32_t code;
	const struct lang_type *type;
};

enum lang_func_kind {
	LANG_F_ACTION,   /* only as a statement */
	LANG_F_AGG,      /* only behind `@name =`; code is enum rt_agg_func */
	LANG_F_FUNCTION, /* in any expression */
};
enum lang_action {
	LANG_ACT_TRACE,
	LANG_ACT_PRINTF,
	LANG_ACT_EXIT,
	LANG_ACT_PRINTA,
	LANG_ACT_CLEAR,
	LANG_ACT_TRUNC,
	LANG_ACT_PRINT,
	LANG_ACT_TRACEMEM,
	LANG_ACT_SYSTEM,
	LANG_ACT_FREOPEN,
	LANG_ACT_FTRUNCATE,
	LANG_ACT_SETOPT,
	LANG_ACT_NORMALIZE,
	LANG_ACT_DENORMALIZE,
	/* Those that make no record. */
	LANG_ACT_STOP,
	LANG_ACT_RAISE,
	LANG_ACT_SPECULATE,
	LANG_ACT_COMMIT,
	LANG_ACT_DISCARD,
};
enum lang_function {
	LANG_FN_STRLEN,
	LANG_FN_COPYINSTR,
	LANG_FN_STRINGOF,
	LANG_FN_ALLOCA,
	LANG_FN_BASENAME,
	LANG_FN_BCOPY,
	LANG_FN_CLEANPATH,
	LANG_FN_COPYIN,
	LANG_FN_COPYINTO,
	LANG_FN_COPYOUT,
	LANG_FN_COPYOUTSTR,
	LANG_FN_DIRNAME,
	LANG_FN_GETMAJOR,
	LANG_FN_GETMINOR,
	LANG_FN_HTONL,
	LANG_FN_HTONLL,
	LANG_FN_HTONS,
	LANG_FN_INDEX,
	LANG_FN_INET_NTOA,
	LANG_FN_INET_NTOA6,
	LANG_FN_INET_NTOP,
	LANG_FN_JSON,
	LANG_FN_LLTOSTR,
	LANG_FN_PROGENYOF,
	LANG_FN_RAND,
	LANG_FN_RINDEX,
	LANG_FN_SPECULATION,
	LANG_FN_STRCHR,
	LANG_FN_STRJOIN,
	LANG_FN_STRRCHR,
	LANG_FN_STRSTR,
	LANG_FN_STRTOK,
	LANG_FN_STRTOLL,
	LANG_FN_SUBSTR,
	LANG_FN_TOLOWER,
	LANG_FN_TOUPPER,
	LANG_FN_UREGS,
	/* Values of their own kinds: for records, keys and formats. */
	LANG_FN_USTACK,
	LANG_FN_JSTACK,
	LANG_FN_UADDR,
	LANG_FN_USYM,
	LANG_FN_UFUNC,
	LANG_FN_UMOD,
	LANG_FUNCTIONS,
};
struct lang_func {
	const char *name;
	enum lang_func_kind kind;
	uint32_t code;
	uint8_t least, most; /* arguments */
	const char *params;  /* one letter each: i integer, p address, s string, S string
				or 0, * any scalar or string, v any value, f format, @
				aggregation; the last one repeats */
	const struct lang_type *type;
};

enum lang_op {
	LANG_OP_NONE,
	LANG_OP_COMMA,
	LANG_OP_ASSIGN,
	LANG_OP_ADD_ASSIGN,
	LANG_OP_SUB_ASSIGN,
	LANG_OP_MUL_ASSIGN,
	LANG_OP_DIV_ASSIGN,
	LANG_OP_MOD_ASSIGN,
	LANG_OP_AND_ASSIGN,
	LANG_OP_XOR_ASSIGN,
	LANG_OP_OR_ASSIGN,
	LANG_OP_LSH_ASSIGN,
	LANG_OP_RSH_ASSIGN,
	LANG_OP_COND,
	LANG_OP_LOR,
	LANG_OP_LXOR,
	LANG_OP_LAND,
	LANG_OP_OR,
	LANG_OP_XOR,
	LANG_OP_AND,
	LANG_OP_EQ,
	LANG_OP_NE,
	LANG_OP_LT,
	LANG_OP_LE,
	LANG_OP_GT,
	LANG_OP_GE,
	LANG_OP_LSH,
	LANG_OP_RSH,
	LANG_OP_ADD,
	LANG_OP_SUB,
	LANG_OP_MUL,
	LANG_OP_DIV,
	LANG_OP_MOD,
	LANG_OP_NOT, /* ! */
	LANG_OP_CPL, /* ~ */
	LANG_OP_NEG,
	LANG_OP_PLUS, /* + as a sign */
	LANG_OP_DEREF,
	LANG_OP_ADDROF,
	LANG_OP_SIZEOF,
	LANG_OP_BITS, /* a bit-field of the operand: value is its lowest bit | width << 8
		       */
	LANG_OP_PREINC,
	LANG_OP_PREDEC,
	LANG_OP_POSTINC,
	LANG_OP_POSTDEC,
	LANG_OPS,
};
/* What C computes for integer operands of type `t` (both converted); 0, or -1: x / 0. */
int lang_op_fold(
	enum lang_op, const struct lang_type *t, uint64_t a, uint64_t b, uint64_t *out);

/* ------------------------------------------------------------------------- format */

/* One conversion of a printf() format, with the text before it. */
struct lang_conv {
	const char *text; /* printed before it, escapes done; NUL-terminated */
	char conv;        /* d i o u x X c s S p Y ..., '%', or 0: only text (the last) */
	char length;      /* h l L w, q: ll; 0: none */
	uint8_t minus, plus, space, alt, zero, group, at; /* flags - + space # 0 ' @ */
	int width;     /* -1: none, LANG_STAR: from an argument */
	int precision; /* likewise */
	/*
	 * Which argument, or key of the aggregation (from 0); -1: none.  With @, arg is
	 * which %@ of the format it is.
	 */
	int width_arg, precision_arg, arg;
};
#define LANG_STAR (-2)
/*
 * The consumer prints by the argument's own size and sign, as DTrace does: d and i
 * sign-extend from it, the others zero-extend; h, l and ll have been checked against its
 * size and change nothing.
 */
struct lang_format {
	struct lang_conv *convs;
	unsigned n;
	unsigned args; /* how many it takes, */
	unsigned aggs; /* and how many %@ there are */
};

/* --------------------------------------------------------------------------- tree */

struct lang_agg {
	uint32_t id;      /* counts from 1 in the scope, as they appear */
	const char *name; /* "" for the anonymous one */
	uint32_t func;    /* enum rt_agg_func */
	uint64_t param;   /* of lquantize and llquantize */
	unsigned n_keys;
	const struct lang_type *keys[LANG_KEYS_MAX];
	int defined; /* a statement gave it its function */
};

enum lang_var_scope {
	LANG_V_GLOBAL,
	LANG_V_THIS,
	LANG_V_SELF,
	LANG_V_SCOPES,
	LANG_V_INLINE = LANG_V_SCOPES, /* a name for an expression */
};
struct lang_var {
	uint32_t place; /* self->: an id, from 1; this->, globals: offset in their memory
			 */
	enum lang_var_scope scope;
	const char *name;
	const struct lang_type *type;
	const struct lang_type *const *keys; /* of an associative array, */
	unsigned n_keys;                     /* 0: it is none; `place` is an id */
	uint32_t strsize; /* bytes of its value, and of each of its keys, if it is a
			     string */
	/* INLINE: what it stands for, not checked, and its parameters. */
	const struct lang_node *body;
	const char *const *params;
	const struct lang_type *const *param_types;
	unsigned n_params;
};

enum lang_node_kind {
	LANG_N_INT,
	LANG_N_STRING,
	LANG_N_IDENT, /* before it is resolved; value: enum lang_var_scope */
	LANG_N_BUILTIN,
	LANG_N_VAR,    /* args are the keys of an array's element */
	LANG_N_AGG,    /* args are its keys */
	LANG_N_INDEX,  /* left[args], before it is known what that means */
	LANG_N_MEMBER, /* left->text (value 1) or left.text, likewise */
	LANG_N_XLATE,  /* xlate <type> (left), likewise */
	LANG_N_UNARY,
	LANG_N_BINARY,
	LANG_N_COND,
	LANG_N_CAST,
	LANG_N_CALL,
};
struct lang_node {
	enum lang_node_kind kind;
	enum lang_op op;
	uint32_t at; /* offset in the text */
	const struct lang_type *type;
	struct lang_node *left, *right, *third; /* operands; COND: left ? right : third */
	struct lang_node *args, *next;
	unsigned n_args;
	unsigned height;
	int has_keys;     /* AGG: written with [ ] */
	uint64_t value;   /* INT */
	const char *text; /* STRING (NUL-terminated, may hold others), names */
	size_t len;
	const struct lang_builtin *builtin;
	const struct lang_func *func;
	const struct lang_format *format; /* of a CALL of printf */
	struct lang_agg *agg;
	struct lang_var *var;
	/* VAR in its own assignment (x += 1): where its keys were evaluated already. */
	const struct lang_node *same;
};

enum lang_part { LANG_PROVIDER, LANG_MODULE, LANG_FUNCTION, LANG_NAME, LANG_PARTS };
struct lang_desc {
	const char *text;             /* as written, macros expanded */
	const char *part[LANG_PARTS]; /* globs; "" is any */
	uint32_t id;                  /* given by number; 0: by name */
	struct lang_desc *next;
};

struct lang_stmt {
	struct lang_node *expr; /* or, of an aggregation: */
	struct lang_node *agg, *call;
	int is_action; /* expr is the call of an action */
	struct lang_stmt *next;
};

struct lang_clause {
	struct lang_desc *descs;
	struct lang_node *predicate; /* NULL: none */
	struct lang_stmt *stmts;     /* NULL: the default action */
	uint32_t at;
	unsigned line;      /* from 1 */
	unsigned uses_args; /* args[]: its probes must have the same parameters */
	struct lang_clause *next;
};

struct lang_option {
	const char *name, *value; /* value "" when none was given */
	struct lang_option *next;
};

/* ------------------------------------------------------------------------ compiling */

struct lang_scope;
struct lang_script {
	struct lang_clause *clauses;
	struct lang_option *options; /* #pragma D option */
	struct lang_arena *arena;
	const char *text; /* private copy */
};

/* How a description with fewer than four parts is read. */
enum lang_spec {
	LANG_SPEC_NAME,     /* -n, -s: parts fill up from the name */
	LANG_SPEC_FUNCTION, /* -f */
	LANG_SPEC_MODULE,   /* -m */
	LANG_SPEC_PROVIDER, /* -P */
};

struct lang_source {
	const char *text;
	enum lang_spec spec;
	enum {
		LANG_INPUT_STRING,
		LANG_INPUT_FILE
	} input;      /* a file's clauses need a body */
	pid_t target; /* $target; 0: nothing is held */
	int argc;     /* $0 ... */
	char *const *argv;
	unsigned flags; /* enum lang_flags */
	/* Types of the victim; NULL: none.  What it refers to outlives the scope. */
	const struct type_source *types;
	/*
	 * Sets the option of a #pragma D option, which may change the flags from there
	 * on. Its error's text is shown with the place.  NULL: options are listed only.
	 */
	int (*set_option)(
		void *arg, const char *name, const char *value, unsigned *flags);
	void *option_arg;
};
enum lang_flags {
	LANG_DEFAULT_ARGS = 1 << 0, /* -x defaultargs: unset $1 is 0 or "" */
	LANG_EMPTY = 1 << 1,        /* -x empty: no clause is no error */
	LANG_ARGREF = 1 << 2,       /* -x argref: arguments may stay unused */
	LANG_PSPEC = 1 << 3,        /* -x pspec: a file's clauses need no body, either */
};

int lang_scope_open(struct lang_scope **out);
/* Room of strings in what is declared and compiled from now on; a multiple of 8. */
void lang_scope_set_strsize(struct lang_scope *, uint32_t bytes);
uint32_t lang_scope_strsize(const struct lang_scope *);
void lang_scope_close(struct lang_scope *);
/* What a scope holds now, and back to that: for a text that fails after all. */
struct lang_mark {
	size_t aggs, vars, names, completed, xlators;
	uint32_t used[LANG_V_SCOPES], arrays;
};
void lang_scope_mark(const struct lang_scope *, struct lang_mark *out);
void lang_scope_reset(struct lang_scope *, const struct lang_mark *);
/* Bytes that this-> or global variables take so far. */
uint32_t lang_scope_bytes(const struct lang_scope *, enum lang_var_scope);
/* Bytes of the largest self-> variable, or element of a global array: key and value. */
uint32_t lang_scope_room(const struct lang_scope *, enum lang_var_scope);
/* Bytes of an array's keys: each strsize for a string, 8 for a number. */
uint32_t lang_var_key_bytes(const struct lang_var *);
/* Aggregation `id` of the scope, or NULL.  Borrowed. */
const struct lang_agg *lang_scope_agg(const struct lang_scope *, uint32_t id);
/*
 * Compiles a text.  DTPROC_ESYNTAX: the error's text is the diagnostic,
 *
 *	[D_IDENT_UNDEF] line 1, column 14: unknown variable 'argo'
 *	    BEGIN { trace(argo); }
 *	                  ^ did you mean 'arg0'?
 *
 * and the scope is as it was.
 */
int lang_compile(struct lang_scope *, const struct lang_source *,
	struct lang_script **out) __attribute__((warn_unused_result));
void lang_script_free(struct lang_script *);
/*
 * Sets the diagnostic for a node of a compiled script that cannot be translated;
 * returns DTPROC_ESYNTAX.  `hint` stands behind the caret ("": none).
 */
int lang_script_error(const struct lang_script *, uint32_t at, const char *tag,
	const char *hint, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
