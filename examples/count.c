/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * count FUNCTION COMMAND: runs a command and prints how often it called a function, by
 * the library's tracing session.
 *
 *	count malloc 'ls /usr/bin'
 */
#include <dtproc.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(struct dtproc *d)
{
	fprintf(stderr, "count: %s\n", dtproc_error_text());
	dtproc_close(d);
	return 1;
}

/* What is told about the victim: "pid 4711 has exited". */
static void on_notice(const struct dtproc_notice *n, void *arg)
{
	fprintf(stderr, "count: %s\n", n->text);
}

int main(int argc, char **argv)
{
	struct dtproc *d = NULL;
	struct dtproc_proc *victim;
	char script[256];
	int status;

	if (argc != 3) {
		fprintf(stderr, "usage: count FUNCTION COMMAND\n");
		return 2;
	}
	snprintf(script, sizeof script,
		"pid$target::%s:entry { @[probemod, probefunc] = count(); }", argv[1]);

	if (dtproc_open(NULL, &d))
		return fail(d);
	dtproc_on_notice(d, on_notice, NULL);
	/* The first victim is $target; it waits, with its libraries mapped. */
	if (dtproc_proc_create_command(d, argv[2], &victim))
		return fail(d);
	if (dtproc_script(d, "count", script, 0, NULL) || dtproc_go(d, NULL, NULL))
		return fail(d);
	do {
		status = dtproc_work(d, stdout);
	} while (status == DTPROC_WORK_OK);
	/* Prints the aggregation. */
	if (status < 0 || dtproc_stop(d, stdout))
		return fail(d);
	dtproc_close(d);
	return 0;
}
