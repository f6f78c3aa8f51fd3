/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inherits: prints what a program gets from whoever starts it (rule C1); two runs that
 * were started alike print the same.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void signals(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, "SigBlk", 6) || !strncmp(line, "SigIgn", 6) ||
			!strncmp(line, "SigPnd", 6) || !strncmp(line, "ShdPnd", 6) ||
			!strncmp(line, "SigCgt", 6))
			fputs(line, stdout);
	if (f)
		fclose(f);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int fds[256], n = 0;

	for (struct dirent *d; dir && (d = readdir(dir)) && n < 256;)
		if (d->d_name[0] != '.' && atoi(d->d_name) != dirfd(dir))
			fds[n++] = atoi(d->d_name);
	if (dir)
		closedir(dir);
	qsort(fds, (size_t)n, sizeof *fds, by_number);
	printf("descriptors");
	for (int i = 0; i < n; i++)
		printf(" %d", fds[i]);
	printf("\n");
}

static void limits(void)
{
	struct rlimit r;

	for (int i = 0; i < RLIM_NLIMITS; i++)
		if (!getrlimit((__rlimit_resource_t)i, &r))
			printf("limit %d %lu %lu\n", i, (unsigned long)r.rlim_cur,
				(unsigned long)r.rlim_max);
}

int main(int argc, char **argv)
{
	char cwd[4096];
	mode_t mask = umask(0);

	for (int i = 1; i < argc; i++)
		printf("argument %d '%s'\n", i, argv[i]);
	printf("cwd %s\numask %o\n", getcwd(cwd, sizeof cwd), (unsigned)mask);
	printf("group %d session %d\n", getpgrp(), getsid(0));
	printf("nice %d\n", getpriority(PRIO_PROCESS, 0));
	printf("variable %s\n", getenv("INHERITED") ? getenv("INHERITED") : "none");
	printf("terminal %d %d %d\n", isatty(0), isatty(1), isatty(2));
	signals();
	descriptors();
	limits();
	return 7;
}
