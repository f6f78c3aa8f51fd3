/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bare PID ADDRESS SLOT: the least that a tracer can do at a breakpoint.  It waits, reads
 * the PC, writes the slot's address to it, continues; it counts, and does nothing else.
 * Ends with the victim, or lets it go at SIGTERM.  ADDRESS and SLOT are from the victim.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t over;

static void on_term(int signo)
{
	(void)signo;
	over = 1;
}

static int text_write(pid_t pid, uint64_t at, unsigned char byte)
{
	char path[64];
	int fd;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	n = pwrite(fd, &byte, 1, (off_t)at);
	close(fd);
	return n == 1 ? 0 : -1;
}

static uint64_t loop(pid_t pid, uint64_t at, uint64_t slot)
{
	const size_t rip = offsetof(struct user_regs_struct, rip);
	uint64_t hits = 0;
	int status;

	while (!over && waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		int sig = WSTOPSIG(status);

		if (sig == SIGTRAP && !(status >> 16) &&
			(uint64_t)ptrace(PTRACE_PEEKUSER, pid, rip, 0) == at + 1) {
			ptrace(PTRACE_POKEUSER, pid, rip, slot);
			hits++;
			sig = 0;
		}
		ptrace(PTRACE_CONT, pid, 0, (status >> 16) ? 0 : sig);
	}
	return hits;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_term};
	uint64_t at, slot;
	pid_t pid;
	int status;

	if (argc < 4)
		return 2;
	pid = atoi(argv[1]);
	at = strtoull(argv[2], NULL, 0);
	slot = strtoull(argv[3], NULL, 0);
	sigaction(SIGTERM, &sa, NULL);
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
		waitpid(pid, &status, __WALL) != pid || text_write(pid, at, 0xcc)) {
		perror("bare");
		return 1;
	}
	ptrace(PTRACE_CONT, pid, 0, 0);
	printf("%llu hits\n", (unsigned long long)loop(pid, at, slot));
	ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	if (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		text_write(pid, at, 0x55);
		ptrace(PTRACE_DETACH, pid, 0, 0);
	}
	return 0;
}
