/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting a keeper, and with create the stub that becomes the victim.
 *
 *	client --clone--> intermediate --clone--> keeper --fork--> stub = victim
 *	       (exit signal 0)         (VFORK)    setsid, exec     'g', exec
 *
 * Nothing of this may show in the client's wait(-1), SIGCHLD or job control (rule B3).
 * The intermediate has exit signal 0, so only a wait with __WCLONE sees it, and ours is
 * one for its PID.  The keeper is its child and so becomes init's: an exec would have
 * given a child of the client SIGCHLD as its exit signal.  CLONE_VFORK makes the
 * intermediate wait until the keeper's binary runs or could not be executed; then a page
 * that all three share tells what came out.  It shares the client's table of
 * descriptors, so that the keeper's pidfd, made at birth, is the client's.
 *
 * Both clones borrow the client's memory, each on a stack of its own, as vfork(2) does:
 * copying the page tables twice was half of the time that a grab takes.
 *
 * Where the client is a subreaper or PID 1, an orphaned keeper would be its own child,
 * with a SIGCHLD at its end.  There the intermediate is a copy, and stays the keeper's
 * parent until that ends; victim_ctl_hang_up() reaps it.
 *
 * CLONE_UNTRACED: who traces the client and its children (strace -f) does not get these,
 * one of which has a tracer of its own.
 *
 * The client may have threads, any of which may hold malloc's lock: after the clone
 * there are system calls only, and all they need was made before.
 */
#include "start.h"

#include <base/clean.h>
#include <base/step.h>
#include <base/vec.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* What the new processes tell the client, in shared memory. */
struct report {
	int keeper, keeper_pid, stub_pid;
	int clone_errno, exec_errno;
	uint32_t done; /* futex: the intermediate that stays has filled this in */
};

#define STACK_BYTES 32768
/* How long an intermediate that stays waits for orphans of its keeper. */
#define ORPHANS_MS 100

/* All that the new processes need, made before the first of them exists. */
struct plan {
	const struct start *start;
	const char *keeper;
	char *const *keeper_argv, *const *keeper_envp;
	char *const *shell_argv; /* of /bin/sh, for a program without #! */
	uint64_t mask;           /* the client's signal mask */
	int keep_stderr;
	int stays;      /* the intermediate stays the keeper's parent */
	cpu_set_t cpus; /* the client's */
	long cpus_size; /* as the kernel told; -1: it did not */
	struct report *report;
	char *stacks; /* two, of the intermediate and of the keeper until it executes */
};

/* As the kernel has it; glibc's differs. */
struct kernel_action {
	uintptr_t handler;
	unsigned long flags;
	uintptr_t restorer;
	uint64_t mask;
};

/* --------------------- in the new processes: system calls only -------------- */

/* Sanitizers keep state of threads that these processes do not have. */
#define BARE __attribute__((no_sanitize("address", "undefined", "thread"), noinline))

BARE static long raw_fork(void)
{
	return syscall(SYS_clone, SIGCHLD | CLONE_UNTRACED, NULL, NULL, NULL, 0);
}

BARE __attribute__((noreturn)) static void leave(int status)
{
	for (;;)
		syscall(SYS_exit_group, status);
}

BARE static void set_mask(const uint64_t *mask, uint64_t *old)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, old, sizeof *mask);
}

enum reset { RESET_HANDLERS, RESET_ALL };

BARE static void set_cpus(const struct plan *p)
{
	if (p->cpus_size > 0)
		syscall(SYS_sched_setaffinity, 0, p->cpus_size, &p->cpus);
}

BARE static void reset_signals(enum reset what)
{
	struct kernel_action now, dfl = {0};

	for (int sig = 1; sig <= 64; sig++) {
		if (syscall(SYS_rt_sigaction, sig, NULL, &now, sizeof now.mask) < 0)
			continue;
		if (now.handler == (uintptr_t)SIG_IGN && what == RESET_HANDLERS)
			continue;
		if (now.handler != (uintptr_t)SIG_DFL)
			syscall(SYS_rt_sigaction, sig, &dfl, NULL, sizeof dfl.mask);
	}
}

