/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of objects in probe descriptions.  A user writes libc for libc.so.6, libc.so for
 * it too, and libpython3.11 for libpython3.11.so.1.0: a name may end before ".so", or at
 * any dot behind it.
 */
#include <string.h>
#include <base/glob.h>
#include "object.h"

/* May a name be cut at `cut`, a place in it? */
static int ends_here(const char *name, const char *cut)
{
	const char *so = strstr(name, ".so");

	while (so && so[3] && so[3] != '.')
		so = strstr(so + 1, ".so");
	if (!*cut)
		return 1;
	return so && *cut == '.' && (cut == so || cut >= so + 3);
}

int object_is_called(const char *name, const char *wanted)
{
	size_t len = strlen(wanted);

	if (glob_is_pattern(wanted) || len == 0)
		return glob_match(wanted, name);
	return strncmp(name, wanted, len) == 0 && ends_here(name, name + len);
}
