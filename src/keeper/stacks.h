/* SPDX-License-Identifier: BSD-2-Clause */
/* The threads of the victim and copies of their stacks. */
#ifndef KEEPER_STACKS_H
#define KEEPER_STACKS_H

#include "keeper.h"

/* The threads; `out` has room for k->tasks.n. */
void threads_list(struct keeper *, struct wire_thread *out, size_t *n);
/* Registers and the tops of stacks of all threads; the bytes are mapped memory. */
struct stacks {
	struct wire_stack *at;
	size_t n;
	unsigned char *bytes;
	size_t used, room;
};
/* While all are stopped: at most `each` bytes of a thread. */
int stacks_take(struct keeper *, size_t each, struct stacks *out) MUST_USE;
void stacks_free(struct stacks *);

#endif
