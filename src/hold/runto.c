/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Letting a victim that idles run to a place, where it idles again (rule C4).
 *
 * A stop point is reached by stations, each a breakpoint whose callback either stops the
 * victim for good or sets the next one.  From an image's first instruction they are
 *
 *	the linker's function r_brk, which is called at each change of what is loaded: the
 *	first call that finds a list, and finds it consistent, is preinit;
 *	the program's entry point: postinit, where the linker has run constructors
 *(glibc); main().
 *
 * Where one does not exist the next is taken, and without main() the entry point, so that
 * no program runs to its end because a point was missing.  An exec takes all stations
 * away; then the new image is begun with anew.
 */
#include "handle.h"

#include <base/clean.h>
#include <base/linkmap.h>
#include <base/log.h>
#include <base/rule.h>

#include <stdio.h>

#define STATIONS_MAX 4

struct goal {
	dtproc_addr place;     /* where to; 0: a stop point: */
	enum hold_point point; /* the one that was asked for */
	dtproc_addr entry;     /* of the program; 0: not known yet */
	int code;              /* 0: it is there */
	struct hold_reached at;
	struct dtproc_bkpt *stations[STATIONS_MAX];
	size_t n;
};

/* ------------------------------------------------------------------- stations */

static int set_station(struct dtproc_proc *p, dtproc_addr at, dtproc_bkpt_fn *fn)
{
	struct goal *g = p->goal;
	int rc;

	if (g->n == STATIONS_MAX)
		return err_set(DTPROC_ELIMIT, "pid %d: too many stations", (int)p->pid);
	rc = dtproc_bkpt_add(p, at, fn, g, &g->stations[g->n]);
	if (rc == 0)
		g->n++;
	return rc;
}

static int remove_all(struct dtproc_proc *p, struct goal *g)
{
	int rc = 0;

	while (g->n)
		rc = dtproc_bkpt_remove(p, g->stations[--g->n]) ?: rc;
	return rc;
}

/* It is there: stops it, if it runs. */
static void arrive(struct dtproc_proc *p, enum hold_point point, const char *why)
{
	struct goal *g = p->goal;

	g->at.point = point;
	snprintf(g->at.why, sizeof g->at.why, "%s", why);
	g->code = dtproc_proc_stop(p);
}

/* ----------------------------------------------------------------- stop points */

static void at_main(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	arrive(p, HOLD_AT_MAIN, "");
}

/* The victim is at its program's entry point. */
static void pass_entry(struct dtproc_proc *p, const char *why)
{
	const struct goal *g = p->goal;
	dtproc_addr main_at;

	if (g->point < HOLD_AT_MAIN && (*why || !victim_linker_is_late(p->pid))) {
		arrive(p, HOLD_AT_POSTINIT, why);
		return;
	}
	main_at = RULE(C4, main) ? entry_main(p, g->entry) : 0;
	if (!main_at)
		arrive(p, HOLD_AT_POSTINIT, "no main() is found in its program");
	else if (set_station(p, main_at, at_main))
		arrive(p, HOLD_AT_POSTINIT, err_text());
}

static void at_entry(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	const struct goal *g = arg;

	pass_entry(p, g->point == HOLD_AT_PREINIT
			      ? "its run-time linker did not tell when all was loaded"
			      : "");
}

/* Has the linker published a list, and is it consistent? */
static int is_loaded(struct dtproc_proc *p, dtproc_addr *debug)
{
	struct victim_linker l;
	struct link_debug d;
	const ssize_t least = offsetof(struct link_debug, base);

	if (victim_linker_find(p->pid, p->image.mem, &l) || !l.debug ||
		victim_mem_read(p->image.mem, l.debug, &d, sizeof d) < least || !d.map ||
		d.state != LINK_CONSISTENT)
		return 0;
	*debug = l.debug;
	return 1;
}

