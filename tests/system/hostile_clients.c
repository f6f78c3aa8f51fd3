/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients that do to the library what real programs do: they wait for everybody, have
 * malloc's lock taken, have no keeper to start, want a victim that another one has.
 */
#include "lib.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct dtproc *dt;
static _Atomic int over;

/* ---------------------------------------------- those that wait for all (B3) */

static _Atomic int bad_waits;

static void *wait4_all(void *arg)
{
	(void)arg;
	while (!over)
		if (wait4(-1, NULL, WNOHANG | __WALL, NULL) < 0 && errno != ECHILD)
			bad_waits++;
	return NULL;
}

static void *waitid_all(void *arg)
{
	siginfo_t si;

	(void)arg;
	while (!over)
		if (waitid(P_ALL, 0, &si,
			    WEXITED | WSTOPPED | WCONTINUED | WNOHANG | __WALL) < 0 &&
			errno != ECHILD)
			bad_waits++;
	return NULL;
}

/* Not even __WALL takes anything away from us: statuses and hits are whole. */
static void waiters(void)
{
	pthread_t t[2];
	struct vic v;

	vic_start(&v, "hammer 2 0");
	vic_go(&v);
	OK(dtproc_open(NULL, &dt));
	pthread_create(&t[0], NULL, wait4_all, NULL);
	pthread_create(&t[1], NULL, waitid_all, NULL);
	for (int i = 0; i < t_times(10, 200) && !t_failures(); i++) {
		create_once(dt);
		grab_once(dt, &v);
	}
	over = 1;
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	CHECK(bad_waits == 0, "%d waits failed", bad_waits);
	dtproc_close(dt);
	check_no_keeper("waiters");
	/* Its status was theirs to take, had it ended. */
	vic_check_free(&v, "waiters");
	vic_end(&v);
}

static _Atomic int child_signals;

static void on_child(int signo)
{
	(void)signo;
	child_signals++;
}

/* A client without children of its own hears of none. */
static void no_child_signal(int flags)
{
	struct sigaction sa = {.sa_handler = on_child, .sa_flags = flags};
	char *none[] = {"/etc/passwd", NULL};
	struct dtproc_proc *p;

	child_signals = 0;
	sigaction(SIGCHLD, &sa, NULL);
	for (int i = 0; i < t_times(5, 100); i++)
		create_once(dt);
	CHECK(dtproc_proc_create(dt, none[0], none, NULL, &p) == DTPROC_ENOEXEC, "%s",
		dtproc_error_text());
	CHECK(child_signals == 0, "%d SIGCHLD with flags %#x", child_signals, flags);
	CHECK(WITHIN(1000, proc_children() == 0), "%d children", proc_children());
}

static void child_signal(void)
{
	OK(dtproc_open(NULL, &dt));
	no_child_signal(0);
	no_child_signal(SA_NOCLDWAIT);
	no_child_signal(SA_NOCLDSTOP | SA_RESTART);
	dtproc_close(dt);
}

/* ------------------------------------------------------ malloc's lock is taken */

static void *hammer_malloc(void *arg)
{
	unsigned state = (unsigned)(size_t)arg;

	while (!over) {
		void *at[16];

		for (int i = 0; i < 16; i++)
			at[i] = malloc(rand_r(&state) % 100000);
		for (int i = 0; i < 16; i++)
			free(at[i]);
		if (rand_r(&state) % 64 == 0) {
			pid_t pid = fork();

			if (pid == 0)
				_exit(0);
			waitpid(pid, NULL, 0);
		}
	}
	return NULL;
}

static void locked_malloc(void)
{
	pthread_t t[4];

	OK(dtproc_open(NULL, &dt));
	for (size_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, hammer_malloc, (void *)(i + 1));
	for (int i = 0; i < t_times(15, 300) && !t_failures(); i++)
		create_once(dt);
	over = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	dtproc_close(dt);
	check_no_keeper("malloc");
}

/* ------------------------------------------------------------ keepers that are none */

static char house[64] = "/tmp/dtproc-test-XXXXXX";

