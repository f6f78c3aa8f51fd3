/* SPDX-License-Identifier: BSD-2-Clause */
/* The victim that calls for ever (tests/d/calls.c), for tests that look at its symbols.
 */
#ifndef TESTS_CALLS_H
#define TESTS_CALLS_H

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Is it behind its start: libc is there, and it naps between two rounds? */
static inline int calls_naps(pid_t pid)
{
	char path[40], line[512] = "", *state;
	int libc = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		libc |= strstr(line, "libc") != NULL;
	if (f)
		fclose(f);
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	f = fopen(path, "re");
	state = f && fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
	if (f)
		fclose(f);
	return libc && state && state[2] == 'S';
}

static inline pid_t calls_start(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(CALLS, "calls", "loop", NULL);
		_exit(127);
	}
	for (int i = 0; i < 10000 && !calls_naps(pid); i++)
		usleep(1000);
	return pid;
}

static inline int calls_end(pid_t pid)
{
	kill(pid, SIGKILL);
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

#endif
