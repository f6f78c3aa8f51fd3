/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that differs by CPU.  To add one: a file beside x86_64.c that defines each function
 * below, and its name in meson.build.  What each must know:
 *
 *   the trap instruction, and where the PC stands behind it
 *   where the registers lie in PTRACE_GETREGS and PTRACE_PEEKUSER, and their names
 *   the calling convention: integer arguments, in registers and on the stack
 *   the system call convention: numbers, results, restarts
 *   how an instruction is decoded and moved elsewhere
 *   how bytecode becomes its machine code (bpf/machine.h, beside the interpreter)
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <dtproc.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

/* Longest instruction, and longest code of a slot, in bytes. */
#define ARCH_INSN_MAX 16
#define ARCH_SLOT_MAX 32
#define ARCH_TRAP 0xcc
#define ARCH_TRAP_LEN 1

/* Reach of a relative jump, less what a slot area may span. */
#define ARCH_REACH (0x7fffffffULL - (64ULL << 20))

/* Registers by number, as the runtime knows them. */
enum arch_reg {
	ARCH_PC,
	ARCH_SP,
	ARCH_RESULT,    /* of a function or a system call */
	ARCH_SYSCALL,   /* number of the system call one is in; -1: none */
	ARCH_REG_FIRST, /* the general ones, in DWARF's order */
};

/* Offset of a register in the area of PTRACE_PEEKUSER; -1: no such register. */
long arch_user_offset(unsigned reg);
/* Likewise by DTrace's number, which D's uregs[] and R_RAX and its like have. */
long arch_ureg_offset(unsigned n);
/* Offset of integer argument n (0...) likewise; -1: it lies on the stack. */
long arch_arg_offset(unsigned n);
/* Address of stack argument n at a function's first instruction. */
dtproc_addr arch_arg_stack(unsigned n, dtproc_addr sp);

/* The register of a function's result; n 1: that of its second half. */
unsigned arch_result_reg(unsigned n);
/* Canonical frame address at a function's entry: DWARF's register and an offset. */
#define ARCH_ENTRY_CFA_REG 7u
#define ARCH_ENTRY_CFA_OFFSET 8

uint64_t arch_get(const struct user_regs_struct *, enum arch_reg);
void arch_set(struct user_regs_struct *, enum arch_reg, uint64_t value);

/* How an instruction gets executed although a trap covers it. */
enum arch_way {
	ARCH_SLOT,          /* code[] in a slot, which ends in a jump back */
	ARCH_EMULATE,       /* a call: arch_emulate() does it, no slot */
	ARCH_STEP,          /* only in place, single-stepped */
	ARCH_REFUSE_DECODE, /* not an instruction */
	ARCH_REFUSE_TRAP,   /* the program's own trap */
};

struct arch_moved {
	enum arch_way way;
	unsigned len;  /* of the instruction at `from` */
	unsigned size; /* of code[] */
	int syscall;   /* 1: enters the kernel */
	uint8_t code[ARCH_SLOT_MAX];
};

/*
 * Moves the instruction at `from`, whose bytes are `bytes` (n of them readable), to
 * `to`.  At offset 0 of the result the program's state is that before the
 * instruction; at every other boundary stands a jump to where the program would be.
 */
void arch_move(const uint8_t *bytes, size_t n, dtproc_addr from, dtproc_addr to,
	struct arch_moved *out);
/*
 * PC of the program for a PC at code[offset] of a slot at `to`, offset > 0; 0: not a
 * boundary of it.
 */
dtproc_addr arch_slot_pc(const uint8_t *code, size_t n, dtproc_addr to, unsigned offset);
/* Length of the instruction at `bytes`; 0: none. */
unsigned arch_insn_len(const uint8_t *bytes, size_t n);

/* Where an instruction leads. */
enum arch_flow {
	ARCH_FLOW_ON, /* to the next one; calls too */
	ARCH_FLOW_RETURN,
	ARCH_FLOW_JUMP,     /* to `target` */
	ARCH_FLOW_BRANCH,   /* to `target`, or on */
	ARCH_FLOW_INDIRECT, /* to what a register or memory says */
};
struct arch_lead {
	enum arch_flow flow;
	dtproc_addr target;
	int is_lock; /* a prefix may be jumped over: its second byte begins one, too */
};
/* The same, and its length; 0: none. */
unsigned arch_insn_lead(
	const uint8_t *bytes, size_t n, dtproc_addr from, struct arch_lead *out);

/* Reads memory of a victim: all of `len`, 0; or negative. */
typedef int arch_read_fn(void *cookie, dtproc_addr, void *buf, size_t len);
/*
 * Address of main() by the code at a program's entry point, `start`; 0: it does not tell
 * (or not yet: a program's own table of addresses is filled in when its linker is done).
 */
dtproc_addr arch_start_main(arch_read_fn *, void *cookie, dtproc_addr start);
typedef int arch_write_fn(void *cookie, dtproc_addr, const void *buf, size_t len);
/* Is it one of a few that arch_emulate() carries out, though a slot would do? */
int arch_is_simple(const uint8_t *bytes, size_t n);
/* Carries out the call, or what is simple, at `from`; 0, or negative with nothing
 * changed. */
