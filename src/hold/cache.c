/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cache of read-only handles (rules A4, A5): a list of all that are not stale, the
 * last used one first.  One without references idles there until it is the least
 * recently used and room is needed; one with references is never evicted, so there may
 * be more than the limit until they are released.
 */
#include "handle.h"

#include <base/rule.h>
void cache_enter(struct dtproc_proc *p)
{
	list_add(&p->session->recent, &p->recent);
	p->session->cached++;
}

void cache_leave(struct dtproc_proc *p)
{
	if (list_empty(&p->recent))
		return;
	list_remove(&p->recent);
	p->session->cached--;
}

void cache_use(struct dtproc_proc *p)
{
	if (list_empty(&p->recent) || !RULE(A5, recent))
		return;
	list_remove(&p->recent);
	list_add(&p->session->recent, &p->recent);
}

static struct dtproc_proc *oldest_unused(struct hold_session *s)
{
	for (struct list *it = s->recent.prev; it != &s->recent; it = it->prev) {
		struct dtproc_proc *p = list_entry(it, struct dtproc_proc, recent);
		if ((p->refs == 0 || !RULE(A5, unused)) && p->phase == HOLD_READY)
			return p;
	}
	return NULL;
}

void cache_evict(struct hold_session *s, unsigned room, struct list *doomed)
{
	struct dtproc_proc *p;

	while (RULE(A5, limit) && s->cached + room > s->options.cache_limit &&
		(p = oldest_unused(s))) {
		table_unlink(p);
		p->phase = HOLD_CLOSING;
		list_append(doomed, &p->recent);
	}
}
