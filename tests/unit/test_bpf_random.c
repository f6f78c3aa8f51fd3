/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random programs, interpreted and as machine code: results, faults and all memory that a
 * program can reach must be the same.  So must be what is left of them when they have
 * been spoilt and the verifier still takes them; under ASan that is a test of the
 * verifier.  DTPROC_SEED repeats a run, DTPROC_SOAK makes it a million programs.
 *
 * A program is a row of groups, each of which leaves a number in every register from r0
 * to r9; jumps go to beginnings of groups, so what meets there fits together and the
 * verifier accepts it.
 */
#include "unit.h"
#include "bpf_both.h"

#include <stdio.h>
#include <time.h>

#define GROUPS 40
#define CODES 4096
#define INITIAL 64 /* bytes of stack that are written first */
#define RODATA 64
#define AREA_BYTES 256

struct maker {
	uint64_t random;
	struct bpf_code code[CODES];
	uint32_t n;
	struct {
		uint32_t at, group;
	} jumps[CODES];
	uint32_t n_jumps, group, groups;
};

static uint32_t roll(struct maker *m, uint32_t below)
{
	m->random = m->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(m->random >> 33) % below;
}

/* A number of the kind that goes wrong. */
static uint64_t odd_number(struct maker *m)
{
	static const uint64_t odd[] = {0, 1, 2, 7, 8, 31, 32, 63, 64, 100, 0x7f, 0x80,
		0xff, 0x1000, 0x1010, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, INT64_MAX, 1ull << 63, UINT64_MAX, -2ull, -7ull,
		-128ull, -129ull, -0x80000000ull, RT_OWN_ADDRESS, RT_OWN_ADDRESS + 8};
	uint32_t i = roll(m, COUNT_OF(odd) + 6);

	if (i < COUNT_OF(odd))
		return odd[i];
	return ((uint64_t)roll(m, 1u << 31) << 33 ^ roll(m, 1u << 31)) >> roll(m, 64);
}

static void code(struct maker *m, int op, int dst, int src, int off, int64_t imm)
{
	m->code[m->n++] = (struct bpf_code){.op = (uint8_t)op,
		.regs = (uint8_t)(dst | src << 4),
		.off = (int16_t)off,
		.imm = (int32_t)imm};
}

static void number(struct maker *m, int reg, uint64_t value)
{
	if (value == (uint64_t)(int32_t)value) {
		code(m, BPF_C_ALU64 | BPF_A_MOV, reg, 0, 0, (int64_t)value);
		return;
	}
	code(m, BPF_LDDW, reg, 0, 0, (int32_t)value);
	code(m, 0, 0, 0, 0, (int32_t)(value >> 32));
}

static int any(struct maker *m)
{
	return (int)roll(m, 10);
}

/* A pointer to `size` bytes; to write, or to memory that has been written. */
static void pointer(struct maker *m, int reg, uint32_t size, int to_write)
{
	uint32_t area = roll(m, BPF_AREAS + 1), room = AREA_BYTES;

	if (area == BPF_AREAS) {
		room = to_write ? BPF_STACK_BYTES : INITIAL;
		code(m, BPF_C_ALU64 | BPF_A_MOV | BPF_X, reg, 10, 0, 0);
		code(m, BPF_C_ALU64 | BPF_A_ADD, reg, 0, 0,
			-(int64_t)(size + roll(m, room - size + 1)));
		return;
	}
	if (area == BPF_AREA_RODATA && to_write)
		area = BPF_AREA_SCRATCH;
	if (area == BPF_AREA_RODATA)
		room = RODATA;
	code(m, BPF_LDDW, reg, BPF_LDDW_AREA, 0, area);
	code(m, 0, 0, 0, 0, roll(m, room - size + 1));
}

/* -------------------------------------------------------------------------- groups */

