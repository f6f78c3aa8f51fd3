/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stops of tasks: dealing with each, stopping all, letting all go.
 *
 * A task that is being stopped may report something else first: a hit, a signal, a fork.
 * That is dealt with as always and the task is left where it is; the interrupt shows
 * itself as one more stop later, which is harmless.  A trap can also have been hit
 * *behind* the stop that is reported first; then the task is resumed until it tells
 * (docs/LINUX-FACTS.md, "Letting go without killing"): it runs no instruction on the way.
 *
 * Tasks that wait in the kernel for their vfork child, and a leader that has ended while
 * other threads live, never report; they cannot execute anything either and count as
 * stopped.
 */
#include "keeper.h"
#include "kin.h"
#include "ptrace.h"

#include <base/end.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a silent task is waited for before /proc is asked why, in ns. */
#define SILENT_NS 5000000u

void keeper_state(struct keeper *k, enum wire_state state)
{
	if (k->state != state)
		log_line("keeper", 1, "pid %d: %s -> %s", k->pid,
			wire_state_name(k->state), wire_state_name(state));
	k->state = state;
	k->ledger->state = state;
}

/* ------------------------------------------------------------ resuming one */

/* Sends a task past the trap that it has hit.  0; 1: it must be stepped. */
static int go_past(struct keeper *k, struct task *t)
{
	struct site *s = site_get(k, t->skip);
	uint64_t pc;

	if (!s || !s->planted || pt_peek_user(t->tid, arch_user_offset(ARCH_PC), &pc) ||
		pc != t->skip) {
		t->skip = 0;
		return 0;
	}
	if (s->way != ARCH_SLOT || !s->slot)
		return 1;
	pt_poke_user(t->tid, arch_user_offset(ARCH_PC), s->slot);
	t->skip = 0;
	return 0;
}

void task_resume(struct keeper *k, struct task *t)
{
	int sig = t->sig;

	if (t->run != TASK_STOPPED || t->waits)
		return;
	if (t->skip && go_past(k, t)) {
		k->held = 2; /* wanted: a stop of all, so that it can be stepped */
		return;
	}
	t->sig = 0;
	t->at_event = 0;
	if (t->listen) {
		t->run = TASK_LISTENS;
		pt_listen(t->tid);
		return;
	}
	t->run = TASK_RUNS;
	pt_cont(t->tid, sig);
}

/* ------------------------------------------------------- dealing with one stop */

/* Somebody else stopped the victim, or let it go on. */
static void job_change(struct keeper *k, int sig)
{
	if (k->stopped_by == sig)
		return;
	k->stopped_by = (uint8_t)sig;
	k->ev.want_job = RULE(G2, told);
	if (sig && k->state == WIRE_ST_RUN)
		keeper_state(k, WIRE_ST_STOPPED);
	else if (!sig && k->state == WIRE_ST_STOPPED)
		keeper_state(k, WIRE_ST_RUN);
}

void stops_group(struct keeper *k, struct task *t, int sig)
{
	int was_listening = t->listen;

	t->listen = sig != SIGTRAP && RULE(G1, listen);
	if (!t->sharer && t->listen)
		job_change(k, sig);
	else if (!t->sharer && was_listening)
		job_change(k, 0);
}

static void on_event_stop(struct keeper *k, struct task *t, int sig)
{
	t->sig = 0;
	t->at_event = 1;
	stops_group(k, t, sig);
	if (!pt_get_mask(t->tid, &t->mask))
		t->mask_known = 1;
	if (RULE(D4, interrupt))
		signal_mend_call(k, t);
	profile_sample(k, t);
	if (k->held && RULE(H5, pending) && pt_trap_pending(t->tid)) {
		t->run = TASK_RUNS;
		t->at_event = 0;
		pt_cont(t->tid, 0);
	}
}

static int is_kernel_trap(pid_t tid)
{
	siginfo_t si;

	return !pt_get_siginfo(tid, &si) && si.si_code == SI_KERNEL;
}

/* Is the SIGTRAP that a task reports our doing?  *site: whose, or NULL: a former one. */
static int is_ours(
	struct keeper *k, struct task *t, dtproc_addr *addr, struct site **site)
{
	uint64_t pc;
	uint8_t byte;

	if (pt_peek_user(t->tid, arch_user_offset(ARCH_PC), &pc))
		return 0;
	*addr = pc - ARCH_TRAP_LEN;
	*site = site_get(k, *addr);
	/* Someone may kill(SIGTRAP) at that PC by chance, but none is behind r_brk. */
	if (*site && (*site)->ready)
		return ((*site)->planted &&
			       ((*site)->len > 1 || *addr == k->linker.brk)) ||
		       is_kernel_trap(t->tid);
	*site = NULL;
	if (!hash_get(&k->former, *addr) || !is_kernel_trap(t->tid))
		return 0;
	return sites_read(k, *addr, &byte, 1) == 1 && byte != ARCH_TRAP;
}

