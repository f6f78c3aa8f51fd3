/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of the victim: putting traps into it and taking them out.
 *
 * The ledger learns of a trap before the text does and forgets it after.  Where several
 * sites share a page the page is read, changed and written as a whole, which a victim
 * with a thousand probes thanks us for; nothing of it runs meanwhile.
 */
#include "keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u
/* Sites in a page from which on it is written as a whole. */
#define PAGE_SITES 3

typedef VEC(struct site *) site_list;

/* Is a call that ended with `n` to be made again?  The second EIO is believed. */
static int is_worth_again(long n, int *eio, unsigned *tries)
{
	if (n >= 0)
		return 0;
	return errno == EIO ? !(*eio)++ : retry_after(errno, tries);
}

long text_read(int mem, dtproc_addr addr, void *buf, size_t len)
{
	unsigned tries = 0;
	int eio = 0;
	long n;

	do {
		n = pread(mem, buf, len, (off_t)addr);
	} while (is_worth_again(n, &eio, &tries));
	return n;
}

long text_write(int mem, dtproc_addr addr, const void *buf, size_t len)
{
	unsigned tries = 0;
	int eio = 0;
	long n;

	do {
		n = pwrite(mem, buf, len, (off_t)addr);
	} while (is_worth_again(n, &eio, &tries));
	return n;
}

/* ------------------------------------------------------------------- ledger */

static int ledger_take(struct keeper *k, uint32_t *out)
{
	if (k->vacant_traps.n)
		*out = k->vacant_traps.at[--k->vacant_traps.n];
	else if (k->ledger->traps < WIRE_LEDGER_TRAPS)
		*out = k->ledger->traps++;
	else
		return err_set(DTPROC_ELIMIT, "more than %u breakpoints in pid %d",
			WIRE_LEDGER_TRAPS, k->pid);
	return 0;
}

static int ledger_enter(struct keeper *k, struct site *s)
{
	uint32_t at = 0;

	if (!s->trap) {
		if (ledger_take(k, &at))
			return DTPROC_ELIMIT;
		s->trap = at + 1;
	}
	struct wire_trap *t = &k->ledger->trap[s->trap - 1];
	t->slot = s->slot;
	t->len = s->len;
	t->orig = s->orig[0];
	__atomic_store_n(&t->addr, s->addr, __ATOMIC_RELEASE);
	STEP(PLANT_NOTED);
	return 0;
}

void ledger_leave(struct keeper *k, struct site *s)
{
	if (!s->trap)
		return;
	__atomic_store_n(&k->ledger->trap[s->trap - 1].addr, 0, __ATOMIC_RELEASE);
	if (!vec_push(&k->vacant_traps, s->trap - 1))
		s->trap = 0;
	s->trap = 0;
}

/* --------------------------------------------------------- planting, lifting */

/* Something else may be mapped there by now: data, or another library. */
static int is_unchanged(const struct site *s, const uint8_t *now)
{
	return !memcmp(now, s->orig, s->len);
}

int site_plant(struct keeper *k, struct site *s)
{
	static const uint8_t trap = ARCH_TRAP;
	uint8_t now[ARCH_INSN_MAX];

	if (s->planted || !s->ready)
		return 0;
	if (sites_read(k, s->addr, now, s->len) == s->len && !is_unchanged(s, now))
		return DTPROC_ERANGE;
	if (ledger_enter(k, s))
		return DTPROC_ELIMIT;
	if (text_write(k->mem, s->addr, &trap, 1) != 1) {
		ledger_leave(k, s);
		s->ready = 0; /* unmapped meanwhile: tried again later */
		return DTPROC_ERANGE;
	}
	s->planted = 1;
	return 0;
}

int sites_planted(struct keeper *k, const struct wire_site *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct site *s = site_get(k, w[i].addr);
		if (!s || !s->planted)
			return 0;
	}
	return 1;
}

int site_lift(struct keeper *k, struct site *s)
{
	uint8_t now;

	if (!s->planted)
		return 0;
	s->planted = 0;
	/* Only our own trap is taken back: the program may have written over it. */
	if (text_read(k->mem, s->addr, &now, 1) == 1 && now == ARCH_TRAP &&
		text_write(k->mem, s->addr, s->orig, 1) != 1) {
		s->planted = 1;
		return err_errno(DTPROC_ESYS, errno,
			"pid %d: text at %#lx cannot be restored", k->pid,
			(unsigned long)s->addr);
	}
	ledger_leave(k, s);
	return 0;
}

