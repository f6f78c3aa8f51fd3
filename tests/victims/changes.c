/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * changes KIND CALLS: programs that change what they are while they are held; each
 * makes CALLS calls before and after, all with the right sum.
 *   dumpable      PR_SET_DUMPABLE 0 in the middle
 *   setuid        drops to uid 65534 in the middle
 *   seccomp-errno a filter refuses all but what it needs; seccomp-kill kills for it
 *   seccomp-late  the same filter in the middle
 *   brief         threads that live for microseconds, a call in each
 *   leader        the first thread ends, the others go on
 *   unmap         maps executable memory, runs there, unmaps, without end
 *   sleeper       waits for the test to poke, calls once each time
 */
#include "page.h"
#include "target.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static uint64_t wanted;

static void hits(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		if (target_call(i, 9))
			page_bad("call %llu is wrong", (unsigned long long)i);
		atomic_fetch_add(&page->calls, 1);
	}
}

static void dumpable(void)
{
	hits(wanted);
	if (prctl(PR_SET_DUMPABLE, 0))
		page_bad("prctl: %s", strerror(errno));
	hits(wanted);
}

static void drop(void)
{
	hits(wanted);
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		page_bad("setresuid: %s", strerror(errno));
	hits(wanted);
}

#define ALLOW(nr)                                                                        \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##nr, 0, 1),                             \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void filter(uint32_t otherwise)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(write), ALLOW(exit_group), ALLOW(exit), ALLOW(clock_nanosleep),
		ALLOW(nanosleep), ALLOW(futex), ALLOW(newfstatat), ALLOW(fstat),
		ALLOW(rt_sigreturn), ALLOW(restart_syscall),
		BPF_STMT(BPF_RET | BPF_K, otherwise),
	};
	struct sock_fprog prog = {sizeof code / sizeof *code, code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		page_bad("seccomp: %s", strerror(errno));
}

static void seccomp_errno(void)
{
	filter(SECCOMP_RET_ERRNO | ENOSYS);
	page_ready();
	hits(wanted * 2);
}

static void seccomp_kill(void)
{
	filter(SECCOMP_RET_KILL_PROCESS);
	page_ready();
	hits(wanted * 2);
}

static void seccomp_late(void)
{
	hits(wanted);
	filter(SECCOMP_RET_KILL_PROCESS);
	hits(wanted);
}

static void *one_hit(void *arg)
{
	hits(1);
	return arg;
}

static void brief(void)
{
	pthread_t thread[8];

	for (uint64_t i = 0; i < wanted && !page->quit; i += 8) {
		for (int j = 0; j < 8; j++)
			if (pthread_create(&thread[j], NULL, one_hit, NULL))
				page_bad("pthread_create");
		for (int j = 0; j < 8; j++)
			pthread_join(thread[j], NULL);
	}
}

static void *after_leader(void *arg)
{
	(void)arg;
	page->ready = 1;
	page_wait_go();
	hits(wanted);
	exit(page_end("changes"));
}

static void leader(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, after_leader, NULL))
		page_bad("pthread_create");
	pthread_exit(NULL);
}

static void unmap(void)
{
	static const unsigned char code[] = {0x8d, 0x47, 0x01, 0xc3}; /* lea 1(%rdi); ret */

	for (uint64_t i = 0; i < wanted; i++) {
		void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
		int (*fn)(int);

		memcpy(at, code, sizeof code);
		mprotect(at, 4096, PROT_READ | PROT_EXEC);
		memcpy(&fn, &at, sizeof fn);
		if (fn((int)i) != (int)i + 1)
			page_bad("code of our own went wrong");
		hits(1);
		munmap(at, 4096);
	}
}

static void sleeper(void)
{
	uint32_t seen = 0;

	while (!page->quit) {
		for (; seen != page->poke; seen++)
			hits(1);
		page->poked = seen;
		page_nap(500000);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
	int late; /* says itself when it is ready */
} kinds[] = {{"dumpable", dumpable, 0}, {"setuid", drop, 0},
	{"seccomp-errno", seccomp_errno, 1}, {"seccomp-kill", seccomp_kill, 1},
	{"seccomp-late", seccomp_late, 0}, {"brief", brief, 0}, {"leader", leader, 1},
	{"unmap", unmap, 0}, {"sleeper", sleeper, 0}};

int main(int argc, char **argv)
{
	static char buffer[4096];

	setvbuf(stdout, buffer, _IOFBF, sizeof buffer); /* no system call but write later */
	wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
	page_open();
	for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i].name, argv[1])) {
			if (!kinds[i].late)
				page_ready();
			kinds[i].run();
			return page_end("changes");
		}
	return 99;
}
