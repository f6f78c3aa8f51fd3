/* SPDX-License-Identifier: BSD-2-Clause */
/* What draining keeps between two drains. */
#ifndef TRACE_DRAIN_H
#define TRACE_DRAIN_H

#include "own.h"

/* retain.c: records in the order they came, `limit` bytes of them at the most. */
struct trace_retained {
	unsigned char *bytes;
	size_t first, end; /* what is kept lies between */
	size_t limit;
};
/* Keeps a record, whose size is sound; the oldest ones make room. */
int trace_retain(
	struct trace_retained *, const struct rt_record *, const void *payload) MUST_USE;
/* Takes the oldest one: 1; 0: there is none. */
int trace_retained_next(struct trace_retained *, struct rt_record *, void *payload);

#endif
