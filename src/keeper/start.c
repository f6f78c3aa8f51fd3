/* SPDX-License-Identifier: BSD-2-Clause */
/* WIRE_START: from nothing to a victim that idles at its first stop point. */
#include "keeper.h"
#include "ptrace.h"

#include <errno.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long the stub may take to execute its program (a slow file system), in ns. */
#define EXEC_NS 30000000000u
#define OPEN_MAX_TRIES 4

static int grab(struct keeper *k)
{
	int code = 0;

	/* An exec in progress has no memory to open before its threads are reaped. */
	for (int i = 0; k->mem < 0 && i < OPEN_MAX_TRIES; i++) {
		code = seize_all(k);
		if (code)
			return code;
		k->mem = open_mem(k, live_tid(k), "the victim");
	}
	if (k->mem < 0)
		return DTPROC_EPERM;
	inject_probe(k);
	STEP(GRAB_SEIZED);
	code = stops_hold(k);
	STEP(GRAB_DONE);
	if (!code && k->state == WIRE_ST_GONE)
		code = err_set(k->ev.end_kind == WIRE_EV_KILLED ? DTPROC_EKILLED
								: DTPROC_EEXITED,
			"%s", k->ev.end_text);
	else if (!code && !tasks_left(k))
		code = err_set(DTPROC_ENOPROC, "pid %d: it has ended", k->pid);
	return code;
}

/* The stub is gone: what it says of its exec, or how it ended. */
static int stub_ended(struct keeper *k, int status, uint64_t *value)
{
	int eno = 0;

	task_drop(k, k->pid);
	/* No end of file is waited for: the client's forks may hold the other end. */
	if (recv(WIRE_FD_STUB, &eno, sizeof eno, MSG_DONTWAIT) == sizeof eno && eno > 0) {
		*value = (uint64_t)eno;
		return err_errno(DTPROC_ENOEXEC, eno, "cannot execute");
	}
	if (WIFSIGNALED(status))
		return err_set(DTPROC_EKILLED,
			"pid %d terminated by signal %d before it "
			"executed its program",
			k->pid, WTERMSIG(status));
	return err_set(DTPROC_EEXITED,
		"pid %d exited with status %d before it executed its "
		"program",
		k->pid, WEXITSTATUS(status));
}

/* Waits until the stub has executed its program. */
static int await_exec(struct keeper *k, uint64_t *value)
{
	uint64_t deadline = now_ns() + EXEC_NS;
	struct wait_event ev;

	for (;;) {
		int got = wait_any(&ev);
		if (got <= 0) {
			if (got < 0 || now_ns() > deadline)
				return err_set(DTPROC_ETIMEOUT,
					"pid %d: its program is "
					"not loaded after %u s",
					k->pid, (unsigned)(EXEC_NS / 1000000000u));
			wait_sleep(deadline);
			continue;
		}
		if (ev.tid == k->pid && !WIFSTOPPED(ev.status)) {
			wait_reap(&ev);
			return stub_ended(k, ev.status, value);
		}
		int executed = ev.tid == k->pid && ev.status >> 16 == PTRACE_EVENT_EXEC;
		k->held = (uint8_t)executed;
		stops_dispatch(k, &ev);
		if (executed)
			return 0;
	}
}

static int create(struct keeper *k, uint64_t *value)
{
	int code;

	if (!wait_is_child(k->pid))
		return err_set(DTPROC_EEXITED, "pid %d ended early", k->pid);
	code = pt_seize(k->pid, pt_options | pt_options_created);
	if (code)
		return seize_refused(k, k->pid, code);
	if (!task_add(k, k->pid, k->pid))
		return DTPROC_ENOMEM;
	STEP(CREATE_HELD);
	if (write(WIRE_FD_STUB, "g", 1) != 1)
		return err_errno(DTPROC_EEXITED, errno, "pid %d ended early", k->pid);
	STEP(CREATE_GONE_ON);
	code = await_exec(k, value);
	STEP(CREATE_DONE);
	if (!code && k->state == WIRE_ST_GONE)
		code = err_set(DTPROC_EUNOBSERVABLE, "%s", k->ev.end_text);
	return code;
}

int start_victim(
	struct keeper *k, const struct wire_request *r, int pidfd, uint64_t *value)
{
	int code;

	if (r->pid <= 0) /* kill(2) would take it for a group */
		return err_set(DTPROC_EINVAL, "%d is no PID", r->pid);
	if (pidfd < 0 && !(r->flags & WIRE_CREATE))
		return err_set(DTPROC_EPROTO, "no pidfd of the victim");
	k->victim = pidfd;
	k->pid = r->pid;
	k->ledger->pid = r->pid;
	k->deadline_ms = r->arg && r->arg < 600000 ? (int)r->arg : 2000;
	k->created = (r->flags & WIRE_CREATE) != 0;
	*value = (uint64_t)r->pid;
	if (r->flags & WIRE_REPAIR) {
		code = end_repair(k);
		k->victim = -1; /* the caller's */
		return code;
	}
	k->ledger->traps = 0;
	code = k->created ? create(k, value) : grab(k);
	k->victim = -1;
	k->ev.want_end = k->ev.want_exec = k->ev.want_job = 0;
	close(WIRE_FD_STUB);
	if (!code) {
		keeper_state(k, WIRE_ST_IDLE);
		k->generation = k->ledger->generation = 1;
		k->ev.want_job = k->stopped_by != 0;
		return 0;
	}
	if (k->created && wait_is_child(k->pid))
		kill(k->pid, SIGKILL);
	keeper_state(k, WIRE_ST_GONE);
	return code;
}
