/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * changes KIND CALLS: programs that change what they are while they are held; each
 * makes CALLS calls before and after, all with the right sum (0: until told to quit).
 *   dumpable      PR_SET_DUMPABLE 0 in the middle
 *   setuid        drops to uid 65534 in the middle
 *   seccomp-errno a filter refuses all but what it needs; seccomp-kill kills for it
 *   seccomp-late  the same filter in the middle
 *   brief         threads that live for microseconds, a call in each
 *   leader        the first thread ends, the others go on
 *   unmap         maps executable memory, runs there, unmaps, without end
 *   late-map      maps code at LATE_MAP when poked, calls it when poked again
 *   vforked       its first thread waits for a vfork child, the second calls
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
#include <sys/wait.h>

static uint64_t wanted;

static void hits(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		if (target_call(i, 9))
			page_bad("call %llu is wrong", (unsigned long long)i);
		atomic_fetch_add(&page->calls, 1);
	}
}

static void hits_before(void)
{
	hits(wanted ? wanted : 200);
}

static void hits_after(void)
{
	hits(wanted);
	while (!wanted && !page->quit)
		hits(1);
}

static void dumpable(void)
{
	hits_before();
	if (prctl(PR_SET_DUMPABLE, 0))
		page_bad("prctl: %s", strerror(errno));
	hits_after();
}

static void drop(void)
{
	hits_before();
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		page_bad("setresuid: %s", strerror(errno));
	hits_after();
}

#define ALLOW(nr)                                                                        \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##nr, 0, 1),                             \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void filter(uint32_t otherwise)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(write),
		ALLOW(exit_group),
		ALLOW(exit),
		ALLOW(clock_nanosleep),
		ALLOW(nanosleep),
		ALLOW(futex),
		ALLOW(newfstatat),
		ALLOW(fstat),
		ALLOW(rt_sigreturn),
		ALLOW(restart_syscall),
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
	hits_before();
	hits_after();
}

static void seccomp_kill(void)
{
	filter(SECCOMP_RET_KILL_PROCESS);
	page_ready();
	hits_before();
	hits_after();
}

static void seccomp_late(void)
{
	hits_before();
	filter(SECCOMP_RET_KILL_PROCESS);
	hits_after();
}

static void *one_hit(void *arg)
{
	hits(1);
	return arg;
}

static void brief(void)
{
	pthread_t thread[8];

	for (uint64_t i = 0; (!wanted || i < wanted) && !page->quit; i += 8) {
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
	hits_after();
	exit(page_end("changes"));
}

static void leader(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, after_leader, NULL))
		page_bad("pthread_create");
	pthread_exit(NULL);
}

/* lea 1(%rdi), %eax; ret */
static const unsigned char code[] = {0x8d, 0x47, 0x01, 0xc3};

static void run_code(void *at, int x)
{
	int (*fn)(int);

	memcpy(&fn, &at, sizeof fn);
	if (fn(x) != x + 1)
		page_bad("code of our own went wrong");
}

static void *map_code(void *hint)
{
	void *at = mmap(hint, 4096, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | (hint ? MAP_FIXED_NOREPLACE : 0), -1, 0);

	if (at == MAP_FAILED)
		page_bad("mmap: %s", strerror(errno));
	memcpy(at, code, sizeof code);
	mprotect(at, 4096, PROT_READ | PROT_EXEC);
	return at;
}

static void unmap(void)
{
	for (uint64_t i = 0; (!wanted || i < wanted) && !page->quit; i++) {
		void *at = map_code(NULL);

		run_code(at, (int)i);
		hits(1);
		munmap(at, 4096);
	}
}

static void await_poke(uint32_t n)
{
	page->poked = n - 1;
	while (page->poke < n && !page->quit)
		page_nap(500000);
}

static void late_map(void)
{
	void *at;

	await_poke(1);
	at = map_code((void *)LATE_MAP);
	await_poke(2);
	for (int i = 0; i < 10; i++)
		run_code(at, i);
	await_poke(3);
}

static void *hit_on(void *arg)
{
	while (!page->quit) {
		hits(1);
		page_nap(100000);
	}
	return arg;
}

static void vforked(void)
{
	pthread_t thread;
	int status;
	pid_t pid;

	if (pthread_create(&thread, NULL, hit_on, NULL))
		page_bad("pthread_create");
	pid = vfork();
	if (pid == 0) {
		while (!page->quit && page->pid == getppid())
			page_nap(1000000);
		_exit(42);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		WEXITSTATUS(status) != 42)
		page_bad("vfork: child ended with %#x", status);
	pthread_join(thread, NULL);
}

static const struct {
	const char *name;
	void (*run)(void);
	int late; /* says itself when it is ready */
} kinds[] = {{"dumpable", dumpable, 0}, {"setuid", drop, 0},
	{"seccomp-errno", seccomp_errno, 1}, {"seccomp-kill", seccomp_kill, 1},
	{"seccomp-late", seccomp_late, 0}, {"brief", brief, 0}, {"leader", leader, 1},
	{"unmap", unmap, 0}, {"late-map", late_map, 0}, {"vforked", vforked, 0}};

int main(int argc, char **argv)
{
	static char buffer[4096];

	setvbuf(stdout, buffer, _IOFBF,
		sizeof buffer); /* no system call but write later */
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
