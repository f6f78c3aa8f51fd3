/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions, labels, saved values and scratch memory. */
#include "gen.h"

#include <string.h>

#define REGISTERS_SAVED 3 /* r6 - r8 */

static void too_large(struct gen *g, const char *what)
{
	if (!g->err)
		g->err = lang_script_error(g->script, g->at, "D_CG_EXPR", "",
			"clause is too large: %s", what);
}

void *gen_own(struct gen *g, size_t bytes)
{
	void *p = calloc(1, bytes + !bytes);

	if (!p || vec_push(&g->impl->owned, p)) {
		free(p);
		g->err = err_nomem("a script");
		return NULL;
	}
	return p;
}

static void word(struct gen *g, struct bpf_code code)
{
	if (g->err)
		return;
	if (g->code.n >= BPF_CODES_MAX)
		too_large(g, "too many instructions");
	else if (vec_push(&g->code, code))
		g->err = err_nomem("a program");
}

void gen_code(struct gen *g, uint8_t op, int dst, int src, int off, int64_t imm)
{
	word(g, (struct bpf_code){.op = op,
			.regs = (uint8_t)(dst | src << 4),
			.off = (int16_t)off,
			.imm = (int32_t)imm});
}

void gen_number(struct gen *g, int reg, uint64_t value)
{
	if ((int64_t)value == (int32_t)value) {
		gen_code(g, BPF_C_ALU64 | BPF_A_MOV | BPF_K, reg, 0, 0, (int64_t)value);
		return;
	}
	gen_code(g, BPF_LDDW, reg, 0, 0, (int32_t)value);
	gen_code(g, 0, 0, 0, 0, (int32_t)(value >> 32));
}

void gen_move(struct gen *g, int dst, int src)
{
	if (dst != src)
		gen_code(g, BPF_C_ALU64 | BPF_A_MOV | BPF_X, dst, src, 0, 0);
}

void gen_call(struct gen *g, enum rt_helper_id helper)
{
	gen_code(g, BPF_C_JMP | BPF_J_CALL, 0, 0, 0, helper);
}

void gen_address(struct gen *g, int reg, enum bpf_area area, uint32_t offset)
{
	if (area == BPF_AREA_SCRATCH) {
		gen_move(g, reg, R_SCRATCH);
		if (offset)
			gen_code(g, BPF_C_ALU64 | BPF_A_ADD | BPF_K, reg, 0, 0, offset);
		return;
	}
	gen_code(g, BPF_LDDW, reg, BPF_LDDW_AREA, 0, area);
	gen_code(g, 0, 0, 0, 0, offset);
}

uint32_t gen_label(struct gen *g)
{
	struct label label = {-1};

	if (vec_push(&g->labels, label))
		g->err = err_nomem("a program");
	return (uint32_t)g->labels.n - 1;
}

void gen_place(struct gen *g, uint32_t label)
{
	if (!g->err)
		g->labels.at[label].pc = (int)g->code.n;
}

void gen_jump(struct gen *g, uint8_t op, int dst, int src, int64_t imm, uint32_t label)
{
	struct fixup fixup = {(uint32_t)g->code.n, label};

	if (!g->err && vec_push(&g->fixups, fixup))
		g->err = err_nomem("a program");
	gen_code(g, op, dst, src, 0, imm);
}

void gen_finish(struct gen *g)
{
	for (size_t i = 0; !g->err && i < g->fixups.n; i++) {
		struct fixup f = g->fixups.at[i];
		g->code.at[f.pc].off =
			(int16_t)(g->labels.at[f.label].pc - (int)f.pc - 1);
	}
}

/* Stack slot of the i-th saved value that no register has. */
static int slot(unsigned i)
{
	return -8 * (int)(i - REGISTERS_SAVED + 1);
}

void gen_save(struct gen *g)
{
	unsigned i = g->saved++;

	if (i < REGISTERS_SAVED)
		gen_move(g, R6 + (int)i, R0);
	else if (slot(i) >= -BPF_STACK_BYTES)
		gen_code(g, BPF_C_STX | BPF_M_MEM | BPF_S_DW, R_STACK, R0, slot(i), 0);
	else
		too_large(g, "an expression needs too many intermediate values");
}

void gen_restore(struct gen *g, int reg)
{
	unsigned i = --g->saved;

	if (i < REGISTERS_SAVED)
		gen_move(g, reg, R6 + (int)i);
	else
		gen_code(g, BPF_C_LDX | BPF_M_MEM | BPF_S_DW, reg, R_STACK, slot(i), 0);
}

uint32_t gen_scratch(struct gen *g, uint32_t size)
{
	uint32_t at = g->scratch;

	size = (size + 7) & ~7u;
	if (size > RT_SCRATCH_BYTES - at) {
		too_large(g, "its values do not fit into the scratch memory");
		return 0;
	}
	g->scratch += size;
	if (g->scratch > g->scratch_high)
		g->scratch_high = g->scratch;
	return at;
}
