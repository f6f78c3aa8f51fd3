/* SPDX-License-Identifier: BSD-2-Clause */
/* A hash table of 64-bit keys to pointers: open addressing, power-of-two room. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_slot {
	uint64_t key;
	void *value; /* NULL: free */
};

struct hash {
	struct hash_slot *slots;
	size_t n, room;
};

/* Mixes a 64-bit key (finalizer of MurmurHash3, public domain, A. Appleby). */
static inline uint64_t hash_mix(uint64_t k)
{
	k = (k ^ (k >> 33)) * 0xff51afd7ed558ccdULL;
	k = (k ^ (k >> 33)) * 0xc4ceb9fe1a85ec53ULL;
	return k ^ (k >> 33);
}

/* Hash of `len` bytes (FNV-1a, 64 bits). */
uint64_t hash_bytes(const void *bytes, size_t len);

/* Sets key to value (not NULL), replacing; 0 or DTPROC_ENOMEM. */
int hash_put(struct hash *h, uint64_t key, void *value);
void *hash_get(const struct hash *h, uint64_t key);
/* Removes key and returns its value, or NULL. */
void *hash_take(struct hash *h, uint64_t key);
void hash_free(struct hash *h);

/* Walks all values; the table must not change meanwhile. */
#define hash_each(h, i)                                                                  \
	for (size_t i = 0; i < (h)->room; i++)                                           \
		if ((h)->slots[i].value)

#endif
