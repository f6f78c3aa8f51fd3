/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Speculations, as the consumer has them: what was recorded for one is kept until a
 * record tells that it was committed, and then printed, or discarded.  Each use of a
 * speculation has a number of its own; of what comes late (another lane's clock was
 * ahead) the end of that use is still known.
 *
 * One may keep as many bytes as option specsize says; what goes beyond is dropped,
 * counted and told.
 */
#include <string.h>
#include "own.h"

struct trace_spec {
	uint32_t turn;
	enum { SPEC_OPEN, SPEC_COMMITTED, SPEC_DISCARDED } state;
	VEC(unsigned char) kept; /* headers, each with its payload behind it */
};

/* The speculation of a tag, at that use of it; NULL: it is over, or no memory. */
static struct trace_spec *spec_of(struct dtproc *d, const struct rt_tag *tag)
{
	struct trace_spec *s;

	if (!tag->id || tag->id > RT_SPECS_MAX)
		return NULL;
	if (!d->specs)
		d->specs = calloc(RT_SPECS_MAX, sizeof *d->specs);
	if (!d->specs)
		return NULL;
	s = &d->specs[tag->id - 1];
	if ((int32_t)(tag->turn - s->turn) < 0)
		return NULL;
	if (tag->turn != s->turn) {
		s->turn = tag->turn;
		s->state = SPEC_OPEN;
		s->kept.n = 0;
	}
	return s;
}

static void keep(struct dtproc *d, struct trace_spec *s, const struct rt_record *r,
	const void *payload)
{
	size_t most = (size_t)d->options.at[TRACE_SPECSIZE].number;

	if (r->size > most || s->kept.n > most - r->size ||
		vec_reserve(
			(void **)&s->kept.at, &s->kept.room, s->kept.n + r->size, 1)) {
		d->spec_drops++;
		return;
	}
	memcpy(s->kept.at + s->kept.n, r, sizeof *r);
	memcpy(s->kept.at + s->kept.n + sizeof *r, payload, r->size - sizeof *r);
	s->kept.n += r->size;
}

static void print_kept(struct dtproc *d, struct trace_spec *s, FILE *out)
{
	struct rt_record r;

	for (size_t at = 0; at < s->kept.n; at += r.size) {
		memcpy(&r, s->kept.at + at, sizeof r);
		trace_print_record(d, &r, s->kept.at + at + sizeof r, NULL, out);
	}
}

static void forget(struct trace_spec *s)
{
	vec_free(&s->kept);
}

void trace_speculation(
	struct dtproc *d, const struct rt_record *r, const void *payload, FILE *out)
{
	struct trace_spec *s;
	struct rt_tag tag;

	if (r->size < sizeof *r + sizeof tag)
		return;
	memcpy(&tag, payload, sizeof tag);
	s = spec_of(d, &tag);
	if (!s)
		return;
	if (r->kind == RT_RECORD_SPECULATIVE) {
		if (s->state == SPEC_OPEN)
			keep(d, s, r, payload);
		else if (s->state == SPEC_COMMITTED)
			trace_print_record(d, r, payload, NULL, out);
		return;
	}
	if (s->state != SPEC_OPEN)
		return;
	s->state = r->kind == RT_RECORD_COMMIT ? SPEC_COMMITTED : SPEC_DISCARDED;
	if (s->state == SPEC_COMMITTED)
		print_kept(d, s, out);
	forget(s);
}

void trace_speculations_free(struct dtproc *d)
{
	for (size_t i = 0; d->specs && i < RT_SPECS_MAX; i++)
		forget(&d->specs[i]);
	free(d->specs);
	d->specs = NULL;
}
