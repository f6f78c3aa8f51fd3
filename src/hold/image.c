/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The image of a read-only handle: which program its process runs, its memory, its maps.
 *
 * Is it still the same one?  A descriptor of /proc/PID/pagemap belongs to the memory that
 * it was opened on.  Reading one byte of it, which is not a whole entry, copies nothing:
 * it fails with EINVAL while that memory is in use and gives 0 bytes once an exec or
 * the end has put it away (0.3 us, where a byte of /proc/PID/mem costs 1.7).  Kernels
 * without pagemap get the same answer from the descriptor of the maps, for more.
 *
 * A process that still has its parent's memory (between vfork and exec) is the
 * exception: the old memory lives on in the parent, so such an image is opened anew each
 * time.
 */
#include "handle.h"

#include <base/clean.h>
#include <base/same.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

void image_close(struct image *i)
{
	clean_fd(&i->mem);
	clean_fd(&i->live);
	clean_fd(&i->live_maps);
	i->mem = i->live = i->live_maps = -1;
	i->linker = (struct victim_linker){0};
	victim_maps_free(&i->maps);
}

static int shares_memory(pid_t pid, pid_t parent)
{
	return parent > 0 && same_memory(pid, parent);
}

static int open_proc(pid_t tid, const char *name)
{
	char path[48];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)tid, name);
	return victim_lift(open(path, O_RDONLY | O_CLOEXEC));
}

static int open_live(pid_t pid, int *out)
{
	pid_t tid = victim_live_tid(pid);
	int fd = open_proc(tid, "pagemap");

	if (fd < 0)
		fd = open_proc(tid, "maps");
	if (fd < 0)
		return victim_check_refusal(pid, VICTIM_READ);
	*out = fd;
	return 0;
}

/* Opens what there is of the present image; the memory may not be for us. */
static int open_parts(const struct dtproc_proc *p, struct image *i)
{
	struct victim_stat st;
	int rc = victim_stat_read(p->pid, &st);

	if (rc)
		return rc;
	i->shared = shares_memory(p->pid, st.ppid);
	rc = open_live(p->pid, &i->live);
	if (rc)
		return rc;
	rc = victim_mem_open(p->pid, &i->mem);
	if (rc && rc != DTPROC_EPERM)
		return rc;
	rc = victim_maps_read(p->pid, &i->maps);
	if (rc)
		return rc == DTPROC_EPERM ? victim_check_refusal(p->pid, VICTIM_READ)
					  : rc;
	/* What was opened by number is this process's if it is alive now (A7). */
	return victim_ended(p->pidfd) ? err_set(DTPROC_ENOPROC, "no such process") : 0;
}

static int is_present(const struct image *i)
{
	char byte;
	ssize_t n;

	if (i->shared || i->live < 0)
		return 0;
	n = pread(i->live, &byte, 1, 0);
	return n == 1 || (n < 0 && errno == EINVAL);
}

int image_open(struct dtproc_proc *p)
{
	struct image fresh = {.mem = -1, .live = -1, .live_maps = -1};
	int rc = open_parts(p, &fresh);

	if (rc) {
		image_close(&fresh);
		return rc;
	}
	image_close(&p->image);
	p->image = fresh;
	return 0;
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

int image_maps_read(struct dtproc_proc *p)
{
	struct victim_maps fresh;
	int rc = hold_maps(p, &fresh);

	if (rc)
		return rc;
	victim_maps_free(&p->image.maps);
	p->image.maps = fresh;
	return 0;
}

/* Looked at by number: it is this process's if that is alive now (A7). */
int image_maps_still(const struct dtproc_proc *p, const struct victim_map *m)
{
	return victim_maps_still(p->pid, m) && !victim_ended(p->pidfd);
}
