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
	size_t n;
	struct head heads[];
};

int trace_drain_open(struct dtproc *s)
{
	size_t n = engine_units(s->engines);
	struct trace_drain *d = calloc(1, sizeof *d + n * sizeof *d->heads);

	if (!d)
		return err_nomem("a drain");
	d->n = n;
	s->drain = d;
	for (size_t i = 0; i < n; i++) {
		d->heads[i].payload = malloc(RT_RECORD_MAX);
		if (!d->heads[i].payload)
			return err_nomem("a drain");
	}
	return 0;
}

void trace_drain_close(struct dtproc *s)
{
	struct trace_drain *d = s->drain;

	for (size_t i = 0; d && i < d->n; i++)
		free(d->heads[i].payload);
	free(d);
	s->drain = NULL;
}

static void fill(struct dtproc *s, size_t unit)
{
	struct head *h = &s->drain->heads[unit];

	if (!h->has)
		h->has = rt_ring_next(engine_client(s->engines, unit), 0, &h->record,
				 h->payload) == 1;
}

/* The unit whose oldest record is the oldest of all, or -1: none until then. */
static long oldest(struct dtproc *s, uint64_t until_ns)
{
	const struct trace_drain *d = s->drain;
	long best = -1;

	for (size_t i = 0; i < d->n; i++) {
		fill(s, i);
		if (!d->heads[i].has || d->heads[i].record.timestamp > until_ns)
			continue;
		if (best < 0 ||
			d->heads[i].record.timestamp < d->heads[best].record.timestamp)
			best = (long)i;
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
	const struct probe *p = probe_by_id(s->probes, r->probe);
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
			engine_fire(
				s->engines, s->pairs.at[i].probe, ENGINE_ALWAYS, args);
			break;
		}
}

void trace_drain(struct dtproc *s, uint64_t until_ns, FILE *out)
{
	long unit;

	while ((unit = oldest(s, until_ns)) >= 0) {
		struct head *h = &s->drain->heads[unit];

		h->has = 0;
		if (h->record.kind == RT_RECORD_DATA)
			trace_print_record(s, &h->record, h->payload, out);
		else if (h->record.kind == RT_RECORD_FAULT)
			take_fault(s, &h->record, h->payload);
		if (ferror(out))
			return;
	}
}

static void warn_drops(
	struct dtproc *s, size_t unit, uint64_t now, uint64_t *told, const char *what)
{
	if (now <= *told)
		return;
	trace_warn(s, "%llu %sdrop%s on lane %zu", (unsigned long long)(now - *told),
		what, now - *told == 1 ? "" : "s", unit);
	*told = now;
}

void trace_warn_drops(struct dtproc *s)
{
	for (size_t i = 0; i < s->drain->n; i++) {
		struct rt_drops *told = &s->drain->heads[i].told, now;

		rt_client_drops(engine_client(s->engines, i), 0, &now);
		warn_drops(s, i, now.ring, &told->ring, "");
		warn_drops(s, i, now.agg, &told->agg, "aggregation ");
		warn_drops(s, i, now.busy, &told->busy, "re-entered probe ");
		warn_drops(s, i, now.self, &told->self, "dynamic variable ");
		warn_drops(s, i, now.corrupt, &told->corrupt, "corrupt buffer ");
	}
}
