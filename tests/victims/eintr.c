/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eintr: waits without end in a call that the kernel never restarts.  SIGUSR1 has a
 * handler and ends one wait; SIGUSR2 and SIGURG are ignored and end none (rule D4).
 */
#include "page.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>

static volatile sig_atomic_t handled;

static void on_signal(int signo)
{
	handled += signo == SIGUSR1;
	page->signals++;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	struct epoll_event event;
	int fd = epoll_create1(EPOLL_CLOEXEC), ended = 0;

	page_open();
	if (fd < 0 || sigaction(SIGUSR1, &sa, NULL) ||
		signal(SIGUSR2, SIG_IGN) == SIG_ERR)
		return 98;
	page_ready();
	page->poked = 1;
	for (; !page->quit; page->calls++) {
		if (epoll_wait(fd, &event, 1, -1) != -1 || errno != EINTR)
			page_bad("a wait ended otherwise, errno %d", errno);
		if (++ended != handled)
			page_bad("%d waits ended by %d signals", ended, (int)handled);
	}
	return page_end("eintr");
}