/* Makes house/NAME: `text` by a shell, with $K the true keeper and $T the file. */
static void false_keeper(const char *name, const char *text)
{
	char line[2000], path[100];

	snprintf(path, sizeof path, "%s/%s", house, name);
	snprintf(line, sizeof line, "K=%s; T=%s; %s", t_built("src/keeper/dtproc-keeper"),
		path, text);
	CHECK(system(line) == 0, "%s", line);
	setenv("DTPROC_KEEPER", path, 1);
}

/* Create and grab say which binary it is, soon, and leave nothing. */
static void no_keeper(struct vic *v, const char *name, const char *make, const char *why)
{
	char *argv[] = {"/bin/true", NULL};
	struct dtproc_proc *p;
	uint64_t from;

	false_keeper(name, make);
	for (int i = 0; i < 2; i++) {
		int fds = proc_fds(), rc;

		from = page_clock();
		rc = i ? dtproc_proc_grab(dt, v->pid, 0, &p)
		       : dtproc_proc_create(dt, argv[0], argv, NULL, &p);
		CHECK(rc == DTPROC_EKEEPER, "%s: %d: %s", name, rc, dtproc_error_text());
		if (rc == 0)
			dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		CHECK(strstr(dtproc_error_text(), name) &&
				strstr(dtproc_error_text(), why),
			"%s: no \"%s\" in: %s", name, why, dtproc_error_text());
		check_quick(from, name);
		CHECK(proc_fds() == fds, "%s: %d descriptors, %d before", name,
			proc_fds(), fds);
		CHECK(WITHIN(1000, proc_children() == 1), "%s: %d children", name,
			proc_children());
	}
	vic_check_free(v, name);
}

/*
 * A keeper of another version: the true one behind a script that changes what is said to
 * it (by `in`) or by it (by `out`).
 */
#define OTHER_VERSION(in, out)                                                           \
	"cat >$T <<END; chmod 755 $T\n"                                                  \
	"#!/usr/bin/env python3\n"                                                       \
	"import os, socket, struct\n"                                                    \
	"def say(to, words, more):\n"                                                    \
	"    version = struct.unpack_from('I', words, 4)[0] + more\n"                    \
	"    to.send(words[:4] + struct.pack('I', version) + words[8:])\n"               \
	"client = socket.socket(fileno=os.dup(3))\n"                                     \
	"ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"      \
	"os.dup2(theirs.fileno(), 3)\n"                                                  \
	"if os.fork() == 0:\n"                                                           \
	"    os.execv('$K', ['dtproc-keeper'])\n"                                        \
	"os.close(3)\n"                                                                  \
	"theirs.close()\n"                                                               \
	"say(ours, client.recv(4096), " in ")\n"                                         \
	"say(client, ours.recv(4096), " out ")\n"                                        \
	"END"

/* One that never answers, and does not end either. */
static void asleep(struct vic *v)
{
	struct dtproc_proc *p;

	false_keeper("asleep", "echo '#!/bin/sh\nexec sleep 1000' >$T; chmod 755 $T");
	CHECK(dtproc_proc_grab(dt, v->pid, 0, &p) == DTPROC_ETIMEOUT, "%s",
		dtproc_error_text());
	vic_check_free(v, "asleep");
}

static void keepers(void)
{
	struct vic v;
	char line[100];

	vic_start(&v, "hammer idle 2");
	NEED(mkdtemp(house), "%s", house);
	OK(dtproc_open(NULL, &dt));
	no_keeper(&v, "missing", "true", "No such file");
	no_keeper(&v, "unexecutable", "cp $K $T; chmod 644 $T", "Permission denied");
	no_keeper(&v, "directory", "mkdir $T", "Permission denied");
	no_keeper(&v, "empty", ": >$T; chmod 755 $T", "Exec format");
	no_keeper(&v, "header", "head -c 64 $K >$T; chmod 755 $T", "");
	no_keeper(&v, "half", "head -c 20000 $K >$T; chmod 755 $T", "");
	no_keeper(&v, "other-program", "cp /bin/true $T", "ended at once");
	no_keeper(&v, "interpreter", "echo '#!/no/such/thing' >$T; chmod 755 $T",
		"No such file");
	no_keeper(&v, "failing", "echo '#!/bin/sh\nexit 3' >$T; chmod 755 $T",
		"ended at once");
	no_keeper(&v, "killed", "echo '#!/bin/sh\nkill -9 $$' >$T; chmod 755 $T",
		"ended at once");
	no_keeper(&v, "older-than-us", OTHER_VERSION("0", "1"), "speaks version");
	no_keeper(&v, "newer-than-us", OTHER_VERSION("1", "0"), "speaks version");
	if (t_soak()) /* it is waited for, but not for ever */
		asleep(&v);
	/* A script that starts the true one is as good. */
	false_keeper("wrapper", "echo \"#!/bin/sh\nexec $K\" >$T; chmod 755 $T");
	create_once(dt);
	grab_once(dt, &v);
	dtproc_close(dt);
	vic_check_free(&v, "all keepers");
	vic_end(&v);
	snprintf(line, sizeof line, "rm -r %s", house);
	CHECK(system(line) == 0, "%s", line);
}

