/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who a process is.  Its name (comm) is the victim's choice and may hold blanks,
 * parentheses and newlines: stat is read from its last ')', status line by line from
 * fields that the kernel writes behind the escaped name.
 */
#include "victim.h"

#include <base/slurp.h>
#include <base/clean.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#ifndef PIDFD_GET_INFO /* <linux/pidfd.h> of Linux 6.15 */
struct pidfd_info {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
	uint32_t spare[2];
};
#define PIDFD_INFO_EXIT (1ULL << 3)
#define PIDFD_GET_INFO _IOWR(0xFF, 11, struct pidfd_info)
#endif

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

static int garbled(const char *what)
{
	return err_set(DTPROC_EPROTO, "/proc: %s is not of the form expected", what);
}

static int no_process(pid_t pid)
{
	return err_set(DTPROC_ENOPROC, "no such process");
}

/* Reads /proc/PID/`name`; hidepid makes a process of others look absent. */
static int slurp(pid_t pid, const char *name, char *buf, size_t room)
{
	char path[64];
	long n;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	n = slurp_file(path, buf, room);
	if (n >= 0)
		return 0;
	if (n != -ENOENT && n != -ESRCH)
		return err_errno(n == -EACCES || n == -EPERM ? DTPROC_EPERM : DTPROC_ESYS,
			(int)-n, "cannot read %s", path);
	if (syscall(SYS_kill, pid, 0) < 0 && errno == EPERM)
		return err_set(DTPROC_EPERM,
			"permission denied: it belongs to another user, and /proc hides it");
	return no_process(pid);
}

int victim_stat_parse(const char *text, struct victim_stat *out)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	struct victim_stat st = {0};
	unsigned long long start, code;
	size_t len;
	int ppid;

	if (!open || !close || close < open)
		return garbled("stat");
	if (sscanf(close + 1,
		    " %c %d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
		    " %*d %*d %llu %*u %*d %*u %llu",
		    &st.state, &ppid, &st.flags, &start, &code) != 5)
		return garbled("stat");
	len = (size_t)(close - open - 1);
	if (len >= sizeof st.comm)
		len = sizeof st.comm - 1;
	memcpy(st.comm, open + 1, len);
	st.ppid = ppid;
	st.start_time = start;
	st.start_code = code;
	*out = st;
	return 0;
}

int victim_stat_read(pid_t pid, struct victim_stat *out)
{
	char text[1024];
	int rc = slurp(pid, "stat", text, sizeof text);

	return rc ? rc : victim_stat_parse(text, out);
}

/* The text behind "\nNAME:\t", or NULL. */
static const char *field(const char *text, const char *name)
{
	const char *s = strstr(text, name);

	return s ? s + strlen(name) : NULL;
}

int victim_status_parse(const char *text, struct victim_status *out)
{
	const char *tgid = field(text, "\nTgid:\t"),
		   *tracer = field(text, "\nTracerPid:\t");
	const char *uid = field(text, "\nUid:\t"), *gid = field(text, "\nGid:\t");
	const char *caps = field(text, "\nCapPrm:\t");
	struct victim_status st;
	unsigned long long prm;

	if (!tgid || !tracer || !uid || !gid || !caps)
		return garbled("status");
	if (sscanf(tgid, "%d", &st.tgid) != 1 || sscanf(tracer, "%d", &st.tracer) != 1 ||
		sscanf(uid, "%u %u %u %u", &st.uid[0], &st.uid[1], &st.uid[2],
			&st.uid[3]) != 4 ||
		sscanf(gid, "%u %u %u %u", &st.gid[0], &st.gid[1], &st.gid[2],
			&st.gid[3]) != 4 ||
		sscanf(caps, "%llx", &prm) != 1)
		return garbled("status");
	st.caps = prm;
	*out = st;
	return 0;
}

int victim_status_read(pid_t pid, struct victim_status *out)
{
	char text[4096];
	int rc = slurp(pid, "status", text, sizeof text);

	return rc ? rc : victim_status_parse(text, out);
}

static int has_ended(const struct victim_stat *st)
{
	return st->state == 'Z' || st->state == 'X';
}

pid_t victim_live_tid(pid_t pid)
{
	struct victim_stat st;
	struct dirent *e;
	char path[40];
	pid_t tid, found = pid;
	DIR *d;

	if (victim_stat_read(pid, &st) || !has_ended(&st))
		return pid;
	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && found == pid && (e = readdir(d))) {
		tid = (pid_t)atoi(e->d_name);
		if (tid > 0 && !victim_stat_read(tid, &st) && !has_ended(&st))
			found = tid;
	}
	if (d)
		closedir(d);
	return found;
}

int victim_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}

int victim_exit_status(int pidfd, int *status)
{
	struct pidfd_info info = {.mask = PIDFD_INFO_EXIT};

	if (ioctl(pidfd, PIDFD_GET_INFO, &info) < 0 || !(info.mask & PIDFD_INFO_EXIT))
		return err_set(DTPROC_ESTATE, "how it ended is not known");
	*status = info.exit_code;
	return 0;
}

int victim_lift(int fd)
{
	int high, eno;

	if (fd < 0 || fd > 2)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	eno = errno;
	close(fd);
	errno = eno;
	return high;
}

int victim_pidfd_open(pid_t pid, int *pidfd)
{
	int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	if (pid <= 0)
		return no_process(pid);
	fd = victim_lift(fd);
	if (fd >= 0) {
		*pidfd = fd;
		return 0;
	}
	if (errno == ESRCH)
		return no_process(pid);
	/* Linux up to 6.12 says EINVAL, later ones ENOENT, for a thread. */
	if (errno == EINVAL || errno == ENOENT)
		return err_set(DTPROC_ENOPROC, "it is a thread, not a process");
	if (errno == EPERM || errno == ENOSYS)
		return err_errno(DTPROC_ESYS, errno,
			"pidfd_open(2) is refused, by a kernel older than 5.3 or the "
			"seccomp filter of a container (start it with --security-opt "
			"seccomp=unconfined)");
	return err_errno(DTPROC_ESYS, errno, "cannot open a pidfd");
}
