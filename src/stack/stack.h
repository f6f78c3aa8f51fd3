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

/* ------------------------------------------------------------------ spaces */

/* One mapping, as of /proc/PID/maps. */
struct stack_map {
	dtproc_addr start, end;
	uint64_t offset, dev, inode; /* inode 0: no file */
	int executable;
	const char *path; /* "" for anonymous memory */
};

struct stack_space_options {
	pid_t pid;   /* whose files are opened, also by its root directory; 0: nobody's */
	pid_t inner; /* its number in its own namespace, by which a JIT calls its files */
	/* Reads memory, for objects without a file (the vDSO).  NULL: there is none. */
	void *arg;
	ssize_t (*read)(void *arg, dtproc_addr, void *buf, size_t len);
};

/*
 * The address space of a process: what is mapped, and what was, with the time at which
 * it came and went (any clock that goes forward, the caller's).  So an address that was
 * recorded is named after its object has left, by dlclose, exec or exit: the last
 * 1,024 mappings that left are kept.  Objects are opened when somebody asks.
 */
struct stack_space;
#define STACK_NOW UINT64_MAX

int stack_space_create(
	const struct stack_space_options *, struct stack_space **out) MUST_USE;
void stack_space_destroy(struct stack_space *); /* NULL: nothing */
/* What is mapped from `when` on, by address.  ENOMEM: as it was before. */
int stack_space_update(struct stack_space *, const struct stack_map *maps, size_t n,
	uint64_t when) MUST_USE;
/* Opens every object with code now, so that nothing can take it away. */
void stack_space_keep(struct stack_space *);
/* How often something left that had been asked for: whoever cached rules is out of date.
 */
uint64_t stack_space_changes(const struct stack_space *);

/* As it was at that time: `when` STACK_NOW, or one of the caller's clock. */
struct stack_view {
	struct stack_space *space;
	uint64_t when;
};
/* A source for walks; the view must stay. */
struct stack_source stack_view_source(const struct stack_view *);

/* Since when what was mapped there at that time had been; 0: always, or nothing was. */
uint64_t stack_space_since(const struct stack_space *, dtproc_addr, uint64_t when);

struct stack_name {
	const char *object; /* short name: "libc.so.6"; "" none */
	const char *path;   /* of the object's file; "" none */
	const char *symbol; /* as the file has it, "malloc@plt" for stubs; NULL: none */
	dtproc_addr start;  /* of the symbol, or without one of the object (its bias) */
	uint64_t size;      /* of the symbol; 0: not known */
	uint64_t value;     /* the address as the file counts; 0 without an object */
	uint8_t kind;       /* enum object_kind */
};
/*
 * What an address is called: 1; 0: nothing is known of it, and all is "" or 0.  The texts
 * stay until the next stack_space_update().
 */
int stack_space_name(
	struct stack_space *, dtproc_addr, uint64_t when, struct stack_name *out);

/* -------------------------------------------------------------------- cores */

/*
 * A core file: its threads, and its space, which is read from the file and from the
 * program's and libraries' own (by path, if they have the build-id of those that ran).
 * One that is truncated or damaged gives what can be had.
 */
struct stack_core;
struct stack_core_thread {
	pid_t tid;
	struct user_regs_struct regs;
};

/* EELF: not a core file of this CPU; ENOSYM: it cannot be opened. */
int stack_core_open(const char *path, struct stack_core **out) MUST_USE;
void stack_core_close(struct stack_core *);      /* NULL: nothing */
pid_t stack_core_pid(const struct stack_core *); /* 0: the file does not tell */
/* The name of the process, at most 15 characters; "". */
const char *stack_core_name(const struct stack_core *);
/* The thread that died comes first.  Borrowed. */
const struct stack_core_thread *stack_core_threads(const struct stack_core *, size_t *n);
/* Borrowed; for views and names (`when` STACK_NOW). */
struct stack_space *stack_core_space(const struct stack_core *);

#endif
