/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A victim's memory through a descriptor of /proc/PID/mem.  Such a descriptor belongs to
 * the image that it was opened on: after an exec or the process's end it reads 0 bytes,
 * which is how a change of image is noticed with one system call (rule A7).
 */
#include "victim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int open_of(pid_t tid, char *path, size_t room)
{
	snprintf(path, room, "/proc/%d/mem", (int)tid);
	return victim_lift(open(path, O_RDONLY | O_CLOEXEC));
}

int victim_mem_open(pid_t pid, int *out)
{
	char path[40];
	int fd = open_of(pid, path, sizeof path);

	if (fd < 0 && (errno == ENOENT || errno == ESRCH))
		fd = open_of(victim_live_tid(pid), path, sizeof path);
	if (fd >= 0) {
		*out = fd;
		return 0;
	}
	if (errno == ENOENT || errno == ESRCH)
		return err_set(DTPROC_ENOPROC, "no such process");
	if (errno != EACCES && errno != EPERM)
		return err_errno(DTPROC_ESYS, errno, "cannot open %s", path);
	return victim_check_refusal(pid, VICTIM_READ);
}

/* What the first failing transfer means. */
static ssize_t failed(ssize_t n, dtproc_addr addr)
{
	if (n == 0)
		return err_set(DTPROC_EIMAGE,
			"the victim has ended or executed another program");
	if (errno == EIO || errno == EFAULT || errno == EINVAL)
		return err_set(DTPROC_ERANGE, "the victim has no memory at %#llx",
			(unsigned long long)addr);
	return err_errno(DTPROC_ESYS, errno, "cannot access the victim's memory at %#llx",
		(unsigned long long)addr);
}

ssize_t victim_mem_read(int fd, dtproc_addr addr, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n =
			pread(fd, (char *)buf + done, len - done, (off_t)(addr + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 && done == 0)
			return failed(n, addr);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}
