/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machine code as such: its memory, its size, far jumps, and what happens where there is
 * no executable memory.  What instructions do is the matter of test_bpf and
 * test_bpf_random.
 */
#include "unit.h"
#include "bpf_both.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* What --wrap puts in the place of the system's. */
static int refuse_mmap, refuse_mprotect;
void *__real_mmap(void *, size_t, int, int, int, off_t);
int __real_mprotect(void *, size_t, int);

void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	assert_false((prot & PROT_WRITE) && (prot & PROT_EXEC));
	if (refuse_mmap) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mmap(at, bytes, prot, flags, fd, offset);
}

/* The same, where files of more than 2 GB are asked for. */
void *__wrap_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	return __wrap_mmap(at, bytes, prot, flags, fd, offset);
}

int __wrap_mprotect(void *at, size_t bytes, int prot)
{
	assert_false((prot & PROT_WRITE) && (prot & PROT_EXEC));
	if (refuse_mprotect) {
		errno = EACCES;
		return -1;
	}
	return __real_mprotect(at, bytes, prot);
}

static struct bpf_program *load(const char *text)
{
	struct bpf_program *p = NULL;
	size_t bytes;
	void *blob;

	if (bpf_assemble(text, &blob, &bytes) || bpf_program_load(blob, bytes, &p))
		fail_msg("%s", err_text());
	free(blob);
	return p;
}

/* Executable bytes of memory that belong to no file; none may be writable. */
static size_t executable(void)
{
	char line[512], prot[5], path[256];
	unsigned long from, to;
	size_t sum = 0;
	FILE *f = fopen("/proc/self/maps", "r");

	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		path[0] = 0;
		assert_true(sscanf(line, "%lx-%lx %4s %*s %*s %*s %255s", &from, &to,
				    prot, path) >= 3);
		if (prot[2] == 'x' && prot[1] == 'w')
			fail_msg("writable and executable: %s", line);
		if (prot[2] == 'x' && !path[0])
			sum += to - from;
	}
	fclose(f);
	return sum;
}

/* The code is executable and never writable, and is gone with its program. */
static void test_write_or_execute(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), before = executable();
	struct bpf_program *p = load("mov r0, 0\nexit");

	assert_int_equal(executable(), before);
	assert_int_equal(bpf_programs_compile(&p, 1), 1);
	assert_int_equal(executable(), before + page);
	assert_int_equal(bpf_programs_compile(&p, 1), 1);
	assert_int_equal(executable(), before + page);
	bpf_program_free(p);
	assert_int_equal(executable(), before);
}

/* Programs that are compiled together share pages, for as long as one of them lives. */
static void test_together(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), before = executable();
	static struct both both;
	struct bpf_program *p[40] = {NULL};
	char text[64];

	assert_int_equal(both_open(&both), 0);
	assert_int_equal(bpf_programs_compile(p, COUNT_OF(p)), 1); /* none */
	for (unsigned i = 0; i < COUNT_OF(p); i += 2) { /* the others stay NULL */
		snprintf(text, sizeof text, "mov r1, 3\nmov r2, %u\ncall fault\nexit", i);
		p[i] = load(text);
	}
	assert_int_equal(bpf_programs_compile(p, 8), 1);
	assert_int_equal(bpf_programs_compile(p, COUNT_OF(p)), 1);
	assert_int_equal(executable(), before + 2 * page);
	for (unsigned i = 0; i < COUNT_OF(p); i += 2) {
		assert_int_equal(bpf_program_run(p[i], &both.compiled.hit), -1);
		assert_int_equal(both.compiled.hit.fault_value, i);
		bpf_program_free(p[i]);
		assert_int_equal(executable(), before + page * (i < 6 ? 2 : i < 38));
	}
	both_close(&both);
}

