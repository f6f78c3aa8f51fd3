/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that is given back all at once. */
#include "parts.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 16384u

struct chunk {
	struct chunk *next;
	size_t used, room;
	_Alignas(16) unsigned char bytes[];
};

struct lang_arena {
	struct chunk *chunks;
};

struct lang_arena *arena_open(void)
{
	struct lang_arena *a = calloc(1, sizeof *a);

	if (!a)
		err_nomem("a script");
	return a;
}

void arena_close(struct lang_arena *a)
{
	struct chunk *next;

	if (!a)
		return;
	for (struct chunk *c = a->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(a);
}

void *arena_alloc(struct lang_arena *a, size_t bytes)
{
	struct chunk *c = a->chunks;
	size_t size = (bytes + 15) & ~(size_t)15;

	if (!c || size > c->room - c->used) {
		size_t room = size > CHUNK ? size : CHUNK;
		c = calloc(1, sizeof *c + room);
		if (!c) {
			err_nomem("a script");
			return NULL;
		}
		c->room = room;
		c->next = a->chunks;
		a->chunks = c;
	}
	c->used += size;
	return c->bytes + c->used - size;
}

char *arena_copy(struct lang_arena *a, const char *text, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	if (copy && len)
		memcpy(copy, text, len);
	return copy;
}
