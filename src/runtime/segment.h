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
#define RT_VERSION 1u
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
	uint64_t self_drops;
	/* Written by the client. */
	_Alignas(64) uint64_t tail; /* bytes ever taken from the ring */
	uint64_t corrupt;
};

/* A key and its value in a lane's heap; key bytes and value words lie behind it. */
struct rt_entry {
	uint32_t hash;
	uint32_t id;
	uint32_t func;
	uint32_t key_bytes; /* a multiple of 8 */
	uint32_t n_words;
	uint32_t seq; /* odd: of two copies of the words the second is whole */
	uint64_t pad; /* room for a generation: clear() and trunc() */
};

/* A self-> variable of one thread; var 0: free. */
struct rt_self {
	uint32_t tid, var;
	uint64_t value; /* of a number; of a string its bytes begin here */
};
#define RT_SELF_TEXT 256u /* bytes of a string */
#define RT_SELF_NUMBER_SLOT (sizeof(struct rt_self))
#define RT_SELF_STRING_SLOT (sizeof(uint64_t) + RT_SELF_TEXT)

/* Where the areas of a geometry start. */
struct rt_map {
	size_t lanes, names, text, first, per_lane, index, heap, self, size;
	uint32_t slots;      /* of a lane's index */
	uint32_t self_slots; /* of each of its two tables of self-> variables */
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
	const void *key, uint32_t key_bytes, int64_t value);
/*
 * The slot of a thread's self-> variable among the numbers or the strings; NULL: it has
 * none.  rt_self_make() makes one: NULL when there is no room, which is counted.
 */
enum rt_self_kind { RT_SELF_NUMBERS, RT_SELF_STRINGS };
struct rt_self *rt_self_find(const struct rt_hit *, enum rt_self_kind, uint32_t var);
struct rt_self *rt_self_make(const struct rt_hit *, enum rt_self_kind, uint32_t var);
void rt_self_drop(const struct rt_hit *, enum rt_self_kind, uint32_t var);
/* The number `which`; sets hit->fault when nobody can tell. */
uint64_t rt_value_get(struct rt_hit *, uint32_t which);

#endif
