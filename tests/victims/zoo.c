/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zoo ROUNDS: calls each function of zoo.S that often, and checks what it returns.
 * zoo list: prints "name hits" for each zoo_ function, as one round makes them.
 */
#include "page.h"

#include <string.h>

typedef uint64_t fn(uint64_t x, uint64_t y);

static const char from[300] = "what rep movs copies";
static char into[300];
static uint64_t xadd;
static uint64_t counter;

fn case_leaf;
static fn *leaf_pointer = case_leaf;

/* Result of the k-th call where it is no constant. */
enum want { VALUE, PPID, COUNTER, XADD, COPIED };

#define DECLARE(f) extern fn f
DECLARE(zoo_push);
DECLARE(zoo_push_r12);
DECLARE(zoo_endbr64);
DECLARE(zoo_nop1);
DECLARE(zoo_nop5);
DECLARE(zoo_sub);
DECLARE(zoo_mov);
DECLARE(zoo_mov_imm64);
DECLARE(zoo_xor);
DECLARE(zoo_lea_rip);
DECLARE(zoo_mov_rip);
DECLARE(zoo_store_rip);
DECLARE(zoo_cmp_rip);
DECLARE(zoo_cmp_rip_imm8);
DECLARE(zoo_movl_rip_imm32);
DECLARE(zoo_jmp_short);
DECLARE(zoo_jmp_near);
DECLARE(zoo_jmp_back);
DECLARE(flag_jcc_short);
DECLARE(flag_jcc_near);
DECLARE(flag_jcc_near_far);
DECLARE(flag_cmovcc);
DECLARE(flag_setcc);
DECLARE(flag_jrcxz);
DECLARE(flag_loop);
DECLARE(zoo_call_rel32);
DECLARE(zoo_call_reg);
DECLARE(zoo_call_mem);
DECLARE(zoo_call_rip);
DECLARE(flag_call_rsp);
DECLARE(zoo_call_where);
DECLARE(zoo_call_next);
DECLARE(zoo_ret);
DECLARE(flag_ret_imm);
DECLARE(flag_syscall);
DECLARE(flag_rep_movsb);
DECLARE(zoo_lock_xadd);
DECLARE(zoo_lock_inc_rip);
DECLARE(flag_leave);
DECLARE(zoo_movaps_rip);
DECLARE(zoo_pshufd_rip);
DECLARE(flag_jmp_table);
DECLARE(zoo_jmp_rip);
DECLARE(zoo_jmp_reg);
DECLARE(zoo_push_rip);
DECLARE(zoo_push_rsp);
DECLARE(zoo_push_imm);
DECLARE(zoo_pushf);
DECLARE(flag_popf);
DECLARE(zoo_fs);
DECLARE(flag_redzone);
DECLARE(zoo_rdtsc);
DECLARE(zoo_cpuid);
DECLARE(zoo_div);
DECLARE(zoo_tiny);

#define P(x) ((uint64_t)(uintptr_t)(x))

