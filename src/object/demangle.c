/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of C++ and Rust as their programmers wrote them, by libiberty. */
#include <stdlib.h>
#include <string.h>
#include <libiberty/demangle.h>
#include "object.h"

/* Longer ones are left alone: what they say in full can be thousands of times as long. */
#define MANGLED_MAX 4096

char *object_demangle(const char *name, int flags)
{
	const int options =
		flags & OBJECT_DEMANGLE_SHORT ? DMGL_NO_OPTS : DMGL_PARAMS | DMGL_ANSI;
	char *text = NULL;

	if (name[0] != '_' || strlen(name) > MANGLED_MAX)
		return NULL;
	if (name[1] == 'R' || !strncmp(name, "_ZN", 3))
		text = rust_demangle(name, options);
	if (!text && name[1] == 'Z')
		text = cplus_demangle_v3(name, options);
	return text;
}