/* The stub keeps none of the sockets: hang-ups must be seen while it waits. */
BARE static void drop_sockets(const struct start *s)
{
	for (int i = 0; i < WIRE_FD_FIRST_FREE; i++)
		if (s->fd[i] >= 0)
			syscall(SYS_close, s->fd[i]);
	for (int i = 0; i < 4; i++)
		if (s->ours[i] >= 0)
			syscall(SYS_close, s->ours[i]);
}

BARE static int wait_for_go(int fd)
{
	char go = 0;
	long n;

	do {
		n = syscall(SYS_read, fd, &go, 1);
	} while (n < 0 && errno == EINTR);
	return n == 1 && go == 'g';
}

/* Becomes the victim's program once the keeper holds it. */
BARE __attribute__((noreturn)) static void be_stub(const struct plan *p)
{
	const struct victim_program *prog = p->start->program;
	int stub = p->start->stub, eno;

	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (syscall(SYS_getppid) != p->report->keeper_pid)
		leave(127);
	drop_sockets(p->start);
	set_cpus(p);
	STEP(STUB_BORN);
	if (!wait_for_go(stub))
		leave(127);
	STEP(STUB_GOES);
	syscall(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0);
	reset_signals(RESET_HANDLERS);
	set_mask(&p->mask, NULL);
	syscall(SYS_execve, prog->path, prog->argv, prog->envp);
	eno = errno;
	if (eno == ENOEXEC) {
		syscall(SYS_execve, "/bin/sh", p->shell_argv, prog->envp);
		eno = errno;
	}
	syscall(SYS_write, stub, &eno, sizeof eno);
	leave(127);
}

/* Moves the descriptors to their places; first out of the way of each other. */
BARE static int place(const struct start *s)
{
	int high[WIRE_FD_FIRST_FREE];

	for (int i = 0; i < WIRE_FD_FIRST_FREE; i++) {
		high[i] = -1;
		if (s->fd[i] < 0)
			continue;
		high[i] = (int)syscall(SYS_fcntl, s->fd[i], F_DUPFD, WIRE_FD_FIRST_FREE);
		if (high[i] < 0)
			return -1;
	}
	for (int i = 3; i < WIRE_FD_FIRST_FREE; i++) {
		if (high[i] < 0)
			syscall(SYS_close, i);
		else if (syscall(SYS_dup3, high[i], i, 0) < 0)
			return -1;
	}
	return 0;
}

BARE static int standard_files(int keep_stderr)
{
	int null = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);

	if (null < 0) /* a container without: whatever can be written to will do */
		null = (int)syscall(SYS_memfd_create, "null", 0);
	if (null < 0)
		return -1;
	for (int i = 0; i < (keep_stderr ? 2 : 3); i++)
		if (null != i && syscall(SYS_dup3, null, i, 0) < 0)
			return -1;
	return 0;
}

BARE static int be_keeper(void *arg)
{
	const struct plan *p = arg;
	static const uint64_t none;
	long stub = 0;

	p->report->keeper_pid = (int)syscall(SYS_getpid);
	if (p->start->program)
		stub = raw_fork();
	if (stub == 0 && p->start->program)
		be_stub(p);
	p->report->stub_pid = (int)stub;
	if (stub < 0)
		goto failed;
	STEP(KEEPER_BORN);
	syscall(SYS_setsid);
	reset_signals(RESET_ALL);
	if (place(p->start) < 0 || standard_files(p->keep_stderr) < 0)
		goto failed;
	syscall(SYS_close_range, WIRE_FD_FIRST_FREE, ~0u, 0);
	set_mask(&none, NULL);
	set_cpus(p);
	syscall(SYS_execve, p->keeper, p->keeper_argv, p->keeper_envp);
	p->report->exec_errno = errno;
	leave(127);
failed:
	p->report->clone_errno = errno;
	leave(127);
}

