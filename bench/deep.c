/* SPDX-License-Identifier: BSD-2-Clause */
/* deep N: waits N calls deep, in functions with frames of different sizes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int deepest;

static int wide(int n);

__attribute__((noinline)) static int narrow(int n)
{
	int keep = n;

	if (n == 0) {
		puts("deep");
		fflush(stdout);
		pause();
		return deepest;
	}
	deepest += wide(n - 1);
	return keep + deepest;
}

__attribute__((noinline)) static int wide(int n)
{
	char room[96];

	memset(room, n, sizeof room);
	if (n == 0)
		return narrow(0);
	deepest += narrow(n - 1);
	return room[deepest & 31] + deepest;
}

int main(int argc, char **argv)
{
	return wide(argc > 1 ? atoi(argv[1]) : 20);
}
