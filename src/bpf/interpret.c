/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interpreter, and the reference for what an instruction means.  It trusts the
 * verifier and checks nothing.  Division by zero gives 0, modulo by zero leaves the
 * value, shifts take the low bits of their count (RFC 9669).
 */
#include "machine.h"

#include <string.h>

typedef uint64_t u64;
typedef uint32_t u32;

static u64 signed_div(int64_t a, int64_t b)
{
	return !b ? 0 : b == -1 ? -(u64)a : (u64)(a / b);
}

static u64 signed_mod(int64_t a, int64_t b)
{
	return !b ? (u64)a : b == -1 ? 0 : (u64)(a % b);
}

static u64 div64(u64 a, u64 b, int is_signed)
{
	if (is_signed)
		return signed_div((int64_t)a, (int64_t)b);
	return b ? a / b : 0;
}

static u64 mod64(u64 a, u64 b, int is_signed)
{
	if (is_signed)
		return signed_mod((int64_t)a, (int64_t)b);
	return b ? a % b : a;
}

static u32 div32(u32 a, u32 b, int is_signed)
{
	return is_signed ? (u32)signed_div((int32_t)a, (int32_t)b) : b ? a / b : 0;
}

static u32 mod32(u32 a, u32 b, int is_signed)
{
	return is_signed ? (u32)signed_mod((int32_t)a, (int32_t)b) : b ? a % b : a;
}

static u64 extend(u64 v, int bits)
{
	switch (bits) {
	case 8:
		return (u64)(int64_t)(int8_t)v;
	case 16:
		return (u64)(int64_t)(int16_t)v;
	case 32:
		return (u64)(int64_t)(int32_t)v;
	}
	return v;
}

static u64 swap(u64 v, int64_t bits)
{
	return bits == 16   ? __builtin_bswap16((uint16_t)v)
	       : bits == 32 ? __builtin_bswap32((u32)v)
			    : __builtin_bswap64(v);
}

static u64 cut(u64 v, int64_t bits)
{
	return bits == 16 ? (uint16_t)v : bits == 32 ? (u32)v : v;
}

#define LOAD(type)                                                                       \
	({                                                                               \
		type loaded_;                                                            \
		memcpy(&loaded_, (const char *)(uintptr_t)SRC + s->off, sizeof loaded_); \
		loaded_;                                                                 \
	})
#define STORE(type, value)                                                               \
	({                                                                               \
		type stored_ = (type)(value);                                            \
		memcpy((char *)(uintptr_t)DST + s->off, &stored_, sizeof stored_);       \
	})

#define DST (r[s->dst])
#define SRC (r[s->src])
#define IMM ((u64)s->imm)

/* The four forms of an operation; a and b are its operands. */
#define ALU(code, type, class, expr)                                                     \
	case class | code | BPF_K: {                                                     \
		type a = (type)DST, b = (type)IMM;                                       \
		(void)a;                                                                 \
		DST = (type)(expr);                                                      \
		break;                                                                   \
	}                                                                                \
	case class | code | BPF_X: {                                                     \
		type a = (type)DST, b = (type)SRC;                                       \
		(void)a;                                                                 \
		DST = (type)(expr);                                                      \
		break;                                                                   \
	}
#define ALU_BOTH(code, expr)                                                             \
	ALU(code, u64, BPF_C_ALU64, expr) ALU(code, u32, BPF_C_ALU32, expr)
#define ALU_PAIR(code, wide, narrow)                                                     \
	ALU(code, u64, BPF_C_ALU64, wide) ALU(code, u32, BPF_C_ALU32, narrow)

#define UNARY(op, expr)                                                                  \
	case op:                                                                         \
		DST = expr;                                                              \
		break;

#define JUMP(code, type, class, cond)                                                    \
	case class | code | BPF_K: {                                                     \
		type a = (type)DST, b = (type)IMM;                                       \
		s += (cond) ? s->off : 0;                                                \
		break;                                                                   \
	}                                                                                \
	case class | code | BPF_X: {                                                     \
		type a = (type)DST, b = (type)SRC;                                       \
		s += (cond) ? s->off : 0;                                                \
		break;                                                                   \
	}
#define JUMP_UNSIGNED(code, cond)                                                        \
	JUMP(code, u64, BPF_C_JMP, cond) JUMP(code, u32, BPF_C_JMP32, cond)
#define JUMP_SIGNED(code, cond)                                                          \
	JUMP(code, int64_t, BPF_C_JMP, cond) JUMP(code, int32_t, BPF_C_JMP32, cond)

#define MEMORY(size, type, stype)                                                        \
	case BPF_C_LDX | BPF_M_MEM | size:                                               \
		DST = LOAD(type);                                                        \
		break;                                                                   \
	case BPF_C_LDX | BPF_M_SX | size:                                                \
		DST = (u64)(int64_t)LOAD(stype);                                         \
		break;                                                                   \
	case BPF_C_ST | BPF_M_MEM | size:                                                \
		STORE(type, IMM);                                                        \
		break;                                                                   \
	case BPF_C_STX | BPF_M_MEM | size:                                               \
		STORE(type, SRC);                                                        \
		break;

