/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard: what lets a busy victim outlive its keeper (H4, H5).
 *
 * A trap that is hit when its tracer has been killed means SIGTRAP, which ends a program.
 * So before the first trap is planted, the victim gets a handler for it: a small piece
 * of code among the slots (arch/) with a sorted table of sites, which puts the text back,
 * or sends the thread on in the site's slot.  While the keeper lives it sees every trap
 * first, and the handler never runs.  Stops are not taken from the kernel before they are
 * dealt with (wait.c), so that a trap in our hands goes to the handler too.
 *
 * It is seen by a program that asks for its action of SIGTRAP, and by nobody else; a
 * program that has one of its own keeps that and gets no guard, nor does a created
 * victim, which is to end with its keeper.  A trap hit by a thread that blocks SIGTRAP
 * makes the kernel drop the handler.  It is taken out when the victim is let go.
 * Children that are forked meanwhile keep it; there it does what the default would.
 *
 * Not promised: a site without a slot in text that cannot be, or may stay, writable.
 */
#include "keeper.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In the data: what rt_sigaction reads and writes, the lock, the table. */
#define ACTION_NEW 0
#define ACTION_OLD (sizeof(struct arch_action))
#define TABLE (2 * sizeof(struct arch_action) + sizeof(uint64_t))
#define PAGE 4096u

static int put(struct keeper *k, dtproc_addr at, const void *bytes, size_t n)
{
	return pwrite(k->mem, bytes, n, (off_t)at) == (ssize_t)n ? 0 : -1;
}

/* Data with room for a table of `n`. */
static int make_room(struct keeper *k, size_t n)
{
	size_t size = TABLE + 2 * n * sizeof(struct arch_guard_entry);

	if (n <= k->guard.room)
		return 0;
	size = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
	const uint64_t args[6] = {0, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0};
	long got = inject_call(k, SYS_mmap, args);
	if (got < 0 && got > -4096)
		return -1;
	k->guard.data = (dtproc_addr)got;
	k->guard.room = (uint32_t)((size - TABLE) / sizeof(struct arch_guard_entry));
	return 0;
}

/* Sets the action for SIGTRAP of one process; *old: what it was. */
static int set_action(struct keeper *k, struct task *t, const struct arch_action *action,
	struct arch_action *old)
{
	const dtproc_addr from = k->guard.data + ACTION_NEW,
			  to = k->guard.data + ACTION_OLD;
	const uint64_t args[6] = {SIGTRAP, from, to, sizeof action->mask};

	if (put(k, from, action, sizeof *action) ||
		inject_call_by(k, t, SYS_rt_sigaction, args))
		return -1;
	return pread(k->mem, old, sizeof *old, (off_t)to) == (ssize_t)sizeof *old ? 0
										  : -1;
}

int guard_is(struct keeper *k, const struct arch_action *a)
{
	const size_t head = sizeof(struct arch_guard_head);
	uint8_t code[1024];
	size_t n = ARCH_GUARD_BYTES;

	return n <= sizeof code &&
	       pread(k->mem, code, n, (off_t)arch_guard_of(a)) == (ssize_t)n &&
	       !memcmp(code + head, arch_guard_code + head, n - head);
}

/* The same, but an action of the program's own stays. */
static int replace(struct keeper *k, struct task *t, const struct arch_action *action)
{
	struct arch_action old, none;
	pid_t tid = t->tid;

	if (set_action(k, t, action, &old))
		return -1;
	if (!old.handler || guard_is(k, &old))
		return 0;
	if ((t = task_get(k, tid)))
		set_action(k, t, &old, &none);
	return -1;
}

/* Each process with the victim's memory has actions of its own; 0: the victim's is set.
 */
static int replace_all(struct keeper *k, const struct arch_action *action)
{
	struct task *t = inject_task(k);
	VEC(pid_t) sharers = {0};
	int code = t ? replace(k, t, action) : -1;

	hash_each(&k->tasks, i) {
		t = k->tasks.slots[i].value;
		if (t->sharer && t->tid == t->tgid && vec_push(&sharers, t->tid))
			break;
	}
	for (size_t i = 0; i < sharers.n; i++)
		if ((t = task_get(k, sharers.at[i])) && t->run == TASK_STOPPED &&
			!t->vforking)
			replace(k, t, action);
	vec_free(&sharers);
	return code;
}

/* ------------------------------------------------------------------------ the table */

static int is_ready(const struct site *s)
{
	return s->ready;
}

static int write_table(struct keeper *k, struct site **s, size_t n)
{
	struct arch_guard_head head = {.table = k->guard.data + TABLE, .count = n};
	CLEAN_FREE struct arch_guard_entry *e = calloc(n, sizeof *e);

	for (size_t i = 0; e && i < n; i++)
		e[i] = (struct arch_guard_entry){.addr = s[i]->addr,
			.slot = s[i]->slot,
			.orig = s[i]->writable ? 0 : s[i]->orig[0]};
	return !e || put(k, k->guard.data + TABLE, e, n * sizeof *e) ||
	       put(k, k->guard.code, &head, sizeof head);
}

/* Has the table tell of all sites; 0, or there is no table. */
static int fill_table(struct keeper *k)
{
	struct site **s = NULL;
	size_t n = 0;
	int code = -1;

	if (!sites_sorted(k, is_ready, &s, &n) && n && !make_room(k, n))
		code = write_table(k, s, n);
	free(s);
	k->guard.current = !code;
	return code;
}

/* ------------------------------------------------------------------- setting, taking */

static int make_code(struct keeper *k)
{
	if (k->guard.code)
		return 0;
	k->guard.code = slots_take_room(k, ARCH_GUARD_BYTES);
	if (!k->guard.code)
		return -1;
	return put(k, k->guard.code, arch_guard_code, ARCH_GUARD_BYTES);
}

/* A victim that is to have none, or cannot. */
static int is_without(const struct keeper *k)
{
	return k->created || k->no_inject || k->trap_handled;
}

int guard_fits(struct keeper *k)
{
	return is_without(k) || (k->guard.set && k->sites.n <= k->guard.room);
}

void guard_set(struct keeper *k)
{
	if (is_without(k))
		return;
	if (k->guard.set && k->guard.current)
		return;
	if (make_code(k) || fill_table(k) || k->guard.set)
		return;
	const struct arch_action action = arch_guard_action(k->guard.code);
	k->guard.set = !replace_all(k, &action);
	k->ledger->guard = k->guard.set ? k->guard.code : 0;
	log_line("guard", 1, "pid %d: guard at %#lx: %s", k->pid,
		(unsigned long)k->guard.code, k->guard.set ? "set" : "not set");
}

void guard_step(struct keeper *k, pid_t tid, uint64_t mask)
{
	const uint64_t values[2] = {mask, (uint64_t)tid};

	if (k->guard.set)
		put(k, k->guard.code + offsetof(struct arch_guard_head, mask), values,
			sizeof values);
}

void guard_remove(struct keeper *k)
{
	const struct arch_action none = {0};

	if (!k->guard.set || k->state == WIRE_ST_GONE || make_room(k, 1))
		return;
	k->guard.set = 0;
	k->ledger->guard = 0;
	replace_all(k, &none);
}