/* ------------------------------------------------------ two for one victim (C2) */

static void second_refused(struct vic *v, const struct cmd *first)
{
	struct dtproc_proc *p;
	char keeper[64], client[64];
	int rc = dtproc_proc_grab(dt, v->pid, 0, &p);

	snprintf(keeper, sizeof keeper, "pid %ld (dtproc-keeper)",
		proc_status(v->pid, "TracerPid"));
	snprintf(client, sizeof client, "for pid %d (dtproc)", first->pid);
	CHECK(rc == DTPROC_ETRACED, "%d: %s", rc, dtproc_error_text());
	CHECK(strstr(dtproc_error_text(), keeper) && strstr(dtproc_error_text(), client),
		"neither \"%s\" nor \"%s\": %s", keeper, client, dtproc_error_text());
}

/*
 * While the first client holds it the second is told so.  The first ends at a random
 * moment: the second comes at once, while the first one's keeper lets go, and succeeds.
 */
static void second_client(void)
{
	struct vic v;
	struct cmd c;

	vic_start(&v, "hammer 5 0");
	vic_go(&v);
	OK(dtproc_open(NULL, &dt));
	for (int i = 0; i < t_times(5, 100) && !t_failures(); i++) {
		NEED(cmd_trace(&c, v.pid,
			     "pid$target:a.out:victim_target:entry { @ = count(); }"),
			"no trace");
		if (i == 0)
			second_refused(&v, &c);
		t_pause(20000);
		kill(c.pid, i % 3 ? SIGKILL : SIGTERM);
		if (i % 2)
			t_pause(3000);
		grab_once(dt, &v);
		cmd_wait(&c, 5000);
		cmd_forget(&c);
	}
	dtproc_close(dt);
	vic_check_free(&v, "after all clients");
	check_no_keeper("after all clients");
	vic_end(&v);
}

/* A debugger that has one thread only, and not the first. */
static void thread_traced(void)
{
	struct dtproc_proc *p;
	struct vic v;
	pid_t pid;
	int status;

	vic_start(&v, "hammer idle 3");
	NEED(WITHIN(1000, v.page->tid[2]), "no third thread");
	OK(dtproc_open(NULL, &dt));
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_SEIZE, v.page->tid[2], 0, 0))
			_exit(1);
		for (;;)
			pause();
	}
	NEED(WITHIN(1000, proc_status(v.page->tid[2], "TracerPid") == pid), "no tracer");
	CHECK(dtproc_proc_grab(dt, v.pid, 0, &p) == DTPROC_ETRACED &&
			strstr(dtproc_error_text(), "system-hostile"),
		"%s", dtproc_error_text());
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	grab_once(dt, &v);
	dtproc_close(dt);
	vic_check_free(&v, "after the tracer of a thread");
	vic_end(&v);
}

static const struct t_case cases[] = {
	{"waiters", waiters, 60, 200},
	{"child-signal", child_signal, 30, 200},
	{"locked-malloc", locked_malloc, 60, 200},
	{"keepers", keepers, 60, 0},
	{"second-client", second_client, 60, 300},
	{"thread-traced", thread_traced, 0, 0},
};

T_MAIN(cases)
