/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What option bufpolicy=ring keeps: the newest records of a unit, as many as its buffer
 * would hold.  They are taken from the segment as they come, so that the engine finds
 * room, and printed when tracing is over.
 */
#include <string.h>
#include "drain.h"

/* Drops the oldest records until `size` more bytes are within the limit. */
static void make_room(struct trace_retained *q, size_t size)
{
	while (q->first < q->end && q->end - q->first + size > q->limit) {
		struct rt_record oldest;

		memcpy(&oldest, q->bytes + q->first, sizeof oldest);
		q->first += oldest.size;
	}
}

int trace_retain(struct trace_retained *q, const struct rt_record *r, const void *payload)
{
	/* One record is kept although it is larger than the limit. */
	size_t most = sizeof *r + RT_RECORD_MAX;
	size_t room = 2 * (q->limit > most ? q->limit : most);

	if (!q->bytes)
		q->bytes = malloc(room);
	if (!q->bytes)
		return err_nomem("what bufpolicy=ring keeps");
	make_room(q, r->size);
	if (q->end + r->size > room) {
		memmove(q->bytes, q->bytes + q->first, q->end - q->first);
		q->end -= q->first;
		q->first = 0;
	}
	memcpy(q->bytes + q->end, r, sizeof *r);
	memcpy(q->bytes + q->end + sizeof *r, payload, r->size - sizeof *r);
	q->end += r->size;
	return 0;
}

int trace_retained_next(struct trace_retained *q, struct rt_record *r, void *payload)
{
	if (q->first == q->end)
		return 0;
	memcpy(r, q->bytes + q->first, sizeof *r);
	memcpy(payload, q->bytes + q->first + sizeof *r, r->size - sizeof *r);
	q->first += r->size;
	return 1;
}
