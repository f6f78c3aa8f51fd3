/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dynamic variables: thread-locals and associative arrays, in a table that several
 * engines may share.
 *
 * A *cell* holds one variable: who it is, its key and its value.  A *word* of the index
 * names the cell that counts now, with 16 bits of the key's hash and a number that
 * changes with each change of the word.  A variable's word lies within WINDOW words
 * behind its place.
 *
 * Writing.  A value never changes in place: it is put into a fresh cell, which one
 * compare-and-swap of the word makes known; the cell before it is free then.  So a reader
 * has either value whole, if the word is the same before and after it copied; who found
 * the word changed looks again.  Nobody waits for anybody: an engine that dies
 * in the middle leaves a cell that nobody uses, and nothing else.
 *
 * Two engines that make one variable at once may make it twice.  All look in the same
 * order, so one of the two counts, and removing removes both.
 *
 * A word that was used never becomes 0 again (0 ends a search) but is used again.  A
 * table that one engine has for itself (self->) changes numbers in place.
 */
#include "segment.h"

#define WINDOW 64u
#define TRIES 64u /* lost races until the update is dropped */

#define CELL(word) ((uint32_t)(word)&RT_DYN_CELLS_MAX)
#define TAG(word) ((uint16_t)((word) >> 24))
#define TURN (1ull << 40)

struct rt_cell {
	uint64_t next; /* while it is free: the next free one */
	uint32_t var, tid;
	uint32_t key_bytes, value_bytes;
};

/* ------------------------------------------------------------------------ geometry */

size_t rt_dyn_shape(uint32_t bytes, uint32_t room, struct rt_dyn *out)
{
	uint32_t cell = (uint32_t)sizeof(struct rt_cell) + ((room + 7) & ~7u), n, slots;

	n = bytes / (cell + 3 * 8);
	n = n < 8 ? 8 : n > RT_DYN_CELLS_MAX ? RT_DYN_CELLS_MAX : n;
	for (slots = 64; slots < 2 * n;)
		slots *= 2;
	out->mask = slots - 1;
	out->n_cells = n;
	out->cell_bytes = cell;
	return sizeof(struct rt_dyn_head) + slots * 8ull + (size_t)n * cell;
}

void rt_dyn_at(void *mem, struct rt_dyn *t)
{
	t->head = mem;
	t->words = (uint64_t *)(t->head + 1);
	t->cells = (unsigned char *)(t->words + t->mask + 1ull);
}

uint32_t rt_dyn_room(const struct rt_dyn *t)
{
	return t->head ? t->cell_bytes - (uint32_t)sizeof(struct rt_cell) : 0;
}

/* --------------------------------------------------------------------------- cells */

/* The cell with this number; NULL: none has it. */
static struct rt_cell *cell_at(const struct rt_dyn *t, uint32_t n)
{
	if (!n || n > t->n_cells)
		return NULL;
	return (struct rt_cell *)(t->cells + (n - 1ull) * t->cell_bytes);
}

