/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events: what the control thread is told, one at a time.
 *
 * Changes of state are not queued but flagged, so that nothing grows while a client does
 * not react; it learns of the latest.  The end comes last and once.
 *
 * Behind a *held* event the task that caused it waits until the client has reacted: new
 * code shall not run before there are probes in it.  Others run on; requests are served.
 * A client that does not react in time (E5) costs that time once: held tasks go on, the
 * client is told, and nothing waits again before it has reacted.
 */
#include "kin.h"
#include "recall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ERRORS_MAX 64

void events_error(struct keeper *k)
{
	char *text = k->ev.errors.n < ERRORS_MAX ? strdup(err_text()) : NULL;

	if (text && vec_push(&k->ev.errors, text))
		free(text);
}

void events_end(struct keeper *k, uint32_t kind, int code, const char *text)
{
	if (k->state == WIRE_ST_GONE)
		return;
	k->ev.want_end = 1;
	k->ev.end_kind = kind;
	k->ev.end_code = code;
	strncpy(k->ev.end_text, text, sizeof k->ev.end_text - 1);
	k->hits.n = 0;
	keeper_state(k, WIRE_ST_GONE);
}

/* Takes the next hit of an event breakpoint that is still there. */
static int take_hit(struct keeper *k, struct pending_hit *out)
{
	while (k->hits.n) {
		*out = k->hits.at[0];
		memmove(k->hits.at, k->hits.at + 1, --k->hits.n * sizeof *out);
		if (out->addr && task_get(k, out->tid))
			return 1;
	}
	return 0;
}

/* Fills in the event that is to be told next; 0: none. */
static int choose(struct keeper *k, struct wire_event *e, int fds[WIRE_CHILD_FDS])
{
	struct pending_hit h;

	if (adopt_tell(k, e, fds))
		return 1;

	if (k->ev.errors.n) {
		e->kind = WIRE_EV_ERROR;
		strncpy(e->text, k->ev.errors.at[0], sizeof e->text - 1);
		free(k->ev.errors.at[0]);
		memmove(k->ev.errors.at, k->ev.errors.at + 1,
			--k->ev.errors.n * sizeof(char *));
	} else if (k->ev.want_exec && k->mem >= 0) {
		e->kind = WIRE_EV_EXEC;
		fds[0] = k->mem;
		k->ev.want_exec = 0;
	} else if (linker_is_due(k)) {
		linker_tell(k, e);
	} else if (k->ev.want_job && k->state != WIRE_ST_GONE &&
		   k->state != WIRE_ST_IDLE) { /* an idle one does not run anyway */
		e->kind = k->stopped_by ? WIRE_EV_STOPPED : WIRE_EV_CONTINUED;
		e->code = k->stopped_by;
		k->ev.want_job = 0;
	} else if (k->state == WIRE_ST_EVENT && take_hit(k, &h)) {
		e->kind = WIRE_EV_BREAKPOINT;
		e->tid = h.tid;
		e->addr = h.addr;
	} else if (k->ev.want_end) {
		e->kind = k->ev.end_kind;
		e->code = k->ev.end_code;
		memcpy(e->text, k->ev.end_text, sizeof e->text);
		k->ev.want_end = 0;
	} else {
		return 0;
	}
	return 1;
}

/* ---------------------------------------------------------------------- held events */

static void find_first(struct keeper *k)
{
	k->wait_until = 0;
	hash_each(&k->tasks, i) {
		const struct task *t = k->tasks.slots[i].value;
		if (t->waits && (!k->wait_until || t->waits_until < k->wait_until))
			k->wait_until = t->waits_until;
	}
}

void events_hold(struct keeper *k, struct task *t, enum wire_event_kind kind)
{
	if (!k->react_ms || k->late || k->client_gone || !RULE(E5, hold))
		return;
	t->waits = (uint8_t)kind;
	t->waits_for = 0;
	t->waits_until = now_ns() + k->react_ms * 1000000ull;
	find_first(k);
}

