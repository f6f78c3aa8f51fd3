/* SPDX-License-Identifier: BSD-2-Clause */
#include "number.h"

#include <ctype.h>

int number_parse(const char *s, uint64_t *out, const char **rest)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)*s))
		return 0;
	for (; isdigit((unsigned char)*s); s++)
		if (__builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return 0;
	*out = n;
	*rest = s;
	return 1;
}
