/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every victim shares with the test that watches it: one page of a file named by
 * VICTIM_PAGE, mapped by both.  Without the variable the page is private, the victim
 * starts at once and prints its result only.
 *
 * A victim sets `ready`, waits for `go`, works until its calls are done or `quit` is
 * set, and exits with 0 only if nothing was wrong.  The first complaint is kept.
 */
#ifndef VICTIMS_PAGE_H
#define VICTIMS_PAGE_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE_SLOTS 64
#define LATE_MAP 0x100000000000 /* where `changes late-map` maps code */

struct page {
	_Atomic uint32_t ready, go, quit, poked;
	_Atomic uint32_t poke;        /* the test counts up; idle victims follow */
	_Atomic int32_t pid, sender;  /* of the victim; who may send it signals */
	_Atomic int32_t helper;       /* PID of a child that the victim keeps */
	_Atomic uint64_t bad;         /* wrong results */
	_Atomic uint64_t calls;       /* of the probed function, in all */
	_Atomic uint64_t child_calls; /* by children: not to be counted */
	_Atomic uint64_t children;
	_Atomic uint64_t signals; /* that arrived */
	_Atomic uint64_t rounds;
	_Atomic uint64_t gap_ns; /* longest pause seen from within; the test resets it */
	_Atomic uint64_t ns;     /* what the calls took */
	_Atomic int32_t tid[PAGE_SLOTS];
	_Atomic uint64_t slot[PAGE_SLOTS];
	char text[512]; /* the first complaint */
};

static struct page *page;

static inline void page_open(void)
{
	const char *path = getenv("VICTIM_PAGE");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE,
		fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

	if (at == MAP_FAILED || (path && fd < 0)) {
		perror("victim: page");
		exit(99);
	}
	if (fd >= 0)
		close(fd);
	page = at;
	page->pid = getpid();
}

static inline void page_nap(long ns)
{
	struct timespec ts = {ns / 1000000000, ns % 1000000000};

	nanosleep(&ts, NULL);
}

static inline void page_wait_go(void)
{
	while (getenv("VICTIM_PAGE") && !page->go && !page->quit)
		page_nap(1000000);
}

/* Tells the test that the victim is ready, and waits for its word. */
static inline void page_ready(void)
{
	page->ready = 1;
	page_wait_go();
}

__attribute__((format(printf, 1, 2))) static inline void page_bad(const char *fmt, ...)
{
	va_list ap;

	if (atomic_fetch_add(&page->bad, 1))
		return;
	va_start(ap, fmt);
	vsnprintf(page->text, sizeof page->text, fmt, ap);
	va_end(ap);
}

static inline uint64_t page_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The victim's last line and exit status. */
static inline int page_end(const char *name)
{
	if (page->bad)
		printf("%s: %llu wrong: %s\n", name, (unsigned long long)page->bad,
			page->text);
	printf("%s: %llu calls\n", name, (unsigned long long)page->calls);
	fflush(stdout);
	return page->bad != 0;
}

#endif