/* ------------------------------------------------------------- whole pages */

/* A site and its address beside it: sorting does not go to each site again and again. */
struct place {
	dtproc_addr addr;
	struct site *site;
};

static int by_addr(const void *a, const void *b)
{
	dtproc_addr x = ((const struct place *)a)->addr,
		    y = ((const struct place *)b)->addr;

	return x < y ? -1 : x > y;
}

int sites_sorted(struct keeper *k, int (*wanted)(const struct site *), struct site ***out,
	size_t *n)
{
	VEC(struct place) list = {0};
	struct site **sorted;

	hash_each(&k->sites, i) {
		const struct place p = {k->sites.slots[i].key, k->sites.slots[i].value};
		if (wanted(p.site) && vec_push(&list, p)) {
			vec_free(&list);
			return DTPROC_ENOMEM;
		}
	}
	if (list.n)
		qsort(list.at, list.n, sizeof *list.at, by_addr);
	sorted = (struct site **)list.at; /* in the same memory: it is half as long */
	for (size_t i = 0; i < list.n; i++)
		sorted[i] = list.at[i].site;
	*out = sorted;
	*n = list.n;
	return 0;
}

/* Changes one page by `edit`, then calls `done` for each site; -1: nothing was done. */
static int edit_page(struct keeper *k, struct site **s, size_t n,
	int (*edit)(struct keeper *, struct site *, uint8_t *byte),
	void (*done)(struct keeper *, struct site *))
{
	dtproc_addr base = s[0]->addr & ~(dtproc_addr)(PAGE - 1);
	uint8_t page[PAGE];

	if (text_read(k->mem, base, page, PAGE) != PAGE)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (edit(k, s[i], &page[s[i]->addr - base]))
			return -1;
	if (text_write(k->mem, base, page, PAGE) != PAGE)
		return -1;
	for (size_t i = 0; i < n; i++)
		done(k, s[i]);
	return 0;
}

static int put_trap(struct keeper *k, struct site *s, uint8_t *byte)
{
	size_t room = PAGE - (s->addr & (PAGE - 1));

	if (s->len > room || !is_unchanged(s, byte))
		return -1; /* one by one */
	*byte = ARCH_TRAP;
	return ledger_enter(k, s);
}

static void has_trap(struct keeper *k, struct site *s)
{
	(void)k;
	s->planted = 1;
}

static int take_trap(struct keeper *k, struct site *s, uint8_t *byte)
{
	(void)k;
	if (*byte == ARCH_TRAP)
		*byte = s->orig[0];
	return 0;
}

static void lost_trap(struct keeper *k, struct site *s)
{
	s->planted = 0;
	ledger_leave(k, s);
}

static int is_planted(const struct site *s)
{
	return s->planted;
}

static int is_to_plant(const struct site *s)
{
	return s->ready && !s->planted;
}

static size_t same_page(struct site **s, size_t n)
{
	size_t i = 1;

	while (i < n && (s[i]->addr ^ s[0]->addr) < PAGE)
		i++;
	return i;
}

void sites_lift(struct keeper *k)
{
	struct site **s = NULL;
	size_t n = 0;

	sites_verify(k);
	if (sites_sorted(k, is_planted, &s, &n)) { /* no memory: one by one */
		hash_each(&k->sites, i)
			site_lift(k, k->sites.slots[i].value);
		return;
	}
	for (size_t i = 0, more; i < n; i += more) {
		more = same_page(s + i, n - i);
		if (more >= PAGE_SITES &&
			!edit_page(k, s + i, more, take_trap, lost_trap))
			continue;
		for (size_t j = 0; j < more; j++)
			site_lift(k, s[i + j]);
	}
	free(s);
}

void sites_plant_these(struct keeper *k, struct site **s, size_t n)
{
	if (n)
		guard_set(k);
	for (size_t i = 0, more; i < n; i += more) {
		more = same_page(s + i, n - i);
		if (more >= PAGE_SITES && !edit_page(k, s + i, more, put_trap, has_trap))
			continue;
		for (size_t j = 0; j < more; j++)
			site_plant(k, s[i + j]);
	}
}

void sites_plant(struct keeper *k)
{
	struct site **s = NULL;
	size_t n = 0;

	if (sites_sorted(k, is_to_plant, &s, &n)) { /* as above */
		hash_each(&k->sites, i)
			site_plant(k, k->sites.slots[i].value);
		return;
	}
	sites_plant_these(k, s, n);
	free(s);
}
