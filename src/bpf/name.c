/* SPDX-License-Identifier: BSD-2-Clause */
#include "name.h"

const char *const bpf_area_names[BPF_AREAS] = {"rodata", "scratch", "locals", "globals"};

#define ALU(name, code)                                                                  \
	{name, BPF_C_ALU64 | code, BPF_F_ALU, 0, 0},                                     \
	{                                                                                \
		name "32", BPF_C_ALU32 | code, BPF_F_ALU, 0, 0                           \
	}
#define SIGNED(name, code)                                                               \
	{name, BPF_C_ALU64 | code, BPF_F_ALU, 1, 0},                                     \
	{                                                                                \
		name "32", BPF_C_ALU32 | code, BPF_F_ALU, 1, 0                           \
	}
#define JUMP(name, code)                                                                 \
	{name, BPF_C_JMP | code, BPF_F_BRANCH, 0, 0},                                    \
	{                                                                                \
		name "32", BPF_C_JMP32 | code, BPF_F_BRANCH, 0, 0                        \
	}
#define SWAP(name, op)                                                                   \
	{name "16", op, BPF_F_UNARY, 0, 16}, {name "32", op, BPF_F_UNARY, 0, 32},        \
	{                                                                                \
		name "64", op, BPF_F_UNARY, 0, 64                                        \
	}
#define MEMORY(size, code)                                                               \
	{"ldx" size, BPF_C_LDX | BPF_M_MEM | code, BPF_F_LOAD, 0, 0},                    \
		{"stx" size, BPF_C_STX | BPF_M_MEM | code, BPF_F_STOREX, 0, 0},          \
	{                                                                                \
		"st" size, BPF_C_ST | BPF_M_MEM | code, BPF_F_STORE, 0, 0                \
	}
#define LOAD_SIGNED(size, code)                                                          \
	{                                                                                \
		"ldxsx" size, BPF_C_LDX | BPF_M_SX | code, BPF_F_LOAD, 0, 0              \
	}

const struct bpf_name bpf_names[] = {
	ALU("add", BPF_A_ADD),
	ALU("sub", BPF_A_SUB),
	ALU("mul", BPF_A_MUL),
	ALU("div", BPF_A_DIV),
	SIGNED("sdiv", BPF_A_DIV),
	ALU("or", BPF_A_OR),
	ALU("and", BPF_A_AND),
	ALU("lsh", BPF_A_LSH),
	ALU("rsh", BPF_A_RSH),
	ALU("mod", BPF_A_MOD),
	SIGNED("smod", BPF_A_MOD),
	ALU("xor", BPF_A_XOR),
	ALU("mov", BPF_A_MOV),
	ALU("arsh", BPF_A_ARSH),
	{"neg", BPF_C_ALU64 | BPF_A_NEG, BPF_F_UNARY, 0, 0},
	{"neg32", BPF_C_ALU32 | BPF_A_NEG, BPF_F_UNARY, 0, 0},
	{"movsx8", BPF_C_ALU64 | BPF_A_MOV | BPF_X, BPF_F_MOVE, 8, 0},
	{"movsx16", BPF_C_ALU64 | BPF_A_MOV | BPF_X, BPF_F_MOVE, 16, 0},
	{"movsx32", BPF_C_ALU64 | BPF_A_MOV | BPF_X, BPF_F_MOVE, 32, 0},
	{"mov32sx8", BPF_C_ALU32 | BPF_A_MOV | BPF_X, BPF_F_MOVE, 8, 0},
	{"mov32sx16", BPF_C_ALU32 | BPF_A_MOV | BPF_X, BPF_F_MOVE, 16, 0},
	SWAP("le", BPF_C_ALU32 | BPF_A_END),
	SWAP("be", BPF_C_ALU32 | BPF_A_END | BPF_X),
	SWAP("bswap", BPF_C_ALU64 | BPF_A_END),
	{"lddw", BPF_LDDW, BPF_F_LDDW, 0, 0},
	MEMORY("b", BPF_S_B),
	MEMORY("h", BPF_S_H),
	MEMORY("w", BPF_S_W),
	MEMORY("dw", BPF_S_DW),
	LOAD_SIGNED("b", BPF_S_B),
	LOAD_SIGNED("h", BPF_S_H),
	LOAD_SIGNED("w", BPF_S_W),
	JUMP("jeq", BPF_J_EQ),
	JUMP("jne", BPF_J_NE),
	JUMP("jgt", BPF_J_GT),
	JUMP("jge", BPF_J_GE),
	JUMP("jlt", BPF_J_LT),
	JUMP("jle", BPF_J_LE),
	JUMP("jset", BPF_J_SET),
	JUMP("jsgt", BPF_J_SGT),
	JUMP("jsge", BPF_J_SGE),
	JUMP("jslt", BPF_J_SLT),
	JUMP("jsle", BPF_J_SLE),
	{"ja", BPF_C_JMP | BPF_J_A, BPF_F_JUMP, 0, 0},
	{"ja32", BPF_C_JMP32 | BPF_J_A, BPF_F_JUMP, 0, 0},
	{"call", BPF_C_JMP | BPF_J_CALL, BPF_F_CALL, 0, 0},
	{"exit", BPF_C_JMP | BPF_J_EXIT, BPF_F_EXIT, 0, 0},
};
const size_t bpf_names_count = sizeof bpf_names / sizeof bpf_names[0];
