/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * many: a program of 1,000 functions, many_000 to many_999, called in turn with their
 * results checked, while a thread notes the longest gap in its own running.
 */
#include "page.h"

#include <pthread.h>

#define NOINLINE __attribute__((noinline, noclone, used))
#define ONE(a, b, c)                                                                     \
	NOINLINE long many_##a##b##c(long x)                                             \
	{                                                                                \
		__asm__ volatile("" : "+r"(x));                                          \
		return x * 3 + a * 100 + b * 10 + c;                                     \
	}
/* clang-format off */
#define TEN(M, a, b) \
	M(a, b, 0) M(a, b, 1) M(a, b, 2) M(a, b, 3) M(a, b, 4) \
	M(a, b, 5) M(a, b, 6) M(a, b, 7) M(a, b, 8) M(a, b, 9)
#define HUNDRED(M, a) \
	TEN(M, a, 0) TEN(M, a, 1) TEN(M, a, 2) TEN(M, a, 3) TEN(M, a, 4) \
	TEN(M, a, 5) TEN(M, a, 6) TEN(M, a, 7) TEN(M, a, 8) TEN(M, a, 9)
#define ALL(M) \
	HUNDRED(M, 0) HUNDRED(M, 1) HUNDRED(M, 2) HUNDRED(M, 3) HUNDRED(M, 4) \
	HUNDRED(M, 5) HUNDRED(M, 6) HUNDRED(M, 7) HUNDRED(M, 8) HUNDRED(M, 9)
/* clang-format on */

ALL(ONE)

#define NAME(a, b, c) many_##a##b##c,
static long (*const functions[1000])(long) = {ALL(NAME)};

static void *watch(void *arg)
{
	uint64_t last = page_clock(), now;

	(void)arg;
	for (; !page->quit; last = now) {
		now = page_clock();
		if (now - last > page->gap_ns)
			page->gap_ns = now - last;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long nap_us = argc > 1 ? atol(argv[1]) : 1000;
	pthread_t thread;

	page_open();
	if (argc > 2 && pthread_create(&thread, NULL, watch, NULL))
		return 98;
	page->ready = 1;
	while (!page->quit) {
		for (long i = 0; i < 1000 && page->go; i++)
			if (functions[i](page->rounds) != (long)page->rounds * 3 + i)
				page_bad("many_%03ld is wrong", i);
		page->rounds += page->go;
		if (nap_us)
			page_nap(nap_us * 1000);
	}
	if (argc > 2)
		pthread_join(thread, NULL);
	return page_end("many");
}
