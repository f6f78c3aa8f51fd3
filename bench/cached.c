/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cached PID1 PID2 TIMES: read-only grabs of one process again and again (its handle
 * idles in the cache), and of two in turn through a cache of one (each evicts the
 * other).  Prints the nanoseconds of a grab and release, cached and not.
 */
#include <dtproc.h>
#include <victims/page.h>

static int turn(struct dtproc *dt, pid_t a, pid_t b, int times, uint64_t *ns)
{
	uint64_t begin = page_clock();
	struct dtproc_proc *p;

	for (int i = 0; i < times; i++) {
		if (dtproc_proc_grab(dt, i % 2 ? a : b, DTPROC_GRAB_RDONLY, &p))
			return -1;
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	}
	*ns = (page_clock() - begin) / (uint64_t)times;
	return 0;
}

int main(int argc, char **argv)
{
	struct dtproc_options one = {.size = sizeof one, .cache_limit = 1};
	uint64_t cached, uncached;
	struct dtproc *dt;
	pid_t a, b;
	int times;

	if (argc < 4)
		return 2;
	a = atoi(argv[1]);
	b = atoi(argv[2]);
	times = atoi(argv[3]);
	(void)page;
	if (dtproc_open(&one, &dt) || turn(dt, a, b, times / 10, &uncached) ||
		turn(dt, a, a, times, &cached)) {
		fprintf(stderr, "cached: %s\n", dtproc_error_text());
		return 1;
	}
	dtproc_close(dt);
	printf("%llu %llu\n", (unsigned long long)cached, (unsigned long long)uncached);
	return 0;
}
