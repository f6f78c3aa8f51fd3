/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a run-time linker publishes for debuggers (<link.h>), as it lies in a victim: the
 * same layout in glibc and musl, and on all 64-bit systems.
 */
#ifndef BASE_LINKMAP_H
#define BASE_LINKMAP_H

#include <stdint.h>

struct link_debug {
	int32_t version, pad; /* 2 and on: `next` is there */
	uint64_t map;         /* the first struct link_entry; 0: none yet */
	uint64_t brk;         /* a function that is called at each change */
	int32_t state, pad2;  /* enum link_state */
	uint64_t base;        /* where the linker lies */
	uint64_t next;        /* that of another namespace; 0: the last */
};

enum link_state { LINK_CONSISTENT, LINK_ADD, LINK_DELETE };

/* struct link_map: an object. */
struct link_entry {
	uint64_t bias; /* address minus that in the file */
	uint64_t name; /* NUL-terminated */
	uint64_t dynamic;
	uint64_t next, prev;
};

#endif
