/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs, the segment that they write to, and the bell that wakes the client. */
#include "keeper.h"
#include "kin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAMS_MAX 4096u

struct output *output_new(void)
{
	struct output *o = calloc(1, sizeof *o);

	if (o) {
		o->refs = 1;
		o->doorbell = -1;
	}
	return o;
}

struct output *output_ref(struct output *o)
{
	o->refs++;
	return o;
}

/* ------------------------------------------------------------------ programs */

static void drop_programs(struct output *o)
{
	for (size_t i = 0; i < o->programs.n; i++)
		bpf_program_free(o->programs.at[i]);
	o->programs.n = 0;
}

static int load_program(struct output *o, const void *code, size_t bytes)
{
	struct bpf_program *p = NULL;
	int failed = bpf_program_load(code, bytes, &p);

	if (!failed && vec_push(&o->programs, p)) {
		bpf_program_free(p);
		failed = err_nomem("a program");
	}
	return failed;
}

int output_programs(
	struct output *o, const unsigned char *bytes, size_t len, uint32_t flags)
{
	int code = 0;

	drop_programs(o);
	for (size_t at = 0; !code && at < len;) {
		struct wire_program head;
		if (len - at < sizeof head || o->programs.n >= PROGRAMS_MAX)
			return err_set(DTPROC_EPROTO, "bad list of programs");
		memcpy(&head, bytes + at, sizeof head);
		at += sizeof head;
		if (head.bytes > len - at)
			return err_set(DTPROC_EPROTO, "bad length of a program");
		code = load_program(o, bytes + at, head.bytes);
		at += head.bytes;
	}
	if (!code && !(flags & WIRE_INTERPRET))
		bpf_programs_compile(o->programs.at, o->programs.n);
	return code;
}

/* ------------------------------------------------------------------- segment */

/* Maps a memfd of the client's, which must not be able to shrink under us. */
static int map_sealed(int fd, void **mem, size_t *size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *fresh;

	if (fstat(fd, &st) || st.st_size <= 0 || seals < 0 || !(seals & F_SEAL_SHRINK))
		return err_set(DTPROC_EPROTO, "the segment could shrink");
	fresh = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fresh == MAP_FAILED)
		return err_errno(DTPROC_ENOMEM, errno, "mapping the segment");
	if (*mem)
		munmap(*mem, *size);
	*mem = fresh;
	*size = (size_t)st.st_size;
	return 0;
}

int output_segment(struct output *o, int *fds, int nfds)
{
	int code;

	if (nfds < 2)
		return err_set(DTPROC_EPROTO, "a segment comes with two descriptors");
	o->view_ok = 0; /* it points into what may be unmapped now */
	code = map_sealed(fds[0], &o->segment, &o->segment_size);
	if (!code && nfds > 2)
		code = map_sealed(fds[2], &o->shared, &o->shared_size);
	if (code)
		return code;
	o->view_ok = !rt_segment_attach(o->segment, o->segment_size, 0, &o->view);
	if (o->shared && rt_view_shared(&o->view, o->shared, o->shared_size))
		o->view_ok = 0;
	if (o->doorbell >= 0)
		close(o->doorbell);
	o->doorbell = fds[1];
	fds[1] = -1;
	return o->view_ok ? 0 : err_set(DTPROC_EPROTO, "the segment is not valid");
}

void output_ring(struct output *o)
{
	static const uint64_t one = 1;

	if (o->doorbell >= 0 && write(o->doorbell, &one, sizeof one) < 0)
		log_line("keeper", 1, "doorbell: %s", strerror(errno));
}

void output_unref(struct output *o)
{
	if (!o || --o->refs)
		return;
	drop_programs(o);
	vec_free(&o->programs);
	if (o->segment)
		munmap(o->segment, o->segment_size);
	if (o->shared)
		munmap(o->shared, o->shared_size);
	clean_fd(&o->doorbell);
	free(o);
}
