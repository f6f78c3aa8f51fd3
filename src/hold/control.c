/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control thread of a handle (section B).
 *
 * It sleeps with the handle unlocked, on the event socket, the keeper's pidfd and an
 * eventfd of its own.  When something is there it locks the handle, takes one event,
 * reacts, acknowledges, and unlocks; so whoever has the handle locked holds reactions
 * back.  Requests have another socket and never wait for this thread unless it runs a
 * callback.
 *
 * The eventfd means "look again": quit, or the wire was closed by somebody else.  It is
 * a counter, so a poke between looking and sleeping is not lost.
 */
#include "handle.h"

#include <base/clean.h>
#include <base/log.h>
#include <base/retry.h>
#include <base/rule.h>
#include <base/step.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#define STACK_BYTES (1u << 20)

/* ------------------------------------------------------------- reactions */

/* What the keeper is at this moment; between requests only an ack changes IDLE. */
static int idles(const struct dtproc_proc *p)
{
	return __atomic_load_n(&p->ctl.map->state, __ATOMIC_ACQUIRE) == WIRE_ST_IDLE;
}

static void react_breakpoint(struct dtproc_proc *p, const struct wire_event *e)
{
	if (!idles(p))
		state_set(p, DTPROC_EVENT);
	bkpt_dispatch(p, e->addr, e->tid);
}

/* The old memory is gone, and every breakpoint with it (rule F1). */
static void react_exec(struct dtproc_proc *p, const struct wire_event *e, int *fd)
{
	const struct hold_hooks *h = &p->session->hooks;

	image_close(&p->image);
	p->image.mem = TAKE_FD(*fd);
	pthread_mutex_lock(&p->state_lock);
	p->status.generation = e->generation;
	pthread_mutex_unlock(&p->state_lock);
	bkpt_drop_all(p);
	if (h->changed)
		h->changed(p, HOLD_EXEC, h->arg);
	linker_exec(p);
	runto_exec(p);
}

static void react(
	struct dtproc_proc *p, const struct wire_event *e, int fds[WIRE_CHILD_FDS])
{
	log_line("hold", 2, "pid %d: event %s, state %s", (int)p->pid,
		wire_event_name(e->kind), wire_state_name(e->state));
	p->epoch = e->epoch;
	switch (e->kind) {
	case WIRE_EV_BREAKPOINT:
		react_breakpoint(p, e);
		break;
	case WIRE_EV_STOPPED:
	case WIRE_EV_CONTINUED:
		state_from_wire(p, e->state);
		break;
	case WIRE_EV_EXEC:
		react_exec(p, e, &fds[0]);
		break;
	case WIRE_EV_OBJECTS:
		linker_react(p, e);
		break;
	case WIRE_EV_CHILD:
		follow_child(p, e, fds);
		break;
	case WIRE_EV_EXITED:
		state_end(p, DTPROC_EXITED, e->code, "");
		break;
	case WIRE_EV_KILLED:
		state_killed(p, e->code);
		break;
	case WIRE_EV_LOST:
		p->let_be = 1;
		state_end(p, DTPROC_LOST, 0, e->text);
		break;
	case WIRE_EV_ERROR:
		hold_notice_error(p, e->text);
		break;
	}
}

/* Behind a breakpoint the victim runs, unless a callback or another thread stopped it. */
static void acknowledge(struct dtproc_proc *p, const struct wire_event *e)
{
	if (e->kind == WIRE_EV_BREAKPOINT && !idles(p))
		state_set(p, DTPROC_RUNNING);
	/* A dead keeper shows at the next look. */
	if (victim_ctl_ack(&p->ctl, e->seq))
		log_line("hold", 1, "pid %d: ack: %s", (int)p->pid, err_text());
}

