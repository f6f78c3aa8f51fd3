/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of instructions, for assembler and disassembler.  The syntax, one a line:
 *
 *	mov r1, 5		add32 r0, r1		neg r0
 *	sdiv r0, r1		movsx8 r0, r1		be16 r0
 *	lddw r1, 0x123456789	lddw r1, rodata+8	lddw r9, scratch+0
 *	ldxw r0, [r1+4]		ldxsxb r0, [r1-1]
 *	stdw [r9+8], 0		stxb [r10-8], r2
 *	jeq r0, 0, @12		jslt32 r1, r2, @7	ja @3
 *	call agg		exit
 *
 * @N is the instruction number N; the assembler takes labels too (`out:` and `out`).
 */
#ifndef BPF_NAME_H
#define BPF_NAME_H

#include "program.h"

enum bpf_form {
	BPF_F_ALU,   /* dst, src or imm */
	BPF_F_UNARY, /* dst */
	BPF_F_MOVE,  /* dst, src */
	BPF_F_LDDW,
	BPF_F_LOAD,   /* dst, [src+off] */
	BPF_F_STORE,  /* [dst+off], imm */
	BPF_F_STOREX, /* [dst+off], src */
	BPF_F_BRANCH, /* dst, src or imm, target */
	BPF_F_JUMP,   /* target */
	BPF_F_CALL,
	BPF_F_EXIT,
};

struct bpf_name {
	const char *name;
	uint8_t op; /* ALU, BRANCH: with BPF_K; X is the other form */
	enum bpf_form form;
	int16_t off; /* that belongs to the operation */
	int32_t imm; /* likewise */
};

extern const struct bpf_name bpf_names[];
extern const size_t bpf_names_count;

#endif
