/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clause HITS: what programs cost without the hit, by CPU time; the host has the
 * arguments in memory.  Prints lines of a word and numbers:
 *
 *	run INTERPRETED MACHINE	ns for each @[arg0 % 100] = quantize(arg1)
 *	load VERIFIED MACHINE	us until that clause is verified, and is machine code too
 *	script MS		for 200 lines of D, from text to machine code
 *	memory BEFORE AFTER	kB after a tenth of HITS with 1,000 keys, after all
 */
#include "unit/dlang.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define TRIES 50 /* the least counts: what else runs on the machine only adds */
#define KEYS 1000
#define CLAUSES 40 /* of 5 lines */

static struct dbench bench;
static uint64_t args[10];

static int get_arg(void *cookie, unsigned n, uint64_t *out)
{
	*out = args[n];
	return 0;
}

static int get_value(void *cookie, uint32_t which, uint64_t *out)
{
	*out = which;
	return 0;
}

static const struct rt_host host = {.arg = get_arg, .value = get_value};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int fail(void)
{
	fprintf(stderr, "%s\n", err_text());
	exit(1);
}

static void compile(const char *text)
{
	if (bench_compile(&bench, text))
		fail();
}

static struct bpf_program *load(unsigned i)
{
	struct bpf_program *p;

	if (bpf_program_load(
		    bench.script->clauses[i].blob, bench.script->clauses[i].bytes, &p))
		fail();
	return p;
}

/* Fires `n` times with ever other arguments; ns for each. */
static double fire(const struct bpf_program *p, unsigned long n, uint64_t keys)
{
	static uint64_t random = 1;
	double begin = now_ns();

	for (unsigned long i = 0; i < n; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		args[0] = (random >> 33) % keys;
		args[1] = random >> 50;
		rt_hit_probe(&bench.hit, 3);
		bpf_program_run(p, &bench.hit);
	}
	return (now_ns() - begin) / (double)n;
}

static double least_run(const struct bpf_program *p, unsigned long n)
{
	double best = 1e9;

	for (int i = 0; i < TRIES; i++) {
		double took = fire(p, n / TRIES + 1, 1u << 31);
		best = took < best ? took : best;
	}
	return best;
}

static void run(unsigned long n)
{
	struct bpf_program *p = load(0);
	double interpreted = least_run(p, n);

	if (!bpf_programs_compile(&p, 1))
		fprintf(stderr, "no machine code here\n");
	printf("run %.1f %.1f\n", interpreted, least_run(p, n));
	bpf_program_free(p);
}

static void load_times(void)
{
	double verified = 1e12, machine = 1e12;

	for (int i = 0; i < TRIES; i++) {
		double begin = now_ns(), middle, end;
		struct bpf_program *p = load(0);
		middle = now_ns();
		bpf_programs_compile(&p, 1);
		end = now_ns();
		bpf_program_free(p);
		verified = middle - begin < verified ? middle - begin : verified;
		machine = end - begin < machine ? end - begin : machine;
	}
	printf("load %.1f %.1f\n", verified / 1000, machine / 1000);
}

static void script(void)
{
	static const char clause[] =
		"BEGIN /arg0 > %d && execname != \"sh\"/ {\n"
		"\tthis->size_%d = arg1 * 2 + (arg2 & 0xff);\n"
		"\t@by_%d[probefunc, arg0 %% 100] = quantize(this->size_%d);\n"
		"\tprintf(\"%%s %%d %%s\\n\", probefunc, arg3, copyinstr(arg4));\n"
		"}\n";
	static char text[CLAUSES * (sizeof clause + 16)];
	struct bpf_program *programs[CLAUSES];
	double best = 1e12;
	size_t at = 0;

	for (int i = 0; i < CLAUSES; i++)
		at += (size_t)sprintf(text + at, clause, i, i, i, i);
	for (int i = 0; i < TRIES; i++) {
		double begin = now_ns();
		compile(text);
		for (unsigned k = 0; k < CLAUSES; k++)
			programs[k] = load(k);
		bpf_programs_compile(programs, CLAUSES);
		for (unsigned k = 0; k < CLAUSES; k++)
			bpf_program_free(programs[k]);
		best = now_ns() - begin < best ? now_ns() - begin : best;
	}
	printf("script %.2f\n", best / 1e6);
}

static long resident_kb(void)
{
	long all, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%ld %ld", &all, &pages) != 2)
		pages = -1;
	if (f)
		fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void memory(unsigned long n)
{
	struct bpf_program *p = load(0);
	long before;

	bpf_programs_compile(&p, 1);
	fire(p, n / 10, KEYS);
	before = resident_kb();
	fire(p, n - n / 10, KEYS);
	printf("memory %ld %ld\n", before, resident_kb());
	bpf_program_free(p);
}

int main(int argc, char **argv)
{
	static const struct rt_params params = {0};
	struct rt_drops drops;
	unsigned long hits = argc > 1 ? strtoul(argv[1], NULL, 0) : 10000000;

	if (bench_open(&bench, &params))
		return 1;
	bench.hit.host = &host;
	compile("BEGIN { @[arg0 % 100] = quantize(arg1); }");
	run(hits);
	load_times();
	compile("BEGIN { @[arg0] = quantize(arg1); }");
	memory(hits);
	script();
	rt_client_drops(&bench.client, 0, &drops);
	bench_close(&bench);
	return drops.agg != 0;
}
