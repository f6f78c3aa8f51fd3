/* SPDX-License-Identifier: BSD-2-Clause */
/* Several victims of one keeper: which they are, how they come, what they share. */
#ifndef KEEPER_KIN_H
#define KEEPER_KIN_H

#include "keeper.h"

/*
 * Where programs write to, and those programs: a victim's, and its followed children's.
 * One thread runs them all, ours, so they share one lane.
 */
struct output {
	unsigned refs;
	void *segment;
	size_t segment_size;
	void *shared; /* the session's variables; NULL: none */
	size_t shared_size;
	int doorbell;
	struct rt_view view;
	uint8_t view_ok;
	VEC(struct bpf_program *) programs;
};

/* A followed child that the client is to be told of. */
struct birth {
	struct keeper *kid;
	int fd[WIRE_CHILD_FDS]; /* those that are the kid's: -1 until it is told */
};

/* -------------------------------------------------------------------- kin.c */

/*
 * The victims of this process: the first one, and children that are followed, each with a
 * struct keeper of its own.
 */
int kin_add(struct keeper *) MUST_USE;
size_t kin_count(void);
/* The i-th of them. */
struct keeper *kin_get(size_t i);
/* Frees those that are finished; how many are left. */
size_t kin_sweep(void);
/*
 * Whose is the task of this event?  NULL: it is a child that its parent has not told of
 * yet, and waits for that.
 */
struct keeper *kin_owner(struct keeper *first, const struct wait_event *);
/* A task of `k` has told of this child: 1 and its event, if that has come before. */
int kin_claim(pid_t tid, struct wait_event *out);
/* Deals with those whose parents will never tell; ms until the next is due, or -1. */
int kin_expire(void);

void kin_free(struct keeper *);

/* ------------------------------------------------------------------ adopt.c */

/*
 * Makes a victim of its own of a stopped task of `k`, whose text is clean and whose
 * memory is open at `mem`, which is the new one's then.  The client is told.
 */
enum adopt { ADOPT_FORKED, ADOPT_EXECUTED };
int adopt_child(struct keeper *, struct task *, int mem, enum adopt) MUST_USE;
/* Fills in the event and the descriptors of the next birth to be told; 0: none. */
int adopt_tell(struct keeper *, struct wire_event *, int fds[WIRE_CHILD_FDS]);
/* It was sent. */
void adopt_told(struct keeper *);
/* It will never be. */
void adopt_close(struct birth *);
/* Lets a child run whose client does not react; ms until then, or -1. */
int adopt_expire(struct keeper *);

/* ----------------------------------------------------------------- output.c */

struct output *output_new(void);
struct output *output_ref(struct output *);
void output_unref(struct output *);
/* Replaces all programs by those in `bytes`, as WIRE_PROGRAMS has them, with its flags.
 */
int output_programs(
	struct output *, const unsigned char *bytes, size_t len, uint32_t flags) MUST_USE;
/* Takes over the descriptors of WIRE_SEGMENT: those that it keeps become -1. */
int output_segment(struct output *, int *fds, int nfds) MUST_USE;
/* The client is to look at the ring. */
void output_ring(struct output *);

#endif
