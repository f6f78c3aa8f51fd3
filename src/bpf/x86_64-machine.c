/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytecode to x86-64, one instruction after the other.
 *
 * Registers.  r1 - r5 are where the System V ABI wants a function's second to sixth
 * argument, and the hit is the first: a call of a helper moves nothing.  r6 - r9 are
 * saved by who is called, r10 is RBP, the end of 512 bytes of stack.
 *
 *	r0  r1  r2  r3  r4 r5 r6  r7  r8  r9  r10
 *	RAX RSI RDX RCX R8 R9 RBX R13 R14 R15 RBP	hit: R12	free: RDI R10 R11
 *
 * Layout.  Entry; the instructions; the exit; for each helper call a stub that leaves
 * with the call's number when the helper has faulted.  Jumps have 32-bit distances, since
 * all go forward to where nothing has been written yet.
 */
#include "x86_64-encode.h"

#include <base/log.h>

#include <stdlib.h>
#include <string.h>

#define HIT R12

static const uint8_t registers[] = {RAX, RSI, RDX, RCX, R8, R9, RBX, R13, R14, R15, RBP};

#define STEP_BYTES 64                     /* at most, with the stub of a call */
#define FRAME_BYTES 64                    /* entry and exit */
#define STACK_BYTES (BPF_STACK_BYTES + 8) /* the ABI wants multiples of 16 at calls */

#define EXIT(e) ((e)->p->n)
#define STUB(e, pc) ((e)->p->n + 1 + (pc))

/* A jump or conditional jump (0x0f8C) to what `target` indexes. */
static void jump(struct emitter *e, int op, uint32_t target)
{
	opcode(e, W32, op, 0, 0);
	e->fixups[e->n_fixups++] = (struct fixup){(uint32_t)(e->at - e->base), target};
	put(e, 0, 4);
}

/* A short jump ahead; land() says to where. */
static uint8_t *jump_short(struct emitter *e, int op)
{
	put(e, (uint64_t)op, 2);
	return e->at;
}

static void land(struct emitter *e, uint8_t *from)
{
	from[-1] = (uint8_t)(e->at - from);
}

/* --------------------------------------------------------------------- arithmetic */

static void zero(struct emitter *e, int reg)
{
	op_rr(e, W32, 0x31, reg, reg);
}

/* Shifts by a register want their count in CL, which is r3. */
static void shift(struct emitter *e, enum width w, int which, int dst, int count)
{
	int target = dst == RCX ? R11 : dst;

	if (count != RCX || dst == RCX)
		move(e, W64, R11, RCX);
	if (count != RCX)
		move(e, W32, RCX, count);
	op_rr(e, w, 0xd3, which, target);
	if (count != RCX || dst == RCX)
		move(e, W64, RCX, R11);
}

/* Divides by R11, which is neither 0 nor, with sign, -1. */
static void divide(struct emitter *e, enum width w, int dst, int is_signed, int result)
{
	if (dst != RAX) {
		move(e, W64, R10, RAX);
		move(e, w, RAX, dst);
	}
	if (dst != RDX)
		move(e, W64, RDI, RDX);
	if (is_signed)
		opcode(e, w, 0x99, 0, 0); /* cdq, cqo */
	else
		zero(e, RDX);
	op_rr(e, w, 0xf7, is_signed ? 7 : 6, R11);
	if (dst != result)
		move(e, w, dst, result);
	if (dst != RAX)
		move(e, W64, RAX, R10);
	if (dst != RDX)
		move(e, W64, RDX, RDI);
}

/* a / 0 is 0, a % 0 is a. */
static void divide_by_zero(struct emitter *e, enum width w, int dst, int is_mod)
{
	if (!is_mod)
		zero(e, dst);
	else if (w == W32)
		move(e, W32, dst, dst);
}

/* Where the CPU would trap: INT64_MIN / -1. */
static void divide_by_minus_one(struct emitter *e, enum width w, int dst, int is_mod)
{
	if (is_mod)
		zero(e, dst);
	else
		op_rr(e, w, 0xf7, 3, dst);
}

