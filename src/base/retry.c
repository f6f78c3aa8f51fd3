/* SPDX-License-Identifier: BSD-2-Clause */
#include "retry.h"

#include <errno.h>
#include <time.h>

#define TRIES_MAX 7

int retry_after(int eno, unsigned *tries)
{
	if (eno == EINTR)
		return 1;
	if ((eno != ENOMEM && eno != ENOBUFS && eno != EMFILE && eno != ENFILE) ||
		*tries >= TRIES_MAX)
		return 0;
	struct timespec nap = {0, 1000000L << (*tries)++};
	nanosleep(&nap, NULL);
	return 1;
}
