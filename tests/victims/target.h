/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The function that tests put probes on.  Its result depends on every instruction of
 * it, and is checked against the same sum computed another way.
 */
#ifndef VICTIMS_TARGET_H
#define VICTIMS_TARGET_H

#include <stdint.h>

__attribute__((noinline, noclone, used, visibility("default"))) uint64_t victim_target(
	uint64_t x, uint64_t y)
{
	uint64_t sum = x;

	for (int i = 0; i < 3; i++)
		sum = sum * 6364136223846793005u + (y ^ (sum >> 33));
	__asm__ volatile("" : "+r"(sum)::"memory");
	return sum;
}

static inline __attribute__((always_inline)) uint64_t target_expect(
	uint64_t x, uint64_t y)
{
	uint64_t a = x * 6364136223846793005u + (y ^ (x >> 33));
	uint64_t b = a * 6364136223846793005u + (y ^ (a >> 33));

	return b * 6364136223846793005u + (y ^ (b >> 33));
}

/* Calls it once; 1 when the result is wrong. */
static inline __attribute__((always_inline)) int target_call(uint64_t x, uint64_t y)
{
	return victim_target(x, y) != target_expect(x, y);
}

#endif
