/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moving instructions of x86-64.
 *
 * A moved instruction behaves as at its old place, and between any two instructions of
 * the result the program's state is one that it could have had: before the instruction,
 * or at the target of the jump that stands there.  So a signal, a stop or a look from
 * outside in the middle can always be told in terms of the program's own text.
 *
 *   plain            insn; jmp back
 *   rip-relative     the same with its displacement corrected
 *   jmp              jmp target
 *   jcc              jcc target (near form); jmp back
 *   loop, jrcxz      insn over one jump; jmp back; jmp target
 *   call             not moved: a return address in a slot would be seen by unwinders,
 *                    so it is carried out by arch_emulate()
 */
#include "arch.h"

#include <Zydis/Zydis.h>

#include <errno.h>
#include <string.h>

struct insn {
	ZydisDecodedInstruction i;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

static int decode(const uint8_t *bytes, size_t n, struct insn *out)
{
	ZydisDecoder d;

	if (n > ZYDIS_MAX_INSTRUCTION_LENGTH)
		n = ZYDIS_MAX_INSTRUCTION_LENGTH;
	ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, bytes, n, &out->i, out->op));
}

unsigned arch_insn_len(const uint8_t *bytes, size_t n)
{
	struct insn in;

	return decode(bytes, n, &in) ? in.i.length : 0;
}

static dtproc_addr branch_target(const struct insn *in, dtproc_addr from)
{
	return from + in->i.length + (dtproc_addr)in->i.raw.imm[0].value.s;
}

static enum arch_flow flow_of(const struct insn *in)
{
	switch (in->i.meta.category) {
	case ZYDIS_CATEGORY_RET:
		return in->i.mnemonic == ZYDIS_MNEMONIC_RET ? ARCH_FLOW_RETURN
							    : ARCH_FLOW_ON;
	case ZYDIS_CATEGORY_COND_BR: /* xbegin is in that category too */
		return in->i.mnemonic == ZYDIS_MNEMONIC_XBEGIN ? ARCH_FLOW_ON
							       : ARCH_FLOW_BRANCH;
	case ZYDIS_CATEGORY_UNCOND_BR:
		if (in->i.mnemonic != ZYDIS_MNEMONIC_JMP)
			return ARCH_FLOW_ON;
		return in->i.raw.imm[0].is_relative ? ARCH_FLOW_JUMP : ARCH_FLOW_INDIRECT;
	default:
		return ARCH_FLOW_ON;
	}
}

unsigned arch_insn_lead(
	const uint8_t *bytes, size_t n, dtproc_addr from, struct arch_lead *out)
{
	struct insn in;

	if (!decode(bytes, n, &in))
		return 0;
	*out = (struct arch_lead){
		.flow = flow_of(&in), .is_lock = n > 0 && bytes[0] == 0xf0};
	if (out->flow == ARCH_FLOW_JUMP || out->flow == ARCH_FLOW_BRANCH)
		out->target = branch_target(&in, from);
	return in.i.length;
}

static int fits32(int64_t v)
{
	return v == (int32_t)v;
}

/* Appends a jump to `target`: relative if in reach, else through the bytes behind it. */
static void put_jump(struct arch_moved *m, dtproc_addr to, dtproc_addr target)
{
	uint8_t *p = m->code + m->size;
	int64_t rel = (int64_t)(target - (to + m->size + 5));

	if (fits32(rel)) {
		int32_t rel32 = (int32_t)rel;
		p[0] = 0xe9;
		memcpy(p + 1, &rel32, 4);
		m->size += 5;
		return;
	}
	memcpy(p, "\xff\x25\0\0\0\0", 6);
	memcpy(p + 6, &target, 8);
	m->size += 14;
}

dtproc_addr arch_slot_pc(const uint8_t *code, size_t n, dtproc_addr to, unsigned offset)
{
	if (offset + 5 <= n && code[offset] == 0xe9) {
		int32_t rel;
		memcpy(&rel, code + offset + 1, 4);
		return to + offset + 5 + (dtproc_addr)(int64_t)rel;
	}
	if (offset + 14 <= n && !memcmp(code + offset, "\xff\x25\0\0\0\0", 6)) {
		dtproc_addr target;
		memcpy(&target, code + offset + 6, 8);
		return target;
	}
	return 0;
}

/* Jcc in its near form; the jump back is put behind it by the caller. */
static void move_jcc(
	const struct insn *in, dtproc_addr from, dtproc_addr to, struct arch_moved *m)
{
	int64_t rel = (int64_t)(branch_target(in, from) - (to + 6));
	int32_t rel32 = (int32_t)rel;

	if (!fits32(rel)) {
		m->way = ARCH_STEP;
		return;
	}
	m->code[0] = 0x0f;
	m->code[1] = (uint8_t)(0x80 | (in->i.opcode & 0x0f));
	memcpy(m->code + 2, &rel32, 4);
	m->size = 6;
	put_jump(m, to, from + in->i.length);
}

