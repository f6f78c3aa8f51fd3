/* SPDX-License-Identifier: BSD-2-Clause */
#include "glob.h"

#include <stddef.h>
#include <string.h>

/* Matches one character against the set at p (behind its '['); NULL end: no set. */
static int set_match(const char *p, char c, const char **end)
{
	int invert = *p == '!' || *p == '^', hit = 0;
	const char *first = p += invert;

	for (; *p && (*p != ']' || p == first); p++) {
		if (p[1] == '-' && p[2] && p[2] != ']') {
			hit |= p[0] <= c && c <= p[2];
			p += 2;
		} else {
			hit |= *p == c;
		}
	}
	*end = *p ? p + 1 : NULL;
	return hit != invert;
}

/* Matches one character; the pattern behind it, or NULL. */
static const char *one(const char *p, char c)
{
	const char *end;

	if (*p == '?')
		return p + 1;
	if (*p == '[') {
		int hit = set_match(p + 1, c, &end);
		if (end)
			return hit ? end : NULL;
	}
	if (*p == '\\' && p[1])
		p++;
	return *p == c ? p + 1 : NULL;
}

int glob_match(const char *pattern, const char *text)
{
	const char *star = NULL, *from = NULL;

	if (!*pattern)
		return 1;
	while (*text) {
		const char *next;
		if (*pattern == '*') {
			star = ++pattern;
			from = text;
		} else if (*pattern && (next = one(pattern, *text))) {
			pattern = next;
			text++;
		} else if (star) {
			pattern = star;
			text = ++from;
		} else {
			return 0;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

int glob_is_pattern(const char *pattern)
{
	return strpbrk(pattern, "*?[\\") != NULL;
}
