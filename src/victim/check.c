/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is there something that can be held (rule C2)?  What the kernel says no to is for
 * refusal.c.
 */
#include "victim.h"

#include <base/rule.h>
#include <base/slurp.h>
#include <dirent.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#define PF_KTHREAD 0x00200000ul

int victim_check_proc(void)
{
	struct statfs fs;
	char text[16] = "";

	/* The mount tells, not the process: in a sidecar the numbers are others. */
	if (readlink("/proc/self", text, sizeof text - 1) > 0 && atoi(text) == getpid())
		return 0;
	if (statfs("/proc", &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return err_set(DTPROC_ESYS,
			"/proc is not mounted here, and nothing works without: "
			"mount -t proc proc /proc");
	return err_set(DTPROC_ESYS,
		"/proc is that of another PID namespace, where processes have other "
		"numbers: mount the own one (mount -t proc proc /proc), or enter that "
		"namespace (nsenter --pid)");
}

static int own_thread(pid_t pid, const struct victim_status *st)
{
	if (st->tgid == getpid() && RULE(C2, self))
		return err_set(DTPROC_ESELF,
			pid == st->tgid ? "that is this very process"
					: "that is a thread of this very process");
	if (st->tgid != pid)
		return err_set(DTPROC_ENOPROC,
			"it is a thread of process %d, not a process", (int)st->tgid);
	return 0;
}

/* "pid 4711 (name)" */
static void name_process(pid_t pid, char *buf, size_t room)
{
	struct victim_stat st;

	if (victim_stat_read(pid, &st))
		snprintf(buf, room, "pid %d", (int)pid);
	else
		snprintf(buf, room, "pid %d (%s)", (int)pid, st.comm);
}

static int is_a_keeper(pid_t pid)
{
	struct victim_stat st;

	return victim_stat_read(pid, &st) == 0 && !strcmp(st.comm, "dtproc-keeper");
}

/* For whom a keeper works: what its pidfd of the client says; 0: not for us to see. */
static pid_t client_of(pid_t keeper)
{
	char path[64], text[512], *line;
	int pid = 0;

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)keeper, WIRE_FD_CLIENT);
	if (slurp_file(path, text, sizeof text) <= 0)
		return 0;
	line = strstr(text, "\nPid:");
	return line && sscanf(line, "\nPid: %d", &pid) == 1 && pid > 0 ? pid : 0;
}

static int traced(pid_t tracer)
{
	char who[96], whose[96];
	pid_t client = is_a_keeper(tracer) ? client_of(tracer) : 0;

	name_process(tracer, who, sizeof who);
	if (!client)
		return err_set(DTPROC_ETRACED, "already traced by %s", who);
	name_process(client, whose, sizeof whose);
	return err_set(DTPROC_ETRACED, "already traced by %s for %s", who, whose);
}

/* Who traces any thread of the process; 0: nobody. */
static pid_t tracer_of(pid_t pid)
{
	struct victim_status st;
	struct dirent *e;
	char path[40];
	pid_t found = 0, tid;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && !found && (e = readdir(d))) {
		tid = (pid_t)atoi(e->d_name);
		if (tid > 0 && !victim_status_read(tid, &st))
			found = st.tracer;
	}
	if (d)
		closedir(d);
	return found;
}

int victim_await_keeper(pid_t pid, int timeout_ms)
{
	pid_t tracer = tracer_of(pid);
	struct pollfd p = {.events = POLLIN};
	int gone;

	if (tracer == 0 || victim_pidfd_open(tracer, &p.fd))
		return 1;
	gone = is_a_keeper(tracer) && poll(&p, 1, timeout_ms) > 0;
	close(p.fd);
	return gone;
}

/* Nothing of it lives; an exec by another than its first thread looks so for a moment. */
static int is_zombie(pid_t pid, struct victim_stat *stat)
{
	for (int i = 0; i < 5; i++) {
		if ((stat->state != 'Z' && stat->state != 'X') ||
			victim_live_tid(pid) != pid)
			return 0;
		usleep(200);
		if (victim_stat_read(pid, stat))
			return 1;
	}
	return 1;
}

int victim_check(pid_t pid, enum victim_purpose purpose)
{
	struct victim_stat stat;
	struct victim_status status;
	int rc;

	if (pid <= 0)
		return err_set(DTPROC_ENOPROC, "no such process");
	rc = victim_check_proc();
	if (rc == 0)
		rc = victim_stat_read(pid, &stat);
	if (rc == 0)
		rc = victim_status_read(pid, &status);
	if (rc)
		return rc;
	if (stat.flags & PF_KTHREAD)
		return err_set(DTPROC_EKTHREAD, "it is a kernel thread (%s)", stat.comm);
	rc = own_thread(pid, &status);
	if (rc)
		return rc;
	if (is_zombie(pid, &stat))
		return err_set(DTPROC_EZOMBIE,
			"it is a zombie: it has ended, and pid %d has not collected it",
			(int)stat.ppid);
	if (victim_is_keeper(pid))
		return err_set(DTPROC_ESELF, "it is a keeper of this very process");
	if (purpose == VICTIM_CONTROL && status.tracer > 0)
		return traced(status.tracer);
	return 0;
}

int victim_check_again(pid_t pid, enum victim_purpose purpose)
{
	pid_t tracer = purpose == VICTIM_CONTROL ? tracer_of(pid) : 0;
	int rc = victim_check(pid, purpose);

	return rc == 0 && tracer > 0 ? traced(tracer) : rc;
}
