/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single steps: only where an instruction can run nowhere but at its own place, and where
 * a signal has to wait for one instruction.
 *
 * Asynchronous signals are blocked meanwhile; those that instructions cause are not.  An
 * instruction may also wait, for a page that somebody else has to provide; then the
 * thread is left at it, and its trap is expected whenever it comes.
 */
#include "keeper.h"
#include "ptrace.h"

#include <sys/ptrace.h>
#include <sys/wait.h>

/* How long a single instruction may take before others are let go on, in ns. */
#define STEP_NS 500000000u

/* Signals that instructions cause; they must not be blocked while one is stepped. */
static const uint64_t synchronous = 1ULL << (SIGSEGV - 1) | 1ULL << (SIGBUS - 1) |
				    1ULL << (SIGILL - 1) | 1ULL << (SIGFPE - 1) |
				    1ULL << (SIGTRAP - 1) | 1ULL << (SIGSYS - 1);

void stops_pay(struct task *t)
{
	if (t->owed_stop)
		kill(t->tgid, SIGSTOP); /* nothing can see who sends a SIGSTOP */
	t->owed_stop = 0;
}

/* The instruction waits for something; its trap is expected, whenever it comes. */
static int still_stepping(struct task *t, uint64_t mask)
{
	t->run = TASK_RUNS;
	t->stepping = 1;
	t->mask = mask;
	t->mask_known = 1;
	return -1;
}

/* Blocks its asynchronous signals; a successor would find in the ledger what was. */
static int hold_off(struct keeper *k, struct task *t, uint64_t mask)
{
	k->ledger->mask = mask;
	__atomic_store_n(&k->ledger->masked_tid, t->tid, __ATOMIC_RELEASE);
	guard_step(k, t->tid, mask);
	return pt_set_mask(t->tid, mask | ~synchronous);
}

static void let_in(struct keeper *k, struct task *t, uint64_t mask)
{
	pt_set_mask(t->tid, mask);
	k->ledger->masked_tid = 0;
	guard_step(k, 0, 0);
}

int step_ended(struct keeper *k, struct task *t)
{
	siginfo_t si;

	t->stepping = 0;
	let_in(k, t, t->mask);
	return !pt_get_siginfo(t->tid, &si) && si.si_code == TRAP_TRACE;
}

int stops_step(struct keeper *k, struct task *t)
{
	struct wait_event ev;
	uint64_t mask, pc = 0, sp = 0;
	int done = -1;

	if (pt_get_mask(t->tid, &mask) || hold_off(k, t, mask))
		return -1;
	STEP(STEP_MASKED);
	pt_peek_user(t->tid, arch_user_offset(ARCH_PC), &pc);
	pt_peek_user(t->tid, arch_user_offset(ARCH_SP), &sp);
	while (done < 0) {
		if (pt_step(t->tid))
			return -1;
		int got = wait_one(t->tid, STEP_NS, &ev);
		if (!got)
			return still_stepping(t, mask);
		if (got < 0)
			return -1;
		if (!WIFSTOPPED(ev.status)) {
			stops_dispatch(k, &ev);
			return -1;
		}
		if (ev.status >> 16) {
			if (ev.status >> 16 == PTRACE_EVENT_STOP)
				stops_group(k, t, WSTOPSIG(ev.status));
			continue;
		}
		if (WSTOPSIG(ev.status) == SIGSTOP)
			t->owed_stop = 1;
		else
			done = WSTOPSIG(ev.status);
	}
	STEP(STEP_DONE);
	let_in(k, t, mask);
	wait_take(t->tid);
	stops_pay(t);
	t->at_event = 0;
	if (done != SIGTRAP) { /* the instruction faulted: its handler may try again */
		t->sig = done;
		t->repeat_pc = pc;
		t->repeat_sp = sp;
	}
	if (t->listen) { /* back into the group stop */
		t->listen = 0;
		pt_interrupt(t->tid);
	}
	return 0;
}

/* Steps those that stand on a site without a slot; the sites are lifted meanwhile. */
static void step_past(struct keeper *k)
{
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		struct site *s = t->skip ? site_get(k, t->skip) : NULL;
		uint64_t pc;
		if (t->run != TASK_STOPPED || !s || !s->ready ||
			(s->way == ARCH_SLOT && s->slot))
			continue;
		int elsewhere = pt_peek_user(t->tid, arch_user_offset(ARCH_PC), &pc) ||
				pc != t->skip;
		t->skip = 0; /* in any case, or a task that was killed keeps us here */
		if (elsewhere || (s->planted && site_lift(k, s)))
			continue;
		k->ledger->stepped++;
		stops_step(k, t);
		return; /* the table may have changed */
	}
}

static int must_step(struct keeper *k)
{
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		struct site *s = t->skip ? site_get(k, t->skip) : NULL;
		if (t->run == TASK_STOPPED && s && s->ready &&
			!(s->way == ARCH_SLOT && s->slot))
			return 1;
	}
	return 0;
}

void step_all(struct keeper *k)
{
	while (must_step(k))
		step_past(k);
}
