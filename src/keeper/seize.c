/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking hold of a running process.
 *
 * Threads are seized without being stopped; those that a seized thread creates are
 * ours from birth, so the list is read until a whole reading finds none that is not
 * held.  Processes that share the victim's memory are held too: they execute its text.
 *
 * PIDs and TIDs are numbers, and by the time of the seizing a number can be another
 * process's.  Once seized it stays where it is until we wait for its thread; so that is
 * the moment to look whose it is, and whether the pidfd's process, which is the one that
 * is meant, lives yet.  If not, the keeper ends at once without another word to any
 * task: nothing has been stopped or changed, and the kernel detaches those that run.
 */
#include "keeper.h"
#include "ptrace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MAX 10000
/* How often a refusal is doubted, and for how long each time. */
#define REFUSED_MAX 5
#define REFUSED_US 300

static void drain(struct keeper *k)
{
	struct wait_event ev;

	while (wait_any(&ev) > 0)
		stops_dispatch(k, &ev);
}

static int seize(pid_t tid)
{
	wait_early(WAIT_EARLY);
	int code = pt_seize(tid, pt_options);
	wait_early(WAIT_LATER);
	return code;
}

/* Is there another reason than a lack of rights why it cannot be seized? */
static int is_excused(struct keeper *k, pid_t tid)
{
	drain(k); /* born traced, its first stop yet to come? */
	char state = task_state(tid);
	return task_get(k, tid) || state == 'Z' || state == 'X' ||
	       task_status(tid, "TracerPid:") == getpid();
}

static int has_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}

/* A thread of process `tgid` was to be seized, from its list: has another one been? */
static int check_seized(struct keeper *k, int list, const char *name, pid_t tgid)
{
	pid_t tid = (pid_t)atoi(name);
	int mine = tgid == k->pid;

	/* With a thread of it held already, its PID stays. */
	if (mine && !tasks_left(k) && has_ended(k->victim)) {
		k->finished = 1;
		return err_set(DTPROC_ENOPROC, "pid %d has ended", k->pid);
	}
	/* One that is nowhere has become the first thread, by exec. */
	if ((faccessat(list, name, F_OK, 0) == 0 || tgid_of(tid) < 0) &&
		(mine || shares_memory(live_tid(k), tid)))
		return 0;
	k->finished = 1;
	return err_set(
		DTPROC_ESTALE, "thread %d of pid %d is another process's now", tid, tgid);
}

int seize_refused(struct keeper *k, pid_t tid, int code)
{
	/* A seccomp filter may say either. */
	return err_errno(code == -EPERM || code == -ENOSYS ? DTPROC_EPERM : DTPROC_ESYS,
		-code, "pid %d: thread %d cannot be seized", k->pid, tid);
}

/*
 * Seizes one thread of a list; 1: newly held, 0: held already or ended, or an error.  A
 * first thread that is about to hand its TID to one that executes is refused for a
 * moment.
 */
static int seize_one(struct keeper *k, int list, const char *name, pid_t tgid)
{
	pid_t tid = (pid_t)atoi(name);

	if (tid <= 0 || task_get(k, tid))
		return 0;
	int code = seize(tid);
	for (int i = 0; i < REFUSED_MAX && code == -EPERM; i++) {
		if (is_excused(k, tid))
			return 0;
		usleep(REFUSED_US);
		code = seize(tid);
	}
	if (code == -ESRCH)
		return 0;
	if (code)
		return seize_refused(k, tid, code);
	STEP(GRAB_ONE);
	code = check_seized(k, list, name, tgid);
	if (code)
		return code;
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
		code = seize_one(k, dirfd(d), e->d_name, pid);
		found += code > 0;
	}
	closedir(d);
	return code < 0 ? code : found;
}

/*
 * An exec that began before its thread was seized has put that thread in the place of
 * the first one, which we held, and says nothing; or there is no first thread at all for
 * a moment.  1: it has to be read again.
 */
static int has_changed(struct keeper *k, pid_t pid)
{
	struct task *t = task_get(k, pid);

	if (t && task_status(pid, "TracerPid:") == 0) {
		task_drop(k, pid);
		return 1;
	}
	if (k->tasks.n || strchr("ZX", task_state(pid)))
		return 0;
	usleep(REFUSED_US);
	return 1;
}

static int seize_process(struct keeper *k, pid_t pid)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		drain(k);
		int found = seize_round(k, pid);
		if (found < 0 || !RULE(B7, rounds) || (!found && !has_changed(k, pid)))
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

	if (!code && RULE(F2, before))
		code = seize_sharers(k);
	if (!code && !k->tasks.n)
		code = err_set(DTPROC_ENOPROC, "pid %d: no such process", k->pid);
	return code;
}
