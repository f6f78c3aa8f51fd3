/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's end of the wire.
 *
 * Requests and replies alternate, so a wire that once was out of step stays `broken`:
 * whoever comes next would read an older answer.  The keeper's death is seen by its
 * pidfd as well as by hang-up: a worker that the client forked may hold copies of the
 * descriptors, and then there is no hang-up.
 */
#include "start.h"

#include <arch/arch.h>
#include <base/clean.h>
#include <base/log.h>
#include <base/retry.h>
#include <base/step.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* How long a keeper that was hung up on may take to let go. */
#define FAREWELL_MS 5000
/* How long an answer is waited for without sleeping. */
#define SPIN_NS 100000

/* ------------------------------------------------------- opening, closing */

static void close_fd(int *fd)
{
	clean_fd(fd);
	*fd = -1;
}

static int make_ledger(struct victim_ctl *c)
{
	int rc = victim_memfd("dtproc-ledger", WIRE_LEDGER_BYTES, &c->ledger);
	void *map;

	if (rc)
		return rc;
	map = mmap(NULL, WIRE_LEDGER_BYTES, PROT_READ, MAP_SHARED, c->ledger, 0);
	if (map == MAP_FAILED)
		return err_errno(DTPROC_ESYS, errno, "cannot map the ledger");
	c->map = map;
	return 0;
}

/* Two ends of a socket, neither of them 0, 1 or 2. */
static int make_pair(int type, int out[2])
{
	int fd[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd) < 0)
		return err_errno(DTPROC_ESYS, errno, "cannot make a socket");
	out[0] = victim_lift(fd[0]);
	out[1] = victim_lift(fd[1]);
	if (out[0] >= 0 && out[1] >= 0)
		return 0;
	int eno = errno;
	close_fd(&out[0]);
	close_fd(&out[1]);
	return err_errno(DTPROC_ESYS, eno, "cannot make a socket");
}

static int make_ends(struct start *s, struct victim_ctl *c)
{
	int requests[2], events[2], stub[2], rc;

	rc = make_pair(SOCK_SEQPACKET, requests);
	if (rc)
		return rc;
	c->requests = requests[0];
	s->fd[WIRE_FD_REQUESTS] = requests[1];
	rc = make_pair(SOCK_SEQPACKET, events);
	if (rc)
		return rc;
	c->events = events[0];
	s->fd[WIRE_FD_EVENTS] = events[1];
	if (s->program) {
		rc = make_pair(SOCK_STREAM, stub);
		if (rc)
			return rc;
		s->stub = stub[0];
		s->fd[WIRE_FD_STUB] = stub[1];
	}
	return victim_pidfd_open(getpid(), &s->fd[WIRE_FD_CLIENT]);
}

/* Starts a keeper on c's memfds and new sockets. */
static int connect_keeper(struct victim_ctl *c, const struct victim_program *program)
{
	struct start s = {.program = program, .stub = -1};
	struct started got;
	int rc;

	for (int i = 0; i < WIRE_FD_FIRST_FREE; i++)
		s.fd[i] = -1;
	rc = make_ends(&s, c);
	s.fd[WIRE_FD_BULK] = c->bulk;
	s.fd[WIRE_FD_LEDGER] = c->ledger;
	memcpy(s.ours, (int[4]){c->requests, c->events, -1, -1}, sizeof s.ours);
	if (rc == 0)
		rc = start_keeper(&s, &got);
	if (rc == 0) {
		c->keeper = got.keeper;
		c->keeper_pid = got.keeper_pid;
		c->stub = got.stub_pid;
		c->seq = 0;
		c->broken = 0;
		rc = keepers_add(got.keeper_pid, got.keeper, got.parent);
	}
	for (int i = WIRE_FD_REQUESTS; i <= WIRE_FD_CLIENT; i++)
		close_fd(&s.fd[i]);
	close_fd(&s.fd[WIRE_FD_STUB]);
	close_fd(&s.stub);
	return rc;
}

