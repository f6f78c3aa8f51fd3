/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Thread-local variables: two tables in each lane, of numbers and of strings, by thread
 * and variable.  Open addressing with linear probing; the lane's engine is the only one
 * that reads and writes them.  Setting a variable to zero gives its slot back, and the
 * slots behind it move up, so that there are no gravestones.
 *
 * A thread always runs its programs on one lane, so its variables are found there.
 */
#include "segment.h"

#define PROBES_MAX 64u /* how far from its place a variable may lie */

static size_t slot_bytes(enum rt_self_kind kind)
{
	return kind == RT_SELF_NUMBERS ? RT_SELF_NUMBER_SLOT : RT_SELF_STRING_SLOT;
}

static struct rt_self *slot_at(
	const struct rt_view *view, enum rt_self_kind kind, uint32_t i)
{
	unsigned char *table = (unsigned char *)view->self;

	i &= view->self_mask;
	if (kind == RT_SELF_STRINGS)
		table += (view->self_mask + 1ull) * RT_SELF_NUMBER_SLOT;
	return (struct rt_self *)(table + i * slot_bytes(kind));
}

static uint32_t place_of(uint32_t tid, uint32_t var)
{
	uint64_t h = ((uint64_t)tid << 32 | var) * 0x9e3779b97f4a7c15ull;

	return (uint32_t)(h >> 32 ^ h >> 48);
}

struct rt_self *rt_self_find(
	const struct rt_hit *hit, enum rt_self_kind kind, uint32_t var)
{
	uint32_t tid = (uint32_t)hit->tid, place = place_of(tid, var);

	for (uint32_t i = 0; i < PROBES_MAX; i++) {
		struct rt_self *s = slot_at(hit->view, kind, place + i);
		uint32_t at = RT_READ(&s->var);
		if (!at)
			return NULL;
		if (at == var && RT_READ(&s->tid) == tid)
			return s;
	}
	return NULL;
}

struct rt_self *rt_self_make(
	const struct rt_hit *hit, enum rt_self_kind kind, uint32_t var)
{
	struct rt_self *s = rt_self_find(hit, kind, var);
	uint32_t tid = (uint32_t)hit->tid, place = place_of(tid, var);

	for (uint32_t i = 0; !s && i < PROBES_MAX && i < hit->view->self_mask; i++) {
		struct rt_self *free = slot_at(hit->view, kind, place + i);
		if (RT_READ(&free->var))
			continue;
		free->tid = tid;
		RT_PUBLISH(&free->var, var);
		s = free;
	}
	if (!s)
		rt_count(&hit->view->lane->self_drops);
	return s;
}

/* Moves what would not be found any more into the gap at slot `gap`. */
static void close_gap(const struct rt_view *view, enum rt_self_kind kind, uint32_t gap)
{
	for (uint32_t i = gap + 1; i - gap <= view->self_mask; i++) {
		struct rt_self *s = slot_at(view, kind, i);
		uint32_t var = RT_READ(&s->var);
		uint32_t place = place_of(RT_READ(&s->tid), var);
		if (!var)
			break;
		/* Does its place lie behind the gap, up to where it is?  Then it stays.
		 */
		if (((i - place) & view->self_mask) < ((i - gap) & view->self_mask))
			continue;
		rt_copy(slot_at(view, kind, gap), s, slot_bytes(kind));
		gap = i;
	}
	RT_WRITE(&slot_at(view, kind, gap)->var, 0);
}

void rt_self_drop(const struct rt_hit *hit, enum rt_self_kind kind, uint32_t var)
{
	struct rt_self *s = rt_self_find(hit, kind, var), *first;

	if (!s)
		return;
	first = slot_at(hit->view, kind, 0);
	close_gap(hit->view, kind,
		(uint32_t)((size_t)((unsigned char *)s - (unsigned char *)first) /
			   slot_bytes(kind)));
}
