/* SPDX-License-Identifier: BSD-2-Clause */
/* x86-64: registers, calling convention (System V ABI 3.2.3), system calls. */
#include "arch.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#define AT(field) ((long)offsetof(struct user_regs_struct, field))

long arch_user_offset(unsigned reg)
{
	/* DWARF numbers of System V's table 3.36: rax rdx rcx rbx rsi rdi rbp rsp r8...
	 */
	static const long offsets[] = {[ARCH_PC] = AT(rip),
		[ARCH_SP] = AT(rsp),
		[ARCH_RESULT] = AT(rax),
		[ARCH_SYSCALL] = AT(orig_rax),
		[ARCH_REG_FIRST] = AT(rax),
		AT(rdx),
		AT(rcx),
		AT(rbx),
		AT(rsi),
		AT(rdi),
		AT(rbp),
		AT(rsp),
		AT(r8),
		AT(r9),
		AT(r10),
		AT(r11),
		AT(r12),
		AT(r13),
		AT(r14),
		AT(r15),
		AT(rip),
		AT(eflags)};

	return reg < sizeof offsets / sizeof offsets[0] ? offsets[reg] : -1;
}

long arch_ureg_offset(unsigned n)
{
	/* REG_R15 ... REG_GSBASE of Solaris's <sys/regset.h>; trap number and error are
	 * the kernel's. */
	static const long offsets[] = {AT(r15), AT(r14), AT(r13), AT(r12), AT(r11),
		AT(r10), AT(r9), AT(r8), AT(rdi), AT(rsi), AT(rbp), AT(rbx), AT(rdx),
		AT(rcx), AT(rax), -1, -1, AT(rip), AT(cs), AT(eflags), AT(rsp), AT(ss),
		AT(fs), AT(gs), AT(es), AT(ds), AT(fs_base), AT(gs_base)};

	return n < sizeof offsets / sizeof *offsets ? offsets[n] : -1;
}

long arch_arg_offset(unsigned n)
{
	static const long offsets[] = {
		AT(rdi), AT(rsi), AT(rdx), AT(rcx), AT(r8), AT(r9)};

	return n < sizeof offsets / sizeof offsets[0] ? offsets[n] : -1;
}

dtproc_addr arch_arg_stack(unsigned n, dtproc_addr sp)
{
	return sp + 8 + (n - 6) * 8;
}

unsigned arch_result_reg(unsigned n)
{
	return n ? ARCH_REG_FIRST + 1 : ARCH_RESULT; /* rdx behind rax */
}

uint64_t arch_get(const struct user_regs_struct *r, enum arch_reg reg)
{
	return *(const unsigned long long *)((const char *)r + arch_user_offset(reg));
}

void arch_set(struct user_regs_struct *r, enum arch_reg reg, uint64_t value)
{
	*(unsigned long long *)((char *)r + arch_user_offset(reg)) = value;
}

const uint8_t arch_syscall_insn[ARCH_SYSCALL_LEN] = {0x0f, 0x05};

void arch_set_call(
	struct user_regs_struct *r, dtproc_addr pc, long nr, const uint64_t args[6])
{
	r->rip = pc;
	r->rax = (unsigned long)nr;
	r->orig_rax = -1UL; /* not in a call: nothing to restart */
	r->rdi = args[0];
	r->rsi = args[1];
	r->rdx = args[2];
	r->r10 = args[3];
	r->r8 = args[4];
	r->r9 = args[5];
}

static int restartable(long nr)
{
	switch (nr) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_semop:
	case SYS_semtimedop:
	case SYS_rt_sigtimedwait:
	case SYS_io_getevents:
	case SYS_io_pgetevents:
	case SYS_io_uring_enter:
	/* sockets with SO_RCVTIMEO or SO_SNDTIMEO: nothing was moved yet */
	case SYS_read:
	case SYS_readv:
	case SYS_write:
	case SYS_writev:
	case SYS_accept:
	case SYS_accept4:
	case SYS_connect:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
		return 1;
	default:
		return 0;
	}
}

