/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lane's aggregations: an index of 32-bit slots (offset / 8 + 1 of an entry; 0: free,
 * linear probing) over a heap of entries that only grows.  There are always more slots
 * than entries, for an entry is larger than what a slot stands for.
 *
 * The lane's engine is the only writer.  An entry is complete before heap_used, which
 * the client walks to, covers it.  Single words are updated torn-free.  Where several
 * belong together (avg, stddev) there are two copies of them: while `seq` is odd the
 * first is being changed and the second is whole, otherwise the first is.  So a reader
 * never waits for a writer, also for one that died in the middle; it tries again only
 * when the writer got further meanwhile.
 *
 * A key is stored without the zero words at its end, so a string key takes the room of
 * its text and not that of strsize.
 */
#include "segment.h"

#define PROBES_MAX 512u /* slots looked at before giving up */
#define ENTRY_BYTES ((uint32_t)sizeof(struct rt_entry))

struct func {
	uint32_t words; /* 0: depends on the parameter */
	void (*update)(uint64_t *words, uint64_t param, int64_t value);
	void (*merge)(uint32_t n, uint64_t *to, const uint64_t *from);
	uint64_t first;  /* the first word of a new value */
	uint32_t copies; /* of the words: 2 when they belong together */
};

static void bump(uint64_t *word, uint64_t by)
{
	RT_WRITE(word, RT_READ(word) + by);
}

static void count(uint64_t *w, uint64_t param, int64_t value)
{
	bump(w, 1);
}

static void sum(uint64_t *w, uint64_t param, int64_t value)
{
	bump(w, (uint64_t)value);
}

static void avg(uint64_t *w, uint64_t param, int64_t value)
{
	bump(w, 1);
	bump(w + 1, (uint64_t)value);
}

static void min(uint64_t *w, uint64_t param, int64_t value)
{
	if (value < (int64_t)RT_READ(w))
		RT_WRITE(w, (uint64_t)value);
}

static void max(uint64_t *w, uint64_t param, int64_t value)
{
	if (value > (int64_t)RT_READ(w))
		RT_WRITE(w, (uint64_t)value);
}

/* Adds a 128-bit number to two words. */
static void bump_wide(uint64_t *w, unsigned __int128 by)
{
	unsigned __int128 s = ((unsigned __int128)RT_READ(w + 1) << 64 | RT_READ(w)) + by;

	RT_WRITE(w, (uint64_t)s);
	RT_WRITE(w + 1, (uint64_t)(s >> 64));
}

static void stddev(uint64_t *w, uint64_t param, int64_t value)
{
	bump(w, 1);
	bump(w + 1, (uint64_t)value);
	bump_wide(w + 2, (unsigned __int128)((__int128)value * value));
}

static uint32_t quantize_bucket(int64_t value)
{
	uint64_t v = (uint64_t)value;

	if (!value)
		return RT_QUANTIZE_ZERO;
	if (value > 0)
		return RT_QUANTIZE_ZERO + 64 - (uint32_t)__builtin_clzll(v);
	return RT_QUANTIZE_ZERO -
	       (v == 1ull << 63 ? 63 : 64 - (uint32_t)__builtin_clzll(-v));
}

static void quantize(uint64_t *w, uint64_t param, int64_t value)
{
	bump(w + quantize_bucket(value), 1);
}

int64_t rt_quantize_bound(uint32_t bucket)
{
	if (bucket == RT_QUANTIZE_ZERO)
		return 0;
	if (bucket > RT_QUANTIZE_ZERO)
		return (int64_t)(1ull << (bucket - RT_QUANTIZE_ZERO - 1));
	return -(int64_t)(1ull << (RT_QUANTIZE_ZERO - bucket - 1));
}

static void lquantize(uint64_t *w, uint64_t param, int64_t value)
{
	int64_t base = (int32_t)param;
	uint64_t levels = (uint16_t)(param >> 32), step = (uint16_t)(param >> 48), level;

	if (value < base) {
		bump(w, 1);
		return;
	}
	level = ((uint64_t)value - (uint64_t)base) / step;
	bump(w + (level < levels ? level + 1 : levels + 1), 1);
}

static void merge_add(uint32_t n, uint64_t *to, const uint64_t *from)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] += from[i];
}

static void merge_min(uint32_t n, uint64_t *to, const uint64_t *from)
{
	min(to, 0, (int64_t)from[0]);
}

static void merge_max(uint32_t n, uint64_t *to, const uint64_t *from)
{
	max(to, 0, (int64_t)from[0]);
}

static void merge_stddev(uint32_t n, uint64_t *to, const uint64_t *from)
{
	merge_add(2, to, from);
	bump_wide(to + 2, (unsigned __int128)from[3] << 64 | from[2]);
}

