/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hammer THREADS CALLS: each thread calls victim_target() CALLS times (0: until told to
 * quit), checks each result, and keeps count in the page.
 * hammer idle N: N threads sleep on a futex; when the test pokes, each calls once.
 * hammer spin: one thread notes the longest gap in its own running.
 */
#include "page.h"
#include "target.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>

#define FUTEX_WAIT 0 /* musl-gcc finds no header of the kernel */

static uint64_t wanted;

static void *beat(void *arg)
{
	size_t me = (size_t)arg;
	uint64_t n = 0, begin;

	page->tid[me] = (int32_t)syscall(SYS_gettid);
	page_wait_go();
	begin = page_clock();
	while ((!wanted || n < wanted) && (wanted || !page->quit)) {
		if (target_call(n, me))
			page_bad("thread %zu: call %llu is wrong", me,
				(unsigned long long)n);
		page->slot[me] = ++n;
	}
	page->ns = page_clock() - begin;
	atomic_fetch_add(&page->calls, n);
	return NULL;
}

static void *idle(void *arg)
{
	size_t me = (size_t)arg;
	uint32_t seen = 0;

	page->tid[me] = (int32_t)syscall(SYS_gettid);
	while (!page->quit) {
		if (page->poke == seen) {
			if (syscall(SYS_futex, &page->poke, FUTEX_WAIT, seen, NULL, NULL,
				    0) &&
				errno != EAGAIN)
				page_bad("futex: %s", strerror(errno));
			continue;
		}
		seen++;
		if (target_call(seen, me))
			page_bad("thread %zu: poke %u is wrong", me, seen);
		atomic_fetch_add(&page->calls, 1);
		page->slot[me] = seen;
	}
	return NULL;
}

static void *spin(void *arg)
{
	uint64_t last = page_clock(), now;

	(void)arg;
	for (; !page->quit; last = now) {
		now = page_clock();
		if (now - last > page->gap_ns)
			page->gap_ns = now - last;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "1";
	void *(*work)(void *) = beat;
	size_t n = (size_t)atoi(argc > 2 ? argv[2] : "1");
	pthread_t threads[PAGE_SLOTS];

	page_open();
	if (!strcmp(what, "idle"))
		work = idle;
	else if (!strcmp(what, "spin"))
		work = spin;
	else {
		n = (size_t)atoi(what);
		wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
	}
	if (n < 1 || n > PAGE_SLOTS)
		return 99;
	for (size_t i = 1; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			return 98;
	page->ready = 1;
	work((void *)0);
	for (size_t i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
	return page_end("hammer");
}
