/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Speculations.  What a speculative clause records goes into the ring like everything
 * else, with a tag; commit() and discard() leave a record, too, and the consumer, who
 * sees all in the order of time, prints or forgets what has that tag.  So a speculation
 * may be filled and committed by any lane, and nothing is copied.
 *
 * The session's memory has a word for each: whether it is in use, and how often it was.
 * One that is committed or discarded can be used again at once, as its next turn.
 */
#include "own.h"

#define IN_USE 1u

static uint64_t *word_of(struct rt_hit *hit, uint64_t id)
{
	const struct rt_view *view = hit->view;

	return id && id <= view->n_specs ? &view->specs[id - 1] : NULL;
}

static int swapped(uint64_t *word, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(
		word, &from, to, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* An unused one's id; 0: there is none, which is counted. */
RT_HELPER(rt_do_speculation)
{
	for (uint64_t id = 1; id <= hit->view->n_specs; id++) {
		uint64_t *word = word_of(hit, id), now = RT_READ(word);
		if (!(now & IN_USE) && swapped(word, now, now | IN_USE))
			return id;
	}
	rt_count(&hit->view->lane->spec_drops);
	return 0;
}

/* b = the tag of what this clause records for speculation a; of none it is zeros */
RT_HELPER(rt_do_speculate)
{
	struct rt_tag tag = {0, 0};
	uint64_t *word = word_of(hit, a), now = word ? RT_READ(word) : 0;

	if (c < sizeof tag)
		return rt_fault(hit, RT_FAULT_ILLOP, c);
	if (now & IN_USE)
		tag = (struct rt_tag){(uint32_t)a, (uint32_t)(now >> 1)};
	rt_copy((void *)(uintptr_t)b, &tag, sizeof tag);
	return 0;
}

/* The record at a, whose tag it begins with; without speculation it is none. */
RT_HELPER(rt_do_emit_tagged)
{
	struct rt_tag tag;

	if (b > RT_RECORD_MAX || b < sizeof tag)
		return rt_fault(hit, RT_FAULT_ILLOP, b);
	rt_copy(&tag, (void *)(uintptr_t)a, sizeof tag);
	if (tag.id)
		rt_ring_put(
			hit, RT_RECORD_SPECULATIVE, (void *)(uintptr_t)a, (uint32_t)b);
	return 0;
}

static uint64_t end(struct rt_hit *hit, uint64_t id, enum rt_record_kind kind)
{
	uint64_t *word = word_of(hit, id), now = word ? RT_READ(word) : 0;
	struct rt_tag tag = {(uint32_t)id, (uint32_t)(now >> 1)};

	if ((now & IN_USE) && swapped(word, now, now + 1))
		rt_ring_put(hit, kind, &tag, sizeof tag);
	return 0;
}

RT_HELPER(rt_do_commit)
{
	return end(hit, a, RT_RECORD_COMMIT);
}

RT_HELPER(rt_do_discard)
{
	return end(hit, a, RT_RECORD_DISCARD);
}
