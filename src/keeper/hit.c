/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trap was hit: run its programs, note its event, send the thread past it.
 *
 * The hot path of a plain probe costs three requests to the kernel, PC, text and PC
 * again, and the resume; registers are read when a program asks for them.
 */
#include "keeper.h"
#include "kin.h"
#include "ptrace.h"
#include "unwind.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------- what a program may ask (rt_host) */

struct cookie {
	struct keeper *k;
	struct task *t;
	struct site *s;
	uint64_t signals;            /* to be sent: bit N - 1 is signal N */
	const struct moment *moment; /* NULL: at a place */
	const struct place *place;   /* of the user whose program runs */
};

static int host_reg(void *cookie, unsigned reg, uint64_t *out)
{
	struct cookie *c = cookie;
	int is_dtrace = (reg & RT_UREG) != 0;
	long offset =
		is_dtrace ? arch_ureg_offset(reg & ~RT_UREG) : arch_user_offset(reg);

	/* Behind the trap it would be; what the program sees is its place. */
	if (offset >= 0 && offset == arch_user_offset(ARCH_PC) && !c->moment) {
		*out = c->s->addr;
		return 0;
	}
	return offset < 0 ? -1 : pt_peek_user(c->t->tid, offset, out);
}

#define TEXT_ROOM 4096u /* behind a text lie zeros */

static int load_text(const char *text, uint64_t at, void *buf, size_t len)
{
	size_t n = strlen(text);

	if (at > TEXT_ROOM || len > TEXT_ROOM - at)
		return -1;
	memset(buf, 0, len);
	if (at < n)
		memcpy(buf, text + at, n - at < len ? n - at : len);
	return 0;
}

static int host_load(void *cookie, uint64_t addr, void *buf, size_t len)
{
	struct cookie *c = cookie;

	if (c->moment && c->moment->text && addr >= WIRE_MOMENT_TEXT)
		return load_text(c->moment->text, addr - WIRE_MOMENT_TEXT, buf, len);
	return sites_read(c->k, addr, buf, len) == (long)len ? 0 : -1;
}

static int host_arg(void *cookie, unsigned n, uint64_t *out)
{
	struct cookie *c = cookie;
	long offset = arch_arg_offset(n);
	uint64_t sp;

	if (c->moment) {
		*out = n < 10 ? c->moment->args[n] : 0;
		return 0;
	}
	if (place_has_args(c->place))
		return place_arg(c->k, c->t, c->place, n, out);
	if (offset >= 0)
		return pt_peek_user(c->t->tid, offset, out);
	if (pt_peek_user(c->t->tid, arch_user_offset(ARCH_SP), &sp))
		return -1;
	return host_load(cookie, arch_arg_stack(n, sp), out, sizeof *out);
}

