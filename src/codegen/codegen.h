/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * D text to programs and to what a consumer must know to print their records.
 *
 * A *compiler* (struct cg) belongs to a session: aggregation ids, variables and program
 * ids are unique in it.  A *script* is one compiled text.  Its clauses carry a blob for
 * the engines (bpf/bpf.h) and a layout: where each action's values lie in the record,
 * and with which type.  Layouts stay readable until the script is freed; aggregations
 * until the compiler is closed.
 */
#ifndef CODEGEN_CODEGEN_H
#define CODEGEN_CODEGEN_H

#include <lang/lang.h>
#include <runtime/runtime.h>

#include <stddef.h>
#include <stdint.h>

struct cg;

/* --------------------------------------------------------------------------- layout */

enum cg_kind {
	CG_INT,     /* 64 bits in the record, cut to type_size and extended by sign */
	CG_STRING,  /* `size` bytes, NUL-terminated, zeros behind */
	CG_STACK,   /* RT_WHOSE, then PCs, the innermost first, zeros behind the last */
	CG_ADDRESS, /* RT_WHOSE, then the address; its name is as `part` says */
	CG_PROBE,   /* 64 bits: a probe id; its value is `part` of that probe's name */
	CG_BYTES,   /* `bytes` of them, zeros behind: a struct, union, array or float */
};

/* How an address is printed. */
enum cg_address { CG_UADDR, CG_USYM, CG_UFUNC, CG_UMOD };

/* A value in a record's payload or in an aggregation's key. */
struct cg_field {
	enum cg_kind kind;
	uint32_t offset, size; /* as stored: multiples of 8 */
	uint8_t type_size;     /* CG_INT: 1, 2, 4, 8: for the default format */
	uint8_t is_signed;
	uint8_t part; /* CG_PROBE: enum rt_part; CG_ADDRESS: enum cg_address */
	uint32_t bytes;
	const struct lang_type *type; /* of the value; lives as long as the compiler */
};

/*
 * What lies under one id in the tables.  One aggregation of the text can have several
 * layouts (`@a[execname]` here, `@a[probefunc]` there): same group, different ids.  A
 * consumer resolves keys to text and merges within the group.
 */
struct cg_agg {
	uint32_t id;    /* rt_agg_entry.id */
	uint32_t group; /* lang_agg.id: which aggregation; counts from 1 as they appear */
	const char *name; /* "" for the anonymous one, else without its @ */
	enum rt_agg_func func;
	uint64_t param; /* of lquantize: RT_LQUANTIZE() */
	uint32_t words; /* of a value */
	uint32_t key_bytes;
	unsigned n_keys;
	struct cg_field keys[LANG_KEYS_MAX];
};

enum cg_action_kind {
	CG_TRACE,    /* fields[0] */
	CG_PRINTF,   /* format, fields are its arguments in order */
	CG_EXIT,     /* fields[0] is the status; tracing ended at the hit */
	CG_PRINTA,   /* aggs; format, or NULL: the default */
	CG_CLEAR,    /* aggs[0] */
	CG_TRUNC,    /* aggs[0], fields[0] how many (none: all) */
	CG_TRACEMEM, /* fields[0]; fields[1]: how many bytes are shown */
	CG_SYSTEM,   /* as PRINTF: a command of the shell */
	CG_FREOPEN,  /* as PRINTF: where output goes from now on; "": back */
	CG_FTRUNCATE,
	CG_SETOPT,      /* fields: name, value */
	CG_NORMALIZE,   /* aggs[0], fields[0] */
	CG_DENORMALIZE, /* aggs[0] */
	CG_PRINT,       /* fields[0], with its type */
};

/* One data-recording action of a clause, in the order of the text. */
struct cg_action {
	enum cg_action_kind kind;
	const struct cg_field *fields;
	unsigned n_fields;
	const struct lang_format *format;
	const struct lang_agg *const *aggs; /* PRINTA, CLEAR, TRUNC */
	unsigned n_aggs;
	uint32_t pc; /* its first instruction */
};

struct cg_desc {
	const char *text;           /* as written, macros expanded */
	const char *part[RT_PARTS]; /* globs; "" is any */
	uint32_t id;                /* a probe given by number; 0: by name */
};

struct cg_clause {
	uint32_t program; /* id, from 1: record.program, and `epid` */
	const struct cg_desc *descs;
	unsigned n_descs;
	const void *blob; /* for bpf_program_load() and the wire */
	size_t bytes;     /* a multiple of 8 */
	/*
	 * A hit makes a record when has_record; then a DTrace consumer that is not quiet
	 * prints "CPU ID FUNCTION:NAME" before the actions' output.  A clause without
	 * statements has a record and no actions.
	 */
	int has_record;
	int is_destructive; /* it can change a victim */
	int uses_args;      /* args[]: its probes must have the same parameters */
	int is_speculative; /* its records begin with a struct rt_tag */
	int speculates;     /* it asks for speculations */
	uint32_t record_bytes;
	const struct cg_action *actions;
	unsigned n_actions;
	unsigned line;
};

struct cg_option {
	const char *name, *value; /* value "" when none was given */
};

struct cg_script {
	const struct cg_clause *clauses;
	unsigned n_clauses;
	const struct cg_option *options; /* #pragma D option, in order */
	unsigned n_options;
	struct lang_script *tree; /* owns all strings */
};

/* ------------------------------------------------------------------------ compiling */

int cg_open(struct cg **out);
/* Bytes of a string in what is compiled from now on [256], at most RT_STRING_MAX. */
void cg_set_strsize(struct cg *, uint32_t bytes);
/* How many frames ustack() and jstack() have that do not say it [20, 50]. */
void cg_set_frames(struct cg *, uint32_t ustack, uint32_t jstack);
/* Has a script named addresses or stacks, so that what is mapped is to be known? */
int cg_names_addresses(const struct cg *);
void cg_close(struct cg *);
/*
 * Compiles a text.  DTPROC_ESYNTAX: the error's text is the diagnostic (lang_compile()
 * shows one), to print behind "failed to compile script NAME: ".
 */
int cg_compile(struct cg *, const struct lang_source *, struct cg_script **out)
	__attribute__((warn_unused_result));
void cg_script_free(struct cg_script *);
/* The aggregation with this id, or NULL (an id out of a hostile table).  Borrowed. */
const struct cg_agg *cg_agg_by_id(const struct cg *, uint32_t id);
/* Which action, from 1, instruction `pc` belongs to; 0: the predicate or none. */
unsigned cg_clause_action_at(const struct cg_clause *, uint32_t pc);

#endif