static void division(struct emitter *e, const struct bpf_step *s, enum width w, int dst)
{
	int is_mod = (s->op & 0xf0) == BPF_A_MOD, is_signed = s->off == 1;
	int result = is_mod ? RDX : RAX, by_register = s->op & BPF_X;
	uint8_t *over, *end[2] = {NULL, NULL};

	if (!by_register && is_signed && s->imm == -1) {
		divide_by_minus_one(e, w, dst, is_mod);
		return;
	}
	if (by_register) {
		move(e, w, R11, registers[s->src]);
		op_rr(e, w, 0x85, R11, R11);
		over = jump_short(e, JNE);
		divide_by_zero(e, w, dst, is_mod);
		end[0] = jump_short(e, JMP);
		land(e, over);
	} else {
		move_number(e, R11, (uint64_t)s->imm);
	}
	if (by_register && is_signed) {
		group1(e, w, 7, R11, -1);
		over = jump_short(e, JNE);
		divide_by_minus_one(e, w, dst, is_mod);
		end[1] = jump_short(e, JMP);
		land(e, over);
	}
	divide(e, w, dst, is_signed, result);
	for (int i = 0; i < 2; i++)
		if (end[i])
			land(e, end[i]);
}

/* le, be and bswap of 16, 32 or 64 bits. */
static void swap(struct emitter *e, const struct bpf_step *s, int dst)
{
	int is_le = s->op == (BPF_C_ALU32 | BPF_A_END);

	if (!is_le && s->imm == 16) { /* ror r16, 8 */
		put(e, HALF, 1);
		op_rr(e, W32, 0xc1, 1, dst);
		put(e, 8, 1);
	} else if (!is_le) {
		opcode(e, s->imm == 64 ? W64 : W32, 0x0fc8 | (dst & 7), 0, dst);
	}
	if (s->imm == 16)
		op_rr(e, W32, ZERO_HALF, dst, dst);
	else if (s->imm == 32 && is_le)
		move(e, W32, dst, dst);
}

static void copy(struct emitter *e, const struct bpf_step *s, enum width w, int dst)
{
	int src = registers[s->src];

	if (!(s->op & BPF_X))
		move_number(e, dst, w == W64 ? (uint64_t)s->imm : (uint32_t)s->imm);
	else if (!s->off)
		move(e, w, dst, src);
	else
		op_rr(e, w,
			s->off == 8    ? SIGN_BYTE
			: s->off == 16 ? SIGN_HALF
				       : SIGN_WORD,
			dst, src);
}

static void multiply(struct emitter *e, const struct bpf_step *s, enum width w, int dst)
{
	if (s->op & BPF_X) {
		op_rr(e, w, 0x0faf, dst, registers[s->src]);
		return;
	}
	op_rr(e, w, 0x69, dst, dst);
	put(e, (uint64_t)s->imm, 4);
}

/* Operations whose opcode is like that of add: on registers, and number in its group. */
static void plain(struct emitter *e, const struct bpf_step *s, enum width w, int which)
{
	int dst = registers[s->dst];

	if (s->op & BPF_X)
		op_rr(e, w, which << 3 | 1, registers[s->src], dst);
	else
		group1(e, w, which, dst, (int32_t)s->imm);
}

static void shifted(struct emitter *e, const struct bpf_step *s, enum width w, int which)
{
	int dst = registers[s->dst];

	if (s->op & BPF_X) {
		shift(e, w, which, dst, registers[s->src]);
	} else {
		op_rr(e, w, 0xc1, which, dst);
		put(e, (uint64_t)s->imm, 1);
	}
}

static void arithmetic(struct emitter *e, const struct bpf_step *s)
{
	enum width w = BPF_CLASS(s->op) == BPF_C_ALU64 ? W64 : W32;
	int dst = registers[s->dst];

	switch (s->op & 0xf0) {
	case BPF_A_ADD:
		return plain(e, s, w, 0);
	case BPF_A_OR:
		return plain(e, s, w, 1);
	case BPF_A_AND:
		return plain(e, s, w, 4);
	case BPF_A_SUB:
		return plain(e, s, w, 5);
	case BPF_A_XOR:
		return plain(e, s, w, 6);
	case BPF_A_MUL:
		return multiply(e, s, w, dst);
	case BPF_A_DIV:
	case BPF_A_MOD:
		return division(e, s, w, dst);
	case BPF_A_LSH:
		return shifted(e, s, w, 4);
	case BPF_A_RSH:
		return shifted(e, s, w, 5);
	case BPF_A_ARSH:
		return shifted(e, s, w, 7);
	case BPF_A_NEG:
		return op_rr(e, w, 0xf7, 3, dst);
	case BPF_A_END:
		return swap(e, s, dst);
	case BPF_A_MOV:
		return copy(e, s, w, dst);
	}
	__builtin_unreachable();
}