static void arithmetic(struct maker *m)
{
	static const uint8_t ops[] = {BPF_A_ADD, BPF_A_SUB, BPF_A_MUL, BPF_A_DIV,
		BPF_A_OR, BPF_A_AND, BPF_A_LSH, BPF_A_RSH, BPF_A_MOD, BPF_A_XOR,
		BPF_A_MOV, BPF_A_ARSH};
	static const int sizes[] = {8, 16, 32};
	int class = roll(m, 2) ? BPF_C_ALU64 : BPF_C_ALU32, op = ops[roll(m, 12)];
	int is_div = op == BPF_A_DIV || op == BPF_A_MOD, off = is_div && roll(m, 2);
	int64_t imm = (int64_t)odd_number(m);

	if (roll(m, 2)) {
		if (op == BPF_A_MOV && roll(m, 2))
			off = sizes[roll(m, class == BPF_C_ALU64 ? 3 : 2)];
		code(m, class | op | BPF_X, any(m), any(m), off, 0);
		return;
	}
	if (op == BPF_A_LSH || op == BPF_A_RSH || op == BPF_A_ARSH)
		imm &= class == BPF_C_ALU64 ? 63 : 31;
	if (is_div && !(int32_t)imm)
		imm = -1;
	code(m, class | op, any(m), 0, off, imm);
}

static void unary(struct maker *m)
{
	static const int bits[] = {16, 32, 64};
	static const int swaps[] = {BPF_C_ALU32 | BPF_A_END,
		BPF_C_ALU32 | BPF_A_END | BPF_X, BPF_C_ALU64 | BPF_A_END};

	if (roll(m, 2))
		code(m, (roll(m, 2) ? BPF_C_ALU64 : BPF_C_ALU32) | BPF_A_NEG, any(m), 0,
			0, 0);
	else
		code(m, swaps[roll(m, 3)], any(m), 0, 0, bits[roll(m, 3)]);
}

static const struct {
	uint8_t op, bytes;
} sizes[] = {{BPF_S_B, 1}, {BPF_S_H, 2}, {BPF_S_W, 4}, {BPF_S_DW, 8}};

/* The base is a register that holds a number again afterwards. */
static void memory(struct maker *m)
{
	uint32_t i = roll(m, 4), bytes = sizes[i].bytes;
	int size = sizes[i].op, base = any(m), shift = (int)roll(m, 400) - 200;
	int other = (base + 1 + (int)roll(m, 9)) % 10, is_load = (int)roll(m, 2);

	pointer(m, base, bytes, !is_load);
	code(m, BPF_C_ALU64 | BPF_A_ADD, base, 0, 0, -shift);
	if (is_load)
		code(m,
			BPF_C_LDX | size |
				(size != BPF_S_DW && roll(m, 2) ? BPF_M_SX : BPF_M_MEM),
			roll(m, 2) ? base : other, base, shift, 0);
	else if (roll(m, 2))
		code(m, BPF_C_ST | size | BPF_M_MEM, base, 0, shift,
			(int64_t)odd_number(m));
	else
		code(m, BPF_C_STX | size | BPF_M_MEM, base, other, shift, 0);
	number(m, base, odd_number(m));
}

static void numbers(struct maker *m)
{
	number(m, any(m), odd_number(m));
}

/* A constant that some helper may like. */
static uint64_t constant(struct maker *m)
{
	switch (roll(m, 5)) {
	case 0:
		return odd_number(m);
	case 3: /* a dynamic variable */
		return 1 + roll(m, 3) | (roll(m, 2) ? RT_DYN_SELF : 0);
	case 1: /* an aggregation */
		return 1 + roll(m, 3) | (uint64_t)roll(m, RT_AGG_FUNCS) << 32;
	case 2:
		return RT_LQUANTIZE((int)roll(m, 20) - 10, roll(m, 10), roll(m, 4));
	}
	return roll(m, 13);
}

static int argument(struct maker *m, const struct rt_helper *h, int i)
{
	uint32_t size = 1 + roll(m, INITIAL);

	switch (h->args[i]) {
	case RT_ARG_NONE:
	case RT_ARG_SIZE:
		return 0;
	case RT_ARG_CONST:
		number(m, 1 + i, constant(m));
		return 0;
	case RT_ARG_SCALAR:
		if (roll(m, 2))
			number(m, 1 + i, odd_number(m));
		return 0;
	case RT_ARG_IN:
	case RT_ARG_OUT:
		if (roll(m, 2))
			size = (size + 7) & ~7u;
		pointer(m, 1 + i, size, h->args[i] == RT_ARG_OUT);
		number(m, 2 + i, size);
		return 0;
	}
	return -1; /* a kind that this file does not know */
}

