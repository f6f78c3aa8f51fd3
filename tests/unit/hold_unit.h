/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of src/hold share: a session, children to hold, and counting. */
#ifndef TESTS_HOLD_UNIT_H
#define TESTS_HOLD_UNIT_H

#include "unit.h"

#include <hold/handle.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define assert_text(part)                                                                \
	do {                                                                             \
		if (!strstr(err_text(), (part)))                                         \
			fail_msg("error text is '%s'", err_text());                      \
	} while (0)

#define assert_ok(rc)                                                                    \
	do {                                                                             \
		int rc_ = (int)(rc);                                                     \
		if (rc_ < 0)                                                             \
			fail_msg("%s: %s", err_name(rc_), err_text());                   \
	} while (0)

/* A page that children share with the test. */
struct shared {
	volatile long count, stage, value;
};

static struct shared *shared;

static inline int shared_make(void **state)
{
	shared = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED;
}

static inline uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline void nap_ms(int ms)
{
	poll(NULL, 0, ms);
}

/* Waits until `cond`: long enough for a slow and busy machine. */
#define UNTIL(cond)                                                                      \
	({                                                                               \
		uint64_t end_ = now_ms() + 20000;                                        \
		while (!(cond) && now_ms() < end_)                                       \
			nap_ms(1);                                                       \
		(cond);                                                                  \
	})

/* What the child calls, in the test and in the child at the same address. */
__attribute__((noinline)) static void beat(void)
{
	__asm__ volatile("nop; nop; nop; nop" ::: "memory");
	shared->count++;
}

/* Children die with the test, whatever it does. */
static inline pid_t child_run(void (*body)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGALRM, SIG_DFL);
		alarm(60);
		body();
		_exit(0);
	}
	return pid;
}

static inline void body_sleep(void)
{
	for (;;)
		pause();
}

static inline void body_beat(void)
{
	for (;;) {
		beat();
		usleep(200);
	}
}

static inline void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static inline int count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* Open descriptors, threads: to be the same before and after. */
static inline int count_fds(void)
{
	return count_entries("/proc/self/fd");
}

static inline int count_threads(void)
{
	return count_entries("/proc/self/task");
}

static inline struct hold_session *session(void)
{
	struct hold_session *s = NULL;

	assert_ok(hold_open(NULL, &s));
	return s;
}

static inline struct dtproc_proc *grab_rdonly(struct hold_session *s, pid_t pid)
{
	struct dtproc_proc *p = NULL;

	assert_ok(hold_grab(s, HOLD_FOR_LIBRARY, pid, DTPROC_GRAB_RDONLY, &p));
	return p;
}

static inline struct dtproc_proc *grab_control(struct hold_session *s, pid_t pid)
{
	struct dtproc_proc *p = NULL;

	assert_ok(hold_grab(s, HOLD_FOR_CLIENT, pid, 0, &p));
	return p;
}

static inline enum dtproc_proc_run run_of(struct dtproc_proc *p)
{
	struct dtproc_proc_status st;

	dtproc_proc_status(p, &st);
	return st.run;
}

static inline struct dtproc_proc *create_sh(struct hold_session *s, const char *script)
{
	char *argv[] = {"sh", "-c", (char *)script, NULL};
	struct dtproc_proc *p = NULL;

	assert_ok(hold_create(s, HOLD_FOR_CLIENT, "sh", argv, NULL, &p));
	return p;
}

/* Runs it to its end; its exit status, or -1 and worse. */
static inline int run_out(struct dtproc_proc *p)
{
	struct dtproc_proc_status st;

	assert_ok(dtproc_proc_continue(p));
	assert_ok(dtproc_proc_wait(p, 10000));
	dtproc_proc_status(p, &st);
	return st.run == DTPROC_EXITED ? st.code : -st.code - 1;
}

/* The error of a control grab; 0: it succeeded, and was given back. */
static inline int grab_fails(struct hold_session *s, pid_t pid)
{
	struct dtproc_proc *p = NULL;
	int rc = hold_grab(s, HOLD_FOR_CLIENT, pid, 0, &p);

	if (rc == 0)
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	return rc;
}

/* State letter of /proc/PID/stat; 0: no such process. */
static inline char state_of(pid_t pid)
{
	struct victim_stat st;

	return victim_stat_read(pid, &st) ? 0 : st.state;
}

static inline int comm_is(pid_t pid, const char *comm)
{
	struct victim_stat st;

	return !victim_stat_read(pid, &st) && !strcmp(st.comm, comm);
}

static inline pid_t tracer_of(pid_t pid)
{
	struct victim_status st;

	return victim_status_read(pid, &st) ? -1 : st.tracer;
}

/* One of tests/victims; this program is in the folder beside. */
static inline char *built(const char *name)
{
	static char path[800];
	char self[512] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	while (n > 0 && self[n - 1] != '/')
		n--;
	snprintf(path, sizeof path, "%.*s../victims/%s", (int)n, self, name);
	return path;
}

/* Runs to a stop point; which it came to, with nothing to tell if it is that one. */
static inline enum hold_point run_to_point(struct dtproc_proc *p, enum hold_point point)
{
	struct hold_reached at = {.point = HOLD_AT_EXEC};

	assert_ok(hold_run_to_point(p, point, 10000, &at));
	assert_int_equal(run_of(p), DTPROC_IDLE);
	/* musl's postinit is main(). */
	assert_int_equal(at.why[0] == 0,
		at.point == point || (point == HOLD_AT_POSTINIT && at.point > point));
	return at.point;
}

#endif