static const struct animal {
	const char *name; /* of the zoo_ function that is hit */
	fn *call;
	uint64_t x, y, result;
	enum want want;
	unsigned hits; /* 0: one */
} animals[] = {
	{"push", zoo_push, 3, 4, 7, VALUE, 0},
	{"push_r12", zoo_push_r12, 3, 0, 4, VALUE, 0},
	{"endbr64", zoo_endbr64, 3, 4, 7, VALUE, 0},
	{"nop1", zoo_nop1, 3, 4, 7, VALUE, 0},
	{"nop5", zoo_nop5, 3, 4, 7, VALUE, 0},
	{"sub", zoo_sub, 12, 0, 12, VALUE, 0},
	{"mov", zoo_mov, 3, 4, 7, VALUE, 0},
	{"mov_imm64", zoo_mov_imm64, 0, 0, 0x1122334455667788, VALUE, 0},
	{"xor", zoo_xor, 9, 9, 0, VALUE, 0},
	{"lea_rip", zoo_lea_rip, 0, 0, 5, VALUE, 0},
	{"mov_rip", zoo_mov_rip, 0, 0, 5, VALUE, 0},
	{"store_rip", zoo_store_rip, 77, 0, 77, VALUE, 0},
	{"cmp_rip", zoo_cmp_rip, 0, 0, 1, VALUE, 0},
	{"cmp_rip_imm8", zoo_cmp_rip_imm8, 0, 0, 1, VALUE, 0},
	{"movl_rip_imm32", zoo_movl_rip_imm32, 0, 0, 0x12345678, VALUE, 0},
	{"jmp_short", zoo_jmp_short, 1, 0, 4, VALUE, 0},
	{"jmp_near", zoo_jmp_near, 1, 0, 5, VALUE, 0},
	{"jmp_back", zoo_jmp_back, 1, 0, 7, VALUE, 0},
	{"jcc_short", flag_jcc_short, 0, 0, 11, VALUE, 0},
	{"jcc_short", flag_jcc_short, 1, 0, 10, VALUE, 0},
	{"jcc_near", flag_jcc_near, 0, 0, 21, VALUE, 0},
	{"jcc_near", flag_jcc_near, 1, 0, 20, VALUE, 0},
	{"jcc_near_far", flag_jcc_near_far, 2, 0, 8, VALUE, 0},
	{"jcc_near_far", flag_jcc_near_far, 1, 0, 30, VALUE, 0},
	{"cmovcc", flag_cmovcc, 0, 6, 0, VALUE, 0},
	{"cmovcc", flag_cmovcc, 1, 6, 6, VALUE, 0},
	{"setcc", flag_setcc, 0, 0, 1, VALUE, 0},
	{"setcc", flag_setcc, 1, 0, 0, VALUE, 0},
	{"jrcxz", flag_jrcxz, 0, 0, 41, VALUE, 0},
	{"jrcxz", flag_jrcxz, 1, 0, 40, VALUE, 0},
	{"loop", flag_loop, 4, 0, 3, VALUE, 4},
	{"call_rel32", zoo_call_rel32, 1, 0, 102, VALUE, 0},
	{"call_reg", zoo_call_reg, 1, P(case_leaf), 102, VALUE, 0},
	{"call_mem", zoo_call_mem, 1, P(&leaf_pointer), 102, VALUE, 0},
	{"call_rip", zoo_call_rip, 1, 0, 102, VALUE, 0},
	{"call_rsp", flag_call_rsp, 1, P(case_leaf), 102, VALUE, 0},
	{"call_where", zoo_call_where, 0, 0, 0, VALUE, 0},
	{"call_next", zoo_call_next, 0, 0, 0, VALUE, 0},
	{"ret_imm", flag_ret_imm, 8, 0, 8, VALUE, 0},
	{"syscall", flag_syscall, 0, 0, 0, PPID, 0},
	{"rep_movsb", flag_rep_movsb, P(into), P(from), 0, COPIED, 0},
	{"lock_xadd", zoo_lock_xadd, 3, P(&xadd), 0, XADD, 0},
	{"lock_inc_rip", zoo_lock_inc_rip, 0, 0, 0, COUNTER, 0},
	{"leave", flag_leave, 1, 0, 10, VALUE, 0},
	{"movaps_rip", zoo_movaps_rip, 0, 0, 0x0123456789abcdef, VALUE, 0},
	{"pshufd_rip", zoo_pshufd_rip, 0, 0, 0x1111111122222222, VALUE, 0},
	{"jmp_table", flag_jmp_table, 0, 0, 50, VALUE, 0},
	{"jmp_table", flag_jmp_table, 1, 0, 51, VALUE, 0},
	{"jmp_rip", zoo_jmp_rip, 1, 0, 101, VALUE, 0},
	{"jmp_reg", zoo_jmp_reg, 1, P(case_leaf), 101, VALUE, 0},
	{"push_rip", zoo_push_rip, 0, 0, 5, VALUE, 0},
	{"push_rsp", zoo_push_rsp, 0, 0, 0, VALUE, 0},
	{"push_imm", zoo_push_imm, 0, 0, (uint64_t)-7, VALUE, 0},
	{"pushf", zoo_pushf, 0, 0, 2, VALUE, 0},
	{"popf", flag_popf, 1, 0, 6, VALUE, 0},
	{"fs", zoo_fs, 0, 0, 0, VALUE, 0},
	{"redzone", flag_redzone, 30, 12, 42, VALUE, 0},
	{"rdtsc", zoo_rdtsc, 0, 0, 1, VALUE, 0},
	{"cpuid", zoo_cpuid, 0, 0, 2, VALUE, 0},
	{"div", zoo_div, 42, 6, 7, VALUE, 0},
};
#define ANIMALS (sizeof animals / sizeof *animals)

static uint64_t wanted(const struct animal *a)
{
	switch (a->want) {
	case PPID:
		return (uint64_t)getppid();
	case COUNTER:
		return ++counter;
	case XADD:
		return xadd;
	case COPIED:
		memset(into, 0, sizeof into);
		break;
	case VALUE:
		break;
	}
	return a->result;
}

static void visit(const struct animal *a)
{
	uint64_t want = wanted(a), got = a->call(a->x, a->y);

	if (got != want)
		page_bad("zoo_%s(%#llx) is %#llx, not %#llx", a->name,
			(unsigned long long)a->x, (unsigned long long)got,
			(unsigned long long)want);
	if (a->want == COPIED && memcmp(into, from, sizeof from))
		page_bad("zoo_%s copied wrong bytes", a->name);
	page->calls += a->hits ? a->hits : 1;
}

static void list(void)
{
	for (size_t i = 0; i < ANIMALS; i++)
		printf("%s %u\n", animals[i].name, animals[i].hits ? animals[i].hits : 1);
	printf("ret 1\ntiny 1\n");
}

int main(int argc, char **argv)
{
	int rounds = atoi(argc > 1 ? argv[1] : "1");

	page_open();
	if (argc > 1 && !strcmp(argv[1], "list")) {
		list();
		return 0;
	}
	page_ready();
	for (int i = 0; i < rounds && !page->quit; i++, page->rounds++) {
		for (size_t j = 0; j < ANIMALS; j++)
			visit(&animals[j]);
		zoo_ret(1, 2); /* return nothing: the caller's rax */
		zoo_tiny(1, 2);
		page->calls += 2;
	}
	return page_end("zoo");
}