static void refill(struct maker *m)
{
	for (int i = 1; i <= 5; i++)
		number(m, i, odd_number(m));
}

static unsigned long called[RT_HELPERS];

static void helper(struct maker *m)
{
	uint32_t id = 1 + roll(m, RT_HELPERS - 1), start = m->n;

	if (id == RT_HELPER_FAULT && roll(m, 20))
		return;
	for (int i = 0; i < 5; i++)
		if (!rt_helpers[id].name || argument(m, &rt_helpers[id], i)) {
			m->n = start;
			return;
		}
	code(m, BPF_C_JMP | BPF_J_CALL, 0, 0, 0, id);
	called[id]++;
	refill(m);
}

/* The registers into a record, and out. */
static void finish(struct maker *m)
{
	for (int i = 0; i < 10; i++)
		code(m, BPF_C_STX | BPF_M_MEM | BPF_S_DW, 10, i, -8 * (10 - i), 0);
	code(m, BPF_C_ALU64 | BPF_A_MOV | BPF_X, 1, 10, 0, 0);
	code(m, BPF_C_ALU64 | BPF_A_ADD, 1, 0, 0, -80);
	number(m, 2, 80);
	code(m, BPF_C_JMP | BPF_J_CALL, 0, 0, 0, RT_HELPER_EMIT);
	code(m, BPF_C_JMP | BPF_J_EXIT, 0, 0, 0, 0);
}

/* To the beginning of a later group; the distance is not known yet. */
static void jump(struct maker *m, int op, int dst, int src, int64_t imm, uint32_t group)
{
	m->jumps[m->n_jumps].at = m->n;
	m->jumps[m->n_jumps++].group = group;
	code(m, op, dst, src, 0, imm);
}

static uint32_t later(struct maker *m)
{
	return m->group + 1 + roll(m, m->groups - m->group);
}

static void branch(struct maker *m, uint32_t group)
{
	static const uint8_t ops[] = {BPF_J_EQ, BPF_J_GT, BPF_J_GE, BPF_J_SET, BPF_J_NE,
		BPF_J_SGT, BPF_J_SGE, BPF_J_LT, BPF_J_LE, BPF_J_SLT, BPF_J_SLE};
	int op = (roll(m, 2) ? BPF_C_JMP : BPF_C_JMP32) | ops[roll(m, 11)];

	if (roll(m, 2))
		jump(m, op | BPF_X, any(m), any(m), 0, group);
	else
		jump(m, op, any(m), 0, (int64_t)odd_number(m), group);
}

static void branches(struct maker *m)
{
	branch(m, later(m));
}

/* A jump that is always taken, and a way around it: what follows can be reached. */
static void jumps(struct maker *m)
{
	branch(m, m->group + 1);
	if (roll(m, 4))
		jump(m, (roll(m, 2) ? BPF_C_JMP : BPF_C_JMP32) | BPF_J_A, 0, 0, 0,
			later(m));
	else
		finish(m);
}

static void begin(struct maker *m)
{
	for (int i = 0; i < 10; i++)
		number(m, i, odd_number(m));
	for (int at = 8; at <= INITIAL; at += 8)
		code(m, BPF_C_STX | BPF_M_MEM | BPF_S_DW, 10, any(m), -at, 0);
}

static void resolve(struct maker *m, const uint32_t *where)
{
	for (uint32_t i = 0; i < m->n_jumps; i++) {
		struct bpf_code *c = &m->code[m->jumps[i].at];
		int32_t off = (int32_t)(where[m->jumps[i].group] - m->jumps[i].at - 1);
		if (c->op == (BPF_C_JMP32 | BPF_J_A))
			c->imm = off;
		else
			c->off = (int16_t)off;
	}
}

