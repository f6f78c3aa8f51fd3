/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs: eBPF bytecode (RFC 9669) in an opaque blob, its verifier, interpreter,
 * assembler and disassembler.  docs/bytecode.md is the reference.
 *
 * A blob is what the code generator makes, what travels on the wire and what an engine
 * loads: one string of bytes, a multiple of 8 long, that holds code and constants.  It is
 * hostile until bpf_program_load() has verified it and made a private copy.
 */
#ifndef BPF_BPF_H
#define BPF_BPF_H

#include <runtime/runtime.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* ------------------------------------------------------------------------ blobs */

#define BPF_BLOB_MAGIC 0x70627464u /* "dtbp" */
#define BPF_BLOB_VERSION 2u
#define BPF_CODES_MAX 32767u
#define BPF_RODATA_MAX (1u << 20)
#define BPF_STACK_BYTES 512

/* Begins a blob; `codes` instructions and `rodata` bytes lie behind it. */
struct bpf_blob {
	uint32_t magic, version;
	uint32_t bytes;   /* of the whole blob */
	uint32_t program; /* id, in every record the program makes */
	uint32_t codes;
	uint32_t rodata;  /* bytes, a multiple of 8 */
	uint32_t scratch; /* bytes of working memory needed */
	uint32_t flags;   /* 0 */
	uint32_t locals;  /* bytes of this-> variables that there are */
	uint32_t globals; /* bytes of global variables */
	uint32_t self_room,
		array_room; /* of the largest self-> variable, array element */
};

/* One instruction word of RFC 9669. */
struct bpf_code {
	uint8_t op;
	uint8_t regs; /* destination in the low half, source in the high one */
	int16_t off;
	int32_t imm;
};

enum bpf_class {
	BPF_C_LD,
	BPF_C_LDX,
	BPF_C_ST,
	BPF_C_STX,
	BPF_C_ALU32,
	BPF_C_JMP,
	BPF_C_JMP32,
	BPF_C_ALU64,
};

enum bpf_alu {
	BPF_A_ADD = 0x00,
	BPF_A_SUB = 0x10,
	BPF_A_MUL = 0x20,
	BPF_A_DIV = 0x30, /* off 1: signed; MOD too */
	BPF_A_OR = 0x40,
	BPF_A_AND = 0x50,
	BPF_A_LSH = 0x60,
	BPF_A_RSH = 0x70,
	BPF_A_NEG = 0x80,
	BPF_A_MOD = 0x90,
	BPF_A_XOR = 0xa0,
	BPF_A_MOV = 0xb0, /* off 8, 16, 32: with sign */
	BPF_A_ARSH = 0xc0,
	BPF_A_END = 0xd0,
};

enum bpf_jmp {
	BPF_J_A = 0x00,
	BPF_J_EQ = 0x10,
	BPF_J_GT = 0x20,
	BPF_J_GE = 0x30,
	BPF_J_SET = 0x40,
	BPF_J_NE = 0x50,
	BPF_J_SGT = 0x60,
	BPF_J_SGE = 0x70,
	BPF_J_CALL = 0x80,
	BPF_J_EXIT = 0x90,
	BPF_J_LT = 0xa0,
	BPF_J_LE = 0xb0,
	BPF_J_SLT = 0xc0,
	BPF_J_SLE = 0xd0,
};

enum bpf_size { BPF_S_W = 0x00, BPF_S_H = 0x08, BPF_S_B = 0x10, BPF_S_DW = 0x18 };
enum bpf_mode { BPF_M_IMM = 0x00, BPF_M_MEM = 0x60, BPF_M_SX = 0x80 };

#define BPF_K 0x00 /* operand is imm */
#define BPF_X 0x08 /* operand is the source register */
#define BPF_LDDW (BPF_C_LD | BPF_M_IMM | BPF_S_DW)
/* Source "register" of LDDW: map_val(map_by_idx(imm)) + imm of the second word. */
#define BPF_LDDW_AREA 6
enum bpf_area {
	BPF_AREA_RODATA,
	BPF_AREA_SCRATCH,
	BPF_AREA_LOCALS,
	BPF_AREA_GLOBALS,
	BPF_AREAS,
};
extern const char *const bpf_area_names[BPF_AREAS];

/* --------------------------------------------------------------------- programs */

struct bpf_program;

/*
 * Verifies a blob and makes a private, runnable copy.  Accepted is only what ends
 * (jumps go forward), touches its own memory alone, reads nothing that it has not
 * written, and calls helpers as their table says.  DTPROC_EVERIFY: the text names the
 * instruction and the reason.
 */
int bpf_program_load(const void *blob, size_t bytes, struct bpf_program **out)
	__attribute__((warn_unused_result));
void bpf_program_free(struct bpf_program *);
/*
 * Makes machine code of programs; those that are NULL or have some are passed over.  1:
 * all have some; 0: this system lets us have no executable memory (the debug log tells),
 * and they are interpreted as before.  What was compiled together shares its pages, so
 * that it is freed by one thread at a time.
 */
int bpf_programs_compile(struct bpf_program *const programs[], size_t n);
uint32_t bpf_program_id(const struct bpf_program *);
/*
 * Runs it for a hit.  0: to its end; 1: not at all (tracing is over, or the lane runs a
 * program already); -1: a fault ended it (hit->fault, recorded).  Afterwards ask
 * rt_view_bell().
 */
int bpf_program_run(const struct bpf_program *, struct rt_hit *);

/* ------------------------------------------------------------------------- text */

/* Prints a blob, one instruction a line, as the assembler reads it; 0 or EVERIFY. */
int bpf_disassemble(const void *blob, size_t bytes, FILE *out);
/*
 * Assembles text to a blob, which the caller frees.  DTPROC_EINVAL: the text names the
 * line.  For tests and for looking.
 */
int bpf_assemble(const char *text, void **blob, size_t *bytes);

/* --------------------------------------------------------------- the usual host */

/*
 * What most engines answer to rt_host.value and rt_host.execname: clocks, CPU and, from
 * /proc, what is known of a process.  0, or -1.
 */
int bpf_system_value(pid_t pid, pid_t tid, uint32_t which, uint64_t *out);
int bpf_system_execname(pid_t pid, pid_t tid, char out[RT_EXECNAME]);
/* rt_host.text and rt_host.progeny. */
int bpf_system_text(pid_t pid, uint32_t which, char *buf, size_t size);
int bpf_system_progeny(pid_t pid, int64_t ancestor);

#endif
