/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notices: one queue of the session, and an eventfd that is readable while it holds
 * something (rules H1 to H3).
 *
 * The handler runs with no lock held, so the handle that it is told about is *pinned*:
 * it may be released, even to its end, but its memory stays until the handler returns.
 * Taking a notice off the queue and pinning its handle is one step under the lock, and
 * so is the purge at a handle's end: no notice of a freed handle can come out.
 */
#include "handle.h"

#include <base/clean.h>
#include <base/log.h>
#include <base/rule.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

void notice_init_lock(struct hold_session *s)
{
	pthread_mutex_init(&s->notice_lock, NULL);
}

int notice_init(struct hold_session *s)
{
	s->wake = victim_lift(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (s->wake < 0)
		return err_errno(DTPROC_ESYS, errno, "cannot make an eventfd");
	list_init(&s->notices);
	notice_init_lock(s);
	return 0;
}

void notice_fini(struct hold_session *s)
{
	pthread_mutex_destroy(&s->notice_lock);
	close(s->wake);
}

void hold_wake(struct hold_session *s)
{
	uint64_t one = 1;

	/* EAGAIN: it is readable as it is. */
	while (write(s->wake, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void queue(struct hold_notice *n)
{
	struct hold_session *s = n->proc->session;

	pthread_mutex_lock(&s->notice_lock);
	(RULE(H1, order) ? list_append : list_add)(&s->notices, &n->link);
	pthread_mutex_unlock(&s->notice_lock);
	if (RULE(H2, wake))
		hold_wake(s);
}

static void fill(struct hold_notice *n, struct dtproc_proc *p,
	enum dtproc_notice_kind kind, int code, const char *text)
{
	list_init(&n->link);
	n->proc = p;
	n->kind = kind;
	n->code = code;
	snprintf(n->text, sizeof n->text, "%s", text);
}

void notice_end(
	struct dtproc_proc *p, enum dtproc_notice_kind kind, int code, const char *text)
{
	fill(&p->end_notice, p, kind, code, text);
	p->end_notice.embedded = 1;
	queue(&p->end_notice);
}

void hold_notice_error(struct dtproc_proc *p, const char *text)
{
	struct hold_notice *n = calloc(1, sizeof *n);

	if (!n) {
		log_line("hold", 1, "no memory for a notice: %s", text);
		return;
	}
	fill(n, p, DTPROC_NOTICE_ERROR, 0, text);
	queue(n);
}

int notice_purge(struct dtproc_proc *p)
{
	struct hold_session *s = p->session;

	if (!RULE(H3, purge)) /* the handle stays, lest what is told were freed memory */
		return 0;
	pthread_mutex_lock(&s->notice_lock);
	list_each(it, &s->notices) {
		struct hold_notice *n = list_entry(it, struct hold_notice, link);
		if (n->proc != p)
			continue;
		list_remove(&n->link);
		if (!n->embedded)
			free(n);
	}
	int free_now = p->pins == 0 || !RULE(H3, pin);
	p->defunct = 1;
	pthread_mutex_unlock(&s->notice_lock);
	return free_now;
}

/* ---------------------------------------------------------------- delivering */

static struct hold_notice *next(struct hold_session *s)
{
	struct hold_notice *n = NULL;

	pthread_mutex_lock(&s->notice_lock);
	if (!list_empty(&s->notices)) {
		n = list_entry(s->notices.next, struct hold_notice, link);
		list_remove(&n->link);
		n->proc->pins++;
	}
	pthread_mutex_unlock(&s->notice_lock);
	return n;
}

static void unpin(struct dtproc_proc *p)
{
	struct hold_session *s = p->session;

	pthread_mutex_lock(&s->notice_lock);
	int free_now = --p->pins == 0 && p->defunct;
	pthread_mutex_unlock(&s->notice_lock);
	if (free_now)
		handle_free(p);
}

static void tell(struct hold_session *s, struct hold_notice *n)
{
	struct dtproc_proc *p = n->proc;
	struct dtproc_notice out = {.kind = n->kind,
		.proc = p,
		.pid = p->pid,
		.code = n->code,
		.text = n->text};

	pthread_mutex_lock(&s->notice_lock);
	dtproc_notice_fn *fn = s->notice_fn;
	void *arg = s->notice_arg;
	pthread_mutex_unlock(&s->notice_lock);
	if (fn)
		fn(&out, arg);
	if (!n->embedded)
		free(n);
	unpin(p);
}

/* One thread at a time delivers: order is kept, and a handler may sleep again. */
static int begin(struct hold_session *s)
{
	pthread_mutex_lock(&s->notice_lock);
	int busy = s->delivering;
	s->delivering = 1;
	pthread_mutex_unlock(&s->notice_lock);
	return !busy;
}

static void end(struct hold_session *s)
{
	pthread_mutex_lock(&s->notice_lock);
	s->delivering = 0;
	int more = !list_empty(&s->notices);
	pthread_mutex_unlock(&s->notice_lock);
	if (more)
		hold_wake(s);
}

int hold_deliver(struct hold_session *s)
{
	struct hold_notice *n;
	uint64_t count;
	int told = 0;

	if (!begin(s))
		return 0;
	while (read(s->wake, &count, sizeof count) < 0 && errno == EINTR)
		;
	for (; (n = next(s)); told++)
		tell(s, n);
	end(s);
	return told;
}

int hold_fd(const struct hold_session *s)
{
	return s->wake;
}

void hold_on_notice(struct hold_session *s, dtproc_notice_fn *fn, void *arg)
{
	pthread_mutex_lock(&s->notice_lock);
	s->notice_fn = fn;
	s->notice_arg = arg;
	pthread_mutex_unlock(&s->notice_lock);
}
