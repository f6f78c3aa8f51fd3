/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals THREADS: each thread calls victim_target() without end; SIGRTMIN+i is sent by
 * the test to thread i with values 1, 2, 3 ...  The handler wants each value once, in
 * order, from `sender`, and its interrupted PC inside the text of a file (rule D6:
 * never inside a slot of ours).
 */
#include "page.h"
#include "target.h"
#include "known.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

static void on_signal(int signo, siginfo_t *info, void *context)
{
	int me = signo - SIGRTMIN;
	uint64_t want = page->slot[me] + 1;

	if (info->si_code != SI_QUEUE || info->si_pid != page->sender)
		page_bad("signal %d: code %d from %d", me, info->si_code, info->si_pid);
	if ((uint64_t)info->si_value.sival_int != want)
		page_bad("thread %d: value %d, not %llu", me, info->si_value.sival_int,
			(unsigned long long)want);
	if (page->tid[me] != (int32_t)syscall(SYS_gettid))
		page_bad("signal of thread %d in another", me);
	known_check(context);
	page->slot[me] = want;
	atomic_fetch_add(&page->signals, 1);
}

static void *work(void *arg)
{
	size_t me = (size_t)arg;
	uint64_t n = 0;

	page->tid[me] = (int32_t)syscall(SYS_gettid);
	while (!page->quit) {
		if (target_call(n++, me))
			page_bad("thread %zu: call %llu is wrong", me,
				(unsigned long long)n);
		if (n % 64 == 0)
			page->rounds++;
	}
	atomic_fetch_add(&page->calls, n);
	return NULL;
}

int main(int argc, char **argv)
{
	size_t n = (size_t)atoi(argc > 1 ? argv[1] : "1");
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	pthread_t threads[16];

	page_open();
	known_init();
	if (n < 1 || n > 16)
		return 99;
	for (size_t i = 0; i < n; i++)
		if (sigaction(SIGRTMIN + (int)i, &sa, NULL))
			return 98;
	page_ready();
	for (size_t i = 1; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			return 97;
	work((void *)0);
	for (size_t i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
	return page_end("signals");
}