/* loop, loope, loopne, jrcxz, jecxz: they only have a short form. */
static void move_loop(const struct insn *in, const uint8_t *bytes, dtproc_addr from,
	dtproc_addr to, struct arch_moved *m)
{
	memcpy(m->code, bytes, in->i.length);
	m->size = in->i.length;
	put_jump(m, to, from + in->i.length);
	m->code[in->i.length - 1] = (uint8_t)(m->size - in->i.length);
	put_jump(m, to, branch_target(in, from));
}

static void move_jump(const struct insn *in, const uint8_t *bytes, dtproc_addr from,
	dtproc_addr to, struct arch_moved *m)
{
	if (in->i.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) {
		m->way = ARCH_STEP; /* cuts the PC to 16 bits, on some CPUs */
		return;
	}
	switch (in->i.mnemonic) {
	case ZYDIS_MNEMONIC_JMP:
		put_jump(m, to, branch_target(in, from));
		return;
	case ZYDIS_MNEMONIC_LOOP:
	case ZYDIS_MNEMONIC_LOOPE:
	case ZYDIS_MNEMONIC_LOOPNE:
	case ZYDIS_MNEMONIC_JRCXZ:
	case ZYDIS_MNEMONIC_JECXZ:
		move_loop(in, bytes, from, to, m);
		return;
	default: /* xbegin is in that category too, but has no condition */
		if (in->i.meta.category == ZYDIS_CATEGORY_COND_BR &&
			in->i.mnemonic != ZYDIS_MNEMONIC_XBEGIN)
			move_jcc(in, from, to, m);
		else
			m->way = ARCH_STEP;
	}
}

/* Corrects the displacement of an operand relative to rip; 0, or -1: out of reach. */
static int fix_displacement(
	const struct insn *in, dtproc_addr from, dtproc_addr to, struct arch_moved *m)
{
	for (unsigned k = 0; k < in->i.operand_count; k++) {
		const ZydisDecodedOperand *op = &in->op[k];
		if (op->type != ZYDIS_OPERAND_TYPE_MEMORY ||
			(op->mem.base != ZYDIS_REGISTER_RIP &&
				op->mem.base != ZYDIS_REGISTER_EIP))
			continue;
		int64_t disp = op->mem.disp.value + (int64_t)(from - to);
		int32_t disp32 = (int32_t)disp;
		if (!fits32(disp) || op->mem.base == ZYDIS_REGISTER_EIP)
			return -1;
		memcpy(m->code + in->i.raw.disp.offset, &disp32, 4);
		return 0;
	}
	return 0;
}

static int is_trap(const struct insn *in)
{
	return in->i.mnemonic == ZYDIS_MNEMONIC_INT3 ||
	       in->i.mnemonic == ZYDIS_MNEMONIC_INT1 ||
	       (in->i.mnemonic == ZYDIS_MNEMONIC_INT && in->i.raw.imm[0].value.u == 3);
}

void arch_move(const uint8_t *bytes, size_t n, dtproc_addr from, dtproc_addr to,
	struct arch_moved *out)
{
	struct insn in;
	struct arch_moved m = {.way = ARCH_SLOT};

	if (!decode(bytes, n, &in)) {
		out->way = ARCH_REFUSE_DECODE;
		return;
	}
	m.len = in.i.length;
	m.syscall = in.i.mnemonic == ZYDIS_MNEMONIC_SYSCALL ||
		    in.i.mnemonic == ZYDIS_MNEMONIC_INT ||
		    in.i.mnemonic == ZYDIS_MNEMONIC_SYSENTER;
	if (is_trap(&in)) {
		m.way = ARCH_REFUSE_TRAP;
	} else if (in.i.meta.category == ZYDIS_CATEGORY_CALL) {
		m.way = ARCH_EMULATE;
	} else if (in.i.raw.imm[0].is_relative) {
		move_jump(&in, bytes, from, to, &m);
	} else {
		memcpy(m.code, bytes, m.len);
		m.size = m.len;
		if (fix_displacement(&in, from, to, &m))
			m.way = ARCH_STEP;
		else
			put_jump(&m, to, from + m.len);
	}
	*out = m;
}

/* Registers by their encoding (Intel SDM 2A, table 2-2). */
static uint64_t general(const struct user_regs_struct *r, ZydisRegister reg)
{
	const unsigned long long by_id[] = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp,
		r->rbp, r->rsi, r->rdi, r->r8, r->r9, r->r10, r->r11, r->r12, r->r13,
		r->r14, r->r15};

	if (reg == ZYDIS_REGISTER_NONE)
		return 0;
	return by_id[ZydisRegisterGetId(reg) & 15];
}

