/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Following the run-time linker (section E).
 *
 * The linker calls an empty function, r_brk, when it begins to change its lists and when
 * it is done.  A trap there stops the thread that changes them, and no other.  The lists
 * are looked at here; the client is woken only when a consistent list shows something
 * new, and the thread, which still has the linker's lock and has run no constructor,
 * waits until the client has reacted (events_hold).
 *
 * What is told is where objects came or went, not what the linker says of them: the
 * client looks up what is mapped there.  Sites in objects that left are forgotten here
 * and now, without a write: something else may be mapped there by the time the client
 * hears of it.
 */
#include "recall.h"
#include "unwind.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

/* The linker's own user of the site at r_brk. */
#define USER UINT32_MAX
/* How long the client is left alone with what needs no answer, in ns. */
#define LATER_NS 8000000u

static long read_some(void *arg, dtproc_addr addr, void *buf, size_t len)
{
	struct keeper *k = arg;

	return pread(k->mem, buf, len, (off_t)addr);
}

static size_t read_entries(
	void *arg, const dtproc_addr *at, size_t n, struct link_entry *out)
{
	struct keeper *k = arg;
	struct iovec to = {out, n * sizeof *out}, from[IOV_MAX];
	ssize_t got;

	if (n > IOV_MAX)
		n = IOV_MAX;
	for (size_t i = 0; i < n; i++)
		from[i] = (struct iovec){(void *)(uintptr_t)at[i], sizeof *out};
	got = process_vm_readv(k->pid, &to, 1, from, n, 0);
	return got > 0 ? (size_t)got / sizeof *out : 0;
}

/* ------------------------------------------------------------------ what has changed */

/* More than a message holds: then all is to be looked at. */
static void add_all(struct keeper *k)
{
	k->linker.all = k->linker.asks = 1;
	k->ev.want_objects = 1;
}

static struct wire_range *find_range(struct keeper *k, dtproc_addr from, dtproc_addr to)
{
	for (uint32_t i = 0; i < k->linker.ranges; i++)
		if (k->linker.range[i].from == from && k->linker.range[i].to == to)
			return &k->linker.range[i];
	return NULL;
}

/* One that came and left again before anybody was told is not worth telling. */
static void add_range(
	struct keeper *k, dtproc_addr from, dtproc_addr to, enum chain_change change)
{
	struct wire_range *r = find_range(k, from, to);

	if (!to || (!r && k->linker.ranges == WIRE_RANGES_MAX)) {
		add_all(k);
		return;
	}
	if (r && change == CHAIN_LEFT && !r->left) {
		*r = k->linker.range[--k->linker.ranges];
	} else if (!r) {
		r = &k->linker.range[k->linker.ranges++];
		*r = (struct wire_range){from, to, .left = change == CHAIN_LEFT};
	}
	k->ev.want_objects = k->linker.ranges || k->linker.all;
}

/* What left goes first: in a look at everything it could be there again. */
void linker_tell(struct keeper *k, struct wire_event *e)
{
	e->kind = WIRE_EV_OBJECTS;
	e->code = 0;
	for (uint32_t i = 0; i < k->linker.ranges; i++)
		if (!k->linker.all || k->linker.range[i].left)
			e->range[e->code++] = k->linker.range[i];
	k->linker.ranges = 0;
	if (k->linker.all && !e->code)
		e->code = -1;
	if (e->code < 0)
		k->linker.all = 0;
	k->ev.want_objects = k->linker.all;
	if (!k->linker.all)
		recall_told(k);
}

int linker_is_due(struct keeper *k)
{
	return k->ev.want_objects && k->state != WIRE_ST_GONE &&
	       (!k->linker.tell_at ||
		       (now_ns() >= k->linker.tell_at && !k->linker.chain.changing));
}

int linker_wait(struct keeper *k, int wait_ms)
{
	uint64_t now;
	int ms;

	if (!k->ev.want_objects || !k->linker.tell_at || k->ev.outstanding ||
		k->linker.chain.changing || k->state == WIRE_ST_GONE)
		return wait_ms;
	now = now_ns();
	ms = now < k->linker.tell_at ? (int)((k->linker.tell_at - now) / 1000000 + 1) : 0;
	return wait_ms < 0 || ms < wait_ms ? ms : wait_ms;
}

/* What a look was taken for. */
struct looker {
	struct keeper *k;
	struct task *t;
};

static void fire(
	const struct looker *l, const struct chain_object *o, enum chain_change change)
{
	const struct moment m = {.args = {WIRE_MOMENT_TEXT, o->from}, .text = o->name};

	if (*o->name) /* the program has none, and was not loaded by its linker */
		moment_fire(l->k, l->t,
			change == CHAIN_CAME ? WIRE_MOMENT_LOAD : WIRE_MOMENT_UNLOAD, &m);
}

