/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child that is followed (F3) becomes a victim of this process, while it stands where
 * it was born, or behind its exec: it never runs without us, nor is it handed over.
 *
 * One that was forked is a copy of its parent, but for the traps: room for slots is there
 * already, and the guard, if the parent has it.
 */
#include "keeper.h"
#include "kin.h"
#include "ptrace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ------------------------------------------------------------------ a wire of its own */

static int make_pair(int *theirs, int *ours)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd))
		return err_errno(DTPROC_ESYS, errno, "a socket");
	*theirs = fd[0];
	*ours = fd[1];
	return 0;
}

static int make_memfd(const char *name, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && !ftruncate(fd, (off_t)size) &&
		!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK))
		return fd;
	err_errno(DTPROC_ESYS, errno, "%s", name);
	clean_fd(&fd);
	return -1;
}

static int make_ledger(struct keeper *kid, int fd)
{
	void *map = fd < 0 ? MAP_FAILED
			   : mmap(NULL, WIRE_LEDGER_BYTES, PROT_READ | PROT_WRITE,
				     MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return fd < 0 ? DTPROC_ESYS : err_errno(DTPROC_ESYS, errno, "a ledger");
	kid->ledger = map;
	kid->ledger->magic = WIRE_LEDGER_MAGIC;
	kid->ledger->version = WIRE_VERSION;
	kid->ledger->pid = kid->pid;
	kid->ledger->generation = kid->generation;
	return 0;
}

static int make_wire(struct keeper *kid, struct birth *b)
{
	int code = make_pair(&b->fd[WIRE_CHILD_REQUESTS], &kid->requests)
			   ?: make_pair(&b->fd[WIRE_CHILD_EVENTS], &kid->events);

	if (code)
		return code;
	kid->bulk = make_memfd("dtproc-bulk", 4096);
	b->fd[WIRE_CHILD_LEDGER] = make_memfd("dtproc-ledger", WIRE_LEDGER_BYTES);
	if (kid->bulk < 0 || make_ledger(kid, b->fd[WIRE_CHILD_LEDGER]))
		return DTPROC_ESYS;
	b->fd[WIRE_CHILD_PIDFD] = (int)syscall(SYS_pidfd_open, kid->pid, 0);
	return b->fd[WIRE_CHILD_PIDFD] < 0
		       ? err_errno(DTPROC_ESYS, errno, "pidfd of %d", kid->pid)
		       : 0;
}

void adopt_close(struct birth *b)
{
	for (size_t i = 0; i < WIRE_CHILD_FDS; i++)
		clean_fd(&b->fd[i]);
}

/* --------------------------------------------------------------------- a new victim */

/* Slots that are not taken yet; in the others may lie the guard. */
static void inherit_areas(struct keeper *kid, const struct keeper *k)
{
	for (size_t i = 0; i < k->areas.n; i++) {
		struct slot_area a = {.base = k->areas.at[i].base,
			.slots = k->areas.at[i].slots,
			.next = k->areas.at[i].next};
		if (vec_push(&kid->areas, a))
			return; /* it gets others */
	}
}

/* What a copy of the parent's memory has in the same place. */
static void inherit(struct keeper *kid, const struct keeper *k)
{
	inherit_areas(kid, k);
	kid->syscall_pc = k->syscall_pc;
	kid->call_at = k->call_at;
	kid->no_inject = k->no_inject;
	kid->trap_handled = k->trap_handled;
	kid->trap_noted = k->trap_noted;
	kid->trap_action = k->trap_action;
	kid->scratch = k->scratch;
	kid->guard = k->guard;
	kid->guard.current = 0;
	kid->ledger->guard = kid->guard.set ? kid->guard.code : 0;
}

static struct keeper *make_kid(struct keeper *k, pid_t pid)
{
	struct keeper *kid = calloc(1, sizeof *kid);

	if (!kid)
		return NULL;
	kid->pid = pid;
	kid->followed = kid->follow = 1;
	kid->requests = kid->events = kid->bulk = kid->mem = kid->maps = kid->victim =
		kid->profile.fd = -1;
	kid->generation = 1;
	kid->held = 1;
	kid->deadline_ms = k->deadline_ms;
	kid->react_ms = k->react_ms;
	kid->out = output_ref(k->out);
	return kid;
}

/* The task goes over as it is. */
static int move_task(struct keeper *k, struct task *t, struct keeper *kid)
{
	struct task *to = task_add(kid, t->tid, t->tgid);

	if (!to)
		return DTPROC_ENOMEM;
	*to = *t;
	to->sharer = 0;
	to->waits = 0;
	to->repeat_pc = 0;
	task_drop(k, t->tid);
	return 0;
}

static void take_up(struct keeper *k, struct keeper *kid, int mem, enum adopt how)
{
	kid->mem = mem;
	if (how == ADOPT_FORKED)
		inherit(kid, k);
	else
		inject_probe(kid);
	keeper_state(kid, WIRE_ST_IDLE);
	kid->born_until = now_ns() + (k->late ? 0 : k->react_ms * 1000000ull);
}

static int introduce(struct keeper *k, struct task *t, struct keeper *kid, int mem,
	enum adopt how, struct birth *b)
{
	int code = make_wire(kid, b);

	if (!code && vec_reserve((void **)&k->ev.births.at, &k->ev.births.room,
			     k->ev.births.n + 1, sizeof *b))
		code = err_nomem("a birth");
	if (!code && how == ADOPT_FORKED)
		stops_normalize(k, t);
	if (!code)
		code = kin_add(kid);
	if (!code && (code = move_task(k, t, kid)))
		kid->finished = 1; /* it has nothing, and goes at the next sweep */
	if (!code)
		take_up(k, kid, mem, how);
	return code;
}

int adopt_child(struct keeper *k, struct task *t, int mem, enum adopt how)
{
	pid_t tid = t->tid;
	struct keeper *kid = k->react_ms ? make_kid(k, tid) : NULL;
	struct birth b = {.kid = kid};
	int code;

	if (!kid)
		return err_nomem("a child");
	for (size_t i = 0; i < WIRE_CHILD_FDS; i++)
		b.fd[i] = -1;
	code = introduce(k, t, kid, mem, how, &b);
	if (code) {
		adopt_close(&b);
		if (!kid->finished)
			kin_free(kid);
		return code;
	}
	/* It is not to end with us, as one that was created is. */
	pt_set_options(tid, pt_options);
	k->ev.births.at[k->ev.births.n++] = b;
	STEP(CHILD_ADOPTED);
	log_line("adopt", 1, "pid %d: child %d is followed", k->pid, tid);
	return 0;
}

/* ---------------------------------------------------------------------------- telling */

int adopt_tell(struct keeper *k, struct wire_event *e, int fds[WIRE_CHILD_FDS])
{
	if (!k->ev.births.n)
		return 0;
	const struct birth *b = &k->ev.births.at[0];
	memcpy(fds, b->fd, sizeof b->fd);
	fds[WIRE_CHILD_BULK] = b->kid->bulk;
	/* One whose next image could not be opened is lost, and will say so. */
	fds[WIRE_CHILD_MEM] = b->kid->mem >= 0 ? b->kid->mem : b->kid->bulk;
	e->kind = WIRE_EV_CHILD;
	e->tid = b->kid->pid;
	e->code = (int)b->kid->state;
	e->generation = b->kid->generation;
	return 1;
}

void adopt_told(struct keeper *k)
{
	adopt_close(&k->ev.births.at[0]);
	memmove(k->ev.births.at, k->ev.births.at + 1,
		--k->ev.births.n * sizeof *k->ev.births.at);
}

int adopt_expire(struct keeper *kid)
{
	uint64_t now = kid->born_until ? now_ns() : 0;

	if (!kid->born_until || kid->state != WIRE_ST_IDLE)
		return -1;
	if (now < kid->born_until || !RULE(E5, deadline))
		return (int)((kid->born_until - now) / 1000000 + 1);
	err_set(DTPROC_ETIMEOUT,
		"pid %d: no reaction to its birth within %u ms: it went on, and what it did "
		"before there were probes is not traced",
		kid->pid, kid->react_ms);
	events_error(kid);
	serve_continue(kid);
	return -1;
}
