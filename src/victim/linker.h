/* SPDX-License-Identifier: BSD-2-Clause */
/* The run-time linker of a victim: where it publishes what it has loaded (rule E1). */
#ifndef VICTIM_LINKER_H
#define VICTIM_LINKER_H

#include <base/err.h>

/* What the kernel told a program at its start (/proc/PID/auxv). */
struct victim_auxv {
	dtproc_addr entry;  /* AT_ENTRY, of the program */
	dtproc_addr linker; /* AT_BASE; 0: no linker, or the program is one itself */
	dtproc_addr phdr;   /* AT_PHDR */
	uint64_t phnum;
};
int victim_auxv_read(pid_t pid, struct victim_auxv *out) MUST_USE;

struct victim_linker {
	dtproc_addr debug; /* its struct r_debug; 0: not made yet */
	dtproc_addr brk; /* the function that it calls at each change; 0: not known yet */
};

/* Reads memory of a victim as pread(2) does: fewer bytes at an end, -1. */
typedef ssize_t victim_read_fn(void *arg, dtproc_addr, void *buf, size_t len);

/*
 * Finds them from the program itself (DT_DEBUG), or, before the linker has run, from the
 * symbols of the linker's file.  ENOSYM: there is no linker, the program is static.
 */
int victim_linker_find(pid_t pid, int mem, struct victim_linker *out) MUST_USE;
/* Does the linker run constructors behind the program's entry point, as musl's does? */
int victim_linker_is_late(pid_t pid);
/* The first way alone, from memory that nobody vouches for. */
void victim_linker_parse(const struct victim_auxv *, victim_read_fn *, void *arg,
	struct victim_linker *out);

#endif