/* A trap that nobody knows here: has text of ours been moved? */
static int is_moved(struct keeper *k, struct task *t)
{
	uint64_t pc;
	uint8_t byte = ARCH_TRAP;
	int near = 0;

	if (!is_kernel_trap(t->tid) ||
		pt_peek_user(t->tid, arch_user_offset(ARCH_PC), &pc))
		return 0;
	pc -= ARCH_TRAP_LEN;
	hash_each(&k->sites, i)
		near |= ((k->sites.slots[i].key ^ pc) & 4095) == 0;
	if (!near)
		return 0;
	sites_verify(k);
	if (pread(k->mem, &byte, 1, (off_t)pc) != 1 || byte == ARCH_TRAP)
		return 0;
	return !pt_poke_user(t->tid, arch_user_offset(ARCH_PC), pc);
}

static void on_trap(struct keeper *k, struct task *t)
{
	struct site *s;
	dtproc_addr addr;

	if (t->stepping && step_ended(k, t)) {
		t->sig = 0;
		stops_normalize(k, t);
		return;
	}
	if (!is_ours(k, t, &addr, &s)) {
		if (is_moved(k, t))
			t->sig = 0;
		else if (RULE(D3, trap))
			signal_dispatch(k, t, SIGTRAP);
		return;
	}
	STEP(HIT_SEEN);
	t->sig = 0;
	if (s)
		hit_dispatch(k, t, s);
	else /* removed between the hit and its report: as if it had never been there */
		pt_poke_user(t->tid, arch_user_offset(ARCH_PC), addr);
	signal_mend_trap(k, t);
	if (s && addr == k->linker.brk && !t->sharer)
		linker_hit(k, t);
}

static void tell_end(struct keeper *k, int status)
{
	char text[WIRE_TEXT_MAX];

	end_text(k->pid, status, text, sizeof text);
	if (WIFEXITED(status))
		events_end(k, WIRE_EV_EXITED, WEXITSTATUS(status), text);
	else
		events_end(k, WIRE_EV_KILLED, status & 0xff, text);
}

/* As DTrace's proc:::exit has it: reason, and what we add, status or signal. */
static void fire_exit(struct keeper *k, struct task *t, int status)
{
	struct moment m = {.args = {CLD_EXITED, (uint64_t)WEXITSTATUS(status)}};

	if (WIFSIGNALED(status)) {
		m.args[0] = WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED;
		m.args[1] = (uint64_t)WTERMSIG(status);
	}
	moment_fire(k, t, WIRE_MOMENT_EXIT, &m);
}

/*
 * A process has ended, or a thread of one.  A first thread that had ended before the grab
 * is not ours to wait for; then the last of the others tells how the process went (but
 * not while they are still being seized).
 */
static void on_end(struct keeper *k, pid_t tid, int status)
{
	struct task *t = task_get(k, tid), gone = t ? *t : (struct task){0};

	if (!t) /* killed before its first stop */
		family_birth(k, tid, FAMILY_SEEN);
	task_drop(k, tid);
	if (!t || gone.sharer)
		return;
	moment_fire(k, &gone, WIRE_MOMENT_LWP_EXIT, &(struct moment){0});
	if (tid != k->pid && (k->state == WIRE_ST_START || tasks_left(k)))
		return;
	fire_exit(k, &gone, status);
	if (RULE(H6, told))
		tell_end(k, status);
}

static void on_stop(struct keeper *k, struct task *t, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;

	t->run = TASK_STOPPED;
	t->at_event = 0;
	t->vforking = 0;
	if (event != PTRACE_EVENT_STOP) /* any stop takes the place of the interrupt's */
		profile_sample(k, t);
	if (event == PTRACE_EVENT_STOP)
		on_event_stop(k, t, sig);
	else if (event)
		family_dispatch(k, t, event);
	else if (sig == SIGTRAP)
		on_trap(k, t);
	else if (sig != (SIGTRAP | 0x80))
		signal_dispatch(k, t, sig);
}

void stops_dispatch(struct keeper *k, const struct wait_event *ev)
{
	struct keeper *owner = kin_owner(k, ev);

	if (owner)
		stops_deal(owner, ev);
}

void stops_deal(struct keeper *k, const struct wait_event *ev)
{
	struct task *t = task_get(k, ev->tid);

	if (!WIFSTOPPED(ev->status)) {
		on_end(k, ev->tid, ev->status);
		wait_reap(ev);
		return;
	}
	if (!t) {
		family_newborn(k, ev->tid, ev->status);
		t = task_get(k, ev->tid);
	}
	if (t)
		on_stop(k, t, ev->status);
	t = task_get(k, ev->tid); /* it may have been let go */
	if (t && !k->held)
		task_resume(k, t);
	if (t && t->run == TASK_STOPPED)
		wait_take(t->tid);
}

