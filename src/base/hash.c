/* SPDX-License-Identifier: BSD-2-Clause */
#include "hash.h"

#include "err.h"

#include <stdlib.h>

uint64_t hash_bytes(const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint64_t h = 0xcbf29ce484222325ULL;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3ULL;
	return h;
}

static size_t place(const struct hash *h, uint64_t key)
{
	size_t i = hash_mix(key) & (h->room - 1);

	while (h->slots[i].value && h->slots[i].key != key)
		i = (i + 1) & (h->room - 1);
	return i;
}

static int grow(struct hash *h)
{
	struct hash bigger = {.room = h->room ? h->room * 2 : 16};

	bigger.slots = calloc(bigger.room, sizeof *bigger.slots);
	if (!bigger.slots)
		return err_nomem("a hash table");
	hash_each(h, i)
		bigger.slots[place(&bigger, h->slots[i].key)] = h->slots[i];
	bigger.n = h->n;
	free(h->slots);
	*h = bigger;
	return 0;
}

int hash_put(struct hash *h, uint64_t key, void *value)
{
	if (h->n * 4 >= h->room * 3 && grow(h))
		return DTPROC_ENOMEM;
	struct hash_slot *s = &h->slots[place(h, key)];
	h->n += !s->value;
	*s = (struct hash_slot){key, value};
	return 0;
}

void *hash_get(const struct hash *h, uint64_t key)
{
	return h->room ? h->slots[place(h, key)].value : NULL;
}

void *hash_take(struct hash *h, uint64_t key)
{
	if (!h->room)
		return NULL;
	size_t i = place(h, key);
	void *value = h->slots[i].value;
	if (!value)
		return NULL;
	h->slots[i].value = NULL;
	h->n--;
	/* Those behind it move up, so that no gap cuts a chain. */
	for (size_t j = (i + 1) & (h->room - 1); h->slots[j].value;
		j = (j + 1) & (h->room - 1)) {
		struct hash_slot moved = h->slots[j];
		h->slots[j].value = NULL;
		h->slots[place(h, moved.key)] = moved;
	}
	return value;
}

void hash_free(struct hash *h)
{
	free(h->slots);
	*h = (struct hash){0};
}
