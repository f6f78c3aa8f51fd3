/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share. */
#ifndef STACK_OWN_H
#define STACK_OWN_H

#include "stack.h"

#define CACHE_SLOTS 1024u
#define WINDOW_BYTES 8192u

/* What is known of one address of code. */
struct slot {
	dtproc_addr pc;
	const struct object_rule *rule; /* NULL: none */
	int code;                       /* is it executable memory? */
};

struct stack_walker {
	struct stack_source source;
	struct slot slots[CACHE_SLOTS];
	/* The piece of memory that was read last. */
	dtproc_addr window_at;
	size_t window_len;
	uint8_t window[WINDOW_BYTES];
};

/* A frame amid a walk. */
struct walk_frame {
	struct stack_regs regs;
	const struct object_rule *rule; /* how to leave it; NULL: none is known */
	dtproc_addr cfa;                /* of the step that left it */
	int exact;
	enum stack_via via;
};

/* What a step comes to; below 0: this way does not work. */
enum step { STEP_NO = -1, STEP_CUT = -2, STEP_DONE = 0, STEP_BOTTOM = 1 };

/* 1: read; 0: there is no such memory. */
int walk_word(struct stack_walker *, dtproc_addr, uint64_t *out);
/* Copies code, from its file where there is one; bytes copied. */
size_t walk_text(struct stack_walker *, dtproc_addr, void *buf, size_t len);
const struct slot *walk_slot(struct stack_walker *, dtproc_addr pc);

static inline int regs_know(const struct stack_regs *r, unsigned reg)
{
	return reg < ARCH_DWARF_REGS && (r->known >> reg & 1);
}

static inline void regs_set(struct stack_regs *r, unsigned reg, uint64_t value)
{
	r->value[reg] = value;
	r->known |= 1u << reg;
}

/* From a frame to its caller by a rule. */
enum step step_rule(struct stack_walker *, const struct object_rule *,
	const struct walk_frame *, struct walk_frame *caller);
/* And without one: signal frames, frame pointers, a scan. */
enum step step_guess(
	struct stack_walker *, const struct walk_frame *, struct walk_frame *caller);

/* A DWARF expression as CFI uses it; `first` (NULL: none) is on its stack already. */
enum step expr_run(struct stack_walker *, const struct stack_regs *, const uint8_t *bytes,
	size_t len, const uint64_t *first, uint64_t *out);

#endif
