/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verifier: one pass over the code in order of address.
 *
 * Jumps go forward only, so that when the pass reaches an instruction every state that
 * can lead there has been seen; states that meet are merged (what they disagree on
 * becomes unknown, what one has not written counts as not written).  So it takes linear
 * time however many paths there are, and a program that passes ends.
 *
 * A register holds nothing, a number (perhaps a known one), or a pointer: an area and a
 * known offset in it.  Pointers take constants added, and nothing else; they are never
 * stored.  Every access is therefore checked here and none at run time.
 */
#include "program.h"

#include <base/err.h>

#include <stdlib.h>
#include <string.h>

/* Behind STACK the areas of LDDW, in their order. */
enum kind { NOTHING, NUMBER, STACK, AREA };

struct reg {
	uint8_t kind;
	uint8_t known; /* of a number */
	int64_t value; /* a known number, or a pointer's offset */
};

struct state {
	struct reg r[11];
	uint8_t written[BPF_STACK_BYTES];
};

struct verifier {
	const struct bpf_parts *p;
	struct state now;
	int reached;          /* does control come to this instruction? */
	struct state **ahead; /* merged states of jumps to each instruction */
	uint8_t *second;      /* second words, not to be jumped to */
	int64_t helper_bytes; /* that helpers read or write, were none jumped over */
	const char *flaw;
};

/* A helper takes a time for each byte, and the thread at the probe waits for it. */
#define HELPER_BYTES_MAX (32 << 20)

static const char no_memory[] = "out of memory";

static int bad(struct verifier *v, const char *why)
{
	v->flaw = why;
	return -1;
}

/* --------------------------------------------------------- one instruction alone */

static const char *alu_flaw(const struct bpf_code *c)
{
	int op = c->op & 0xf0, wide = BPF_CLASS(c->op) == BPF_C_ALU64, x = c->op & BPF_X;

	if (op > BPF_A_END)
		return "unknown operation";
	if (op == BPF_A_END)
		return (wide && x) || c->off || BPF_SRC(c) ||
				       (c->imm != 16 && c->imm != 32 && c->imm != 64)
			       ? "malformed byte swap"
			       : NULL;
	if (op == BPF_A_NEG)
		return x || c->off || c->imm || BPF_SRC(c) ? "malformed negation" : NULL;
	if (x ? c->imm != 0 : BPF_SRC(c) != 0)
		return "a field that should be zero is not";
	if (op == BPF_A_MOV && x &&
		(c->off == 8 || c->off == 16 || (c->off == 32 && wide)))
		return NULL;
	if ((op == BPF_A_DIV || op == BPF_A_MOD) && c->off == 1)
		return !x && !c->imm ? "division by zero" : NULL;
	if (c->off)
		return "unknown operation";
	if (x)
		return NULL;
	if ((op == BPF_A_DIV || op == BPF_A_MOD) && !c->imm)
		return "division by zero";
	if ((op == BPF_A_LSH || op == BPF_A_RSH || op == BPF_A_ARSH) &&
		(c->imm < 0 || c->imm >= (wide ? 64 : 32)))
		return "shift by more than the width";
	return NULL;
}

static const char *jmp_flaw(const struct bpf_code *c)
{
	int op = c->op & 0xf0, wide = BPF_CLASS(c->op) == BPF_C_JMP, x = c->op & BPF_X;

	switch (op) {
	case BPF_J_A:
		return x || c->regs || (wide ? c->imm : c->off) ? "malformed jump" : NULL;
	case BPF_J_CALL:
		return x || !wide || c->regs || c->off ? "only helpers can be called"
						       : NULL;
	case BPF_J_EXIT:
		return x || !wide || c->regs || c->off || c->imm ? "malformed exit"
								 : NULL;
	}
	if (op > BPF_J_SLE)
		return "unknown operation";
	return (x ? c->imm != 0 : BPF_SRC(c) != 0) ? "a field that should be zero is not"
						   : NULL;
}

static const char *memory_flaw(const struct bpf_code *c)
{
	int mode = c->op & 0xe0, size = c->op & 0x18, class = BPF_CLASS(c->op);

	if (class == BPF_C_LD) {
		if (c->op != BPF_LDDW || c->off ||
			(BPF_SRC(c) && BPF_SRC(c) != BPF_LDDW_AREA))
			return "unknown operation";
		return NULL;
	}
	if (mode != BPF_M_MEM &&
		!(mode == BPF_M_SX && class == BPF_C_LDX && size != BPF_S_DW))
		return "unknown operation";
	if (class == BPF_C_ST ? BPF_SRC(c) != 0 : c->imm != 0)
		return "a field that should be zero is not";
	return NULL;
}

