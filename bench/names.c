/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * names TIMES PID...: names random addresses of code in all these processes, TIMES of
 * them in all, by read-only handles.  Prints nanoseconds of CPU time an address, the
 * share that had a name in percent, and how many files were open in the end.
 */
#include <dtproc.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROCESSES 64
#define BATCH 10000

static struct dtproc_proc *procs[PROCESSES];
static dtproc_addr at[BATCH];
static struct dtproc_symbol out[BATCH];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Addresses all over the code of a process. */
static void choose(pid_t pid)
{
	static struct {
		unsigned long long start, end;
	} code[512];
	char path[64], line[512], perms[8];
	size_t n = 0;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	FILE *f = fopen(path, "r");

	while (f && n < 512 && fgets(line, sizeof line, f))
		if (sscanf(line, "%llx-%llx %7s", &code[n].start, &code[n].end, perms) ==
				3 &&
			perms[2] == 'x' && strchr(line, '/'))
			n++;
	if (f)
		fclose(f);
	for (size_t i = 0; n && i < BATCH; i++) {
		size_t k = (size_t)random() % n;

		at[i] = code[k].start + (dtproc_addr)((unsigned long long)random() %
						      (code[k].end - code[k].start));
	}
}

static size_t open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	long times = argc > 1 ? atol(argv[1]) : 0, done = 0, named = 0;
	int n = argc - 2 < PROCESSES ? argc - 2 : PROCESSES;
	struct dtproc_options many = {.size = sizeof many, .cache_limit = PROCESSES};
	struct dtproc *dt;
	double took = 0;

	if (n < 1 || dtproc_open(&many, &dt))
		return 2;
	for (int i = 0; i < n; i++)
		if (dtproc_proc_grab(
			    dt, atoi(argv[i + 2]), DTPROC_GRAB_RDONLY, &procs[i]))
			goto failed;
	for (int i = -n; done < times; i++) { /* the first round warms up */
		struct dtproc_proc *p = procs[(i + n) % n];

		choose(dtproc_proc_pid(p));
		double begin = now();

		if (dtproc_proc_symbols_at(p, at, BATCH, 0, out) < 0)
			goto failed;
		if (i < 0)
			continue;
		took += now() - begin;
		done += BATCH;
		for (int k = 0; k < BATCH; k++)
			named += out[k].symbol != NULL;
	}
	printf("%.0f %ld %zu\n", took / (double)done, named * 100 / done, open_files());
	dtproc_close(dt);
	return 0;
failed:
	fprintf(stderr, "names: %s\n", dtproc_error_text());
	return 1;
}
