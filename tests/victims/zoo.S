/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction zoo: functions that begin with every kind of instruction that a
 * breakpoint has to go past.  Each takes (x, y) and returns a value that zoo.c knows.
 * Between the numbered steps nothing depends on flags or red zone unless it says so.
 */
	.text

.macro FN name
	.p2align 4
	.globl	zoo_\name
	.type	zoo_\name, @function
zoo_\name:
.endm
.macro END name
	.size	zoo_\name, . - zoo_\name
.endm

FN push
	push	%rbp
	mov	%rsp, %rbp
	lea	(%rdi,%rsi), %rax
	pop	%rbp
	ret
END push

FN push_r12
	push	%r12
	mov	%rdi, %r12
	lea	1(%r12), %rax
	pop	%r12
	ret
END push_r12

FN endbr64
	endbr64
	lea	(%rdi,%rsi), %rax
	ret
END endbr64

FN nop1
	nop
	lea	(%rdi,%rsi), %rax
	ret
END nop1

FN nop5
	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	lea	(%rdi,%rsi), %rax
	ret
END nop5

FN sub
	sub	$24, %rsp
	mov	%rdi, 8(%rsp)
	mov	8(%rsp), %rax
	add	$24, %rsp
	ret
END sub

FN mov
	mov	%rdi, %rax
	add	%rsi, %rax
	ret
END mov

FN mov_imm64
	movabs	$0x1122334455667788, %rax
	ret
END mov_imm64

FN xor
	xor	%eax, %eax
	ret
END xor

FN lea_rip
	lea	zoo_data(%rip), %rax
	mov	(%rax), %rax
	ret
END lea_rip

FN mov_rip
	mov	zoo_data(%rip), %rax
	ret
END mov_rip

FN store_rip
	mov	%rdi, zoo_scratch(%rip)
	mov	zoo_scratch(%rip), %rax
	ret
END store_rip

/* The flags that cmp sets are used behind it. */
FN cmp_rip
	cmpl	$5, zoo_data(%rip)
	mov	$1, %eax
	je	1f
	mov	$2, %eax
1:	ret
END cmp_rip

FN cmp_rip_imm8
	cmpb	$5, zoo_data(%rip)
	sete	%al
	movzbl	%al, %eax
	ret
END cmp_rip_imm8

/* An immediate behind the displacement: the end of the instruction counts. */
FN movl_rip_imm32
	movl	$0x12345678, zoo_scratch(%rip)
	mov	zoo_scratch(%rip), %eax
	ret
END movl_rip_imm32

FN jmp_short
	jmp	1f
	ud2
1:	lea	3(%rdi), %rax
	ret
END jmp_short

FN jmp_near
	jmp	zoo_jmp_near_tail
	.fill	200, 1, 0xcc
zoo_jmp_near_tail:
	lea	4(%rdi), %rax
	ret
END jmp_near

FN jmp_back
	jmp	zoo_back_tail
END jmp_back

/* Taken when the caller left ZF set: test is in zoo_call_flags. */
FN jcc_short
	jz	1f
	mov	$10, %eax
	ret
1:	mov	$11, %eax
	ret
END jcc_short

FN jcc_near
	.byte	0x0f, 0x84			/* jz, 32 bit */
	.long	1f - . - 4
	mov	$20, %eax
	ret
	.fill	150, 1, 0x90
1:	mov	$21, %eax
	ret
END jcc_near

FN jcc_near_far
	jc	zoo_back_tail
	mov	$30, %eax
	ret
END jcc_near_far

FN cmovcc
	cmovz	%rdi, %rsi
	mov	%rsi, %rax
	ret
END cmovcc

FN setcc
	setz	%al
	movzbl	%al, %eax
	ret
END setcc

/* zoo_flag_<name>(x, y): sets ZF and CF from x (x == 0: ZF; x & 2: CF), goes on there. */
.macro FLAGGED name
	.p2align 4
	.globl	flag_\name
	.type	flag_\name, @function
