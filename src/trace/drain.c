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
#include <base/clean.h>
#include <string.h>
#include "own.h"

/* The oldest record of a unit that was not printed yet. */
struct head {
	int has;
	struct rt_record record;
	unsigned char *payload; /* RT_RECORD_MAX bytes */
	struct rt_drops told;   /* drops that the client was warned of */
};

struct trace_drain {
	VEC(struct head *) heads;
	uint64_t dyn_told; /* drops of all units together, likewise */
};

static int add_head(struct trace_drain *d)
{
	struct head *h = calloc(1, sizeof *h);

	if (h)
		h->payload = malloc(RT_RECORD_MAX);
	if (h && h->payload && !vec_push(&d->heads, h))
		return 0;
	if (h)
		free(h->payload);
	free(h);
	return err_nomem("a drain");
}

int trace_drain_grow(struct dtproc *s)
{
	int err = 0;

	while (s->drain->heads.n < engine_units(s->engines) && !err)
		err = add_head(s->drain);
	return err;
}

int trace_drain_open(struct dtproc *s)
{
	s->drain = calloc(1, sizeof *s->drain);
	return s->drain ? trace_drain_grow(s) : err_nomem("a drain");
}

void trace_drain_close(struct dtproc *s)
{
	struct trace_drain *d = s->drain;

	for (size_t i = 0; d && i < d->heads.n; i++) {
		free(d->heads.at[i]->payload);
		free(d->heads.at[i]);
	}
	if (d)
		vec_free(&d->heads);
	free(d);
	s->drain = NULL;
}

static void fill(struct dtproc *s, size_t unit)
{
	struct head *h = s->drain->heads.at[unit];

	if (!h->has)
		h->has = rt_ring_next(engine_client(s->engines, unit), 0, &h->record,
				 h->payload) == 1;
}

/* The oldest record of all units; NULL: none until then. */
static struct head *oldest(struct dtproc *s, uint64_t until_ns)
{
	CLEAN(trace_unlock) struct dtproc *locked = trace_lock(s);
	const struct trace_drain *d = s->drain;
	struct head *best = NULL;

	for (size_t i = 0; i < d->heads.n; i++) {
		struct head *h = d->heads.at[i];

		fill(s, i);
		if (!h->has || h->record.timestamp > until_ns)
			continue;
		if (!best || h->record.timestamp < best->record.timestamp)
			best = h;
	}
	return best;
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
		"error on enabled probe ID %u (ID %u: %s:%s:%s:%s): %s%s in %s at offset %u",
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
	struct head *h;

	while ((h = oldest(s, until_ns))) {
		h->has = 0;
		if (h->record.kind == RT_RECORD_DATA)
			trace_print_record(s, &h->record, h->payload, out);
		else if (h->record.kind == RT_RECORD_FAULT)
			take_fault(s, &h->record, h->payload);
		if (ferror(out))
			return;
	}
}

/* What came since it was told last; where it was is told of some kinds. */
static void warn_drops(struct dtproc *s, uint64_t now, uint64_t *told, const char *what,
	const char *where)
{
	if (now <= *told)
		return;
	trace_warn(s, "%llu %sdrop%s%s", (unsigned long long)(now - *told), what,
		now - *told == 1 ? "" : "s", where);
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

void trace_warn_drops(struct dtproc *s)
{
	uint64_t dyn = 0;
	struct rt_drops now;
	struct head *h;

	for (size_t i = 0; (h = look_at(s, i, &now)); i++) {
		struct rt_drops *told = &h->told;
		char where[32];

		snprintf(where, sizeof where, " on lane %zu", i);
		warn_drops(s, now.ring, &told->ring, "", where);
		warn_drops(s, now.agg, &told->agg, "aggregation ", where);
		warn_drops(s, now.busy, &told->busy, "re-entered probe ", where);
		warn_drops(s, now.corrupt, &told->corrupt, "corrupt buffer ", where);
		dyn += now.dyn;
	}
	warn_drops(s, dyn, &s->drain->dyn_told, "dynamic variable ", "");
}
