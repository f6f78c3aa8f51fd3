/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock of a handle.  Whoever comes first gets it first: a control thread that reacts
 * to one event after the other would otherwise take it again and again before a requester
 * that waits has woken up (rule B4).  Its owner is named by the address of a variable of
 * the thread, which no two living threads share.  Only the owner itself can read its own
 * name there, so the comparison needs no lock.
 */
#include "handle.h"

#include <base/log.h>
#include <base/rule.h>

static _Thread_local char me;

int lock_init(struct hold_lock *l)
{
	l->owner = NULL;
	l->next = l->serving = 0;
	if (pthread_mutex_init(&l->mutex, NULL))
		return err_nomem("a lock");
	if (pthread_cond_init(&l->turn, NULL)) {
		pthread_mutex_destroy(&l->mutex);
		return err_nomem("a lock");
	}
	return 0;
}

void lock_fini(struct hold_lock *l)
{
	pthread_cond_destroy(&l->turn);
	pthread_mutex_destroy(&l->mutex);
}

int lock_is_mine(const struct hold_lock *l)
{
	return __atomic_load_n(&l->owner, __ATOMIC_RELAXED) == &me;
}

/* A thread that is cancelled in the queue would hold up all behind it. */
static void queue(struct hold_lock *l, uint64_t ticket)
{
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	while (l->serving != ticket)
		pthread_cond_wait(&l->turn, &l->mutex);
	pthread_setcancelstate(old, &old);
}

static void take(struct hold_lock *l)
{
	pthread_mutex_lock(&l->mutex);
	if (RULE(B4, order)) { /* without: the mutex alone is the lock */
		uint64_t ticket = l->next++;
		if (l->serving != ticket)
			queue(l, ticket);
		pthread_mutex_unlock(&l->mutex);
	}
	__atomic_store_n(&l->owner, &me, __ATOMIC_RELAXED);
}

static void give(struct hold_lock *l)
{
	__atomic_store_n(&l->owner, NULL, __ATOMIC_RELAXED);
	if (RULE(B4, order)) {
		pthread_mutex_lock(&l->mutex);
		if (++l->serving != l->next)
			pthread_cond_broadcast(&l->turn);
	}
	pthread_mutex_unlock(&l->mutex);
}

void lock_drop(struct hold_lock *l)
{
	if (lock_is_mine(l))
		give(l);
}

struct hold_guard hold_enter(struct dtproc_proc *p)
{
	/* In a forked child its owner may be a thread that is not there; see
	 * hold_close(). */
	if (lock_is_mine(&p->lock) || hold_forked(p->session) || !RULE(I1, lock))
		return (struct hold_guard){NULL};
	take(&p->lock);
	return (struct hold_guard){p};
}

void hold_leave(struct hold_guard *g)
{
	if (g->proc)
		give(&g->proc->lock);
}

int dtproc_proc_lock(struct dtproc_proc *p)
{
	if (lock_is_mine(&p->lock))
		return err_set(DTPROC_ELOCK, "pid %d is locked by this thread already",
			(int)p->pid);
	take(&p->lock);
	return 0;
}

int dtproc_proc_unlock(struct dtproc_proc *p)
{
	if ((!lock_is_mine(&p->lock) && RULE(I2, mine)) || p->in_callback)
		return err_set(
			DTPROC_ELOCK, "pid %d is not locked by this thread", (int)p->pid);
	give(&p->lock);
	return 0;
}
