/* SPDX-License-Identifier: BSD-2-Clause */
/* Is an interrupted PC inside the text that the program was linked with? */
#ifndef VICTIMS_KNOWN_H
#define VICTIMS_KNOWN_H

#include "page.h"

#include <link.h>
#include <sys/auxv.h>
#include <ucontext.h>

static struct {
	uintptr_t lo, hi;
} known[64];
static int known_count;

static inline void known_add(uintptr_t lo, uintptr_t hi)
{
	if (known_count < 64) {
		known[known_count].lo = lo;
		known[known_count++].hi = hi;
	}
}

static int known_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t lo = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type == PT_LOAD && (ph->p_flags & PF_X))
			known_add(lo, lo + ph->p_memsz);
	}
	return 0;
}

static inline void known_init(void)
{
	dl_iterate_phdr(known_object, NULL);
}

/* Complains when the PC of a signal's context is anywhere else. */
static inline void known_check(const void *context)
{
	const ucontext_t *uc = context;
	uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];

	for (int i = 0; i < known_count; i++)
		if (pc >= known[i].lo && pc < known[i].hi)
			return;
	page_bad("interrupted at %#lx: in no text", (unsigned long)pc);
}

#endif
