/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lane's aggregations: an index of 32-bit slots (offset / 8 + 1 of an entry; 0: free,
 * linear probing) over a heap of entries.  There are always more slots than entries, for
 * an entry is larger than what a slot stands for.
 *
 * The lane's engine is the only writer, but for one word of each entry.  An entry is
 * complete before heap_used, which the client walks to, covers it.  Single words are
 * updated torn-free.  Where several belong together (avg, stddev) there are two copies of
 * them: while `seq` is odd the first is being changed and the second is whole, otherwise
 * the first is.  So a reader never waits for a writer, also for one that died in the
 * middle; it tries again only when the writer got further meanwhile.
 *
 * Forgetting.  The client writes a new turn into an entry's `wanted`.  Its words do not
 * count from then on; the engine makes them new when it comes to the key again.  A
 * truncated entry (its turn is odd) is nobody's until then: when the heap is full the
 * engine uses it for another key.  So memory grows with the keys that live.
 *
 * A key is stored without the zero words at its end, so a string key takes the room of
 * its text and not that of strsize.
 */
#include "own.h"

#define PROBES_MAX 512u /* slots looked at before giving up */
#define SWEEP_MAX 64u   /* entries looked at for one that is truncated */
#define ENTRY_BYTES ((uint32_t)sizeof(struct rt_entry))

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
	return ENTRY_BYTES + (uint64_t)key_bytes + n_words * rt_funcs[func].copies * 8ull;
}

/* What is looked for. */
struct want {
	const unsigned char *key;
	uint32_t hash, id, func, key_bytes, n_words;
	uint64_t need; /* bytes of an entry */
};

/* The entry that slot number `i` of the index names and that says so, too; or NULL. */
static struct rt_entry *entry_of(struct rt_view *view, uint32_t i)
{
	uint64_t at = ((uint64_t)RT_READ(&view->index[i]) - 1) * 8;
	struct rt_entry *e = (struct rt_entry *)(view->heap + at);

	if (at > view->heap_used || view->heap_used - at < ENTRY_BYTES)
		return NULL;
	return RT_READ(&e->slot) == i ? e : NULL;
}

static int is_wanted(struct rt_view *view, struct rt_entry *e, const struct want *want)
{
	uint64_t left = view->heap_used - (uint64_t)((unsigned char *)e - view->heap);

	return RT_READ(&e->hash) == want->hash && RT_READ(&e->id) == want->id &&
	       RT_READ(&e->key_bytes) == want->key_bytes &&
	       RT_READ(&e->n_words) == want->n_words && want->need <= left &&
	       same_key((unsigned char *)(e + 1), want->key, want->key_bytes);
}

/* Makes the words those of a new key, of the turn that the client wants. */
static void renew(struct rt_entry *e, const struct want *want)
{
	uint64_t *words = words_of(e, want->key_bytes);
	uint32_t wanted = RT_READ(&e->wanted);

	rt_zero(words, want->n_words * rt_funcs[want->func].copies * 8);
	words[0] = rt_funcs[want->func].first;
	if (rt_funcs[want->func].copies == 2)
		words[want->n_words] = words[0];
	RT_WRITE(&e->seq, (RT_READ(&e->seq) + 1) & ~1u);
	RT_PUBLISH(&e->turn, wanted);
}

/* An entry of at least `need` bytes that is nobody's any more, or NULL. */
static struct rt_entry *reusable(struct rt_view *view, uint64_t need)
{
	for (uint32_t i = 0; i < SWEEP_MAX; i++) {
		uint64_t at = view->sweep, left = view->heap_used - at;
		struct rt_entry *e = (struct rt_entry *)(view->heap + at);
		uint32_t wanted, room;
		if (at > view->heap_used || left < ENTRY_BYTES) {
			view->sweep = 0;
			continue;
		}
		room = RT_READ(&e->room);
		wanted = RT_READ(&e->wanted);
		if (room < ENTRY_BYTES || room > left || room % 8) {
			view->sweep = 0;
			return NULL;
		}
		view->sweep += room;
		if ((wanted & 1) && RT_READ(&e->turn) != wanted && room >= need &&
			room <= 2 * need)
			return e;
	}
	return NULL;
}

/* Room at the end of the heap, or of a truncated key; NULL: there is none. */
static struct rt_entry *entry_room(struct rt_view *view, uint64_t need)
{
	uint64_t at = view->heap_used;
	struct rt_entry *e = (struct rt_entry *)(view->heap + at);

	if (at > view->geo.agg_bytes || need > view->geo.agg_bytes - at)
		return reusable(view, need);
	RT_WRITE(&e->room, (uint32_t)need);
	RT_WRITE(&e->wanted, 1); /* nobody's until it is complete */
	RT_WRITE(&e->turn, 0);
	return e;
}

static struct rt_entry *entry_new(
	struct rt_view *view, uint32_t slot, const struct want *want)
{
	struct rt_entry *e = entry_room(view, want->need);
	uint64_t at;

