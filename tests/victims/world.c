/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world KIND CALLS: programs that change the world around them while they are held: once
 * in the middle, or every so many calls.  CALLS of 0: until told to quit.
 *   chroot         to a place without /proc
 *   uids           to another effective user and back, again and again
 *   unshare-mount, unshare-pid, unshare-user, unshare-net
 *   seccomp-strict read, write, exit and sigreturn; seccomp-trap: SIGSYS for the rest
 *   traceme        children that ask to be traced, and are stepped by us
 *   tracer         seizes, stops and reads a child of its own without end
 *   debugged       asks to be traced itself when it is already
 *   closed         closes all descriptors, again and again
 *   limits         resource limits of nothing; limits-early: before it is held
 *   greedy         takes memory without end
 *   reaper         a subreaper that gets every child of its children, and counts SIGCHLD
 *   vforks         its first thread waits for a vfork child that takes its time, or a
 *                  third argument of ms
 *   untraced       a CLONE_VM | CLONE_UNTRACED child from before calls as well
 *   gs             uses %gs
 */
#include "page.h"
#include "target.h"

#include <asm/prctl.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#define CHILD_STATUS 42

static uint64_t wanted;
static long nap_ms = 400;

static int more(uint64_t n)
{
	return wanted ? n < wanted : !page->quit;
}

static void hit(void)
{
	uint64_t n = atomic_fetch_add(&page->calls, 1);

	if (target_call(n, 3))
		page_bad("call %llu is wrong", (unsigned long long)n);
}

/* In a child, which has a copy of our memory. */
static int child_hits(void)
{
	int wrong = 0;

	for (uint64_t i = 0; i < 5; i++)
		wrong |= target_call(i, 77);
	return wrong ? 1 : CHILD_STATUS;
}

static void must(long result, const char *what)
{
	if (result < 0)
		page_bad("%s: %s", what, strerror(errno));
}

static void reap(pid_t pid, const char *what)
{
	int status = 0;

	if (waitpid(pid, &status, __WALL) != pid)
		page_bad("%s: waitpid: %s", what, strerror(errno));
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != CHILD_STATUS)
		page_bad("%s: the child ended with %#x", what, status);
}

static void fork_one(const char *what)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(child_hits());
	must(pid, what);
	if (pid > 0)
		reap(pid, what);
}

/* ------------------------------------------------------- users, roots, namespaces */

static void to_chroot(void)
{
	must(chroot("/usr/share"), "chroot");
	must(chdir("/"), "chdir");
	fork_one("chroot");
}

static void to_uids(void)
{
	static int turn;
	uid_t uid = turn++ % 2 ? 0 : 65534;

	must(setresgid(uid, uid, 0), "setresgid");
	must(setresuid(uid, uid, 0), "setresuid");
	if (turn < 8)
		fork_one("setresuid");
}

static void unshare_mount(void)
{
	must(unshare(CLONE_NEWNS), "unshare");
	fork_one("mount namespace");
}

static void unshare_pid(void)
{
	must(unshare(CLONE_NEWPID), "unshare");
	fork_one("first process of a namespace");
}

static void unshare_user(void)
{
	must(unshare(CLONE_NEWUSER), "unshare");
	fork_one("user namespace");
}

static void unshare_net(void)
{
	must(unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP),
		"unshare");
	fork_one("net namespace");
}

/* ------------------------------------------------------------------------ seccomp */

static void strict(void)
{
	must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT), "seccomp");
}

static void on_sys(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	page_bad("SIGSYS for call %d", info->si_syscall);
}

#define ALLOW(nr)                                                                        \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##nr, 0, 1),                             \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void trapping(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(exit),
		ALLOW(exit_group),
		ALLOW(rt_sigreturn),
		ALLOW(write),
		ALLOW(newfstatat),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	};
	struct sock_fprog prog = {sizeof code / sizeof *code, code};
	struct sigaction sa = {.sa_sigaction = on_sys, .sa_flags = SA_SIGINFO};

	must(sigaction(SIGSYS, &sa, NULL), "sigaction");
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), "seccomp");
}

