/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sites: addresses with a trap, and who uses them.
 *
 * A site goes through: wanted (it has users) -> ready (decoded, slot taken) -> planted.
 * One whose memory is not mapped stays wanted and is tried again at each preparation
 * (D1).
 */
#include "kin.h"
#include "mappings.h"
#include "recall.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct site *site_get(struct keeper *k, dtproc_addr addr)
{
	return hash_get(&k->sites, addr);
}

/* ------------------------------------------------------------ victim memory */

/* Undoes in buf what our traps have put over [addr, addr + len). */
static void overlay(struct keeper *k, dtproc_addr addr, uint8_t *buf, size_t len)
{
	if (len < k->sites.n) {
		for (size_t i = 0; i < len; i++) {
			struct site *s = site_get(k, addr + i);
			if (s && s->planted)
				buf[i] = s->orig[0];
		}
		return;
	}
	hash_each(&k->sites, i) {
		struct site *s = k->sites.slots[i].value;
		if (s->planted && s->addr - addr < len)
			buf[s->addr - addr] = s->orig[0];
	}
}

long sites_read(struct keeper *k, dtproc_addr addr, void *buf, size_t len)
{
	long n = text_read(k->mem, addr, buf, len);

	if (n <= 0)
		return -1;
	overlay(k, addr, buf, (size_t)n);
	return n;
}

long sites_write(struct keeper *k, dtproc_addr addr, const void *buf, size_t len)
{
	uint8_t copy[4096];
	size_t done = 0;

	while (done < len) {
		size_t part = len - done < sizeof copy ? len - done : sizeof copy;
		memcpy(copy, (const uint8_t *)buf + done, part);
		for (size_t i = 0; i < part; i++) {
			struct site *s = site_get(k, addr + done + i);
			if (s && s->planted) {
				s->orig[0] = copy[i];
				k->ledger->trap[s->trap - 1].orig = copy[i];
				copy[i] = ARCH_TRAP;
			}
		}
		long n = text_write(k->mem, addr + done, copy, part);
		if (n <= 0)
			return done ? (long)done : -1;
		done += (size_t)n;
	}
	return (long)done;
}

/* What stood at an address before our first trap did, as k->former keeps it. */
#define FORMER(byte) ((void *)(uintptr_t)(0x100 | (byte)))
#define FORMER_BYTE(p) ((uint8_t)(uintptr_t)(p))

int sites_clean_copy(struct keeper *k, int mem)
{
	int failed = 0;

	/* Those removed since the child was born are in its copy still. */
	hash_each(&k->former, i) {
		dtproc_addr addr = k->former.slots[i].key;
		uint8_t orig = FORMER_BYTE(k->former.slots[i].value), now;
		if (orig == ARCH_TRAP || text_read(mem, addr, &now, 1) != 1)
			continue;
		if (now == ARCH_TRAP)
			failed |= text_write(mem, addr, &orig, 1) != 1;
	}
	return failed ? -1 : 0;
}

/* ------------------------------------------------------ judging an address */

static uint32_t judge_mapping(const struct mapping *m, uint8_t *writable)
{
	if (!m)
		return WIRE_REFUSED_UNMAPPED;
	if (m->perms[2] != 'x')
		return WIRE_REFUSED_NOEXEC;
	if (m->perms[3] == 's' && m->perms[1] == 'w')
		return WIRE_REFUSED_SHARED;
	*writable = m->perms[1] == 'w';
	return WIRE_REFUSED_NOT;
}

/* What preparation sees of the victim: mappings, and the text read last. */
struct view {
	struct mappings maps;
	dtproc_addr base;
	size_t len;
	uint8_t text[4096 + ARCH_INSN_MAX];
};

/* Reads text by way of the view: sites come in the order of their addresses. */
static long view_read(
	struct keeper *k, struct view *v, dtproc_addr addr, void *buf, size_t len)
{
	dtproc_addr base = addr & ~(dtproc_addr)4095;

