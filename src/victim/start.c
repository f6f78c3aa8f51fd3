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
 * intermediate wait until the keeper's binary runs or could not be executed; when it is
 * gone, a page that all three share tells what came out.  It shares the client's
 * table of descriptors, so that the keeper's pidfd, made at birth, is the client's.
 *
 * CLONE_UNTRACED: who traces the client and its children (strace -f) does not get these,
 * one of which has a tracer of its own.
 *
 * The client may have threads, any of which may hold malloc's lock: after the clone
 * there are system calls only, and all they need was made before.
 *
 * Not promised: where the client is a subreaper or PID 1 the keeper becomes its own
 * child; victim_ctl_close() reaps it by PID, but SIGCHLD is seen.
 */
#include "start.h"

#include <base/clean.h>
#include <base/step.h>
#include <base/vec.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

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
};

/* All that the new processes need, made before the first of them exists. */
struct plan {
	const struct start *start;
	const char *keeper;
	char *const *keeper_argv, *const *keeper_envp;
	char *const *shell_argv; /* of /bin/sh, for a program without #! */
	uint64_t mask;           /* the client's signal mask */
	int keep_stderr;
	struct report *report;
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

BARE static long raw_clone(unsigned long flags, int *pidfd)
{
	return syscall(SYS_clone, flags | CLONE_UNTRACED, NULL, pidfd, NULL, 0);
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

	if (null < 0)
		return -1;
	for (int i = 0; i < (keep_stderr ? 2 : 3); i++)
		if (null != i && syscall(SYS_dup3, null, i, 0) < 0)
			return -1;
	return 0;
}

BARE __attribute__((noreturn)) static void be_keeper(const struct plan *p)
{
	static const uint64_t none;
	long stub = 0;

	p->report->keeper_pid = (int)syscall(SYS_getpid);
	if (p->start->program)
		stub = raw_clone(SIGCHLD, NULL);
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
	syscall(SYS_execve, p->keeper, p->keeper_argv, p->keeper_envp);
	p->report->exec_errno = errno;
	leave(127);
failed:
	p->report->clone_errno = errno;
	leave(127);
}

BARE __attribute__((noreturn)) static void be_intermediate(const struct plan *p)
{
	int fd = -1;

	STEP(BETWEEN);
	long pid = raw_clone(CLONE_PIDFD | CLONE_VFORK | SIGCHLD, &fd);

	if (pid == 0)
		be_keeper(p);
	if (pid < 0)
		p->report->clone_errno = errno;
	else
		p->report->keeper = fd;
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

/* Clones the intermediate with every signal blocked and waits until it is gone. */
static int launch(struct plan *p)
{
	static const uint64_t every = ~0ull;
	long pid;
	int eno;

	STEP(CLIENT_LAUNCH);
	set_mask(&every, &p->mask);
	pid = raw_clone(CLONE_FILES, NULL);
	if (pid == 0)
		be_intermediate(p);
	eno = errno;
	set_mask(&p->mask, NULL);
	if (pid < 0)
		return eno;
	while (waitpid((pid_t)pid, NULL, __WCLONE) < 0 && errno == EINTR)
		;
	return 0;
}

static int outcome(const struct plan *p, int eno, struct started *out)
{
	const struct report *r = p->report;

	if (eno == 0)
		eno = r->clone_errno ? r->clone_errno : r->exec_errno;
	if (eno == 0 && r->keeper >= 0) {
		*out = (struct started){
			victim_lift(r->keeper), r->keeper_pid, r->stub_pid};
		return 0;
	}
	if (r->keeper >= 0)
		close(r->keeper);
	if (eno)
		return err_errno(
			DTPROC_EKEEPER, eno, "cannot start the keeper %s", p->keeper);
	return err_set(
		DTPROC_EKEEPER, "cannot start the keeper %s: it was killed", p->keeper);
}

static int run(struct plan *p, struct started *out)
{
	int rc;

	p->report = mmap(NULL, sizeof *p->report, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->report == MAP_FAILED)
		return err_nomem("starting the keeper");
	p->report->keeper = -1;
	rc = outcome(p, launch(p), out);
	munmap(p->report, sizeof *p->report);
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
