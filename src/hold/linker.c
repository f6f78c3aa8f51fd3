/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A handle follows its victim's run-time linker (section E): the keeper tells where
 * something came or went, the list of code that is mapped is brought up to date there and
 * nowhere else, and the layer above reacts while the thread that loads it waits.
 *
 * Whether what the linker says is true does not matter here: the kernel is asked what is
 * mapped.
 */
#include "handle.h"

#include <base/clean.h>
#include <base/log.h>
#include <base/rule.h>

#include <stdio.h>

static int follow(struct dtproc_proc *p, const struct victim_linker *l)
{
	struct wire_request req = {.op = WIRE_LINKER, .addr = l->brk, .arg = l->debug};
	struct wire_reply reply;
	int rc = request_call(p, &req, NULL, 0, &reply);

	if (rc == 0)
		rc = image_maps_read(p);
	if (rc)
		return rc;
	p->image.linker = *l;
	return 1;
}

static void react(struct dtproc_proc *p, const struct wire_range *range, size_t n)
{
	const struct hold_hooks *h = &p->session->hooks;

	p->changes = (struct changes){range, n};
	if (h->changed)
		h->changed(p, HOLD_OBJECTS, h->arg);
	p->changes = (struct changes){0};
}

/* ------------------------------------------------------------ found late, if at all */

static void tell(struct dtproc_proc *p, const char *what)
{
	char text[160];

	snprintf(text, sizeof text, "pid %d: %s", (int)p->pid, what);
	hold_notice_error(p, text);
}

static void at_entry(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	struct victim_linker l;

	if (victim_linker_find(p->pid, p->image.mem, &l) || !l.brk || follow(p, &l) < 0)
		tell(p, "its run-time linker is not found: libraries that are loaded "
			"from now on get no probes");
	else
		tell(p, "its run-time linker has no symbols: what its libraries did "
			"before the entry point is not traced");
	react(p, NULL, 0);
	if (dtproc_bkpt_remove(p, b))
		log_line("hold", 1, "pid %d: %s", (int)p->pid, err_text());
}

static int look_at_entry(struct dtproc_proc *p)
{
	struct dtproc_bkpt *b;
	struct victim_auxv a;
	int rc = victim_auxv_read(p->pid, &a);

	return rc ? rc : dtproc_bkpt_add(p, a.entry, at_entry, NULL, &b);
}

/* ----------------------------------------------------------------------- following */

int hold_follow_linker(struct dtproc_proc *p)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct victim_linker l;
	int rc;

	p->wants_linker = 1;
	if (p->image.linker.brk)
		return 1;
	rc = victim_linker_find(p->pid, p->image.mem, &l);
	if (rc == DTPROC_ENOSYM)
		return 0;
	if (rc == 0 && !l.brk)
		return look_at_entry(p);
	return rc ? rc : follow(p, &l);
}

void linker_exec(struct dtproc_proc *p)
{
	int rc = p->wants_linker && RULE(F1, linker) ? hold_follow_linker(p) : 0;

	if (rc < 0 && rc != DTPROC_EIMAGE && !state_ended(p))
		hold_notice_error(p, err_text());
}

/* --------------------------------------------------------------------- what changes */

/* What is told is of the victim's making, but for the numbers; 1: look at everything. */
static int update(struct dtproc_proc *p, const struct wire_event *e)
{
	if (p->image.live_maps < 0)
		p->image.live_maps = victim_maps_open(p->pid);
	for (int i = 0; i < e->code; i++) {
		/* What left, and is there again, is looked up once. */
		if (i + 1 < e->code && e->range[i].from == e->range[i + 1].from &&
			e->range[i].to == e->range[i + 1].to)
			continue;
		if (victim_maps_update(p->pid, p->image.live_maps, &p->image.maps,
			    e->range[i].from, e->range[i].to))
			return 1;
	}
	return e->code < 0;
}

/* Its r_debug may be known only now. */
static int look_at_all(struct dtproc_proc *p)
{
	struct victim_linker l = p->image.linker;
	int rc = l.debug ? 0 : victim_linker_find(p->pid, p->image.mem, &l);

	if (rc == 0 && l.debug != p->image.linker.debug)
		return follow(p, &l);
	return rc ? rc : image_maps_read(p);
}

void linker_react(struct dtproc_proc *p, const struct wire_event *e)
{
	int all;

	if (!p->image.linker.brk || e->generation != p->status.generation)
		return;
	all = update(p, e);
	if (all && look_at_all(p) < 0)
		log_line("hold", 1, "pid %d: %s", (int)p->pid, err_text());
	react(p, e->range, all ? 0 : (size_t)e->code);
}

int hold_code(struct dtproc_proc *p, const struct victim_maps **out)
{
	int rc = p->image.linker.brk ? 0 : image_maps_read(p);

	if (rc == 0)
		*out = &p->image.maps;
	return rc;
}

uint32_t hold_epoch(const struct dtproc_proc *p)
{
	return p->epoch;
}

size_t hold_changes(struct dtproc_proc *p, const struct wire_range **out)
{
	*out = p->changes.range;
	return p->changes.n;
}