	if (!e)
		return NULL;
	at = (uint64_t)((unsigned char *)e - view->heap);
	RT_WRITE(&e->slot, slot);
	RT_WRITE(&e->hash, want->hash);
	RT_WRITE(&e->id, want->id);
	RT_WRITE(&e->func, want->func);
	RT_WRITE(&e->key_bytes, want->key_bytes);
	RT_WRITE(&e->n_words, want->n_words);
	rt_copy(e + 1, want->key, want->key_bytes);
	renew(e, want);
	if (at == view->heap_used) {
		view->heap_used = at + want->need;
		RT_PUBLISH(&view->lane->heap_used, view->heap_used);
	}
	RT_WRITE(&view->index[slot], (uint32_t)(at / 8) + 1);
	return e;
}

static struct rt_entry *entry_find(struct rt_view *view, const struct want *want)
{
	uint32_t unused = UINT32_MAX;

	for (uint32_t i = 0; i < PROBES_MAX; i++) {
		uint32_t slot = (want->hash + i) & view->index_mask;
		struct rt_entry *e = entry_of(view, slot);
		if (e && is_wanted(view, e, want))
			return e;
		if (!e && unused == UINT32_MAX)
			unused = slot;
		if (!RT_READ(&view->index[slot]))
			break;
	}
	return unused == UINT32_MAX ? NULL : entry_new(view, unused, want);
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

static void update_copies(struct rt_entry *e, const struct rt_func *f, uint64_t *words,
	uint64_t param, int64_t value)
{
	uint32_t seq = RT_READ(&e->seq);

	if (seq & 1) /* an earlier engine died here: the second copy counts */
		copy_words(words, words + f->words, f->words);
	else
		turn(e, ++seq);
	f->update(words, param, value, 1);
	turn(e, seq + 1);
	copy_words(words + f->words, words, f->words);
}

void rt_agg_update(struct rt_view *view, uint32_t id, enum rt_agg_func func,
	uint64_t param, const void *key, uint32_t key_bytes, int64_t value, uint64_t by)
{
	const unsigned char *k = key;
	struct want want = {k, 0, id, func, key_bytes, rt_agg_words(func, param), 0};
	struct rt_entry *e;
	uint64_t tail, *words;

	while (want.key_bytes) {
		__builtin_memcpy(&tail, k + want.key_bytes - 8, 8);
		if (tail)
			break;
		want.key_bytes -= 8;
	}
	want.hash = hash_key(id, k, want.key_bytes);
	want.need = size_of(func, want.key_bytes, want.n_words);
	e = entry_find(view, &want);
	if (!e) {
		rt_count(&view->lane->agg_drops);
		return;
	}
	if (RT_READ(&e->turn) != RT_READ(&e->wanted))
		renew(e, &want);
	words = words_of(e, want.key_bytes);
	if (rt_funcs[func].copies == 1)
		rt_funcs[func].update(words, param, value, by);
	else
		update_copies(e, &rt_funcs[func], words, param, value);
}

/* ------------------------------------------------------------------------ reading */

#define READ_TRIES 1000

/* Copies an entry's words, all of one moment. */
static void read_words(
	struct rt_entry *e, uint32_t func, uint64_t *from, uint64_t *to, uint32_t n)
{
	for (int i = 0; i < READ_TRIES; i++) {
		uint32_t seq = RT_READ_ACQUIRE(&e->seq);
		copy_words(
			to, seq & 1 && rt_funcs[func].copies == 2 ? from + n : from, n);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (RT_READ(&e->seq) == seq)
			return;
	}
}

/*
 * Copies the entry in the `left` bytes at `e`; its size, or 0 when it makes no sense.
 * Of a truncated one n_words is 0.
 */
static uint64_t copy_entry(struct rt_entry *e, uint64_t left, struct rt_agg_copy *copy,
	struct rt_agg_entry *out)
{
	uint32_t key_bytes, n_words, func, room, wanted;
	int is_forgotten;

	if (left < ENTRY_BYTES)
		return 0;
	key_bytes = RT_READ(&e->key_bytes);
	n_words = RT_READ(&e->n_words);
	func = RT_READ(&e->func);
	room = RT_READ(&e->room);
	if (key_bytes > RT_KEY_MAX || key_bytes % 8 || !n_words ||
		n_words > RT_WORDS_MAX || func >= RT_AGG_FUNCS ||
		(rt_funcs[func].words && rt_funcs[func].words != n_words) || room % 8 ||
		room > left || size_of(func, key_bytes, n_words) > room)
		return 0;
	/* Only this side makes a key be nobody's: what is somebody's now stays it. */
	wanted = RT_READ(&e->wanted);
	is_forgotten = RT_READ_ACQUIRE(&e->turn) != wanted;
	rt_copy(copy->key, e + 1, key_bytes);
	read_words(e, func, words_of(e, key_bytes), copy->words, n_words);
	if (is_forgotten) {
		rt_zero(copy->words, n_words * 8ull);
		copy->words[0] = rt_funcs[func].first;
	}
	*out = (struct rt_agg_entry){RT_READ(&e->id), (enum rt_agg_func)func, copy->key,
		key_bytes, copy->words, is_forgotten && wanted & 1 ? 0 : n_words,
		&e->wanted};
	return room;
}

void rt_agg_forget(const struct rt_agg_entry *e, enum rt_forget how)
{
	uint32_t now = RT_READ(e->wanted);

	RT_WRITE(e->wanted, ((now + 2) & ~1u) | (how == RT_TRUNCATE));
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
		if (entry.n_words)
			result = fn(&entry, arg);
	}
	return result;
}
