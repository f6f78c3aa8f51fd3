/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking hold of a running process.
 *
 * Threads are seized without being stopped; those that a seized thread creates are
 * ours from birth, so the list is read until a whole reading finds none that is not
 * held.  Processes that share the victim's memory are held too: they execute its text.
 */
#include "keeper.h"
#include "ptrace.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 10000

static void drain(struct keeper *k)
{
	struct wait_event ev;

	while (wait_any(&ev) > 0)
		stops_dispatch(k, &ev);
}

/* Seizes one thread; 1: newly held, 0: held already or ended, or an error. */
static int seize_one(struct keeper *k, pid_t tid, pid_t tgid)
{
	if (task_get(k, tid))
		return 0;
	int code = pt_seize(tid, pt_options);
	if (code == -ESRCH)
		return 0;
	if (code == -EPERM) {
		drain(k); /* born traced, its first stop yet to come? */
		char state = task_state(tid);
		if (task_get(k, tid) || state == 'Z' || state == 'X' ||
			task_status(tid, "TracerPid:") == getpid())
			return 0;
	}
	if (code)
		return err_errno(code == -EPERM ? DTPROC_EPERM : DTPROC_ESYS, -code,
			"pid %d: thread %d cannot be seized", k->pid, tid);
	STEP(GRAB_ONE);
	return task_add(k, tid, tgid) ? 1 : DTPROC_ENOMEM;
}

/* One reading of a process's threads; how many are new, or an error. */
static int seize_round(struct keeper *k, pid_t pid)
{
	char path[64];
	struct dirent *e;
	int found = 0, code = 0;

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *d = opendir(path);
	if (!d)
		return err_errno(DTPROC_ENOPROC, errno, "pid %d", pid);
	while (code >= 0 && (e = readdir(d))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
		if (tid > 0 && (code = seize_one(k, tid, pid)) > 0)
			found++;
	}
	closedir(d);
	return code < 0 ? code : found;
}

static int seize_process(struct keeper *k, pid_t pid)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		drain(k);
		int found = seize_round(k, pid);
		if (found <= 0)
			return found;
	}
	return err_set(
		DTPROC_ETIMEOUT, "pid %d creates threads faster than they are held", pid);
}

/* Processes that share the memory already: a vfork child, say. */
static int seize_sharers(struct keeper *k)
{
	struct dirent *e;
	int code = 0;
	pid_t live = live_tid(k);
	DIR *d = opendir("/proc");

	if (!d)
		return 0;
	while (!code && (e = readdir(d))) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
		if (pid > 0 && pid != k->pid && shares_memory(live, pid))
			code = seize_process(k, pid);
	}
	closedir(d);
	return code == DTPROC_ENOPROC ? 0 : code;
}

int seize_all(struct keeper *k)
{
	int code = seize_process(k, k->pid);

	if (!code)
		code = seize_sharers(k);
	if (!code && !k->tasks.n)
		code = err_set(DTPROC_ENOPROC, "pid %d: no such process", k->pid);
	return code;
}
