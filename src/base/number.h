/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdint.h>

/*
 * Reads the decimal digits that `s` begins with: *rest is behind them, a unit say.
 * Returns 0, and changes nothing, when there are none or the number needs over 64 bits.
 */
int number_parse(const char *s, uint64_t *out, const char **rest);

#endif
