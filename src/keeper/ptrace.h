/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The only file that calls ptrace(2): each wrapper is 0 or -errno (-ESRCH: the task is
 * gone or not stopped, which can happen at any moment by SIGKILL).
 */
#ifndef KEEPER_PTRACE_H
#define KEEPER_PTRACE_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

int pt_seize(pid_t tid, long options);
int pt_interrupt(pid_t tid);
int pt_cont(pid_t tid, int sig);
int pt_listen(pid_t tid);
int pt_step(pid_t tid);
int pt_syscall(pid_t tid);
int pt_detach(pid_t tid, int sig);
int pt_peek_user(pid_t tid, long offset, uint64_t *out);
int pt_poke_user(pid_t tid, long offset, uint64_t value);
int pt_get_regs(pid_t tid, struct user_regs_struct *);
int pt_set_regs(pid_t tid, const struct user_regs_struct *);
int pt_get_siginfo(pid_t tid, siginfo_t *);
int pt_set_siginfo(pid_t tid, const siginfo_t *);
int pt_event_message(pid_t tid, unsigned long *);
/* Blocked signals, bit n-1 for signal n. */
int pt_get_mask(pid_t tid, uint64_t *);
int pt_set_mask(pid_t tid, uint64_t);
/* Is a SIGTRAP of a trap instruction queued for the task behind its present stop? */
int pt_trap_pending(pid_t tid);

/* What a grab asks of a task, and what a created victim has besides. */
extern const long pt_options, pt_options_created;
/* Option that takes seccomp out of the way; only for the privileged. */
extern const long pt_suspend_seccomp;
int pt_set_options(pid_t tid, long options);

#endif
