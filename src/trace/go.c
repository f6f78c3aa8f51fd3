/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From compiled scripts to a running trace.  The order is DTrace's: everything is
 * matched, everything is armed, BEGIN fires, and only then the victims run.
 */
#include <base/clean.h>
#include <string.h>
#include <sys/timerfd.h>
#include "own.h"

#define LEAST 4096 /* bytes of an area: a page */

static uint32_t bytes_of(const struct trace_options *o, enum trace_option which)
{
	uint64_t n = o->at[which].number;

	return n < LEAST ? LEAST : (uint32_t)n;
}

static struct rt_params params_of(const struct trace_options *o)
{
	return (struct rt_params){.ring_bytes = bytes_of(o, TRACE_BUFSIZE),
		.agg_bytes = bytes_of(o, TRACE_AGGSIZE)};
}

/* How many speculations there may be at once; 0: no clause makes one. */
static uint32_t specs_of(const struct dtproc *d)
{
	uint64_t n = d->options.at[TRACE_NSPEC].number;

	for (size_t i = 0; i < d->clauses.n; i++)
		if (d->clauses.at[i]->speculates)
			return n < RT_SPECS_MAX ? (uint32_t)n : RT_SPECS_MAX;
	return 0;
}

static int open_engines(struct dtproc *d)
{
	struct engine_config c = {.engine = d->options.at[TRACE_ENGINE].text,
		.params = params_of(&d->options),
		.specs = specs_of(d),
		.dyn_bytes = bytes_of(&d->options, TRACE_DYNVARSIZE),
		.programs = d->programs.at,
		.n_programs = d->programs.n,
		.follows = trace_option_on(&d->options, TRACE_FOLLOW),
		.interpret = trace_option_on(&d->options, TRACE_INTERPRET)};
	int err = engine_open(&c, &d->engines);

	for (size_t i = 0; i < d->pairs.n && !err; i++)
		err = engine_want(
			d->engines, d->pairs.at[i].probe, d->pairs.at[i].program);
	return err;
}

/* Refused sites, counted by reason; the reasons are static strings. */
struct refusals {
	struct dtproc *session;
	const struct probe *last;
	unsigned n, kinds;
	struct {
		const char *why;
		unsigned n;
	} kind[16];
};

static void note_refusal(const struct probe *p, const char *why, void *arg)
{
	struct refusals *r = arg;
	unsigned k = 0;

	if (p == r->last)
		return; /* another program at the same probe */
	r->last = p;
	r->n++;
	while (k < r->kinds && strcmp(r->kind[k].why, why))
		k++;
	if (k == r->kinds && k < 16)
		r->kind[r->kinds++].why = why;
	if (k < 16)
		r->kind[k].n++;
	if (trace_option_on(&r->session->options, TRACE_VERBOSE))
		trace_warn(r->session, "probe %s:%s:%s:%s could not be armed: %s",
			p->provider, p->module, p->function, p->name, why);
}

static void summary_of(const struct refusals *r, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = 0;
	for (unsigned k = 0; k < r->kinds && at < size; k++)
		at += (size_t)snprintf(buf + at, size - at, "%s%u: %s", k ? "; " : "",
			r->kind[k].n, r->kind[k].why);
}

static int arm(struct dtproc *d)
{
	struct refusals r = {.session = d};
	char summary[300];
	long armed = engine_arm(d->engines, note_refusal, &r);

	if (armed < 0)
		return (int)armed;
	if (!r.n)
		return 0;
	summary_of(&r, summary, sizeof summary);
	if (!armed)
		return err_set(DTPROC_ESITE, "no probe could be armed: %s", summary);
	trace_warn(d, "%u probe%s could not be armed (%s)", r.n, r.n == 1 ? "" : "s",
		summary);
	return 0;
}

static int has_timer(const struct dtproc *d, const struct probe *p)
{
	for (size_t i = 0; i < d->timers.n; i++)
		if (d->timers.at[i].probe == p)
			return 1;
	return 0;
}

static int start_timers(struct dtproc *d)
{
	uint64_t now = trace_now();

	for (size_t i = 0; i < d->pairs.n; i++) {
		const struct probe *p = d->pairs.at[i].probe;
		struct trace_timer t = {p, now + p->interval_ns};

		if (p->kind != PROBE_TICK || has_timer(d, p))
			continue;
		if (vec_push(&d->timers, t))
			return err_nomem("timers");
	}
	return 0;
}

void trace_fire(struct dtproc *d, const struct probe *p, enum engine_when when,
	const uint64_t args[10])
{
	CLEAN(trace_unlock) struct dtproc *locked = trace_lock(d);

	engine_fire(d->engines, p, when, args);
}

