/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of handles, keyed by PID (rules A1 to A3, A6).
 *
 * Nothing here makes a system call or takes a handle's lock: what must be closed is
 * taken out and put on a list of the caller's, who closes it with no lock held.
 */
#include "handle.h"

#include <base/hash.h>
#include <base/log.h>
#include <base/rule.h>

#include <stdlib.h>

static struct list *bucket_of(struct hold_session *s, pid_t pid)
{
	return &s->buckets[hash_mix((uint64_t)pid) & s->mask];
}

/* The next power of two from `n` on. */
static unsigned round_up(unsigned n)
{
	unsigned size = 1;

	while (size < n && size < 1u << 20)
		size *= 2;
	return size;
}

void table_init_locks(struct hold_session *s)
{
	pthread_mutex_init(&s->table_lock, NULL);
	pthread_cond_init(&s->table_changed, NULL);
}

int table_init(struct hold_session *s)
{
	unsigned n = RULE(A1, power) ? round_up(s->options.buckets) : s->options.buckets;

	s->buckets = calloc(n, sizeof *s->buckets);
	if (!s->buckets)
		return err_nomem("the table of handles");
	s->mask = n - 1;
	for (unsigned i = 0; i < n; i++)
		list_init(&s->buckets[i]);
	list_init(&s->all);
	list_init(&s->recent);
	table_init_locks(s);
	return 0;
}

void table_fini(struct hold_session *s)
{
	pthread_cond_destroy(&s->table_changed);
	pthread_mutex_destroy(&s->table_lock);
	free(s->buckets);
}

static struct dtproc_proc *find(struct hold_session *s, pid_t pid)
{
	struct list *head = bucket_of(s, pid);

	list_each(it, head) {
		struct dtproc_proc *p = list_entry(it, struct dtproc_proc, bucket);
		if (p->pid == pid)
			return p;
	}
	return NULL;
}

void table_unlink(struct dtproc_proc *p)
{
	list_remove(&p->bucket);
	list_remove(&p->age);
	cache_leave(p);
}

static void link_new(struct dtproc_proc *p)
{
	struct hold_session *s = p->session;

	list_add(bucket_of(s, p->pid), &p->bucket);
	list_append(&s->all, &p->age);
	if (p->kind == HOLD_RDONLY)
		cache_enter(p);
}

/* Lookups skip it from now on; it is closed now if nobody holds it. */
static void make_stale(struct dtproc_proc *p, struct list *doomed)
{
	p->stale = 1;
	if (RULE(A6, skip))
		list_remove(&p->bucket);
	cache_leave(p);
	if (p->refs > 0 || !RULE(A6, idle))
		return;
	list_remove(&p->age);
	p->phase = HOLD_CLOSING;
	list_append(doomed, &p->recent);
}

void table_stale(struct dtproc_proc *p, struct list *doomed)
{
	pthread_mutex_lock(&p->session->table_lock);
	if (!p->stale && p->phase == HOLD_READY)
		make_stale(p, doomed);
	pthread_mutex_unlock(&p->session->table_lock);
}

/* The handle of `pid` once it is neither opening nor closing, or NULL. */
static struct dtproc_proc *find_settled(struct hold_session *s, pid_t pid)
{
	struct dtproc_proc *p;

	while ((p = find(s, pid)) && p->phase != HOLD_READY)
		pthread_cond_wait(&s->table_changed, &s->table_lock);
	return p;
}

/* One more reference to the settled handle of `pid` that serves `kind`, or NULL. */
static struct dtproc_proc *use(struct dtproc_proc *p, enum hold_kind kind)
{
	if (!p || (p->kind == HOLD_RDONLY && kind == HOLD_CONTROL && RULE(A6, upgrade)) ||
		!RULE(A3, same))
		return NULL;
	p->refs += RULE(A2, count);
	cache_use(p);
	return p;
}

struct dtproc_proc *table_find(struct hold_session *s, pid_t pid, enum hold_kind kind)
{
	pthread_mutex_lock(&s->table_lock);
	struct dtproc_proc *p = use(find_settled(s, pid), kind);
	pthread_mutex_unlock(&s->table_lock);
	return p;
}

