/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile-N: the threads of the victim that are on a CPU at each tick.
 *
 * TICKS.  A program with an interval is due at its multiples on the monotonic clock, so
 * those of one rate are due together.  A timer wakes the keeper for the next one.  What
 * looking around costs is waited for three times over, so that it takes a quarter of a
 * CPU at the most.
 *
 * WHO RUNS.  The state R of a thread says that it runs or waits for a CPU.  How long it
 * did either of late the kernel tells (schedstat): of the ticks at which it is R as large
 * a share is taken as it was running, the rest is carried on; so are ticks that passed
 * while the keeper was late.
 *
 * SAMPLES.  Such a thread is interrupted, and the programs run at its stop.  A thread
 * that sleeps is left alone.  One that goes to sleep just then has its system call made
 * again (signal_mend_call()).
 */
#include "keeper.h"
#include "ptrace.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define WHOLE 1024u
#define CARRY_MAX 16u /* samples that can be made up for */
#define PATIENCE 3u   /* times what a look around costs */

/* The first tick of any program behind `now`; 0: there is none. */
static uint64_t next_tick(struct keeper *k, uint64_t now)
{
	struct site *s = site_get(k, WIRE_MOMENTS + WIRE_MOMENT_PROFILE);
	uint64_t next = 0;

	k->profile.interval = UINT64_MAX;
	for (size_t i = 0; s && i < s->users.n; i++) {
		uint64_t interval = place_interval(s->users.at[i].place);
		uint64_t at = interval ? (now / interval + 1) * interval : 0;

		if (at && (!next || at < next))
			next = at;
		if (interval && interval < k->profile.interval)
			k->profile.interval = interval;
	}
	return next;
}

static void set_timer(struct keeper *k, uint64_t after)
{
	struct itimerspec t = {0};

	k->profile.tick = next_tick(k, after);
	if (!k->profile.tick && k->profile.fd < 0)
		return;
	if (k->profile.fd < 0)
		k->profile.fd =
			timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	t.it_value.tv_sec = (time_t)(k->profile.tick / 1000000000u);
	t.it_value.tv_nsec = (long)(k->profile.tick % 1000000000u);
	if (k->profile.fd < 0 ||
		timerfd_settime(k->profile.fd, TFD_TIMER_ABSTIME, &t, NULL)) {
		err_errno(DTPROC_ESYS, errno, "a timer for profile probes");
		events_error(k);
		k->profile.tick = 0;
	}
}

void profile_set(struct keeper *k)
{
	if (!k->profile.tick)
		set_timer(k, now_ns());
}

/* What a thread ran, and waited for a CPU, since it was last asked. */
static void look_at(struct task *t)
{
	struct task_share *s = &t->share;
	uint64_t run, wait;

	if (task_times(t->tid, &run, &wait))
		return;
	if (s->known) {
		s->run = s->run * 7 / 8 + (run - s->run_until);
		s->wait = s->wait * 7 / 8 + (wait - s->wait_until);
	}
	s->known = 1;
	s->run_until = run;
	s->wait_until = wait;
}

/* A thread is R at a tick: the share of it that it was running is carried on. */
static void carry_on(struct task *t, uint32_t ticks)
{
	struct task_share *s = &t->share;
	uint64_t share = WHOLE;

	if (!s->known)
		s->carry = WHOLE - 1;
	look_at(t);
	if (s->run + s->wait)
		share = s->run * WHOLE / (s->run + s->wait);
	s->carry += (uint32_t)share * ticks;
	if (s->carry > CARRY_MAX * WHOLE)
		s->carry = CARRY_MAX * WHOLE;
}

/* How many ticks have passed since threads were looked at: it is late at times. */
static uint32_t ticks_passed(struct keeper *k)
{
	uint64_t now = now_ns(), i = k->profile.interval;
	uint64_t n = k->profile.looked ? (now - k->profile.looked + i / 2) / i : 1;

	k->profile.looked = now;
	return n < 1 ? 1 : n > CARRY_MAX ? CARRY_MAX : (uint32_t)n;
}

static void interrupt_running(struct keeper *k)
{
	uint32_t ticks = ticks_passed(k);

	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;

		if (t->run != TASK_RUNS || t->sharer || t->vforking ||
			task_state(t->tid) != 'R')
			continue;
		carry_on(t, ticks);
		if (t->sample_at || t->share.carry < WHOLE)
			continue;
		t->share.carry -= WHOLE;
		t->sample_at = k->profile.tick;
		pt_interrupt(t->tid);
	}
}

static uint64_t own_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void profile_tick(struct keeper *k)
{
	uint64_t from = own_cpu_ns(), ticks;

	if (read(k->profile.fd, &ticks, sizeof ticks) != sizeof ticks)
		return;
	if (k->state == WIRE_ST_RUN && !k->held && k->profile.tick)
		interrupt_running(k);
	set_timer(k, now_ns() + PATIENCE * (own_cpu_ns() - from));
}

/* The PC as the program has it: not in a slot, nor behind a trap that is still to come.
 */
static uint64_t pc_of(struct keeper *k, struct task *t)
{
	uint64_t pc = 0;
	dtproc_addr at;

	pt_peek_user(t->tid, arch_user_offset(ARCH_PC), &pc);
	if (site_of_slot(k, pc, &at))
		return at;
	struct site *s = site_get(k, pc - ARCH_TRAP_LEN);

	return s && s->planted && s->len > ARCH_TRAP_LEN ? s->addr : pc;
}

void profile_sample(struct keeper *k, struct task *t)
{
	struct moment m = {.args = {0}};

	if (!t->sample_at)
		return;
	m.args[1] = pc_of(k, t);
	if (!t->listen && k->state == WIRE_ST_RUN)
		moment_fire(k, t, WIRE_MOMENT_PROFILE, &m);
	t->sample_at = 0;
}
