/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dtproc stop | run | wait PID...: what pstop, prun and pwait are elsewhere; and the
 * choice of all such tools.
 *
 * Nothing is held for it: signals do, sent through a pidfd, so that none reaches a later
 * process with that number.  What stop stops is stopped as by SIGSTOP from anybody (rule
 * G1): it stays so until it is run, whoever traces it meanwhile.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>
#include "cmd.h"

#define PATIENCE_MS 2000 /* for a process to stop, or to run */
#define REAPED_MS 100    /* for its parent to ask how it ended */

struct target {
	pid_t pid;
	int fd; /* pidfd */
};

int cmd_failed(const char *verb, const char *what, const char *why)
{
	cmd_error("cannot %s %s: %s", verb, what, why);
	return -1;
}

int cmd_parse_pid(const char *arg, pid_t *pid)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(arg, &end, 10);
	*pid = (pid_t)n;
	return errno || end == arg || *end || n <= 0 || n != *pid ? -1 : 0;
}

static int open_target(const char *verb, const char *arg, struct target *t)
{
	if (cmd_parse_pid(arg, &t->pid))
		return cmd_failed(verb, arg, "that is no process ID");
	if (t->pid == getpid())
		return cmd_failed(verb, arg, "that is dtproc itself");
	t->fd = pidfd_open(t->pid, 0);
	if (t->fd >= 0)
		return 0;
	return cmd_failed(verb, arg,
		errno == ESRCH                       ? "no such process"
		: errno == EINVAL || errno == ENOENT ? "that is a thread, not a process"
						     : strerror(errno));
}

/* A field of /proc/PID/status; its first letter in *c, its number returned. */
static long status_of(pid_t pid, const char *field, char *c)
{
	char path[40], line[256];
	long n = 0;
	FILE *f;

	*c = 'X';
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f)) {
		if (strncmp(line, field, strlen(field)))
			continue;
		sscanf(line + strlen(field), " %c", c);
		n = strtol(line + strlen(field), NULL, 10);
		break;
	}
	if (f)
		fclose(f);
	return n;
}

static char state_of(pid_t pid)
{
	char c;

	status_of(pid, "State:", &c);
	return c;
}

/* Waits until its state is, or is not, one of those that mean "stopped". */
enum { RUNS, STANDS };
static int becomes(const struct target *t, int wanted)
{
	const struct timespec nap = {0, 1000000};

	for (int ms = 0; ms < PATIENCE_MS; ms++, nanosleep(&nap, NULL))
		if ((strchr("tT", state_of(t->pid)) ? STANDS : RUNS) == wanted)
			return 1;
	return 0;
}

static int send(const struct target *t, const char *verb, const char *arg, int sig)
{
	return pidfd_send_signal(t->fd, sig, NULL, 0)
		       ? cmd_failed(verb, arg, strerror(errno))
		       : 0;
}

static int stop(const struct target *t, const char *arg)
{
	char state = state_of(t->pid);

	if (state == 'Z' || state == 'X')
		return cmd_failed("stop", arg, "it has ended");
	if (state == 'T') {
		cmd_error("pid %s is stopped already", arg);
		return 0;
	}
	if (send(t, "stop", arg, SIGSTOP))
		return -1;
	return becomes(t, STANDS) ? 0 : cmd_failed("stop", arg, "it goes on");
}

static int run(const struct target *t, const char *arg)
{
	char why[80], c;

	if (!strchr("tT", state_of(t->pid))) {
		cmd_error("pid %s is not stopped", arg);
		return 0;
	}
	if (send(t, "run", arg, SIGCONT))
		return -1;
	if (becomes(t, RUNS))
		return 0;
	snprintf(why, sizeof why, "its tracer holds it, pid %ld",
		status_of(t->pid, "TracerPid:", &c));
	return cmd_failed("run", arg, why);
}

/* ---------------------------------------------------------------------- wait */

/* <linux/pidfd.h> of Linux 6.15 */
struct exit_info {
	uint64_t mask, cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};
#define INFO_EXIT (1ULL << 3)
#define GET_INFO _IOWR(0xFF, 11, struct exit_info)

/* The kernel tells how it ended to others when its parent has asked. */
static void say_end(const struct target *t)
{
	struct exit_info info = {.mask = INFO_EXIT};
	struct pollfd reaped = {.fd = t->fd};

	poll(&reaped, 1, REAPED_MS);
	printf("%d: terminated", (int)t->pid);
	if (ioctl(t->fd, GET_INFO, &info) == 0 && info.mask & INFO_EXIT)
		printf(", wait status 0x%04x", (unsigned)info.exit_code);
	putchar('\n');
	fflush(stdout);
}

static int wait_all(struct target *t, size_t n, int verbose)
{
	struct pollfd *p = calloc(n + 1, sizeof *p);
	size_t left = n;

	if (!p)
		return cmd_failed("wait for", "so many", strerror(ENOMEM));
	for (size_t i = 0; i < n; i++)
		p[i] = (struct pollfd){.fd = t[i].fd, .events = POLLIN};
	while (left && (poll(p, n, -1) > 0 || errno == EINTR)) {
		for (size_t i = 0; i < n; i++) {
			if (p[i].fd < 0 || !p[i].revents)
				continue;
			if (verbose)
				say_end(&t[i]);
			p[i].fd = -1;
			left--;
		}
	}
	free(p);
	return left ? -1 : 0;
}

/* ------------------------------------------------------------------ dispatch */

static const struct tool {
	const char *name, *verb;
	int (*each)(const struct target *, const char *arg); /* NULL: wait */
} tools[] = {{"stop", "stop", stop}, {"run", "run", run}, {"wait", "wait for", NULL}};

static int usage(const struct tool *tool)
{
	fprintf(stderr, "Usage: dtproc %s %spid...\n", tool->name,
		tool->each ? "" : "[-v] ");
	return CMD_USAGE;
}

static int work(const struct tool *tool, char **args, int verbose)
{
	struct target t[1024];
	size_t n = 0;
	int bad = 0;

	for (; *args && n < sizeof t / sizeof *t; args++) {
		if (open_target(tool->verb, *args, &t[n])) {
			bad = 1;
			continue;
		}
		if (tool->each) {
			bad |= tool->each(&t[n], *args) != 0;
			close(t[n].fd);
		} else {
			n++;
		}
	}
	if (*args)
		bad |= cmd_failed(tool->verb, *args, "too many") != 0;
	if (n)
		bad |= wait_all(t, n, verbose) != 0;
	return bad ? CMD_FATAL : CMD_OK;
}

int cmd_tool(int argc, char **argv)
{
	int verbose = 0, status;

	if (argc > 1 && strcmp(argv[1], "stack") == 0)
		return cmd_stack(argv + 2);
	status = argc > 1 ? cmd_look(argv[1], argv + 2) : -1;
	if (status >= 0)
		return status;
	for (size_t i = 0; argc > 1 && i < sizeof tools / sizeof *tools; i++) {
		const struct tool *tool = &tools[i];

		if (strcmp(argv[1], tool->name))
			continue;
		argv += 2;
		if (!tool->each && *argv && strcmp(*argv, "-v") == 0) {
			verbose = 1;
			argv++;
		}
		return *argv && **argv != '-' ? work(tool, argv, verbose) : usage(tool);
	}
	return -1;
}
