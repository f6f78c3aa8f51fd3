/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions of C++ and Rust in descriptions: by their symbol, or as their programmer
 * wrote them, with or without the types of arguments.  Demangling takes a microsecond or
 * two for each symbol, so those alone are demangled that hold the longest word of what is
 * wanted: mangled names spell identifiers out.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <base/glob.h>
#include "own.h"

/* Does `name` hold the longest identifier of `wanted`? */
static int holds_word(const char *name, const char *wanted)
{
	char word[64];
	size_t most = 0, len;

	for (const char *s = wanted; *s; s += len ? len : 1) {
		for (len = 0; isalnum((unsigned char)s[len]) || s[len] == '_';)
			len++;
		if (len <= most || len >= sizeof word)
			continue;
		most = len;
		memcpy(word, s, len);
		word[len] = 0;
	}
	return most && strstr(name, word);
}

int probe_function_is(const char *wanted, const char *name)
{
	char *text;
	int is;

	if (glob_match(wanted, name))
		return 1;
	if (name[0] != '_' || (name[1] != 'Z' && name[1] != 'R') ||
		!holds_word(name, wanted))
		return 0;
	text = object_demangle(name, strchr(wanted, '(') ? 0 : OBJECT_DEMANGLE_SHORT);
	is = text && glob_match(wanted, text);
	free(text);
	return is;
}
