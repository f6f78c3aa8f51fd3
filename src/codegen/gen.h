/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the code generator share.
 *
 * Registers.  r0 is where an expression's value comes out, r1-r5 carry arguments and
 * live no longer than the next few instructions, r9 is the base of the scratch memory.
 * Values that must outlive another evaluation go to r6-r8, then to the stack.
 *
 * Scratch.  A clause's record lies at its start; behind it temporaries of a statement:
 * strings, keys, loaded words.  Every place is known when the code is made.
 */
#ifndef CODEGEN_GEN_H
#define CODEGEN_GEN_H

#include "codegen.h"

#include <base/err.h>
#include <base/vec.h>
#include <bpf/bpf.h>

struct cg {
	struct lang_scope *scope;
	VEC(struct cg_agg *) aggs;             /* by id - 1 */
	uint32_t programs;                     /* ids given */
	uint32_t ustack_frames, jstack_frames; /* by default */
	int names_addresses;
};

/* A script and all memory that goes with it. */
struct cg_impl {
	struct cg_script script; /* first */
	VEC(void *) owned;
};

enum { R0, R1, R2, R3, R4, R5, R6, R7, R8, R_SCRATCH, R_STACK };

struct label {
	int pc; /* -1: not placed yet */
};

struct fixup {
	uint32_t pc, label;
};

/* Where a string lies: `size` bytes, the rest behind its end zeros. */
struct place {
	enum bpf_area area;
	uint32_t offset, size;
};

/* Keys of an array's element that lie in the scratch memory. */
struct gen_keys {
	const struct lang_node *of;
	uint32_t base;
};

struct gen {
	struct cg *cg;
	struct cg_impl *impl;
	const struct lang_script *script;
	VEC(struct bpf_code) code;
	VEC(char) rodata;
	VEC(struct label) labels;
	VEC(struct fixup) fixups;
	VEC(struct gen_keys) keys; /* of this statement */
	uint32_t scratch;          /* used now */
	uint32_t scratch_high;     /* most ever used */
	unsigned saved;            /* values kept in registers and on the stack */
	uint32_t at;               /* in the text, for a diagnostic */
	int speculates;            /* it asks for speculations */
	int destructive;           /* it can change a victim */
	int err; /* the first failure: code is made on, and thrown away */
};

/* Zeroed memory that goes with the script; NULL with gen->err set. */
void *gen_own(struct gen *, size_t bytes);

/* ------------------------------------------------------------------ instructions */

void gen_code(struct gen *, uint8_t op, int dst, int src, int off, int64_t imm);
void gen_number(struct gen *, int reg, uint64_t value);
void gen_move(struct gen *, int dst, int src);
void gen_call(struct gen *, enum rt_helper_id);
/* reg = address of a place */
void gen_address(struct gen *, int reg, enum bpf_area, uint32_t offset);
uint32_t gen_label(struct gen *);
void gen_place(struct gen *, uint32_t label);
/* A jump to a label: op with class; src or imm as the op says. */
void gen_jump(struct gen *, uint8_t op, int dst, int src, int64_t imm, uint32_t label);
/* Keeps r0; gives it back into a register. */
void gen_save(struct gen *);
void gen_restore(struct gen *, int reg);
/* `size` bytes (rounded up to 8) of scratch for the rest of the statement. */
uint32_t gen_scratch(struct gen *, uint32_t size);
/* Puts jumps' distances in; afterwards the code is whole. */
void gen_finish(struct gen *);

/* ------------------------------------------------------------------- expressions */

/* Value into r0. */
void gen_expression(struct gen *, const struct lang_node *);
/* All bytes of a struct, union, array or float to the scratch memory, zeros behind. */
void gen_bytes(struct gen *, const struct lang_node *, uint32_t offset);
/* So many bytes of the victim's memory, whose address is given. */
void gen_load(
	struct gen *, const struct lang_node *address, uint32_t size, uint32_t offset);
/* Evaluates for its effects alone. */
void gen_discard(struct gen *, const struct lang_node *);
/* A number variable into r0, and r0 into one, where it stays. */
void gen_variable(struct gen *, const struct lang_node *);
void gen_assign(struct gen *, const struct lang_node *);
void gen_variable_string(struct gen *, const struct lang_node *, struct place to);
void gen_assign_string(struct gen *, const struct lang_node *, struct place value);
/* Evaluates the keys of what is to be assigned to, if it has any. */
void gen_keys(struct gen *, const struct lang_node *);
/* reg, reg + 1 = address and size of a place */
void gen_span(struct gen *, int reg, struct place);
void gen_copy(struct gen *, struct place from, struct place to);
/* Jumps to the label if the value's truth is `sense`. */
void gen_branch(struct gen *, const struct lang_node *, int sense, uint32_t label);
/* Makes a string; it lies where it happens to. */
struct place gen_string(struct gen *, const struct lang_node *);
/* Makes a string at a place that can be written. */
void gen_string_into(struct gen *, const struct lang_node *, struct place to);
/* call.c: a function that returns a number (or nothing), or a string. */
void gen_function(struct gen *, const struct lang_node *);
void gen_function_string(struct gen *, const struct lang_node *, struct place to);
uint32_t gen_function_capacity(const struct gen *, const struct lang_node *);
/* Bytes that a string expression can need, a multiple of 8. */
uint32_t gen_capacity(const struct gen *, const struct lang_node *);
/* Room of a string whose length nobody knows. */
uint32_t gen_strsize(const struct gen *);

/* ----------------------------------------------------------------------- clauses */

/* How a value is stored in a record or a key, at `*offset`, which moves behind it. */
struct cg_field gen_field(struct gen *, const struct lang_node *, uint32_t *offset);
/* address.c: the same for stacks and addresses with names. */
void gen_address_field(struct gen *, const struct lang_node *, struct cg_field *);
void gen_address_format(struct gen *, const struct lang_format *); /* may be NULL */
void gen_address_store(
	struct gen *, const struct lang_node *, const struct cg_field *, uint32_t at);
/* Evaluates a value into its field of the memory at scratch + base. */
void gen_store(
	struct gen *, const struct lang_node *, const struct cg_field *, uint32_t base);
/* @name[keys] = function(...) */
void gen_agg(struct gen *, const struct lang_node *agg, const struct lang_node *call);
/* Code and layout of a clause. */
int gen_clause(struct gen *, const struct lang_clause *, struct cg_clause *out);

#endif
