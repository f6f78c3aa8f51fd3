/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keeper's loop: stops of the victims first, a few at a time, then for each events to
 * tell and requests to serve, and the client's life to watch.
 *
 * Between two hits that follow each other closely the loop gives its CPU away by
 * sched_yield() instead of sleeping: on one CPU the victim then runs up to its next hit,
 * and neither a poll nor a wake-up is paid for; on two, waking up would cost several
 * times the hit (docs/DECISIONS.md).  It does so for SPIN_NS at most, and only a moment
 * once that has been in vain some times in a row.
 */
#include "keeper.h"
#include "kin.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STOPS_A_ROUND 16
#define SPIN_NS 50000u
#define VAIN_MAX 8
#define RETRY 256
#define SLICE_NS 100000u /* the least that the kernel grants */

static int signal_fd;
static volatile sig_atomic_t cpu_is_spent;

/* Waits a little for the stop that follows a hit; 1: here it is. */
static int spin(struct keeper *k, struct wait_event *ev)
{
	static unsigned vain;
	uint64_t until = vain % RETRY < VAIN_MAX ? now_ns() + SPIN_NS : 0;
	unsigned n = 0;

	do {
		sched_yield();
		if (wait_any(ev) > 0) {
			vain = 0;
			return 1;
		}
	} while (++n < 2 || (until && now_ns() < until));
	vain++;
	k->hot = 0;
	return 0;
}

/* A stop of all was wanted: for an event breakpoint, or to step a thread. */
static void stop_as_wanted(struct keeper *k)
{
	if (k->state == WIRE_ST_GONE) {
		k->held = 0;
		return;
	}
	if (RULE(D2, others) && stops_hold(k)) {
		events_error(k);
		k->hits.n = 0;
		return;
	}
	if (k->state == WIRE_ST_GONE)
		return;
	STEP(EVENT_HELD);
	if (k->hits.n)
		keeper_state(k, WIRE_ST_EVENT);
	else
		stops_release(k);
}

/* The victim whose next stop is near; NULL. */
static struct keeper *hot_one(void)
{
	for (size_t i = 0; i < kin_count(); i++)
		if (kin_get(i)->hot)
			return kin_get(i);
	return NULL;
}

static int next_stop(struct wait_event *ev)
{
	struct keeper *hot;

	return wait_any(ev) > 0 || ((hot = hot_one()) && spin(hot, ev));
}

static void stop_all_as_wanted(void)
{
	for (size_t i = 0; i < kin_count(); i++)
		if (kin_get(i)->held == 2)
			stop_as_wanted(kin_get(i));
}

/* 1: there may be more, for which no signal need come again. */
static int handle_stops(void)
{
	struct wait_event ev;

	stop_all_as_wanted();
	for (int i = 0; i < STOPS_A_ROUND; i++) {
		if (!next_stop(&ev))
			return 0;
		stops_dispatch(kin_get(0), &ev);
		stop_all_as_wanted();
	}
	return 1;
}

/* The victim is at its end, but a process that shares its memory may not be. */
static void free_sharers(struct keeper *k)
{
	if (k->state == WIRE_ST_GONE && k->tasks.n)
		end_let_go(k, WIRE_END_RUN);
}

/* ---------------------------------------------------------------- what to wait for */

/* Descriptors of one victim in the array that is polled. */
enum { POLL_REQUESTS, POLL_EVENTS, POLL_PROFILE, POLL_OF_ONE };

static void add_polls(const struct keeper *k, struct pollfd *p)
{
	int serves = RULE(B4, outstanding) || !k->ev.outstanding;

	p[POLL_REQUESTS] =
		(struct pollfd){.fd = serves ? k->requests : -1, .events = POLLIN};
	p[POLL_EVENTS] = (struct pollfd){.fd = k->events, .events = POLLIN};
	p[POLL_PROFILE] = (struct pollfd){.fd = k->profile.fd, .events = POLLIN};
}

static void serve_polled(struct keeper *k, const struct pollfd *p)
{
	short requests = p[POLL_REQUESTS].revents, events = p[POLL_EVENTS].revents;

	if (p[POLL_PROFILE].revents)
		profile_tick(k);
	if (events & POLLIN)
		events_ack(k);
	if (requests & POLLIN)
		serve_request(k);
	if ((requests | events) & (POLLHUP | POLLERR))
		k->client_gone = 1;
}