/* ------------------------------------------------------------------------- memory */

static void load(struct emitter *e, const struct bpf_step *s)
{
	static const int zeros[] = {LOAD, ZERO_HALF, ZERO_BYTE, LOAD};
	static const int signs[] = {SIGN_WORD, SIGN_HALF, SIGN_BYTE};
	int size = s->op & 0x18, is_signed = (s->op & 0xe0) == BPF_M_SX;

	op_rm(e, is_signed || size == BPF_S_DW ? W64 : W32,
		is_signed ? signs[size >> 3] : zeros[size >> 3], registers[s->dst],
		registers[s->src], s->off);
}

/* Of a number, or of a register. */
static void store(struct emitter *e, const struct bpf_step *s)
{
	int size = s->op & 0x18, is_number = BPF_CLASS(s->op) == BPF_C_ST;
	int op = is_number ? 0xc7 : STORE;

	if (size == BPF_S_H)
		put(e, HALF, 1);
	if (size == BPF_S_B)
		op = is_number ? 0xc6 : STORE_BYTE;
	op_rm(e, size == BPF_S_DW ? W64 : W32, op, is_number ? 0 : registers[s->src],
		registers[s->dst], s->off);
	if (is_number)
		put(e, (uint64_t)s->imm, size == BPF_S_B ? 1 : size == BPF_S_H ? 2 : 4);
}

static void address(struct emitter *e, const struct bpf_step *s)
{
	int dst = registers[s->dst], offset = (int)s->imm;

	if (s->area == BPF_AREA_RODATA) {
		move_number(e, dst, (uint64_t)(uintptr_t)e->p->rodata + (uint64_t)s->imm);
		return;
	}
	op_rm(e, W64, LOAD, dst, HIT, offsetof(struct rt_hit, view));
	if (s->area == BPF_AREA_GLOBALS)
		op_rm(e, W64, LOAD, dst, dst, offsetof(struct rt_view, globals));
	else if (s->area == BPF_AREA_LOCALS)
		offset += (int)offsetof(struct rt_view, locals);
	else
		offset += (int)offsetof(struct rt_view, scratch);
	group1(e, W64, 0, dst, offset);
}

static void constant(struct emitter *e, const struct bpf_step *s)
{
	if (s->src == BPF_LDDW_AREA)
		address(e, s);
	else
		move_number(e, registers[s->dst], (uint64_t)s->imm);
}

/* --------------------------------------------------------------- jumps and calls */

/* The condition codes of jumps (jcc), by operation. */
static const uint8_t conditions[] = {
	[BPF_J_EQ >> 4] = 0x4,
	[BPF_J_GT >> 4] = 0x7,
	[BPF_J_GE >> 4] = 0x3,
	[BPF_J_SET >> 4] = 0x5,
	[BPF_J_NE >> 4] = 0x5,
	[BPF_J_SGT >> 4] = 0xf,
	[BPF_J_SGE >> 4] = 0xd,
	[BPF_J_LT >> 4] = 0x2,
	[BPF_J_LE >> 4] = 0x6,
	[BPF_J_SLT >> 4] = 0xc,
	[BPF_J_SLE >> 4] = 0xe,
};

static void branch(struct emitter *e, const struct bpf_step *s, uint32_t pc)
{
	enum width w = BPF_CLASS(s->op) == BPF_C_JMP ? W64 : W32;
	int op = s->op & 0xf0, dst = registers[s->dst], src = registers[s->src];
	int is_test = op == BPF_J_SET;

	if (s->op & BPF_X)
		op_rr(e, w, is_test ? 0x85 : 0x39, src, dst);
	else if (!is_test)
		group1(e, w, 7, dst, (int32_t)s->imm);
	else {
		op_rr(e, w, 0xf7, 0, dst);
		put(e, (uint64_t)s->imm, 4);
	}
	jump(e, JCC_FAR | conditions[op >> 4], pc + 1 + (uint32_t)s->off);
}

