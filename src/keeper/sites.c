/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sites: addresses with a trap, and who uses them.
 *
 * A site goes through: wanted (it has users) -> ready (decoded, slot taken) -> planted.
 * One whose memory is not mapped stays wanted and is tried again at each preparation
 * (D1).
 */
#include "keeper.h"

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

/* --------------------------------------------------------------- preparation */

/* Mappings of the victim, to judge an address by; read once for a batch. */
struct mapping {
	dtproc_addr from, to;
	unsigned long offset, inode;
	char perms[4];
};

typedef VEC(struct mapping) mappings;

static int read_mappings(struct keeper *k, mappings *out)
{
	char line[512];
	struct mapping m;
	unsigned long from, to;
	int failed = 0;
	FILE *f = proc_open("/proc/%d/maps", live_tid(k));

	if (!f)
		return err_set(
			DTPROC_ESYS, "pid %d: its mappings cannot be read", k->pid);
	while (!failed && fgets(line, sizeof line, f)) {
		if (sscanf(line, "%lx-%lx %4c %lx %*s %lu", &from, &to, m.perms,
			    &m.offset, &m.inode) == 5) {
			m.from = from;
			m.to = to;
			failed = vec_push(out, m) ? err_nomem("mappings") : 0;
		}
		while (!strchr(line, '\n') && fgets(line, sizeof line, f))
			;
	}
	if (!failed && ferror(f))
		failed = err_set(
			DTPROC_ESYS, "pid %d: its mappings cannot be read", k->pid);
	fclose(f);
	return failed;
}

static const struct mapping *mapping_of(const mappings *maps, dtproc_addr addr)
{
	size_t lo = 0, hi = maps->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (addr < maps->at[mid].from)
			hi = mid;
		else if (addr >= maps->at[mid].to)
			lo = mid + 1;
		else
			return &maps->at[mid];
	}
	return NULL;
}

