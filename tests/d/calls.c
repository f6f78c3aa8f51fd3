/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tests of tracing hold: functions of known names, called in a known order with
 * known arguments.  calls N: N rounds, then the end with status 3 (or `calls N S`: S).
 * calls loop: rounds for ever, a hundred a second.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROBED __attribute__((noinline, noipa, used))

PROBED long ten_arguments(
	long a, long b, long c, long d, long e, long f, long g, long h, long i, long j)
{
	return a + b + c + d + e + f + g + h + i + j;
}

PROBED int first_call(int n)
{
	__asm__ volatile("");
	return n + 1;
}

PROBED int second_call(const char *text)
{
	return (int)strlen(text);
}

/* Another name of first_call, which a glob must not count again. */
extern __typeof__(first_call) __first_alias __attribute__((alias("first_call"), used));

static PROBED int hidden_call(signed char c, unsigned short s)
{
	return c + s;
}

/* Never called: it begins with a breakpoint of its own. */
__attribute__((naked, used, noinline)) void own_trap(void)
{
	__asm__ volatile("int3; ret");
}

static void round_of_calls(int n)
{
	first_call(n);
	second_call("some text");
	if (n % 2)
		hidden_call((signed char)-n, (unsigned short)n);
	ten_arguments(n, -1, 2, 3, 4, 5, 6, 7, 8, 9);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1;

	if (argc > 1 && strcmp(argv[1], "loop") == 0) {
		struct timespec nap = {0, 10000000};

		for (int n = 0;; n++, nanosleep(&nap, NULL))
			round_of_calls(n);
	}
	for (int n = 0; n < rounds; n++)
		round_of_calls(n);
	puts("calls are made");
	return argc > 2 ? atoi(argv[2]) : 3;
}