int arch_emulate(const uint8_t *bytes, size_t n, dtproc_addr from,
	struct user_regs_struct *regs, arch_read_fn *rd, arch_write_fn *wr, void *cookie);

/*
 * Where the jump at `from` would lead with these registers: 1 and its target; 0: on to
 * the next instruction; negative: it cannot be told.
 */
int arch_jump_target(const uint8_t *bytes, size_t n, dtproc_addr from,
	const struct user_regs_struct *regs, arch_read_fn *rd, void *cookie,
	dtproc_addr *target);

/*
 * An argument of a static probe (sys/sdt.h).  Registers by number; memory is at base +
 * index * scale + value; the address of a symbol is to be added to the value.
 */
#define ARCH_NO_REG (~0u)
struct arch_operand {
	enum { ARCH_OPERAND_CONST, ARCH_OPERAND_REG, ARCH_OPERAND_MEMORY } kind;
	int64_t value;
	unsigned size; /* bytes: 1, 2, 4, 8 */
	int is_signed;
	unsigned base, index, scale;
	unsigned shift;     /* register: bits below it */
	const char *symbol; /* in the text; NULL: none */
	size_t symbol_len;
};
/* Reads one as the note has it; 1; 0: it is none, or none that can be had. */
int arch_sdt_operand(const char *text, size_t n, struct arch_operand *out);

/* ---------------------------------------------------------- system calls */

/* Bytes of the system call instruction. */
#define ARCH_SYSCALL_LEN 2
extern const uint8_t arch_syscall_insn[ARCH_SYSCALL_LEN];
/* Sets the registers so that the instruction at `pc` makes the call. */
void arch_set_call(
	struct user_regs_struct *, dtproc_addr pc, long nr, const uint64_t args[6]);
/*
 * Was a call that the kernel does not restart by itself cut short with EINTR?  (man
 * signal(7), "Interruption of system calls ... by stop signals", and those that a
 * socket's timeout makes so.)  If so rewinds it, so that it is made again: 1; else 0.
 */
int arch_rewind_call(struct user_regs_struct *);
/* Takes that back: the call returns EINTR to a signal's handler. */
void arch_unrewind_call(struct user_regs_struct *, uint64_t nr);
/*
 * Code whose first instruction makes a call, and which then, should nobody stop the
 * thread there, puts back the mask of blocked signals and all registers that a call
 * changes: the thread goes on as the kernel would have let it go on from `saved`.
 */
#define ARCH_CALL_MAX 192
size_t arch_call_code(
	const struct user_regs_struct *saved, uint64_t mask, uint8_t code[ARCH_CALL_MAX]);

/* ------------------------------------------------------------ walking a stack */

/* DWARF's numbers: how many there are, and what some are for. */
#define ARCH_DWARF_REGS 17
enum arch_dwarf {
	ARCH_DWARF_FP = 6,
	ARCH_DWARF_SP = 7,
	ARCH_DWARF_PC = 16, /* the return address in a frame's rules */
};
/* Bits of those that a function keeps for its caller. */
#define ARCH_DWARF_KEPT (1u << 3 | 1u << 6 | 0xfu << 12)

/* Do these bytes, which stand before a return address, end with a call? */
#define ARCH_CALL_LEN_MAX 8
int arch_is_call(const uint8_t *bytes, size_t n);
/* Is this the code that a signal's handler returns to? */
#define ARCH_SIGRETURN_LEN 9
int arch_is_sigreturn(const uint8_t *bytes, size_t n);
/* There: where a register of the interrupted code lies, above the stack pointer. */
unsigned arch_sigreturn_offset(unsigned dwarf);
/*
 * How far above the stack pointer the return address lies, as the instruction to be
 * executed next tells where a function begins or ends, or in a stub; -1: it does not.
 */
int arch_return_above(const uint8_t *bytes, size_t n);

/* ------------------------------------------- the guard (see the CPU's -guard.S) */

/* What the code begins with, for the keeper to fill in. */
struct arch_guard_head {
	uint64_t table, count;  /* of struct arch_guard_entry in the victim, sorted;
				   before it a lock, 8 bytes */
	uint64_t mask, stepper; /* a thread that we step, and its own mask; 0: none */
};

struct arch_guard_entry {
	uint64_t addr;
	uint64_t slot : 56; /* 0: there is none */
	uint64_t orig : 8;  /* the byte under the trap; 0: it is not to be put back */
};

/* As rt_sigaction wants it. */
struct arch_action {
	uint64_t handler, flags, restorer, mask;
};

extern const uint8_t arch_guard_code[], arch_guard_end[];
#define ARCH_GUARD_BYTES ((size_t)(arch_guard_end - arch_guard_code))
/* The action for a copy of the guard at `code`. */
struct arch_action arch_guard_action(dtproc_addr code);
/* Where the copy would lie whose handler this is. */
dtproc_addr arch_guard_of(const struct arch_action *);

#endif
