/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spawns TIMES: whenever it is poked forks, executes true(1) and waits for it, TIMES
 * times, and tells how long that took.  slot[0] of the page is a function for a probe,
 * which it calls once for each child.
 */
#include <victims/page.h>

#include <sys/wait.h>

__attribute__((noinline, noclone)) void spawns_target(void)
{
	__asm__ volatile("nop; nop; nop");
}

static void spawn(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		page_bad("child %d: status %#x", pid, (unsigned)status);
	spawns_target();
}

int main(int argc, char **argv)
{
	uint64_t times = argc > 1 ? strtoull(argv[1], NULL, 10) : 100, begin;
	uint32_t seen = 0;

	page_open();
	page->slot[0] = (uintptr_t)spawns_target;
	page->ready = 1;
	while (!page->quit) {
		if (page->poke == seen) {
			page_nap(1000000);
			continue;
		}
		seen = page->poke;
		begin = page_clock();
		for (uint64_t i = 0; i < times; i++)
			spawn();
		page->ns = page_clock() - begin;
		page->calls += times;
		page->poked = seen;
	}
	return page->bad != 0;
}