int arch_rewind_call(struct user_regs_struct *r)
{
	if ((long)r->orig_rax < 0 || (long)r->rax != -EINTR)
		return 0;
	if (!restartable((long)r->orig_rax))
		return 0;
	r->rax = r->orig_rax;
	r->rip -= ARCH_SYSCALL_LEN;
	r->orig_rax = -1UL;
	return 1;
}

void arch_unrewind_call(struct user_regs_struct *r, uint64_t nr)
{
	r->rax = (unsigned long long)-EINTR;
	r->rip += ARCH_SYSCALL_LEN;
	r->orig_rax = nr;
}

/* ------------------------------------------------- calls that look after themselves */

static uint8_t *put(uint8_t *at, const void *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

/* mov $value, %reg; the 16 registers by their encoding. */
static uint8_t *put_load(uint8_t *at, unsigned reg, uint64_t value)
{
	const uint8_t op[2] = {reg < 8 ? 0x48 : 0x49, (uint8_t)(0xb8 | (reg & 7))};

	return put(put(at, op, sizeof op), &value, sizeof value);
}

/* Where the kernel would go on: it makes a call again that a stop has cut short. */
static void restarted(const struct user_regs_struct *saved, uint64_t *pc, uint64_t *rax)
{
	enum { SYS = 512, NOINTR = 513, NOHAND = 514, BLOCK = 516 }; /* linux/errno.h */
	long error = -(long)saved->rax;

	*pc = saved->rip;
	*rax = saved->rax;
	if ((long)saved->orig_rax < 0)
		return;
	if (error == SYS || error == NOINTR || error == NOHAND)
		*rax = saved->orig_rax;
	else if (error == BLOCK)
		*rax = SYS_restart_syscall;
	else
		return;
	*pc -= ARCH_SYSCALL_LEN;
}

size_t arch_call_code(
	const struct user_regs_struct *saved, uint64_t mask, uint8_t code[ARCH_CALL_MAX])
{
	/* rt_sigprocmask(SIG_SETMASK, &mask, NULL, 8), jmp *(%rip); no flag is changed.
	 */
	static const uint8_t set_mask[] = {0xb8, SYS_rt_sigprocmask, 0, 0, 0, 0xbf, 2, 0,
		0, 0, 0xba, 0, 0, 0, 0, 0x41, 0xba, 8, 0, 0, 0, 0x48, 0x8d, 0x35};
	static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0};
	uint64_t pc, rax;
	uint8_t *at = put(code, arch_syscall_insn, sizeof arch_syscall_insn), *rel;
	int32_t distance;

	restarted(saved, &pc, &rax);
	at = put(at, set_mask, sizeof set_mask);
	rel = at;
	at = put(at + sizeof distance, arch_syscall_insn, sizeof arch_syscall_insn);
	at = put_load(at, 0, rax);
	at = put_load(at, 1, saved->rcx);
	at = put_load(at, 2, saved->rdx);
	at = put_load(at, 6, saved->rsi);
	at = put_load(at, 7, saved->rdi);
	at = put_load(at, 8, saved->r8);
	at = put_load(at, 9, saved->r9);
	at = put_load(at, 10, saved->r10);
	at = put_load(at, 11, saved->r11);
	at = put(put(at, jump, sizeof jump), &pc, sizeof pc);
	distance = (int32_t)(at - (rel + sizeof distance));
	memcpy(rel, &distance, sizeof distance);
	return (size_t)(put(at, &mask, sizeof mask) - code);
}

/* ----------------------------------------------------------------------- the guard */

extern const uint8_t arch_guard_handler[], arch_guard_restorer[];

struct arch_action arch_guard_action(dtproc_addr code)
{
	const uint64_t sa_restorer = 0x04000000;

	return (struct arch_action){
		.handler = code + (dtproc_addr)(arch_guard_handler - arch_guard_code),
		.flags = SA_SIGINFO | SA_ONSTACK | sa_restorer,
		.restorer = code + (dtproc_addr)(arch_guard_restorer - arch_guard_code),
		.mask = ~0ULL};
}

dtproc_addr arch_guard_of(const struct arch_action *a)
{
	return a->handler - (dtproc_addr)(arch_guard_handler - arch_guard_code);
}