/* Takes one event, if there is one: 1; 0: none, or it is over. */
static int step(struct dtproc_proc *p)
{
	struct wire_event e;
	int fds[WIRE_CHILD_FDS], n;

	if (p->hung_up)
		return 0;
	n = victim_ctl_event(&p->ctl, &e, fds);
	if (n == 0)
		return 0;
	if (n < 0) {
		char why[128];
		snprintf(why, sizeof why, "%s", err_text());
		/* Its own end has been told: a keeper may end then. */
		if (!state_ended(p))
			request_lost(p, why);
		return 0;
	}
	STEP(CLIENT_TOLD);
	react(p, &e, fds);
	for (size_t i = 0; i < WIRE_CHILD_FDS; i++)
		clean_fd(&fds[i]);
	STEP(CLIENT_ACKS);
	if (!p->hung_up)
		acknowledge(p, &e);
	return 1;
}

void control_pump(struct dtproc_proc *p)
{
	if (p->kind != HOLD_CONTROL || (p->control.started && RULE(B1, alone)))
		return;
	while (!state_ended(p) && step(p))
		;
}

/* ------------------------------------------------------------------ thread */

static int quitting(const struct dtproc_proc *p)
{
	return __atomic_load_n(&p->control.quit, __ATOMIC_ACQUIRE);
}

/* What to sleep on; 0: there is nothing left to wait for. */
static int look(struct dtproc_proc *p, struct pollfd fds[3])
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);

	if (quitting(p) || p->hung_up || state_ended(p))
		return 0;
	fds[0] = (struct pollfd){.fd = p->control.wake, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = p->ctl.events, .events = POLLIN};
	fds[2] = (struct pollfd){.fd = p->ctl.keeper, .events = POLLIN};
	return 1;
}

static void serve(struct dtproc_proc *p)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);

	if (!quitting(p) && !state_ended(p))
		step(p);
}

static void begin(struct dtproc_proc *p)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);

	if (p->control.newborn && !quitting(p))
		follow_begin(p);
}

static void *control_main(void *arg)
{
	struct dtproc_proc *p = arg;
	struct pollfd fds[3];
	uint64_t count;
	unsigned tries = 0;
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	pthread_setname_np(pthread_self(), "dtproc-control");
	begin(p);
	while (look(p, fds)) {
		if (poll(fds, 3, -1) < 0) {
			if (!retry_after(errno, &tries))
				tries = 0; /* nobody else would react */
			continue;
		}
		if (fds[0].revents && read(fds[0].fd, &count, sizeof count) < 0)
			continue;
		if (fds[1].revents || fds[2].revents)
			serve(p);
	}
	return NULL;
}

/* All signals but those that this thread may cause itself (rule B3). */
static void block_signals(sigset_t *old)
{
	static const int own[] = {
		SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP};
	sigset_t set;

	(RULE(B3, signals) ? sigfillset : sigemptyset)(&set);
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		sigdelset(&set, own[i]);
	pthread_sigmask(SIG_SETMASK, &set, old);
}

static int create_thread(struct dtproc_proc *p)
{
	pthread_attr_t attr;
	sigset_t old;
	int eno;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	block_signals(&old);
	eno = pthread_create(&p->control.thread, &attr, control_main, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (eno)
		return err_errno(DTPROC_ESYS, eno, "cannot start the control thread");
	p->control.started = 1;
	return 0;
}

int control_start(struct dtproc_proc *p)
{
	if (p->control.started)
		return 0;
	if (p->control.wake < 0)
		p->control.wake = victim_lift(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (p->control.wake < 0)
		return err_errno(DTPROC_ESYS, errno, "cannot make an eventfd");
	return create_thread(p);
}

void control_poke(struct dtproc_proc *p)
{
	uint64_t one = 1;

	if (p->control.wake < 0)
		return;
	while (write(p->control.wake, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void control_end(struct dtproc_proc *p)
{
	int started;

	{
		CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
		__atomic_store_n(&p->control.quit, 1, __ATOMIC_RELEASE);
		if (RULE(B6, wake))
			control_poke(p);
		started = p->control.started;
	}
	if (started)
		pthread_join(p->control.thread, NULL);
	p->control.started = 0;
}
