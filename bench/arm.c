/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arm PID CLAUSE: grabs, arms, lets run, waits a little, lets go, in the order in which
 * `dtproc -p` does; prints the two times in microseconds: from the first look at the
 * victim until it runs with its probes, and of letting go.
 */
#include <dtproc.h>
#include <victims/page.h>

static int fail(const char *what)
{
	fprintf(stderr, "arm: %s: %s\n", what, dtproc_error_text());
	return 1;
}

static int see_probe(const struct dtproc_probe_info *p, void *arg)
{
	(void)p;
	(void)arg;
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t begin, armed, ending, end;
	struct dtproc_proc *p, *seen;
	struct dtproc *dt;

	if (argc < 3 || dtproc_open(NULL, &dt))
		return fail("open");
	begin = page_clock();
	if (dtproc_proc_grab(dt, atoi(argv[1]), DTPROC_GRAB_RDONLY, &seen) ||
		dtproc_script(dt, "-n", argv[2], 0, NULL) ||
		dtproc_each_probe(dt, see_probe, NULL))
		return fail("script");
	if (dtproc_proc_grab(dt, atoi(argv[1]), 0, &p) || dtproc_go(dt, NULL, NULL))
		return fail("go");
	armed = page_clock();
	page_nap(50000000);
	ending = page_clock();
	if (dtproc_stop(dt, stderr))
		return fail("stop");
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	dtproc_proc_release(seen, DTPROC_RELEASE_DEFAULT);
	end = page_clock();
	dtproc_close(dt);
	(void)page;
	printf("%llu %llu\n", (unsigned long long)(armed - begin) / 1000,
		(unsigned long long)(end - ending) / 1000);
	return 0;
}
