/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * burn MS: uses that much CPU time in burn(), while other threads sleep in system calls
 * that a stop must not cut short, and one runs a moment now and then to do so.  Its end
 * tells what went wrong, if anything.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

#define PROBED __attribute__((noinline, noipa, used, no_reorder))
#define SLEEPERS 3

static volatile int quit, wrong;

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* What is there for so many ms is its own code: no call but one of the vDSO at times. */
PROBED long burn(long ms, const char *from, const char *to)
{
	double until = cpu_ms() + (double)ms;
	volatile long n = 0;

	while (cpu_ms() < until)
		for (int i = 0; i < 200000; i++)
			n = n + i;
	return n + (to - from);
}

PROBED void burn_end(void)
{
	__asm__ volatile("");
}

/* Short sleeps, with something to do between them. */
static void *sleeper(void *arg)
{
	int fd = epoll_create1(0), sem = semget(IPC_PRIVATE, 1, 0600);
	struct timespec nap = {0, 2000000};
	struct sembuf down = {0, -1, 0};
	struct epoll_event e;

	while (!quit) {
		for (volatile int i = 0; i < 100000;)
			i = i + 1;
		if (epoll_wait(fd, &e, 1, 2) != 0)
			wrong = 1;
		if (semtimedop(sem, &down, 1, &nap) != -1 || errno != EAGAIN)
			wrong = 2;
		if (poll(NULL, 0, 2) != 0)
			wrong = 3;
		if (nanosleep(&nap, NULL))
			wrong = 4;
	}
	semctl(sem, 0, IPC_RMID);
	close(fd);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t t[SLEEPERS];

	for (int i = 0; i < SLEEPERS; i++)
		if (pthread_create(&t[i], NULL, sleeper, NULL))
			return 1;
	burn(argc > 1 ? atol(argv[1]) : 1000, (const char *)burn, (const char *)burn_end);
	quit = 1;
	for (int i = 0; i < SLEEPERS; i++)
		pthread_join(t[i], NULL);
	if (wrong)
		printf("call %d was cut short\n", wrong);
	else
		puts("all is right");
	return wrong;
}
