/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals that are not ours: each reaches the victim unchanged and once (D3), with a PC
 * of its own text (D6), and no system call is cut short by us (D4).
 */
#include "keeper.h"
#include "ptrace.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static uint64_t bit(int sig)
{
	return 1ULL << (sig - 1);
}

/*
 * Would the kernel have discarded this signal without waking anybody, had the victim
 * not been traced?  (A traced process is woken by ignored signals too.)
 */
static int is_ignored(pid_t pid, int sig)
{
	const uint64_t by_default =
		bit(SIGCHLD) | bit(SIGURG) | bit(SIGWINCH) | bit(SIGCONT);

	if (task_mask(pid, "SigIgn:") & bit(sig))
		return 1;
	return (by_default & bit(sig)) && !(task_mask(pid, "SigCgt:") & bit(sig));
}

/* ------------------------------------------------------------ system calls (D4) */

void signal_mend_call(struct keeper *k, struct task *t)
{
	struct user_regs_struct regs;

	if (pt_get_regs(t->tid, &regs))
		return;
	uint64_t nr = arch_get(&regs, ARCH_SYSCALL);
	if ((int64_t)nr < 0 && arch_get(&regs, ARCH_PC) == t->rewound_pc)
		return; /* it stands before the call still */
	t->rewound_pc = 0;
	if (!arch_rewind_call(&regs))
		return;
	if (pt_set_regs(t->tid, &regs))
		return;
	t->rewound_nr = nr;
	t->rewound_pc = arch_get(&regs, ARCH_PC);
	log_line("signals", 2, "pid %d: call %ld of %d is made again", k->pid, (long)nr,
		t->tid);
}

/* A signal is about to be delivered: a call cut short by it, not by us, says so. */
static void settle_call(struct keeper *k, struct task *t, int sig)
{
	struct user_regs_struct regs;

	if (RULE(D4, ignored) && is_ignored(t->tgid, sig)) {
		signal_mend_call(k, t);
		return;
	}
	if (!t->rewound_pc || pt_get_regs(t->tid, &regs))
		return;
	if (arch_get(&regs, ARCH_PC) == t->rewound_pc && RULE(D4, handled)) {
		arch_unrewind_call(&regs, t->rewound_nr);
		pt_set_regs(t->tid, &regs);
	}
	t->rewound_pc = 0;
}

static int in_call(struct task *t)
{
	uint64_t nr;

	return t->rewound_pc ||
	       (!pt_peek_user(t->tid, arch_user_offset(ARCH_SYSCALL), &nr) &&
		       (int64_t)nr >= 0);
}

/* ------------------------------------------------------------------- slots (D6) */

static int is_fault(const siginfo_t *si)
{
	const uint64_t faults = bit(SIGSEGV) | bit(SIGBUS) | bit(SIGILL) | bit(SIGFPE) |
				bit(SIGTRAP) | bit(SIGSYS);

	return si->si_code > 0 && (faults & bit(si->si_signo));
}

/*
 * The signal found the thread before the displaced instruction, whose hit is counted.
 * An asynchronous one waits for that one instruction; a fault of the instruction itself
 * is told at the site, and the hit that follows when its handler tries again is not
 * counted; the same for a system call, which might sleep.
 */
static void leave_slot(struct keeper *k, struct task *t, struct site *s, int sig)
{
	siginfo_t si;
	uint64_t sp = 0;
	dtproc_addr at;
	pid_t tid = t->tid;

	if (pt_get_siginfo(tid, &si))
		return;
	if (!is_fault(&si) && !s->syscall && RULE(D6, slot)) {
		if (stops_step(k, t) || t->sig)
			return; /* gone, or the instruction has faulted: that comes first
				 */
		uint64_t pc;
		if (!pt_peek_user(tid, arch_user_offset(ARCH_PC), &pc) &&
			site_of_slot(k, pc, &at) && pc != s->slot)
			pt_poke_user(tid, arch_user_offset(ARCH_PC), at);
		if (RULE(D3, siginfo))
			pt_set_siginfo(tid, &si);
		t->sig = sig;
		return;
	}
	pt_peek_user(tid, arch_user_offset(ARCH_SP), &sp);
	pt_poke_user(tid, arch_user_offset(ARCH_PC), s->addr);
	if (is_fault(&si) ? RULE(D6, fault) : RULE(D6, slot)) {
		t->repeat_pc = s->addr;
		t->repeat_sp = sp;
	}
	t->sig = sig;
}

/* proc:::fault, and signal-handle or -discard: before the signal is delivered. */
static void fire(struct keeper *k, struct task *t, int sig)
{
	siginfo_t si;

	if ((!moment_wanted(k, WIRE_MOMENT_SIGNAL_HANDLE) &&
		    !moment_wanted(k, WIRE_MOMENT_SIGNAL_DISCARD) &&
		    !moment_wanted(k, WIRE_MOMENT_FAULT)) ||
		pt_get_siginfo(t->tid, &si))
		return;
	const struct moment fault = {.args = {(uint64_t)sig, (uintptr_t)si.si_addr}};
	const struct moment handle = {
		.args = {(uint64_t)sig, si.si_code <= 0 ? (uint64_t)si.si_pid : 0}};
	const struct moment discard = {
		.args = {(uint64_t)t->tid, (uint64_t)t->tgid, (uint64_t)sig}};

	if (is_fault(&si))
		moment_fire(k, t, WIRE_MOMENT_FAULT, &fault);
	if (is_ignored(t->tgid, sig))
		moment_fire(k, t, WIRE_MOMENT_SIGNAL_DISCARD, &discard);
	else
		moment_fire(k, t, WIRE_MOMENT_SIGNAL_HANDLE, &handle);
}

