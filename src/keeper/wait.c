/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting: the only file of the keeper that calls wait(2).
 *
 * While a thread is being seized what is reported is taken *early*, by a signal handler:
 * an exec in the victim waits for its other threads to be reaped, and the seizure waits
 * for the exec (docs/LINUX-FACTS.md).
 *
 * Else a stop is looked at and not taken (WNOWAIT): if the keeper is killed before it has
 * dealt with it, the kernel delivers what the task has stopped for.  Who leaves a task
 * stopped takes its stop then, or it would be told again.
 */
#include "keeper.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How often a silent task's state is looked at, in ns. */
#define ASK_NS 5000000u
/* Most tasks answer sooner than a sleeper on another CPU is woken up. */
#define SPIN_NS 40000u

#define EARLY_MAX 65536u

static int signal_fd = -1;
static struct wait_event early[EARLY_MAX];
static size_t early_n;

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void take_early(int sig)
{
	int saved = errno;
	struct wait_event *e = &early[early_n];

	(void)sig;
	while (early_n < EARLY_MAX &&
		(e->tid = waitpid(-1, &e->status, WNOHANG | __WALL)) > 0) {
		e->taken = 1;
		e = &early[++early_n];
	}
	errno = saved;
}

void wait_early(enum wait_early how)
{
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(how == WAIT_EARLY ? SIG_UNBLOCK : SIG_BLOCK, &chld, NULL);
}

/* One that was taken early, of `tid` or of any (-1). */
static int was_early(pid_t tid, struct wait_event *out)
{
	for (size_t i = 0; i < early_n; i++)
		if (tid < 0 || early[i].tid == tid) {
			*out = early[i];
			memmove(&early[i], &early[i + 1],
				(--early_n - i) * sizeof early[0]);
			return 1;
		}
	return 0;
}

int wait_init(void)
{
	struct sigaction sa = {.sa_handler = take_early, .sa_flags = SA_RESTART};
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	wait_early(WAIT_LATER);
	sigaction(SIGCHLD, &sa, NULL);
	signal_fd = signalfd(-1, &chld, SFD_NONBLOCK | SFD_CLOEXEC);
	if (signal_fd < 0)
		return err_errno(DTPROC_ESYS, errno, "signalfd");
	return signal_fd;
}

void wait_drain_signal(void)
{
	struct signalfd_siginfo si;

	/* One is pending at most. */
	if (read(signal_fd, &si, sizeof si) < 0)
		return;
}

void wait_reap(const struct wait_event *ev)
{
	int status;

	while (!ev->taken && waitpid(ev->tid, &status, WNOHANG | __WALL) < 0 &&
		errno == EINTR)
		;
}

/* What waitpid(2) would have said. */
static int status_of(const siginfo_t *si)
{
	switch (si->si_code) {
	case CLD_EXITED:
		return W_EXITCODE(si->si_status, 0);
	case CLD_KILLED:
		return si->si_status;
	case CLD_DUMPED:
		return si->si_status | WCOREFLAG;
	default:
		return si->si_status << 8 | 0x7f;
	}
}

void wait_take(pid_t tid)
{
	siginfo_t si;

	while (waitid(P_PID, (id_t)tid, &si, WSTOPPED | WNOHANG | __WALL) &&
		errno == EINTR)
		;
}

/* A stop or the end of `tid` or of any (-1). */
static int look_for(pid_t tid, struct wait_event *out)
{
	siginfo_t si;

	if (early_n && was_early(tid, out))
		return 1;
	si.si_pid = 0;
	while (waitid(tid < 0 ? P_ALL : P_PID, (id_t)tid, &si,
		WEXITED | WNOHANG | WNOWAIT | __WALL))
		if (errno != EINTR)
			return -1;
	if (si.si_pid == 0)
		return 0;
	out->tid = si.si_pid;
	out->status = status_of(&si);
	out->taken = 0;
	if (out->status >> 16) /* no signal: nothing to be delivered */
		wait_take(out->tid);
	return 1;
}

int wait_is_child(pid_t pid)
{
	siginfo_t si;

	return waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
}

int wait_any(struct wait_event *out)
{
	return look_for(-1, out);
}

void wait_sleep(uint64_t deadline)
{
	uint64_t now = now_ns();
	struct pollfd p = {.fd = signal_fd, .events = POLLIN};
	struct timespec t = {0};

	if (now >= deadline)
		return;
	t.tv_sec = (time_t)((deadline - now) / 1000000000u);
	t.tv_nsec = (long)((deadline - now) % 1000000000u);
	if (ppoll(&p, 1, &t, NULL) > 0)
		wait_drain_signal();
}

int wait_one(pid_t tid, uint64_t timeout, struct wait_event *out)
{
	uint64_t waited = 0, from = now_ns(), awake = from + SPIN_NS, slept;

	while (waited < timeout) {
		/* A first thread that has ended tells so after all others: it is gone. */
		int gone = from > awake && task_state(tid) == 'Z';
		int got = look_for(tid, out);
		if (got)
			return got;
		if (gone)
			return -1;
		from = now_ns();
		if (from < awake) {
			sched_yield();
			continue;
		}
		wait_sleep(from + ASK_NS);
		slept = now_ns() - from;
		waited += slept < ASK_NS ? slept : ASK_NS;
	}
	return 0;
}
