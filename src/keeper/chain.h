/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run-time linker's lists of objects as they were last seen, and what has changed
 * since.  It knows nothing of a keeper: memory comes through a struct chain_reader, and
 * everything in it is hostile (rule E4).
 */
#ifndef KEEPER_CHAIN_H
#define KEEPER_CHAIN_H

#include <base/err.h>
#include <base/linkmap.h>
#include <base/vec.h>

#define CHAIN_OBJECTS_MAX 16384u /* in one namespace */
#define CHAIN_SPACES_MAX 64u
#define CHAIN_NAME_MAX 96u

struct chain_object {
	dtproc_addr entry; /* its struct link_map */
	uint64_t bias, dynamic;
	dtproc_addr from, to;      /* where it lies; both 0: that cannot be told */
	char name[CHAIN_NAME_MAX]; /* last part of its path, cut; "": the program */
};

typedef VEC(struct chain_object) chain_objects;

/* A namespace: the program's, or one that dlmopen() made. */
struct chain_space {
	dtproc_addr debug;
	chain_objects objects;
	int unsure; /* objects may have left, from anywhere in the list */
};

struct chain {
	VEC(struct chain_space) spaces;
	int changing; /* one of them was not consistent at the last look */
};

struct chain_reader {
	/* As pread(2) from the victim. */
	long (*read)(void *arg, dtproc_addr, void *buf, size_t len);
	/* Reads the entries at n addresses; how many, from the first on, it got. */
	size_t (*entries)(
		void *arg, const dtproc_addr *at, size_t n, struct link_entry *out);
	void *arg;
};

enum chain_change { CHAIN_CAME, CHAIN_LEFT };
typedef void chain_told_fn(void *arg, const struct chain_object *, enum chain_change);

/*
 * Looks at all namespaces that are consistent now and tells what came and what left.
 * `debug` is the first r_debug.  Returns how much was told; EPROTO, ERANGE, ELIMIT: the
 * lists are corrupt, and the chain is as it was, but for what was told.
 */
long chain_look(struct chain *, dtproc_addr debug, const struct chain_reader *,
	chain_told_fn *, void *arg) MUST_USE;
void chain_free(struct chain *);

#endif
