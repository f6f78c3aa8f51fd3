/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_SLURP_H
#define BASE_SLURP_H

#include <stddef.h>

/* Reads a small file of /proc whole and adds a NUL; its length, or -errno. */
long slurp_file(const char *path, char *buf, size_t room);

#endif
