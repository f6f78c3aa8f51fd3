/* SPDX-License-Identifier: BSD-2-Clause */
/* How a process ended, in DTrace's words. */
#ifndef BASE_END_H
#define BASE_END_H

#include <stddef.h>
#include <sys/types.h>

/* "pid 4711 terminated by SIGSEGV (core dumped)"; `status` is waitpid(2)'s. */
void end_text(pid_t, int status, char *buf, size_t room);

#endif
