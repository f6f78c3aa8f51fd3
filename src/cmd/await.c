/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dtproc --name EXE: waits for a process of that name to begin.
 *
 * The kernel tells of each exec by its *proc connector* (netlink), where it lets us
 * listen; not in containers.  The process runs on until it is held, which takes a few ms.
 * Where nothing is told /proc is looked through again and again, which takes a tenth of a
 * CPU at most: the more processes, the later.
 *
 * What ran already when we began is not meant, but told.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "cmd.h"

#define COMM_MAX 15
#define SHARE 9      /* of the time that a look at /proc takes, to sleep */
#define LEAST_MS 1   /* between two looks */
#define TRUST_MS 200 /* the same, where the kernel tells */

struct await {
	const char *name;
	int fd;      /* the connector; -1 */
	int trusted; /* it has answered */
	pid_t *old;  /* those that ran already */
	size_t n_old;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ------------------------------------------------------------------- names */

/* The first line of /proc/PID/comm. */
static void comm_of(pid_t pid, char comm[64])
{
	char path[40];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, comm, 63);
	comm[n > 0 ? n : 0] = 0;
	comm[strcspn(comm, "\n")] = 0;
	if (fd >= 0)
		close(fd);
}

static int is_called(pid_t pid, const char *name)
{
	char path[40], exe[4096], comm[64];
	const char *base;
	ssize_t n;

	if (pid == getpid())
		return 0;
	comm_of(pid, comm);
	if (strlen(name) <= COMM_MAX && strcmp(comm, name) == 0)
		return 1;
	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	n = readlink(path, exe, sizeof exe - 1);
	exe[n > 0 ? n : 0] = 0;
	base = strrchr(exe, '/');
	if (strchr(name, '/'))
		return strcmp(exe, name) == 0;
	/* A script has its own name, cut, and the file of its interpreter. */
	return (base && strcmp(base + 1, name) == 0) ||
	       (strlen(name) > COMM_MAX && strncmp(comm, name, COMM_MAX) == 0);
}

/* ------------------------------------------------------------------- looking */

static int is_old(const struct await *a, pid_t pid)
{
	for (size_t i = 0; i < a->n_old; i++)
		if (a->old[i] == pid)
			return 1;
	return 0;
}

static int note_old(struct await *a, pid_t pid)
{
	pid_t *more = realloc(a->old, (a->n_old + 1) * sizeof *more);

	if (!more)
		return -1;
	a->old = more;
	a->old[a->n_old++] = pid;
	cmd_error("pid %d is called %s already: waiting for the next one", (int)pid,
		a->name);
	return 0;
}

/* Those that have ended are forgotten: their number may come back. */
static void forget_old(struct await *a)
{
	for (size_t i = a->n_old; i-- > 0;)
		if (!is_called(a->old[i], a->name))
			a->old[i] = a->old[--a->n_old];
}

/* Looks through /proc; a PID, 0: none, -1.  The first time all are old. */
enum look { LOOK_FIRST, LOOK_AGAIN };
static pid_t look(struct await *a, enum look which)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	pid_t found = d ? 0 : -1;

	forget_old(a);
	while (!found && d && (e = readdir(d))) {
		pid_t pid = (pid_t)atoi(e->d_name);

		if (pid <= 0 || is_old(a, pid) || !is_called(pid, a->name))
			continue;
		found = which == LOOK_FIRST ? note_old(a, pid) : pid;
	}
	if (d)
		closedir(d);
	return found;
}

/* ----------------------------------------------------------------- the connector */

struct message {
	struct nlmsghdr head;
	struct {
		struct cn_msg cn;
		union {
			enum proc_cn_mcast_op op;
			struct proc_event event;
		};
	} __attribute__((packed)) body;
};

static int listen_to_kernel(void)
{
	struct sockaddr_nl where = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
	struct message m = {
		.head = {.nlmsg_type = NLMSG_DONE,
			.nlmsg_len = NLMSG_LENGTH(sizeof m.body.cn + sizeof m.body.op)},
		.body = {
			.cn = {.id = {CN_IDX_PROC, CN_VAL_PROC}, .len = sizeof m.body.op},
			.op = PROC_CN_MCAST_LISTEN}};
	int fd = socket(
		PF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&where, sizeof where) == 0 &&
		send(fd, &m, m.head.nlmsg_len, 0) >= 0)
		return fd;
	close(fd);
	return -1;
}

/* The next exec of such a process that is told of, and when it was; 0: none now. */
static pid_t told(struct await *a, uint64_t *when)
{
	char room[4096] __attribute__((aligned(8)));
	struct message m;
	ssize_t n;

	while (a->fd >= 0 && (n = recv(a->fd, room, sizeof room, 0)) > 0) {
		if ((size_t)n < sizeof m.head + sizeof m.body.cn)
			continue;
		memset(&m, 0, sizeof m);
		memcpy(&m, room, (size_t)n < sizeof m ? (size_t)n : sizeof m);
		const struct proc_event e = m.body.event;
		if (e.what == PROC_EVENT_NONE && !e.event_data.ack.err)
			a->trusted = 1;
		if (e.what != PROC_EVENT_EXEC)
			continue;
		pid_t pid = e.event_data.exec.process_tgid;
		*when = e.timestamp_ns;
		if (is_called(pid, a->name))
			return pid;
	}
	return 0;
}

/* ------------------------------------------------------------------------- waiting */

static pid_t await(struct await *a, uint64_t *since)
{
	uint64_t from = now_ns(), before = from;
	pid_t pid = look(a, LOOK_FIRST);

	while (!pid) {
		uint64_t took = now_ns() - from;
		int ms = (int)(took * SHARE / 1000000u);
		struct pollfd p = {.fd = a->fd, .events = POLLIN};

		ms = a->trusted ? TRUST_MS : ms < LEAST_MS ? LEAST_MS : ms;
		poll(&p, 1, ms);
		pid = told(a, since);
		if (pid)
			break;
		if (a->trusted && p.revents)
			continue; /* it told of others */
		from = now_ns();
		pid = look(a, LOOK_AGAIN);
		*since = before;
		before = from;
	}
	return pid;
}

pid_t cmd_await(const char *name, uint64_t *since)
{
	struct await a = {.name = name, .fd = listen_to_kernel()};
	pid_t pid = await(&a, since);

	if (pid < 0)
		cmd_error("failed to wait for %s: %s", name, strerror(errno));
	if (a.fd >= 0)
		close(a.fd);
	free(a.old);
	return pid;
}

double cmd_late_ms(uint64_t since)
{
	return (double)(now_ns() - since) / 1e6;
}
