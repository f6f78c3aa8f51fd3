/* SPDX-License-Identifier: BSD-2-Clause */
/* A handle's beginning and end, and what is asked of it without its victim. */
#include "handle.h"

#include <base/clean.h>
#include <base/log.h>

#include <signal.h>
#include <string.h>

static int init_locks(struct dtproc_proc *p)
{
	pthread_condattr_t attr;

	if (lock_init(&p->lock))
		return DTPROC_ENOMEM;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->state_changed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&p->state_lock, NULL);
	return 0;
}

struct dtproc_proc *handle_new(struct hold_session *s, pid_t pid, enum hold_kind kind)
{
	struct dtproc_proc *p = calloc(1, sizeof *p);

	if (!p || init_locks(p)) {
		free(p);
		err_nomem("a handle");
		return NULL;
	}
	p->session = s;
	p->pid = pid;
	p->kind = kind;
	p->ctl = VICTIM_CTL_NONE;
	p->hung_up = 1;
	p->pidfd = p->image.mem = p->image.live = p->image.live_maps = p->control.wake =
		-1;
	p->status.run = DTPROC_RUNNING;
	p->status.generation = 1;
	list_init(&p->bucket);
	list_init(&p->age);
	list_init(&p->recent);
	list_init(&p->end_notice.link);
	list_init(&p->bkpts);
	list_init(&p->dropped);
	return p;
}

void handle_free(struct dtproc_proc *p)
{
	lock_fini(&p->lock);
	pthread_cond_destroy(&p->state_changed);
	pthread_mutex_destroy(&p->state_lock);
	free(p);
}

/* Gives back all that the handle has but its own memory. */
static void release_all(struct dtproc_proc *p)
{
	if (p->user_destroy)
		p->user_destroy(p->user);
	p->user_destroy = NULL;
	p->user = NULL;
	bkpt_free_all(p);
	image_close(&p->image);
	clean_fd(&p->pidfd);
	clean_fd(&p->control.wake);
	p->pidfd = p->control.wake = -1;
}

void handle_destroy(struct dtproc_proc *p)
{
	lock_drop(&p->lock);
	if (hold_forked(p->session)) {
		/* A child that the client forked: the keepers are not its own, and who
		 * has or awaits the locks is not there. */
		if (init_locks(p))
			log_line("hold", 1, "pid %d: %s", (int)p->pid, err_text());
		if (p->kind == HOLD_CONTROL)
			victim_ctl_abandon(&p->ctl);
		p->hung_up = 1;
	} else {
		control_end(p);
		if (p->kind == HOLD_CONTROL)
			request_end(p, p->mode);
	}
	release_all(p);
	table_closed(p);
	if (notice_purge(p))
		handle_free(p);
}

void handle_destroy_all(struct list *doomed)
{
	while (!list_empty(doomed)) {
		struct dtproc_proc *p =
			list_entry(doomed->next, struct dtproc_proc, recent);
		list_remove(&p->recent);
		handle_destroy(p);
	}
}

/* ------------------------------------------------------------- references */

static void unref(struct dtproc_proc *p)
{
	struct list doomed = LIST_INIT(doomed);

	if (table_unref(p, &doomed))
		handle_destroy(p);
	handle_destroy_all(&doomed);
}

void handle_unref(struct dtproc_proc *p)
{
	unref(p);
}

void hold_ref(struct dtproc_proc *p)
{
	pthread_mutex_lock(&p->session->table_lock);
	CHECK(p->refs > 0 && p->phase == HOLD_READY, "pid %d", (int)p->pid);
	p->refs++;
	pthread_mutex_unlock(&p->session->table_lock);
}

/* Only the thread that runs the callback can find the lock its own there. */
static int in_own_callback(const struct dtproc_proc *p)
{
	return lock_is_mine(&p->lock) && p->in_callback;
}

void dtproc_proc_release(struct dtproc_proc *p, enum dtproc_release_mode mode)
{
	int callback = in_own_callback(p);

	pthread_mutex_lock(&p->session->table_lock);
	p->mode = mode;
	if (callback && p->refs == 1) {
		/* Not allowed, and it cannot join itself: it stays until the session
		 * closes or somebody grabs it again. */
		p->refs = 0;
		log_line("hold", 1, "pid %d: last release in a callback", (int)p->pid);
		pthread_mutex_unlock(&p->session->table_lock);
		return;
	}
	pthread_mutex_unlock(&p->session->table_lock);
	unref(p);
}

/* ---------------------------------------------------------------- questions */

pid_t dtproc_proc_pid(const struct dtproc_proc *p)
{
	return p->pid;
}

struct hold_session *hold_session_of(const struct dtproc_proc *p)
{
	return p->session;
}

int hold_created(const struct dtproc_proc *p)
{
	return p->created;
}

void hold_set_user(struct dtproc_proc *p, void *user, void (*destroy)(void *user))
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);

	p->user = user;
	p->user_destroy = destroy;
}

void *hold_user(struct dtproc_proc *p)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);

	return p->user;
}

const struct wire_ledger *hold_ledger(const struct dtproc_proc *p)
{
	return p->kind == HOLD_CONTROL ? p->ctl.map : NULL;
}
