/* SPDX-License-Identifier: BSD-2-Clause */
/* Cleanup of locals at the end of their scope: CLEAN_FREE char *s = ...; */
#ifndef BASE_CLEAN_H
#define BASE_CLEAN_H

#include <stdlib.h>
#include <unistd.h>

#define CLEAN(fn) __attribute__((cleanup(fn)))

static inline void clean_free(void *p)
{
	free(*(void **)p);
}

static inline void clean_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define CLEAN_FREE CLEAN(clean_free)
#define CLEAN_FD CLEAN(clean_fd)

/* The value of a variable that a CLEAN_ would free, which the caller now owns. */
#define TAKE_PTR(p)                                                                      \
	({                                                                               \
		typeof(p) taken_ = (p);                                                  \
		(p) = NULL;                                                              \
		taken_;                                                                  \
	})
#define TAKE_FD(fd)                                                                      \
	({                                                                               \
		int taken_ = (fd);                                                       \
		(fd) = -1;                                                               \
		taken_;                                                                  \
	})

#endif
