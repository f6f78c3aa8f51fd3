/* SPDX-License-Identifier: BSD-2-Clause */
/* How x86-64 writes its instructions, as far as programs need them (general registers).
 */
#ifndef BPF_X86_64_ENCODE_H
#define BPF_X86_64_ENCODE_H

#include "machine.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
enum width { W32, W64 }; /* of an operation: REX.W */

/* Opcodes that occur more than once; 0x0fNN are those of two bytes. */
enum {
	STORE_BYTE = 0x88,
	STORE = 0x89,
	LOAD = 0x8b,
	ZERO_BYTE = 0x0fb6,
	ZERO_HALF = 0x0fb7,
	SIGN_BYTE = 0x0fbe,
	SIGN_HALF = 0x0fbf,
	SIGN_WORD = 0x63,
	JNE = 0x75, /* short ones */
	JMP = 0xeb,
	JMP_FAR = 0xe9,
	JCC_FAR = 0x0f80, /* and the condition */
	HALF = 0x66,      /* prefix: of 16 bits */
};

/* A 32-bit distance to be filled in. */
struct fixup {
	uint32_t at, target;
};

struct emitter {
	const struct bpf_program *p;
	uint8_t *base, *at;
	uint32_t *where; /* of instruction i: [i]; of the exit: [n]; of the stubs behind
			    it */
	struct fixup *fixups;
	uint32_t n_fixups;
};

static inline void put(struct emitter *e, uint64_t value, int bytes)
{
	for (; bytes--; value >>= 8)
		*e->at++ = (uint8_t)value;
}

/*
 * Prefix and opcode, of one byte or two (0x0fNN), with a register in each field of what
 * follows.  A byte in SIL, DIL or BPL needs a prefix, or it is one in AH and the like.
 */
static inline void opcode(struct emitter *e, enum width w, int op, int reg, int rm)
{
	int rex = w << 3 | reg >> 3 << 2 | rm >> 3;

	if (rex || op == STORE_BYTE || op == SIGN_BYTE)
		put(e, 0x40u | (unsigned)rex, 1);
	if (op > 0xff)
		put(e, 0x0f, 1);
	put(e, (unsigned)op, 1);
}

/* An operation on registers; `rm` is what most change. */
static inline void op_rr(struct emitter *e, enum width w, int op, int reg, int rm)
{
	opcode(e, w, op, reg, rm);
	put(e, 0xc0u | (unsigned)((reg & 7) << 3 | (rm & 7)), 1);
}

/* An operation on a register and memory at base + disp. */
static inline void op_rm(
	struct emitter *e, enum width w, int op, int reg, int base, int disp)
{
	int near = disp == (int8_t)disp;

	opcode(e, w, op, reg, base);
	put(e, (near ? 0x40u : 0x80u) | (unsigned)((reg & 7) << 3 | (base & 7)), 1);
	if ((base & 7) == RSP)
		put(e, 0x24, 1);
	put(e, (unsigned)disp, near ? 1 : 4);
}

static inline void move(struct emitter *e, enum width w, int to, int from)
{
	op_rr(e, w, STORE, from, to);
}

static inline void move_number(struct emitter *e, int to, uint64_t value)
{
	int is_narrow = value == (uint32_t)value;

	if (!is_narrow && (int64_t)value == (int32_t)value) {
		op_rr(e, W64, 0xc7, 0, to);
		put(e, value, 4);
		return;
	}
	opcode(e, is_narrow ? W32 : W64, 0xb8 | (to & 7), 0, to);
	put(e, value, is_narrow ? 4 : 8);
}

/* The group of add (0), or (1), and (4), sub (5), xor (6), cmp (7) with a number. */
static inline void group1(
	struct emitter *e, enum width w, int which, int reg, int32_t number)
{
	int near = number == (int8_t)number;

	op_rr(e, w, near ? 0x83 : 0x81, which, reg);
	put(e, (uint64_t)number, near ? 1 : 4);
}

#endif
