/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done with the victim behind a handle: memory, running, sites. */
#include "handle.h"

#include <arch/arch.h>
#include <base/clean.h>
#include <base/log.h>

#include <string.h>

/* Bytes of a write that go over in one request. */
#define WRITE_CHUNK (1u << 20)

/* ------------------------------------------------------------------ memory */

/* The image went away under a read: by an end, or by an exec. */
static ssize_t image_gone(struct dtproc_proc *p)
{
	struct dtproc_proc_status st;

	if (p->kind == HOLD_RDONLY) {
		dtproc_proc_status(p, &st); /* looks for its end */
		if (!state_ended(p) && image_refresh(p))
			return DTPROC_EPERM;
	}
	if (state_ended(p))
		return state_error(p);
	return err_set(DTPROC_EIMAGE, "pid %d has ended or executed another program",
		(int)p->pid);
}

static int can_access(struct dtproc_proc *p)
{
	control_pump(p);
	if (p->kind == HOLD_CONTROL && state_ended(p))
		return state_error(p);
	if (p->image.mem < 0)
		return err_set(DTPROC_EPERM, "pid %d: its memory may not be read by us",
			(int)p->pid);
	return 0;
}

/*
 * Shows the program's own text.  A read-only handle that is stale has no ledger, but
 * the one that took its place has; that is mapped as long as we have a reference.
 */
static void overlay(struct dtproc_proc *p, dtproc_addr addr, void *buf, size_t len)
{
	struct dtproc_proc *peer;

	if (p->kind == HOLD_CONTROL) {
		victim_ctl_overlay(&p->ctl, addr, buf, len);
		return;
	}
	if (!memchr(buf, ARCH_TRAP, len))
		return;
	peer = table_peer(p);
	if (!peer)
		return;
	victim_ctl_overlay(&peer->ctl, addr, buf, len);
	handle_unref(peer);
}

ssize_t dtproc_proc_read(struct dtproc_proc *p, dtproc_addr addr, void *buf, size_t len)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	int rc = can_access(p);
	ssize_t n;

	if (rc || len == 0)
		return rc;
	n = victim_mem_read(p->image.mem, addr, buf, len);
	if (n == DTPROC_EIMAGE)
		return image_gone(p);
	if (n > 0)
		overlay(p, addr, buf, (size_t)n);
	return n;
}

static ssize_t write_chunk(
	struct dtproc_proc *p, dtproc_addr addr, const void *buf, size_t len)
{
	struct wire_request req = {.op = WIRE_WRITE, .addr = addr, .count = len};
	struct wire_reply reply;
	int rc = victim_ctl_put(&p->ctl, buf, len);

	if (rc == 0)
		rc = request_call(p, &req, NULL, 0, &reply);
	if (rc)
		return rc;
	return reply.value > len ? (ssize_t)len : (ssize_t)reply.value;
}

/* All writes go to the keeper, which knows what of its own lies under them. */
ssize_t dtproc_proc_write(
	struct dtproc_proc *p, dtproc_addr addr, const void *buf, size_t len)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	size_t done = 0;

	if (p->kind == HOLD_RDONLY)
		return err_set(DTPROC_ESTATE, "pid %d is held read-only", (int)p->pid);
	while (done < len) {
		size_t want = len - done < WRITE_CHUNK ? len - done : WRITE_CHUNK;
		ssize_t n = write_chunk(p, addr + done, (const char *)buf + done, want);
		if (n < 0 && done == 0)
			return n;
		if (n > 0)
			done += (size_t)n;
		if (n < (ssize_t)want)
			break;
	}
	return (ssize_t)done;
}

int hold_maps(struct dtproc_proc *p, struct victim_maps *out)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct victim_maps maps;
	int rc;

	if (p->kind == HOLD_CONTROL && state_ended(p))
		return state_error(p);
	rc = victim_maps_read(p->pid, &maps);
	if (rc)
		return rc;
	/* Read by number: it is this process's if that is still alive (A7). */
	if (victim_ended(p->pidfd)) {
		victim_maps_free(&maps);
		return err_set(DTPROC_ENOPROC, "pid %d has ended", (int)p->pid);
	}
	*out = maps;
	return 0;
}

/* ------------------------------------------------------------------ running */

int dtproc_proc_continue(struct dtproc_proc *p)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct wire_request req = {.op = WIRE_CONTINUE};
	struct wire_reply reply;
	struct dtproc_proc_status st;

	dtproc_proc_status(p, &st);
	if (st.run != DTPROC_IDLE)
		return 0;
	return request_call(p, &req, NULL, 0, &reply);
}

int dtproc_proc_stop(struct dtproc_proc *p)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct wire_request req = {.op = WIRE_STOP};
	struct wire_reply reply;

	return request_call(p, &req, NULL, 0, &reply);
}

/* ------------------------------------------------------- programs and sites */

int hold_programs(struct dtproc_proc *p, unsigned flags, const void *bytes, size_t len)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct wire_request req = {.op = WIRE_PROGRAMS, .flags = flags, .count = len};
	struct wire_reply reply;

	if (p->kind == HOLD_CONTROL && !p->hung_up) {
		int rc = victim_ctl_put(&p->ctl, bytes, len);
		if (rc)
			return rc;
	}
	return request_call(p, &req, NULL, 0, &reply);
}

int hold_segment(struct dtproc_proc *p, int segment, int doorbell, int shared)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct wire_request req = {.op = WIRE_SEGMENT};
	struct wire_reply reply;
	int fds[3] = {segment, doorbell, shared};

	return request_call(p, &req, fds, shared < 0 ? 2 : 3, &reply);
}

/* Sends the sites of a request, with what lies behind them. */
static int send_sites(struct dtproc_proc *p, struct wire_request req,
	const struct wire_site *sites, struct wire_reply *reply)
{
	size_t len = req.count * sizeof *sites + req.arg * sizeof(struct wire_operand);

	if (p->kind == HOLD_CONTROL && !p->hung_up) {
		int rc = victim_ctl_put(&p->ctl, sites, len);
		if (rc)
			return rc;
	}
	return request_call(p, &req, NULL, 0, reply);
}

long hold_arm(struct dtproc_proc *p, uint32_t generation, struct wire_site *sites,
	size_t n, size_t operands)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct wire_request req = {
		.op = WIRE_ARM, .count = n, .arg = operands, .generation = generation};
	struct wire_reply reply;
	int rc;

	for (size_t i = 0; i < n; i++) {
		sites[i].result = 0;
		sites[i].reason = 0;
	}
	rseq_refuse(p, sites, n);
	rc = send_sites(p, req, sites, &reply);
	if (rc == 0)
		rc = victim_ctl_get(&p->ctl, sites, n * sizeof *sites);
	if (rc)
		return rc;
	return reply.value > n ? (long)n : (long)reply.value;
}

int hold_disarm(struct dtproc_proc *p, const struct wire_site *sites, size_t n)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct wire_reply reply;

	return send_sites(
		p, (struct wire_request){.op = WIRE_DISARM, .count = n}, sites, &reply);
}
