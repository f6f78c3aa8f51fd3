/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hold COMMAND | hold PID: holds a process and prints how it ends.
 *
 *	hold 'sh -c "exit 3"'
 *	hold 4711
 *
 * A command that is started is killed with us; a process that is held runs on.
 */
#include <dtproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	interrupted = 1;
}

/* Called from dtproc_sleep() alone: no lock is held, the handle may be given back. */
static void on_notice(const struct dtproc_notice *n, void *arg)
{
	int *over = arg;

	printf("%s\n", n->text);
	if (n->kind != DTPROC_NOTICE_ERROR) {
		dtproc_proc_release(n->proc, DTPROC_RELEASE_DEFAULT);
		*over = 1;
	}
}

static int hold(struct dtproc *d, const char *what, struct dtproc_proc **out)
{
	char *end;
	long pid = strtol(what, &end, 10);

	if (pid > 0 && *end == '\0')
		return dtproc_proc_grab(d, (pid_t)pid, 0, out);
	return dtproc_proc_create_command(d, what, out);
}

int main(int argc, char **argv)
{
	struct dtproc *d = NULL;
	struct dtproc_proc *victim;
	int over = 0, bad = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: hold COMMAND | hold PID\n");
		return 2;
	}
	if (dtproc_open(NULL, &d)) {
		fprintf(stderr, "hold: %s\n", dtproc_error_text());
		return 1;
	}
	signal(SIGINT, on_interrupt);
	dtproc_on_notice(d, on_notice, &over);
	if (hold(d, argv[1], &victim)) {
		bad = 1;
	} else {
		printf("holding pid %d\n", (int)dtproc_proc_pid(victim));
		/* Here it is stopped: breakpoints would be set now. */
		bad = dtproc_proc_continue(victim) != 0;
	}
	while (!bad && !over && !interrupted)
		bad = dtproc_sleep(d, 1000) < 0;
	if (bad)
		fprintf(stderr, "hold: %s\n", dtproc_error_text());
	dtproc_close(d);
	return bad;
}
