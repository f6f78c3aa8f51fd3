/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loads THREADS ROUNDS DIR N: each thread loads one of DIR/1.so ... DIR/N.so after the
 * other (its own every THREADS-th; N is a multiple of THREADS), calls plug_target() in
 * it, and unloads it, ROUNDS times (0: until told to quit), each time elsewhere.  `calls`
 * in the page is what plug_target() was called in all.
 *
 * loads keep DIR N: loads all and keeps them until told to quit; `slot` is how long each
 * of the last ten took, in ns.
 *
 * loads apart DIR N: one thread, 20 rounds, each in a namespace of its own (dlmopen).
 *
 * loads lie DIR N: its linker's list is made to run in a circle at one moment.
 */
#include "loading.h"

#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>

static size_t n_threads;
static uint64_t rounds;

static void *work(void *arg)
{
	size_t me = (size_t)arg;
	uint64_t calls = 0, began = page_clock();

	page->tid[me] = (int32_t)syscall(SYS_gettid);
	for (uint64_t n = 0; (!rounds || n < rounds) && !page->quit; n++) {
		calls += load_once(me, n, n_threads);
		page->slot[me] = n + 1;
	}
	page->ns = page_clock() - began;
	atomic_fetch_add(&page->calls, calls);
	return NULL;
}

static void keep(void)
{
	void **h = calloc(n_files, sizeof *h);
	uint64_t began = page_clock(), now;

	for (size_t i = 0; i < n_files && !page->quit; i++) {
		h[i] = load(i);
		page->calls += h[i] ? use(h[i], i) : 0;
		now = page_clock();
		page->slot[i % 10] = now - began;
		began = now;
		page->rounds++;
	}
	while (getenv("VICTIM_PAGE") && !page->quit) /* by itself: goes on at once */
		page_nap(1000000);
	for (size_t i = 0; i < n_files; i++)
		if (h[i])
			dlclose(h[i]);
}

/* What a linker would do whose memory is corrupt: it tells of a list without end. */
static void lie(void)
{
	struct r_debug *r = dlsym(RTLD_DEFAULT, "_r_debug");
	struct link_map *first = r ? r->r_map : NULL, a = {0}, b = {0};

	if (!r) {
		page_bad("no _r_debug");
		return;
	}
	a.l_next = &b;
	b.l_next = &a;
	b.l_prev = &a;
	r->r_map = &a;
	((void (*)(void))r->r_brk)();
	r->r_map = first;
}

int main(int argc, char **argv)
{
	pthread_t threads[PAGE_SLOTS];
	const char *what = argc > 1 ? argv[1] : "";
	int keeps = !strcmp(what, "keep"), lies = !strcmp(what, "lie");
	int at = (apart = !strcmp(what, "apart")) || keeps || lies ? 2 : 3;

	page_open();
	if (argc != at + 2)
		return 99;
	n_threads = at == 2 ? 1 : (size_t)atoi(what);
	rounds = apart ? 20 : at == 2 ? 1 : strtoull(argv[2], NULL, 10);
	dir = argv[at];
	n_files = (size_t)atoi(argv[at + 1]);
	if (n_threads < 1 || n_threads > PAGE_SLOTS || !n_files || n_files % n_threads)
		return 99;
	page_ready();
	if (lies)
		lie();
	for (size_t i = 1; i < n_threads; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			return 98;
	if (keeps)
		keep();
	else
		work((void *)0);
	for (size_t i = 1; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	return page_end("loads");
}
