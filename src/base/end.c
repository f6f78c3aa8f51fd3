/* SPDX-License-Identifier: BSD-2-Clause */
#include "end.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

void end_text(pid_t pid, int status, char *buf, size_t room)
{
	const char *core = WCOREDUMP(status) ? " (core dumped)" : "", *name;

	if (WIFEXITED(status)) {
		snprintf(buf, room, "pid %d exited with status %d", (int)pid,
			WEXITSTATUS(status));
		return;
	}
	name = sigabbrev_np(WTERMSIG(status));
	if (name)
		snprintf(buf, room, "pid %d terminated by SIG%s%s", (int)pid, name, core);
	else
		snprintf(buf, room, "pid %d terminated by signal %d%s", (int)pid,
			WTERMSIG(status), core);
}
