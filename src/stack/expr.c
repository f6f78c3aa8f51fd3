/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DWARF expressions (DWARF 5, 2.5), as far as call frame information uses them: numbers,
 * registers, memory, arithmetic, branches.  A stack of 32, and at most 256 steps.
 */
#include <dwarf.h>
#include <base/cursor.h>
#include "own.h"

#define DEPTH 32
#define STEPS_MAX 256

struct machine {
	struct stack_walker *walker;
	const struct stack_regs *regs;
	struct cursor at;
	const uint8_t *begin;
	uint64_t stack[DEPTH];
	size_t n;
	enum step state; /* STEP_DONE as long as all is well */
};

static void push(struct machine *m, uint64_t value)
{
	if (m->n == DEPTH)
		m->state = STEP_NO;
	else
		m->stack[m->n++] = value;
}

static uint64_t pop(struct machine *m)
{
	if (m->n == 0) {
		m->state = STEP_NO;
		return 0;
	}
	return m->stack[--m->n];
}

static void push_reg(struct machine *m, uint64_t reg)
{
	int64_t offset = cursor_sleb(&m->at);

	if (reg >= ARCH_DWARF_REGS || !regs_know(m->regs, (unsigned)reg))
		m->state = STEP_NO;
	else
		push(m, m->regs->value[reg] + (uint64_t)offset);
}

/* Copies the n-th from the top. */
static void pick(struct machine *m, size_t n)
{
	if (n >= m->n)
		m->state = STEP_NO;
	else
		push(m, m->stack[m->n - 1 - n]);
}

static void deref(struct machine *m, unsigned size)
{
	uint64_t value = 0;

	if (size == 0 || size > 8)
		m->state = STEP_NO;
	else if (!walk_word(m->walker, pop(m), &value))
		m->state = STEP_CUT;
	else
		push(m, size == 8 ? value : value & ((1ull << size * 8) - 1));
}

/* Turns the upper n around by one: the top goes below the others. */
static void rotate(struct machine *m, size_t n)
{
	if (m->n < n) {
		m->state = STEP_NO;
		return;
	}
	uint64_t top = m->stack[m->n - 1];

	for (size_t i = 1; i < n; i++)
		m->stack[m->n - i] = m->stack[m->n - i - 1];
	m->stack[m->n - n] = top;
}

static void jump(struct machine *m, int16_t by)
{
	ptrdiff_t to = m->at.at - m->begin + by;

	if (to < 0 || to > m->at.end - m->begin)
		m->state = STEP_NO;
	else
		m->at.at = m->begin + to;
}

/* Literals.  0: not one. */
static int run_literal(struct machine *m, unsigned op)
{
	struct cursor *c = &m->at;

	if (op >= DW_OP_lit0 && op <= DW_OP_lit31)
		return push(m, op - DW_OP_lit0), 1;
	if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
		return push_reg(m, op - DW_OP_breg0), 1;
	switch (op) {
	case DW_OP_addr:
	case DW_OP_const8u:
	case DW_OP_const8s:
		return push(m, cursor_u64(c)), 1;
	case DW_OP_const1u:
		return push(m, cursor_u8(c)), 1;
	case DW_OP_const1s:
		return push(m, (uint64_t)(int8_t)cursor_u8(c)), 1;
	case DW_OP_const2u:
		return push(m, cursor_u16(c)), 1;
	case DW_OP_const2s:
		return push(m, (uint64_t)(int16_t)cursor_u16(c)), 1;
	case DW_OP_const4u:
		return push(m, cursor_u32(c)), 1;
	case DW_OP_const4s:
		return push(m, (uint64_t)(int32_t)cursor_u32(c)), 1;
	case DW_OP_constu:
		return push(m, cursor_uleb(c)), 1;
	case DW_OP_consts:
		return push(m, (uint64_t)cursor_sleb(c)), 1;
	case DW_OP_bregx:
		return push_reg(m, cursor_uleb(c)), 1;
	}
	return 0;
}