const char *bpf_code_flaw(const struct bpf_code *c)
{
	if (BPF_DST(c) > 10 || (c->op != BPF_LDDW && BPF_SRC(c) > 10))
		return "no such register";
	switch (BPF_CLASS(c->op)) {
	case BPF_C_ALU32:
	case BPF_C_ALU64:
		return alu_flaw(c);
	case BPF_C_JMP:
	case BPF_C_JMP32:
		return jmp_flaw(c);
	}
	return memory_flaw(c);
}

/* ------------------------------------------------------------------------- states */

static void merge_reg(struct reg *to, const struct reg *from)
{
	if (to->kind != from->kind) {
		*to = (struct reg){NOTHING, 0, 0};
	} else if (to->value != from->value || to->known != from->known) {
		if (to->kind == NUMBER)
			*to = (struct reg){NUMBER, 0, 0};
		else
			*to = (struct reg){NOTHING, 0, 0};
	}
}

static void merge(struct state *to, const struct state *from)
{
	for (int i = 0; i < 11; i++)
		merge_reg(&to->r[i], &from->r[i]);
	for (int i = 0; i < BPF_STACK_BYTES; i++)
		to->written[i] &= from->written[i];
}

/* Control may go from here to instruction `target`. */
static int jump(struct verifier *v, uint32_t pc, int64_t target)
{
	if (target <= pc)
		return bad(v, "a jump backwards");
	if (target >= v->p->head.codes)
		return bad(v, "a jump behind the end");
	if (v->ahead[target]) {
		merge(v->ahead[target], &v->now);
		return 0;
	}
	v->ahead[target] = malloc(sizeof v->now);
	if (!v->ahead[target])
		return bad(v, no_memory);
	*v->ahead[target] = v->now;
	return 0;
}

/* The state at instruction pc: from the one before it, from jumps, or both. */
static int arrive(struct verifier *v, uint32_t pc)
{
	struct state *s = v->ahead[pc];

	if (!s)
		return v->reached ? 0 : bad(v, "it cannot be reached");
	if (v->reached)
		merge(&v->now, s);
	else
		v->now = *s;
	v->reached = 1;
	free(s); /* all that jump here lie before */
	v->ahead[pc] = NULL;
	return 0;
}

/* ------------------------------------------------------------------------- memory */

enum want { READ, WRITE };

static uint32_t area_bytes(const struct verifier *v, int area)
{
	const struct bpf_blob *head = &v->p->head;
	const uint32_t bytes[BPF_AREAS] = {
		head->rodata, head->scratch, head->locals, head->globals};

	return bytes[area];
}

/* May `size` bytes at pointer r + off be read or written? */
static int access(
	struct verifier *v, const struct reg *r, int64_t off, int64_t size, enum want w)
{
	int64_t low = 0, high = 0, at;

	if (r->kind < STACK)
		return bad(v, "not a pointer");
	at = r->value + off; /* move_pointer() keeps it near */
	if (r->kind == AREA + BPF_AREA_RODATA && w == WRITE)
		return bad(v, "a constant is written");
	if (r->kind == STACK)
		low = -BPF_STACK_BYTES;
	else
		high = area_bytes(v, r->kind - AREA);
	if (at < low || size > high - low || at > high - size)
		return bad(v, "memory out of bounds");
	if (r->kind != STACK)
		return 0;
	for (uint8_t *b = &v->now.written[at - low], *end = b + size; b < end; b++) {
		if (w == WRITE)
			*b = 1;
		else if (!*b)
			return bad(v, "stack read before it is written");
	}
	return 0;
}

static int64_t size_of(uint8_t op)
{
	switch (op & 0x18) {
	case BPF_S_B:
		return 1;
	case BPF_S_H:
		return 2;
	case BPF_S_W:
		return 4;
	}
	return 8;
}

