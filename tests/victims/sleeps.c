/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sleeps: one thread for each system call that can wait.  Each waits again and again
 * for its timeout, or for the ticker thread; an EINTR, an early return or a result that
 * the call would not have given is wrong (rule D4).  Nothing here has a signal handler,
 * so without a tracer none of this can happen.
 */
#include "page.h"
#include "target.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define NAP_MS 40
#define NAP_NS (NAP_MS * 1000000L)

static int pipe_fd[2], event_fd, epoll_fd, epoll_busy, sem_id, msg_id, pair_fd[2],
	ring_fd;
static uint32_t never;
static const struct timespec nap = {0, NAP_NS};

/* Each waits once: 0 when it ended as it must. */
static int in_nanosleep(void)
{
	return nanosleep(&nap, NULL);
}

static int in_clock_nanosleep(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += NAP_NS;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
	return errno;
}

static int in_futex(void)
{
	return syscall(SYS_futex, &never, FUTEX_WAIT, 0, &nap, NULL, 0) != -1 ||
	       errno != ETIMEDOUT;
}

static int in_poll(void)
{
	struct pollfd fd = {.fd = event_fd, .events = POLLIN};

	return poll(&fd, 1, NAP_MS);
}

static int in_ppoll(void)
{
	struct pollfd fd = {.fd = event_fd, .events = POLLIN};

	return ppoll(&fd, 1, &nap, NULL);
}

static int in_select(void)
{
	struct timeval tv = {0, NAP_MS * 1000};

	return select(0, NULL, NULL, NULL, &tv);
}

static int in_epoll_wait(void)
{
	struct epoll_event event;

	return epoll_wait(epoll_fd, &event, 1, NAP_MS);
}

static int in_epoll_pwait(void)
{
	struct epoll_event event;
	sigset_t none;

	sigemptyset(&none);
	return epoll_pwait(epoll_fd, &event, 1, NAP_MS, &none);
}

static int in_sigtimedwait(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigtimedwait(&set, NULL, &nap) != -1 || errno != EAGAIN;
}

static int in_semtimedop(void)
{
	struct sembuf op = {0, -1, 0};

	return semtimedop(sem_id, &op, 1, &nap) != -1 || errno != EAGAIN;
}

/* Without io_uring here (a setting may forbid it) it only sleeps. */
static int in_io_uring(void)
{
	struct __kernel_timespec ts = {0, NAP_NS};
	struct io_uring_getevents_arg arg = {.ts = (uint64_t)(uintptr_t)&ts};

	if (ring_fd < 0)
		return nanosleep(&nap, NULL);
	return syscall(SYS_io_uring_enter, ring_fd, 0, 1,
		       IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg,
		       sizeof arg) != -1 ||
	       errno != ETIME;
}

static int in_recv(void)
{
	char byte;

	return recv(pair_fd[0], &byte, 1, 0) != -1 || errno != EAGAIN;
}

/* Those that wait for the ticker. */
static int in_read(void)
{
	char byte;

	return read(pipe_fd[0], &byte, 1) != 1;
}

static int in_semop(void)
{
	struct sembuf op = {1, -1, 0};

	return semop(sem_id, &op, 1);
}

static int in_msgrcv(void)
{
	struct {
		long type;
		char text[8];
	} msg;

	return msgrcv(msg_id, &msg, sizeof msg.text, 0, 0) != 1;
}

static int in_epoll_forever(void)
{
	struct epoll_event event;
	uint64_t n;

	return epoll_wait(epoll_busy, &event, 1, -1) != 1 ||
	       read(event.data.fd, &n, sizeof n) != sizeof n;
}

static const struct wait {
	const char *name;
	int (*once)(void);
	int timed; /* lasts NAP_MS; otherwise until the ticker comes */
} waits[] = {
	{"nanosleep", in_nanosleep, 1},
	{"clock_nanosleep", in_clock_nanosleep, 1},
	{"futex", in_futex, 1},
	{"poll", in_poll, 1},
	{"ppoll", in_ppoll, 1},
	{"select", in_select, 1},
	{"epoll_wait", in_epoll_wait, 1},
	{"epoll_pwait", in_epoll_pwait, 1},
	{"sigtimedwait", in_sigtimedwait, 1},
	{"semtimedop", in_semtimedop, 1},
	{"io_uring", in_io_uring, 1},
	{"recv", in_recv, 1},
	{"read", in_read, 0},
	{"semop", in_semop, 0},
	{"msgrcv", in_msgrcv, 0},
	{"epoll_wait(-1)", in_epoll_forever, 0},
};
#define WAITS (sizeof waits / sizeof *waits)

static void *waiter(void *arg)
{
	size_t me = (size_t)arg;
	const struct wait *w = &waits[me];

	page->tid[me] = (int32_t)syscall(SYS_gettid);
	while (!page->quit) {
		uint64_t begin = page_clock(), took;

		errno = 0;
		if (w->once())
			page_bad("%s: %s", w->name, strerror(errno));
		took = page_clock() - begin;
		/* The kernel's own tick may end poll() and recv() a little early. */
		if (w->timed && took < NAP_NS - NAP_NS / 8)
			page_bad("%s: back after %llu us", w->name,
				(unsigned long long)took / 1000);
		if (target_call(page->slot[me]++, me))
			page_bad("%s: wrong sum", w->name);
		atomic_fetch_add(&page->calls, 1);
	}
	return NULL;
}

static void tick(int event)
{
	struct sembuf op = {1, 1, IPC_NOWAIT};
	uint64_t one = 1;
	struct {
		long type;
		char text[8];
	} msg = {1, "x"};

	if (write(pipe_fd[1], "x", 1) != 1 ||
		write(event, &one, sizeof one) != sizeof one || semop(sem_id, &op, 1) ||
		msgsnd(msg_id, &msg, 1, IPC_NOWAIT))
		page_bad("ticker: %s", strerror(errno));
}

static int setup(int *event)
{
	struct timeval tv = {0, NAP_MS * 1000};
	struct epoll_event want = {.events = EPOLLIN};
	struct io_uring_params ring = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ring_fd = (int)syscall(SYS_io_uring_setup, 4, &ring);
	event_fd = eventfd(0, EFD_CLOEXEC);
	*event = want.data.fd = eventfd(0, EFD_CLOEXEC);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	epoll_busy = epoll_create1(EPOLL_CLOEXEC);
	sem_id = semget(IPC_PRIVATE, 2, 0600);
	msg_id = msgget(IPC_PRIVATE, 0600);
	return pipe(pipe_fd) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair_fd) ||
	       setsockopt(pair_fd[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) ||
	       epoll_ctl(epoll_busy, EPOLL_CTL_ADD, *event, &want) || sem_id < 0 ||
	       msg_id < 0;
}

int main(void)
{
	pthread_t threads[WAITS];
	int event;

	page_open();
	if (setup(&event))
		return 98;
	for (size_t i = 0; i < WAITS; i++)
		if (pthread_create(&threads[i], NULL, waiter, (void *)i))
			return 97;
	page_ready();
	for (; !page->quit; page->rounds++) {
		page_nap(NAP_NS);
		tick(event);
	}
	for (int i = 0; i < 4; i++, page_nap(NAP_NS))
		tick(event);
	for (size_t i = 0; i < WAITS; i++)
		pthread_join(threads[i], NULL);
	semctl(sem_id, 0, IPC_RMID);
	msgctl(msg_id, IPC_RMID, NULL);
	return page_end("sleeps");
}
