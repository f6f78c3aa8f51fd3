/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_SAME_H
#define BASE_SAME_H

#include <sys/types.h>

/* Have two live processes (or threads) one memory, as behind vfork or CLONE_VM? */
int same_memory(pid_t a, pid_t b);

#endif