int victim_ctl_open(struct victim_ctl *out, const struct victim_program *program)
{
	struct victim_ctl c = VICTIM_CTL_NONE;
	int rc = victim_memfd("dtproc-bulk", 4096, &c.bulk);

	if (rc == 0)
		rc = make_ledger(&c);
	if (rc == 0)
		rc = connect_keeper(&c, program);
	if (rc)
		victim_ctl_close(&c);
	else
		*out = c;
	return rc;
}

static void kill_keeper(const struct victim_ctl *c)
{
	syscall(SYS_pidfd_send_signal, c->keeper, SIGKILL, NULL, 0);
}

static int wait_gone(const struct victim_ctl *c, int timeout_ms)
{
	struct pollfd p = {.fd = c->keeper, .events = POLLIN};
	unsigned tries = 0;
	int n;

	do {
		n = poll(&p, 1, timeout_ms);
	} while (n < 0 && retry_after(errno, &tries));
	return n > 0;
}

/* Waits until the keeper has let go of this victim: it closes its end, or is gone. */
static int wait_let_go(const struct victim_ctl *c, int timeout_ms)
{
	struct pollfd p[] = {{.fd = c->events}, {.fd = c->keeper, .events = POLLIN}};
	unsigned tries = 0;
	int n;

	do {
		n = poll(p, 2, timeout_ms);
	} while (n < 0 && retry_after(errno, &tries));
	return n > 0;
}

/* The keeper process of the last victim ends, which is waited for. */
static void see_off(struct victim_ctl *c)
{
	siginfo_t info;

	if (!wait_gone(c, FAREWELL_MS)) {
		log_line("hold", 1, "keeper %d does not end: killed", (int)c->keeper_pid);
		kill_keeper(c);
		wait_gone(c, FAREWELL_MS);
	}
	start_reap(keepers_drop(c->keeper));
	/* Ours only where somebody killed the parent that it had. */
	waitid((idtype_t)P_PIDFD, (id_t)c->keeper, &info, WEXITED | WNOHANG | __WALL);
}

void victim_ctl_hang_up(struct victim_ctl *c)
{
	int let_go;

	c->broken = 1;
	STEP(CLIENT_HANGS_UP);
	/* Not close() alone: a worker that the client forked may hold a copy. */
	shutdown(c->requests, SHUT_RDWR);
	close_fd(&c->requests);
	let_go = c->keeper < 0 || wait_let_go(c, FAREWELL_MS);
	close_fd(&c->events);
	if (c->keeper < 0)
		return;
	if (let_go && keepers_share(c->keeper_pid, c->keeper))
		keepers_drop(c->keeper);
	else
		see_off(c);
	close_fd(&c->keeper);
}

void victim_ctl_abandon(struct victim_ctl *c)
{
	close_fd(&c->requests);
	close_fd(&c->events);
	close_fd(&c->keeper);
	if (c->map)
		munmap((void *)c->map, WIRE_LEDGER_BYTES);
	c->map = NULL;
	close_fd(&c->bulk);
	close_fd(&c->ledger);
}

void victim_ctl_close(struct victim_ctl *c)
{
	victim_ctl_hang_up(c);
	victim_ctl_abandon(c);
}

int victim_ctl_replace(struct victim_ctl *c)
{
	victim_ctl_hang_up(c);
	return connect_keeper(c, NULL);
}

/* ------------------------------------------------------------- talking */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t now_ms(void)
{
	return now_ns() / 1000000;
}

static int lost(struct victim_ctl *c)
{
	c->broken = 1;
	if (c->seq == 1)
		return err_set(DTPROC_EKEEPER,
			"it ended at once (is it a keeper, and has it "
			"memory enough?)");
	return err_set(DTPROC_ELOST, "the keeper (pid %d) died", (int)c->keeper_pid);
}

/*
 * Most answers come sooner than the scheduler wakes a sleeper on another CPU (some 50 us
 * in a virtual machine).  1: there is something to read.
 */
