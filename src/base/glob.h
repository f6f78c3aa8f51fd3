/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

/*
 * Does `text` match `pattern` of the shell's kind: * ? [set] [!set] and backslash
 * (DTrace guide, "Probe descriptions").  An empty pattern matches everything.
 * Linear in pattern times text: a hostile pattern cannot make it slower.
 */
int glob_match(const char *pattern, const char *text);
/* Does `pattern` hold any of * ? [ \ : is it more than a name? */
int glob_is_pattern(const char *pattern);

#endif
