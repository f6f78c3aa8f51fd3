/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Draining.  Each unit's ring is in the order of its clock; the rings are merged by time,
 * with one record of each held back.  A drain prints what was recorded before it began,
 * so it ends although the victims go on; later records wait for the next one, and the
 * order holds from one drain to the next.
 *
 * A fault ends its clause and leaves a record of its own: it becomes a warning in
 * DTrace's words, and fires ERROR.
 */
#include "drain.h"
#include <base/clean.h>
#include <string.h>

/* The oldest record of a unit that was not printed yet. */
struct head {
	int has;
	struct rt_record record;
	unsigned char *payload;         /* RT_RECORD_MAX bytes */
	struct rt_drops told;           /* drops that the client was warned of */
	struct trace_retained retained; /* bufpolicy=ring */
};

struct trace_drain {
	VEC(struct head *) heads;
	uint64_t dyn_told; /* drops of all units together, likewise */
	uint64_t spec_told, spec_drops_told;
	/* The record that is printed, and the next of its unit (has 0: none yet). */
	struct rt_record record;
	unsigned char *payload;
	const struct head *next;
};

static void free_head(struct head *h)
{
	if (!h)
		return;
	free(h->retained.bytes);
	free(h->payload);
	free(h);
}

static int add_head(struct dtproc *s)
{
	struct head *h = calloc(1, sizeof *h);

	if (h)
		h->payload = malloc(RT_RECORD_MAX);
	if (h && h->payload && !vec_push(&s->drain->heads, h)) {
		h->retained.limit = s->options.at[TRACE_BUFSIZE].number;
		return 0;
	}
	free_head(h);
	return err_nomem("a drain");
}

int trace_drain_grow(struct dtproc *s)
{
	int err = 0;

	while (s->drain->heads.n < engine_units(s->engines) && !err)
		err = add_head(s);
	return err;
}

int trace_drain_open(struct dtproc *s)
{
	s->drain = calloc(1, sizeof *s->drain);
	if (s->drain)
		s->drain->payload = malloc(RT_RECORD_MAX);
	if (!s->drain || !s->drain->payload)
		return err_nomem("a drain");
	return trace_drain_grow(s);
}

void trace_drain_close(struct dtproc *s)
{
	struct trace_drain *d = s->drain;

	if (!d)
		return;
	for (size_t i = 0; i < d->heads.n; i++)
		free_head(d->heads.at[i]);
	vec_free(&d->heads);
	free(d->payload);
	free(d);
	s->drain = NULL;
}

static void fill(struct dtproc *s, size_t unit)
{
	struct head *h = s->drain->heads.at[unit];

	if (!h->has)
		h->has = trace_retained_next(&h->retained, &h->record, h->payload) ||
			 rt_ring_next(engine_client(s->engines, unit), 0, &h->record,
				 h->payload) == 1;
}

/* The unit that has the oldest record; SIZE_MAX: none until then. */
static size_t oldest(struct dtproc *s, uint64_t until_ns)
{
	const struct trace_drain *d = s->drain;
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < d->heads.n; i++) {
		const struct head *h = d->heads.at[i];

		fill(s, i);
		if (!h->has || h->record.timestamp > until_ns)
			continue;
		if (best == SIZE_MAX ||
			h->record.timestamp < d->heads.at[best]->record.timestamp)
			best = i;
	}
	return best;
}

/* Takes the oldest record of all units into the drain's own place: 1; 0: none. */
static int take(struct dtproc *s, uint64_t until_ns)
{
	CLEAN(trace_unlock) struct dtproc *locked = trace_lock(s);
	struct trace_drain *d = s->drain;
	size_t unit = oldest(s, until_ns);
	unsigned char *payload = d->payload;
	struct head *h;

	if (unit == SIZE_MAX)
		return 0;
	h = d->heads.at[unit];
	d->record = h->record;
	d->payload = h->payload;
	h->payload = payload;
	h->has = 0;
	fill(s, unit);
	d->next = h;
	return 1;
}

static int shows_value(uint32_t fault)
{
	return fault == RT_FAULT_BADADDR || fault == RT_FAULT_BADALIGN ||
	       fault == RT_FAULT_KPRIV || fault == RT_FAULT_UPRIV ||
	       fault == RT_FAULT_BADSTACK;
}

static void warn_fault(struct dtproc *s, const struct rt_record *r,
	const struct rt_fault_record *f, unsigned action)
{
	const struct probe *p = trace_probe(s, r->probe);
	char value[32] = "", where[32] = "predicate";

	if (shows_value(f->fault))
		snprintf(value, sizeof value, " (0x%llx)", (unsigned long long)f->value);
	if (action)
		snprintf(where, sizeof where, "action #%u", action);
	trace_warn(s,
		"error on enabled probe ID %u (ID %u: %s:%s:%s:%s): %s%s in %s at DIF offset %u",
		r->program, r->probe, p ? p->provider : "", p ? p->module : "",
		p ? p->function : "", p ? p->name : "", rt_fault_text(f->fault), value,
		where, f->pc);
}

