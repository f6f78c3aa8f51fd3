/* SPDX-License-Identifier: BSD-2-Clause */
#include "slurp.h"

#include "clean.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

long slurp_file(const char *path, char *buf, size_t room)
{
	CLEAN_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;

	if (fd < 0)
		return -errno;
	while (n < room - 1) {
		ssize_t got = read(fd, buf + n, room - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	buf[n] = 0;
	return (long)n;
}