static void at_change(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	struct goal *g = arg;
	dtproc_addr debug;

	if (!is_loaded(p, &debug) && RULE(C4, loaded))
		return;
	if (g->point == HOLD_AT_PREINIT) {
		arrive(p, HOLD_AT_PREINIT, "");
		return;
	}
	if (g->entry)
		return;
	/* A linker that was started by name: its program is known now. */
	if (entry_behind_linker(p, debug, &g->entry) ||
		set_station(p, g->entry, at_entry))
		arrive(p, HOLD_AT_PREINIT, err_text());
}

/* The victim stands at the first instruction of an image. */
static int begin(struct dtproc_proc *p)
{
	struct goal *g = p->goal;
	struct victim_auxv a;
	struct victim_linker l;
	int rc = victim_auxv_read(p->pid, &a)
			 ?: victim_linker_find(p->pid, p->image.mem, &l);

	g->entry = rc == DTPROC_ENOSYM || a.linker ? a.entry : 0;
	if (rc == DTPROC_ENOSYM) {
		pass_entry(p, g->point == HOLD_AT_PREINIT ? "its program is static" : "");
		return 0;
	}
	if (rc == 0 && l.brk)
		rc = set_station(p, l.brk, at_change);
	if (rc == 0 && g->entry)
		rc = set_station(p, g->entry, at_entry);
	if (rc == 0 && !g->n)
		arrive(p, HOLD_AT_EXEC,
			"its run-time linker was started by name, and has no symbols");
	return rc;
}

void runto_exec(struct dtproc_proc *p)
{
	struct goal *g = p->goal;

	if (!g || g->place || g->code == 0 || !RULE(C4, carry))
		return;
	if (remove_all(p, g) || begin(p))
		arrive(p, HOLD_AT_EXEC, err_text());
}

/* ---------------------------------------------------------------- going there */

static void at_place(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	arrive(p, HOLD_AT_EXEC, "");
}

/* Why it is not there although the waiting is over. */
static int not_there(struct dtproc_proc *p, int waited, int code)
{
	if (state_ended(p))
		return state_error(p);
	return waited ? waited : code;
}

static int set_out(struct dtproc_proc *p, struct goal *g)
{
	CLEAN(hold_leave) struct hold_guard guard = hold_enter(p);
	int rc;

	p->goal = g;
	rc = g->place ? set_station(p, g->place, at_place) : begin(p);
	/* Where it stands may be the place already. */
	return rc || g->code == 0 ? rc : dtproc_proc_continue(p);
}

/* Behind this nobody writes to the goal: callbacks run with the handle locked. */
static int give_up(struct dtproc_proc *p, struct goal *g)
{
	CLEAN(hold_leave) struct hold_guard guard = hold_enter(p);

	p->goal = NULL;
	return remove_all(p, g);
}

static int run_to(struct dtproc_proc *p, struct goal *g, int timeout_ms)
{
	char text[ERR_TEXT_MAX];
	int rc, removed;

	if (lock_is_mine(&p->lock))
		return err_set(
			DTPROC_ELOCK, "pid %d is locked by this thread", (int)p->pid);
	g->code = DTPROC_ESTATE;
	rc = set_out(p, g) ?: state_wait(p, 1u << DTPROC_IDLE, timeout_ms);
	snprintf(text, sizeof text, "%s", err_text());
	removed = give_up(p, g);
	if (rc && !state_ended(p))
		return err_set(rc, "%s", text);
	if (rc || g->code || state_ended(p))
		return not_there(p, rc, g->code);
	return removed;
}

int hold_run_to(struct dtproc_proc *p, dtproc_addr addr, int timeout_ms)
{
	struct goal g = {.place = addr};

	return run_to(p, &g, timeout_ms);
}

int hold_run_to_point(struct dtproc_proc *p, enum hold_point point, int timeout_ms,
	struct hold_reached *out)
{
	struct goal g = {.point = point};
	int rc = point == HOLD_AT_EXEC ? 0 : run_to(p, &g, timeout_ms);

	if (rc == 0)
		*out = g.at;
	return rc;
}
