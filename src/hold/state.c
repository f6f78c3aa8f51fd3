/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of a victim, under a lock of its own so that asking never waits for
 * whoever has the handle.  The end of a victim is told once, by whoever learns of it
 * first: status, waiting threads, the layer above, and the client's notices.
 */
#include "handle.h"

#include <base/clean.h>
#include <base/end.h>
#include <base/log.h>
#include <base/rule.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

static int is_end(enum dtproc_proc_run run)
{
	return run == DTPROC_EXITED || run == DTPROC_KILLED || run == DTPROC_LOST;
}

void state_set(struct dtproc_proc *p, enum dtproc_proc_run run)
{
	pthread_mutex_lock(&p->state_lock);
	if (!is_end(p->status.run) && p->status.run != run) {
		p->status.run = run;
		pthread_cond_broadcast(&p->state_changed);
	}
	pthread_mutex_unlock(&p->state_lock);
}

/* Who waits to see it idle again must not find that it still does. */
static void state_leave(struct dtproc_proc *p, enum dtproc_proc_run run)
{
	pthread_mutex_lock(&p->state_lock);
	if (p->status.run == run)
		p->status.run = DTPROC_RUNNING;
	pthread_mutex_unlock(&p->state_lock);
}

void state_from_wire(struct dtproc_proc *p, uint32_t wire_state)
{
	switch (wire_state) {
	case WIRE_ST_IDLE:
		state_set(p, DTPROC_IDLE);
		break;
	case WIRE_ST_RUN:
		state_set(p, DTPROC_RUNNING);
		break;
	case WIRE_ST_EVENT:
		state_set(p, DTPROC_EVENT);
		break;
	case WIRE_ST_STOPPED:
		state_set(p, DTPROC_STOPPED);
		break;
	case WIRE_ST_GONE: /* its end has an event of its own; until then it is nowhere */
		state_leave(p, DTPROC_IDLE);
		break;
	default:
		break;
	}
}

int state_ended(struct dtproc_proc *p)
{
	pthread_mutex_lock(&p->state_lock);
	int ended = is_end(p->status.run);
	pthread_mutex_unlock(&p->state_lock);
	return ended;
}

/* "pid 4711 exited with status 3" and the like; returns the error that it is. */
static int describe(
	pid_t pid, const struct dtproc_proc_status *st, char *buf, size_t room)
{
	switch (st->run) {
	case DTPROC_EXITED:
		end_text(pid, W_EXITCODE(st->code, 0), buf, room);
		return DTPROC_EEXITED;
	case DTPROC_KILLED:
		end_text(pid, st->code | (st->why[0] ? WCOREFLAG : 0), buf, room);
		return DTPROC_EKILLED;
	default:
		snprintf(buf, room, "pid %d was lost: %s", (int)pid, st->why);
		return DTPROC_ELOST;
	}
}

int state_error(struct dtproc_proc *p)
{
	struct dtproc_proc_status st;
	char text[ERR_TEXT_MAX];

	dtproc_proc_status(p, &st);
	return err_set(describe(p->pid, &st, text, sizeof text), "%s", text);
}

static enum dtproc_notice_kind notice_kind(enum dtproc_proc_run how)
{
	return how == DTPROC_EXITED   ? DTPROC_NOTICE_EXITED
	       : how == DTPROC_KILLED ? DTPROC_NOTICE_KILLED
				      : DTPROC_NOTICE_LOST;
}

void state_end(struct dtproc_proc *p, enum dtproc_proc_run how, int code, const char *why)
{
	const struct hold_hooks *h = &p->session->hooks;
	struct dtproc_proc_status st;
	char text[ERR_TEXT_MAX];

	pthread_mutex_lock(&p->state_lock);
	int again = is_end(p->status.run);
	if (!again) {
		p->status.run = how;
		p->status.code = code;
		snprintf(p->status.why, sizeof p->status.why, "%s", why);
		if (RULE(B5, wake))
			pthread_cond_broadcast(&p->state_changed);
	}
	st = p->status;
	pthread_mutex_unlock(&p->state_lock);
	if (again)
		return;
	describe(p->pid, &st, text, sizeof text);
	if (how == DTPROC_EXITED && code == 0) /* DTrace's words */
		snprintf(text, sizeof text, "pid %d has exited", (int)p->pid);
	log_line("hold", 1, "%s", text);
	if (h->end)
		h->end(p, h->arg);
	notice_end(p, notice_kind(how), code, text);
}

