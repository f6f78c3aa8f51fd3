/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Knows how it began: 0 when its constructor has run before main(), once.  With
 * BEGINS_EXEC in the environment its constructor executes what that names first.
 */
#include <stdlib.h>
#include <unistd.h>

static volatile int constructed;

__attribute__((constructor)) static void construct(void)
{
	char *next = getenv("BEGINS_EXEC"), *argv[] = {next, NULL};

	constructed++;
	if (!next)
		return;
	unsetenv("BEGINS_EXEC");
	execv(next, argv);
	_exit(9);
}

int main(void)
{
	return constructed == 1 ? 0 : 3;
}
