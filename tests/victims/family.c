/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A family of processes, each of which calls victim_target() and tells the page how often
 * it did (`calls` in all); one that does not end as it must is wrong.
 *
 * family tree DEPTH BREADTH CALLS KIND: each process makes BREADTH children, DEPTH deep,
 * by fork, exec (fork and exec), spawn (posix_spawn), vfork (vfork and exec), or thread
 * (fork by as many threads at once).
 * family daemon CALLS: a child of a child, which nobody waits for, goes on alone.
 * family storm: makes children until `quit`; some make children of their own.
 */
#include "page.h"
#include "target.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#define STATUS 42
#define BREADTH_MAX 32

extern char **environ;

static int depth, breadth, calls;
static const char *kind;

static void call(void)
{
	for (int i = 0; i < calls; i++)
		if (target_call((uint64_t)i, (uint64_t)depth))
			page_bad("pid %d: call %d at depth %d", getpid(), i, depth);
	atomic_fetch_add(&page->calls, (uint64_t)calls);
}

static void family(void);

/* argv of the same program, one level deeper. */
static char **deeper(void)
{
	static char numbers[3][16];
	static char *argv[8] = {(char *)"/proc/self/exe", (char *)"leaf"};

	snprintf(numbers[0], sizeof numbers[0], "%d", depth - 1);
	snprintf(numbers[1], sizeof numbers[1], "%d", breadth);
	snprintf(numbers[2], sizeof numbers[2], "%d", calls);
	for (int i = 0; i < 3; i++)
		argv[2 + i] = numbers[i];
	argv[5] = (char *)kind;
	return argv;
}

static pid_t make(void)
{
	char **argv = deeper();
	pid_t pid;

	if (!strcmp(kind, "spawn"))
		return posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) ? -1 : pid;
	pid = !strcmp(kind, "vfork") ? vfork() : fork();
	if (pid == 0 && (!strcmp(kind, "vfork") || !strcmp(kind, "exec"))) {
		execv(argv[0], argv);
		_exit(9);
	}
	if (pid == 0) {
		depth--;
		family();
		_exit(STATUS);
	}
	return pid;
}

static void await(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) {
			page_bad("%s: %s", kind, strerror(errno));
			return;
		}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != STATUS)
		page_bad("%s: child %d ended with %#x", kind, pid, status);
	atomic_fetch_add(&page->children, 1);
}

static void *one(void *arg)
{
	await(make());
	return arg;
}

static void family(void)
{
	pthread_t thread[BREADTH_MAX];
	pid_t pid[BREADTH_MAX];

	call();
	for (int i = 0; i < breadth && depth > 0; i++) {
		if (strcmp(kind, "thread"))
			pid[i] = make();
		else if (pthread_create(&thread[i], NULL, one, NULL))
			page_bad("no thread");
	}
	for (int i = 0; i < breadth && depth > 0; i++) {
		if (strcmp(kind, "thread"))
			await(pid[i]);
		else
			pthread_join(thread[i], NULL);
	}
}

static void leave_alone(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		if (fork() == 0) {
			page->helper = getpid();
			for (int i = 0; i < 20; i++) {
				call();
				page_nap(10000000);
			}
			page->rounds = 1;
		}
		_exit(STATUS);
	}
	await(pid);
}

static void storm(void)
{
	kind = "fork";
	breadth = 2;
	calls = 5;
	for (uint64_t n = 0; !page->quit; n++) {
		depth = 1 + (n % 4 == 0);
		family();
		atomic_fetch_add(&page->rounds, 1);
	}
}

static int number(char **argv, int argc, int i)
{
	return i < argc ? atoi(argv[i]) : 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int32_t first;

	page_open();
	depth = number(argv, argc, 2);
	breadth = number(argv, argc, 3);
	calls = number(argv, argc, 4);
	kind = argc > 5 ? argv[5] : "fork";
	if (breadth > BREADTH_MAX)
		return 99;
	if (!strcmp(what, "leaf")) {
		family();
		return STATUS;
	}
	first = getpid();
	page->pid = first;
	page_ready();
	if (!strcmp(what, "tree"))
		family();
	else if (!strcmp(what, "storm"))
		storm();
	else if (!strcmp(what, "daemon")) {
		calls = number(argv, argc, 2);
		leave_alone();
	}
	return page_end("family");
}
