/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting a keeper: inside this folder only. */
#ifndef VICTIM_START_H
#define VICTIM_START_H

#include "victim.h"

struct start {
	const struct victim_program *program; /* NULL: no stub */
	int fd[WIRE_FD_FIRST_FREE]; /* what the keeper gets where; -1: nothing */
	int ours[4];                /* our ends, which the stub must not keep */
	int stub;                   /* the stub's end; -1: none */
};

struct started {
	int keeper; /* pidfd */
	pid_t keeper_pid, stub_pid;
	pid_t parent; /* of the keeper where it stays, with exit signal 0; else 0 */
};

/* Starts the keeper's binary.  EKEEPER: it cannot be started, with its name and why. */
int start_keeper(const struct start *, struct started *out) MUST_USE;

/* Reaps the keeper's parent that stayed, when the keeper is gone; 0: there is none. */
void start_reap(pid_t parent);

/* ---------------------------------------------------------------- keepers.c */

/* One for each ctl, by its pidfd; `parent`: of the keeper where it stays, or 0. */
int keepers_add(pid_t keeper, int pidfd, pid_t parent) MUST_USE;
/* One with the keeper that another ctl has. */
int keepers_join(pid_t keeper, int theirs, int pidfd) MUST_USE;
/* Has another ctl the same keeper process, which lives? */
int keepers_share(pid_t keeper, int pidfd);
/* Takes one out; the last of a keeper gets the parent that is to be reaped; else 0. */
pid_t keepers_drop(int pidfd);

#endif
