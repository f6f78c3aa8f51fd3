/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork, vfork, clone and exec (F1, F2, F4).
 *
 * A child is born traced and stopped.  One with a copy of the victim's memory gets the
 * original bytes back and is let go before it has executed anything.  One that shares
 * the memory becomes a sharer, which is sent past our traps uncounted until it executes
 * another program or exits.
 */
#include "keeper.h"
#include "kin.h"
#include "ptrace.h"
#include "unwind.h"

#include <base/same.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a child may take to its first stop before its parent goes on, in ns. */
#define BIRTH_NS 1000000000u

pid_t tgid_of(pid_t tid)
{
	return (pid_t)task_status(tid, "Tgid:");
}

/* Zombies and kernel threads have no memory, and so all "the same". */
static int has_memory(pid_t tid)
{
	char path[64], exe[8];

	snprintf(path, sizeof path, "/proc/%d/exe", tid);
	return readlink(path, exe, sizeof exe) >= 0;
}

int shares_memory(pid_t live, pid_t pid)
{
	return same_memory(live, pid) && has_memory(pid);
}

pid_t live_tid(struct keeper *k)
{
	if (has_memory(k->pid))
		return k->pid;
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (!t->sharer && has_memory(t->tid))
			return t->tid;
	}
	return k->pid;
}

int open_mem(struct keeper *k, pid_t pid, const char *what)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	unsigned short_of = 0;
	for (int tries = 0; tries < 50; tries++) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 || (errno != ESRCH && (errno != EACCES || tries > 4) &&
				       !retry_after(errno, &short_of)))
			break;
		usleep(200); /* exec in progress: see docs/LINUX-FACTS.md */
	}
	if (fd < 0)
		err_errno(errno == EACCES || errno == EPERM ? DTPROC_EUNOBSERVABLE
							    : DTPROC_ESYS,
			errno, "pid %d: memory of %s", k->pid, what);
	return fd;
}

/* ------------------------------------------------------------------- children */

/* A child that is not dumpable hides its memory from us: it is made so for a moment. */
static int open_hidden(struct keeper *k, struct task *t)
{
	const uint64_t on[6] = {PR_SET_DUMPABLE, 1}, off[6] = {PR_SET_DUMPABLE, 0};

	if (k->no_inject || inject_call_by(k, t, SYS_prctl, on) != 0)
		return -1;
	int fd = open_mem(k, t->tgid, "a child");
	inject_call_by(k, t, SYS_prctl, off);
	return fd;
}

/*
 * Gives a child with memory of its own the original text; a descriptor of that memory, or
 * -1: it stays with us and passes over its traps, better than to die of one.
 */
static int clean_child(struct keeper *k, struct task *t)
{
	STEP(FORK_BORN);
	int mem = open_mem(k, t->tgid, "a child");

	t->at_event = 1;
	t->run = TASK_STOPPED;
	if (mem < 0)
		mem = open_hidden(k, t);
	if (mem >= 0)
		semaphores_clean_copy(k, mem);
	if (mem < 0 || (RULE(F2, clean) && sites_clean_copy(k, mem))) {
		log_line("family", 1, "child %d of %d is kept: %s", t->tid, k->pid,
			err_text());
		clean_fd(&mem);
		return -1;
	}
	STEP(FORK_CLEAN);
	return mem;
}

/* It is to be followed, and is; else that is told. */
static int is_followed(struct keeper *k, struct task *t, int mem, enum adopt how)
{
	char why[WIRE_TEXT_MAX / 2];
	pid_t tid = t->tid;

	if (!k->follow || k->client_gone || !RULE(F3, adopt))
		return 0;
	if (mem >= 0 && !adopt_child(k, t, mem, how))
		return 1;
	snprintf(why, sizeof why, "%s", err_text());
	err_set(DTPROC_ESYS, "pid %d: child %d is not followed: %s", k->pid, tid, why);
	events_error(k);
	return 0;
}

/* A child with memory of its own, at its first instruction. */
static void let_child_go(struct keeper *k, struct task *t)
{
	pid_t tid = t->tid;
	int mem = clean_child(k, t);

	if (is_followed(k, t, mem, ADOPT_FORKED) || mem < 0)
		return;
	close(mem);
	task_drop(k, tid);
	pt_detach(tid, 0);
}

void family_birth(struct keeper *k, pid_t tid, enum family_side side)
{
	enum family_side other =
		(enum family_side)(uintptr_t)hash_take(&k->births, (uint64_t)tid);

	if (other == FAMILY_TOLD)
		k->unborn--;
	if (other && other != side)
		return;
	unsigned tries = 0;
	while (hash_put(&k->births, (uint64_t)tid, (void *)(uintptr_t)side))
		if (!retry_after(ENOMEM, &tries)) {
			log_line("family", 1, "birth of %d: out of memory", tid);
			return;
		}
	if (side == FAMILY_TOLD)
		k->unborn++;
}

static pid_t told_birth(struct keeper *k, struct task *t)
{
	unsigned long child = 0;
	struct wait_event ev;

	if (pt_event_message(t->tid, &child) || !child)
		return 0;
	family_birth(k, (pid_t)child, FAMILY_TOLD);
	if (kin_claim((pid_t)child, &ev))
		stops_deal(k, &ev);
	return (pid_t)child;
}

