/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * storm THREADS ROUNDS DIR N [IMAGE]: threads that load and unload DIR/1.so ... DIR/N.so,
 * and threads that make children of every kind, in turn; after ROUNDS rounds of each, one
 * of them that is not the first executes this program again, in the midst of another's
 * calls of victim_other(); until told to quit.  `calls` of the page counts those of
 * plug_target() and victim_target() by the parent.
 */
#include "children.h"
#include "loading.h"

#include <pthread.h>
#include <sys/prctl.h>

static size_t n_threads;
static uint64_t rounds, image;
static char **arguments;
static pthread_barrier_t all_done;

__attribute__((noinline, noclone, used, visibility("default"))) uint64_t victim_other(
	uint64_t x)
{
	__asm__ volatile("" : "+r"(x)::"memory");
	return x + image;
}

static void *call_on(void *arg)
{
	for (uint64_t i = 0;; i++) {
		if (victim_other(i) != i + image)
			page_bad("image %llu: wrong other", (unsigned long long)image);
		if (i % 16 == 0)
			page_nap(100000);
	}
	return arg;
}

static void fork_once(size_t me, uint64_t round)
{
	for (uint64_t i = 0; i < 5; i++)
		if (target_call(i, me))
			page_bad("thread %zu: wrong sum", me);
	atomic_fetch_add(&page->calls, 5);
	one_child(&kinds[(round + me) % 5]);
}

static void next_image(void)
{
	char number[24];
	char *argv[] = {arguments[0], arguments[1], arguments[2], arguments[3],
		arguments[4], number, NULL};

	snprintf(number, sizeof number, "%llu", (unsigned long long)image + 1);
	execv(self, argv);
	page_bad("exec of image %s: %s", number, strerror(errno));
	exit(1);
}

static void *work(void *arg)
{
	size_t me = (size_t)arg;

	for (uint64_t n = 0; n < rounds && !page->quit; n++) {
		if (me % 2)
			atomic_fetch_add(&page->calls, load_once(me, n, n_threads));
		else
			fork_once(me, n);
		page->slot[me]++;
	}
	pthread_barrier_wait(&all_done);
	if (me == n_threads - 1 && !page->quit)
		next_image();
	return NULL;
}

static void start(size_t n, void *(*fn)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, (void *)n)) {
		page_bad("no thread");
		exit(98);
	}
	pthread_detach(thread);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "child"))
		return target_call(1, 2) ? 1 : CHILD_STATUS;
	page_open();
	if (argc < 5 || children_init())
		return 99;
	arguments = argv;
	n_threads = (size_t)atoi(argv[1]);
	rounds = strtoull(argv[2], NULL, 10);
	dir = argv[3];
	n_files = (size_t)atoi(argv[4]);
	image = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
	page->rounds = image;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the thread that executed us had none */
	if (image == 0)
		page_ready();
	if (n_threads < 2 || n_threads > PAGE_SLOTS || n_files % n_threads ||
		pthread_barrier_init(&all_done, NULL, (unsigned)n_threads))
		return 98;
	start(0, call_on);
	for (size_t i = 1; i < n_threads; i++)
		start(i, work);
	work((void *)0);
	while (!page->quit) /* another thread executes */
		page_nap(1000000);
	return page_end("storm");
}
