/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Geometry, formatting, attaching, names, and the brackets of a run.
 *
 * Names.  Four offsets a probe, into a text area that only grows; offset 0 is the empty
 * string.  The client writes them before the probe is armed, so a reader needs no
 * ordering; a reader checks each offset and stops at the end of the area.
 *
 * Doorbell.  A run that put the ring over half full, or called exit(), makes the view
 * urgent.  rt_view_bell() then says yes once until the client answers.
 */
#include "segment.h"

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = RT_PAGE;

	while (p < n)
		p *= 2;
	return p;
}

static size_t pages(size_t n)
{
	return (n + RT_PAGE - 1) & ~(size_t)(RT_PAGE - 1);
}

int rt_params_normal(const struct rt_params *in, struct rt_params *out)
{
	struct rt_params p = *in;

	p.lanes = p.lanes ? p.lanes : 1;
	p.ring_bytes = p.ring_bytes ? p.ring_bytes : 1u << 20;
	p.agg_bytes = p.agg_bytes ? p.agg_bytes : 4u << 20;
	p.probes = p.probes ? p.probes : 65536;
	p.name_bytes = p.name_bytes ? p.name_bytes : 4u << 20;
	p.self_bytes = p.self_bytes ? p.self_bytes : 1u << 20;
	p.self_room = p.self_room ? p.self_room : 8;
	if (p.lanes > RT_LANES_MAX || p.ring_bytes > 1u << 30 || p.agg_bytes > 1u << 30 ||
		p.probes > 1u << 24 || p.name_bytes > 1u << 30 ||
		p.self_bytes > 1u << 30 || p.self_room > RT_DYN_ROOM_MAX)
		return RT_EINVAL;
	p.ring_bytes = power_of_two(p.ring_bytes);
	p.agg_bytes = (uint32_t)pages(p.agg_bytes);
	p.name_bytes = (uint32_t)pages(p.name_bytes);
	*out = p;
	return 0;
}

void rt_map_of(const struct rt_params *geo, struct rt_map *out)
{
	struct rt_map m;

	m.slots = power_of_two(geo->agg_bytes / 32);
	m.lanes = pages(sizeof(struct rt_header));
	m.names = m.lanes + pages(sizeof(struct rt_lane) * geo->lanes);
	m.text = m.names + pages(sizeof(uint32_t) * RT_PARTS * (size_t)geo->probes);
	m.first = m.text + geo->name_bytes;
	m.index = geo->ring_bytes;
	m.heap = m.index + m.slots * sizeof(uint32_t);
	m.self = m.heap + geo->agg_bytes;
	m.self_vars = (struct rt_dyn){.is_private = 1};
	m.per_lane = m.self +
		     pages(rt_dyn_shape(geo->self_bytes, geo->self_room, &m.self_vars));
	m.size = m.first + m.per_lane * geo->lanes;
	*out = m;
}

size_t rt_segment_size(const struct rt_params *params)
{
	struct rt_params geo;
	struct rt_map map;

	if (rt_params_normal(params, &geo))
		return 0;
	rt_map_of(&geo, &map);
	return map.size;
}

int rt_segment_format(
	void *mem, size_t size, const struct rt_params *params, struct rt_client *out)
{
	struct rt_header *header = mem;
	struct rt_map map;

	if (rt_params_normal(params, &out->geo))
		return RT_EINVAL;
	rt_map_of(&out->geo, &map);
	if (size < map.size)
		return RT_ESIZE;
	out->mem = mem;
	out->name_used = 1; /* offset 0 is the empty string */
	rt_zero(out->tail, sizeof out->tail);
	header->geo = out->geo;
	header->size = map.size;
	header->version = RT_VERSION;
	RT_PUBLISH(&header->magic, RT_MAGIC);
	return 0;
}

/* The segment's geometry, if it is one that fits into `size` bytes. */
static int geometry(const struct rt_header *header, size_t size, struct rt_params *out)
{
	struct rt_params geo;
	struct rt_map map;

	if (size < sizeof *header)
		return RT_ESIZE;
	if (RT_READ_ACQUIRE(&header->magic) != RT_MAGIC ||
		RT_READ(&header->version) != RT_VERSION)
		return RT_EMAGIC;
	geo.lanes = RT_READ(&header->geo.lanes);
	geo.ring_bytes = RT_READ(&header->geo.ring_bytes);
	geo.agg_bytes = RT_READ(&header->geo.agg_bytes);
	geo.probes = RT_READ(&header->geo.probes);
	geo.name_bytes = RT_READ(&header->geo.name_bytes);
	geo.self_bytes = RT_READ(&header->geo.self_bytes);
	geo.self_room = RT_READ(&header->geo.self_room);
	if (rt_params_normal(&geo, &geo))
		return RT_EINVAL;
	rt_map_of(&geo, &map);
	if (size < map.size)
		return RT_ESIZE;
	*out = geo;
	return 0;
}

