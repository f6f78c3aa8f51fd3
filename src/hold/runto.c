/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Letting a victim that idles run to a place, where it idles again (rule C4).
 *
 * preinit is seen at the function that the linker calls at each change of what is loaded:
 * the first such call that finds a list, and finds it consistent, comes when everything
 * is mapped and relocated, before any constructor.  A linker that never makes it is
 * stopped at the program's entry point.
 */
#include "handle.h"

#include <base/clean.h>
#include <base/linkmap.h>

#include <stdio.h>

struct goal {
	dtproc_addr at[2];
	size_t n;
	int (*enough)(struct dtproc_proc *); /* asked at at[0]; NULL: it is */
	int code;
	dtproc_addr reached;
};

static void stop_there(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	struct goal *g = arg;
	dtproc_addr at = dtproc_bkpt_addr(b);

	if (g->enough && at == g->at[0] && !g->enough(p))
		return;
	g->code = dtproc_proc_stop(p);
	g->reached = at;
}

/* Why it is not there although the waiting is over. */
static int not_there(struct dtproc_proc *p, int waited, int code)
{
	if (state_ended(p))
		return state_error(p);
	return waited ? waited : code;
}

static int remove_all(struct dtproc_proc *p, struct dtproc_bkpt *const *b, size_t n)
{
	int rc = 0;

	while (n--)
		rc = dtproc_bkpt_remove(p, b[n]) ?: rc;
	return rc;
}

static int run_to(struct dtproc_proc *p, struct goal *g, int timeout_ms)
{
	struct dtproc_bkpt *b[2];
	size_t n = 0;
	int rc = 0, waited, removed;

	if (lock_is_mine(&p->lock))
		return err_set(
			DTPROC_ELOCK, "pid %d is locked by this thread", (int)p->pid);
	g->code = DTPROC_ESTATE;
	for (; n < g->n && !rc; n += !rc)
		rc = dtproc_bkpt_add(p, g->at[n], stop_there, g, &b[n]);
	if (rc) {
		char text[ERR_TEXT_MAX];
		snprintf(text, sizeof text, "%s", err_text());
		(void)remove_all(p, b, n);
		return err_set(rc, "%s", text);
	}
	rc = dtproc_proc_continue(p);
	waited = rc ? rc : state_wait(p, 1u << DTPROC_IDLE, timeout_ms);
	/* Behind this nobody writes to `g`: the callback runs with the handle locked. */
	removed = remove_all(p, b, n);
	if (waited || g->code || state_ended(p))
		return not_there(p, waited, g->code);
	return removed;
}

int hold_run_to(struct dtproc_proc *p, dtproc_addr addr, int timeout_ms)
{
	struct goal g = {.at = {addr}, .n = 1};

	return run_to(p, &g, timeout_ms);
}

/* Has the linker published a list, and is it consistent? */
static int is_loaded(struct dtproc_proc *p)
{
	struct victim_linker l;
	struct link_debug d;
	const ssize_t least = offsetof(struct link_debug, base);

	return !victim_linker_find(p->pid, p->image.mem, &l) && l.debug &&
	       victim_mem_read(p->image.mem, l.debug, &d, sizeof d) >= least && d.map &&
	       d.state == LINK_CONSISTENT;
}

static int find_hook(struct dtproc_proc *p, struct goal *g)
{
	CLEAN(hold_leave) struct hold_guard guard = hold_enter(p);
	struct victim_auxv a;
	struct victim_linker l;
	int rc = victim_linker_find(p->pid, p->image.mem, &l)
			 ?: victim_auxv_read(p->pid, &a);

	if (rc)
		return rc;
	if (!l.brk)
		return err_set(DTPROC_ENOSYM,
			"pid %d: its run-time linker has no symbols, so preinit cannot be "
			"seen",
			(int)p->pid);
	/* A linker that was started by name is entered there itself. */
	*g = (struct goal){
		.at = {l.brk, a.entry}, .n = a.linker ? 2 : 1, .enough = is_loaded};
	return 0;
}

int hold_run_to_preinit(struct dtproc_proc *p, int timeout_ms)
{
	struct goal g;
	int rc = find_hook(p, &g) ?: run_to(p, &g, timeout_ms);

	if (rc == 0 && g.reached != g.at[0])
		return err_set(DTPROC_ESTATE,
			"pid %d: its run-time linker did not tell when all was loaded",
			(int)p->pid);
	return rc;
}
