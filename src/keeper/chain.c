/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walking the run-time linker's lists.
 *
 * WHAT IS READ.  Objects are appended; so behind an addition only what follows the last
 * known one is read.  Behind a removal any of them may be gone: the known ones are read
 * many at a time and compared, link by link, and what was skipped has left.
 *
 * WHAT IS BELIEVED.  Each entry has to name the one before it as its predecessor, so a
 * list cannot run in a circle; it can be too long, or lead to memory that is not there.
 * Where an object lies is told by the ELF header at its bias.  A linker that lies about
 * that deceives nobody but the one who asks what is mapped there, which has to be looked
 * up in any case.
 *
 * Another namespace has entries for objects of the first (the linker itself), which
 * neither come nor leave with it.
 */
#include "chain.h"

#include <elf.h>
#include <string.h>

#define BATCH 512u   /* known entries read at once; at most UIO_MAXIOV */
#define WINDOW 1024u /* how many neighbours may leave together and be recognized */
#define PAGE 4096u
#define RANGE_MAX (1ull << 40)
#define NAME_CHUNKS 16

struct look {
	struct chain *chain;
	const struct chain_reader *r;
	chain_told_fn *told;
	void *arg;
	long changes;
	/* Entries of known objects, read ahead: those from index `first` on. */
	struct link_entry ahead[BATCH];
	size_t first, n;
};

static int corrupt(const char *what)
{
	return err_set(DTPROC_EPROTO, "the run-time linker's list %s", what);
}

/* -------------------------------------------------------------------- one object */

/* From the program headers of the file's image in memory. */
static void learn_range(struct look *l, struct chain_object *o)
{
	unsigned char head[1024];
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	uint64_t low = UINT64_MAX, high = 0;
	long got = l->r->read(l->r->arg, o->bias, head, sizeof head);

	if (got < (long)sizeof eh || memcmp(head, ELFMAG, SELFMAG))
		return;
	memcpy(&eh, head, sizeof eh);
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		if (eh.e_phoff > (uint64_t)got ||
			eh.e_phoff + (i + 1ull) * sizeof ph > (uint64_t)got)
			return;
		memcpy(&ph, head + eh.e_phoff + i * sizeof ph, sizeof ph);
		if (ph.p_type != PT_LOAD || ph.p_memsz > RANGE_MAX)
			continue;
		low = ph.p_vaddr < low ? ph.p_vaddr : low;
		high = ph.p_vaddr + ph.p_memsz > high ? ph.p_vaddr + ph.p_memsz : high;
	}
	low &= ~(uint64_t)(PAGE - 1);
	high = (high + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	if (high <= low || high - low > RANGE_MAX || o->bias + low > o->bias + high)
		return;
	o->from = o->bias + low;
	o->to = o->bias + high;
}

/* The last part of the path, or what there is room for. */
static void learn_name(struct look *l, dtproc_addr at, struct chain_object *o)
{
	size_t n = 0;
	char text[256];

	for (int i = 0; i < NAME_CHUNKS; i++, at += sizeof text) {
		long got = l->r->read(l->r->arg, at, text, sizeof text);
		for (long k = 0; k < got; k++) {
			if (text[k] == '/')
				n = 0;
			else if (n < sizeof o->name - 1)
				o->name[n++] = text[k];
			if (!text[k]) {
				o->name[n ? n - 1 : 0] = 0;
				return;
			}
		}
		if (got < (long)sizeof text)
			break;
	}
	o->name[n] = 0;
}

static struct chain_object describe(
	struct look *l, dtproc_addr entry, const struct link_entry *e)
{
	struct chain_object o = {.entry = entry, .bias = e->bias, .dynamic = e->dynamic};

	learn_range(l, &o);
	learn_name(l, e->name, &o);
	return o;
}

static int is_same(const struct chain_object *o, const struct link_entry *e)
{
	return o->bias == e->bias && o->dynamic == e->dynamic;
}

/* Has another namespace an entry for the same object? */
static int is_elsewhere(const struct look *l, const struct chain_object *o)
{
	for (size_t s = 0; l->chain->spaces.n > 1 && s < l->chain->spaces.n; s++) {
		const chain_objects *all = &l->chain->spaces.at[s].objects;
		for (size_t i = 0; i < all->n; i++)
			if (all->at[i].dynamic == o->dynamic &&
				all->at[i].entry != o->entry)
				return 1;
	}
	return 0;
}

static void tell(struct look *l, const struct chain_object *o, enum chain_change change)
{
	if (!l->told || is_elsewhere(l, o))
		return;
	l->told(l->arg, o, change);
	l->changes++;
}

/* ---------------------------------------------------------------------- one list */

/* Reads the known entries from `i` on ahead. */
static void read_ahead(struct look *l, const chain_objects *old, size_t i)
{
	dtproc_addr at[BATCH];
	size_t n = old->n - i < BATCH ? old->n - i : BATCH;

	for (size_t k = 0; k < n; k++)
		at[k] = old->at[i + k].entry;
	l->first = i;
	l->n = l->r->entries(l->r->arg, at, n, l->ahead);
}

/* The entry at `at`, which is that of the known object `i` if i < old->n. */
static int fetch(struct look *l, const chain_objects *old, size_t i, dtproc_addr at,
	struct link_entry *e)
{
	if (i + 1 < old->n && i - l->first >= l->n)
		read_ahead(l, old, i);
	if (i < old->n && i - l->first < l->n) {
		*e = l->ahead[i - l->first];
		return 0;
	}
	if (l->r->read(l->r->arg, at, e, sizeof *e) == sizeof *e)
		return 0;
	return err_set(DTPROC_ERANGE, "the run-time linker's list leads to %#llx",
		(unsigned long long)at);
}