static int check_memory(struct verifier *v, const struct bpf_code *c)
{
	struct reg *dst = &v->now.r[BPF_DST(c)], *src = &v->now.r[BPF_SRC(c)];

	if (BPF_CLASS(c->op) == BPF_C_LDX) {
		if (BPF_DST(c) == 10)
			return bad(v, "r10 is written");
		if (access(v, src, c->off, size_of(c->op), READ))
			return -1;
		*dst = (struct reg){NUMBER, 0, 0};
		return 0;
	}
	if (BPF_CLASS(c->op) == BPF_C_STX && src->kind != NUMBER)
		return bad(v, "only numbers can be stored");
	return access(v, dst, c->off, size_of(c->op), WRITE);
}

static int check_lddw(struct verifier *v, uint32_t pc, const struct bpf_code *c)
{
	struct reg *dst = &v->now.r[BPF_DST(c)];
	struct bpf_code second;

	if (pc + 1 >= v->p->head.codes)
		return bad(v, "its second half is missing");
	second = bpf_parts_code(v->p, pc + 1);
	if (second.op || second.regs || second.off)
		return bad(v, "malformed second half");
	if (BPF_DST(c) == 10)
		return bad(v, "r10 is written");
	v->second[pc + 1] = 1;
	if (!BPF_SRC(c)) {
		*dst = (struct reg){NUMBER, 1,
			(int64_t)((uint64_t)(uint32_t)second.imm << 32 |
				  (uint32_t)c->imm)};
		return 0;
	}
	if (c->imm < 0 || c->imm >= BPF_AREAS)
		return bad(v, "no such area");
	if (second.imm < 0 || (uint32_t)second.imm > area_bytes(v, c->imm))
		return bad(v, "memory out of bounds");
	*dst = (struct reg){(uint8_t)(AREA + c->imm), 0, second.imm};
	return 0;
}

/* ----------------------------------------------------------- arithmetic and jumps */

#define OFFSET_MAX (1 << 20)

/* Adds a known number to a pointer. */
static int move_pointer(struct verifier *v, struct reg *dst, int op, const struct reg *by)
{
	if ((op != BPF_A_ADD && op != BPF_A_SUB) || by->kind != NUMBER || !by->known)
		return bad(v, "arithmetic with a pointer");
	if (by->value > OFFSET_MAX || by->value < -OFFSET_MAX)
		return bad(v, "memory out of bounds");
	dst->value += op == BPF_A_ADD ? by->value : -by->value;
	if (dst->value > OFFSET_MAX || dst->value < -OFFSET_MAX)
		return bad(v, "memory out of bounds");
	return 0;
}

static int check_mov(struct verifier *v, const struct bpf_code *c, const struct reg *from)
{
	struct reg *dst = &v->now.r[BPF_DST(c)];

	if (BPF_CLASS(c->op) == BPF_C_ALU64 && !c->off) {
		*dst = *from;
		return 0;
	}
	if (from->kind != NUMBER)
		return bad(v, "arithmetic with a pointer");
	if (from->known && !c->off)
		*dst = (struct reg){NUMBER, 1, (uint32_t)from->value};
	else
		*dst = (struct reg){NUMBER, 0, 0};
	return 0;
}

static int check_alu(struct verifier *v, const struct bpf_code *c)
{
	struct reg *dst = &v->now.r[BPF_DST(c)], imm = {NUMBER, 1, c->imm};
	const struct reg *by = c->op & BPF_X ? &v->now.r[BPF_SRC(c)] : &imm;
	int op = c->op & 0xf0;

	if (BPF_DST(c) == 10)
		return bad(v, "r10 is written");
	if (op == BPF_A_NEG || op == BPF_A_END)
		by = dst;
	if (by->kind == NOTHING || (op != BPF_A_MOV && dst->kind == NOTHING))
		return bad(v, "register read before it is written");
	if (op == BPF_A_MOV)
		return check_mov(v, c, by);
	if (dst->kind != NUMBER && BPF_CLASS(c->op) == BPF_C_ALU64)
		return move_pointer(v, dst, op, by);
	if (dst->kind != NUMBER || by->kind != NUMBER)
		return bad(v, "arithmetic with a pointer");
	*dst = (struct reg){NUMBER, 0, 0};
	return 0;
}

