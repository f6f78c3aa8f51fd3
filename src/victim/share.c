/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that client and keeper share: memfds that nobody can make smaller.  They count
 * as files, so RLIMIT_FSIZE holds for them; a client that is beyond its limit gets an
 * error, and not the SIGXFSZ that would end it.
 */
#include "victim.h"

#include <base/clean.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

static void hold_off(sigset_t *old)
{
	sigset_t xfsz;

	sigemptyset(&xfsz);
	sigaddset(&xfsz, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &xfsz, old);
}

/* Takes the signal away that belongs to the error `eno`, and gives it back as errno. */
static void let_in(const sigset_t *old, int eno)
{
	struct timespec now = {0};
	sigset_t xfsz;

	sigemptyset(&xfsz);
	sigaddset(&xfsz, SIGXFSZ);
	if (eno == EFBIG && !sigismember(old, SIGXFSZ))
		sigtimedwait(&xfsz, NULL, &now);
	pthread_sigmask(SIG_SETMASK, old, NULL);
	errno = eno;
}

static int resize(int fd, size_t size)
{
	sigset_t old;
	int rc;

	hold_off(&old);
	rc = ftruncate(fd, (off_t)size);
	let_in(&old, rc < 0 ? errno : 0);
	return rc;
}

int victim_memfd(const char *name, size_t size, int *out)
{
	int fd = victim_lift(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
	int eno;

	if (fd >= 0 && resize(fd, size) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0) {
		*out = fd;
		return 0;
	}
	eno = errno;
	clean_fd(&fd);
	return err_errno(
		DTPROC_ESYS, eno, "cannot make %zu bytes of shared memory", size);
}

int victim_memfd_write(int fd, const void *bytes, size_t len)
{
	sigset_t old;
	size_t done = 0;
	ssize_t n = 0;

	hold_off(&old);
	while (done < len) {
		n = pwrite(fd, (const char *)bytes + done, len - done, (off_t)done);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			break;
	}
	let_in(&old, n < 0 ? errno : 0);
	if (done < len)
		return err_errno(DTPROC_ESYS, errno, "cannot pass %zu bytes on", len);
	return 0;
}
