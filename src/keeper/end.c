/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of control.
 *
 * All tasks are stopped, which takes them out of our slots and brings out traps that
 * were hit but not told yet; the text is restored; each is detached with the signal it
 * was about to get.  A group stop stays in effect over the detach.
 */
#include "keeper.h"
#include "kin.h"
#include "ptrace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define KILL_NS 1000000000u

static void detach_all(struct keeper *k)
{
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (t->run == TASK_STOPPED)
			pt_detach(t->tid, RULE(D3, detach) ? t->sig : 0);
		STEP(END_ONE);
		free(t);
	}
	hash_free(&k->tasks);
}

/* Kills the victim and waits until it is reaped; -1: we are not allowed to. */
static int kill_victim(struct keeper *k)
{
	uint64_t deadline = now_ns() + KILL_NS;
	struct wait_event ev;

	if (kill(k->pid, SIGKILL)) {
		log_line("end", 1, "kill %d: %s", k->pid, strerror(errno));
		return -1;
	}
	while (k->state != WIRE_ST_GONE && now_ns() < deadline) {
		int got = wait_any(&ev);
		if (got < 0)
			break;
		if (got)
			stops_dispatch(k, &ev);
		else
			wait_sleep(deadline);
	}
	return 0;
}

static void let_run(struct keeper *k, enum wire_end mode)
{
	if (stops_try_hold(k))
		log_line("end", 1, "letting go all the same: %s", err_text());
	STEP(END_HELD);
	if (RULE(H5, text))
		sites_lift(k);
	semaphores_lower(k);
	STEP(END_LIFTED);
	guard_remove(k);
	if (k->state != WIRE_ST_GONE && mode == WIRE_END_STOPPED && RULE(A9, stopped))
		kill(k->pid, SIGSTOP);
	detach_all(k);
	STEP(END_DONE);
}

/* Stopped on purpose by somebody else: kill and run are both suspended (G1). */
static int is_suspended(const struct keeper *k)
{
	return k->stopped_by == SIGSTOP ? RULE(G1, suspend)
					: k->stopped_by && !RULE(G1, job);
}

void end_let_go(struct keeper *k, enum wire_end mode)
{
	k->follow = 0;
	if (mode == WIRE_END_DEFAULT)
		mode = k->created && !is_suspended(k) && RULE(A10, kill) ? WIRE_END_KILL
									 : WIRE_END_RUN;
	/* Before WIRE_START there is no PID, and 0 would be our own group. */
	int refused = mode == WIRE_END_KILL && k->state != WIRE_ST_GONE &&
		      k->state != WIRE_ST_START && kill_victim(k);
	/*
	 * Processes that share its memory may live on.  A created victim that has become
	 * somebody else's is not let go: it is killed by our own end (PTRACE_O_EXITKILL).
	 */
	if ((k->tasks.n || k->unborn) && !(refused && k->created && kin_count() == 1))
		let_run(k, mode);
	keeper_state(k, WIRE_ST_GONE);
}

void end_client_gone(struct keeper *k)
{
	if (k->state != WIRE_ST_START || is_suspended(k))
		end_let_go(k, WIRE_END_DEFAULT);
	k->finished = 1;
}

/* ------------------------------------------------------------------- repair (H4) */

static int adopt(struct keeper *k, uint32_t i)
{
	const struct wire_trap *t = &k->ledger->trap[i];
	struct site *s = calloc(1, sizeof *s);

	if (!s || hash_put(&k->sites, t->addr, s)) {
		free(s);
		return err_nomem("the traps of a dead keeper");
	}
	s->addr = t->addr;
	s->slot = t->slot;
	s->len = t->len;
	s->orig[0] = t->orig;
	s->way = t->slot ? ARCH_SLOT : ARCH_STEP;
	s->trap = i + 1;
	s->ready = s->planted = 1;
	return s->slot ? hash_put(&k->slots, s->slot, s) : 0;
}

/* A thread that the dying keeper dropped right behind a trap. */
static void rewind_dropped(struct keeper *k)
{
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		uint64_t pc;
		if (t->run != TASK_STOPPED ||
			pt_peek_user(t->tid, arch_user_offset(ARCH_PC), &pc))
			continue;
		struct site *s = site_get(k, pc - ARCH_TRAP_LEN);
		if (s && s->len > ARCH_TRAP_LEN)
			pt_poke_user(t->tid, arch_user_offset(ARCH_PC), s->addr);
	}
}

/* What else the dead keeper had done to the victim. */
static void take_back(struct keeper *k)
{
	struct task *t = task_get(k, k->ledger->masked_tid);

	if (t && t->run == TASK_STOPPED)
		pt_set_mask(t->tid, k->ledger->mask);
	k->ledger->masked_tid = 0;
	inject_probe(k);
	k->guard.code = k->ledger->guard;
	k->guard.set = k->guard.code && !k->no_inject;
	guard_remove(k);
}

int end_repair(struct keeper *k)
{
	uint32_t traps = k->ledger->traps;
	int code = 0;

	for (uint32_t i = 0; !code && i < traps && i < WIRE_LEDGER_TRAPS; i++)
		if (k->ledger->trap[i].addr)
			code = adopt(k, i);
	k->held = 0;
	STEP(REPAIR_KNOWN);
	if (!code)
		code = seize_all(k);
	if (code)
		return code;
	k->mem = open_mem(k, live_tid(k), "the victim");
	if (k->mem < 0)
		return DTPROC_EPERM;
	code = stops_try_hold(k);
	STEP(REPAIR_HELD);
	sites_lift(k);
	semaphores_lower(k);
	rewind_dropped(k);
	STEP(REPAIR_LIFTED);
	take_back(k);
	detach_all(k);
	keeper_state(k, WIRE_ST_GONE);
	return code;
}