flag_\name:
	bt	$1, %rdi
	jc	1f
	test	%rdi, %rdi
	jmp	zoo_\name
1:	xor	%eax, %eax
	cmp	$1, %eax			/* CF, not ZF */
	jmp	zoo_\name
	.size	flag_\name, . - flag_\name
.endm
	FLAGGED	jcc_short
	FLAGGED	jcc_near
	FLAGGED	jcc_near_far
	FLAGGED	cmovcc
	FLAGGED	setcc

/* %rcx is the fourth argument: here the caller's x is moved there first. */
	.p2align 4
	.globl	flag_jrcxz
	.type	flag_jrcxz, @function
flag_jrcxz:
	mov	%rdi, %rcx
	jmp	zoo_jrcxz
	.size	flag_jrcxz, . - flag_jrcxz
FN jrcxz
	jrcxz	1f
	mov	$40, %eax
	ret
1:	mov	$41, %eax
	ret
END jrcxz

	.p2align 4
	.globl	flag_loop
	.type	flag_loop, @function
flag_loop:
	mov	%rdi, %rcx
	xor	%eax, %eax
	jmp	zoo_loop
	.size	flag_loop, . - flag_loop
/* Is hit once for each turn: counts x turns, x hits. */
FN loop
	loop	1f
	ret
1:	inc	%rax
	jmp	zoo_loop
END loop

FN call_rel32
	call	zoo_leaf
	inc	%rax
	ret
END call_rel32

FN call_reg
	call	*%rsi
	inc	%rax
	ret
END call_reg

FN call_mem
	call	*(%rsi)
	inc	%rax
	ret
END call_mem

FN call_rip
	call	*zoo_pointer(%rip)
	inc	%rax
	ret
END call_rip

/* The pointer lies at the stack pointer as it is *before* the call pushes. */
	.p2align 4
	.globl	flag_call_rsp
	.type	flag_call_rsp, @function
flag_call_rsp:
	push	%rbx
	push	%rsi
	mov	$0, %ebx
	jmp	zoo_call_rsp
	.size	flag_call_rsp, . - flag_call_rsp
FN call_rsp
	call	*(%rsp)
	inc	%rax
	pop	%rsi
	pop	%rbx
	ret
END call_rsp

/* The callee looks at its return address: it must be the original one (rule D6). */
FN call_where
	call	zoo_return_address
	lea	zoo_call_where+5(%rip), %rdx
	sub	%rdx, %rax
	ret
END call_where

FN call_next
	call	1f
1:	pop	%rax
	lea	1b(%rip), %rdx
	sub	%rdx, %rax
	ret
END call_next

FN ret
	ret
END ret

/* ret with an immediate, reached by a call that pushed an argument. */
	.p2align 4
	.globl	flag_ret_imm
	.type	flag_ret_imm, @function
flag_ret_imm:
	mov	%rdi, %rax
	push	%rdi
	call	zoo_ret_imm
	ret
	.size	flag_ret_imm, . - flag_ret_imm
FN ret_imm
	ret	$8
END ret_imm

/* getppid: rcx and r11 are set by the instruction; rcx is the address behind it. */
	.p2align 4
	.globl	flag_syscall
	.type	flag_syscall, @function
flag_syscall:
	mov	$110, %eax
	jmp	zoo_syscall
	.size	flag_syscall, . - flag_syscall
FN syscall
	syscall
	ret
END syscall

	.p2align 4
	.globl	flag_rep_movsb
	.type	flag_rep_movsb, @function
flag_rep_movsb:
	mov	$300, %ecx
	jmp	zoo_rep_movsb
	.size	flag_rep_movsb, . - flag_rep_movsb
/* x: destination, y: source of 300 bytes. */
FN rep_movsb
	rep movsb
	mov	%rcx, %rax
	ret
END rep_movsb

FN lock_xadd
	lock xaddq %rdi, (%rsi)
	mov	%rdi, %rax
	ret
END lock_xadd