/* ------------------------------------------------------------------------- ptrace */

static long stop_of(pid_t pid)
{
	int status = 0;

	if (waitpid(pid, &status, __WALL) != pid)
		return -1;
	return WIFSTOPPED(status) ? status >> 8 : 0;
}

static void traceme(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* or it stays stopped without us */
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(2);
		raise(SIGSTOP);
		_exit(child_hits());
	}
	if (stop_of(pid) != SIGSTOP)
		page_bad("the traced child has not stopped by SIGSTOP");
	for (int i = 0; i < 50; i++) {
		must(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), "step");
		if (stop_of(pid) != SIGTRAP)
			page_bad("step %d of the traced child ends otherwise", i);
	}
	must(ptrace(PTRACE_CONT, pid, 0, 0), "cont");
	reap(pid, "the traced child");
}

static pid_t tracee;

static void tracer(void)
{
	struct user_regs_struct regs;

	if (!tracee) {
		tracee = fork();
		if (tracee == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				if (child_hits() != CHILD_STATUS)
					_exit(1);
		}
		must(ptrace(PTRACE_SEIZE, tracee, 0, 0), "seize");
	}
	must(ptrace(PTRACE_INTERRUPT, tracee, 0, 0), "interrupt");
	if (stop_of(tracee) != (SIGTRAP | PTRACE_EVENT_STOP << 8))
		page_bad("our child has stopped otherwise");
	must(ptrace(PTRACE_GETREGS, tracee, 0, &regs), "registers");
	must(ptrace(PTRACE_CONT, tracee, 0, 0), "cont");
}

static int is_traced(void)
{
	char text[4096];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof text - 1);
	const char *at;

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, "TracerPid:");
	return at && atoi(at + 10) != 0;
}

/* What every debugged program sees; nothing else may come of it. */
static void debugged(void)
{
	if (wanted && is_traced() && ptrace(PTRACE_TRACEME, 0, 0, 0) != -1)
		page_bad("traced twice");
}

/* -------------------------------------------------------------- what it may have */

static void close_all(void)
{
	must((long)syscall(SYS_close_range, 0, ~0u, 0), "close_range");
}

static void no_limits(void)
{
	static const int all[] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_NOFILE,
		RLIMIT_NPROC, RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_MEMLOCK,
		RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_LOCKS, RLIMIT_RTPRIO};
	const struct rlimit nothing = {0, 0};

	fflush(stdout);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		must(setrlimit((__rlimit_resource_t)all[i], &nothing), "setrlimit");
}

/* Takes memory until it has none. */
static void more_memory(void)
{
	volatile char *at = malloc(256 * 1024);

	for (int i = 0; at && i < 256 * 1024; i += 4096)
		at[i] = 1;
}

/* ------------------------------------------------------------------------ children */

static void on_child(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	if (info->si_code != CLD_EXITED)
		page_bad("a child has not ended by itself: code %d", info->si_code);
	page->signals++;
}

static void be_reaper(void)
{
	struct sigaction sa = {
		.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART};

	must(sigaction(SIGCHLD, &sa, NULL), "sigaction");
	must(prctl(PR_SET_CHILD_SUBREAPER, 1), "subreaper");
}

/* A child that leaves us one of its own. */
static void orphan(void)
{
	pid_t got, pid = fork();
	int n = 0, status;

	if (pid == 0) {
		if (fork() == 0)
			_exit(child_hits());
		_exit(child_hits());
	}
	while ((got = waitpid(-1, &status, 0)) > 0) {
		n++;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != CHILD_STATUS)
			page_bad("child %d ended with %#x", got, status);
	}
	if (n != 2 || errno != ECHILD)
		page_bad("%d children, not 2", n);
}

static void *hit_on(void *arg)
{
	for (uint64_t n = 0; more(n); n++) {
		hit();
		page_nap(100000);
	}
	return arg;
}