static void came(struct keeper *k, const struct chain_object *o)
{
	int known = recall_came(k, o->from);

	k->linker.came = 1;
	k->linker.asks |= !known;
	add_range(k, o->from, o->to, CHAIN_CAME);
}

static void left(struct keeper *k, const struct chain_object *o)
{
	unwind_forget(k);
	recall_left(k, o->from, o->to);
	add_range(k, o->from, o->to, CHAIN_LEFT);
	if (o->to && RULE(E2, left))
		sites_left(k, o->from, o->to);
	else
		sites_verify(k);
}

static void on_change(void *arg, const struct chain_object *o, enum chain_change change)
{
	const struct looker *l = arg;
	struct keeper *k = l->k;

	log_line("linker", 2, "pid %d: %s%s at %#lx", k->pid,
		change == CHAIN_CAME ? "+" : "-", o->name, (unsigned long)o->from);
	if (change == CHAIN_CAME)
		came(k, o);
	else
		left(k, o);
	fire(l, o, change);
}

/* The lists lie: nothing that they say is followed from now on (E4). */
static void give_up(struct keeper *k)
{
	char text[WIRE_TEXT_MAX / 2];

	snprintf(text, sizeof text, "%s", err_text());
	err_set(DTPROC_EPROTO, "pid %d: %s: what it loads from now on is not followed",
		k->pid, text);
	events_error(k);
	k->linker.broken = 1;
	k->linker.chain.changing = 0;
}

static void look(struct keeper *k, chain_told_fn *told, struct task *t)
{
	struct looker l = {k, t};
	const struct chain_reader r = {read_some, read_entries, k};

	if (!k->linker.broken && k->linker.debug &&
		chain_look(&k->linker.chain, k->linker.debug, &r, told, &l) < 0 &&
		RULE(E4, broken))
		give_up(k);
}

/*
 * What needs no answer is told later, and much of it never; when all is consistent, and
 * while the client looks at it the linker changes nothing.
 */
static void set_time(struct keeper *k, int pending)
{
	if (k->linker.asks)
		k->linker.tell_at = 0;
	else if (k->ev.want_objects && !pending)
		k->linker.tell_at = now_ns() + LATER_NS;
}

void linker_hit(struct keeper *k, struct task *t)
{
	int pending = k->ev.want_objects;

	k->linker.came = k->linker.asks = 0;
	if (!k->linker.debug) { /* the client finds it now, and sees all that is there */
		add_all(k);
		k->linker.came = 1;
	}
	look(k, on_change, t);
	set_time(k, pending);
	if (k->linker.came && k->linker.begins) {
		k->linker.begins = 0;
		moment_fire(k, t, WIRE_MOMENT_PREINIT, &(struct moment){0});
	}
	if (k->linker.asks && RULE(E2, before))
		events_hold(k, t, WIRE_EV_OBJECTS);
	else if (k->ev.outstanding == WIRE_EV_OBJECTS)
		events_hold_now(k, t);
	if (t->waits)
		k->hot = 0; /* the client has the next word */
}

/* --------------------------------------------------------------------- following */

/* Has the linker not made its list yet? */
static int is_early(struct keeper *k, dtproc_addr debug)
{
	struct link_debug d = {0};

	return !debug || (read_some(k, debug, &d, sizeof d) > 0 && !d.map);
}

int linker_follow(struct keeper *k, dtproc_addr brk, dtproc_addr debug)
{
	struct wire_site w = {.addr = brk, .user = USER, .kind = WIRE_SITE_LINKER};
	struct site *s;
	int code = 0;

	if (k->linker.brk != brk) {
		linker_forget(k);
		site_want(k, &w, NULL);
		code = w.result ? w.result : sites_prepare(k);
	}
	s = site_get(k, brk);
	if (!code && (!s || !s->ready))
		code = err_set(DTPROC_ESITE, "pid %d: no breakpoint at %#lx: %s", k->pid,
			(unsigned long)brk, wire_refusal_text(s ? s->refused : 0));
	if (code) {
		site_unwant(k, brk, USER);
		return code;
	}
	k->linker.brk = brk;
	k->linker.debug = debug;
	k->linker.begins |= is_early(k, debug);
	look(k, NULL, NULL);
	return 0;
}

void linker_forget(struct keeper *k)
{
	if (k->linker.brk)
		site_unwant(k, k->linker.brk, USER);
	chain_free(&k->linker.chain);
	recall_forget(k);
	memset(&k->linker, 0, sizeof k->linker);
	k->ev.want_objects = 0;
}
