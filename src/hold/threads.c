/* SPDX-License-Identifier: BSD-2-Clause */
/* The threads of a held victim and their registers. */
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
