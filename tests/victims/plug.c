/* SPDX-License-Identifier: BSD-2-Clause */
/* A library that calls a function of its own from its constructor and destructor. */
#include "plug.h"

uint64_t plug_calls;

__attribute__((noinline, noclone)) uint64_t plug_target(uint64_t x)
{
	__atomic_fetch_add(&plug_calls, 1, __ATOMIC_RELAXED);
	__asm__ volatile("" : "+r"(x)::"memory");
	return plug_expect(x);
}

PLUG_SHOWN void plug_idle(void)
{
	__asm__ volatile("nop; nop; nop");
}

/* No probe can be set here; it is never called. */
PLUG_SHOWN __attribute__((naked)) void plug_trap(void)
{
	__asm__ volatile("int3; ret");
}

/* Called once, whatever its name is by now (tests/system/linker.c exchanges the two). */
static __attribute__((noinline, noclone)) void ping(void)
{
	__asm__ volatile("nop; nop; nop");
}
extern __typeof(ping) plug_ping __attribute__((alias("ping"))) PLUG_SHOWN;

PLUG_SHOWN void plug_pong(void)
{
	__asm__ volatile("nop; nop; nop");
}

__attribute__((constructor)) static void begin(void)
{
	ping();
	for (uint64_t i = 0; i < PLUG_BEGIN_CALLS; i++)
		plug_target(i);
}

__attribute__((destructor)) static void end(void)
{
	for (uint64_t i = 0; i < PLUG_END_CALLS; i++)
		plug_target(i);
}
