/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to the keeper, with the handle locked, and what happens when it dies.
 *
 * Lost (rule H4).  A keeper that died, hung up or talks nonsense is replaced by a
 * successor, which gets the same ledger, repairs the text from it, and lets the victim
 * go; only then is anybody told.  Whoever notices first does this: a requester, or the
 * control thread at the event socket; both have the handle locked.
 */
#include "handle.h"

#include <base/clean.h>
#include <base/log.h>
#include <base/rule.h>
#include <base/step.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often a grab is begun anew because a thread's number changed hands in it. */
#define RETRIES 20

static int start(struct dtproc_proc *p, pid_t pid, uint32_t flags,
	struct wire_reply *reply, int *mem)
{
	struct wire_request req = {.op = WIRE_START,
		.pid = pid,
		.flags = flags,
		.arg = p->session->options.stop_deadline_ms};

	return victim_ctl_call(&p->ctl, &req, &p->pidfd, 1, reply, mem);
}

static void finish(struct dtproc_proc *p)
{
	struct wire_request req = {.op = WIRE_FINISH};
	struct wire_reply reply;

	if (victim_ctl_call(&p->ctl, &req, NULL, 0, &reply, NULL))
		log_line("hold", 1, "pid %d: finish: %s", (int)p->pid, err_text());
}

static int repair_once(struct dtproc_proc *p)
{
	struct wire_reply reply;
	int mem = -1, rc = victim_ctl_replace(&p->ctl);

	STEP(CLIENT_REPAIRS);
	if (rc == 0)
		rc = start(p, p->pid, WIRE_REPAIR, &reply, &mem);
	clean_fd(&mem);
	if (rc == 0)
		finish(p);
	return rc;
}

#define REPAIRS_MAX 5

/* The victim's life hangs on it: what was short a moment ago may be there now. */
static int repair(struct dtproc_proc *p)
{
	int rc = repair_once(p);

	for (int i = 1; rc && i < REPAIRS_MAX && !victim_ended(p->pidfd); i++) {
		log_line("hold", 1, "pid %d: repair: %s", (int)p->pid, err_text());
		usleep(1000u << i);
		rc = repair_once(p);
	}
	return rc;
}

/* Was it the victim's own end that took the keeper's place? */
static int end_known(struct dtproc_proc *p)
{
	int status;

	if (!victim_ended(p->pidfd) || victim_exit_status(p->pidfd, &status))
		return 0;
	if (WIFSIGNALED(status))
		state_killed(p, status);
	else
		state_end(p, DTPROC_EXITED, WEXITSTATUS(status), "");
	return 1;
}

void request_lost(struct dtproc_proc *p, const char *why)
{
	char text[128];

	if (p->hung_up)
		return;
	snprintf(text, sizeof text, "%s", why);
	log_line("hold", 1, "pid %d: %s: repairing", (int)p->pid, text);
	if (RULE(H4, repair) && repair(p) && !victim_ended(p->pidfd)) {
		log_line("hold", 1, "pid %d: no repair: %s", (int)p->pid, err_text());
		snprintf(
			text, sizeof text, "%.60s; not repaired: %.50s", why, err_text());
	}
	victim_ctl_hang_up(&p->ctl);
	p->hung_up = 1;
	if (!end_known(p))
		state_end(p, DTPROC_LOST, 0, text);
	control_poke(p);
}

int request_call(struct dtproc_proc *p, struct wire_request *req, const int *fds,
	int nfds, struct wire_reply *reply)
{
	char why[128];
	int rc;

	if (p->kind == HOLD_RDONLY)
		return err_set(DTPROC_ESTATE, "pid %d is held read-only", (int)p->pid);
	if (hold_forked(p->session))
		return err_set(
			DTPROC_ESTATE, "pid %d is held by our parent", (int)p->pid);
	control_pump(p);
	if (state_ended(p))
		return state_error(p);
	if (p->hung_up)
		return err_set(DTPROC_ESTATE, "pid %d is not held any more", (int)p->pid);
	if (!req->generation)
		req->generation = p->status.generation;
	req->react_ms = p->control.started ? p->session->options.react_deadline_ms : 0;
	rc = victim_ctl_call(&p->ctl, req, fds, nfds, reply, NULL);
	if (!p->ctl.broken) {
		state_from_wire(p, reply->state);
		return rc;
	}
	snprintf(why, sizeof why, "%s", err_text());
	request_lost(p, why);
	return state_error(p);
}

/* ------------------------------------------------------------ start and end */

