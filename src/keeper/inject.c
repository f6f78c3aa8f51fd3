/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls that the victim is made to execute.
 *
 * The registers of a stopped thread are pointed at the system call instruction of the
 * vDSO, which no breakpoint of ours can cover and which is the same in every program.
 * Asynchronous signals are blocked meanwhile.  Behind the call the thread is interrupted
 * again before its registers are put back, because only then does the kernel restart a
 * system call that the first stop had cut short.
 *
 * Never under seccomp, whose filter might kill the victim for a call that the program
 * itself would not make, unless we may suspend it for that moment (CAP_SYS_ADMIN).
 */
#include "keeper.h"
#include "ptrace.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * How long a thread may take to where a call can be made, and for the call itself, in
 * ns.  The first can be given up without harm; with the second the registers are ours,
 * so it ends with the victim's memory management at a standstill, or not at all.
 */
#define SETTLE_NS 1000000000u
#define CALL_NS 60000000000u

static dtproc_addr find_syscall(struct keeper *k)
{
	uint8_t page[2 * 4096];
	dtproc_addr base = task_auxv(live_tid(k), AT_SYSINFO_EHDR);
	long n = base ? pread(k->mem, page, sizeof page, (off_t)base) : -1;

	for (long i = 0; i + ARCH_SYSCALL_LEN <= n; i++)
		if (!memcmp(page + i, arch_syscall_insn, ARCH_SYSCALL_LEN))
			return base + (dtproc_addr)i;
	return 0;
}

void inject_probe(struct keeper *k)
{
	k->syscall_pc = find_syscall(k);
	k->no_inject = !k->syscall_pc;
}

/*
 * Resumes by `go` until the task reports a stop that `want` accepts; 0, -ESRCH, or
 * -EAGAIN when it reports nothing: it runs.
 */
static int run_until(
	struct keeper *k, struct task *t, int (*go)(pid_t), int want, uint64_t timeout)
{
	struct wait_event ev;

	for (;;) {
		if (go(t->tid))
			return -ESRCH;
		int got = wait_one(t->tid, timeout, &ev);
		if (got <= 0)
			return got ? -ESRCH : -EAGAIN;
		if (!WIFSTOPPED(ev.status)) {
			stops_dispatch(k, &ev);
			return -ESRCH;
		}
		if (ev.status >> 16 == PTRACE_EVENT_STOP)
			stops_group(k, t, WSTOPSIG(ev.status));
		else if (WSTOPSIG(ev.status) == SIGSTOP)
			t->owed_stop = 1;
		if (WSTOPSIG(ev.status) == want || (ev.status >> 16) == want)
			return 0;
	}
}

static int go_cont(pid_t tid)
{
	return pt_cont(tid, 0);
}

/*
 * To the entry of the call.  A victim that is frozen in its cgroup does not come there,
 * but answers an interrupt: then nothing has happened, and its registers can be put back.
 */
static int enter(struct keeper *k, struct task *t)
{
	struct wait_event ev;
	int code = run_until(k, t, pt_syscall, SIGTRAP | 0x80, SETTLE_NS);

	if (code != -EAGAIN)
		return code;
	if (pt_interrupt(t->tid) || wait_one(t->tid, SETTLE_NS, &ev) <= 0)
		return -ESRCH;
	if (!WIFSTOPPED(ev.status)) {
		stops_dispatch(k, &ev);
		return -ESRCH;
	}
	return WSTOPSIG(ev.status) == (SIGTRAP | 0x80) ? 0 : -EAGAIN;
}

/* The call itself: from one EVENT_STOP to the next. */
static long call(struct keeper *k, struct task *t, struct user_regs_struct *regs)
{
	uint64_t result;

	if (pt_set_regs(t->tid, regs))
		return -ESRCH;
	STEP(INJECT_SET);
	int in = enter(k, t);
	if (in)
		return in;
	STEP(INJECT_IN);
	if (run_until(k, t, pt_syscall, SIGTRAP | 0x80, CALL_NS)) /* exit */
		return -ESRCH;
	STEP(INJECT_OUT);
	if (pt_peek_user(t->tid, arch_user_offset(ARCH_RESULT), &result))
		return -ESRCH;
	if (pt_interrupt(t->tid) || run_until(k, t, go_cont, PTRACE_EVENT_STOP, CALL_NS))
		return -ESRCH;
	return (long)result;
}

/* Brings a task from whatever stop it is in to an EVENT_STOP. */
static int settle(struct keeper *k, struct task *t)
{
	struct wait_event ev;

	while (!t->at_event) {
		int sig = t->sig;
		t->sig = 0;
		t->run = TASK_RUNS;
		if (pt_interrupt(t->tid) || pt_cont(t->tid, sig) ||
			wait_one(t->tid, SETTLE_NS, &ev) <= 0)
			return -ESRCH;
		pid_t tid = t->tid;
		stops_dispatch(k, &ev);
		t = task_get(k, tid);
		if (!t)
			return -ESRCH;
		if (t->run != TASK_STOPPED)
			return -ESRCH;
		stops_normalize(k, t);
	}
	return 0;
}

/* Takes the victim's seccomp filter out of the way of one call, or puts it back. */
static int suspend_seccomp(struct keeper *k, pid_t tid, long suspend)
{
	long options = pt_options | (k->created ? pt_options_created : 0);

	if (task_status(tid, "Seccomp:") <= 0)
		return 0;
	if (!pt_set_options(tid, options | suspend))
		return 0;
	k->no_inject = 1;
	return -EPERM;
}

long inject_call_by(struct keeper *k, struct task *t, long nr, const uint64_t args[6])
{
	struct user_regs_struct saved, regs;
	uint64_t mask;
	pid_t tid = t->tid;
	uint8_t held = k->held;

	k->held = 1; /* nobody else is resumed meanwhile */
	int settled = settle(k, t);
	k->held = held;
	if (settled)
		return -ESRCH;
	if (suspend_seccomp(k, tid, pt_suspend_seccomp))
		return -EPERM;
	if (pt_get_regs(tid, &saved) || pt_get_mask(tid, &mask) ||
		pt_set_mask(tid, ~0ULL))
		return -ESRCH;
	regs = saved;
	arch_set_call(&regs, k->syscall_pc, nr, args);
	long result = call(k, t, &regs);
	if (!task_get(k, tid))
		return -ESRCH;
	pt_set_regs(tid, &saved);
	pt_set_mask(tid, mask);
	suspend_seccomp(k, tid, 0);
	stops_pay(t);
	return result;
}

/* How gladly a task is taken: it must be stopped, and not about to wait for a child. */
static int fitness(struct keeper *k, const struct task *t)
{
	if (t->run != TASK_STOPPED || t->vforking)
		return 0;
	return 1 + t->at_event + 2 * (t->tgid == k->pid);
}

long inject_call(struct keeper *k, long nr, const uint64_t args[6])
{
	struct task *best = NULL;

	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (fitness(k, t) > (best ? fitness(k, best) : 0))
			best = t;
	}
	if (!best || k->no_inject)
		return -EPERM;
	return inject_call_by(k, best, nr, args);
}
