/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unwinder as a module (dtproc-unwind.so) of the keeper, which loads it when a
 * program first asks for a stack: the libraries that read ELF files would make each
 * keeper's start as long again.
 *
 * Threads: one at a time.
 */
#ifndef BASE_UNWIND_H
#define BASE_UNWIND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#define UNWIND_VERSION 1u
#define UNWIND_FILE "dtproc-unwind.so"
#define UNWIND_SYMBOL "dtproc_unwind_module"

struct unwind;

/* What it asks of whoever holds the victim. */
struct unwind_host {
	void *arg;
	/* Copies memory, with the victim's own text: bytes copied, or -1. */
	long (*read)(void *arg, uint64_t addr, void *buf, size_t len);
	/* A thread under whose number /proc shows the victim's memory. */
	pid_t (*live)(void *arg);
};

struct unwind_module {
	uint32_t version;
	/* For one victim; NULL: no memory. */
	struct unwind *(*open)(const struct unwind_host *);
	void (*close)(struct unwind *);
	/* Mappings have changed: what is known of them is forgotten. */
	void (*forget)(struct unwind *);
	/*
	 * The PCs of a stopped thread's frames, the innermost first, at most `room`; how
	 * many.
	 */
	size_t (*walk)(struct unwind *, const struct user_regs_struct *, uint64_t *pcs,
		size_t room);
};

#endif
