/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The image of a read-only handle: which program its process runs.  The descriptor of its
 * memory tells by itself, with one system call, whether an exec has replaced it (mem.c
 * of victim): it reads nothing any more.  Where the memory is not for us the descriptor
 * of the maps does the same.  A process that still has its parent's memory (between
 * vfork and exec) is the exception: the old memory lives on in the parent, so such an
 * image is opened anew each time.
 */
#include "handle.h"

#include <base/clean.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <sys/syscall.h>

void image_close(struct image *i)
{
	clean_fd(&i->mem);
	clean_fd(&i->maps);
	i->mem = i->maps = -1;
}

static int shares_memory(pid_t pid, pid_t parent)
{
	return parent > 0 && syscall(SYS_kcmp, pid, parent, KCMP_VM, 0, 0) == 0;
}

/* Where the memory is not for us: at least the maps. */
static int open_maps(pid_t pid, int *out)
{
	char path[40];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	fd = victim_lift(open(path, O_RDONLY | O_CLOEXEC));
	if (fd < 0)
		return victim_check_refusal(pid, VICTIM_READ);
	*out = fd;
	return 0;
}

static int open_present(const struct dtproc_proc *p, struct image *out)
{
	struct image i = {.mem = -1, .maps = -1};
	struct victim_stat st;
	int rc = victim_stat_read(p->pid, &st);

	if (rc)
		return rc;
	i.probe = st.start_code;
	i.shared = shares_memory(p->pid, st.ppid);
	rc = victim_mem_open(p->pid, &i.mem);
	if (rc == DTPROC_EPERM)
		rc = open_maps(p->pid, &i.maps);
	if (rc)
		return rc;
	/* What was opened by number is this process's if it is alive now (A7). */
	if (victim_ended(p->pidfd)) {
		image_close(&i);
		return err_set(DTPROC_ENOPROC, "no such process");
	}
	*out = i;
	return 0;
}

int image_open(struct dtproc_proc *p)
{
	struct image fresh;
	int rc = open_present(p, &fresh);

	if (rc)
		return rc;
	image_close(&p->image);
	p->image = fresh;
	return 0;
}

static int is_present(const struct image *i)
{
	char byte;

	if (i->shared)
		return 0;
	if (i->mem >= 0)
		return pread(i->mem, &byte, 1, (off_t)i->probe) == 1;
	return i->maps >= 0 && pread(i->maps, &byte, 1, 0) == 1;
}

int image_refresh(struct dtproc_proc *p)
{
	int rc;

	if (is_present(&p->image))
		return 0;
	rc = image_open(p);
	if (rc)
		return rc;
	pthread_mutex_lock(&p->state_lock);
	p->status.generation++;
	pthread_mutex_unlock(&p->state_lock);
	return 0;
}
