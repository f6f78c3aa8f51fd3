/* SPDX-License-Identifier: BSD-2-Clause */
/* The victim's mappings: asked for one by one, or all read. */
#ifndef KEEPER_MAPPINGS_H
#define KEEPER_MAPPINGS_H

#include "keeper.h"

#include <sys/stat.h>

struct mapping {
	dtproc_addr from, to;
	unsigned long offset, inode;
	char perms[4];
};

struct mappings {
	struct mapping last;
	VEC(struct mapping) all; /* by address, once `read` */
	uint8_t read;
};

int mappings_read(struct keeper *, struct mappings *) MUST_USE;
/* The one that holds `addr`, until the next is asked for; NULL: nothing is mapped. */
int mappings_find(struct keeper *, struct mappings *, dtproc_addr addr,
	const struct mapping **out) MUST_USE;
void mappings_free(struct mappings *);
/* The file that is mapped at `addr`, if its path leads us there; else -1. */
int mappings_file(struct keeper *, dtproc_addr addr, struct stat *);

/* home.c: where a site's text came from. */
void home_learn(struct site *, const struct mapping *, size_t seen);

#endif
