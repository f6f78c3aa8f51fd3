/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every allocation of a whole trace fails in turn (the linker sends the library's calls
 * here): it ends with an error that has a text, the victim goes on untraced, and no
 * descriptor stays open.
 */
#include "unit.h"
#include "calls.h"
#include "failing.h"

#include <dirent.h>
#include <dtproc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pid_t victim;
static FILE *sink;

static const char script[] = "BEGIN { printf(\"%s\\n\", probename); }"
			     "pid$target::first_c*:entry /arg0 >= 0/ "
			     "{ @[probefunc, arg0 & 3] = count(); trace(execname); }"
			     "tick-10ms { @t = count(); } END { printa(@t); clear(@t); }";

static void quietly(const char *text, void *arg)
{
}

static int trace(struct dtproc *d)
{
	struct dtproc_proc *p;
	int err = dtproc_proc_grab(d, victim, 0, &p);

	if (!err)
		err = dtproc_script(d, "test", script, 0, NULL);
	if (!err)
		err = dtproc_go(d, NULL, NULL);
	for (int i = 0; i < 3 && !err; i++)
		err = dtproc_work(d, sink);
	if (!err)
		err = dtproc_stop(d, sink);
	return err;
}

static int whole(void)
{
	struct dtproc *d;
	int err = dtproc_open(NULL, &d);

	if (err)
		return err;
	dtproc_on_warning(d, quietly, NULL);
	err = trace(d);
	dtproc_close(d);
	return err;
}

static int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int traced(void)
{
	char path[64], line[256];
	int tracer = 0;

	snprintf(path, sizeof path, "/proc/%d/status", (int)victim);
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof line, f))
		sscanf(line, "TracerPid: %d", &tracer);
	if (f)
		fclose(f);
	return tracer;
}

static void each_allocation_fails(void **state)
{
	int before, n = 0, failed = 0;

	assert_int_equal(whole(), 0); /* what is made once is made now */
	before = open_descriptors();
	for (; n < 2000; n++) {
		fail_nth(n);
		int rc = whole();
		int untouched = fail_none();

		if (untouched)
			break;
		failed += rc < 0;
		if (rc < 0 && !*dtproc_error_text())
			fail_msg("allocation %d: error %d has no text", n, rc);
		assert_int_equal(open_descriptors(), before);
		assert_int_equal(traced(), 0);
		assert_int_equal(kill(victim, 0), 0);
	}
	print_message("%d allocations, %d of them are needed\n", n, failed);
	assert_true(n > 50 && failed > n / 2);
}

static int start(void **state)
{
	sink = fopen("/dev/null", "w");
	victim = calls_start();
	return 0;
}

static int end(void **state)
{
	fclose(sink);
	return calls_end(victim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_fails)};

	return cmocka_run_group_tests(tests, start, end);
}
