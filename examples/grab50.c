/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * grab50: starts 50 processes and reads each of them over and over, as a monitor that
 * names addresses does: by a read-only grab, a look, and a release.  With a cache that
 * holds them all a grab costs two system calls; without, each one opens the process anew.
 */
#include <dtproc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES 50

static const char secret[] = "the same in all of them";

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Grabs one, reads a word of it, gives it back; 0: it is what it should be. */
static int look(struct dtproc *d, pid_t pid)
{
	struct dtproc_proc *p;
	char first = 0;
	ssize_t n;

	if (dtproc_proc_grab(d, pid, DTPROC_GRAB_RDONLY, &p))
		return -1;
	n = dtproc_proc_read(p, (dtproc_addr)(uintptr_t)secret, &first, 1);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	return n == 1 && first == secret[0] ? 0 : -1;
}

static int rounds(const char *what, unsigned cache_limit, const pid_t *pids, int n)
{
	struct dtproc_options options = {
		.size = sizeof options, .cache_limit = cache_limit};
	struct dtproc *d = NULL;
	double from;
	int bad = dtproc_open(&options, &d);

	if (!bad)
		bad = look(d, pids[0]);
	from = now_us();
	for (int i = 0; i < n && !bad; i++)
		for (int k = 0; k < PROCESSES && !bad; k++)
			bad = look(d, pids[k]);
	if (bad)
		fprintf(stderr, "grab50: %s\n", dtproc_error_text());
	else
		printf("%-20s %8.2f us for each of %d grabs\n", what,
			(now_us() - from) / (n * PROCESSES), n * PROCESSES);
	if (d)
		dtproc_close(d);
	return bad;
}

int main(void)
{
	pid_t pids[PROCESSES];
	int bad;

	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			alarm(60);
			for (;;)
				pause();
		}
	}
	bad = rounds("cache of 8:", 0, pids, 4) || rounds("cache of 50:", 50, pids, 200);
	for (int i = 0; i < PROCESSES; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	return bad != 0;
}
