/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Code that nobody describes: JITs, musl, hand-written assembler.  In this order: the
 * frame that the kernel makes for a signal, whose return code is always the same; what
 * the next instruction says where a function begins or ends; a frame pointer; and the
 * next word of the stack that may be a return address, which is a guess and is marked so.
 *
 * Whatever is taken for a return address has to point behind a call.
 */
#include "own.h"

#define SCAN_WORDS 512u
#define FRAME_MOST (1u << 20) /* of one function */

static int is_return(struct stack_walker *w, dtproc_addr pc)
{
	uint8_t bytes[ARCH_CALL_LEN_MAX];

	return pc > sizeof bytes && walk_slot(w, pc - 1)->code &&
	       walk_text(w, pc - sizeof bytes, bytes, sizeof bytes) == sizeof bytes &&
	       arch_is_call(bytes, sizeof bytes);
}

static enum step step_signal(
	struct stack_walker *w, const struct walk_frame *f, struct walk_frame *caller)
{
	dtproc_addr sp = f->regs.value[ARCH_DWARF_SP];
	uint64_t value;

	caller->regs.known = 0;
	for (unsigned i = 0; i < ARCH_DWARF_REGS; i++) {
		if (!walk_word(w, sp + arch_sigreturn_offset(i), &value))
			return STEP_CUT;
		regs_set(&caller->regs, i, value);
	}
	caller->cfa = sp;
	caller->exact = 1;
	caller->via = STACK_SIGNAL;
	return STEP_DONE;
}

/* The caller, with the return address at `at`; what a function keeps is as it was. */
static enum step step_to(struct stack_walker *w, const struct walk_frame *f,
	dtproc_addr at, enum stack_via via, struct walk_frame *caller)
{
	uint64_t pc;

	if (!walk_word(w, at, &pc))
		return STEP_CUT;
	if (!is_return(w, pc))
		return STEP_NO;
	*caller = (struct walk_frame){.regs = f->regs, .cfa = at + 8, .via = via};
	caller->regs.known &= ARCH_DWARF_KEPT;
	regs_set(&caller->regs, ARCH_DWARF_SP, at + 8);
	regs_set(&caller->regs, ARCH_DWARF_PC, pc);
	return STEP_DONE;
}

static enum step step_pointer(
	struct stack_walker *w, const struct walk_frame *f, struct walk_frame *caller)
{
	dtproc_addr sp = f->regs.value[ARCH_DWARF_SP], fp = f->regs.value[ARCH_DWARF_FP];
	enum step way;
	uint64_t saved;

	if (!regs_know(&f->regs, ARCH_DWARF_FP))
		return STEP_NO;
	if (fp == 0)
		return STEP_BOTTOM;
	if (fp % 8 || fp < sp || fp - sp > FRAME_MOST)
		return STEP_NO;
	if (!walk_word(w, fp, &saved))
		return STEP_CUT;
	way = step_to(w, f, fp + 8, STACK_POINTER, caller);
	if (way == STEP_DONE)
		regs_set(&caller->regs, ARCH_DWARF_FP, saved);
	return way;
}

static enum step step_scan(
	struct stack_walker *w, const struct walk_frame *f, struct walk_frame *caller)
{
	dtproc_addr at = (f->regs.value[ARCH_DWARF_SP] + 7) & ~7ull;
	enum step way = STEP_NO;

	for (unsigned i = 0; i < SCAN_WORDS && way == STEP_NO; i++, at += 8)
		way = step_to(w, f, at, STACK_SCAN, caller);
	/* Registers may have been changed and saved anywhere; a frame pointer shows. */
	if (way == STEP_DONE)
		caller->regs.known &=
			1u << ARCH_DWARF_PC | 1u << ARCH_DWARF_SP | 1u << ARCH_DWARF_FP;
	return way;
}

enum step step_guess(
	struct stack_walker *w, const struct walk_frame *f, struct walk_frame *caller)
{
	dtproc_addr sp = f->regs.value[ARCH_DWARF_SP];
	uint8_t bytes[ARCH_SIGRETURN_LEN];
	size_t n = walk_text(w, f->regs.value[ARCH_DWARF_PC], bytes, sizeof bytes);
	int above = f->exact ? arch_return_above(bytes, n) : -1;
	enum step way = STEP_NO;

	if (arch_is_sigreturn(bytes, n))
		return step_signal(w, f, caller);
	if (above >= 0)
		way = step_to(w, f, sp + (unsigned)above, STACK_POINTER, caller);
	if (way == STEP_NO)
		way = step_pointer(w, f, caller);
	if (way == STEP_NO || way == STEP_CUT)
		way = step_scan(w, f, caller);
	return way;
}
