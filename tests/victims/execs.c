/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * execs TIMES [N]: calls victim_target() ten times, then executes itself from a thread
 * that is not the first, while another thread calls victim_other() on and on, TIMES times
 * (0: until told to quit).
 */
#include "page.h"
#include "target.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

static char **arguments;
static uint64_t times, turn;

__attribute__((noinline, noclone, used, visibility("default"))) uint64_t victim_other(
	uint64_t x)
{
	__asm__ volatile("" : "+r"(x)::"memory");
	return x + turn;
}

static void hit(void)
{
	if (target_call(turn, 8))
		page_bad("image %llu: wrong sum", (unsigned long long)turn);
	atomic_fetch_add(&page->calls, 1);
}

static void *hit_on(void *arg)
{
	for (uint64_t i = 0;; i++) {
		if (victim_other(i) != i + turn)
			page_bad("image %llu: wrong other", (unsigned long long)turn);
		if (i % 64 == 0)
			page_nap(100000);
	}
	return arg;
}

static void *next(void *arg)
{
	char number[24];
	char *argv[] = {arguments[0], arguments[1], number, NULL};

	(void)arg;
	snprintf(number, sizeof number, "%llu", (unsigned long long)turn + 1);
	execv("/proc/self/exe", argv);
	page_bad("exec of image %s failed", number);
	exit(1);
}

int main(int argc, char **argv)
{
	pthread_t thread, other;

	arguments = argv;
	times = argc > 1 ? strtoull(argv[1], NULL, 10) : 10;
	turn = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	page_open();
	page->rounds = turn;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the thread that executed us had none */
	if (getppid() == 1)
		return 95;
	if (turn == 0)
		page_ready();
	for (int i = 0; i < 10; i++)
		hit();
	if (times ? turn >= times : page->quit)
		return page_end("execs");
	if (turn && pthread_create(&other, NULL, hit_on, NULL))
		return 98;
	if (pthread_create(&thread, NULL, next, NULL))
		return 97;
	pthread_join(thread, NULL);
	return 96;
}
