/* SPDX-License-Identifier: BSD-2-Clause */
/* The threads of a held victim, their registers and stacks. */
#include "handle.h"

#include <base/clean.h>

#include <string.h>

#define THREADS_MAX (4u << 20)

int hold_threads(struct dtproc_proc *p, struct wire_thread **out, size_t *n)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct wire_request req = {.op = WIRE_THREADS};
	struct wire_reply reply;
	int rc = request_call(p, &req, NULL, 0, &reply);

	if (rc)
		return rc;
	if (reply.count > THREADS_MAX)
		return err_set(DTPROC_EPROTO, "pid %d: a list of %llu threads",
			(int)p->pid, (unsigned long long)reply.count);
	CLEAN_FREE struct wire_thread *list = calloc(reply.count + 1, sizeof *list);

	if (!list)
		return err_nomem("a list of threads");
	rc = victim_ctl_get(&p->ctl, list, reply.count * sizeof *list);
	if (rc)
		return rc;
	*n = reply.count;
	*out = TAKE_PTR(list);
	return 0;
}

int hold_regs(struct dtproc_proc *p, pid_t tid, struct user_regs_struct *out)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct wire_request req = {.op = WIRE_REGS, .pid = tid};
	struct wire_reply reply;
	struct user_regs_struct regs;
	int rc = request_call(p, &req, NULL, 0, &reply);

	if (rc)
		return rc;
	if (reply.count != sizeof regs)
		return err_set(
			DTPROC_EPROTO, "pid %d: registers of another CPU", (int)p->pid);
	rc = victim_ctl_get(&p->ctl, &regs, sizeof regs);
	if (rc == 0)
		*out = regs;
	return rc;
}

/* What the keeper says of the bytes has to be within them. */
static int check_stacks(const struct wire_stack *at, size_t n, uint64_t len)
{
	for (size_t i = 0; i < n; i++)
		if (at[i].offset > len || at[i].len > len - at[i].offset)
			return err_set(DTPROC_EPROTO, "thread %d: a stack out of range",
				at[i].tid);
	return 0;
}

int hold_stacks(struct dtproc_proc *p, struct hold_stacks *out)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct wire_request req = {.op = WIRE_STACKS, .arg = WIRE_STACK_BYTES};
	struct wire_reply reply;
	int rc = request_call(p, &req, NULL, 0, &reply);

	if (rc)
		return rc;
	if (reply.count > THREADS_MAX || reply.value > WIRE_STACKS_BYTES)
		return err_set(DTPROC_EPROTO, "pid %d: %llu bytes of %llu stacks",
			(int)p->pid, (unsigned long long)reply.value,
			(unsigned long long)reply.count);
	size_t head = reply.count * sizeof *out->at;
	CLEAN_FREE struct wire_stack *list = malloc(head + reply.value + 1);

	if (!list)
		return err_nomem("copies of stacks");
	rc = victim_ctl_get(&p->ctl, list, head + reply.value);
	if (!rc)
		rc = check_stacks(list, reply.count, reply.value);
	if (rc)
		return rc;
	out->n = reply.count;
	out->bytes = (const unsigned char *)list + head;
	out->at = TAKE_PTR(list);
	return 0;
}