static void call(struct emitter *e, const struct bpf_step *s, uint32_t pc)
{
	move(e, W64, RDI, HIT);
	move_number(e, RAX, (uint64_t)(uintptr_t)rt_helpers[s->imm].fn);
	op_rr(e, W32, 0xff, 2, RAX);
	op_rm(e, W32, 0x83, 7, HIT, offsetof(struct rt_hit, fault));
	put(e, RT_FAULT_NONE, 1);
	jump(e, JCC_FAR | conditions[BPF_J_NE >> 4], STUB(e, pc));
}

static void flow(struct emitter *e, const struct bpf_step *s, uint32_t pc)
{
	switch (s->op) {
	case BPF_C_JMP | BPF_J_A:
		return jump(e, JMP_FAR, pc + 1 + (uint32_t)s->off);
	case BPF_C_JMP32 | BPF_J_A:
		return jump(e, JMP_FAR, pc + 1 + (uint32_t)s->imm);
	case BPF_C_JMP | BPF_J_CALL:
		return call(e, s, pc);
	case BPF_C_JMP | BPF_J_EXIT:
		move_number(e, RAX, pc);
		if (pc + 1 < e->p->n)
			jump(e, JMP_FAR, EXIT(e));
		return;
	}
	branch(e, s, pc);
}

/* ----------------------------------------------------------------------- the whole */

static const uint8_t saved[] = {RBP, RBX, R12, R13, R14, R15};

static void entry(struct emitter *e)
{
	for (size_t i = 0; i < sizeof saved; i++)
		opcode(e, W32, 0x50 | (saved[i] & 7), 0, saved[i]);
	group1(e, W64, 5, RSP, STACK_BYTES);
	op_rm(e, W64, 0x8d, RBP, RSP, BPF_STACK_BYTES);
	move(e, W64, HIT, RDI);
}

static void leave(struct emitter *e)
{
	group1(e, W64, 0, RSP, STACK_BYTES);
	for (size_t i = sizeof saved; i--;)
		opcode(e, W32, 0x58 | (saved[i] & 7), 0, saved[i]);
	put(e, 0xc3, 1);
}

static void step(struct emitter *e, const struct bpf_step *s, uint32_t pc)
{
	switch (BPF_CLASS(s->op)) {
	case BPF_C_LD:
		return constant(e, s);
	case BPF_C_LDX:
		return load(e, s);
	case BPF_C_ST:
	case BPF_C_STX:
		return store(e, s);
	case BPF_C_JMP:
	case BPF_C_JMP32:
		return flow(e, s, pc);
	}
	arithmetic(e, s);
}

static uint32_t here(const struct emitter *e)
{
	return (uint32_t)(e->at - e->base);
}

/* Where a helper has faulted: the result is the number of its call. */
static void stubs(struct emitter *e)
{
	for (uint32_t pc = 0; pc < e->p->n; pc++) {
		if (e->p->steps[pc].op != (BPF_C_JMP | BPF_J_CALL))
			continue;
		e->where[STUB(e, pc)] = here(e);
		move_number(e, RAX, pc);
		jump(e, JMP_FAR, EXIT(e));
	}
}

static void fix(struct emitter *e)
{
	for (uint32_t i = 0; i < e->n_fixups; i++) {
		struct fixup f = e->fixups[i];
		uint32_t distance = e->where[f.target] - (f.at + 4);
		memcpy(e->base + f.at, &distance, 4);
	}
}

static void write_all(struct emitter *e)
{
	const struct bpf_step *s = e->p->steps;

	entry(e);
	for (uint32_t pc = 0; pc < e->p->n; pc++) {
		uint8_t *start = e->at;
		e->where[pc] = here(e);
		step(e, &s[pc], pc);
		CHECK(e->at - start <= STEP_BYTES, "instruction %u", pc);
		pc += s[pc].op == BPF_LDDW;
	}
	e->where[EXIT(e)] = here(e);
	leave(e);
	stubs(e);
	fix(e);
}

size_t bpf_machine_room(const struct bpf_program *p)
{
	return FRAME_BYTES + (size_t)p->n * STEP_BYTES;
}

size_t bpf_machine_write(const struct bpf_program *p, uint8_t *to)
{
	struct emitter e = {.p = p, .base = to, .at = to};

	e.where = calloc(2ul * p->n + 1, sizeof *e.where);
	e.fixups = calloc(2ul * p->n, sizeof *e.fixups);
	if (e.where && e.fixups)
		write_all(&e);
	free(e.where);
	free(e.fixups);
	return here(&e);
}
