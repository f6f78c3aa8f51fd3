/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arguments of static probes, as GCC and Clang write them for the assembler (AT&T
 * syntax), with the size before an @:
 *
 *   -4@%edi   8@%rax   1@%ah   -4@$17   8@-24(%rbp)   8@(%rax,%rcx,8)   4@sym+8(%rip)
 *
 * The size is negative for signed values; without one it is the register's.
 */
#include "arch.h"

#include <ctype.h>
#include <string.h>

/* Names by size, in the order of the general registers (DWARF's). */
static const struct {
	char name[4][6];
} registers[] = {
	{{"rax", "eax", "ax", "al"}},
	{{"rdx", "edx", "dx", "dl"}},
	{{"rcx", "ecx", "cx", "cl"}},
	{{"rbx", "ebx", "bx", "bl"}},
	{{"rsi", "esi", "si", "sil"}},
	{{"rdi", "edi", "di", "dil"}},
	{{"rbp", "ebp", "bp", "bpl"}},
	{{"rsp", "esp", "sp", "spl"}},
	{{"r8", "r8d", "r8w", "r8b"}},
	{{"r9", "r9d", "r9w", "r9b"}},
	{{"r10", "r10d", "r10w", "r10b"}},
	{{"r11", "r11d", "r11w", "r11b"}},
	{{"r12", "r12d", "r12w", "r12b"}},
	{{"r13", "r13d", "r13w", "r13b"}},
	{{"r14", "r14d", "r14w", "r14b"}},
	{{"r15", "r15d", "r15w", "r15b"}},
};

struct text {
	const char *at, *end;
};

static int take(struct text *t, char c)
{
	if (t->at == t->end || *t->at != c)
		return 0;
	t->at++;
	return 1;
}

static int is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '$';
}

static size_t word_len(const struct text *t)
{
	size_t n = 0;

	while (t->at + n < t->end && is_word(t->at[n]))
		n++;
	return n;
}

static int is_called(const char *name, const char *s, size_t n)
{
	return strlen(name) == n && memcmp(name, s, n) == 0;
}

/* %rax and the like: 1, and the register's number, size and lowest bit. */
static int take_register(struct text *t, unsigned *reg, unsigned *size, unsigned *shift)
{
	size_t n;

	if (!take(t, '%') || !(n = word_len(t)))
		return 0;
	for (unsigned r = 0; r < 16; r++) {
		for (unsigned k = 0; k < 4; k++) {
			if (!is_called(registers[r].name[k], t->at, n))
				continue;
			*reg = ARCH_REG_FIRST + r;
			*size = 8u >> k;
			*shift = 0;
			t->at += n;
			return 1;
		}
		if (r < 4 && n == 2 && t->at[1] == 'h' &&
			t->at[0] == registers[r].name[3][0]) {
			*reg = ARCH_REG_FIRST + r;
			*size = 1;
			*shift = 8;
			t->at += n;
			return 1;
		}
	}
	return 0;
}

static int digit_of(char c)
{
	return isdigit((unsigned char)c)    ? c - '0'
	       : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
					    : 99;
}

/* A number as C has it; wraps at 64 bits. */
static int take_number(struct text *t, uint64_t *out)
{
	int base = 10, any = 0;

	if (t->at < t->end && *t->at == '0') {
		base = t->end - t->at > 1 && (t->at[1] | 32) == 'x' ? 16 : 8;
		t->at += base == 16 ? 2 : 0;
	}
	*out = 0;
	for (; t->at < t->end && digit_of(*t->at) < base; t->at++, any = 1)
		*out = *out * (unsigned)base + (unsigned)digit_of(*t->at);
	return any && (t->at == t->end || !is_word(*t->at));
}

/* Numbers and at most one symbol, added up: 8, -24, sym+8, 16+sym. */
static int take_sum(struct text *t, struct arch_operand *o)
{
	int any = 0;

	for (;;) {
		int minus = take(t, '-'), sign = minus || take(t, '+');
		uint64_t v = 0;

		if (t->at == t->end || !is_word(*t->at))
			return any && !sign;
		if (any && !sign)
			return 0;
		if (isdigit((unsigned char)*t->at)) {
			if (!take_number(t, &v))
				return 0;
		} else {
			if (o->symbol || minus)
				return 0;
			o->symbol = t->at;
			o->symbol_len = word_len(t);
			t->at += o->symbol_len;
		}
		o->value = (int64_t)((uint64_t)o->value + (minus ? -v : v));
		any = 1;
	}
}

/* (%base,%index,scale), or (%rip) behind a symbol. */
static int take_address(struct text *t, struct arch_operand *o)
{
	unsigned size, shift;
	uint64_t scale = 1;

	if (t->end - t->at >= 5 && memcmp(t->at, "%rip)", 5) == 0) {
		t->at += 5;
		return o->symbol != NULL;
	}
	if (t->at < t->end && *t->at == '%' &&
		(!take_register(t, &o->base, &size, &shift) || size != 8))
		return 0;
	if (take(t, ',')) {
		if (!take_register(t, &o->index, &size, &shift) || size != 8)
			return 0;
		if (take(t, ',') && (!take_number(t, &scale) || scale > 8))
			return 0;
	}
	o->scale = (unsigned)scale;
	return take(t, ')');
}

static int parse(struct text *t, struct arch_operand *o)
{
	unsigned size = 8;

	if (t->at < t->end && *t->at == '%') {
		o->kind = ARCH_OPERAND_REG;
		if (!take_register(t, &o->base, &size, &o->shift))
			return 0;
		o->size = o->size ? o->size : size;
		return t->at == t->end;
	}
	o->kind = take(t, '$') ? ARCH_OPERAND_CONST : ARCH_OPERAND_MEMORY;
	if (t->at == t->end || *t->at != '(')
		if (!take_sum(t, o))
			return 0;
	if (o->kind == ARCH_OPERAND_MEMORY && take(t, '(') && !take_address(t, o))
		return 0;
	o->size = o->size ? o->size : 8;
	return t->at == t->end;
}

/* "-4@": 1; 0: there is none; -1: not one of ours (4f@, a floating-point number). */
static int take_size(struct text *t, struct arch_operand *o)
{
	struct text s = *t;
	int minus = take(&s, '-');
	uint64_t n;

	if (!memchr(t->at, '@', (size_t)(t->end - t->at)))
		return 0;
	if (!take_number(&s, &n) || !take(&s, '@') ||
		(n != 1 && n != 2 && n != 4 && n != 8))
		return -1;
	o->size = (unsigned)n;
	o->is_signed = minus;
	*t = s;
	return 1;
}

int arch_sdt_operand(const char *s, size_t n, struct arch_operand *out)
{
	struct arch_operand o = {.base = ARCH_NO_REG, .index = ARCH_NO_REG, .scale = 1};
	struct text t = {s, s + n};

	if (take_size(&t, &o) < 0 || !parse(&t, &o))
		return 0;
	*out = o;
	return 1;
}
