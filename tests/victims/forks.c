/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * forks THREADS ROUNDS [KIND]: each thread calls victim_target() and makes a child that
 * calls it too: by fork, vfork, posix_spawn and clone(CLONE_VM) in turn, or by the KIND
 * named.  `calls` of the page counts the parent's calls alone.  A child that does not
 * end as it must is wrong (rule F2).
 * forks shared: a CLONE_VM child is there before the test comes, and calls as well.
 * forks child: what posix_spawn executes.
 */
#include "children.h"

#include <pthread.h>

static int rounds = 10;
static const char *only;

static void *work(void *arg)
{
	size_t me = (size_t)arg;

	page_wait_go();
	for (int i = 0; i < rounds && !page->quit; i++) {
		const struct kind *kind = &kinds[((size_t)i + me) % 5];

		for (int j = 0; only && j < 5; j++)
			if (!strcmp(kinds[j].name, only))
				kind = &kinds[j];
		for (int j = 0; j < 20; j++)
			if (target_call((uint64_t)j, me))
				page_bad("thread %zu: wrong sum", me);
		atomic_fetch_add(&page->calls, 20);
		one_child(kind);
	}
	return NULL;
}

static int shared_child(void *arg)
{
	(void)arg;
	while (!page->quit) {
		if (target_call(1, 2))
			page_bad("the child's sum is wrong");
		atomic_fetch_add(&page->child_calls, 1);
		page_nap(200000);
	}
	syscall(SYS_exit, CHILD_STATUS);
	return 0;
}

static void share(void)
{
	char *stack = malloc(STACK_SIZE);
	int status;
	pid_t pid = clone(shared_child, stack + STACK_SIZE, CLONE_VM | SIGCHLD, NULL);

	page->helper = pid;
	page_ready();
	while (!page->quit) {
		if (target_call(3, 4))
			page_bad("the parent's sum is wrong");
		atomic_fetch_add(&page->calls, 1);
		page_nap(100000);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		WEXITSTATUS(status) != CHILD_STATUS)
		page_bad("the child ended with %#x", status);
}

int main(int argc, char **argv)
{
	size_t n = (size_t)atoi(argc > 1 ? argv[1] : "1");
	pthread_t threads[16];

	if (argc > 1 && !strcmp(argv[1], "child"))
		return target_call(1, 2) ? 1 : CHILD_STATUS;
	page_open();
	if (argc > 1 && !strcmp(argv[1], "shared")) {
		share();
		return page_end("forks");
	}
	rounds = argc > 2 ? atoi(argv[2]) : rounds;
	only = argc > 3 ? argv[3] : NULL;
	if (children_init() || n < 1 || n > 16)
		return 99;
	for (size_t i = 1; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			return 97;
	page->ready = 1;
	work((void *)0);
	for (size_t i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
	return page_end("forks");
}
