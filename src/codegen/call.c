/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls of functions.  Most are one call of a helper, and a line of the table says where
 * its arguments come from, in the order of its registers:
 *
 *	o	where the string that is made lies (two registers: address, size)
 *	A - D	argument 0 - 3 of the call as a string (likewise)
 *	0 - 3	argument 0 - 3 as a number; `missing` when the call has not so many
 *	@	`missing`
 */
#include "gen.h"

#include <string.h>

struct call {
	uint8_t helper; /* enum rt_helper_id; 0: made by hand below */
	const char *shape;
	int64_t missing;
};

static const struct call calls[LANG_FUNCTIONS] = {
	[LANG_FN_STRLEN] = {RT_HELPER_STRLEN, "A", 0},
	[LANG_FN_INDEX] = {RT_HELPER_INDEX, "AB2", 0},
	[LANG_FN_RINDEX] = {RT_HELPER_RINDEX, "AB2", INT32_MAX},
	[LANG_FN_STRTOLL] = {RT_HELPER_STRTOLL, "A1", 10},
	[LANG_FN_LLTOSTR] = {RT_HELPER_LLTOSTR, "o01", 10},
	[LANG_FN_TOUPPER] = {RT_HELPER_TOUPPER, "oA", 0},
	[LANG_FN_TOLOWER] = {RT_HELPER_TOLOWER, "oA", 0},
	[LANG_FN_BASENAME] = {RT_HELPER_BASENAME, "oA", 0},
	[LANG_FN_DIRNAME] = {RT_HELPER_DIRNAME, "oA", 0},
	[LANG_FN_CLEANPATH] = {RT_HELPER_CLEANPATH, "oA", 0},
	[LANG_FN_RAND] = {RT_HELPER_RAND, "", 0},
	[LANG_FN_PROGENYOF] = {RT_HELPER_PROGENYOF, "0", 0},
	[LANG_FN_ALLOCA] = {RT_HELPER_ALLOCA, "0", 0},
	[LANG_FN_COPYIN] = {RT_HELPER_COPYIN, "01", 0},
	[LANG_FN_COPYINTO] = {RT_HELPER_BCOPY, "021", 0},
	[LANG_FN_BCOPY] = {RT_HELPER_BCOPY, "012", 0},
	[LANG_FN_COPYOUT] = {RT_HELPER_COPYOUT, "012", 0},
	[LANG_FN_COPYOUTSTR] = {RT_HELPER_COPYOUTSTR, "A12", 0},
	[LANG_FN_COPYINSTR] = {RT_HELPER_LOAD_STRING_MAX, "o01", INT32_MAX},
	[LANG_FN_SPECULATION] = {RT_HELPER_SPECULATION, "", 0},
	[LANG_FN_UREGS] = {RT_HELPER_UREG, "0", 0},
	[LANG_FN_INET_NTOA] = {RT_HELPER_INET_NTOP, "o@0", 2},
	[LANG_FN_INET_NTOA6] = {RT_HELPER_INET_NTOP, "o@0", 10},
	[LANG_FN_INET_NTOP] = {RT_HELPER_INET_NTOP, "o01", 0},
};

static const struct lang_node *argument(const struct lang_node *n, int i)
{
	const struct lang_node *a = n->args;

	while (a && i--)
		a = a->next;
	return a;
}

/* Strings are made first, then numbers, which wait in saved registers. */
static void arguments(struct gen *g, const struct lang_node *n, const struct call *c,
	const struct place *to)
{
	struct place strings[5];
	int reg = R1 + (int)strlen(c->shape), numbers = 0;

	for (int i = 0; c->shape[i]; i++) {
		if (c->shape[i] >= 'A')
			reg++;
		if (c->shape[i] >= 'A' && c->shape[i] <= 'D')
			strings[i] = gen_string(g, argument(n, c->shape[i] - 'A'));
	}
	for (int i = 0; c->shape[i]; i++) {
		const struct lang_node *a = argument(n, c->shape[i] - '0');
		if (c->shape[i] < '0' || c->shape[i] > '3' || !a)
			continue;
		gen_expression(g, a);
		gen_save(g);
		numbers++;
	}
	for (int i = (int)strlen(c->shape); i-- > 0;) {
		char s = c->shape[i];
		reg -= s >= 'A' ? 2 : 1;
		if (s >= 'A')
			gen_span(g, reg, s == 'o' ? *to : strings[i]);
		else if (s != '@' && argument(n, s - '0'))
			gen_restore(g, reg);
		else
			gen_number(g, reg, (uint64_t)c->missing);
	}
}