static uint32_t judge_mapping(const mappings *maps, dtproc_addr addr, uint8_t *writable)
{
	const struct mapping *m = mapping_of(maps, addr);

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
	mappings maps;
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

/* ------------------------------------------------------------- where text goes */

static uint64_t offset_in(const struct mapping *m, dtproc_addr addr)
{
	return m->inode ? m->offset + (addr - m->from) : 0;
}

static void know_text(struct site *s, const struct mapping *m, size_t n)
{
	s->inode = m->inode;
	s->offset = offset_in(m, s->addr);
	s->seen = (uint8_t)n;
}

/* Is there a trap at this address, and behind it what stood behind ours? */
static int looks_like(struct keeper *k, const struct site *s, dtproc_addr at)
{
	uint8_t now[ARCH_INSN_MAX];

	if (pread(k->mem, now, sizeof now, (off_t)at) < s->seen || now[0] != ARCH_TRAP)
		return 0;
	for (size_t i = 1; i < s->seen; i++)
		if (now[i] != s->orig[i] &&
			(now[i] != ARCH_TRAP || !site_get(k, s->addr + i)))
			return 0;
	return 1;
}

/* The page is the one that the trap was put into, or a copy of it. */
static int is_home(struct keeper *k, const struct site *s, const struct mapping *m)
{
	if (!m)
		return 0;
	if (m->inode == s->inode && offset_in(m, s->addr) == s->offset &&
		(m->inode || m->perms[2] == 'x'))
		return 1;
	return looks_like(k, s, s->addr);
}

/* Text that was moved took the trap along. */
static void mend_moved(struct keeper *k, const struct site *s, const mappings *maps)
{
	for (size_t i = 0; s->inode && i < maps->n; i++) {
		const struct mapping *m = &maps->at[i];
		dtproc_addr at = m->from + (s->offset - m->offset);
		if (m->inode != s->inode || at - m->from >= m->to - m->from ||
			at == s->addr || !looks_like(k, s, at))
			continue;
		if (pwrite(k->mem, s->orig, 1, (off_t)at) != 1)
			log_line("sites", 1, "pid %d: a trap stays at %#lx", k->pid,
				(unsigned long)at);
	}
}

void sites_verify(struct keeper *k)
{
	mappings maps = {0};

	if (!k->sites.n || k->mem < 0 || read_mappings(k, &maps))
		return;
	hash_each(&k->sites, i) {
		struct site *s = k->sites.slots[i].value;
		if (!s->planted || is_home(k, s, mapping_of(&maps, s->addr)))
			continue;
		log_line("sites", 1, "pid %d: the text at %#lx has gone", k->pid,
			(unsigned long)s->addr);
		mend_moved(k, s, &maps);
		s->planted = 0;
		ledger_leave(k, s);
	}
	vec_free(&maps);
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

/* Decodes the instruction and gets its slot; 0, or why not. */
static uint32_t prepare(struct keeper *k, struct site *s, struct view *v, size_t more)
{
	struct arch_moved m = {0};
	uint32_t why = judge_mapping(&v->maps, s->addr, &s->writable);

	if (why)
		return why;
	long n = view_read(k, v, s->addr, s->orig, sizeof s->orig);
	if (n <= 0)
		return WIRE_REFUSED_UNMAPPED;
	know_text(s, mapping_of(&v->maps, s->addr), (size_t)n);
	arch_move(s->orig, (size_t)n, s->addr, s->addr, &m);
	if (m.way == ARCH_REFUSE_TRAP || m.way == ARCH_REFUSE_DECODE)
		return refusal_of(m.way);
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
	return !s->ready;
}

int sites_prepare(struct keeper *k)
{
	CLEAN_FREE struct view *v = calloc(1, sizeof *v);
	CLEAN_FREE struct site **s = NULL;
	size_t n = 0;

	if (!v || sites_sorted(k, is_unready, &s, &n))
		return err_nomem("making breakpoints ready");
	int code = n ? read_mappings(k, &v->maps) : 0;
	for (size_t i = 0; i < n && !code; i++)
		s[i]->refused = (uint8_t)prepare(k, s[i], v, n - i);
	slots_flush(k);
	vec_free(&v->maps);
	return code;
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

static void site_drop(struct keeper *k, struct site *s)
{
	if (RULE(D5, lift) && site_lift(k, s))
		return; /* stays known, without users: its hits are passed over */
	hash_take(&k->sites, s->addr);
	if (s->slot) {
		hash_take(&k->slots, s->slot);
		slot_give(k, s->slot);
	}
	vec_free(&s->users);
	free(s);
}

void site_want(struct keeper *k, struct wire_site *w)
{
	struct site *s = site_get(k, w->addr);

	if (w->result) /* refused by the client, which knows why */
		return;
	w->reason = WIRE_REFUSED_NOT;
	if (w->kind == WIRE_SITE_PROBE &&
		(w->program >= k->programs.n || !k->programs.at[w->program])) {
		w->result = DTPROC_ESITE;
		w->reason = WIRE_REFUSED_PROGRAM;
		return;
	}
	if (!s && !(s = site_make(k, w->addr))) {
		w->result = DTPROC_ENOMEM;
		return;
	}
	struct site_user u = {w->user, w->kind, w->program, w->probe};
	w->result = vec_push(&s->users, u);
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
			vec_drop(&s->users, i);
		else
			s->events = (uint8_t)(s->events +
					      (s->users.at[i].kind == WIRE_SITE_EVENT));
	}
	if (!s->events)
		drop_hits(k, addr);
	if (!s->users.n)
		site_drop(k, s);
}

void sites_forget(struct keeper *k)
{
	hash_each(&k->sites, i) {
		struct site *s = k->sites.slots[i].value;
		s->planted = 0;
		ledger_leave(k, s);
		vec_free(&s->users);
		free(s);
	}
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
