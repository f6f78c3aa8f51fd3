/* SPDX-License-Identifier: BSD-2-Clause */
/* What plug.c, a library of the tests, shows of itself. */
#ifndef VICTIMS_PLUG_H
#define VICTIMS_PLUG_H

#include <stdint.h>

#define PLUG_BEGIN_CALLS 2 /* of plug_target() by the constructor */
#define PLUG_END_CALLS                                                                   \
	1 /* by the destructor, when it is unloaded or the program ends                  \
	   */

typedef uint64_t plug_fn(uint64_t x);

#define PLUG_SHOWN __attribute__((visibility("default")))

PLUG_SHOWN plug_fn plug_target;
PLUG_SHOWN extern uint64_t plug_calls; /* so far */

static inline uint64_t plug_expect(uint64_t x)
{
	return x * 2862933555777941757u + 3037000493u;
}

#endif