/* What has one operand, or moves the stack or the program. */
static int run_one_operand(struct machine *m, unsigned op)
{
	uint64_t by;

	switch (op) {
	case DW_OP_nop:
		return 1;
	case DW_OP_dup:
		return pick(m, 0), 1;
	case DW_OP_over:
		return pick(m, 1), 1;
	case DW_OP_pick:
		return pick(m, cursor_u8(&m->at)), 1;
	case DW_OP_drop:
		return pop(m), 1;
	case DW_OP_swap:
		return rotate(m, 2), 1;
	case DW_OP_rot:
		return rotate(m, 3), 1;
	case DW_OP_deref:
		return deref(m, 8), 1;
	case DW_OP_deref_size:
		return deref(m, cursor_u8(&m->at)), 1;
	case DW_OP_abs:
		by = pop(m);
		return push(m, (int64_t)by < 0 ? -by : by), 1;
	case DW_OP_neg:
		return push(m, -pop(m)), 1;
	case DW_OP_not:
		return push(m, ~pop(m)), 1;
	case DW_OP_plus_uconst:
		by = pop(m);
		return push(m, by + cursor_uleb(&m->at)), 1;
	case DW_OP_skip:
		return jump(m, (int16_t)cursor_u16(&m->at)), 1;
	case DW_OP_bra:
		by = cursor_u16(&m->at);
		if (pop(m))
			jump(m, (int16_t)by);
		return 1;
	}
	return 0;
}

static uint64_t shift(unsigned op, uint64_t a, uint64_t by)
{
	if (op == DW_OP_shra)
		return (uint64_t)((int64_t)a >> (by < 63 ? by : 63));
	if (by > 63)
		return 0;
	return op == DW_OP_shl ? a << by : a >> by;
}

static uint64_t divide(struct machine *m, unsigned op, uint64_t a, uint64_t b)
{
	if (b == 0) {
		m->state = STEP_NO;
		return 0;
	}
	if (op == DW_OP_mod)
		return a % b;
	return b == UINT64_MAX ? -a : (uint64_t)((int64_t)a / (int64_t)b);
}

static uint64_t of_two(struct machine *m, unsigned op, uint64_t a, uint64_t b)
{
	switch (op) {
	case DW_OP_plus:
		return a + b;
	case DW_OP_minus:
		return a - b;
	case DW_OP_mul:
		return a * b;
	case DW_OP_div:
	case DW_OP_mod:
		return divide(m, op, a, b);
	case DW_OP_and:
		return a & b;
	case DW_OP_or:
		return a | b;
	case DW_OP_xor:
		return a ^ b;
	case DW_OP_shl:
	case DW_OP_shr:
	case DW_OP_shra:
		return shift(op, a, b);
	case DW_OP_eq:
		return a == b;
	case DW_OP_ne:
		return a != b;
	case DW_OP_lt:
		return (int64_t)a < (int64_t)b;
	case DW_OP_le:
		return (int64_t)a <= (int64_t)b;
	case DW_OP_gt:
		return (int64_t)a > (int64_t)b;
	case DW_OP_ge:
		return (int64_t)a >= (int64_t)b;
	}
	m->state = STEP_NO;
	return 0;
}

enum step expr_run(struct stack_walker *w, const struct stack_regs *regs,
	const uint8_t *bytes, size_t len, const uint64_t *first, uint64_t *out)
{
	struct machine m = {
		.walker = w, .regs = regs, .at = cursor_of(bytes, len), .begin = bytes};

	if (first)
		push(&m, *first);
	for (int i = 0; cursor_left(&m.at) && m.state == STEP_DONE; i++) {
		unsigned op = cursor_u8(&m.at);

		if (i == STEPS_MAX)
			return STEP_NO;
		if (run_literal(&m, op) || run_one_operand(&m, op))
			continue;
		uint64_t b = pop(&m), a = pop(&m);

		push(&m, of_two(&m, op, a, b));
	}
	uint64_t result = pop(&m);

	if (m.state != STEP_DONE || m.at.bad)
		return m.state == STEP_CUT ? STEP_CUT : STEP_NO;
	*out = result;
	return STEP_DONE;
}