/* proc:::create, or lwp-create: in the context of the parent. */
static void fire_birth(struct keeper *k, struct task *t, pid_t child)
{
	const struct moment m = {.args = {(uint64_t)child, (uint64_t)t->tgid}};

	if (!moment_wanted(k, WIRE_MOMENT_CREATE) &&
		!moment_wanted(k, WIRE_MOMENT_LWP_CREATE))
		return;
	moment_fire(k, t,
		tgid_of(child) == t->tgid ? WIRE_MOMENT_LWP_CREATE : WIRE_MOMENT_CREATE,
		&m);
}

/*
 * The parent goes on when the child has been let go, and not before: a victim that is a
 * tracer itself would find its child traced.
 */
static void await_birth(struct keeper *k, pid_t child)
{
	struct wait_event ev;

	if (child && hash_get(&k->births, (uint64_t)child) &&
		wait_one(child, BIRTH_NS, &ev) > 0)
		stops_dispatch(k, &ev);
}

void family_newborn(struct keeper *k, pid_t tid, int status)
{
	pid_t tgid = tgid_of(tid);
	struct task *t;

	if (!WIFSTOPPED(status))
		return;
	family_birth(k, tid, FAMILY_SEEN);
	if (tgid < 0)
		tgid = tid;
	t = task_add(k, tid, tgid);
	if (!t) {
		events_error(k);
		pt_detach(tid, 0);
		return;
	}
	t->run = TASK_STOPPED;
	if (tgid == k->pid)
		moment_fire(k, t, WIRE_MOMENT_LWP_START, &(struct moment){0});
	if (tgid == k->pid || (RULE(F2, shared) && shares_memory(live_tid(k), tgid)))
		return;
	let_child_go(k, t);
}

/* ----------------------------------------------------------------------- exec */

static void drop_threads(struct keeper *k, pid_t tgid, pid_t but)
{
	for (int again = 1; again;) {
		again = 0;
		hash_each(&k->tasks, i) {
			struct task *t = k->tasks.slots[i].value;
			if (t->tgid != tgid || t->tid == but)
				continue;
			task_drop(k, t->tid);
			again = 1;
			break;
		}
	}
}

static void forget_image(struct keeper *k)
{
	sites_forget(k);
	linker_forget(k);
	unwind_forget(k);
	k->syscall_pc = k->call_at = 0;
	k->scratch = 0;
	k->trap_handled = k->trap_noted = 0;
	k->generation++;
	k->ledger->generation = k->generation;
	if (k->mem >= 0)
		close(k->mem);
	if (k->maps >= 0)
		close(k->maps);
	k->mem = k->maps = -1;
}

static void lose_victim(struct keeper *k, const char *why)
{
	pt_detach(k->pid, 0);
	task_drop(k, k->pid);
	events_end(k, WIRE_EV_LOST, 0, why);
}

static void victim_executed(struct keeper *k)
{
	struct task *t = task_get(k, k->pid);

	STEP(EXEC_SEEN);
	if (t) /* its sites go with the old image */
		moment_fire(k, t, WIRE_MOMENT_EXEC_SUCCESS, &(struct moment){0});
	drop_threads(k, k->pid, k->pid);
	forget_image(k);
	STEP(EXEC_DONE);
	if (!t)
		return;
	*t = (struct task){.tid = k->pid, .tgid = k->pid, .run = TASK_STOPPED};
	if (RULE(F4, victim) && setid_reexec(k, t)) {
		task_drop(k, k->pid);
		events_end(k, WIRE_EV_LOST, 0,
			"it executes a set-id program, which keeps its privileges only "
			"without us");
		return;
	}
	k->mem = open_mem(k, k->pid, "the program that it executes");
	if (k->mem < 0) {
		lose_victim(k, "it executes a program that cannot be observed");
		return;
	}
	inject_probe(k);
	if (k->state == WIRE_ST_START)
		return;
	k->ev.want_exec = 1;
	events_hold(k, t, WIRE_EV_EXEC);
}

/* A sharer has a memory of its own now. */
static void sharer_executed(struct keeper *k, struct task *t)
{
	pid_t tid = t->tid, tgid = t->tgid;

	drop_threads(k, tgid, tid);
	if (!RULE(F4, child) || !setid_reexec(k, t)) {
		int mem = k->follow ? open_mem(k, tid, "a child") : -1;
		if (is_followed(k, t, mem, ADOPT_EXECUTED))
			return;
		clean_fd(&mem);
		pt_detach(tid, 0);
	}
	task_drop(k, tid);
}

static void on_exec(struct keeper *k, struct task *t)
{
	unsigned long former = 0;

	pt_event_message(t->tid, &former);
	if (former && (pid_t)former != t->tid)
		task_drop(k, (pid_t)former);
	t->tgid = t->tid;
	if (t->tid == k->pid)
		victim_executed(k);
	else
		sharer_executed(k, t);
}

void family_dispatch(struct keeper *k, struct task *t, int event)
{
	pid_t child;

	t->sig = 0;
	switch (event) {
	case PTRACE_EVENT_VFORK:
		t->vforking = 1;
		fire_birth(k, t, told_birth(k, t));
		break;
	case PTRACE_EVENT_FORK:
		child = told_birth(k, t);
		fire_birth(k, t, child);
		await_birth(k, child);
		break;
	case PTRACE_EVENT_CLONE:
		fire_birth(k, t, told_birth(k, t));
		break;
	case PTRACE_EVENT_EXEC:
		on_exec(k, t);
		break;
	default: /* VFORK_DONE */
		break;
	}
}