static int controls(const struct dtproc_proc *c, const struct dtproc_proc *p)
{
	return c && c->kind == HOLD_CONTROL && c->phase == HOLD_READY && c != p;
}

struct dtproc_proc *table_peer(struct dtproc_proc *p)
{
	struct hold_session *s = p->session;

	pthread_mutex_lock(&s->table_lock);
	struct dtproc_proc *c = find(s, p->pid);
	if (controls(c, p))
		c->refs++;
	else
		c = NULL;
	pthread_mutex_unlock(&s->table_lock);
	return c;
}

static enum table_found claim(struct hold_session *s, struct dtproc_proc *fresh,
	struct list *doomed, struct dtproc_proc **out)
{
	struct dtproc_proc *p = find_settled(s, fresh->pid);

	*out = use(p, fresh->kind);
	if (*out)
		return TABLE_HELD;
	if (p)
		make_stale(p, doomed);
	if (fresh->kind == HOLD_RDONLY)
		cache_evict(s, 1, doomed);
	fresh->refs = 1;
	fresh->phase = HOLD_OPENING;
	link_new(fresh);
	*out = fresh;
	return TABLE_CLAIMED;
}

enum table_found table_claim(struct hold_session *s, struct dtproc_proc *fresh,
	struct list *doomed, struct dtproc_proc **out)
{
	pthread_mutex_lock(&s->table_lock);
	enum table_found found = claim(s, fresh, doomed, out);
	pthread_mutex_unlock(&s->table_lock);
	return found;
}

void table_enter(struct dtproc_proc *p, struct list *doomed)
{
	pthread_mutex_lock(&p->session->table_lock);
	struct dtproc_proc *former = find_settled(p->session, p->pid);
	if (former)
		make_stale(former, doomed);
	p->refs = 1;
	p->phase = HOLD_READY;
	link_new(p);
	pthread_mutex_unlock(&p->session->table_lock);
}

void table_opened(struct dtproc_proc *p)
{
	pthread_mutex_lock(&p->session->table_lock);
	p->phase = HOLD_READY;
	pthread_cond_broadcast(&p->session->table_changed);
	pthread_mutex_unlock(&p->session->table_lock);
}

void table_closed(struct dtproc_proc *p)
{
	pthread_mutex_lock(&p->session->table_lock);
	table_unlink(p);
	pthread_cond_broadcast(&p->session->table_changed);
	pthread_mutex_unlock(&p->session->table_lock);
}

static int unref(struct dtproc_proc *p, struct list *doomed)
{
	if (p->refs == 0) { /* the client's mistake, seen while the handle idles */
		log_line("hold", 1, "pid %d: released more often than it was grabbed",
			(int)p->pid);
		return 0;
	}
	if (--p->refs > 0)
		return 0;
	if (p->kind == HOLD_RDONLY && RULE(A4, idle) && (!p->stale || !RULE(A6, close))) {
		if (RULE(A5, surplus))
			cache_evict(p->session, 0, doomed);
		return 0;
	}
	p->phase = HOLD_CLOSING;
	return 1;
}

int table_unref(struct dtproc_proc *p, struct list *doomed)
{
	struct hold_session *s = p->session;

	pthread_mutex_lock(&s->table_lock);
	int last = unref(p, doomed);
	pthread_mutex_unlock(&s->table_lock);
	return last;
}

struct dtproc_proc *table_pop(struct hold_session *s)
{
	struct dtproc_proc *p = NULL;

	pthread_mutex_lock(&s->table_lock);
	if (!list_empty(&s->all)) {
		p = list_entry(s->all.next, struct dtproc_proc, age);
		p->phase = HOLD_CLOSING;
		table_unlink(p);
	}
	pthread_mutex_unlock(&s->table_lock);
	return p;
}

int table_take_ours(struct dtproc_proc *p)
{
	pthread_mutex_lock(&p->session->table_lock);
	int ours = p->ours;
	p->ours = 0;
	pthread_mutex_unlock(&p->session->table_lock);
	return ours;
}