/* The index of a known object from `i` on; old->n: it is a new one. */
static size_t find(const chain_objects *old, size_t i, dtproc_addr entry)
{
	for (size_t n = 0; i < old->n && n < WINDOW; i++, n++)
		if (old->at[i].entry == entry)
			return i;
	return old->n;
}

/*
 * Follows the list from `at` and appends its objects to `out`; those of `old` from `i` on
 * are the ones that may be met.
 */
static int walk(struct look *l, const chain_objects *old, size_t i, dtproc_addr prev,
	dtproc_addr at, chain_objects *out)
{
	l->n = 0;
	while (at) {
		size_t found = find(old, i, at);
		struct link_entry e;
		if (out->n >= CHAIN_OBJECTS_MAX)
			return err_set(DTPROC_ELIMIT,
				"the run-time linker lists more than %u objects",
				CHAIN_OBJECTS_MAX);
		int rc = fetch(l, old, found, at, &e);
		if (rc)
			return rc;
		if (e.prev != prev)
			return corrupt("does not hold together");
		int known = found < old->n && is_same(&old->at[found], &e);
		struct chain_object o = known ? old->at[found] : describe(l, at, &e);
		if (vec_push(out, o))
			return err_nomem("an object of the victim");
		i = known ? found + 1 : i;
		prev = at;
		at = e.next;
	}
	return 0;
}

/* What is in one list and not in the other; both have the same order. */
static void compare(struct look *l, const chain_objects *old, const chain_objects *now)
{
	size_t i = 0;

	for (size_t k = 0; k < now->n; k++) {
		size_t found = find(old, i, now->at[k].entry);
		if (found == old->n || old->at[found].bias != now->at[k].bias ||
			old->at[found].dynamic != now->at[k].dynamic) {
			tell(l, &now->at[k], CHAIN_CAME);
			continue;
		}
		for (; i < found; i++)
			tell(l, &old->at[i], CHAIN_LEFT);
		i = found + 1;
	}
	for (; i < old->n; i++)
		tell(l, &old->at[i], CHAIN_LEFT);
}

/* Objects may have left: all is read. */
static int look_at_all(struct look *l, struct chain_space *s, dtproc_addr map)
{
	chain_objects now = {0}, old = s->objects;
	int rc = walk(l, &old, 0, 0, map, &now);

	if (rc) {
		vec_free(&now);
		return rc;
	}
	s->objects = now;
	s->unsure = 0;
	compare(l, &old, &now);
	vec_free(&old);
	return 0;
}

/* Objects may have come: what is behind the last one.  1: that is not as it was. */
static int look_behind(struct look *l, struct chain_space *s)
{
	static const chain_objects none;
	const struct chain_object *last = &s->objects.at[s->objects.n - 1];
	size_t known = s->objects.n;
	struct link_entry e;

	if (l->r->read(l->r->arg, last->entry, &e, sizeof e) != sizeof e ||
		!is_same(last, &e))
		return 1;
	int rc = walk(l, &none, 0, last->entry, e.next, &s->objects);
	if (rc)
		s->objects.n = known;
	for (size_t i = known; i < s->objects.n; i++)
		tell(l, &s->objects.at[i], CHAIN_CAME);
	return rc;
}

static int look_at_space(struct look *l, struct chain_space *s, dtproc_addr map)
{
	int rc = 1;

	if (!s->unsure && s->objects.n && s->objects.at[0].entry == map)
		rc = look_behind(l, s);
	return rc == 1 ? look_at_all(l, s, map) : rc;
}

/* ---------------------------------------------------------------- all namespaces */

static int read_debug(struct look *l, dtproc_addr at, struct link_debug *d)
{
	const long least = offsetof(struct link_debug, next);
	long got = l->r->read(l->r->arg, at, d, sizeof *d);

	if (got < least)
		return err_set(DTPROC_ERANGE, "no memory of the run-time linker at %#llx",
			(unsigned long long)at);
	if (d->version < 2 || got < (long)sizeof *d)
		d->next = 0;
	return 0;
}

static int add_space(struct chain *c, dtproc_addr debug)
{
	struct chain_space s = {.debug = debug, .unsure = 1};

	return vec_push(&c->spaces, s) ? err_nomem("a namespace of the victim") : 0;
}

static int look_at_debug(struct look *l, size_t i, dtproc_addr at, dtproc_addr *next)
{
	struct link_debug d = {0};
	int rc = read_debug(l, at, &d);

	if (!rc && i == l->chain->spaces.n)
		rc = i < CHAIN_SPACES_MAX ? add_space(l->chain, at)
					  : corrupt("has too many namespaces");
	if (rc)
		return rc;
	struct chain_space *s = &l->chain->spaces.at[i];
	if (s->debug != at)
		return corrupt("of namespaces has changed");
	*next = d.next;
	if (d.state == LINK_DELETE)
		s->unsure = 1;
	l->chain->changing |= d.state != LINK_CONSISTENT;
	return d.state == LINK_CONSISTENT ? look_at_space(l, s, d.map) : 0;
}

long chain_look(struct chain *c, dtproc_addr debug, const struct chain_reader *r,
	chain_told_fn *told, void *arg)
{
	struct look l; /* its entries are not to be cleared each time */
	size_t i = 0;
	int rc = 0;

	l.chain = c;
	l.r = r;
	l.told = told;
	l.arg = arg;
	l.changes = 0;
	l.first = l.n = 0;
	c->changing = 0;
	for (dtproc_addr at = debug; at && !rc; i++)
		rc = look_at_debug(&l, i, at, &at);
	return rc ? rc : l.changes;
}

void chain_free(struct chain *c)
{
	for (size_t i = 0; i < c->spaces.n; i++)
		vec_free(&c->spaces.at[i].objects);
	vec_free(&c->spaces);
}
