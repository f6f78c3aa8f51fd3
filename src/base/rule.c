/* SPDX-License-Identifier: BSD-2-Clause */
#include "rule.h"

#include <stdlib.h>
#include <string.h>

/* Read before any thread is there, and before a test can change the environment. */
static const char *without;

__attribute__((constructor)) static void read_environment(void)
{
	without = getenv("DTPROC_WITHOUT");
}

int rule_stands(const char *name)
{
	return !without || strcmp(name, without) != 0;
}
