/* SPDX-License-Identifier: BSD-2-Clause */
/* linked: a program with a library of its own (plug.c); 0 when its constructor has run.
 */
#include "plug.h"

int main(void)
{
	return plug_calls != PLUG_BEGIN_CALLS || plug_target(7) != plug_expect(7);
}