static int check_argument(struct verifier *v, enum rt_helper_arg want, int i)
{
	const struct reg *r = &v->now.r[i + 1], *size = &v->now.r[i + 2];

	switch (want) {
	case RT_ARG_NONE:
		return 0;
	case RT_ARG_CONST:
		return r->kind == NUMBER && r->known ? 0
						     : bad(v, "argument is not constant");
	case RT_ARG_SCALAR:
		return r->kind == NUMBER ? 0 : bad(v, "argument is not a number");
	case RT_ARG_SIZE:
		return 0; /* seen with the pointer before it */
	case RT_ARG_IN:
	case RT_ARG_OUT:
		break;
	}
	if (i > 3 || size->kind != NUMBER || !size->known || size->value < 1)
		return bad(v, "size is not constant");
	if (access(v, r, 0, size->value, want == RT_ARG_IN ? READ : WRITE))
		return -1;
	v->helper_bytes += size->value;
	return v->helper_bytes <= HELPER_BYTES_MAX ? 0 : bad(v, "it would take too long");
}

static int check_call(struct verifier *v, const struct bpf_code *c)
{
	const struct rt_helper *helper;

	if (c->imm <= 0 || c->imm >= RT_HELPERS || !rt_helpers[c->imm].name)
		return bad(v, "no such helper");
	helper = &rt_helpers[c->imm];
	for (int i = 0; i < 5; i++)
		if (check_argument(v, helper->args[i], i))
			return -1;
	v->now.r[0] = (struct reg){NUMBER, 0, 0};
	for (int i = 1; i <= 5; i++)
		v->now.r[i] = (struct reg){NOTHING, 0, 0};
	return 0;
}

static int check_jump(struct verifier *v, uint32_t pc, const struct bpf_code *c)
{
	int op = c->op & 0xf0;

	switch (op) {
	case BPF_J_CALL:
		return check_call(v, c);
	case BPF_J_EXIT:
		v->reached = 0;
		return v->now.r[0].kind == NUMBER ? 0 : bad(v, "no result in r0");
	case BPF_J_A:
		v->reached = 0;
		return jump(v, pc,
			pc + 1ll + (BPF_CLASS(c->op) == BPF_C_JMP ? c->off : c->imm));
	}
	if (v->now.r[BPF_DST(c)].kind != NUMBER ||
		(c->op & BPF_X && v->now.r[BPF_SRC(c)].kind != NUMBER))
		return bad(v, "only numbers can be compared");
	return jump(v, pc, pc + 1ll + c->off);
}

static int check(struct verifier *v, uint32_t pc, const struct bpf_code *c)
{
	v->flaw = bpf_code_flaw(c);
	if (v->flaw)
		return -1;
	switch (BPF_CLASS(c->op)) {
	case BPF_C_ALU32:
	case BPF_C_ALU64:
		return check_alu(v, c);
	case BPF_C_JMP:
	case BPF_C_JMP32:
		return check_jump(v, pc, c);
	case BPF_C_LD:
		return check_lddw(v, pc, c);
	}
	return check_memory(v, c);
}

/* The number of the flawed instruction, or the number of all. */
static uint32_t pass(struct verifier *v)
{
	uint32_t n = v->p->head.codes;

	for (uint32_t pc = 0; pc < n; pc++) {
		struct bpf_code c = bpf_parts_code(v->p, pc);
		if (v->second[pc]) {
			if (v->ahead[pc] && bad(v, "a jump into the middle of it"))
				return pc;
			continue;
		}
		if (arrive(v, pc) || check(v, pc, &c))
			return pc;
	}
	return v->reached && bad(v, "control runs off the end") ? n - 1 : n;
}

int bpf_verify(const struct bpf_parts *p)
{
	struct verifier v = {.p = p, .reached = 1};
	uint32_t n = p->head.codes, at;

	v.now.r[10] = (struct reg){STACK, 0, 0};
	v.ahead = calloc(n, sizeof *v.ahead);
	v.second = calloc(n, 1);
	if (!v.ahead || !v.second) {
		free(v.ahead);
		free(v.second);
		return err_nomem("the verifier");
	}
	at = pass(&v);
	for (uint32_t i = 0; i < n; i++)
		free(v.ahead[i]);
	free(v.ahead);
	free(v.second);
	if (at < n && v.flaw == no_memory)
		return err_nomem("the verifier");
	if (at < n)
		return err_set(DTPROC_EVERIFY, "program %u, instruction %u: %s",
			p->head.program, at, v.flaw);
	return 0;
}
