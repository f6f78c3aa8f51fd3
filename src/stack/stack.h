/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacks of user code: from a thread's registers to the functions that called each other.
 *
 * A walk needs no process: it asks a *source* for memory and for what is mapped, and so
 * works on a stopped thread, on a copy of registers and a piece of stack that a probe
 * took, and on a core file.
 *
 * Threads: a source and a walker belong to one thread at a time; objects are shared.
 */
#ifndef STACK_STACK_H
#define STACK_STACK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>
#include <arch/arch.h>
#include <base/err.h>
#include <object/object.h>

/* ----------------------------------------------------------------- sources */

/* Executable memory around an address. */
struct stack_code {
	struct object *object; /* borrowed; NULL: no file, as for a JIT's code */
	uint64_t bias;         /* address less value */
};

struct stack_source {
	void *arg;
	/* Copies memory: bytes copied, which are fewer where it ends; 0 or negative:
	 * none. */
	ssize_t (*read)(void *arg, dtproc_addr, void *buf, size_t len);
	/* 1: the address is in executable memory; 0: it is not. */
	int (*code)(void *arg, dtproc_addr, struct stack_code *out);
};

/*
 * A piece of stack that was copied: `bytes` were at `at`.  Its source reads them, and all
 * else by `beneath`, whose mappings it has, too.
 */
struct stack_copy {
	dtproc_addr at;
	const void *bytes;
	size_t len;
	const struct stack_source *beneath;
};
struct stack_source stack_copy_source(const struct stack_copy *);

/* ------------------------------------------------------------------- walks */

/* Registers by DWARF's numbers (arch/arch.h). */
struct stack_regs {
	uint64_t value[ARCH_DWARF_REGS];
	uint32_t known; /* a bit for each; PC and SP have to be */
};
void stack_regs_from(const struct user_regs_struct *, struct stack_regs *out);

/* How a frame was found. */
enum stack_via {
	STACK_GIVEN,   /* the first one */
	STACK_CFI,     /* by call frame information */
	STACK_SIGNAL,  /* by the kernel's frame of a signal, known by its code */
	STACK_POINTER, /* by a frame pointer, or what the code shows */
	STACK_SCAN,    /* a guess: the next word that may be a return address */
};

struct stack_frame {
	dtproc_addr pc;
	dtproc_addr cfa; /* the caller's stack pointer; 0: not known */
	uint8_t via;     /* enum stack_via */
	uint8_t exact;   /* 1: pc is the next instruction; 0: what follows a call */
	uint8_t signal;  /* 1: the kernel made this frame, for a signal */
};
/* An address in the instruction that the frame is in, to look up names and lines by. */
static inline dtproc_addr stack_frame_at(const struct stack_frame *f)
{
	return f->exact ? f->pc : f->pc - 1;
}

/* Why a walk ended. */
enum stack_end {
	STACK_BOTTOM, /* that is all: the thread begins here */
	STACK_FULL,   /* there is no room for more frames */
	STACK_CUT,  /* memory that is needed was not there (not copied, not in a core) */
	STACK_LOST, /* nothing tells how to go on */
};

struct stack_walker;
/*
 * Makes one, with a cache of rules by address: about 32 KB, worth keeping for further
 * walks with the same source.  The source must stay.
 */
int stack_walker_create(const struct stack_source *, struct stack_walker **out) MUST_USE;
void stack_walker_destroy(struct stack_walker *); /* NULL: nothing */
/* Forgets what is cached: mappings have changed, or `source` is another one. */
void stack_walker_reset(struct stack_walker *, const struct stack_source *);
/*
 * Walks from these registers; fills in at most `room` frames, the innermost first, and
 * returns how many, at least 1 if there is room.  Ends for every memory, after as many
 * steps as there are frames at most.  Memory is read in pieces of 8 KiB and assumed not
 * to change meanwhile.
 */
size_t stack_walk(struct stack_walker *, const struct stack_regs *,
	struct stack_frame *frames, size_t room, enum stack_end *end);

#endif