/* ERROR's arguments are DTrace's: arg1 the clause, then action, offset, fault, value. */
static void take_fault(struct dtproc *s, const struct rt_record *r, const void *payload)
{
	const struct cg_clause *c = hash_get(&s->clause_by_id, r->program);
	struct rt_fault_record f;

	if (r->size < sizeof *r + sizeof f)
		return;
	memcpy(&f, payload, sizeof f);
	unsigned action = c ? cg_clause_action_at(c, f.pc) : 0;
	uint64_t args[10] = {0, r->program, action, f.pc, f.fault, f.value};

	warn_fault(s, r, &f, action);
	for (size_t i = 0; i < s->pairs.n; i++)
		if (s->pairs.at[i].probe->kind == PROBE_ERROR) {
			/* It fired before whatever ended tracing meanwhile. */
			trace_fire(s, s->pairs.at[i].probe, ENGINE_ALWAYS, args);
			break;
		}
}

void trace_drain(struct dtproc *s, uint64_t until_ns, FILE *out)
{
	struct trace_drain *d = s->drain;

	while (!ferror(out) && take(s, until_ns)) {
		if (d->record.kind == RT_RECORD_DATA)
			trace_print_record(s, &d->record, d->payload,
				d->next->has ? &d->next->record : NULL, out);
		else if (d->record.kind == RT_RECORD_FAULT)
			take_fault(s, &d->record, d->payload);
		else if (d->record.kind >= RT_RECORD_SPECULATIVE &&
			 d->record.kind <= RT_RECORD_DISCARD)
			trace_speculation(s, &d->record, d->payload, out);
	}
}

static int keep(struct dtproc *s, size_t unit)
{
	struct head *h = s->drain->heads.at[unit];
	struct rt_client *c = engine_client(s->engines, unit);
	int err = 0;

	if (h->has)
		err = trace_retain(&h->retained, &h->record, h->payload);
	for (h->has = 0; !err && rt_ring_next(c, 0, &h->record, h->payload) == 1;)
		err = trace_retain(&h->retained, &h->record, h->payload);
	return err;
}

int trace_keep_newest(struct dtproc *s)
{
	CLEAN(trace_unlock) struct dtproc *locked = trace_lock(s);
	int err = 0;

	for (size_t i = 0; i < s->drain->heads.n && !err; i++)
		err = keep(s, i);
	return err;
}

/* ------------------------------------------------------------------------ drops */

static void warn(struct dtproc *s, uint64_t now, uint64_t *told, const char *what,
	const char *where)
{
	uint64_t n = now - *told;

	if (now <= *told)
		return;
	trace_warn(
		s, "%llu %s%s%s", (unsigned long long)n, what, n > 1 ? "s" : "", where);
	*told = now;
}

/* The head of a unit, and its drops by now; NULL: there is no such unit. */
static struct head *look_at(struct dtproc *s, size_t unit, struct rt_drops *now)
{
	CLEAN(trace_unlock) struct dtproc *locked = trace_lock(s);

	if (unit >= s->drain->heads.n)
		return NULL;
	rt_client_drops(engine_client(s->engines, unit), 0, now);
	return s->drain->heads.at[unit];
}

int trace_is_filled(struct dtproc *s)
{
	struct rt_drops now;

	for (size_t i = 0; look_at(s, i, &now); i++)
		if (now.ring)
			return 1;
	return 0;
}

/* Drops that belong to no buffer are looked at less often (option statusrate). */
static int status_is_due(struct dtproc *s)
{
	uint64_t now = trace_now(), rate = s->options.at[TRACE_STATUSRATE].number;

	if (s->phase == TRACE_GOING && now - s->status_ns < rate)
		return 0;
	s->status_ns = now;
	return 1;
}

void trace_warn_drops(struct dtproc *s)
{
	int status = status_is_due(s);
	uint64_t dyn = 0, spec = 0;
	struct rt_drops now;
	struct head *h;

	for (size_t i = 0; (h = look_at(s, i, &now)); i++) {
		struct rt_drops *told = &h->told;
		char where[32];

		snprintf(where, sizeof where, " on lane %zu", i);
		warn(s, now.ring, &told->ring, "drop", where);
		warn(s, now.agg, &told->agg, "aggregation drop", where);
		warn(s, now.busy, &told->busy, "re-entered probe drop", where);
		warn(s, now.corrupt, &told->corrupt, "corrupt buffer drop", where);
		dyn += now.dyn;
		spec += now.spec;
	}
	if (!status)
		return;
	warn(s, dyn, &s->drain->dyn_told, "dynamic variable drop", "");
	warn(s, s->spec_drops, &s->drain->spec_drops_told, "speculative drop", "");
	warn(s, spec, &s->drain->spec_told, "failed speculation",
		" (no speculative buffer available)");
}