static const struct func funcs[RT_AGG_FUNCS] = {
	[RT_AGG_COUNT] = {1, count, merge_add, 0, 1},
	[RT_AGG_SUM] = {1, sum, merge_add, 0, 1},
	[RT_AGG_AVG] = {2, avg, merge_add, 0, 2},
	[RT_AGG_MIN] = {1, min, merge_min, INT64_MAX, 1},
	[RT_AGG_MAX] = {1, max, merge_max, 1ull << 63, 1},
	[RT_AGG_STDDEV] = {4, stddev, merge_stddev, 0, 2},
	[RT_AGG_QUANTIZE] = {RT_QUANTIZE_BUCKETS, quantize, merge_add, 0, 1},
	[RT_AGG_LQUANTIZE] = {0, lquantize, merge_add, 0, 1},
};

uint32_t rt_agg_words(enum rt_agg_func func, uint64_t param)
{
	uint32_t levels = (uint16_t)(param >> 32);

	if ((uint32_t)func >= RT_AGG_FUNCS)
		return 0;
	if (func != RT_AGG_LQUANTIZE)
		return funcs[func].words;
	return param >> 48 && levels && levels + 2 <= RT_WORDS_MAX ? levels + 2 : 0;
}

void rt_agg_merge(
	enum rt_agg_func func, uint32_t words, uint64_t *to, const uint64_t *from)
{
	funcs[func].merge(words, to, from);
}

/* ------------------------------------------------------------------------ writing */