void signal_dispatch(struct keeper *k, struct task *t, int sig)
{
	uint64_t pc;
	dtproc_addr at;
	pid_t tid = t->tid;

	STEP(SIGNAL_SEEN);
	fire(k, t, sig);
	if (pt_peek_user(tid, arch_user_offset(ARCH_PC), &pc))
		return;
	struct site *s = RULE(D6, signal) ? site_of_slot(k, pc, &at) : NULL;
	if (s && pc == s->slot) {
		leave_slot(k, t, s, sig);
		return;
	}
	if (s)
		stops_normalize(k, t);
	t->sig = sig;
	if (in_call(t))
		settle_call(k, t, sig);
}

/* ------------------------------------------------- what a trap does to SIGTRAP (D7) */

/*
 * A trap hit while SIGTRAP is blocked or ignored makes the kernel unblock it and reset
 * its disposition (force_sig_info_to_task), traced or not.  The mask is put back when
 * it is known to have blocked SIGTRAP: from a stop before, or because everything else
 * is blocked (sigfillset); what is known may be old, for a thread that was stopped in
 * its own SIGTRAP handler, so a disposition that is still there comes first.  One is
 * read before the first trap is planted and put back by a call in the victim.  Of one
 * that the program sets later the handler is noted at the entry of libc's sigaction();
 * flags, mask and restorer survive the reset.  A direct system call passes that by.
 */
static int have_scratch(struct keeper *k, struct task *t)
{
	const uint64_t map[6] = {0, 4096, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0};

	if (k->scratch)
		return 1;
	long got =
		t ? inject_call_by(k, t, SYS_mmap, map) : inject_call(k, SYS_mmap, map);
	if (got < 0 && got > -4096)
		return 0;
	k->scratch = (dtproc_addr)got;
	return 1;
}

void signal_learn_trap(struct keeper *k)
{
	uint64_t set = task_mask(k->pid, "SigCgt:") | task_mask(k->pid, "SigIgn:");

	k->trap_handled = 0;
	if (!(set & bit(SIGTRAP)) || k->no_inject)
		return;
	if (!have_scratch(k, NULL))
		return;
	const uint64_t ask[6] = {SIGTRAP, 0, k->scratch, 8, 0, 0};
	if (inject_call(k, SYS_rt_sigaction, ask) == 0 &&
		sites_read(k, k->scratch, &k->trap_action, sizeof k->trap_action) ==
			(long)sizeof k->trap_action)
		k->trap_handled = !guard_is(k, &k->trap_action);
}

void signal_note_trap(struct keeper *k, struct task *t)
{
	uint64_t sig = 0, action = 0, handler;

	if (pt_peek_user(t->tid, arch_arg_offset(0), &sig) || sig != SIGTRAP ||
		pt_peek_user(t->tid, arch_arg_offset(1), &action) || !action ||
		sites_read(k, action, &handler, sizeof handler) != sizeof handler)
		return;
	k->trap_action.handler = handler;
	k->trap_handled = k->trap_noted = handler != (uintptr_t)SIG_DFL;
}

/* The rest of an action whose handler was noted: it is in the kernel still. */
static int complete_action(struct keeper *k, struct task *t)
{
	const uint64_t ask[6] = {SIGTRAP, 0, k->scratch, 8, 0, 0};
	const size_t head = sizeof(uint64_t), rest = sizeof k->trap_action - head;

	if (!k->trap_noted)
		return 1;
	if (inject_call_by(k, t, SYS_rt_sigaction, ask) != 0 ||
		sites_read(k, k->scratch + head, (char *)&k->trap_action + head, rest) !=
			(long)rest)
		return 0;
	k->trap_noted = 0;
	return 1;
}

static void restore_action(struct keeper *k, struct task *t)
{
	if (k->no_inject || !have_scratch(k, t) || !complete_action(k, t))
		return;
	const uint64_t args[6] = {SIGTRAP, k->scratch, 0, 8, 0, 0};

	if (sites_write(k, k->scratch, &k->trap_action, sizeof k->trap_action) > 0)
		inject_call_by(k, t, SYS_rt_sigaction, args);
}

void signal_mend_trap(struct keeper *k, struct task *t)
{
	const uint64_t never = bit(SIGKILL) | bit(SIGSTOP) | bit(32) | bit(33);
	uint64_t mask;
	pid_t tid = t->tid;

	if (pt_get_mask(tid, &mask))
		return;
	int blocked = (mask | bit(SIGTRAP) | never) == ~0ULL ||
		      (t->mask_known && (t->mask & bit(SIGTRAP)) &&
			      mask == (t->mask & ~bit(SIGTRAP)));
	if (!blocked && !k->trap_handled)
		return;
	/* A handler that is still there proves that nothing was blocked. */
	if ((task_mask(k->pid, "SigCgt:") | task_mask(k->pid, "SigIgn:")) & bit(SIGTRAP))
		return;
	if (blocked && RULE(D7, mask)) {
		pt_set_mask(tid, mask | bit(SIGTRAP));
		t->mask = mask | bit(SIGTRAP);
		t->mask_known = 1;
	}
	if (k->trap_handled && RULE(D7, action))
		restore_action(k, t);
	else
		k->guard.set = k->guard.current =
			0; /* lost: set when traps are planted */
}