/*
 * A parent for the keeper that is no part of the client's life, as long as it lives, and
 * a moment longer: a stub whose keeper is no keeper dies with it and is reaped here.  A
 * victim that was let run is the client's to adopt.
 */
BARE static void stay(struct report *r, int keeper_pid)
{
	static const struct timespec nap = {.tv_nsec = 1000000};

	__atomic_store_n(&r->done, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &r->done, FUTEX_WAKE, 1, NULL, NULL, 0);
	syscall(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE);
	syscall(SYS_setsid);
	while (syscall(SYS_wait4, keeper_pid, NULL, 0, NULL) < 0 && errno == EINTR)
		;
	for (int i = 0; i < ORPHANS_MS; i++) {
		if (syscall(SYS_wait4, -1, NULL, WNOHANG | __WALL, NULL) < 0)
			return;
		syscall(SYS_nanosleep, &nap, NULL);
	}
}

BARE static int be_intermediate(void *arg)
{
	const struct plan *p = arg;
	int fd = -1;

	STEP(BETWEEN);
	if (p->stays)
		syscall(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	int pid = clone(be_keeper, p->stacks + 2 * STACK_BYTES,
		CLONE_UNTRACED | CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, arg,
		&fd);

	if (pid < 0)
		p->report->clone_errno = errno;
	else
		p->report->keeper = fd;
	set_cpus(p);
	if (p->stays && pid > 0)
		stay(p->report, pid);
	leave(0);
}

/* --------------------------------------- in the client ---------------------- */

/* The variables of the environment that concern a keeper. */
static int concerns_keeper(const char *var)
{
	static const char *const names[] = {"DTPROC_",
		"LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=",
		"LSAN_OPTIONS=", "GCOV_"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!strncmp(var, names[i], strlen(names[i])))
			return 1;
	return 0;
}

typedef VEC(char *) words;

static int keeper_environment(words *v)
{
	extern char **environ;

	for (char **e = environ; e && *e; e++)
		if (concerns_keeper(*e) && vec_push(v, *e))
			return err_nomem("the keeper's environment");
	return vec_push(v, NULL) ? err_nomem("the keeper's environment") : 0;
}

/* argv of /bin/sh that runs a file without #!, as execvp(3) does. */
static int shell_words(const struct victim_program *prog, words *v)
{
	int bad = vec_push(v, "sh") || vec_push(v, (char *)prog->path);

	for (size_t i = 1; !bad && prog->argv[0] && prog->argv[i]; i++)
		bad = vec_push(v, prog->argv[i]);
	return bad || vec_push(v, NULL) ? err_nomem("arguments") : 0;
}

static pid_t reap(pid_t intermediate, int flags)
{
	pid_t pid;

	do {
		pid = waitpid(intermediate, NULL, flags | __WCLONE);
	} while (pid < 0 && errno == EINTR);
	return pid;
}

void start_reap(pid_t parent)
{
	static const struct timespec nap = {.tv_nsec = 1000000};
	siginfo_t info;

	/* Ours still?  Then its PID is nobody else's. */
	if (parent == 0 || waitid(P_PID, (id_t)parent, &info,
				   WEXITED | WNOHANG | WNOWAIT | __WCLONE) < 0)
		return;
	/* It ends by itself, when it has reaped the keeper. */
	for (int i = 0; i < 2 * ORPHANS_MS; i++) {
		if (reap(parent, WNOHANG) != 0)
			return;
		nanosleep(&nap, NULL);
	}
	kill(parent, SIGKILL);
	reap(parent, 0);
}

/* Waits until one that stays has told all; 0: it is gone instead. */
static int wait_done(struct report *r, pid_t intermediate)
{
	static const struct timespec tenth = {.tv_nsec = 100000000};

	while (!__atomic_load_n(&r->done, __ATOMIC_ACQUIRE)) {
		if (reap(intermediate, WNOHANG) != 0)
			return 0;
		syscall(SYS_futex, &r->done, FUTEX_WAIT, 0, &tenth, NULL, 0);
	}
	return 1;
}

/*
 * Keeps this thread, and so those that it clones, on the CPU where it is, which it leaves
 * to them by waiting.  Elsewhere they might queue behind a victim that spins.
 */
static void stay_on_cpu(struct plan *p)
{
	unsigned cpu;
	cpu_set_t here;

	p->cpus_size = syscall(SYS_sched_getaffinity, 0, sizeof p->cpus, &p->cpus);
	if (p->cpus_size <= 0 || syscall(SYS_getcpu, &cpu, NULL, NULL))
		return;
	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	sched_setaffinity(0, sizeof here, &here);
}

/*
 * Clones the intermediate with every signal blocked and waits until it is gone, or has
 * done its work and stays.  Its PID goes to `parent` then, else 0.
 */
static int launch(struct plan *p, pid_t *parent)
{
	static const uint64_t every = ~0ull;
	int pid, eno;

	STEP(CLIENT_LAUNCH);
	set_mask(&every, &p->mask);
	stay_on_cpu(p);
	pid = clone(be_intermediate, p->stacks + STACK_BYTES,
		CLONE_UNTRACED | CLONE_FILES | (p->stays ? 0 : CLONE_VM | CLONE_VFORK),
		p);
	eno = errno;
	set_cpus(p);
	set_mask(&p->mask, NULL);
	*parent = 0;
	if (pid < 0)
		return eno;
	if (p->stays && wait_done(p->report, pid))
		*parent = pid;
	else if (!p->stays)
		reap(pid, 0);
	return 0;
}

static int outcome(const struct plan *p, int eno, pid_t parent, struct started *out)
{
	const struct report *r = p->report;

	if (eno == 0)
		eno = r->clone_errno ? r->clone_errno : r->exec_errno;
	if (eno == 0 && r->keeper >= 0) {
		*out = (struct started){
			victim_lift(r->keeper), r->keeper_pid, r->stub_pid, parent};
		return 0;
	}
	start_reap(parent);
	if (r->keeper >= 0)
		close(r->keeper);
	if (eno)
		return err_errno(
			DTPROC_EKEEPER, eno, "cannot start the keeper %s", p->keeper);
	return err_set(
		DTPROC_EKEEPER, "cannot start the keeper %s: it was killed", p->keeper);
}

static int adopts_orphans(void)
{
	int is = 0;

	return getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &is, 0, 0, 0) == 0 && is);
}