static void plain(struct gen *g, const struct lang_node *n, const struct place *to)
{
	const struct call *c = &calls[n->func->code];

	arguments(g, n, c, to);
	gen_call(g, (enum rt_helper_id)c->helper);
}

/* -------------------------------------------------------------------- made by hand */

/* to = the string at `from`, from byte r0 on; or the part of it that r0 says. */
static void part(struct gen *g, enum rt_helper_id how, struct place from, struct place to)
{
	gen_move(g, R5, R0);
	gen_span(g, R1, to);
	gen_span(g, R3, from);
	gen_call(g, how);
}

/* strchr(s, c), strrchr(s, c) and strstr(s, t): s from where it was found. */
static void found(struct gen *g, const struct lang_node *n, struct place to)
{
	struct place s = gen_string(g, n->args), sub;

	if (n->func->code == LANG_FN_STRSTR) {
		sub = gen_string(g, n->args->next);
		gen_span(g, R3, sub);
		gen_number(g, R5, 0);
		gen_span(g, R1, s);
		gen_call(g, RT_HELPER_INDEX);
	} else {
		gen_expression(g, n->args->next);
		gen_move(g, R3, R0);
		gen_span(g, R1, s);
		gen_call(g, n->func->code == LANG_FN_STRCHR ? RT_HELPER_STRCHR
							    : RT_HELPER_STRRCHR);
	}
	part(g, RT_HELPER_TAIL, s, to);
}

static void join(struct gen *g, const struct lang_node *n, struct place to)
{
	struct place b;

	gen_string_into(g, n->args, to);
	b = gen_string(g, n->args->next);
	gen_span(g, R1, to);
	gen_span(g, R3, b);
	gen_call(g, RT_HELPER_STRCAT);
}

/* Index and length in one register, each in 32 bits. */
static void substr(struct gen *g, const struct lang_node *n, struct place to)
{
	const struct lang_node *index = n->args->next, *length = index->next;
	struct place s = gen_string(g, n->args);

	gen_expression(g, index);
	gen_code(g, BPF_C_ALU64 | BPF_A_LSH | BPF_K, R0, 0, 0, 32);
	gen_save(g);
	if (length)
		gen_expression(g, length);
	else
		gen_number(g, R0, INT32_MAX);
	gen_code(g, BPF_C_ALU32 | BPF_A_MOV | BPF_X, R0, R0, 0, 0);
	gen_restore(g, R1);
	gen_code(g, BPF_C_ALU64 | BPF_A_OR | BPF_X, R0, R1, 0, 0);
	part(g, RT_HELPER_SUBSTR, s, to);
}

/* strtok(0, ...) goes on with the string of the call before it. */
static void token(struct gen *g, const struct lang_node *n, struct place to)
{
	struct place set;

	if (n->args->type->kind == LANG_T_STRING) {
		gen_span(g, R1, gen_string(g, n->args));
		gen_call(g, RT_HELPER_TOKEN_BEGIN);
	}
	set = gen_string(g, n->args->next);
	gen_span(g, R1, to);
	gen_span(g, R3, set);
	gen_call(g, RT_HELPER_TOKEN_NEXT);
}

