/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Restartable sequences (rule D7).  The kernel aborts a sequence whose thread traps in
 * it, each time, and an instruction that runs in a slot runs outside of it, without its
 * promise.  So no breakpoint is set where an object says that there is one.
 */
#include "handle.h"

#include <base/clean.h>
#include <object/object.h>

/* struct rseq_cs of linux/rseq.h */
struct sequence {
	uint32_t version, flags;
	uint64_t start, length, abort;
};

#define SEQUENCES_MAX 65536u

static void refuse_in(const struct sequence *q, struct wire_site *sites, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sites[i].addr - q->start < q->length) {
			sites[i].result = DTPROC_ESITE;
			sites[i].reason = WIRE_REFUSED_RSEQ;
		}
}

static void refuse_by(struct dtproc_proc *p, uint64_t at, uint64_t size,
	struct wire_site *sites, size_t n)
{
	struct sequence q;

	for (uint64_t i = 0; i < size / sizeof q && i < SEQUENCES_MAX; i++)
		if (dtproc_proc_read(p, at + i * sizeof q, &q, sizeof q) == sizeof q)
			refuse_in(&q, sites, n);
}

/* The object is open, where the probes were made of it. */
static int open_object(
	struct dtproc_proc *p, const struct victim_map *m, struct object **out)
{
	const struct object_id id = {m->dev, m->inode};

	*out = object_get_open(&id);
	return *out ? 0
		    : object_open_mapped(victim_live_tid(p->pid), m->start, m->end,
			      m->path, &id, out);
}

static void refuse_of(struct dtproc_proc *p, const struct victim_map *m,
	struct wire_site *sites, size_t n)
{
	struct object *o;
	uint64_t value, size, bias;

	if (!m->inode || !(m->flags & VICTIM_MAP_EXEC) || open_object(p, m, &o))
		return;
	if (object_rseq(o, &value, &size) && !object_bias(o, m->start, m->offset, &bias))
		refuse_by(p, value + bias, size, sites, n);
	object_unref(o);
}

static int is_in(const struct victim_map *m, const struct wire_site *s)
{
	return m && s->addr - m->start < m->end - m->start;
}

/* The next site that is not in the mapping `m` of the one before; n: none. */
static size_t next_place(
	const struct victim_map *m, const struct wire_site *sites, size_t i, size_t n)
{
	while (i < n && (sites[i].addr >= WIRE_MOMENTS || is_in(m, &sites[i])))
		i++;
	return i;
}

/* Are the mappings that hold the sites as they were last seen? */
static int still_hold(struct dtproc_proc *p, const struct wire_site *sites, size_t n)
{
	const struct victim_map *m = NULL;

	for (size_t i = 0; (i = next_place(m, sites, i, n)) < n;) {
		m = victim_maps_find(&p->image.maps, sites[i].addr);
		if (!m || (!p->image.linker.brk && !image_maps_still(p, m)))
			return 0;
	}
	return 1;
}

void rseq_refuse(struct dtproc_proc *p, struct wire_site *sites, size_t n)
{
	const struct victim_map *m = NULL;

	if (!still_hold(p, sites, n) && image_maps_read(p))
		return;
	for (size_t i = 0; (i = next_place(m, sites, i, n)) < n; i++) {
		m = victim_maps_find(&p->image.maps, sites[i].addr);
		if (m)
			refuse_of(p, m, sites, n);
	}
}