static void look_around(int timeout)
{
	static VEC(struct pollfd) p;
	size_t n = kin_count(), at = 2;

	if (vec_reserve((void **)&p.at, &p.room, at + n * POLL_OF_ONE, sizeof *p.at))
		return;
	p.at[0] = (struct pollfd){
		.fd = RULE(H5, pidfd) ? WIRE_FD_CLIENT : -1, .events = POLLIN};
	p.at[1] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
	for (size_t i = 0; i < n; i++, at += POLL_OF_ONE)
		add_polls(kin_get(i), &p.at[at]);
	if (poll(p.at, at, timeout) <= 0)
		return;
	if (p.at[1].revents)
		wait_drain_signal();
	for (size_t i = 0; i < n; i++) {
		serve_polled(kin_get(i), &p.at[2 + i * POLL_OF_ONE]);
		if (p.at[0].revents)
			kin_get(i)->client_gone = 1;
	}
}

static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* What a victim has to do without being asked; ms until there is more, or -1. */
static int attend(struct keeper *k)
{
	free_sharers(k);
	int wait_ms = sooner(linker_wait(k, events_expire(k)), adopt_expire(k));
	events_flush(k);
	if (k->client_gone || cpu_is_spent)
		end_client_gone(k);
	return k->held == 2 || k->hot ? 0 : wait_ms;
}

static void loop(void)
{
	while (kin_sweep()) {
		int more = handle_stops(), wait_ms = kin_expire();

		for (size_t i = 0; i < kin_count(); i++)
			wait_ms = sooner(wait_ms, attend(kin_get(i)));
		if (kin_sweep())
			look_around(more ? 0 : wait_ms);
	}
}

static int open_ledger(struct keeper *k)
{
	struct stat st;

	if (fstat(WIRE_FD_LEDGER, &st) || (size_t)st.st_size < WIRE_LEDGER_BYTES)
		return err_set(DTPROC_EPROTO, "no ledger");
	k->ledger = mmap(NULL, WIRE_LEDGER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		WIRE_FD_LEDGER, 0);
	if (k->ledger == MAP_FAILED)
		return err_errno(DTPROC_ENOMEM, errno, "the ledger");
	k->ledger->magic = WIRE_LEDGER_MAGIC;
	k->ledger->version = WIRE_VERSION;
	return 0;
}

/*
 * What the client has open is not for us: a pipe of `x=$(dtproc ...)` would never end.
 * Where close_range(2) is refused (start.c has asked) it is closed one by one.
 */
static void close_others(void)
{
	struct dirent *e;
	DIR *d;

	if (close_range(WIRE_FD_FIRST_FREE, ~0u, 0) == 0 ||
		!(d = opendir("/proc/self/fd")))
		return;
	while ((e = readdir(d))) {
		int fd = atoi(e->d_name);
		if (fd >= WIRE_FD_FIRST_FREE && fd != dirfd(d))
			close(fd);
	}
	closedir(d);
}

/* Nobody but the client ends a keeper: signals that would are not for it. */
static void ignore_signals(void)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP,
		SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGALRM, SIGXFSZ};

	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		signal(ignored[i], SIG_IGN);
}

static void on_cpu_limit(int sig)
{
	(void)sig;
	cpu_is_spent = 1;
}

/* A limit on CPU time ends in SIGKILL.  A second before that we let go. */
static void heed_cpu_limit(void)
{
	struct rlimit cpu;

	if (getrlimit(RLIMIT_CPU, &cpu) || cpu.rlim_max == RLIM_INFINITY)
		return;
	cpu.rlim_cur = cpu.rlim_max > 1 ? cpu.rlim_max - 1 : 1;
	setrlimit(RLIMIT_CPU, &cpu);
	signal(SIGXCPU, on_cpu_limit);
}

/* Linux 6.12 grants a slice of one's own choice; a short one is served soon. */
static void ask_short_slice(void)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} a = {.size = sizeof a};

	if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0 &&
		a.policy == SCHED_OTHER) {
		a.runtime = SLICE_NS;
		syscall(SYS_sched_setattr, 0, &a, 0);
	}
}

int main(int argc, char **argv)
{
	struct keeper *k = calloc(1, sizeof *k);

	(void)argv;
	if (argc != 1 || !k || open_ledger(k)) {
		fprintf(stderr, "dtproc-keeper: started by libdtproc alone\n");
		return 2;
	}
	close_others();
	ignore_signals();
	heed_cpu_limit();
	ask_short_slice();
	signal_fd = wait_init();
	k->requests = WIRE_FD_REQUESTS;
	k->events = WIRE_FD_EVENTS;
	k->bulk = WIRE_FD_BULK;
	k->mem = k->maps = k->victim = k->profile.fd = -1;
	k->out = output_new();
	if (signal_fd < 0 || !k->out || kin_add(k))
		return 1;
	STEP(KEEPER_RUNS);
	loop();
	return 0;
}