static void json(struct gen *g, const struct lang_node *n, struct place to)
{
	struct place text = gen_string(g, n->args), path = gen_string(g, n->args->next);

	gen_span(g, R1, text);
	gen_span(g, R3, path);
	gen_call(g, RT_HELPER_JSON);
	part(g, RT_HELPER_SUBSTR, text, to);
}

/* Bytes in the network's order: the result has `bits`. */
static void swap(struct gen *g, const struct lang_node *n, int bits)
{
	gen_expression(g, n->args);
	gen_code(g, BPF_C_ALU32 | BPF_A_END | BPF_X, R0, 0, 0, bits);
}

/* r0 = r0 >> by & mask */
static void cut(struct gen *g, int by, uint32_t mask)
{
	gen_code(g, BPF_C_ALU64 | BPF_A_RSH | BPF_K, R0, 0, 0, by);
	gen_number(g, R1, mask);
	gen_code(g, BPF_C_ALU64 | BPF_A_AND | BPF_X, R0, R1, 0, 0);
}

/* Linux keeps 12 bits of the major number among those of the minor one. */
static void device(struct gen *g, const struct lang_node *n)
{
	int is_major = n->func->code == LANG_FN_GETMAJOR;

	gen_expression(g, n->args);
	gen_save(g);
	cut(g, is_major ? 8 : 0, is_major ? 0xfff : 0xff);
	gen_restore(g, R2);
	gen_save(g);
	gen_move(g, R0, R2);
	cut(g, is_major ? 32 : 12, is_major ? 0xfffff000 : 0xffffff00);
	gen_restore(g, R1);
	gen_code(g, BPF_C_ALU64 | BPF_A_OR | BPF_X, R0, R1, 0, 0);
}

/* ------------------------------------------------------------------ what is exported */

void gen_function(struct gen *g, const struct lang_node *n)
{
	g->destructive |=
		n->func->code == LANG_FN_COPYOUT || n->func->code == LANG_FN_COPYOUTSTR;
	g->speculates |= n->func->code == LANG_FN_SPECULATION;
	switch (n->func->code) {
	case LANG_FN_HTONS:
		swap(g, n, 16);
		break;
	case LANG_FN_HTONL:
		swap(g, n, 32);
		break;
	case LANG_FN_HTONLL:
		swap(g, n, 64);
		break;
	case LANG_FN_GETMAJOR:
	case LANG_FN_GETMINOR:
		device(g, n);
		break;
	default:
		plain(g, n, NULL);
	}
}

void gen_function_string(struct gen *g, const struct lang_node *n, struct place to)
{
	switch (n->func->code) {
	case LANG_FN_STRJOIN:
		join(g, n, to);
		break;
	case LANG_FN_SUBSTR:
		substr(g, n, to);
		break;
	case LANG_FN_STRCHR:
	case LANG_FN_STRRCHR:
	case LANG_FN_STRSTR:
		found(g, n, to);
		break;
	case LANG_FN_STRTOK:
		token(g, n, to);
		break;
	case LANG_FN_JSON:
		json(g, n, to);
		break;
	default:
		plain(g, n, &to);
	}
}

#define NUMBER_TEXT 72u /* 64 digits and what may stand around them */
#define ADDRESS_TEXT 48u

uint32_t gen_function_capacity(const struct gen *g, const struct lang_node *n)
{
	uint32_t a, most = gen_strsize(g);

	switch (n->func->code) {
	case LANG_FN_STRJOIN:
		a = gen_capacity(g, n->args) + gen_capacity(g, n->args->next);
		return a < most ? a : most;
	case LANG_FN_LLTOSTR:
		return NUMBER_TEXT;
	case LANG_FN_INET_NTOA:
	case LANG_FN_INET_NTOA6:
	case LANG_FN_INET_NTOP:
		return ADDRESS_TEXT;
	case LANG_FN_COPYINSTR:
		return most;
	default:
		/* A part of its first argument, or no longer than that. */
		a = n->args->type->kind == LANG_T_STRING ? gen_capacity(g, n->args)
							 : most;
		return a < 8 ? 8 : a;
	}
}