static int swapped(uint64_t *word, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(
		word, &from, to, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* The head of the list of free cells: a number that changes each time, and a cell. */
static uint64_t headed(uint64_t head, uint32_t cell)
{
	return ((head >> 32) + 1) << 32 | cell;
}

/* The number of a cell that was free; 0: there is none. */
static uint32_t take_cell(const struct rt_dyn *t)
{
	struct rt_dyn_head *h = t->head;

	for (uint32_t i = 0; i < TRIES; i++) {
		uint64_t head = RT_READ_ACQUIRE(&h->free);
		struct rt_cell *c = cell_at(t, (uint32_t)head);
		if (!c)
			break;
		if (swapped(&h->free, head, headed(head, (uint32_t)RT_READ(&c->next))))
			return (uint32_t)head;
	}
	for (uint32_t i = 0; i < TRIES; i++) {
		uint64_t fresh = RT_READ(&h->fresh);
		if (fresh >= t->n_cells)
			break;
		if (swapped(&h->fresh, fresh, fresh + 1))
			return (uint32_t)fresh + 1;
	}
	return 0;
}

static void give_cell(const struct rt_dyn *t, uint32_t n)
{
	struct rt_cell *c = cell_at(t, n);

	for (uint32_t i = 0; c && i < TRIES; i++) {
		uint64_t head = RT_READ(&t->head->free);
		RT_WRITE(&c->next, (uint32_t)head);
		if (swapped(&t->head->free, head, headed(head, n)))
			return;
	}
}

static uint64_t word_of(const void *from, uint32_t i)
{
	uint64_t w;

	__builtin_memcpy(&w, (const char *)from + 8ull * i, 8);
	return w;
}

static void write_words(uint64_t *to, const void *from, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes / 8; i++)
		RT_WRITE(to + i, word_of(from, i));
}

static void fill_cell(struct rt_cell *c, const struct rt_dyn_key *key, const void *value,
	uint32_t bytes)
{
	uint64_t *at = (uint64_t *)(c + 1);

	RT_WRITE(&c->var, key->var);
	RT_WRITE(&c->tid, key->tid);
	RT_WRITE(&c->key_bytes, key->bytes);
	RT_WRITE(&c->value_bytes, bytes);
	write_words(at, key->at, key->bytes);
	write_words(at + key->bytes / 8, value, bytes);
}

static int is_of(const struct rt_cell *c, const struct rt_dyn_key *key)
{
	const uint64_t *at = (const uint64_t *)(c + 1);

	if (RT_READ(&c->var) != key->var || RT_READ(&c->tid) != key->tid ||
		RT_READ(&c->key_bytes) != key->bytes)
		return 0;
	for (uint32_t i = 0; i < key->bytes / 8; i++)
		if (RT_READ(at + i) != word_of(key->at, i))
			return 0;
	return 1;
}

/* ------------------------------------------------------------------------- looking */

/* Where a search is or ended. */
struct look {
	uint64_t hash;
	uint32_t i;
	uint64_t *at, word;   /* the word that names the variable, as it was read */
	uint64_t *free, gone; /* the first word that names nothing */
	struct rt_cell *cell;
};

static uint64_t hash_of(const struct rt_dyn_key *key)
{
	uint64_t h = ((uint64_t)key->tid << 32 | key->var) * 0x9e3779b97f4a7c15ull;

	for (uint32_t i = 0; i < key->bytes / 8; i++) {
		h = (h ^ word_of(key->at, i)) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	return h ^ h >> 29;
}

/* Goes on to the next word that names the variable; 1, or 0: no more. */
static int search(const struct rt_dyn *t, const struct rt_dyn_key *key, struct look *l)
{
	for (; l->i < WINDOW && l->i <= t->mask; l->i++) {
		l->at = &t->words[(l->hash + l->i) & t->mask];
		l->word = RT_READ_ACQUIRE(l->at);
		if (!CELL(l->word) && !l->free) {
			l->free = l->at;
			l->gone = l->word;
		}
		if (!l->word)
			return 0;
		if (TAG(l->word) != (uint16_t)(l->hash >> 48))
			continue;
		l->cell = cell_at(t, CELL(l->word));
		if (l->cell && is_of(l->cell, key))
			return 1;
	}
	return 0;
}

static int still(const struct look *l)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return RT_READ(l->at) == l->word;
}

static struct look begin(const struct rt_dyn_key *key)
{
	return (struct look){.hash = hash_of(key)};
}

/* What the word becomes: it names cell n, or nothing. */
static uint64_t changed(uint64_t word, const struct look *l, uint32_t n)
{
	uint64_t turn = (word & ~(TURN - 1)) + TURN;

	return (turn ? turn : TURN) | (l->hash >> 48) << 24 | n;
}

/* Copies a cell's value, and zeros behind it. */
static void read_value(
	const struct rt_dyn *t, const struct rt_cell *c, uint64_t *out, uint32_t bytes)
{
	uint32_t key = RT_READ(&c->key_bytes) & ~7u, has = RT_READ(&c->value_bytes) & ~7u;
	uint32_t room = rt_dyn_room(t), i = 0;
	const uint64_t *from = (const uint64_t *)(c + 1) + key / 8;

	if (key > room || has > room - key)
		has = 0;
	for (; i < bytes / 8 && i < has / 8; i++)
		__builtin_memcpy(out + i, &(uint64_t){RT_READ(from + i)}, 8);
	rt_zero(out + i, bytes - 8ull * i);
}

/* ------------------------------------------------------------------ what is exported */

int rt_dyn_get(
	const struct rt_dyn *t, const struct rt_dyn_key *key, void *out, uint32_t bytes)
{
	for (uint32_t i = 0; i < TRIES; i++) {
		struct look l = begin(key);
		if (!search(t, key, &l))
			break;
		read_value(t, l.cell, out, bytes);
		if (still(&l))
			return 1;
	}
	rt_zero(out, bytes);
	return 0;
}

/* Makes cell n the variable's; 1, or 0: it was dropped. */
static int publish(const struct rt_dyn *t, const struct rt_dyn_key *key, uint32_t n)
{
	for (uint32_t i = 0; i < TRIES; i++) {
		struct look l = begin(key);
		if (search(t, key, &l)) {
			if (swapped(l.at, l.word, changed(l.word, &l, n))) {
				give_cell(t, CELL(l.word));
				return 1;
			}
		} else if (!l.free) {
			return 0;
		} else if (swapped(l.free, l.gone, changed(l.gone, &l, n))) {
			return 1;
		}
	}
	return 0;
}

/* A number of a table that this engine has for itself. */
static int set_in_place(
	const struct rt_dyn *t, const struct rt_dyn_key *key, const void *value)
{
	struct look l = begin(key);

	if (!search(t, key, &l) || RT_READ(&l.cell->value_bytes) != 8)
		return 0;
	write_words((uint64_t *)(l.cell + 1) + key->bytes / 8, value, 8);
	return 1;
}

int rt_dyn_set(const struct rt_dyn *t, const struct rt_dyn_key *key, const void *value,
	uint32_t bytes)
{
	uint32_t n;

	if (t->is_private && bytes == 8 && set_in_place(t, key, value))
		return 1;
	n = take_cell(t);
	if (!n)
		return 0;
	fill_cell(cell_at(t, n), key, value, bytes);
	if (publish(t, key, n))
		return 1;
	give_cell(t, n);
	return 0;
}

void rt_dyn_remove(const struct rt_dyn *t, const struct rt_dyn_key *key)
{
	struct look l = begin(key);

	for (uint32_t tries = 0; tries < TRIES && search(t, key, &l); tries++) {
		if (!swapped(l.at, l.word, changed(l.word, &l, 0)))
			continue; /* look at the same word again */
		give_cell(t, CELL(l.word));
		l.i++;
	}
}
