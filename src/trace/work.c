/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The work loop.  One epoll descriptor wakes it: notices, the doorbell of the segments,
 * and a timer for the next tick or the end of the switch interval, whichever is first.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "own.h"

#define SECOND 1000000000ull

uint64_t trace_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* The timer that is due next; NULL: there is none. */
static struct trace_timer *next_timer(struct dtproc *d)
{
	struct trace_timer *next = NULL;

	for (size_t i = 0; i < d->timers.n; i++)
		if (!next || d->timers.at[i].due_ns < next->due_ns)
			next = &d->timers.at[i];
	return next;
}

/* When the loop has something to do without being woken. */
static uint64_t next_due(struct dtproc *d)
{
	uint64_t due = d->drained_ns + d->options.at[TRACE_SWITCHRATE].number;
	const struct trace_timer *t = next_timer(d);

	return t && t->due_ns < due ? t->due_ns : due;
}

static void set_timer(struct dtproc *d)
{
	uint64_t due = next_due(d);
	struct itimerspec t = {
		.it_value = {(time_t)(due / SECOND), (long)(due % SECOND)}};

	timerfd_settime(d->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

static void empty(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
		;
}

/*
 * Fires what is due, what was due first before the rest: behind a late turn no tick comes
 * from beyond an exit().  A tick that comes late is not made up for: as in DTrace a tick
 * means that about that much time went by.
 */
static void fire_timers(struct dtproc *d)
{
	uint64_t now = trace_now();

	for (struct trace_timer *t; (t = next_timer(d)) && t->due_ns <= now;) {
		uint64_t interval = t->probe->interval_ns;

		trace_fire(d, t->probe, ENGINE_WHILE_TRACING, NULL);
		t->due_ns += interval * ((now - t->due_ns) / interval + 1);
	}
}

static int is_filling(const struct dtproc *d)
{
	return trace_option_is(&d->options, TRACE_BUFPOLICY, "fill");
}

/* Waits on the session's descriptor; EINTR ends the wait. */
static void wait_for_it(const struct dtproc *d, int timeout_ms)
{
	struct pollfd p = {.fd = d->epoll, .events = POLLIN};

	poll(&p, 1, timeout_ms);
}

/* As option bufpolicy says: fill and ring are printed when tracing is over. */
static void drain_now(struct dtproc *d, FILE *out)
{
	trace_each_client(d, rt_client_answer);
	d->drained_ns = trace_now();
	if (!trace_option_is(&d->options, TRACE_BUFPOLICY, "ring")) {
		if (!is_filling(d))
			trace_drain(d, d->drained_ns, out);
	} else if (trace_keep_newest(d)) {
		trace_warn(d, "%s", err_text());
	}
	if (!is_filling(d))
		trace_warn_drops(d);
}

struct census {
	struct dtproc *session;
	unsigned live, ended;
};

static int count_live(struct dtproc_proc *p, void *arg)
{
	struct census *c = arg;
	struct dtproc_proc_status s;

	int target = trace_is_target(c->session, dtproc_proc_pid(p));

	if (!target && !hold_parent(p))
		return 0;
	dtproc_proc_status(p, &s);
	if (s.run < DTPROC_EXITED)
		c->live++;
	else
		c->ended += (unsigned)target;
	return 0;
}

/*
 * Are all victims that the client holds, and their followed children, at their end, and
 * was that told?
 */
static int all_ended(struct dtproc *d)
{
	struct census c = {d, 0, 0};

	if (!trace_has_targets(d))
		return 0;
	return hold_each(d->hold, count_live, &c) == 0 && !c.live &&
	       d->ends_told >= c.ended;
}

int dtproc_work(struct dtproc *d, FILE *out)
{
	int ended;

	if (d->phase != TRACE_GOING)
		return err_set(DTPROC_ESTATE, "tracing has not begun");
	/* BEGIN may have made records, or called exit(). */
	if (!trace_exit_called(d)) {
		set_timer(d);
		wait_for_it(d, -1);
		empty(d->timer_fd);
	}
	fire_timers(d);
	empty(d->wake_fd);
	empty(engine_doorbell(d->engines));
	hold_deliver(d->hold);
	ended = all_ended(d) || trace_exit_called(d) ||
		(is_filling(d) && trace_is_filled(d));
	drain_now(d, out);
	return ended || d->exit_called ? DTPROC_WORK_DONE : DTPROC_WORK_OK;
}

int dtproc_sleep(struct dtproc *d, int timeout_ms)
{
	wait_for_it(d, timeout_ms);
	empty(d->wake_fd);
	return hold_deliver(d->hold);
}

int dtproc_stop(struct dtproc *d, FILE *out)
{
	if (d->phase != TRACE_GOING)
		return 0;
	trace_end(d);
	trace_each_client(d, rt_client_stop);
	engine_disarm(d->engines);
	trace_drain(d, UINT64_MAX, out);
	trace_fire_kind(d, PROBE_END, ENGINE_ALWAYS);
	trace_drain(d, UINT64_MAX, out);
	hold_deliver(d->hold);
	trace_warn_drops(d);
	/* From now on the client's release is the last one. */
	engine_release(d->engines);
	probe_table_release(d->probes);
	hold_unfollow_all(d->hold);
	fputc('\n', out);
	int err = trace_print_aggregations(d, out);
	trace_output_back(d, out);
	return err;
}

int dtproc_exit_status(const struct dtproc *d)
{
	return d->exit_status;
}