/* --------------------------------------------------------------- all tasks */

void stops_normalize(struct keeper *k, struct task *t)
{
	uint64_t pc, sp = 0, nr = 0;
	dtproc_addr at;

	if (pt_peek_user(t->tid, arch_user_offset(ARCH_PC), &pc))
		return;
	struct site *s = site_of_slot(k, pc, &at);
	if (!s)
		return;
	pt_poke_user(t->tid, arch_user_offset(ARCH_PC), at);
	if (pc == s->slot) {
		t->skip = s->addr;
		return;
	}
	pt_peek_user(t->tid, arch_user_offset(ARCH_SYSCALL), &nr);
	if (s->syscall && (int64_t)nr >= 0) { /* the kernel may restart it at the site */
		pt_peek_user(t->tid, arch_user_offset(ARCH_SP), &sp);
		t->repeat_pc = s->addr;
		t->repeat_sp = sp;
	}
}

/* The system call that a thread is in; -1: none, or it cannot be told. */
static long call_of(pid_t tid)
{
	char path[64], text[256] = "";
	long nr;

	snprintf(path, sizeof path, "/proc/%d/syscall", tid);
	CLEAN_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	return read(fd, text, sizeof text - 1) > 0 && sscanf(text, "%ld", &nr) == 1 ? nr
										    : -1;
}

/* Will it never report: gone, or waiting for a vfork child? */
static int is_quiet(pid_t tid)
{
	char state = task_state(tid);
	long nr = state == 'D' ? call_of(tid) : -1;

	return state == 'Z' || state == 'X' || nr == SYS_vfork || nr == SYS_clone ||
	       nr == SYS_clone3;
}

static unsigned count_running(struct keeper *k)
{
	unsigned n = k->unborn;

	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		n += t->run != TASK_STOPPED && !t->vforking;
	}
	return n;
}

static void find_quiet(struct keeper *k)
{
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (t->run != TASK_STOPPED && !t->vforking)
			t->vforking = (uint8_t)is_quiet(t->tid);
	}
}

static void interrupt_all(struct keeper *k)
{
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (t->run == TASK_STOPPED || t->vforking)
			continue;
		t->run = TASK_RUNS;
		pt_interrupt(t->tid);
	}
}

/* Waits until nothing runs; 0, or DTPROC_ETIMEOUT. */
static int await_all(struct keeper *k, uint64_t deadline)
{
	uint64_t ask_at = now_ns() + SILENT_NS;
	struct wait_event ev;
	int got;

	for (;;) {
		while ((got = wait_any(&ev)) > 0)
			stops_dispatch(k, &ev);
		if (!count_running(k))
			return 0;
		uint64_t now = now_ns();
		if (now >= ask_at) {
			if (RULE(B7, vfork))
				find_quiet(k);
			ask_at = now + SILENT_NS;
			if (!count_running(k))
				return 0;
		}
		if (got < 0 || now >= deadline)
			return DTPROC_ETIMEOUT;
		wait_sleep(ask_at < deadline ? ask_at : deadline);
	}
}

static int name_running(struct keeper *k)
{
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (t->run != TASK_STOPPED && !t->vforking)
			return err_set(DTPROC_ETIMEOUT,
				"pid %d: thread %d could not be stopped within %d ms "
				"(it may be in an uninterruptible sleep); the victim runs on",
				k->pid, t->tid, k->deadline_ms);
	}
	return err_set(DTPROC_ETIMEOUT, "pid %d could not be stopped", k->pid);
}

static void normalize_all(struct keeper *k)
{
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (t->run == TASK_STOPPED && RULE(D6, look))
			stops_normalize(k, t);
	}
}

int stops_try_hold(struct keeper *k)
{
	int code = 0;

	if (k->held == 1)
		return 0;
	k->held = 1;
	k->pause_from = now_ns();
	interrupt_all(k);
	if (await_all(k, k->pause_from + (uint64_t)k->deadline_ms * 1000000u))
		code = name_running(k);
	normalize_all(k);
	return code;
}

int stops_hold(struct keeper *k)
{
	int code = stops_try_hold(k);

	if (code)
		stops_release(k);
	return code;
}

static void resume_all(struct keeper *k)
{
	k->held = 0;
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (t->run == TASK_STOPPED) {
			task_resume(k, t);
			STEP(RESUME_ONE);
		}
	}
	STEP(RESUME_DONE);
	k->ledger->pause_ns = now_ns() - k->pause_from;
	k->ledger->pauses++;
}

void stops_release(struct keeper *k)
{
	if (k->state != WIRE_ST_GONE) {
		step_all(k);
		sites_plant(k);
		STEP(PLANT_DONE);
		profile_set(k);
	}
	resume_all(k);
}
