/* SPDX-License-Identifier: BSD-2-Clause */
/* The usual host: what any engine of this process can tell about a thread. */
#include "bpf.h"

#include <base/clean.h>

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int clock_value(clockid_t clock, uint64_t *out)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return -1;
	*out = (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
	return 0;
}

/* Reads a file of a thread below /proc; the bytes read (NUL behind them), or -1. */
static ssize_t read_file(pid_t pid, pid_t tid, const char *name, char *buf, size_t room)
{
	char path[64];
	CLEAN_FD int fd = -1;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)pid, (int)tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buf, room - 1);
	if (n >= 0)
		buf[n] = 0;
	return n;
}

/* The first number of a line of /proc/PID/status. */
static int status_value(pid_t pid, pid_t tid, const char *line, uint64_t *out)
{
	char buf[4096];
	const char *at;

	if (read_file(pid, tid, "status", buf, sizeof buf) <= 0)
		return -1;
	at = strstr(buf, line);
	if (!at)
		return -1;
	*out = strtoull(at + strlen(line), NULL, 10);
	return 0;
}

/* Time on a CPU, in ns: the first number of schedstat. */
static int cpu_time(pid_t pid, pid_t tid, uint64_t *out)
{
	char buf[128];

	if (read_file(pid, tid, "schedstat", buf, sizeof buf) <= 0)
		return -1;
	*out = strtoull(buf, NULL, 10);
	return 0;
}

int bpf_system_value(pid_t pid, pid_t tid, uint32_t which, uint64_t *out)
{
	int cpu;

	switch (which) {
	case RT_VALUE_TIMESTAMP:
		return clock_value(CLOCK_MONOTONIC, out);
	case RT_VALUE_WALLTIMESTAMP:
		return clock_value(CLOCK_REALTIME, out);
	case RT_VALUE_VTIMESTAMP:
		return cpu_time(pid, tid, out);
	case RT_VALUE_CPU:
		cpu = sched_getcpu();
		*out = cpu < 0 ? 0 : (uint64_t)cpu;
		return 0;
	case RT_VALUE_PPID:
		return status_value(pid, tid, "\nPPid:", out);
	case RT_VALUE_UID:
		return status_value(pid, tid, "\nUid:", out);
	case RT_VALUE_GID:
		return status_value(pid, tid, "\nGid:", out);
	}
	return -1;
}

int bpf_system_execname(pid_t pid, pid_t tid, char out[RT_EXECNAME])
{
	char buf[RT_EXECNAME + 1];
	ssize_t n = read_file(pid, pid, "comm", buf, sizeof buf);

	if (n < 0)
		return -1;
	if (n && buf[n - 1] == '\n')
		buf[n - 1] = 0;
	memset(out, 0, RT_EXECNAME);
	memcpy(out, buf, strnlen(buf, RT_EXECNAME - 1));
	return 0;
}

int bpf_system_text(pid_t pid, uint32_t which, char *buf, size_t size)
{
	static const char *const names[RT_TEXTS] = {
		[RT_TEXT_CWD] = "cwd", [RT_TEXT_ROOT] = "root"};
	char path[64];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, names[which]);
	n = readlink(path, buf, size - 1);
	if (n < 0)
		return -1;
	buf[n] = 0;
	return 0;
}

/* The parent of a process, by its stat, whose second field may hold anything. */
static int parent_of(pid_t pid, pid_t *out)
{
	char buf[512];
	const char *at;

	if (read_file(pid, pid, "stat", buf, sizeof buf) <= 0)
		return -1;
	at = strrchr(buf, ')');
	return at && sscanf(at + 1, " %*c %d", out) == 1 ? 0 : -1;
}

#define ANCESTORS_MAX 4096

int bpf_system_progeny(pid_t pid, int64_t ancestor)
{
	for (int i = 0; i < ANCESTORS_MAX && pid > 0; i++) {
		if (pid == ancestor)
			return 1;
		if (parent_of(pid, &pid))
			return 0;
	}
	return 0;
}
