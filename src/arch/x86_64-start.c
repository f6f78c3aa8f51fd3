/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where main() is in a program without symbols.  The code at the entry point, the C
 * library's crt1, passes main as the first argument to __libc_start_main: the last value
 * put into rdi before the first call, an address known when the program was linked.
 * Anything else there (another language's start, musl's, which calls a function of its
 * own) gives no address.
 */
#include "arch.h"

#include <Zydis/Zydis.h>

struct insn {
	ZydisDecodedInstruction i;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

/* What `mov $address, %rdi` or `lea address(%rip), %rdi` puts there, or 0. */
static dtproc_addr address_put(const struct insn *in, dtproc_addr pc)
{
	ZyanU64 address;

	if (in->i.mnemonic == ZYDIS_MNEMONIC_MOV &&
		in->op[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return in->op[1].imm.value.u;
	if (in->i.mnemonic == ZYDIS_MNEMONIC_LEA &&
		in->op[1].mem.base == ZYDIS_REGISTER_RIP &&
		ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&in->i, &in->op[1], pc, &address)))
		return address;
	return 0;
}

static int writes_rdi(const struct insn *in)
{
	return in->i.operand_count && in->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       (in->op[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
	       ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64,
		       in->op[0].reg.value) == ZYDIS_REGISTER_RDI;
}

dtproc_addr arch_start_main(const uint8_t *bytes, size_t n, dtproc_addr start)
{
	dtproc_addr found = 0;
	ZydisDecoder d;
	struct insn in;

	ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (size_t at = 0; at < n; at += in.i.length) {
		if (!ZYAN_SUCCESS(
			    ZydisDecoderDecodeFull(&d, bytes + at, n - at, &in.i, in.op)))
			return 0;
		if (in.i.meta.category == ZYDIS_CATEGORY_CALL)
			return found;
		if (in.i.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE)
			return 0;
		if (writes_rdi(&in))
			found = address_put(&in, start + at);
	}
	return 0;
}
