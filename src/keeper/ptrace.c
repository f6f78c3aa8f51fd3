/* SPDX-License-Identifier: BSD-2-Clause */
#include "ptrace.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ptrace.h>

/* No TRACEEXIT: see docs/LINUX-FACTS.md, "exec from a thread that is not the leader". */
const long pt_options = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXEC |
			PTRACE_O_TRACESYSGOOD;
/* A created victim ends with its keeper (A10). */
const long pt_options_created = PTRACE_O_EXITKILL;
const long pt_suspend_seccomp = PTRACE_O_SUSPEND_SECCOMP;

static int call(int op, pid_t tid, uintptr_t addr, uintptr_t data)
{
	return ptrace(op, tid, (void *)addr, (void *)data) < 0 ? -errno : 0;
}

int pt_seize(pid_t tid, long options)
{
	return call(PTRACE_SEIZE, tid, 0, (uintptr_t)options);
}

int pt_interrupt(pid_t tid)
{
	return call(PTRACE_INTERRUPT, tid, 0, 0);
}

int pt_cont(pid_t tid, int sig)
{
	return call(PTRACE_CONT, tid, 0, (uintptr_t)sig);
}

int pt_listen(pid_t tid)
{
	return call(PTRACE_LISTEN, tid, 0, 0);
}

int pt_step(pid_t tid)
{
	return call(PTRACE_SINGLESTEP, tid, 0, 0);
}

int pt_syscall(pid_t tid)
{
	return call(PTRACE_SYSCALL, tid, 0, 0);
}

int pt_set_options(pid_t tid, long options)
{
	return call(PTRACE_SETOPTIONS, tid, 0, (uintptr_t)options);
}

int pt_detach(pid_t tid, int sig)
{
	return call(PTRACE_DETACH, tid, 0, (uintptr_t)sig);
}

int pt_peek_user(pid_t tid, long offset, uint64_t *out)
{
	errno = 0;
	long v = ptrace(PTRACE_PEEKUSER, tid, (void *)offset, NULL);
	if (v == -1 && errno)
		return -errno;
	*out = (uint64_t)v;
	return 0;
}

int pt_poke_user(pid_t tid, long offset, uint64_t value)
{
	return call(PTRACE_POKEUSER, tid, (uintptr_t)offset, value);
}

int pt_get_regs(pid_t tid, struct user_regs_struct *regs)
{
	return call(PTRACE_GETREGS, tid, 0, (uintptr_t)regs);
}

int pt_set_regs(pid_t tid, const struct user_regs_struct *regs)
{
	return call(PTRACE_SETREGS, tid, 0, (uintptr_t)regs);
}

int pt_get_siginfo(pid_t tid, siginfo_t *si)
{
	return call(PTRACE_GETSIGINFO, tid, 0, (uintptr_t)si);
}

int pt_set_siginfo(pid_t tid, const siginfo_t *si)
{
	return call(PTRACE_SETSIGINFO, tid, 0, (uintptr_t)si);
}

int pt_event_message(pid_t tid, unsigned long *out)
{
	return call(PTRACE_GETEVENTMSG, tid, 0, (uintptr_t)out);
}

int pt_get_mask(pid_t tid, uint64_t *mask)
{
	return call(PTRACE_GETSIGMASK, tid, sizeof *mask, (uintptr_t)mask);
}

int pt_set_mask(pid_t tid, uint64_t mask)
{
	return call(PTRACE_SETSIGMASK, tid, sizeof mask, (uintptr_t)&mask);
}

int pt_trap_pending(pid_t tid)
{
	siginfo_t si[16];
	struct __ptrace_peeksiginfo_args args = {.off = 0, .flags = 0, .nr = 16};

	for (;;) {
		long n = ptrace(PTRACE_PEEKSIGINFO, tid, &args, si);
		for (long i = 0; i < n; i++)
			if (si[i].si_signo == SIGTRAP && si[i].si_code == SI_KERNEL)
				return 1;
		if (n < 16)
			return 0;
		args.off += 16;
	}
}