void state_killed(struct dtproc_proc *p, int status)
{
	state_end(p, DTPROC_KILLED, WTERMSIG(status),
		WCOREDUMP(status) ? "core dumped" : "");
}

/* A handle without control thread learns of the end when somebody asks. */
static void look(struct dtproc_proc *p)
{
	int status;

	if (p->kind != HOLD_RDONLY || !victim_ended(p->pidfd))
		return;
	pthread_mutex_lock(&p->state_lock);
	if (!is_end(p->status.run)) {
		p->status.run = DTPROC_EXITED;
		if (victim_exit_status(p->pidfd, &status) == 0) {
			p->status.run =
				WIFSIGNALED(status) ? DTPROC_KILLED : DTPROC_EXITED;
			p->status.code = WIFSIGNALED(status) ? WTERMSIG(status)
							     : WEXITSTATUS(status);
		}
		pthread_cond_broadcast(&p->state_changed);
	}
	pthread_mutex_unlock(&p->state_lock);
}

void dtproc_proc_status(struct dtproc_proc *p, struct dtproc_proc_status *out)
{
	look(p);
	pthread_mutex_lock(&p->state_lock);
	*out = p->status;
	pthread_mutex_unlock(&p->state_lock);
}

/* ------------------------------------------------------------------ waiting */

static struct timespec deadline(int timeout_ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += timeout_ms / 1000;
	t.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_nsec -= 1000000000L;
		t.tv_sec++;
	}
	return t;
}

int state_wait(struct dtproc_proc *p, unsigned runs, int timeout_ms)
{
	struct timespec until = deadline(timeout_ms < 0 ? 0 : timeout_ms);
	int rc = 0;

	pthread_mutex_lock(&p->state_lock);
	while (!(runs & 1u << p->status.run) && !is_end(p->status.run) && rc == 0) {
		if (timeout_ms < 0)
			pthread_cond_wait(&p->state_changed, &p->state_lock);
		else
			rc = pthread_cond_timedwait(
				&p->state_changed, &p->state_lock, &until);
	}
	int met = (runs & 1u << p->status.run) || is_end(p->status.run);
	pthread_mutex_unlock(&p->state_lock);
	if (met)
		return 0;
	return err_set(DTPROC_ETIMEOUT, "pid %d: nothing happened within %d ms",
		(int)p->pid, timeout_ms);
}

static int left_ms(const struct timespec *until)
{
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (until->tv_sec - now.tv_sec) * 1000 +
	     (until->tv_nsec - now.tv_nsec + 999999) / 1000000;
	return ms < 0 ? 0 : (int)ms;
}

static int has_control_thread(struct dtproc_proc *p)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);

	return p->control.started;
}

/* Waits on behalf of a control thread that there is not. */
static int wait_unmonitored(struct dtproc_proc *p, int timeout_ms)
{
	struct timespec until = deadline(timeout_ms < 0 ? 0 : timeout_ms);

	for (;;) {
		struct pollfd fds[3] = {
			{p->pidfd, POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}};
		if (p->kind == HOLD_CONTROL) {
			CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
			control_pump(p);
			fds[1].fd = p->hung_up ? -1 : p->ctl.events;
			fds[2].fd = p->hung_up ? -1 : p->ctl.keeper;
			/* It is over when the keeper says so. */
			fds[0].fd = p->hung_up ? p->pidfd : -1;
		} else {
			look(p);
		}
		if (state_ended(p))
			return 0;
		int n = poll(fds, 3, timeout_ms < 0 ? -1 : left_ms(&until));
		if (n == 0)
			return err_set(DTPROC_ETIMEOUT,
				"pid %d: nothing happened within %d ms", (int)p->pid,
				timeout_ms);
		if (n < 0 && errno != EINTR)
			return err_errno(DTPROC_ESYS, errno, "cannot wait");
	}
}

int dtproc_proc_wait(struct dtproc_proc *p, int timeout_ms)
{
	if (lock_is_mine(&p->lock))
		return err_set(DTPROC_ELOCK,
			"pid %d: its end cannot be seen while this thread has the handle "
			"locked",
			(int)p->pid);
	if (p->kind == HOLD_CONTROL && has_control_thread(p))
		return state_wait(p, 0, timeout_ms);
	return wait_unmonitored(p, timeout_ms);
}