/* Effective address of a memory operand; address size 64 only. */
static dtproc_addr effective(const struct insn *in, const ZydisDecodedOperand *op,
	dtproc_addr from, const struct user_regs_struct *r)
{
	uint64_t ea = (uint64_t)op->mem.disp.value;

	if (op->mem.base == ZYDIS_REGISTER_RIP)
		ea += from + in->i.length;
	else
		ea += general(r, op->mem.base);
	ea += general(r, op->mem.index) * op->mem.scale;
	if (op->mem.segment == ZYDIS_REGISTER_FS)
		ea += r->fs_base;
	if (op->mem.segment == ZYDIS_REGISTER_GS)
		ea += r->gs_base;
	return ea;
}

/* What a branch through an operand leads to; 0 or negative. */
static int indirect(const struct insn *in, dtproc_addr from,
	const struct user_regs_struct *regs, arch_read_fn *rd, void *cookie,
	uint64_t *target)
{
	const ZydisDecodedOperand *op = &in->op[0];

	if (op->type == ZYDIS_OPERAND_TYPE_REGISTER)
		*target = general(regs, op->reg.value);
	else if (op->type != ZYDIS_OPERAND_TYPE_MEMORY ||
		 rd(cookie, effective(in, op, from, regs), target, sizeof *target))
		return -EFAULT;
	return 0;
}

static void put_general(struct user_regs_struct *r, ZydisRegister reg, uint64_t value)
{
	unsigned long long *const by_id[] = {&r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp,
		&r->rbp, &r->rsi, &r->rdi, &r->r8, &r->r9, &r->r10, &r->r11, &r->r12,
		&r->r13, &r->r14, &r->r15};

	*by_id[ZydisRegisterGetId(reg) & 15] = value;
}

/* endbr64, or lea into a register of which nothing stays as it is. */
static int is_simple(const struct insn *in)
{
	return in->i.mnemonic == ZYDIS_MNEMONIC_ENDBR64 ||
	       (in->i.mnemonic == ZYDIS_MNEMONIC_LEA && in->i.address_width == 64 &&
		       in->op[0].size >= 32);
}

int arch_is_simple(const uint8_t *bytes, size_t n)
{
	struct insn in;

	return decode(bytes, n, &in) && is_simple(&in);
}

static int emulate_simple(
	const struct insn *in, dtproc_addr from, struct user_regs_struct *regs)
{
	uint64_t value;

	if (in->i.mnemonic == ZYDIS_MNEMONIC_LEA) {
		value = effective(in, &in->op[1], from, regs);
		put_general(regs, in->op[0].reg.value,
			in->op[0].size == 32 ? (uint32_t)value : value);
	}
	regs->rip = from + in->i.length;
	return 0;
}

int arch_emulate(const uint8_t *bytes, size_t n, dtproc_addr from,
	struct user_regs_struct *regs, arch_read_fn *rd, arch_write_fn *wr, void *cookie)
{
	struct insn in;
	uint64_t target, back;

	if (!decode(bytes, n, &in))
		return -EINVAL;
	if (is_simple(&in))
		return emulate_simple(&in, from, regs);
	if (in.i.meta.category != ZYDIS_CATEGORY_CALL ||
		in.i.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
		in.i.address_width != 64)
		return -EINVAL;
	if (in.op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		target = branch_target(&in, from);
	else if (indirect(&in, from, regs, rd, cookie, &target))
		return -EFAULT;
	back = from + in.i.length;
	if (wr(cookie, regs->rsp - 8, &back, sizeof back))
		return -EFAULT;
	regs->rsp -= 8;
	regs->rip = target;
	return 0;
}

/* Does a Jcc jump?  By the four bits of its opcode (Intel SDM 2, appendix B.1.4.7). */
static int condition_holds(unsigned code, uint64_t flags)
{
	const int cf = flags & 1, pf = flags >> 2 & 1, zf = flags >> 6 & 1,
		  sf = flags >> 7 & 1, of = flags >> 11 & 1;
	const int holds[] = {of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of};

	return holds[code >> 1 & 7] ^ (int)(code & 1);
}

int arch_jump_target(const uint8_t *bytes, size_t n, dtproc_addr from,
	const struct user_regs_struct *regs, arch_read_fn *rd, void *cookie,
	dtproc_addr *target)
{
	struct insn in;
	uint64_t to;

	if (!decode(bytes, n, &in) || in.i.address_width != 64)
		return -EINVAL;
	switch (flow_of(&in)) {
	case ARCH_FLOW_JUMP:
		*target = branch_target(&in, from);
		return 1;
	case ARCH_FLOW_BRANCH: /* loop and jrcxz have other opcodes */
		if ((in.i.opcode & 0xf0) != 0x70 && (in.i.opcode & 0xf0) != 0x80)
			return -EINVAL;
		*target = branch_target(&in, from);
		return condition_holds(in.i.opcode, regs->eflags);
	case ARCH_FLOW_INDIRECT:
		if (in.i.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
			indirect(&in, from, regs, rd, cookie, &to))
			return -EFAULT;
		*target = to;
		return 1;
	default:
		return 0;
	}
}
