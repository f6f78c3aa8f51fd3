/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is new in a victim gets its probes, while it waits: another program (exec),
 * objects.  This runs in the victim's control thread, with its handle locked.
 *
 * LOCK.  The session's lock guards its tables of probes and units while tracing goes on.
 * It comes behind a handle's: who has it calls nothing that takes the lock of another
 * handle, nor the client's functions.  Before dtproc_go() has armed, and behind
 * dtproc_stop(), one thread alone works on them; what changes before is caught up with.
 */
#include <base/clean.h>
#include <string.h>
#include "own.h"

void trace_unlock(struct dtproc **d)
{
	/* A forked child has the lock as it was at that moment, and is alone. */
	if (*d)
		pthread_mutex_unlock(&(*d)->lock);
}

struct dtproc *trace_lock(struct dtproc *d)
{
	if (hold_forked(d->hold))
		return NULL;
	pthread_mutex_lock(&d->lock);
	return d;
}

const struct probe *trace_probe(struct dtproc *d, uint32_t id)
{
	CLEAN(trace_unlock) struct dtproc *locked = trace_lock(d);

	return probe_by_id(d->probes, id);
}

struct fresh {
	struct dtproc *session;
	struct dtproc_proc *proc;
	uint32_t program;
	unsigned refused;
	const char *why;
};

static int want(const struct probe *p, void *arg)
{
	struct fresh *f = arg;

	if (!trace_args_fit(f->session, f->program, p))
		return 0;
	return engine_want(f->session->engines, p, f->program);
}

static int match_clause(struct fresh *f, const struct cg_clause *c)
{
	for (unsigned i = 0; i < c->n_descs; i++) {
		const struct cg_desc *desc = &c->descs[i];
		struct probe_desc d = {desc->part[RT_PART_PROVIDER],
			desc->part[RT_PART_MODULE], desc->part[RT_PART_FUNCTION],
			desc->part[RT_PART_NAME]};
		long n = desc->id ? 0
				  : probe_each_new(
					    f->session->probes, f->proc, &d, want, f);

		if (n < 0)
			return (int)n;
	}
	return 0;
}

static int match_all(struct fresh *f)
{
	struct dtproc *d = f->session;
	int err = 0;

	for (f->program = 0; f->program < d->clauses.n && !err; f->program++)
		err = match_clause(f, d->clauses.at[f->program]);
	return err;
}

static void note_refusal(const struct probe *p, const char *why, void *arg)
{
	struct fresh *f = arg;

	f->refused++;
	f->why = why;
}

static int refresh(struct fresh *f, enum hold_change what)
{
	struct dtproc *d = f->session;
	long n = probe_refresh(d->probes, f->proc, what);

	if (what == HOLD_EXEC)
		engine_forget(d->engines, f->proc);
	if (!n)
		n = match_all(f);
	if (!n)
		n = engine_refresh(d->engines, f->proc, note_refusal, f);
	if (n >= 0)
		n = trace_drain_grow(d);
	return n < 0 ? (int)n : 0;
}

/* Errors are told and hurt nobody (E3). */
static void tell(const struct fresh *f, int err)
{
	char text[ERR_TEXT_MAX], why[ERR_TEXT_MAX];
	int pid = (int)dtproc_proc_pid(f->proc);

	snprintf(why, sizeof why, "%s", err_text());
	if (err)
		snprintf(text, sizeof text, "pid %d: no probes in what is new: %.300s",
			pid, why);
	else
		snprintf(text, sizeof text, "pid %d: %u probe%s could not be armed (%s)",
			pid, f->refused, f->refused == 1 ? "" : "s", f->why);
	hold_notice_error(f->proc, text);
}

static int is_end(int err)
{
	return err == DTPROC_EEXITED || err == DTPROC_EKILLED || err == DTPROC_ELOST ||
	       err == DTPROC_ENOPROC || err == DTPROC_EIMAGE;
}

void trace_refresh(struct dtproc *d, struct dtproc_proc *p, enum hold_change what)
{
	CLEAN(trace_unlock) struct dtproc *locked = trace_lock(d);
	struct fresh f = {.session = d, .proc = p};
	int err;

	if (d->phase < TRACE_GOING)
		d->missed |= 1u << what;
	if (d->phase != TRACE_GOING)
		return;
	err = refresh(&f, what);
	if (!err && cg_names_addresses(d->cg))
		err = trace_names_update(d, p);
	if (is_end(err)) /* its end is told, or its next image armed */
		return;
	if (err || f.refused)
		tell(&f, err);
}

void trace_matched(struct dtproc *d)
{
	CLEAN(trace_unlock) struct dtproc *locked = trace_lock(d);

	d->phase = TRACE_MATCHED;
}

static int catch_up_one(struct dtproc_proc *p, void *arg)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct dtproc *d = arg;

	if (probe_is_stale(d->probes, p))
		trace_refresh(d, p, HOLD_EXEC);
	else if (d->missed & 1u << HOLD_OBJECTS)
		trace_refresh(d, p, HOLD_OBJECTS);
	return 0;
}

int trace_catch_up(struct dtproc *d)
{
	unsigned missed;
	{
		CLEAN(trace_unlock) struct dtproc *locked = trace_lock(d);
		d->phase = TRACE_GOING;
		missed = d->missed;
	}
	return missed ? hold_each(d->hold, catch_up_one, d) : 0;
}

void trace_end(struct dtproc *d)
{
	CLEAN(trace_unlock) struct dtproc *locked = trace_lock(d);

	if (d->phase == TRACE_GOING)
		d->phase = TRACE_STOPPED;
}

/* The last reference goes without the lock: that ends a control thread. */
void trace_forget(struct dtproc *d, struct dtproc_proc *p)
{
	if (d->phase >= TRACE_GOING) {
		CLEAN(trace_unlock) struct dtproc *locked = trace_lock(d);
		engine_drop(d->engines, p);
		probe_forget(d->probes, p);
	}
	hold_unfollow(p);
}