void events_hold_now(struct keeper *k, struct task *t)
{
	events_hold(k, t, (enum wire_event_kind)k->ev.outstanding);
	t->waits_for = k->ev.seq;
}

/* An event of that kind is told: those wait for its acknowledgement who caused it. */
static void held_told(struct keeper *k, uint32_t kind, uint32_t seq)
{
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (t->waits == kind && !t->waits_for)
			t->waits_for = seq;
	}
}

static void go_on(struct keeper *k, struct task *t)
{
	t->waits = 0;
	if (!k->held)
		task_resume(k, t);
}

static void held_acked(struct keeper *k, uint32_t seq)
{
	if (!k->wait_until)
		return;
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (t->waits && t->waits_for == seq)
			go_on(k, t);
	}
	find_first(k);
}

static void tell_late(struct keeper *k, const struct task *t)
{
	k->late = 1;
	err_set(DTPROC_ETIMEOUT,
		"pid %d: no reaction to its %s within %u ms: it went on, and what it did "
		"before there were probes is not traced",
		k->pid, wire_event_name(t->waits), k->react_ms);
	events_error(k);
}

int events_expire(struct keeper *k)
{
	uint64_t now = k->wait_until ? now_ns() : 0;

	if (!k->wait_until)
		return -1;
	if (now < k->wait_until || !RULE(E5, deadline))
		return (int)((k->wait_until - now) / 1000000 + 1);
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (!t->waits || now < t->waits_until)
			continue;
		if (!k->held)
			tell_late(k, t);
		go_on(k, t);
	}
	find_first(k);
	return 0;
}

/* All hits have been told: the victim goes on. */
static void leave_event(struct keeper *k)
{
	if (k->state != WIRE_ST_EVENT || k->ev.outstanding)
		return;
	keeper_state(k, k->stopped_by ? WIRE_ST_STOPPED : WIRE_ST_RUN);
	if (sites_prepare(k))
		events_error(k);
	stops_release(k);
}

void events_flush(struct keeper *k)
{
	struct wire_event e = {.magic = WIRE_MAGIC, .version = WIRE_VERSION};
	int fds[WIRE_CHILD_FDS] = {-1}, nfds;

	if (k->ev.outstanding || k->client_gone)
		return;
	if (!choose(k, &e, fds)) {
		leave_event(k);
		return;
	}
	nfds = e.kind == WIRE_EV_CHILD ? WIRE_CHILD_FDS : fds[0] >= 0;
	e.seq = ++k->ev.seq;
	e.state = k->state;
	if (e.kind != WIRE_EV_CHILD)
		e.generation = k->generation;
	e.epoch = k->epoch;
	k->ev.outstanding = (uint8_t)e.kind;
	if (e.kind != WIRE_EV_OBJECTS || !k->ev.want_objects) /* or there is more */
		held_told(k, e.kind, e.seq);
	log_line("events", 2, "pid %d: %s", k->pid, wire_event_name(e.kind));
	if (wire_send(k->events, &e, sizeof e, fds, nfds, MSG_DONTWAIT))
		k->client_gone = 1;
	if (e.kind == WIRE_EV_CHILD)
		adopt_told(k);
	STEP(EVENT_SENT);
}

void events_ack(struct keeper *k)
{
	struct wire_ack a;
	long n = wire_recv(k->events, &a, sizeof a, NULL, NULL, MSG_DONTWAIT);

	if (n == DTPROC_ETIMEOUT)
		return;
	if (n <= 0 || wire_check_ack(&a, (size_t)n, k->ev.seq) || !k->ev.outstanding) {
		k->client_gone = 1;
		return;
	}
	STEP(EVENT_ACKED);
	if (k->ev.outstanding == WIRE_EV_OBJECTS)
		recall_reacted(k);
	k->ev.outstanding = 0;
	k->late = 0;
	held_acked(k, a.seq);
}
