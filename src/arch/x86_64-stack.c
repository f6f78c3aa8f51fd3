/* SPDX-License-Identifier: BSD-2-Clause */
/* What code tells of the stack where nothing else does (System V ABI, 3.2 and 3.4). */
#include "arch.h"

#include <stddef.h>
#include <string.h>
#include <ucontext.h>

/* Length of `call *r/m`, with its ModRM byte at `bytes`, opcode included; 0: none. */
static size_t indirect_len(const uint8_t *bytes)
{
	unsigned mod = bytes[0] >> 6, rm = bytes[0] & 7;
	size_t len = 2;

	if ((bytes[0] >> 3 & 7) != 2)
		return 0;
	if (mod == 3)
		return len;
	if (rm == 4) {
		len++;
		if (mod == 0 && (bytes[1] & 7) == 5)
			len += 4;
	} else if (mod == 0 && rm == 5) {
		len += 4;
	}
	return len + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
}

int arch_is_call(const uint8_t *bytes, size_t n)
{
	if (n >= 5 && bytes[n - 5] == 0xe8)
		return 1;
	for (size_t len = 2; len <= 7 && len <= n; len++)
		if (bytes[n - len] == 0xff && indirect_len(bytes + n - len + 1) == len)
			return 1;
	return 0;
}

int arch_is_sigreturn(const uint8_t *bytes, size_t n)
{
	/* mov $15,%rax (or %eax); syscall */
	static const uint8_t wide[] = {0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05};
	static const uint8_t narrow[] = {0xb8, 15, 0, 0, 0, 0x0f, 0x05};

	return (n >= sizeof wide && !memcmp(bytes, wide, sizeof wide)) ||
	       (n >= sizeof narrow && !memcmp(bytes, narrow, sizeof narrow));
}

#define AT(reg) (unsigned)(offsetof(ucontext_t, uc_mcontext.gregs) + (reg)*8)

unsigned arch_sigreturn_offset(unsigned dwarf)
{
	static const unsigned offsets[ARCH_DWARF_REGS] = {AT(REG_RAX), AT(REG_RDX),
		AT(REG_RCX), AT(REG_RBX), AT(REG_RSI), AT(REG_RDI), AT(REG_RBP),
		AT(REG_RSP), AT(REG_R8), AT(REG_R9), AT(REG_R10), AT(REG_R11),
		AT(REG_R12), AT(REG_R13), AT(REG_R14), AT(REG_R15), AT(REG_RIP)};

	return offsets[dwarf];
}

int arch_return_above(const uint8_t *bytes, size_t n)
{
	static const struct {
		uint8_t len, bytes[4], above;
	} known[] = {
		{1, {0x55}, 0},                   /* push %rbp */
		{4, {0xf3, 0x0f, 0x1e, 0xfa}, 0}, /* endbr64 */
		{3, {0x48, 0x89, 0xe5}, 8},       /* mov %rsp,%rbp */
		{3, {0x48, 0x8b, 0xec}, 8},       /* the same */
		{1, {0xc3}, 0},                   /* ret */
		{1, {0xc2}, 0},                   /* ret n */
		{2, {0xf3, 0xc3}, 0},             /* rep ret */
		{2, {0xff, 0x25}, 0},             /* jmp *x(%rip), as in a PLT */
		{3, {0xf2, 0xff, 0x25}, 0},       /* bnd jmp */
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (n >= known[i].len && !memcmp(bytes, known[i].bytes, known[i].len))
			return known[i].above;
	return -1;
}