	if (!v->len || v->base != base) {
		long n = sites_read(k, base, v->text, sizeof v->text);
		v->base = base;
		v->len = n > 0 ? (size_t)n : 0;
	}
	size_t at = (size_t)(addr - base);
	if (at >= v->len)
		return sites_read(k, addr, buf, len);
	if (len > v->len - at)
		len = v->len - at;
	memcpy(buf, v->text + at, len);
	return (long)len;
}

/* Does a trap of ours lie inside the instruction at s, or s inside another's? */
static int overlaps(struct keeper *k, const struct site *s)
{
	for (unsigned d = 1; d < ARCH_INSN_MAX; d++) {
		struct site *after = site_get(k, s->addr + d);
		struct site *before = site_get(k, s->addr - d);
		if (d < s->len && after && after->ready)
			return 1;
		if (before && before->ready && d < before->len)
			return 1;
	}
	return 0;
}

/* ---------------------------------------------------------------- preparation */

static uint32_t refusal_of(enum arch_way way)
{
	return way == ARCH_REFUSE_TRAP ? WIRE_REFUSED_OWN_TRAP : WIRE_REFUSED_DECODE;
}

/* Puts the moved instruction into a slot; 0, or why not. */
static uint32_t fill_slot(struct keeper *k, struct site *s, size_t n, size_t more)
{
	struct arch_moved m = {0};

	s->slot = slot_take(k, s->addr, more);
	if (s->slot) {
		arch_move(s->orig, n, s->addr, s->slot, &m);
		if (m.way == ARCH_SLOT && !slot_fill(k, s->slot, m.code) &&
			!hash_put(&k->slots, s->slot, s))
			return WIRE_REFUSED_NOT;
		slot_give(k, s->slot);
		s->slot = 0;
	}
	if (s->syscall) /* a step over it may sleep for ever */
		return WIRE_REFUSED_NOSLOT;
	s->way = ARCH_STEP;
	return WIRE_REFUSED_NOT;
}

/* sigaction() is called seldom: no call in the victim is made for its slot. */
static int is_ours_alone(const struct site *s)
{
	for (size_t i = 0; i < s->users.n; i++)
		if (s->users.at[i].kind != WIRE_SITE_SIGACTION)
			return 0;
	return 1;
}

/* Decodes the instruction in the mapping `at` and gets its slot; 0, or why not. */
static uint32_t prepare(struct keeper *k, struct site *s, struct view *v,
	const struct mapping *at, size_t more)
{
	struct arch_moved m = {0};
	uint32_t why = judge_mapping(at, &s->writable);

	if (why)
		return why;
	long n = view_read(k, v, s->addr, s->orig, sizeof s->orig);
	if (n <= 0)
		return WIRE_REFUSED_UNMAPPED;
	home_learn(s, at, (size_t)n);
	arch_move(s->orig, (size_t)n, s->addr, s->addr, &m);
	if (m.way == ARCH_REFUSE_TRAP || m.way == ARCH_REFUSE_DECODE)
		return refusal_of(m.way);
	if (m.way == ARCH_SLOT && is_ours_alone(s) && arch_is_simple(s->orig, (size_t)n))
		m.way = ARCH_EMULATE;
	s->way = (uint8_t)m.way;
	s->len = (uint8_t)m.len;
	s->syscall = (uint8_t)m.syscall;
	if (overlaps(k, s))
		return WIRE_REFUSED_OVERLAP;
	if (m.way == ARCH_SLOT && (why = fill_slot(k, s, (size_t)n, more)))
		return why;
	if (hash_put(&k->former, s->addr, FORMER(s->orig[0])))
		return WIRE_REFUSED_NOSLOT;
	s->ready = 1;
	k->guard.current = 0;
	return WIRE_REFUSED_NOT;
}

static int is_unready(const struct site *s)
{
	return !s->ready && s->addr < WIRE_MOMENTS;
}

