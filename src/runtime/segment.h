/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The segment as it lies in memory (docs/bytecode.md draws it).
 *
 *	header | lane headers | name offsets | name text | lane 0: ring, index, heap | ...
 *
 * Every area starts at a page, at an offset that follows from the geometry alone.
 */
#ifndef RUNTIME_SEGMENT_H
#define RUNTIME_SEGMENT_H

#include "runtime.h"

#define RT_MAGIC 0x67657374u /* "tseg" */
#define RT_VERSION 2u
#define RT_PAGE 4096u

struct rt_header {
	uint32_t magic, version;
	struct rt_params geo;
	uint32_t pad;
	uint64_t size;
	_Alignas(64) uint32_t stop; /* tracing is over */
	uint32_t bell;              /* rung and not answered yet */
};

struct rt_lane {
	/* Written by the engine. */
	_Alignas(64) uint64_t head; /* bytes ever put into the ring */
	uint64_t ring_drops, agg_drops, busy_drops, faults;
	uint64_t heap_used; /* bytes of complete entries */
	uint64_t dyn_drops, spec_drops;
	/* Written by the client. */
	_Alignas(64) uint64_t tail; /* bytes ever taken from the ring */
	uint64_t corrupt;
};

/*
 * A key and its value in a lane's heap; key bytes and value words lie behind it.  The
 * words are those of `turn`; while that is not the one that the client wants, they are
 * forgotten (an odd one: the key, too).
 */
struct rt_entry {
	uint32_t hash;
	uint32_t id;
	uint32_t func;
	uint32_t key_bytes; /* a multiple of 8 */
	uint32_t n_words;
	uint32_t seq;  /* odd: of two copies of the words the second is whole */
	uint32_t slot; /* of the index that means this entry; others are of before */
	uint32_t room; /* bytes of it all */
	uint32_t turn;
	uint32_t wanted; /* written by the client */
};

/* Begins a table of dynamic variables; its words and cells lie behind it (dynamic.c). */
struct rt_dyn_head {
	_Alignas(64) uint64_t free; /* a list of cells; counted in the high half */
	uint64_t fresh;             /* cells ever used */
};
#define RT_DYN_CELLS_MAX ((1u << 24) - 1)

/* Begins the memory that a session's engines share (shared.c). */
struct rt_shared {
	uint32_t magic, version;
	struct rt_shared_params params;
	_Alignas(64) uint64_t specs[RT_SPECS_MAX]; /* speculate.c */
};
#define RT_MAGIC_SHARED 0x72687374u /* "tshr" */

/* Where the areas of a geometry start. */
struct rt_map {
	size_t lanes, names, text, first, per_lane, index, heap, self, size;
	uint32_t slots;          /* of a lane's index */
	struct rt_dyn self_vars; /* sizes of its table of self-> variables */
};

/* Fills in defaults and rounds; 0, or RT_EINVAL. */
int rt_params_normal(const struct rt_params *in, struct rt_params *out);
/* The areas of a normal geometry. */
void rt_map_of(const struct rt_params *, struct rt_map *out);

static inline struct rt_lane *rt_lane_at(
	unsigned char *mem, const struct rt_map *map, uint32_t lane)
{
	return (struct rt_lane *)(mem + map->lanes) + lane;
}

/* One copy of a word that another party may change at any time. */
#define RT_READ(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define RT_READ_ACQUIRE(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define RT_WRITE(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define RT_PUBLISH(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

static inline void rt_copy(void *to, const void *from, size_t n)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	for (; n >= 8; n -= 8, t += 8, f += 8) {
		uint64_t w;
		__builtin_memcpy(&w, f, 8);
		__builtin_memcpy(t, &w, 8);
	}
	while (n--)
		*t++ = *f++;
}

static inline void rt_zero(void *to, size_t n)
{
	unsigned char *t = to;
	uint64_t none = 0;

	for (; n >= 8; n -= 8, t += 8)
		__builtin_memcpy(t, &none, 8);
	while (n--)
		*t++ = 0;
}

/* Adds to a counter that only this side writes. */
static inline void rt_count(uint64_t *counter)
{
	RT_WRITE(counter, RT_READ(counter) + 1);
}

/* Puts a record into the lane's ring, or counts a drop. */
void rt_ring_put(
	struct rt_hit *, enum rt_record_kind, const void *payload, uint32_t bytes);
/* Updates one key of an aggregation in place, or counts a drop. */
void rt_agg_update(struct rt_view *, uint32_t id, enum rt_agg_func, uint64_t param,
	const void *key, uint32_t key_bytes, int64_t value, uint64_t by);
/*
 * Dynamic variables.  rt_dyn_shape() gives a table its sizes and tells the bytes it
 * takes, for about `bytes` of memory and `room` for each key with its value; rt_dyn_at()
 * sets it on zeroed memory or on what another left there.  Sizes are multiples of 8 and
 * fit into rt_dyn_room().
 */
struct rt_dyn_key {
	uint32_t var; /* an id, from 1 */
	uint32_t tid; /* 0: an array of all threads */
	const void *at;
	uint32_t bytes;
};
size_t rt_dyn_shape(uint32_t bytes, uint32_t room, struct rt_dyn *out);
void rt_dyn_at(void *mem, struct rt_dyn *);
uint32_t rt_dyn_room(const struct rt_dyn *);
/* 1; 0: there is none, and `out` is zeros. */
int rt_dyn_get(
	const struct rt_dyn *, const struct rt_dyn_key *, void *out, uint32_t bytes);
/* 1; 0: no room. */
int rt_dyn_set(const struct rt_dyn *, const struct rt_dyn_key *, const void *value,
	uint32_t bytes);
void rt_dyn_remove(const struct rt_dyn *, const struct rt_dyn_key *);
/* The number `which`; sets hit->fault when nobody can tell. */
uint64_t rt_value_get(struct rt_hit *, uint32_t which);

#endif
