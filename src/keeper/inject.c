/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls that the victim is made to execute.
 *
 * The registers of a stopped thread are pointed at a system call instruction in the
 * vDSO, which no breakpoint of ours can cover and which every program has.  It is one of
 * our own, behind the end of the vDSO's file, followed by code that puts everything back
 * as it was: should we be killed, the thread goes on as if nothing had been.  Where
 * there is no such room it is one of the vDSO's, and the thread would be lost.
 *
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

#define PAGE 4096u
#define VDSO_PAGES 4

static dtproc_addr find_syscall(const uint8_t *vdso, long n, dtproc_addr base)
{
	for (long i = 0; i + ARCH_SYSCALL_LEN <= n; i++)
		if (!memcmp(vdso + i, arch_syscall_insn, ARCH_SYSCALL_LEN))
			return base + (dtproc_addr)i;
	return 0;
}

static const uint8_t none[ARCH_CALL_MAX];

/* Room behind the vDSO's file, in its last page; 0: there is none. */
static dtproc_addr find_room(const uint8_t *vdso, long n, dtproc_addr base)
{
	Elf64_Ehdr eh;
	uint64_t end, tail;

	if (n < (long)sizeof eh)
		return 0;
	memcpy(&eh, vdso, sizeof eh);
	end = (eh.e_shoff + (uint64_t)eh.e_shnum * eh.e_shentsize + 15) & ~15ULL;
	tail = (end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	if (tail > (uint64_t)n)
		return 0;
	/* Where a keeper has died amid a call, a thread may be still. */
	for (; end + ARCH_CALL_MAX <= tail; end += ARCH_CALL_MAX)
		if (!memcmp(vdso + end, none, sizeof none))
			return base + end;
	return 0;
}

void inject_probe(struct keeper *k)
{
	uint8_t vdso[VDSO_PAGES * PAGE];
	dtproc_addr base = task_auxv(live_tid(k), AT_SYSINFO_EHDR);
	long n = base ? pread(k->mem, vdso, sizeof vdso, (off_t)base) : -1;

	k->syscall_pc = find_syscall(vdso, n, base);
	k->no_inject = !k->syscall_pc;
	k->call_at = find_room(vdso, n, base);
}

/* Code for one call that survives us; where its call instruction is. */
static dtproc_addr put_code(
	struct keeper *k, const struct user_regs_struct *saved, uint64_t mask)
{
	uint8_t code[ARCH_CALL_MAX];
	size_t n = arch_call_code(saved, mask, code);

	if (!k->call_at || pwrite(k->mem, code, n, (off_t)k->call_at) != (ssize_t)n)
		return k->syscall_pc;
	return k->call_at;
}

static void take_code(struct keeper *k)
{
	if (k->call_at && pwrite(k->mem, none, sizeof none, (off_t)k->call_at) < 0)
		log_line("inject", 1, "code is left in the vDSO of %d", k->pid);
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
		wait_take(t->tid);
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

/*
 * The call itself: from one EVENT_STOP to the next.  The interrupt is asked for at the
 * entry, and waits there for the call's end: the calls that we make are cut short by
 * nothing but death.
 */
static long call(struct keeper *k, struct task *t, struct user_regs_struct *regs)
{
	uint64_t result;

	if (pt_set_regs(t->tid, regs) || pt_set_mask(t->tid, ~0ULL))
		return -ESRCH;
	STEP(INJECT_SET);
	int in = enter(k, t);
	if (in)
		return in;
	STEP(INJECT_IN);
	if (pt_interrupt(t->tid) || run_until(k, t, go_cont, PTRACE_EVENT_STOP, CALL_NS))
		return -ESRCH;
	STEP(INJECT_OUT);
	if (pt_peek_user(t->tid, arch_user_offset(ARCH_RESULT), &result))
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
	int filtered = task_status(tid, "Seccomp:") > 0;
	if (filtered && suspend_seccomp(k, tid, pt_suspend_seccomp))
		return -EPERM;
	if (pt_get_regs(tid, &saved) || pt_get_mask(tid, &mask))
		return -ESRCH;
	regs = saved;
	arch_set_call(&regs, put_code(k, &saved, mask), nr, args);
	long result = call(k, t, &regs);
	if (!task_get(k, tid))
		return -ESRCH;
	/* The mask first: as long as it runs that code, it would do both by itself. */
	pt_set_mask(tid, mask);
	pt_set_regs(tid, &saved);
	take_code(k);
	if (filtered)
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

static struct task *fittest(struct keeper *k)
{
	struct task *best = NULL;

	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (fitness(k, t) > (best ? fitness(k, best) : 0))
			best = t;
	}
	return best;
}

struct task *inject_task(struct keeper *k)
{
	struct task *t = fittest(k);

	return t && t->tgid == k->pid && !k->no_inject ? t : NULL;
}

long inject_call(struct keeper *k, long nr, const uint64_t args[6])
{
	struct task *t = fittest(k);

	if (!t || k->no_inject)
		return -EPERM;
	return inject_call_by(k, t, nr, args);
}
