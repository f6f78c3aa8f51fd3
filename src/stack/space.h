/* SPDX-License-Identifier: BSD-2-Clause */
/* An address space, as space.c and names.c share it. */
#ifndef STACK_SPACE_H
#define STACK_SPACE_H

#include <base/vec.h>
#include "stack.h"

struct region {
	dtproc_addr start, end;
	uint64_t offset, dev, inode;
	int executable;
	char *path;
	uint64_t born, died; /* died STACK_NOW: it is there */
	int kept;            /* amid an update */
	int tried;           /* to open its object */
	struct object *object;
	uint64_t bias;
};

/* A file with the names of generated code. */
struct jit_file {
	struct object_jit *names;
	int absent; /* there is none; looked for again at the next update */
};

struct stack_space {
	struct stack_space_options options;
	VEC(struct region *) now;  /* by address */
	VEC(struct region *) past; /* by the time of leaving */
	struct jit_file map, dump;
	uint64_t changes;
};

/* The region of an address at that time, with its object open if it has one; NULL. */
struct region *space_region(struct stack_space *, dtproc_addr, uint64_t when);

#endif
