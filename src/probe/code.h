/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The code of a function, decoded from its first byte to its last.  That is *sound* when
 * every byte belongs to an instruction and no jump leads into the middle of one: then
 * there is no data in it that could have been taken for code.
 */
#ifndef PROBE_CODE_H
#define PROBE_CODE_H

#include <arch/arch.h>
#include "own.h"

struct code_insn {
	uint32_t at; /* offset in the function */
	uint8_t len;
	struct arch_lead lead;
};

struct code {
	dtproc_addr start;
	size_t len;
	VEC(struct code_insn) insns;
	const char *unsure; /* why it is not sound; NULL: it is */
};

/* Reads and decodes a function of a victim as it is there. */
int code_read(
	struct probe_victim *, dtproc_addr start, size_t len, struct code *) MUST_USE;
void code_free(struct code *);

/* Where a function returns: the caller frees *places (one block) when there are any. */
struct code_returns {
	struct probe_place *places;
	size_t n;
	const char *unsure; /* why nothing can be said; NULL */
};
int code_returns(struct probe_victim *, const struct probe_module *,
	const struct object_symbol *, struct code_returns *out) MUST_USE;

#endif