static int host_execname(void *cookie, char out[RT_EXECNAME])
{
	struct cookie *c = cookie;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/comm", c->t->tgid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, out, RT_EXECNAME);
	close(fd);
	if (n <= 0)
		return -1;
	out[n - 1] = 0; /* over the newline */
	return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Field `n` (counted from 1) of /proc/PID/task/TID/stat. */
int task_stat(struct task *t, int n, uint64_t *out)
{
	char path[64], buf[512];

	snprintf(path, sizeof path, "/proc/%d/task/%d/stat", t->tgid, t->tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t got = read(fd, buf, sizeof buf - 1);
	close(fd);
	buf[got > 0 ? got : 0] = 0;
	char *p = strrchr(buf, ')');
	for (int i = 2; p && i < n; i++)
		p = strchr(p + 1, ' ');
	return p && sscanf(p, "%lu", out) == 1 ? 0 : -1;
}

static int owner_of(struct task *t, struct stat *st)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d", t->tgid);
	return stat(path, st);
}

static int host_stack(void *cookie, uint64_t *pcs, uint32_t room)
{
	struct cookie *c = cookie;

	return unwind_task(c->k, c->t, c->moment ? NULL : c->s, pcs, room);
}

#define DEPTH_MAX 1024

/* ucaller: 0 when there is none; ustackdepth. */
static int caller_or_depth(struct cookie *c, uint32_t which, uint64_t *out)
{
	uint64_t pcs[DEPTH_MAX] = {0};
	int n = host_stack(c, pcs, which == RT_VALUE_UCALLER ? 2 : DEPTH_MAX);

	*out = which == RT_VALUE_UCALLER ? pcs[1] : (uint64_t)n;
	return n < 0 ? -1 : 0;
}

static int host_value(void *cookie, uint32_t which, uint64_t *out)
{
	struct cookie *c = cookie;
	uint64_t waited;
	struct stat st;

	switch (which) {
	case RT_VALUE_TIMESTAMP:
		*out = clock_ns(CLOCK_MONOTONIC);
		return 0;
	case RT_VALUE_WALLTIMESTAMP:
		*out = clock_ns(CLOCK_REALTIME);
		return 0;
	case RT_VALUE_VTIMESTAMP:
		return task_times(c->t->tid, out, &waited);
	case RT_VALUE_CPU:
		return task_stat(c->t, 39, out);
	case RT_VALUE_PPID:
		return task_stat(c->t, 4, out);
	case RT_VALUE_UID:
	case RT_VALUE_GID:
		if (owner_of(c->t, &st))
			return -1;
		*out = which == RT_VALUE_UID ? st.st_uid : st.st_gid;
		return 0;
	case RT_VALUE_UCALLER:
	case RT_VALUE_USTACKDEPTH:
		return caller_or_depth(c, which, out);
	default:
		return -1;
	}
}

static int host_raise(void *cookie, unsigned sig)
{
	struct cookie *c = cookie;

	c->signals |= 1ULL << (sig - 1);
	return 0;
}

static int host_store(void *cookie, uint64_t addr, const void *buf, size_t len)
{
	struct cookie *c = cookie;

	return sites_write(c->k, addr, buf, len) == (long)len ? 0 : -1;
}

static int host_text(void *cookie, uint32_t which, char *buf, size_t size)
{
	return bpf_system_text(((struct cookie *)cookie)->t->tgid, which, buf, size);
}

static int host_progeny(void *cookie, int64_t pid)
{
	return bpf_system_progeny(((struct cookie *)cookie)->t->tgid, pid);
}

static const struct rt_host host = {.reg = host_reg,
	.store = host_store,
	.text = host_text,
	.progeny = host_progeny,
	.arg = host_arg,
	.load = host_load,
	.execname = host_execname,
	.value = host_value,
	.raise = host_raise,
	.stack = host_stack};

/* ------------------------------------------------------------------- the hit */

/* One firing of a probe: its clauses share the timestamp and this-> variables. */
static void run_program(struct keeper *k, struct rt_hit *hit, const struct site_user *u)
{
	if (hit->probe != u->probe)
		rt_hit_probe(hit, u->probe);
	bpf_program_run(k->out->programs.at[u->program], hit);
	if (rt_view_bell(&k->out->view))
		output_ring(k->out);
}

/*
 * What stop() and raise() asked for.  The thread stands still, so it finds its signal
 * when it goes on, as it does one of somebody else's (stop() is SIGSTOP: rule G1).
 */
static void send_signals(struct cookie *c)
{
	for (int sig = 1; c->signals; sig++, c->signals >>= 1)
		if ((c->signals & 1) && tgkill(c->t->tgid, c->t->tid, sig) &&
			errno != ESRCH) { /* at its end there is nobody */
			err_errno(DTPROC_EPERM, errno, "raise(%d) in thread %d", sig,
				c->t->tid);
			events_error(c->k);
		}
}

static void run_users(
	struct keeper *k, struct task *t, struct site *s, const struct moment *moment)
{
	struct cookie cookie = {.k = k, .t = t, .s = s, .moment = moment};
	struct rt_hit hit = {.view = &k->out->view,
		.host = &host,
		.cookie = &cookie,
		.pid = t->tgid,
		.tid = t->tid,
		.epoch = k->epoch};
	int probes = 0;

	for (size_t i = 0; i < s->users.n; i++) {
		const struct site_user *u = &s->users.at[i];
		if (u->kind == WIRE_SITE_SIGACTION)
			signal_note_trap(k, t);
		if (u->kind != WIRE_SITE_PROBE || !place_fires(k, t, s, u->place))
			continue;
		cookie.place = u->place;
		probes = 1;
		if (k->out->view_ok && u->program < k->out->programs.n &&
			k->out->programs.at[u->program])
			run_program(k, &hit, u);
	}
	k->ledger->hits += (uint64_t)probes;
	send_signals(&cookie);
	if (s->events) {
		struct pending_hit h = {t->tid, s->addr};
		k->ledger->events++;
		if (!k->held)
			k->held = 2;
		if (vec_push(&k->hits, h)) {
			err_nomem("the hit of a breakpoint, which is not told");
			events_error(k);
		}
	}
}

/* Is this the repetition of a hit that has been counted (struct task)? */
static int is_repeat(struct task *t, struct site *s)
{
	uint64_t sp = 0;

	pt_peek_user(t->tid, arch_user_offset(ARCH_SP), &sp);
	int repeat = t->repeat_pc == s->addr && t->repeat_sp == sp;
	if (repeat || sp >= t->repeat_sp)
		t->repeat_pc = 0;
	return repeat;
}

static int mem_read(void *cookie, dtproc_addr addr, void *buf, size_t len)
{
	return sites_read(cookie, addr, buf, len) == (long)len ? 0 : -EFAULT;
}

static int mem_write(void *cookie, dtproc_addr addr, const void *buf, size_t len)
{
	return sites_write(cookie, addr, buf, len) == (long)len ? 0 : -EFAULT;
}

/* Carries out a call on behalf of the thread; 0, or it must be stepped. */
static int emulate(struct keeper *k, struct task *t, struct site *s)
{
	struct user_regs_struct regs;

	if (pt_get_regs(t->tid, &regs))
		return -1;
	if (arch_emulate(s->orig, sizeof s->orig, s->addr, &regs, mem_read, mem_write, k))
		return -1;
	return pt_set_regs(t->tid, &regs);
}

static void go_past(struct keeper *k, struct task *t, struct site *s)
{
	const long pc = arch_user_offset(ARCH_PC);

	if (!RULE(D2, gap)) { /* step over the lifted trap; others run through */
		pt_poke_user(t->tid, pc, s->addr);
		site_lift(k, s);
		stops_step(k, t);
		site_plant(k, s);
	} else if (s->way == ARCH_SLOT && s->slot) {
		pt_poke_user(t->tid, pc, s->slot);
	} else if (s->way != ARCH_EMULATE || emulate(k, t, s)) {
		if (s->way == ARCH_EMULATE)
			s->way =
				ARCH_STEP; /* it is resumed by a step, this time and on */
		pt_poke_user(t->tid, pc, s->addr);
		t->skip = s->addr;
	}
}

/*
 * The program may write over the instruction behind our trap; what lies in the slot is
 * not what it means then.  From then on the text itself is executed, by a step.
 */
static void check_text(struct keeper *k, struct site *s)
{
	uint8_t now[ARCH_INSN_MAX];
	size_t rest = s->len - 1u;

	if (!rest || pread(k->mem, now, rest, (off_t)s->addr + 1) != (ssize_t)rest ||
		!memcmp(now, s->orig + 1, rest))
		return;
	log_line("hit", 1, "pid %d: the program has changed the text at %#lx", k->pid,
		(unsigned long)s->addr);
	memcpy(s->orig + 1, now, rest);
	s->way = ARCH_STEP;
}

void hit_dispatch(struct keeper *k, struct task *t, struct site *s)
{
	check_text(k, s);
	if (t->sharer && RULE(F2, uncounted))
		k->ledger->passed++;
	else if (!t->repeat_pc || !is_repeat(t, s))
		run_users(k, t, s, NULL);
	go_past(k, t, s);
	STEP(HIT_PAST);
	k->hot = 1;
}

int moment_wanted(struct keeper *k, enum wire_moment which)
{
	return site_get(k, WIRE_MOMENTS + which) != NULL;
}

void moment_fire(
	struct keeper *k, struct task *t, enum wire_moment which, const struct moment *m)
{
	struct site *s = site_get(k, WIRE_MOMENTS + which);

	if (s && !t->sharer)
		run_users(k, t, s, m);
}