static uint32_t hash_key(uint32_t id, const unsigned char *key, uint32_t bytes)
{
	uint64_t h = 0x9e3779b97f4a7c15ull + id, w;

	for (uint32_t i = 0; i < bytes; i += 8) {
		__builtin_memcpy(&w, key + i, 8);
		h = (h ^ w) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	return (uint32_t)(h ^ h >> 29);
}

static int same_key(const unsigned char *a, const unsigned char *b, uint32_t bytes)
{
	uint64_t x, y;

	for (uint32_t i = 0; i < bytes; i += 8) {
		__builtin_memcpy(&x, a + i, 8);
		__builtin_memcpy(&y, b + i, 8);
		if (x != y)
			return 0;
	}
	return 1;
}

static uint64_t *words_of(struct rt_entry *e, uint32_t key_bytes)
{
	return (uint64_t *)((unsigned char *)(e + 1) + key_bytes);
}

/* Bytes of an entry, its key and all copies of its words. */
static uint64_t size_of(uint32_t func, uint32_t key_bytes, uint32_t n_words)
{
	return ENTRY_BYTES + (uint64_t)key_bytes + n_words * funcs[func].copies * 8ull;
}

/* What is looked for. */
struct want {
	const unsigned char *key;
	uint32_t hash, id, func, key_bytes, n_words;
};

/* The entry that a slot names, if it is the wanted one and lies within the heap. */
static struct rt_entry *entry_at(
	struct rt_view *view, uint32_t slot, const struct want *want)
{
	uint64_t at = ((uint64_t)slot - 1) * 8;
	struct rt_entry *e = (struct rt_entry *)(view->heap + at);
	uint64_t need = size_of(want->func, want->key_bytes, want->n_words);

	if (at > view->heap_used || need > view->heap_used - at)
		return NULL;
	if (RT_READ(&e->hash) != want->hash || RT_READ(&e->id) != want->id ||
		RT_READ(&e->key_bytes) != want->key_bytes ||
		RT_READ(&e->n_words) != want->n_words)
		return NULL;
	return same_key((unsigned char *)(e + 1), want->key, want->key_bytes) ? e : NULL;
}

static struct rt_entry *entry_new(
	struct rt_view *view, uint32_t *slot, const struct want *want)
{
	uint64_t at = view->heap_used;
	uint64_t need = size_of(want->func, want->key_bytes, want->n_words);
	struct rt_entry *e = (struct rt_entry *)(view->heap + at);
	uint64_t *words = words_of(e, want->key_bytes);

	if (at > view->geo.agg_bytes || need > view->geo.agg_bytes - at)
		return NULL;
	e->hash = want->hash;
	e->id = want->id;
	e->func = want->func;
	e->key_bytes = want->key_bytes;
	e->n_words = want->n_words;
	e->seq = 0;
	e->pad = 0;
	rt_copy(e + 1, want->key, want->key_bytes);
	rt_zero(words, want->n_words * funcs[want->func].copies * 8);
	words[0] = funcs[want->func].first;
	view->heap_used = at + need;
	RT_PUBLISH(&view->lane->heap_used, view->heap_used);
	RT_WRITE(slot, (uint32_t)(at / 8) + 1);
	return e;
}

static struct rt_entry *entry_find(struct rt_view *view, const struct want *want)
{
	for (uint32_t i = 0; i < PROBES_MAX; i++) {
		uint32_t *slot = &view->index[(want->hash + i) & view->index_mask];
		uint32_t value = RT_READ(slot);
		struct rt_entry *e;
		if (!value)
			return entry_new(view, slot, want);
		if ((e = entry_at(view, value, want)))
			return e;
	}
	return NULL;
}

static void copy_words(uint64_t *to, const uint64_t *from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		RT_WRITE(to + i, RT_READ(from + i));
}

/* Says which copy is whole: all before it is seen first, all behind it later. */
static void turn(struct rt_entry *e, uint32_t seq)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	RT_WRITE(&e->seq, seq);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void update_copies(struct rt_entry *e, const struct func *f, uint64_t *words,
	uint64_t param, int64_t value)
{
	uint32_t seq = RT_READ(&e->seq);

	if (seq & 1) /* an earlier engine died here: the second copy counts */
		copy_words(words, words + f->words, f->words);
	else
		turn(e, ++seq);
	f->update(words, param, value);
	turn(e, seq + 1);
	copy_words(words + f->words, words, f->words);
}

void rt_agg_update(struct rt_view *view, uint32_t id, enum rt_agg_func func,
	uint64_t param, const void *key, uint32_t key_bytes, int64_t value)
{
	const unsigned char *k = key;
	struct want want = {k, 0, id, func, key_bytes, rt_agg_words(func, param)};
	struct rt_entry *e;
	uint64_t tail, *words;

	while (want.key_bytes) {
		__builtin_memcpy(&tail, k + want.key_bytes - 8, 8);
		if (tail)
			break;
		want.key_bytes -= 8;
	}
	want.hash = hash_key(id, k, want.key_bytes);
	e = entry_find(view, &want);
	if (!e) {
		rt_count(&view->lane->agg_drops);
		return;
	}
	words = words_of(e, want.key_bytes);
	if (funcs[func].copies == 1)
		funcs[func].update(words, param, value);
	else
		update_copies(e, &funcs[func], words, param, value);
}

/* ------------------------------------------------------------------------ reading */

#define READ_TRIES 1000

/* Copies an entry's words, all of one moment. */
static void read_words(
	struct rt_entry *e, uint32_t func, uint64_t *from, uint64_t *to, uint32_t n)
{
	for (int i = 0; i < READ_TRIES; i++) {
		uint32_t seq = RT_READ_ACQUIRE(&e->seq);
		copy_words(to, seq & 1 && funcs[func].copies == 2 ? from + n : from, n);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (RT_READ(&e->seq) == seq)
			return;
	}
}

/* Copies the entry in the `left` bytes at `e`; its size, or 0 when it makes no sense. */
static uint64_t copy_entry(struct rt_entry *e, uint64_t left, struct rt_agg_copy *copy,
	struct rt_agg_entry *out)
{
	uint32_t key_bytes, n_words, func;
	uint64_t need;

	if (left < ENTRY_BYTES)
		return 0;
	key_bytes = RT_READ(&e->key_bytes);
	n_words = RT_READ(&e->n_words);
	func = RT_READ(&e->func);
	if (key_bytes > RT_KEY_MAX || key_bytes % 8 || !n_words ||
		n_words > RT_WORDS_MAX || func >= RT_AGG_FUNCS ||
		(funcs[func].words && funcs[func].words != n_words))
		return 0;
	need = size_of(func, key_bytes, n_words);
	if (need > left)
		return 0;
	rt_copy(copy->key, e + 1, key_bytes);
	read_words(e, func, words_of(e, key_bytes), copy->words, n_words);
	*out = (struct rt_agg_entry){RT_READ(&e->id), (enum rt_agg_func)func, copy->key,
		key_bytes, copy->words, n_words};
	return need;
}

int rt_agg_each(struct rt_client *c, uint32_t lane, rt_agg_fn *fn, void *arg)
{
	struct rt_agg_entry entry;
	struct rt_map map;
	unsigned char *heap;
	uint64_t used, size;
	int result = 0;

	rt_map_of(&c->geo, &map);
	heap = c->mem + map.first + map.per_lane * lane + map.heap;
	used = RT_READ_ACQUIRE(&rt_lane_at(c->mem, &map, lane)->heap_used);
	if (used > c->geo.agg_bytes)
		used = c->geo.agg_bytes;
	for (uint64_t at = 0; at < used && !result; at += size) {
		size = copy_entry(
			(struct rt_entry *)(heap + at), used - at, &c->copy, &entry);
		if (!size)
			break;
		result = fn(&entry, arg);
	}
	return result;
}