/* The address that an LDDW of an area stands for. */
static u64 area(
	const struct bpf_program *p, const struct rt_hit *hit, const struct bpf_step *s)
{
	const struct rt_view *view = hit->view;
	const void *base = s->area == BPF_AREA_SCRATCH  ? (const void *)view->scratch
			   : s->area == BPF_AREA_RODATA ? p->rodata
			   : s->area == BPF_AREA_LOCALS ? (const void *)view->locals
							: view->globals;

	return (u64)(uintptr_t)base + (u64)s->imm;
}

/* The number of the instruction that ended the program. */
static uint32_t run(const struct bpf_program *p, struct rt_hit *hit)
{
	const struct bpf_step *s = p->steps;
	u64 stack[BPF_STACK_BYTES / 8];
	u64 r[11];

	r[10] = (u64)(uintptr_t)(stack + BPF_STACK_BYTES / 8);
	for (;; s++) {
		switch (s->op) {
			ALU_BOTH(BPF_A_ADD, a + b)
			ALU_BOTH(BPF_A_SUB, a - b)
			ALU_BOTH(BPF_A_MUL, a * b)
			ALU_BOTH(BPF_A_OR, a | b)
			ALU_BOTH(BPF_A_AND, a & b)
			ALU_BOTH(BPF_A_XOR, a ^ b)
			ALU_PAIR(BPF_A_DIV, div64(a, b, s->off), div32(a, b, s->off))
			ALU_PAIR(BPF_A_MOD, mod64(a, b, s->off), mod32(a, b, s->off))
			ALU_PAIR(BPF_A_LSH, a << (b & 63), a << (b & 31))
			ALU_PAIR(BPF_A_RSH, a >> (b & 63), a >> (b & 31))
			ALU_PAIR(BPF_A_ARSH, (int64_t)a >> (b & 63),
				(int32_t)a >> (b & 31))
			ALU_BOTH(BPF_A_MOV, extend(b, s->off))
			UNARY(BPF_C_ALU64 | BPF_A_NEG, -DST)
			UNARY(BPF_C_ALU32 | BPF_A_NEG, -(u32)DST)
			UNARY(BPF_C_ALU32 | BPF_A_END, cut(DST, s->imm))
			UNARY(BPF_C_ALU64 | BPF_A_END, swap(DST, s->imm))
			UNARY(BPF_C_ALU32 | BPF_A_END | BPF_X, swap(DST, s->imm))
			MEMORY(BPF_S_B, uint8_t, int8_t)
			MEMORY(BPF_S_H, uint16_t, int16_t)
			MEMORY(BPF_S_W, uint32_t, int32_t)
			MEMORY(BPF_S_DW, uint64_t, int64_t)
			JUMP_UNSIGNED(BPF_J_EQ, a == b)
			JUMP_UNSIGNED(BPF_J_NE, a != b)
			JUMP_UNSIGNED(BPF_J_GT, a > b)
			JUMP_UNSIGNED(BPF_J_GE, a >= b)
			JUMP_UNSIGNED(BPF_J_LT, a < b)
			JUMP_UNSIGNED(BPF_J_LE, a <= b)
			JUMP_UNSIGNED(BPF_J_SET, a & b)
			JUMP_SIGNED(BPF_J_SGT, a > b)
			JUMP_SIGNED(BPF_J_SGE, a >= b)
			JUMP_SIGNED(BPF_J_SLT, a < b)
			JUMP_SIGNED(BPF_J_SLE, a <= b)
		case BPF_C_JMP | BPF_J_A:
			s += s->off;
			break;
		case BPF_C_JMP32 | BPF_J_A:
			s += s->imm;
			break;
		case BPF_LDDW:
			DST = s->src == BPF_LDDW_AREA ? area(p, hit, s) : IMM;
			s++;
			break;
		case BPF_C_JMP | BPF_J_CALL:
			r[0] = rt_helpers[s->imm].fn(hit, r[1], r[2], r[3], r[4], r[5]);
			if (__builtin_expect(hit->fault != RT_FAULT_NONE, 0))
				return (uint32_t)(s - p->steps);
			break;
		case BPF_C_JMP | BPF_J_EXIT:
			return (uint32_t)(s - p->steps);
		default:
			__builtin_unreachable();
		}
	}
}

int bpf_program_run(const struct bpf_program *p, struct rt_hit *hit)
{
	if (rt_run_begin(hit, p->id) != RT_RUN)
		return 1;
	rt_run_locals(hit, p->locals);
	hit->fault_pc = 0;
	if (p->globals > hit->view->globals_bytes)
		hit->fault = RT_FAULT_ILLOP; /* the engine brought none */
	else if (p->code)
		hit->fault_pc = ((bpf_machine_fn *)p->code)(hit);
	else
		hit->fault_pc = run(p, hit);
	rt_run_end(hit);
	return hit->fault ? -1 : 0;
}