static void vforks(void)
{
	pthread_t thread;
	pid_t pid;

	must(pthread_create(&thread, NULL, hit_on, NULL), "pthread_create");
	do {
		pid = vfork();
		if (pid == 0) {
			page_nap(nap_ms * 1000000);
			_exit(CHILD_STATUS);
		}
		reap(pid, "vfork");
	} while (!wanted && !page->quit);
	pthread_join(thread, NULL);
}

static int shared_child(void *arg)
{
	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!page->poked) {
		if (target_call(1, 2))
			page_bad("the child's sum is wrong");
		page->child_calls++;
	}
	syscall(SYS_exit, CHILD_STATUS);
	return 0;
}

static void untraced(void)
{
	static char stack[64 * 1024] __attribute__((aligned(16)));
	pid_t pid = clone(shared_child, stack + sizeof stack,
		CLONE_VM | CLONE_UNTRACED | SIGCHLD, NULL);

	must(pid, "clone");
	page_ready();
	for (uint64_t n = 0; more(n); n++) {
		hit();
		page_nap(50000);
	}
	page->poked = 1;
	reap(pid, "CLONE_UNTRACED");
}

/* ----------------------------------------------------------------------------- gs */

static uint64_t in_gs[2];

static void set_gs(void)
{
	must(syscall(SYS_arch_prctl, ARCH_SET_GS, in_gs), "ARCH_SET_GS");
}

static void use_gs(void)
{
	uint64_t seen;

	in_gs[1]++;
	__asm__ volatile("mov %%gs:8, %0" : "=r"(seen)::"memory");
	if (seen != in_gs[1])
		page_bad("%%gs:8 is %llu, not %llu", (unsigned long long)seen,
			(unsigned long long)in_gs[1]);
}

/* -------------------------------------------------------------------------- kinds */

static const struct kind {
	const char *name;
	void (*early)(void), (*change)(void);
	unsigned every;      /* so many calls; 0: once */
	void (*whole)(void); /* instead of all that */
} kinds[] = {
	{"chroot", NULL, to_chroot, 0, NULL},
	{"uids", NULL, to_uids, 20, NULL},
	{"unshare-mount", NULL, unshare_mount, 0, NULL},
	{"unshare-pid", NULL, unshare_pid, 0, NULL},
	{"unshare-user", NULL, unshare_user, 0, NULL},
	{"unshare-net", NULL, unshare_net, 0, NULL},
	{"seccomp-strict", NULL, strict, 0, NULL},
	{"seccomp-trap", NULL, trapping, 0, NULL},
	{"traceme", NULL, traceme, 50, NULL},
	{"tracer", NULL, tracer, 5, NULL},
	{"debugged", NULL, debugged, 20, NULL},
	{"closed", NULL, close_all, 20, NULL},
	{"limits", NULL, no_limits, 0, NULL},
	{"limits-early", no_limits, NULL, 0, NULL},
	{"greedy", NULL, more_memory, 5, NULL},
	{"reaper", be_reaper, orphan, 50, NULL},
	{"vforks", NULL, NULL, 0, vforks},
	{"untraced", NULL, NULL, 0, untraced},
	{"gs", set_gs, use_gs, 3, NULL},
};

static void run(const struct kind *k)
{
	uint64_t once = wanted ? wanted / 2 : 200;

	if (k->early)
		k->early();
	if (k->whole != untraced)
		page_ready();
	if (k->whole) {
		k->whole();
		return;
	}
	for (uint64_t n = 0; more(n); n++) {
		if (k->change && (k->every ? n % k->every == 0 : n == once))
			k->change();
		hit();
	}
	if (tracee) {
		kill(tracee, SIGKILL);
		waitpid(tracee, NULL, __WALL);
	}
}

int main(int argc, char **argv)
{
	wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
	nap_ms = argc > 3 ? atol(argv[3]) : nap_ms;
	page_open();
	for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i].name, argv[1])) {
			run(&kinds[i]);
			/* Nothing but this may be left to us. */
			syscall(SYS_exit, page->bad != 0);
		}
	return 99;
}