/* The kernel refused the keeper: says by what, as far as can be told. */
static int explain(struct dtproc_proc *p, int rc)
{
	if (rc == DTPROC_EPERM && !p->created)
		return victim_check_refusal(p->pid, VICTIM_CONTROL);
	/* We could make the child dumpable, but its memory is a copy of the client's. */
	if (p->created && (rc == DTPROC_ESYS || rc == DTPROC_EPERM) && geteuid() != 0 &&
		prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1)
		return err_set(DTPROC_EPERM,
			"permission denied: this very process is not dumpable (it changed "
			"its user, or asked for that with prctl), and so is its child "
			"before it executes another program");
	return p->created && rc == DTPROC_EPERM ? victim_check_own_child() : rc;
}

/*
 * Starts a keeper and has it start.  The pidfd comes first: the keeper finds out whether
 * what it has seized by number is that process (rule A7); for a stub, that it is its own
 * child still, whose number was nobody else's meanwhile.
 */
static int try_start(struct dtproc_proc *p, const struct victim_program *program,
	struct wire_reply *reply, int *mem)
{
	int rc = victim_ctl_open(&p->ctl, program);

	if (rc == 0)
		STEP(CLIENT_STARTED);
	if (rc == 0 && program)
		rc = victim_pidfd_open(p->ctl.stub, &p->pidfd);
	if (rc == 0)
		rc = start(p, program ? p->ctl.stub : p->pid, program ? WIRE_CREATE : 0,
			reply, mem);
	return rc;
}

int request_start(struct dtproc_proc *p, const struct victim_program *program)
{
	struct wire_reply reply;
	int mem = -1, rc = try_start(p, program, &reply, &mem);

	for (int i = 0; rc == DTPROC_ESTALE && i < RETRIES; i++) {
		victim_ctl_close(&p->ctl);
		rc = try_start(p, program, &reply, &mem);
	}
	if (rc) {
		/* Hanging up makes the keeper undo whatever it did. */
		char text[ERR_TEXT_MAX];
		snprintf(text, sizeof text, "%s", err_text());
		victim_ctl_close(&p->ctl);
		err_set(rc, "%s", text);
		return explain(p, rc);
	}
	if (program)
		p->pid = (pid_t)reply.value;
	p->image.mem = mem;
	p->status.generation = reply.generation; /* nobody else has the handle yet */
	p->hung_up = 0;
	state_from_wire(p, reply.state);
	return 0;
}

static const uint64_t wire_ends[] = {
	[DTPROC_RELEASE_DEFAULT] = WIRE_END_DEFAULT,
	[DTPROC_RELEASE_KILL] = WIRE_END_KILL,
	[DTPROC_RELEASE_RUN] = WIRE_END_RUN,
	[DTPROC_RELEASE_STOPPED] = WIRE_END_STOPPED,
};

/*
 * What the mode asks of a victim that has no keeper any more.  One that was lost to a
 * set-id program, sudo say, runs on as it would without us, unless it is killed by name.
 */
static void end_without_keeper(struct dtproc_proc *p, enum dtproc_release_mode mode)
{
	int sig = mode == DTPROC_RELEASE_STOPPED                               ? SIGSTOP
		  : mode == DTPROC_RELEASE_KILL                                ? SIGKILL
		  : mode == DTPROC_RELEASE_DEFAULT && p->created && !p->let_be ? SIGKILL
									       : 0;

	if (sig)
		syscall(SYS_pidfd_send_signal, p->pidfd, sig, NULL, 0);
}

static void detach(struct dtproc_proc *p, enum dtproc_release_mode mode)
{
	struct wire_request req = {.op = WIRE_DETACH, .arg = wire_ends[mode]};
	struct wire_reply reply;
	int rc = victim_ctl_call(&p->ctl, &req, NULL, 0, &reply, NULL);

	if (p->ctl.broken) {
		char why[128];
		snprintf(why, sizeof why, "%s", err_text());
		request_lost(p, why);
	} else if (rc) {
		/* Hanging up is the other way to make it let go. */
		log_line("hold", 1, "pid %d: detach: %s", (int)p->pid, err_text());
	} else {
		finish(p);
	}
}

void request_end(struct dtproc_proc *p, enum dtproc_release_mode mode)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct dtproc_proc_status st;

	if ((unsigned)mode > DTPROC_RELEASE_STOPPED)
		mode = DTPROC_RELEASE_DEFAULT;
	if (!p->hung_up && !state_ended(p))
		detach(p, mode);
	else if (!p->hung_up)
		finish(p);
	dtproc_proc_status(p, &st);
	if (st.run == DTPROC_LOST)
		end_without_keeper(p, mode);
	victim_ctl_close(&p->ctl);
	p->hung_up = 1;
}
