/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench-victim CALLS: calls bench_target() CALLS times whenever the bench pokes it, and
 * tells how long that took.  For the bare loop it brings a slot: a copy of the function's
 * first instruction and a jump behind the original; slot[0] of the page has the
 * function's address, slot[1] the slot's.
 */
#include <victims/page.h>

#include <string.h>

uint64_t bench_target(uint64_t x);

__asm__(".text\n"
	".p2align 4\n"
	".globl bench_target\n"
	".type bench_target, @function\n"
	"bench_target:\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	lea 1(%rdi,%rdi), %rax\n"
	"	pop %rbp\n"
	"	ret\n"
	".size bench_target, . - bench_target\n");

static void make_slot(void)
{
	uintptr_t target = (uintptr_t)bench_target;
	unsigned char code[6] = {0x55, 0xe9};
	void *at = mmap((void *)((target & ~0xffful) + 0x200000), 4096,
		PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int32_t jump = (int32_t)((intptr_t)(target + 1) - ((intptr_t)at + 6));

	if (at == MAP_FAILED)
		exit(97);
	memcpy(code + 2, &jump, sizeof jump);
	memcpy(at, code, sizeof code);
	page->slot[0] = target;
	page->slot[1] = (uintptr_t)at;
}

int main(int argc, char **argv)
{
	uint64_t calls = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000, begin;
	uint32_t seen = 0;

	page_open();
	make_slot();
	page->ready = 1;
	while (!page->quit) {
		if (page->poke == seen) {
			page_nap(1000000);
			continue;
		}
		seen = page->poke;
		begin = page_clock();
		for (uint64_t i = 0; i < calls; i++)
			if (bench_target(i) != 2 * i + 1)
				page_bad("call %llu is wrong", (unsigned long long)i);
		page->ns = page_clock() - begin;
		page->calls += calls;
		page->poked = seen;
	}
	return page->bad != 0;
}