/* Without executable memory a program is interpreted, and nothing is left behind. */
static void test_no_memory(void **state)
{
	size_t before = executable();
	static struct both both;
	struct bpf_program *p = load("mov r1, 3\nmov r2, 9\ncall fault\nmov r0, 0\nexit");

	assert_int_equal(both_open(&both), 0);
	refuse_mprotect = 1;
	assert_int_equal(bpf_programs_compile(&p, 1), 0);
	refuse_mprotect = 0;
	refuse_mmap = 1;
	assert_int_equal(bpf_programs_compile(&p, 1), 0);
	refuse_mmap = 0;
	assert_int_equal(executable(), before);
	assert_int_equal(bpf_program_run(p, &both.compiled.hit), -1);
	assert_int_equal(both.compiled.hit.fault_pc, 2);
	assert_int_equal(both.compiled.hit.fault_value, 9);
	bpf_program_free(p);
	both_close(&both);
}

/* ------------------------------------------------------------------------ large ones */

struct text {
	char *at;
	size_t bytes;
	FILE *f;
};

static void text_open(struct text *t)
{
	t->at = NULL;
	t->f = open_memstream(&t->at, &t->bytes);
	assert_non_null(t->f);
}

static void text_try(struct text *t, struct both *both)
{
	const char *what;
	size_t bytes;
	void *blob;

	fclose(t->f);
	if (bpf_assemble(t->at, &blob, &bytes))
		fail_msg("%s", err_text());
	what = both_run(both, blob, bytes);
	if (what)
		fail_msg("%s differs: %.500s", what, t->at);
	free(blob);
	free(t->at);
}

/* Emits r6 as the record of the program. */
static const char emit[] = "out: stxdw [r10-8], r6\nmov r1, r10\nadd r1, -8\nmov r2, 8\n"
			   "call emit\nmov r0, 0\nexit\n";

/* Code of every length around a page: what is behind its end is never executed. */
static void test_sizes(void **state)
{
	static struct both both;
	struct text t;

	assert_int_equal(both_open(&both), 0);
	for (int n = 690; n < 750; n++) {
		text_open(&t);
		fprintf(t.f, "mov r6, %d\n", n);
		for (int i = 0; i < n; i++)
			fprintf(t.f, i % 3 ? "add r6, 1000\n" : "neg r6\n");
		fputs(emit, t.f);
		text_try(&t, &both);
	}
	both_close(&both);
}

/* The longest program there is, with calls and jumps over nearly all of it. */
static void test_longest(void **state)
{
	static struct both both;
	static const char *const begins[] = {"ja far\n", "jeq r6, 5, far\n",
		"jne r6, 5, far\n", "ja32 far\n", "jslt32 r6, 6, far\n"};
	struct text t;
	unsigned rest = BPF_CODES_MAX - 2 - 7;

	assert_int_equal(both_open(&both), 0);
	for (size_t k = 0; k < COUNT_OF(begins); k++) {
		int is_always = begins[k][1] == 'a';
		text_open(&t);
		fprintf(t.f, "mov r6, 5\n%s", is_always ? "jeq r6, 6, next\n" : "");
		fprintf(t.f, "%snext:\n", begins[k]);
		for (unsigned i = 0; i < rest - (is_always ? 1 : 0) - 4; i += 4)
			fprintf(t.f,
				"lddw r7, 0x123456789abc%u\nadd r6, r7\n"
				"smod r6, r7\n",
				i % 1000);
		fprintf(t.f, "far: add r6, 1\n%s", emit);
		text_try(&t, &both);
	}
	both_close(&both);
}

/* As many calls as fit; one of the last faults. */
static void test_many_calls(void **state)
{
	static struct both both;
	struct text t;

	assert_int_equal(both_open(&both), 0);
	text_open(&t);
	for (unsigned i = 0; i < BPF_CODES_MAX / 2 - 10; i++)
		fprintf(t.f, "mov r1, %u\ncall arg\n", i % 10);
	fprintf(t.f, "mov r1, 99\ncall value\nmov r6, r0\n%s", emit);
	text_try(&t, &both);
	assert_int_equal(both.compiled.hit.fault, RT_FAULT_ILLOP);
	assert_int_equal(both.compiled.hit.fault_pc, (BPF_CODES_MAX / 2 - 10) * 2 + 1);
	both_close(&both);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_or_execute),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_many_calls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
