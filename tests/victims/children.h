/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Children of every kind, which call victim_target() and end with CHILD_STATUS when its
 * sum was right.  A program that includes this is executed as `PROGRAM child`, too.
 */
#ifndef VICTIMS_CHILDREN_H
#define VICTIMS_CHILDREN_H

#include "page.h"
#include "target.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CHILD_STATUS 42
#define STACK_SIZE (64 * 1024)

static char self[4096]; /* children_init() */

/* In the child, which may share our memory: calls, and tells by its status. */
static inline __attribute__((always_inline)) int child_work(void)
{
	int wrong = 0;

	for (uint64_t i = 0; i < 5; i++)
		wrong |= target_call(i, 77);
	atomic_fetch_add(&page->child_calls, 5);
	return wrong ? 1 : CHILD_STATUS;
}

static int child_of_clone(void *arg)
{
	(void)arg;
	syscall(SYS_exit, child_work());
	return 0;
}

static pid_t by_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(child_work());
	return pid;
}

static pid_t by_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(child_work());
	return pid;
}

/* Shares memory, then executes itself. */
static pid_t by_vfork_exec(void)
{
	char *const argv[] = {self, "child", NULL};
	pid_t pid = vfork();

	if (pid == 0) {
		if (child_work() != CHILD_STATUS)
			_exit(1);
		execve(self, argv, environ);
		_exit(2);
	}
	return pid;
}

static pid_t by_spawn(void)
{
	char *const argv[] = {self, "child", NULL};
	pid_t pid = -1;

	errno = posix_spawn(&pid, self, NULL, NULL, argv, environ);
	return errno ? -1 : pid;
}

static _Thread_local char *clone_stack;

static pid_t by_clone(void)
{
	if (!clone_stack)
		clone_stack = malloc(STACK_SIZE);
	if (!clone_stack)
		return -1;
	return clone(child_of_clone, clone_stack + STACK_SIZE, CLONE_VM | SIGCHLD, NULL);
}

static const struct kind {
	const char *name;
	pid_t (*make)(void);
} kinds[] = {{"fork", by_fork}, {"vfork", by_vfork}, {"spawn", by_spawn},
	{"clone", by_clone}, {"vfork-exec", by_vfork_exec}};

static void one_child(const struct kind *kind)
{
	int status = 0;
	pid_t pid = kind->make();

	if (pid < 0) {
		page_bad("%s: %s", kind->name, strerror(errno));
		return;
	}
	if (waitpid(pid, &status, 0) != pid)
		page_bad("%s: waitpid: %s", kind->name, strerror(errno));
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != CHILD_STATUS)
		page_bad("%s: child ended with %#x", kind->name, status);
	atomic_fetch_add(&page->children, 1);
}

/* The file of this program, for children that execute it; -1: unknown. */
static int children_init(void)
{
	return readlink("/proc/self/exe", self, sizeof self - 1) < 0 ? -1 : 0;
}

#endif
