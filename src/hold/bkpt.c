/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event breakpoints on the client's side.  Each struct dtproc_bkpt is one user of a site
 * of the keeper's, which merges those at one address; a hit is told once and handed to
 * each of them here.
 *
 * A callback may add and remove breakpoints, itself included, so nothing is unlinked
 * while a hit is handed out: the removed ones are swept behind it.
 */
#include "handle.h"

#include <base/clean.h>

#include <stdlib.h>

void bkpt_drop_all(struct dtproc_proc *p)
{
	while (!list_empty(&p->bkpts)) {
		struct list *l = p->bkpts.next;
		list_remove(l);
		list_append(&p->dropped, l);
	}
}

static void free_list(struct list *head)
{
	while (!list_empty(head)) {
		struct list *l = head->next;
		list_remove(l);
		free(list_entry(l, struct dtproc_bkpt, link));
	}
}

void bkpt_free_all(struct dtproc_proc *p)
{
	free_list(&p->bkpts);
	free_list(&p->dropped);
}

static void sweep(struct dtproc_proc *p)
{
	list_each(it, &p->bkpts) {
		struct dtproc_bkpt *b = list_entry(it, struct dtproc_bkpt, link);
		if (!b->removed)
			continue;
		list_remove(it);
		free(b);
	}
}

void bkpt_dispatch(struct dtproc_proc *p, dtproc_addr addr, pid_t tid)
{
	uint32_t end = p->next_user; /* those added meanwhile were not hit */

	list_each(it, &p->bkpts) {
		struct dtproc_bkpt *b = list_entry(it, struct dtproc_bkpt, link);
		if (b->addr != addr || b->removed || b->user >= (HOLD_USER_MAX | end))
			continue;
		__atomic_add_fetch(&b->hits, 1, __ATOMIC_RELAXED);
		p->in_callback = b;
		b->fn(p, b, tid, b->arg);
		p->in_callback = NULL;
	}
	sweep(p);
}

static int arm(struct dtproc_proc *p, const struct dtproc_bkpt *b)
{
	struct wire_site site = {
		.addr = b->addr, .user = b->user, .kind = WIRE_SITE_EVENT};
	long n = hold_arm(p, 0, &site, 1, 0);

	if (n < 0)
		return (int)n;
	if (site.result == DTPROC_ESITE)
		return err_set(DTPROC_ESITE, "pid %d: no breakpoint at %#llx: %s",
			(int)p->pid, (unsigned long long)b->addr,
			wire_refusal_text(site.reason));
	if (site.result)
		return err_set(site.result, "pid %d: no breakpoint at %#llx: %s",
			(int)p->pid, (unsigned long long)b->addr, err_name(site.result));
	return 0;
}

/* Event breakpoints need somebody who reacts. */
static int can_react(struct dtproc_proc *p)
{
	if (p->kind == HOLD_RDONLY)
		return err_set(DTPROC_ESTATE, "pid %d is held read-only", (int)p->pid);
	if (state_ended(p))
		return state_error(p);
	if (!p->control.started)
		return err_set(DTPROC_ESTATE,
			"pid %d is held without a control thread, which breakpoints need",
			(int)p->pid);
	return 0;
}

int dtproc_bkpt_add(struct dtproc_proc *p, dtproc_addr addr, dtproc_bkpt_fn *fn,
	void *arg, struct dtproc_bkpt **out)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	CLEAN_FREE struct dtproc_bkpt *b = NULL;
	int rc = can_react(p);

	if (rc)
		return rc;
	if (!fn)
		return err_set(DTPROC_EINVAL, "a breakpoint needs a function to call");
	b = calloc(1, sizeof *b);
	if (!b)
		return err_nomem("a breakpoint");
	*b = (struct dtproc_bkpt){
		.addr = addr, .fn = fn, .arg = arg, .user = HOLD_USER_MAX | p->next_user};
	rc = arm(p, b);
	if (rc)
		return rc;
	p->next_user++;
	list_append(&p->bkpts, &b->link);
	*out = TAKE_PTR(b);
	return 0;
}

/* Looks for the pointer itself: it may be one that is long gone. */
static struct dtproc_bkpt *find(struct list *head, const struct dtproc_bkpt *b)
{
	for (struct list *it = head->next; it != head; it = it->next)
		if (list_entry(it, struct dtproc_bkpt, link) == b)
			return list_entry(it, struct dtproc_bkpt, link);
	return NULL;
}

static void unlink_or_mark(struct dtproc_proc *p, struct dtproc_bkpt *b)
{
	b->removed = 1;
	if (!p->in_callback)
		sweep(p);
}

int dtproc_bkpt_remove(struct dtproc_proc *p, struct dtproc_bkpt *b)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct wire_site site;
	int rc;

	if (find(&p->dropped, b)) {
		list_remove(&b->link);
		free(b);
		return 0;
	}
	if (!find(&p->bkpts, b) || b->removed)
		return err_set(
			DTPROC_EINVAL, "pid %d has no such breakpoint", (int)p->pid);
	site = (struct wire_site){
		.addr = b->addr, .user = b->user, .kind = WIRE_SITE_EVENT};
	rc = hold_disarm(p, &site, 1);
	if (rc && !state_ended(p))
		return rc;
	unlink_or_mark(p, b);
	return 0;
}

dtproc_addr dtproc_bkpt_addr(const struct dtproc_bkpt *b)
{
	return b->addr;
}

uint64_t dtproc_bkpt_hits(const struct dtproc_bkpt *b)
{
	return __atomic_load_n(&b->hits, __ATOMIC_RELAXED);
}
