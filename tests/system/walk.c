/* SPDX-License-Identifier: BSD-2-Clause */
/* walk PID: the stacks of all threads, a line each: TID, then PC and flags of frames. */
#include <dtproc.h>

#include <stdlib.h>

#define ROOM 4096

static int walk(struct dtproc_proc *p)
{
	static struct dtproc_frame frames[ROOM];
	static pid_t tids[ROOM];
	long threads = dtproc_proc_threads(p, tids, ROOM);

	for (long i = 0; i < threads; i++) {
		long n = dtproc_proc_stack(p, tids[i], frames, ROOM);

		printf("%d", (int)tids[i]);
		for (long k = 0; k < n; k++)
			printf(" %llx:%x", (unsigned long long)frames[k].pc,
				frames[k].flags);
		printf("\n");
	}
	return threads < 0;
}

int main(int argc, char **argv)
{
	struct dtproc *dt;
	struct dtproc_proc *p;
	int bad;

	if (argc < 2 || dtproc_open(NULL, &dt) ||
		dtproc_proc_grab(dt, atoi(argv[1]), 0, &p)) {
		fprintf(stderr, "walk PID: %s\n", dtproc_error_text());
		return 1;
	}
	bad = walk(p);
	dtproc_proc_release(p, DTPROC_RELEASE_RUN);
	dtproc_close(dt);
	return bad;
}