static int spin(const struct victim_ctl *c)
{
	uint64_t until = now_ns() + SPIN_NS;
	char byte;

	do {
		if (recv(c->requests, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
			return 1;
		sched_yield();
	} while (now_ns() < until);
	return 0;
}

/* Waits for a message or the keeper's death; 0 when a read is worth while. */
static int wait_answer(struct victim_ctl *c, uint64_t until)
{
	if (spin(c))
		return 0;
	struct pollfd p[] = {{.fd = c->requests, .events = POLLIN},
		{.fd = c->keeper, .events = POLLIN}};
	uint64_t now = now_ms();
	unsigned tries = 0;
	int n = poll(p, 2, now < until ? (int)(until - now) : 0);

	if (n > 0 || (n < 0 && now < until && retry_after(errno, &tries)))
		return 0;
	c->broken = 1;
	return err_set(DTPROC_ETIMEOUT, "the keeper (pid %d) does not answer",
		(int)c->keeper_pid);
}

static int keeper_dead(const struct victim_ctl *c)
{
	return victim_ended(c->keeper);
}

/* Receives one reply.  Death is looked at first: a last answer is not lost to it. */
static int receive(struct victim_ctl *c, uint32_t op, uint64_t until,
	struct wire_reply *reply, int *fd)
{
	for (;;) {
		int rc = wait_answer(c, until), dead = keeper_dead(c), nfds = 1;
		if (rc)
			return rc;
		long n = wire_recv(
			c->requests, reply, sizeof *reply, fd, &nfds, MSG_DONTWAIT);
		if (n == DTPROC_ETIMEOUT && !dead)
			continue;
		if (n <= 0)
			return lost(c);
		if (nfds == 0)
			*fd = -1;
		rc = wire_check_reply(reply, (size_t)n, op, c->seq);
		if (rc) {
			c->broken = 1;
			close_fd(fd);
		}
		return rc;
	}
}

static int call(struct victim_ctl *c, struct wire_request *req, const int *fds, int nfds,
	struct wire_reply *reply, int *fd_out)
{
	int wait_ms = VICTIM_ANSWER_MS, fd = -1, rc;

	if (c->broken)
		return err_set(
			DTPROC_ELOST, "the keeper (pid %d) is gone", (int)c->keeper_pid);
	req->magic = WIRE_MAGIC;
	req->version = WIRE_VERSION;
	req->seq = ++c->seq;
	if (req->op == WIRE_START)
		wait_ms += (int)req->arg;
	if (wire_send(c->requests, req, sizeof *req, fds, nfds, MSG_DONTWAIT))
		return lost(c);
	STEP(CLIENT_ASKED);
	rc = receive(c, req->op, now_ms() + (uint64_t)wait_ms, reply, &fd);
	if (rc)
		return rc;
	if (reply->code) {
		close_fd(&fd);
		return err_set(reply->code, "%s", reply->text);
	}
	if (fd_out)
		*fd_out = victim_lift(fd);
	else
		close_fd(&fd);
	return 0;
}

/* When it is the binary's fault the error names it. */
static int blame(int rc)
{
	CLEAN_FREE char *path = NULL;
	char why[ERR_TEXT_MAX];

	if (rc != DTPROC_EKEEPER)
		return rc;
	snprintf(why, sizeof why, "%s", err_text());
	if (victim_keeper_find(&path))
		return DTPROC_ENOMEM;
	return err_set(rc, "cannot use the keeper %s: %s", path, why);
}

int victim_ctl_call(struct victim_ctl *c, struct wire_request *req, const int *fds,
	int nfds, struct wire_reply *reply, int *fd)
{
	return blame(call(c, req, fds, nfds, reply, fd));
}

static void close_fds(int fds[WIRE_CHILD_FDS])
{
	for (size_t i = 0; i < WIRE_CHILD_FDS; i++)
		close_fd(&fds[i]);
}

int victim_ctl_event(
	struct victim_ctl *c, struct wire_event *event, int fds[WIRE_CHILD_FDS])
{
	int n_fds = WIRE_CHILD_FDS, dead = keeper_dead(c), rc;

	for (size_t i = 0; i < WIRE_CHILD_FDS; i++)
		fds[i] = -1;
	long n = wire_recv(c->events, event, sizeof *event, fds, &n_fds, MSG_DONTWAIT);
	if (n == DTPROC_ETIMEOUT && !dead)
		return 0;
	if (n <= 0)
		return lost(c);
	rc = wire_check_event(event, (size_t)n);
	if (rc) {
		close_fds(fds);
		return rc;
	}
	for (int i = 0; i < n_fds; i++)
		fds[i] = victim_lift(fds[i]);
	return 1;
}

static int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* A ledger of a keeper's making must not be able to shrink under us. */
static int map_ledger(struct victim_ctl *c)
{
	int seals = fcntl(c->ledger, F_GET_SEALS);
	off_t size = lseek(c->ledger, 0, SEEK_END);
	void *map = MAP_FAILED;

	if (seals >= 0 && (seals & F_SEAL_SHRINK) && size >= (off_t)WIRE_LEDGER_BYTES)
		map = mmap(NULL, WIRE_LEDGER_BYTES, PROT_READ, MAP_SHARED, c->ledger, 0);
	if (map == MAP_FAILED)
		return err_set(DTPROC_EPROTO, "the ledger of a child is not sound");
	c->map = map;
	return 0;
}

int victim_ctl_adopt(
	struct victim_ctl *out, const struct victim_ctl *parent, int fds[WIRE_CHILD_FDS])
{
	struct victim_ctl c = VICTIM_CTL_NONE;
	int rc;

	for (size_t i = 0; i < WIRE_CHILD_FDS; i++)
		if (fds[i] < 0)
			return err_set(DTPROC_EPROTO,
				"its descriptors did not all come: too many open files?");
	c.requests = take_fd(&fds[WIRE_CHILD_REQUESTS]);
	c.events = take_fd(&fds[WIRE_CHILD_EVENTS]);
	c.bulk = take_fd(&fds[WIRE_CHILD_BULK]);
	c.ledger = take_fd(&fds[WIRE_CHILD_LEDGER]);
	c.keeper = fcntl(parent->keeper, F_DUPFD_CLOEXEC, 3);
	c.keeper_pid = parent->keeper_pid;
	c.broken = 0;
	rc = c.keeper < 0 ? err_errno(DTPROC_ESYS, errno, "a pidfd") : map_ledger(&c);
	if (rc == 0)
		rc = keepers_join(c.keeper_pid, parent->keeper, c.keeper);
	if (rc)
		victim_ctl_close(&c);
	else
		*out = c;
	return rc;
}

int victim_ctl_ack(struct victim_ctl *c, uint32_t seq)
{
	struct wire_ack ack = {WIRE_MAGIC, seq};

	return wire_send(c->events, &ack, sizeof ack, NULL, 0, MSG_DONTWAIT);
}

int victim_ctl_put(struct victim_ctl *c, const void *bytes, size_t len)
{
	return victim_memfd_write(c->bulk, bytes, len);
}

int victim_ctl_get(struct victim_ctl *c, void *bytes, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(c->bulk, (char *)bytes + done, len - done, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(DTPROC_ESYS, errno, "cannot fetch bytes");
		if (n == 0)
			return err_set(DTPROC_EPROTO, "the keeper sent too little");
		done += (size_t)n;
	}
	return 0;
}

void victim_ctl_overlay(
	const struct victim_ctl *c, dtproc_addr addr, void *bytes, size_t len)
{
	const struct wire_ledger *l = c->map;
	uint32_t n = l ? __atomic_load_n(&l->traps, __ATOMIC_ACQUIRE) : 0;

	if (n == 0 || !memchr(bytes, ARCH_TRAP, len))
		return;
	if (n > WIRE_LEDGER_TRAPS)
		n = WIRE_LEDGER_TRAPS;
	for (uint32_t i = 0; i < n; i++) {
		dtproc_addr at = __atomic_load_n(&l->trap[i].addr, __ATOMIC_ACQUIRE);
		unsigned char *b = (unsigned char *)bytes + (at - addr);
		if (at != 0 && at - addr < len && *b == ARCH_TRAP)
			*b = __atomic_load_n(&l->trap[i].orig, __ATOMIC_RELAXED);
	}
}
