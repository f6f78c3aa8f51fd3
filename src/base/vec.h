/* SPDX-License-Identifier: BSD-2-Clause */
/* A growing array of any element type: VEC(struct site) sites = {0}; */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stddef.h>
#include <stdlib.h>

#define VEC(type)                                                                        \
	struct {                                                                         \
		type *at;                                                                \
		size_t n, room;                                                          \
	}

/* Makes room for `want` elements; 0, or DTPROC_ENOMEM with the vector as it was. */
int vec_reserve(void **at, size_t *room, size_t want, size_t size);

/* Appends `item`; 0 or DTPROC_ENOMEM. */
#define vec_push(v, item)                                                                \
	(vec_reserve((void **)&(v)->at, &(v)->room, (v)->n + 1, sizeof *(v)->at)         \
			? DTPROC_ENOMEM                                                  \
			: ((v)->at[(v)->n++] = (item), 0))

/* Removes element i; the last one takes its place. */
#define vec_drop(v, i) ((v)->at[(i)] = (v)->at[--(v)->n])

#define vec_free(v)                                                                      \
	do {                                                                             \
		free((v)->at);                                                           \
		(v)->at = NULL;                                                          \
		(v)->n = (v)->room = 0;                                                  \
	} while (0)

#endif