int trace_fire_kind(struct dtproc *d, enum probe_kind kind, enum engine_when when)
{
	for (size_t i = 0; i < d->pairs.n; i++) {
		if (d->pairs.at[i].probe->kind != kind)
			continue;
		trace_fire(d, d->pairs.at[i].probe, when, NULL);
		return 1;
	}
	return 0;
}

/* Has a clause called exit()? */
int trace_exit_called(struct dtproc *d)
{
	CLEAN(trace_unlock) struct dtproc *locked = trace_lock(d);

	for (size_t i = 0; i < engine_units(d->engines); i++)
		if (rt_client_stopped(engine_client(d->engines, i)))
			return 1;
	return 0;
}

void trace_each_client(struct dtproc *d, void (*fn)(struct rt_client *))
{
	CLEAN(trace_unlock) struct dtproc *locked = trace_lock(d);

	for (size_t i = 0; i < engine_units(d->engines); i++)
		fn(engine_client(d->engines, i));
}

/* One that came to its end is told by its notice. */
static int is_end(int err)
{
	return err == DTPROC_EEXITED || err == DTPROC_EKILLED || err == DTPROC_ELOST;
}

static int let_run(struct dtproc_proc *p, void *arg)
{
	int err = dtproc_proc_continue(p);

	return is_end(err) ? 0 : err;
}

static int arm_all(struct dtproc *d)
{
	int err = open_engines(d);

	if (!err)
		err = arm(d);
	if (!err)
		err = trace_drain_open(d);
	if (!err)
		err = start_timers(d);
	return err;
}

/* As if it had never been tried. */
static void take_back(struct dtproc *d)
{
	if (d->engines)
		engine_disarm(d->engines);
	trace_drain_close(d);
	engine_close(d->engines);
	d->engines = NULL;
	d->timers.n = 0;
}

/* What can change a victim needs its user's word for it. */
static int check_destructive(struct dtproc *d)
{
	if (trace_option_on(&d->options, TRACE_DESTRUCTIVE))
		return 0;
	for (size_t i = 0; i < d->scripts.n; i++)
		for (unsigned k = 0; k < d->scripts.at[i].code->n_clauses; k++)
			if (d->scripts.at[i].code->clauses[k].is_destructive)
				return err_set(DTPROC_EPERM,
					"failed to enable %s: Destructive actions not allowed "
					"(-w permits them)",
					strchr(d->scripts.at[i].what, '\''));
	return 0;
}

static int wants_victims(const struct dtproc *d)
{
	for (size_t i = 0; i < d->clauses.n; i++)
		for (unsigned k = 0; k < d->clauses.at[i]->n_descs; k++)
			if (!d->clauses.at[i]->descs[k].id)
				return 1;
	return 0;
}

/* What it loads from now on gets its probes.  Errors are told and hurt nobody (E3). */
static int follow_linker(struct dtproc_proc *p, void *arg)
{
	struct dtproc *d = arg;
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct dtproc_proc_status st;
	int err = hold_follow_linker(p);

	dtproc_proc_status(p, &st);
	if (st.run >= DTPROC_EXITED)
		return 0;
	if (cg_names_addresses(d->cg) && trace_names_update(d, p))
		hold_notice_error(p, err_text());
	if (err < 0 && err != DTPROC_ESTATE)
		hold_notice_error(p, err_text());
	if (st.run != DTPROC_IDLE) /* it ran since it was looked at */
		trace_refresh(d, p, HOLD_OBJECTS);
	return 0;
}

/* Its children are followed from now on, and have somewhere to write to. */
static int follow_children(struct dtproc_proc *p, void *arg)
{
	struct dtproc *d = arg;
	int err;
	{
		CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
		CLEAN(trace_unlock) struct dtproc *locked = trace_lock(d);
		err = engine_ready(d->engines, p) ?: trace_drain_grow(d);
	}
	if (!err)
		err = hold_follow(p);
	return is_end(err) ? 0 : err;
}

int trace_go(struct dtproc *d)
{
	int err = check_destructive(d);

	if (!err)
		err = arm_all(d);
	if (err) {
		take_back(d);
		return err;
	}
	err = trace_catch_up(d);
	if (!err && wants_victims(d))
		err = hold_each(d->hold, follow_linker, d);
	if (!err && wants_victims(d) && trace_option_on(&d->options, TRACE_FOLLOW))
		err = hold_each(d->hold, follow_children, d);
	d->drained_ns = trace_now();
	trace_fire_kind(d, PROBE_BEGIN, ENGINE_WHILE_TRACING);
	/* After an exit() in BEGIN a created victim never runs. */
	if (!err && !trace_exit_called(d))
		err = hold_each(d->hold, let_run, d);
	return err;
}