int rt_segment_attach(void *mem, size_t size, uint32_t lane, struct rt_view *out)
{
	struct rt_params geo;
	struct rt_map map;
	unsigned char *at;
	int err = geometry(mem, size, &geo);

	if (err)
		return err;
	if (lane >= geo.lanes)
		return RT_EINVAL;
	rt_map_of(&geo, &map);
	at = (unsigned char *)mem + map.first + map.per_lane * lane;
	out->header = mem;
	out->lane = rt_lane_at(mem, &map, lane);
	out->ring = at;
	out->index = (uint32_t *)(at + map.index);
	out->heap = at + map.heap;
	out->names = (const uint32_t *)((unsigned char *)mem + map.names);
	out->text = (const char *)mem + map.text;
	out->geo = geo;
	out->index_mask = map.slots - 1;
	out->head = RT_READ(&out->lane->head);
	out->heap_used = RT_READ(&out->lane->heap_used) & ~(uint64_t)7;
	if (out->heap_used > geo.agg_bytes)
		out->heap_used = geo.agg_bytes;
	out->self = map.self_vars;
	rt_dyn_at(at + map.self, &out->self);
	out->arrays = (struct rt_dyn){0};
	out->specs = NULL;
	out->n_specs = 0;
	out->globals = NULL;
	out->globals_bytes = 0;
	out->busy = out->urgent = 0;
	out->random = 0;
	out->sweep = 0;
	rt_zero(out->own, sizeof out->own);
	rt_zero(out->token, sizeof out->token);
	rt_zero(out->scratch, sizeof out->scratch);
	rt_zero(out->locals, sizeof out->locals);
	return 0;
}

/* ------------------------------------------------------------------------- names */

static size_t length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* Offset of `s` in the text: what the previous probe had there, or a new copy. */
static int intern(struct rt_client *c, char *text, const char *s, uint32_t *offset)
{
	size_t n = length(s) + 1;

	if (n == 1 || same(text + *offset, s)) {
		*offset = n == 1 ? 0 : *offset;
		return 0;
	}
	if (n > c->geo.name_bytes - c->name_used)
		return RT_EFULL;
	rt_copy(text + c->name_used, s, n);
	*offset = c->name_used;
	c->name_used += (uint32_t)n;
	return 0;
}

int rt_client_name(struct rt_client *c, uint32_t id, const char *const parts[RT_PARTS])
{
	struct rt_map map;
	uint32_t *names;
	char *text;

	rt_map_of(&c->geo, &map);
	names = (uint32_t *)(c->mem + map.names);
	text = (char *)c->mem + map.text;
	if (id >= c->geo.probes)
		return RT_EINVAL;
	if (RT_READ(&names[id * RT_PARTS + RT_PART_NAME]))
		return 0;
	for (uint32_t i = 0; i < RT_PARTS; i++) {
		uint32_t offset = id ? RT_READ(&names[(id - 1) * RT_PARTS + i]) : 0;
		if (offset >= c->name_used)
			offset = 0;
		if (intern(c, text, parts[i], &offset))
			return RT_EFULL;
		RT_WRITE(&names[id * RT_PARTS + i], offset);
	}
	return 0;
}

/* ------------------------------------------------------------- flags and the bell */

static struct rt_header *header_of(const struct rt_client *c)
{
	return (struct rt_header *)c->mem;
}

void rt_client_stop(struct rt_client *c)
{
	RT_PUBLISH(&header_of(c)->stop, 1);
}

int rt_client_stopped(const struct rt_client *c)
{
	return RT_READ_ACQUIRE(&header_of(c)->stop) != 0;
}

void rt_client_answer(struct rt_client *c)
{
	__atomic_store_n(&header_of(c)->bell, 0, __ATOMIC_SEQ_CST);
}

int rt_view_bell(struct rt_view *view)
{
	if (!view->urgent)
		return 0;
	view->urgent = 0;
	return !__atomic_exchange_n(&view->header->bell, 1, __ATOMIC_SEQ_CST);
}

/* ------------------------------------------------------------------------ a run */

void rt_hit_probe(struct rt_hit *hit, uint32_t probe)
{
	hit->probe = probe;
	hit->locals = hit->own = hit->token = 0;
}

void rt_run_locals(struct rt_hit *hit, uint32_t bytes)
{
	if (bytes > hit->locals) {
		rt_zero((unsigned char *)hit->view->locals + hit->locals,
			bytes - hit->locals);
		hit->locals = bytes;
	}
}

enum rt_skip rt_run_begin(struct rt_hit *hit, uint32_t program)
{
	struct rt_view *view = hit->view;

	if (RT_READ(&view->header->stop) && !(hit->flags & RT_HIT_ALWAYS))
		return RT_SKIP_STOPPED;
	if (view->busy) {
		rt_count(&view->lane->busy_drops);
		return RT_SKIP_BUSY;
	}
	view->busy = 1;
	hit->program = program;
	hit->fault = RT_FAULT_NONE;
	return RT_RUN;
}

void rt_run_end(struct rt_hit *hit)
{
	if (hit->fault) {
		struct rt_fault_record record = {
			hit->fault, hit->fault_pc, hit->fault_value};
		rt_count(&hit->view->lane->faults);
		rt_ring_put(hit, RT_RECORD_FAULT, &record, sizeof record);
		hit->view->urgent = 1; /* ERROR should fire soon */
	}
	hit->view->busy = 0;
}

const char *rt_fault_text(uint32_t fault)
{
	static const char *const texts[RT_FAULT_COUNT] = {
		[RT_FAULT_NONE] = "unknown fault",
		[RT_FAULT_BADADDR] = "invalid address",
		[RT_FAULT_BADALIGN] = "invalid alignment",
		[RT_FAULT_ILLOP] = "illegal operation",
		[RT_FAULT_DIVZERO] = "divide-by-zero",
		[RT_FAULT_NOSCRATCH] = "out of scratch space",
		[RT_FAULT_KPRIV] = "invalid kernel access",
		[RT_FAULT_UPRIV] = "invalid user access",
		[RT_FAULT_TUPOFLOW] = "tuple stack overflow",
		[RT_FAULT_BADSTACK] = "bad stack",
	};
	return texts[fault < RT_FAULT_COUNT ? fault : RT_FAULT_NONE];
}
