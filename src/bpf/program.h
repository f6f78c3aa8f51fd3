/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BPF_PROGRAM_H
#define BPF_PROGRAM_H

#include "bpf.h"

/* An instruction made ready for the interpreter; indices are those of the blob. */
struct bpf_step {
	uint8_t op, dst, src, area;
	int16_t off;
	int64_t imm; /* immediate, whole LDDW constant, offset in area, or helper */
};

struct bpf_program {
	uint32_t id;
	uint32_t n;
	struct bpf_step *steps;
	unsigned char *rodata;
	uint32_t rodata_bytes;
	uint32_t locals, globals;   /* bytes */
	void *code;                 /* machine code; NULL: it is interpreted */
	size_t code_at, code_bytes; /* in the text, while it is made; of its code */
	struct bpf_text *text;      /* that it lies in, with that of others */
};

#define BPF_DST(code) ((code)->regs & 15)
#define BPF_SRC(code) ((code)->regs >> 4)
#define BPF_CLASS(op) ((op)&7)

/* The parts of a blob, after its sizes have been checked. */
struct bpf_parts {
	struct bpf_blob head;
	const unsigned char *codes, *rodata;
};
/* 0, or DTPROC_EVERIFY. */
int bpf_blob_parts(const void *blob, size_t bytes, struct bpf_parts *out);
/* Instruction i of a blob, which need not be aligned. */
struct bpf_code bpf_parts_code(const struct bpf_parts *, uint32_t i);
/* Is the instruction well-formed?  NULL, or what is wrong with it. */
const char *bpf_code_flaw(const struct bpf_code *);
/* Unmaps the machine code, if there is any and no other program's lies there. */
void bpf_program_forget_code(struct bpf_program *);
/* Verifies all of it; 0, or DTPROC_EVERIFY with the text set. */
int bpf_verify(const struct bpf_parts *);

#endif