static void make(struct maker *m, uint64_t seed)
{
	static void (*const makers[])(struct maker *) = {arithmetic, arithmetic,
		arithmetic, unary, memory, memory, numbers, helper, branches, jumps};
	uint32_t where[GROUPS + 1];

	m->random = seed * 0x9e3779b97f4a7c15ull;
	m->n = m->n_jumps = 0;
	m->groups = 1 + roll(m, GROUPS);
	begin(m);
	for (m->group = 0; m->group < m->groups; m->group++) {
		where[m->group] = m->n;
		makers[roll(m, COUNT_OF(makers))](m);
	}
	where[m->groups] = m->n;
	finish(m);
	resolve(m, where);
}

/* ---------------------------------------------------------------------------- runs */

static size_t blob_of(struct maker *m, unsigned char *to)
{
	struct bpf_blob head = {.magic = BPF_BLOB_MAGIC,
		.version = BPF_BLOB_VERSION,
		.program = 5,
		.codes = m->n,
		.rodata = RODATA,
		.scratch = AREA_BYTES,
		.locals = AREA_BYTES,
		.globals = AREA_BYTES};

	head.bytes = (uint32_t)sizeof head + m->n * 8 + RODATA;
	memcpy(to, &head, sizeof head);
	memcpy(to + sizeof head, m->code, m->n * 8);
	for (int i = 0; i < RODATA; i++)
		to[head.bytes - RODATA + (unsigned)i] = (unsigned char)(i * 37);
	return head.bytes;
}

static unsigned long refused, faults, broken_taken;

/* Runs it in both forms; 0: the verifier refuses it. */
static int run(struct both *both, struct maker *m, uint64_t seed, const char *kind)
{
	static unsigned char blob[sizeof(struct bpf_blob) + CODES * 8 + RODATA];
	size_t bytes = blob_of(m, blob);
	struct bpf_program *p;
	const char *what;

	if (bpf_program_load(blob, bytes, &p))
		return 0;
	bpf_program_free(p);
	what = both_run(both, blob, bytes);
	if (what) {
		bpf_disassemble(blob, bytes, stderr);
		fail_msg(
			"DTPROC_SEED=%#llx, %s: %s differs", (long long)seed, kind, what);
	}
	return 1;
}

/* Changes some of it at random: most will be refused, what is not must be harmless. */
static void spoil(struct maker *m)
{
	for (uint32_t times = 1 + roll(m, 3); times--;) {
		struct bpf_code *c = &m->code[roll(m, m->n)];
		switch (roll(m, 4)) {
		case 0:
			c->op = m->code[roll(m, m->n)].op;
			break;
		case 1:
			c->regs = (uint8_t)(roll(m, 11) | roll(m, 11) << 4);
			break;
		case 2:
			c->off = (int16_t)odd_number(m);
			break;
		case 3:
			c->imm = (int32_t)odd_number(m);
		}
	}
}

static void all_called(void)
{
	for (int i = 1; i < RT_HELPERS; i++)
		if (rt_helpers[i].name && !called[i])
			fail_msg("argument() cannot call %s", rt_helpers[i].name);
}

static void test_random(void **state)
{
	static struct maker m;
	static struct both both;
	const char *given = getenv("DTPROC_SEED");
	uint64_t first = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) << 20;
	unsigned long runs = getenv("DTPROC_SOAK") ? 1000000 : 3000;

	assert_int_equal(both_open(&both), 0);
	for (uint64_t seed = first; seed < first + runs; seed++) {
		make(&m, seed);
		if (run(&both, &m, seed, "whole"))
			faults += both.result == -1;
		else if (!refused++)
			print_message("seed %#llx: %s\n", (long long)seed, err_text());
		spoil(&m);
		broken_taken += (unsigned long)run(&both, &m, seed, "spoilt");
	}
	print_message(
		"%lu programs from %#llx, %lu refused, %lu ended by a fault; %lu taken "
		"that were spoilt\n",
		runs, (long long)first, refused, faults, broken_taken);
	assert_true(refused < runs / 100);
	assert_true(faults > runs / 100 && faults < runs / 2);
	assert_true(broken_taken > runs / 20 && broken_taken < runs);
	all_called();
	both_close(&both);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