FN lock_inc_rip
	lock incq zoo_counter(%rip)
	mov	zoo_counter(%rip), %rax
	ret
END lock_inc_rip

	.p2align 4
	.globl	flag_leave
	.type	flag_leave, @function
flag_leave:
	push	%rbp
	mov	%rsp, %rbp
	sub	$32, %rsp
	lea	9(%rdi), %rax
	jmp	zoo_leave
	.size	flag_leave, . - flag_leave
FN leave
	leave
	ret
END leave

FN movaps_rip
	movaps	zoo_vector(%rip), %xmm0
	movq	%xmm0, %rax
	ret
END movaps_rip

FN pshufd_rip
	pshufd	$0x4e, zoo_vector(%rip), %xmm0
	movq	%xmm0, %rax
	ret
END pshufd_rip

	.p2align 4
	.globl	flag_jmp_table
	.type	flag_jmp_table, @function
flag_jmp_table:
	lea	zoo_table(%rip), %rax
	jmp	zoo_jmp_table
	.size	flag_jmp_table, . - flag_jmp_table
FN jmp_table
	jmp	*(%rax,%rdi,8)
END jmp_table

FN jmp_rip
	jmp	*zoo_pointer(%rip)
END jmp_rip

FN jmp_reg
	jmp	*%rsi
END jmp_reg

FN push_rip
	push	zoo_data(%rip)
	pop	%rax
	ret
END push_rip

FN push_rsp
	push	%rsp
	pop	%rax
	sub	%rsp, %rax
	ret
END push_rsp

FN push_imm
	push	$-7
	pop	%rax
	ret
END push_imm

FN pushf
	pushf
	pop	%rax
	and	$0x102, %eax			/* TF must not be seen; bit 1 is always set */
	ret
END pushf

/* popf from what the caller pushed: flags change, nothing else. */
	.p2align 4
	.globl	flag_popf
	.type	flag_popf, @function
flag_popf:
	pushf
	jmp	zoo_popf
	.size	flag_popf, . - flag_popf
FN popf
	popf
	lea	5(%rdi), %rax
	ret
END popf

FN fs
	mov	%fs:0, %rax
	sub	%fs:0, %rax
	ret
END fs

/* The red zone below the stack pointer is the function's own. */
	.p2align 4
	.globl	flag_redzone
	.type	flag_redzone, @function
flag_redzone:
	mov	%rdi, -8(%rsp)
	mov	%rsi, -128(%rsp)
	jmp	zoo_redzone
	.size	flag_redzone, . - flag_redzone
FN redzone
	mov	-8(%rsp), %rax
	add	-128(%rsp), %rax
	ret
END redzone

FN rdtsc
	rdtsc
	mov	$1, %eax
	ret
END rdtsc

FN cpuid
	push	%rbx
	xor	%eax, %eax
	cpuid
	mov	$2, %eax
	pop	%rbx
	ret
END cpuid

FN div
	xchg	%rax, %rdi
	xor	%edx, %edx
	div	%rsi
	ret
END div

/* A function of one byte, followed at once by another. */
	.globl	zoo_tiny
	.type	zoo_tiny, @function
zoo_tiny:
	ret
	.size	zoo_tiny, 1

	.p2align 4
zoo_back_tail:
	lea	6(%rdi), %rax
	ret
zoo_leaf:
	lea	100(%rdi), %rax
	ret
zoo_return_address:
	mov	(%rsp), %rax
	ret
	.globl	case_leaf
	.set	case_leaf, zoo_leaf
1:	mov	$50, %eax
	ret
2:	mov	$51, %eax
	ret

	.section .data.rel.ro, "aw"
	.p2align 3
zoo_pointer:
	.quad	zoo_leaf
zoo_table:
	.quad	1b, 2b
	.data
	.p2align 4
zoo_vector:
	.quad	0x0123456789abcdef, 0x1111111122222222
zoo_data:
	.quad	5
zoo_scratch:
	.quad	0
zoo_counter:
	.quad	0
	.section .note.GNU-stack, "", @progbits
