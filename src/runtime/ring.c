/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lane's ring: one producer, one consumer, bytes counted from the beginning of time.
 *
 * Each side keeps its own counter in private memory and publishes it; the other side's
 * is only ever believed as far as the two fit together (0 <= head - tail <= size).  What
 * the consumer takes is first copied, then checked.
 */
#include "segment.h"

/* Copies to or from the ring at a counter, around its end. */
static void put(
	unsigned char *ring, uint32_t size, uint64_t at, const void *from, uint32_t n)
{
	uint32_t start = (uint32_t)at & (size - 1), first = size - start;

	first = first < n ? first : n;
	rt_copy(ring + start, from, first);
	rt_copy(ring, (const unsigned char *)from + first, n - first);
}

static void get(
	const unsigned char *ring, uint32_t size, uint64_t at, void *to, uint32_t n)
{
	uint32_t start = (uint32_t)at & (size - 1), first = size - start;

	first = first < n ? first : n;
	rt_copy(to, ring + start, first);
	rt_copy((unsigned char *)to + first, ring, n - first);
}

void rt_ring_put(
	struct rt_hit *hit, enum rt_record_kind kind, const void *payload, uint32_t bytes)
{
	struct rt_view *view = hit->view;
	uint32_t padded = (bytes + 7) & ~7u, size = view->geo.ring_bytes;
	uint64_t used = view->head - RT_READ_ACQUIRE(&view->lane->tail);
	uint32_t fault = hit->fault, need = (uint32_t)sizeof(struct rt_record) + padded;
	struct rt_record record = {.size = need,
		.kind = (uint16_t)kind,
		.program = hit->program,
		.probe = hit->probe,
		.pid = hit->pid,
		.tid = hit->tid};

	if (used > size || need > size - used) {
		rt_count(&view->lane->ring_drops);
		view->urgent = 1;
		return;
	}
	/* A host without clock or CPU number gives 0, not another fault. */
	record.timestamp = rt_value_get(hit, RT_VALUE_TIMESTAMP);
	record.cpu = (uint16_t)rt_value_get(hit, RT_VALUE_CPU);
	hit->fault = fault;
	put(view->ring, size, view->head, &record, sizeof record);
	put(view->ring, size, view->head + sizeof record, payload, bytes);
	view->head += need;
	RT_PUBLISH(&view->lane->head, view->head);
	if (used + need > size / 2)
		view->urgent = 1;
}

/* Nothing in this ring can be believed: forget what it holds. */
static void skip(struct rt_client *c, struct rt_lane *l, uint32_t lane, uint64_t head)
{
	c->tail[lane] = head;
	RT_PUBLISH(&l->tail, head);
	rt_count(&l->corrupt);
}

int rt_ring_next(struct rt_client *c, uint32_t lane, struct rt_record *out, void *payload)
{
	uint64_t tail = c->tail[lane], head;
	uint32_t size = c->geo.ring_bytes;
	const unsigned char *ring;
	struct rt_record record;
	struct rt_lane *l;
	struct rt_map map;

	rt_map_of(&c->geo, &map);
	l = rt_lane_at(c->mem, &map, lane);
	ring = c->mem + map.first + map.per_lane * lane;
	head = RT_READ_ACQUIRE(&l->head);
	if (head == tail)
		return 0;
	if (head - tail > size || head - tail < sizeof record) {
		skip(c, l, lane, head);
		return 0;
	}
	get(ring, size, tail, &record, sizeof record);
	if (record.size < sizeof record || record.size > head - tail || record.size % 8 ||
		record.size - sizeof record > RT_RECORD_MAX) {
		skip(c, l, lane, head);
		return 0;
	}
	get(ring, size, tail + sizeof record, payload,
		record.size - (uint32_t)sizeof record);
	c->tail[lane] = tail + record.size;
	RT_PUBLISH(&l->tail, c->tail[lane]);
	*out = record;
	return 1;
}

void rt_client_drops(const struct rt_client *c, uint32_t lane, struct rt_drops *out)
{
	struct rt_lane *l;
	struct rt_map map;

	rt_map_of(&c->geo, &map);
	l = rt_lane_at(c->mem, &map, lane);
	out->ring = RT_READ(&l->ring_drops);
	out->agg = RT_READ(&l->agg_drops);
	out->busy = RT_READ(&l->busy_drops);
	out->dyn = RT_READ(&l->dyn_drops);
	out->spec = RT_READ(&l->spec_drops);
	out->corrupt = RT_READ(&l->corrupt);
	out->faults = RT_READ(&l->faults);
}