int sites_prepare_these(struct keeper *k, struct site **s, size_t n)
{
	CLEAN_FREE struct view *v = calloc(1, sizeof *v);
	int code = 0;

	if (!v)
		return err_nomem("making breakpoints ready");
	for (size_t i = 0; i < n && !code; i++) {
		const struct mapping *at;
		code = mappings_find(k, &v->maps, s[i]->addr, &at);
		if (!code)
			s[i]->refused = (uint8_t)prepare(k, s[i], v, at, n - i);
	}
	slots_flush(k);
	mappings_free(&v->maps);
	return code;
}

int sites_prepare(struct keeper *k)
{
	CLEAN_FREE struct site **s = NULL;
	size_t n = 0;

	if (sites_sorted(k, is_unready, &s, &n))
		return err_nomem("making breakpoints ready");
	return n ? sites_prepare_these(k, s, n) : 0;
}

/* -------------------------------------------------------------------- users */

static struct site *site_make(struct keeper *k, dtproc_addr addr)
{
	struct site *s = calloc(1, sizeof *s);

	if (!s || hash_put(&k->sites, addr, s)) {
		free(s);
		return NULL;
	}
	s->addr = addr;
	return s;
}

static void give_slot(struct keeper *k, struct site *s)
{
	if (!s->slot)
		return;
	hash_take(&k->slots, s->slot);
	slot_give(k, s->slot);
	s->slot = 0;
}

static void drop_user(
	struct keeper *k, struct site *s, size_t i, enum place_memory memory)
{
	struct site_user *u = &s->users.at[i];

	place_free(k, u->place, memory);
	s->users.n--;
	memmove(u, u + 1, (s->users.n - i) * sizeof *u);
}

/* All of them; their memory has gone. */
static void drop_users(struct keeper *k, struct site *s)
{
	for (size_t i = 0; i < s->users.n; i++)
		place_free(k, s->users.at[i].place, PLACE_GONE);
	vec_free(&s->users);
}

static void site_free(struct keeper *k, struct site *s)
{
	hash_take(&k->sites, s->addr);
	give_slot(k, s);
	drop_users(k, s);
	free(s);
}

static void site_drop(struct keeper *k, struct site *s)
{
	if (RULE(D5, lift) && site_lift(k, s))
		return; /* stays known, without users: its hits are passed over */
	site_free(k, s);
}

void site_forget(struct keeper *k, struct site *s)
{
	s->planted = s->ready = 0;
	ledger_leave(k, s);
	hash_take(&k->former, s->addr);
	give_slot(k, s);
	for (size_t i = s->users.n; i-- > 0;)
		if (s->users.at[i].kind == WIRE_SITE_PROBE)
			drop_user(k, s, i, PLACE_GONE);
	if (!s->users.n)
		site_free(k, s);
}

/* The late ones stay behind. */
static int add_user(struct keeper *k, struct site *s, const struct wire_site *w,
	const struct wire_operands *operands)
{
	struct site_user u = {.user = w->user,
		.kind = w->kind,
		.program = w->program,
		.probe = w->probe,
		.asked = k->request_seq,
		.late = w->flags & WIRE_SITE_LATE};
	int code = place_make(k, w, operands, &u.place);
	size_t at = s->users.n;

	if (!code)
		code = vec_push(&s->users, u);
	if (code) {
		place_free(k, u.place, PLACE_STAYS);
		return code;
	}
	for (; !u.late && at > 0 && s->users.at[at - 1].late; at--) {
		s->users.at[at] = s->users.at[at - 1];
		s->users.at[at - 1] = u;
	}
	return 0;
}

/*
 * A thread of an idle victim stands where it was stopped by a breakpoint that has gone:
 * it has still to come by a probe that is set there now (main:entry, C4).
 */
static void meet_anew(struct keeper *k, const struct wire_site *w)
{
	if (k->state != WIRE_ST_IDLE || w->kind != WIRE_SITE_PROBE || !RULE(C4, anew))
		return;
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (t->skip == w->addr)
			t->skip = 0;
	}
}

void site_want(
	struct keeper *k, struct wire_site *w, const struct wire_operands *operands)
{
	struct site *s = site_get(k, w->addr);

