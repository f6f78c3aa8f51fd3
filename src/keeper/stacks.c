/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The threads, and copies of the stacks of all of them, taken in one stop, for somebody
 * to walk when the victim runs again.  How long they stand depends on what is done here:
 * two system calls a thread, and nothing is touched that was not copied.
 */
#include "keeper.h"
#include "ptrace.h"
#include "stacks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define RED_ZONE 128u     /* below the stack pointer, a leaf function's */
#define SHARE (32u << 20) /* what threads share evenly, if that is enough */
#define LEAST (16u << 10) /* of one, all the same */

void threads_list(struct keeper *k, struct wire_thread *out, size_t *n)
{
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		struct wire_thread w = {.tid = t->tid};
		if (t->sharer)
			continue;
		w.stopped = t->run == TASK_STOPPED &&
			    !pt_peek_user(t->tid, arch_user_offset(ARCH_PC), &w.pc) &&
			    !pt_peek_user(t->tid, arch_user_offset(ARCH_SP), &w.sp);
		out[(*n)++] = w;
	}
}

/* Copies up to `len` bytes; where the stack ends it stops, and no guard page is read. */
static size_t copy(struct keeper *k, pid_t tid, uint64_t at, void *to, size_t len)
{
	struct iovec local = {to, len};
	struct iovec remote = {(void *)(uintptr_t)at, len};
	ssize_t n = process_vm_readv(tid, &local, 1, &remote, 1, 0);

	if (n < 0) /* filtered away, or forbidden since: one page, at least */
		n = text_read(k->mem, at, to, len < 4096 ? len : 4096);
	return n < 0 ? 0 : (size_t)n;
}

static void take(struct keeper *k, const struct task *t, size_t each, struct stacks *s)
{
	struct wire_stack *w = &s->at[s->n++];
	size_t left = s->room - s->used;

	w->tid = t->tid;
	if (t->run != TASK_STOPPED || pt_get_regs(t->tid, &w->regs))
		return;
	w->stopped = 1;
	memcpy(&w->at, (char *)&w->regs + arch_user_offset(ARCH_SP), sizeof w->at);
	w->at -= RED_ZONE;
	w->offset = s->used;
	w->len = copy(k, t->tid, w->at, s->bytes + s->used, each < left ? each : left);
	s->used += w->len;
}

static size_t share(size_t each, size_t n)
{
	size_t fair = SHARE / (n ? n : 1);

	if (fair < LEAST)
		fair = LEAST;
	if (fair > WIRE_STACK_BYTES)
		fair = WIRE_STACK_BYTES;
	return each < fair ? each : fair;
}

int stacks_take(struct keeper *k, size_t each, struct stacks *s)
{
	size_t n = k->tasks.n;

	each = share(each, n);
	s->room = n * each < WIRE_STACKS_BYTES ? n * each + 1 : WIRE_STACKS_BYTES;
	s->at = calloc(n + 1, sizeof *s->at);
	s->bytes = mmap(NULL, s->room, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!s->at || s->bytes == MAP_FAILED)
		return err_nomem("copies of stacks");
	hash_each(&k->tasks, i) {
		const struct task *t = k->tasks.slots[i].value;

		if (!t->sharer)
			take(k, t, each, s);
	}
	return 0;
}

void stacks_free(struct stacks *s)
{
	free(s->at);
	if (s->bytes && s->bytes != MAP_FAILED)
		munmap(s->bytes, s->room);
}
