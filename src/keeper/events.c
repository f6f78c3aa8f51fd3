/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events: what the control thread is told, one at a time.
 *
 * Changes of state are not queued but flagged, so that nothing grows while a client does
 * not react; it learns of the latest.  The end comes last and once.
 */
#include "keeper.h"

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
static int choose(struct keeper *k, struct wire_event *e, int *fd)
{
	struct pending_hit h;

	if (k->ev.errors.n) {
		e->kind = WIRE_EV_ERROR;
		strncpy(e->text, k->ev.errors.at[0], sizeof e->text - 1);
		free(k->ev.errors.at[0]);
		memmove(k->ev.errors.at, k->ev.errors.at + 1,
			--k->ev.errors.n * sizeof(char *));
	} else if (k->ev.want_exec && k->mem >= 0) {
		e->kind = WIRE_EV_EXEC;
		*fd = k->mem;
		k->ev.want_exec = 0;
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
	int fd = -1;

	if (k->ev.outstanding || k->client_gone)
		return;
	if (!choose(k, &e, &fd)) {
		leave_event(k);
		return;
	}
	e.seq = ++k->ev.seq;
	e.state = k->state;
	e.generation = k->generation;
	k->ev.outstanding = (uint8_t)e.kind;
	log_line("events", 2, "pid %d: %s", k->pid, wire_event_name(e.kind));
	if (wire_send(WIRE_FD_EVENTS, &e, sizeof e, &fd, fd >= 0, MSG_DONTWAIT))
		k->client_gone = 1;
	STEP(EVENT_SENT);
}

void events_ack(struct keeper *k)
{
	struct wire_ack a;
	long n = wire_recv(WIRE_FD_EVENTS, &a, sizeof a, NULL, NULL, MSG_DONTWAIT);

	if (n == DTPROC_ETIMEOUT)
		return;
	if (n <= 0 || wire_check_ack(&a, (size_t)n, k->ev.seq) || !k->ev.outstanding) {
		k->client_gone = 1;
		return;
	}
	STEP(EVENT_ACKED);
	k->ev.outstanding = 0;
}
