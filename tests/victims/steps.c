/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steps KIND: at each poke a round of all that can happen to a held program, each with a
 * result that is checked: calls of two probed functions (one of them begins with an
 * instruction that can run nowhere else), a signal, a fork, a vfork.  A second thread
 * calls at each poke as well.
 *   poked   as the test pokes
 *   busy    pokes itself without end
 *   exec    as poked, and executes itself at the end of a round
 *   trap    as poked, and executes a trap of its own then, which ends it
 */
#include "page.h"
#include "target.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FUTEX_WAIT 0
#define CHILD_STATUS 42

static int busy;
static volatile sig_atomic_t signals;

/* lea 0(%eip), %rax: cuts its own address to 32 bits. */
extern uint64_t steps_stepped(void);
__asm__(".text\n.globl steps_stepped\n.type steps_stepped, @function\nsteps_stepped:\n"
	"	.byte 0x67, 0x48, 0x8d, 0x05, 0, 0, 0, 0\n"
	"	ret\n.size steps_stepped, . - steps_stepped\n");

static void on_signal(int signo)
{
	(void)signo;
	signals++;
}

static void await_poke(uint32_t *seen)
{
	while (!busy && page->poke == *seen && !page->quit)
		syscall(SYS_futex, &page->poke, FUTEX_WAIT, *seen, NULL, NULL, 0);
	*seen = page->poke;
}

static void *second(void *arg)
{
	uint32_t seen = page->poke;

	for (uint64_t n = 0; !page->quit; n++) {
		await_poke(&seen);
		if (target_call(n, 1))
			page_bad("the second thread's call %llu", (unsigned long long)n);
		atomic_fetch_add(&page->slot[1], 1);
	}
	return arg;
}

static inline __attribute__((always_inline)) void child(void)
{
	_exit(target_call(5, 6) ? 1 : CHILD_STATUS);
}

static void await_child(const char *kind, pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) {
			page_bad("%s: %s", kind, strerror(errno));
			return;
		}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != CHILD_STATUS)
		page_bad("%s: the child ended with %#x", kind, status);
}

static void one_round(uint64_t n)
{
	sig_atomic_t before = signals;
	pid_t pid;

	if (target_call(n, 0))
		page_bad("call %llu", (unsigned long long)n);
	if (steps_stepped() != (uint32_t)((uintptr_t)steps_stepped + 8))
		page_bad("the stepped instruction, round %llu", (unsigned long long)n);
	raise(SIGUSR1);
	if (signals != before + 1)
		page_bad("%d signals for one", (int)(signals - before));
	pid = fork();
	if (pid == 0)
		child();
	await_child("fork", pid);
	pid = vfork();
	if (pid == 0)
		child();
	await_child("vfork", pid);
	atomic_fetch_add(&page->rounds, 1);
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "poked";
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	pthread_t thread;
	uint32_t seen;

	page_open();
	busy = !strcmp(kind, "busy");
	sigaction(SIGUSR1, &act, NULL);
	seen = page->poke;
	if (strcmp(kind, "exec") && pthread_create(&thread, NULL, second, NULL))
		return 98;
	page_ready();
	for (uint64_t n = 0; !page->quit; n++) {
		await_poke(&seen);
		one_round(n);
		if (!strcmp(kind, "trap"))
			__asm__ volatile("int3");
		if (!strcmp(kind, "exec") && !page->quit)
			execv("/proc/self/exe", argv);
	}
	if (strcmp(kind, "exec"))
		pthread_join(thread, NULL);
	return page_end("steps");
}