static void *map_memory(size_t bytes, int how)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, how | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

static int run(struct plan *p, struct started *out)
{
	size_t bytes = 2 * STACK_BYTES;
	int rc = DTPROC_ENOMEM, eno;
	pid_t parent;

	p->stays = adopts_orphans();
	p->report = map_memory(sizeof *p->report, MAP_SHARED);
	p->stacks = map_memory(bytes, MAP_PRIVATE | MAP_STACK); /* the stub's is a copy */
	if (p->report && p->stacks) {
		p->report->keeper = -1;
		eno = launch(p, &parent);
		rc = outcome(p, eno, parent, out);
	} else {
		err_nomem("starting the keeper");
	}
	if (p->report)
		munmap(p->report, sizeof *p->report);
	if (p->stacks)
		munmap(p->stacks, bytes);
	return rc;
}

int start_keeper(const struct start *s, struct started *out)
{
	CLEAN_FREE char *keeper = NULL;
	char *argv[] = {(char *)"dtproc-keeper", NULL};
	words env = {0}, shell = {0};
	int rc = victim_keeper_find(&keeper);

	if (rc == 0)
		rc = keeper_environment(&env);
	if (rc == 0 && s->program)
		rc = shell_words(s->program, &shell);
	if (rc == 0) {
		struct plan p = {.start = s,
			.keeper = keeper,
			.keeper_argv = argv,
			.keeper_envp = env.at,
			.shell_argv = shell.at,
			.keep_stderr = getenv("DTPROC_DEBUG_STDERR") != NULL};
		rc = run(&p, out);
	}
	vec_free(&env);
	vec_free(&shell);
	return rc;
}
