/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where main() is in a program without symbols.  The code at the entry point, the C
 * library's crt1, passes main as the first argument to __libc_start_main: the last value
 * put into rdi before the first call, an address known when the program was linked, or
 * one that the linker has put into the program's table.  musl's calls a function first
 * that does this, with its stack for an argument.  Anything else there (another
 * language's start) gives no address.
 */
#include "arch.h"

#include <Zydis/Zydis.h>

/* Start code has some 40 bytes; it may lie at the end of what is mapped. */
#define CODE_MAX 96
#define CODE_MIN 16

struct insn {
	ZydisDecodedInstruction i;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

struct look {
	arch_read_fn *read;
	void *cookie;
	ZydisDecoder decoder;
};

/* The absolute address of an operand that is relative to the PC; 0: it is none. */
static dtproc_addr absolute(const struct insn *in, unsigned op, dtproc_addr pc)
{
	ZyanU64 address;

	return ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&in->i, &in->op[op], pc, &address))
		       ? address
		       : 0;
}

static int is_relative(const struct insn *in, unsigned op)
{
	return in->op[op].type == ZYDIS_OPERAND_TYPE_MEMORY &&
	       in->op[op].mem.base == ZYDIS_REGISTER_RIP;
}

/*
 * What `mov $address, %rdi`, `lea address(%rip), %rdi` or `mov entry(%rip), %rdi` puts
 * there, or 0.
 */
static dtproc_addr address_put(
	const struct look *l, const struct insn *in, dtproc_addr pc)
{
	uint64_t value = 0;

	if (in->i.mnemonic == ZYDIS_MNEMONIC_MOV &&
		in->op[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return in->op[1].imm.value.u;
	if (!is_relative(in, 1))
		return 0;
	if (in->i.mnemonic == ZYDIS_MNEMONIC_LEA)
		return absolute(in, 1, pc);
	if (in->i.mnemonic == ZYDIS_MNEMONIC_MOV && in->op[0].size == 64 &&
		!l->read(l->cookie, absolute(in, 1, pc), &value, sizeof value))
		return value;
	return 0;
}

static int writes_rdi(const struct insn *in)
{
	return in->i.operand_count && in->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       (in->op[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
	       ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64,
		       in->op[0].reg.value) == ZYDIS_REGISTER_RDI;
}

/* What the code at `start` passes to the function that it calls; *callee: that, or 0. */
static dtproc_addr passed(const struct look *l, dtproc_addr start, dtproc_addr *callee)
{
	size_t n = CODE_MAX;
	uint8_t code[CODE_MAX];
	dtproc_addr found = 0;
	struct insn in;

	*callee = 0;
	while (n && l->read(l->cookie, start, code, n))
		n = n > CODE_MIN ? n - CODE_MIN : 0;
	for (size_t at = 0; at < n; at += in.i.length) {
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(
			    &l->decoder, code + at, n - at, &in.i, in.op)))
			return 0;
		if (in.i.meta.category == ZYDIS_CATEGORY_CALL ||
			in.i.meta.category == ZYDIS_CATEGORY_UNCOND_BR) {
			if (in.op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
				*callee = absolute(&in, 0, start + at);
			return found;
		}
		if (in.i.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE)
			return 0;
		if (writes_rdi(&in))
			found = address_put(l, &in, start + at);
	}
	return 0;
}

dtproc_addr arch_start_main(arch_read_fn *read, void *cookie, dtproc_addr start)
{
	struct look l = {.read = read, .cookie = cookie};
	dtproc_addr found, callee, none;

	ZydisDecoderInit(&l.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	found = passed(&l, start, &callee);
	return found || !callee ? found : passed(&l, callee, &none);
}
