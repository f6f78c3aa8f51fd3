/* SPDX-License-Identifier: BSD-2-Clause */
/* Loading copies of plug.c, each time elsewhere. */
#ifndef VICTIMS_LOADING_H
#define VICTIMS_LOADING_H

#include "page.h"
#include "plug.h"

#include <dlfcn.h>
#include <link.h>

static const char *dir; /* of 1.so ... */
static size_t n_files;
static int apart; /* in namespaces of their own */

/* Makes the next mapping land elsewhere. */
static void *displace(uint64_t n)
{
	return mmap(NULL, (1 + n * 7 % 61) << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
}

static void *load(size_t i)
{
	char file[256];

	snprintf(file, sizeof file, "%s/%zu.so", dir, i % n_files + 1);
#ifdef LM_ID_NEWLM
	void *h = apart ? dlmopen(LM_ID_NEWLM, file, RTLD_NOW)
			: dlopen(file, RTLD_NOW | RTLD_LOCAL);
#else
	void *h = dlopen(file, RTLD_NOW | RTLD_LOCAL);
#endif

	if (!h)
		page_bad("%s", dlerror());
	return h;
}

/* Calls it; how often it was called in all, and will be until it is unloaded. */
static uint64_t use(void *h, uint64_t x)
{
	plug_fn *target = (plug_fn *)dlsym(h, "plug_target");
	uint64_t *calls = dlsym(h, "plug_calls");

	if (!target || !calls)
		page_bad("%s", dlerror());
	else if (target(x) != plug_expect(x))
		page_bad("call with %llu is wrong", (unsigned long long)x);
	return calls ? *calls + PLUG_END_CALLS : 0;
}

/* One round of thread `me`: calls are what plug_target() was called by it. */
static uint64_t load_once(size_t me, uint64_t round, size_t n_threads)
{
	void *hole = displace(round * n_threads + me);
	void *h = load(me + round * n_threads);
	uint64_t calls = h ? use(h, round) : 0;

	if (h)
		dlclose(h);
	munmap(hole, (1 + (round * n_threads + me) * 7 % 61) << 16);
	return calls;
}

#endif