	if (w->result) /* refused by the client, which knows why */
		return;
	w->reason = WIRE_REFUSED_NOT;
	if (recall_claim(k, w))
		return;
	if (w->kind == WIRE_SITE_PROBE &&
		(w->program >= k->out->programs.n || !k->out->programs.at[w->program])) {
		w->result = DTPROC_ESITE;
		w->reason = WIRE_REFUSED_PROGRAM;
		return;
	}
	if (!s) {
		s = site_make(k, w->addr);
		meet_anew(k, w);
	}
	if (!s) {
		w->result = DTPROC_ENOMEM;
		return;
	}
	w->result = add_user(k, s, w, operands);
	if (!w->result)
		s->events = (uint8_t)(s->events + (w->kind == WIRE_SITE_EVENT));
	else if (!s->users.n)
		site_drop(k, s);
}

static void drop_hits(struct keeper *k, dtproc_addr addr)
{
	for (size_t i = k->hits.n; i-- > 0;)
		if (k->hits.at[i].addr == addr)
			k->hits.at[i].addr = 0;
}

void site_unwant(struct keeper *k, dtproc_addr addr, uint32_t user)
{
	struct site *s = site_get(k, addr);

	if (!s)
		return;
	s->events = 0;
	for (size_t i = s->users.n; i-- > 0;) {
		if (s->users.at[i].user == user)
			drop_user(k, s, i, PLACE_STAYS);
		else
			s->events = (uint8_t)(s->events +
					      (s->users.at[i].kind == WIRE_SITE_EVENT));
	}
	if (!s->events)
		drop_hits(k, addr);
	if (!s->users.n)
		site_drop(k, s);
}

/*
 * Is it to be left out?  What is not mapped is waited for, but not a probe in an object
 * that has left before the client had reacted to it.
 */
static int is_refused(struct keeper *k, const struct wire_site *w)
{
	return w->reason > WIRE_REFUSED_UNMAPPED ||
	       (w->reason == WIRE_REFUSED_UNMAPPED && w->kind == WIRE_SITE_PROBE &&
		       k->ev.outstanding == WIRE_EV_OBJECTS);
}

uint64_t sites_judge(struct keeper *k, struct wire_site *w, size_t n)
{
	uint64_t armed = 0;

	for (size_t i = 0; i < n; i++) {
		struct site *s = w[i].result ? NULL : site_get(k, w[i].addr);
		if (!s)
			continue;
		w[i].reason = s->ready ? WIRE_REFUSED_NOT : s->refused;
		if (is_refused(k, &w[i])) {
			w[i].result = DTPROC_ESITE;
			s->doomed = 1;
		} else {
			armed++;
		}
	}
	for (size_t i = 0; i < n; i++) {
		struct site *s = w[i].result ? site_get(k, w[i].addr) : NULL;
		if (s && s->doomed)
			site_unwant(k, w[i].addr, w[i].user);
	}
	return armed;
}

void sites_forget(struct keeper *k)
{
	hash_each(&k->sites, i) {
		struct site *s = k->sites.slots[i].value;
		s->planted = 0;
		ledger_leave(k, s);
		drop_users(k, s);
		free(s);
	}
	semaphores_forget(k);
	hash_free(&k->sites);
	hash_free(&k->slots);
	hash_free(&k->former);
	for (size_t i = 0; i < k->areas.n; i++)
		vec_free(&k->areas.at[i].vacant);
	k->areas.n = 0;
	memset(&k->guard, 0, sizeof k->guard);
	k->ledger->guard = 0;
	k->hits.n = 0;
}

struct site *site_of_slot(struct keeper *k, dtproc_addr pc, dtproc_addr *at)
{
	dtproc_addr base = pc & ~(dtproc_addr)(ARCH_SLOT_MAX - 1);
	struct site *s = hash_get(&k->slots, base);
	uint8_t code[ARCH_SLOT_MAX];

	if (!s)
		return NULL;
	*at = s->addr;
	if (pc != base && text_read(k->mem, base, code, sizeof code) == sizeof code) {
		dtproc_addr to =
			arch_slot_pc(code, sizeof code, base, (unsigned)(pc - base));
		if (to)
			*at = to;
	}
	return s;
}
