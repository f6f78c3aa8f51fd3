/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * While its victims are stopped, from the first grab until they run, the command neither
 * writes nor obeys Ctrl-Z.  A victim may be what shows its output (tmux, a terminal
 * emulator, sshd, the reader of a pipe), which would fill up and block us for ever; or
 * the shell that would have to continue us.  What is to be said is kept and said when
 * they run; the same holds for a suspension.
 */
#include "cmd.h"

#include <signal.h>
#include <stdlib.h>

#define STREAMS 2 /* the output and standard error */

static struct kept {
	FILE *to, *memory;
	char *text;
	size_t size;
} kept[STREAMS];
static int stopped, catching;
static volatile sig_atomic_t suspended;

static void on_suspend(int sig)
{
	suspended = 1;
}

void cmd_stopped(void)
{
	struct sigaction sa;

	stopped = 1;
	if (sigaction(SIGTSTP, NULL, &sa) || sa.sa_handler != SIG_DFL)
		return; /* no shell with job control */
	sa.sa_handler = on_suspend;
	sa.sa_flags = SA_RESTART;
	catching = sigaction(SIGTSTP, &sa, NULL) == 0;
}

FILE *cmd_stream(FILE *to)
{
	for (size_t i = 0; stopped && i < STREAMS; i++) {
		struct kept *k = &kept[i];

		if (!k->to) {
			k->to = to;
			k->memory = open_memstream(&k->text, &k->size);
		}
		if (k->to == to)
			return k->memory ? k->memory : to;
	}
	return to;
}

static void say(struct kept *k)
{
	if (k->memory && fclose(k->memory) == 0)
		fwrite(k->text, 1, k->size, k->to);
	free(k->text);
	*k = (struct kept){0};
}

void cmd_running(void)
{
	stopped = 0;
	for (size_t i = 0; i < STREAMS; i++)
		say(&kept[i]);
	if (catching)
		signal(SIGTSTP, SIG_DFL);
	catching = 0;
	if (suspended)
		raise(SIGTSTP);
	suspended = 0;
}
