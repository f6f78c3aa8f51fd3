/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard: a SIGTRAP handler that is copied into a victim (keeper/guard.c), behind a
 * header that the keeper fills in.  It needs no stack but its frame, calls nothing, and
 * runs only when nobody traces the victim any more, or in a child that was forked then:
 *
 *   at one of our traps      puts the original byte back and tries again; where the
 *                            text cannot be written goes on in the slot of that site
 *   behind one dealt with    (the PC was moved on, and then the keeper died) returns
 *   behind a step of ours    puts the mask of blocked signals back
 *   else                     what SIGTRAP does by default, at the same place
 */
#define SI_KERNEL 0x80
#define TRAP_TRACE 2
#define SIGTRAP 5
#define UC_RIP 168  /* uc_mcontext.gregs[REG_RIP] */
#define UC_MASK 296 /* uc_sigmask */
#define PAGE 4096
#define PROT_RX 5
#define PROT_RWX 7
#define NR_MPROTECT 10
#define NR_SCHED_YIELD 24
#define NR_SIGRETURN 15
#define NR_SIGACTION 13
#define NR_GETPID 39
#define NR_GETTID 186
#define NR_TGKILL 234

	.text
	.globl arch_guard_code, arch_guard_handler, arch_guard_restorer, arch_guard_end
	.hidden arch_guard_code, arch_guard_handler, arch_guard_restorer, arch_guard_end
arch_guard_code:
table:	.quad 0 /* of {address, slot}, sorted */
count:	.quad 0
mask:	.quad 0
stepper: .quad 0
none:	.fill 32, 1, 0 /* struct kernel_sigaction: SIG_DFL */

arch_guard_handler: /* (edi: SIGTRAP, rsi: siginfo_t, rdx: ucontext_t) */
	mov 8(%rsi), %eax
	cmp $TRAP_TRACE, %eax
	je stepped
	cmp $SI_KERNEL, %eax
	jne die
	mov UC_RIP(%rdx), %r8
	dec %r8
	mov table(%rip), %r9
	mov count(%rip), %rcx
	xor %eax, %eax
search:	/* in [rax, rcx) */
	cmp %rcx, %rax
	jae absent
	lea (%rax, %rcx), %r10
	shr $1, %r10
	mov %r10, %r11
	shl $4, %r11
	cmp (%r9, %r11), %r8
	je found
	cmovb %r10, %rcx
	jb search
	lea 1(%r10), %rax
	jmp search
found:
	mov 8(%r9, %r11), %r11
	mov %r11, %r10
	shr $56, %r10
	jnz lift
slot:	/* r11: of an entry */
	shl $8, %r11
	shr $8, %r11
	jz again
	mov %r11, UC_RIP(%rdx)
done:
	ret
lift:	/* r10: the byte at r8.  The lock lies before the table: who has it. */
	push %rdx
	push %r11
	push %r10
	mov %r8, %rdi
	and $-PAGE, %rdi
	mov $PAGE, %esi
	mov $NR_GETPID, %eax
	syscall
	mov %eax, %ebx
lock:	xor %eax, %eax
	lock cmpxchg %ebx, -8(%r9)
	je locked
	cmp %ebx, %eax
	jne others
	mov $NR_SCHED_YIELD, %eax
	syscall
	jmp lock
others:	/* had it when we were forked, and will not give it back here; or shares our
	   memory: the slot then, and only where there is none the lock is taken over */
	mov 8(%rsp), %r11
	shl $8, %r11
	jnz unlifted
	lock cmpxchg %ebx, -8(%r9)
	jne lock
locked:
	mov $PROT_RWX, %edx
	mov $NR_MPROTECT, %eax
	syscall
	mov (%rsp), %r10
	test %rax, %rax
	jnz unlock
	cmpb $0xcc, (%r8)
	jne lifted
	mov %r10b, (%r8)
lifted:
	mov $PROT_RX, %edx
	mov $NR_MPROTECT, %eax
	syscall
unlock:
	movl $0, -8(%r9)
unlifted:
	pop %r10
	pop %r11
	pop %rdx
	cmpb $0xcc, (%r8)
	je slot
	mov %r8, UC_RIP(%rdx)
	ret
stepped:
	mov $NR_GETTID, %eax
	syscall
	cmp stepper(%rip), %rax
	jne done
	mov mask(%rip), %rax
	mov %rax, UC_MASK(%rdx)
	ret
absent:
	cmpb $0xcc, (%r8)
	jne done
again:
	mov %r8, UC_RIP(%rdx)
	call default
	ret
die:
	call default
	mov $NR_GETPID, %eax
	syscall
	mov %eax, %edi
	mov $NR_GETTID, %eax
	syscall
	mov %eax, %esi
	mov $SIGTRAP, %edx
	mov $NR_TGKILL, %eax
	syscall
	ret
default:
	mov $SIGTRAP, %edi
	lea none(%rip), %rsi
	xor %edx, %edx
	mov $8, %r10d
	mov $NR_SIGACTION, %eax
	syscall
	ret

arch_guard_restorer:
	mov $NR_SIGRETURN, %eax
	syscall
arch_guard_end:
	.section .note.GNU-stack, "", @progbits
