/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Followed children (rule F3): each is a handle with a control thread, like one that was
 * grabbed, but that its keeper is its parent's and had it from birth on.  One reference
 * is the library's own; it is given back when the child has ended and that was told, or
 * when the layer above is done with following.
 *
 * The parent's control thread makes the handle, and goes on; the child's own does what
 * takes time, has it armed, and lets it run.
 */
#include "handle.h"

#include <base/clean.h>
#include <base/log.h>
#include <base/rule.h>
#include <base/step.h>

#include <stdio.h>

int hold_follow(struct dtproc_proc *p)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct wire_request req = {.op = WIRE_FOLLOW};
	struct wire_reply reply;

	if (!p->control.started)
		return err_set(DTPROC_ESTATE,
			"pid %d is held without a control thread, which following needs",
			(int)p->pid);
	return request_call(p, &req, NULL, 0, &reply);
}

pid_t hold_parent(const struct dtproc_proc *p)
{
	return p->from.parent;
}

const struct dtproc_proc *hold_root(const struct dtproc_proc *p)
{
	return p->from.root ? p->from.root : p;
}

/* --------------------------------------------------------------------- a birth */

static struct dtproc_proc *make_handle(
	struct dtproc_proc *parent, const struct wire_event *e, int fds[WIRE_CHILD_FDS])
{
	struct dtproc_proc *p = handle_new(parent->session, e->tid, HOLD_CONTROL);
	int rc = p ? victim_ctl_adopt(&p->ctl, &parent->ctl, fds) : DTPROC_ENOMEM;

	if (!p)
		return NULL;
	p->from.parent = parent->pid;
	p->from.root = hold_root(parent);
	p->mode = DTPROC_RELEASE_DEFAULT;
	if (rc) {
		handle_free(p);
		return NULL;
	}
	p->hung_up = 0;
	p->image.mem = fds[WIRE_CHILD_MEM];
	p->pidfd = fds[WIRE_CHILD_PIDFD];
	fds[WIRE_CHILD_MEM] = fds[WIRE_CHILD_PIDFD] = -1;
	p->status.generation = e->generation;
	p->wants_linker = parent->wants_linker;
	p->control.newborn = 1;
	p->ours = 1;
	state_from_wire(p, (uint32_t)e->code);
	return p;
}

static int start_control(struct dtproc_proc *p)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);

	return control_start(p);
}

static void tell(struct dtproc_proc *parent, const struct wire_event *e)
{
	char text[ERR_TEXT_MAX];

	snprintf(text, sizeof text, "pid %d: child %d is not followed: %.300s",
		(int)parent->pid, (int)e->tid, err_text());
	hold_notice_error(parent, text);
}

void follow_child(
	struct dtproc_proc *parent, const struct wire_event *e, int fds[WIRE_CHILD_FDS])
{
	struct list doomed = LIST_INIT(doomed);
	struct dtproc_proc *p = make_handle(parent, e, fds);

	STEP(CHILD_KNOWN);
	if (!p) {
		tell(parent, e);
		return;
	}
	table_enter(p, &doomed);
	handle_destroy_all(&doomed);
	if (start_control(p)) {
		tell(parent, e);
		hold_unfollow(p);
	}
}

void follow_begin(struct dtproc_proc *p)
{
	const struct hold_hooks *h = &p->session->hooks;

	p->control.newborn = 0;
	if (h->changed && RULE(F3, arm))
		h->changed(p, HOLD_CHILD, h->arg);
	linker_exec(p);
	STEP(CHILD_ARMED);
	if (dtproc_proc_continue(p) && !state_ended(p))
		hold_notice_error(p, err_text());
}

/* ------------------------------------------------------------------ the end of it */

void hold_unfollow(struct dtproc_proc *p)
{
	if (table_take_ours(p))
		handle_unref(p);
}

static int unfollow(struct dtproc_proc *p, void *arg)
{
	hold_unfollow(p);
	return 0;
}

void hold_unfollow_all(struct hold_session *s)
{
	if (hold_each(s, unfollow, NULL))
		log_line("hold", 1, "followed children stay: %s", err_text());
}
