/* SPDX-License-Identifier: BSD-2-Clause */
/* Stacks for programs, by a module that is loaded when one asks. */
#ifndef KEEPER_UNWIND_H
#define KEEPER_UNWIND_H

#include "keeper.h"

/*
 * The PCs of a stopped task's frames, the innermost first; `s`: the site that it stands
 * on, or NULL.  How many, or -1: stacks cannot be walked, or the task is at its end.
 */
int unwind_task(
	struct keeper *, struct task *, const struct site *s, uint64_t *pcs, size_t room);
/* Something that was mapped is not any more. */
void unwind_forget(struct keeper *);
/* The victim is no more. */
void unwind_close(struct keeper *);

#endif
