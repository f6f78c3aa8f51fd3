/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

#include "err.h"

#include <stdint.h>

int vec_reserve(void **at, size_t *room, size_t want, size_t size)
{
	size_t next = *room ? *room : 8;

	if (want <= *room)
		return 0;
	if (want > SIZE_MAX / 2 / size)
		return err_nomem("a vector");
	while (next < want)
		next *= 2;
	void *grown = realloc(*at, next * size);
	if (!grown)
		return err_nomem("a vector");
	*at = grown;
	*room = next;
	return 0;
}
