/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects that come back (section E): a program that loads and unloads a library again
 * and again need not wait for the client each time.
 *
 * What is armed in an object when it leaves is kept with its file.  When the same file is
 * mapped again, and each instruction is what it was, its sites are armed at once; the
 * client hears of it later (linker.c), and takes them over then.  What is not as it was
 * is as if it had never been there: the client is asked.
 *
 * An object is known when the client has reacted to it, with whatever it armed.
 */
#include "mappings.h"
#include "recall.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_MAX 1024u
#define SITES_MAX 4096u

/* A file that somebody writes anew is another one. */
struct file_id {
	uint64_t dev, inode, size;
	struct timespec modified, changed;
};

struct recall_object {
	struct file_id file; /* inode 0: it cannot be told */
	uint8_t known;       /* the client has reacted to it */
};

/* A site as it was when its object left. */
struct past {
	uint64_t at; /* from where the object began */
	uint64_t offset;
	uint8_t way, len, orig[ARCH_INSN_MAX];
	struct site_user user;
};

struct recall_file {
	struct file_id id;
	VEC(struct past) sites; /* by address, one for each user */
};

/* ------------------------------------------------------------------------ which file */

static struct file_id identify(struct keeper *k, dtproc_addr at)
{
	struct file_id none = {0};
	struct stat st;

	if (mappings_file(k, at, &st))
		return none;
	return (struct file_id){.dev = st.st_dev,
		.inode = st.st_ino,
		.size = (uint64_t)st.st_size,
		.modified = st.st_mtim,
		.changed = st.st_ctim};
}

static int is_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static int is_same_file(const struct file_id *a, const struct file_id *b)
{
	return a->inode && a->inode == b->inode && a->dev == b->dev &&
	       a->size == b->size && is_same_time(a->modified, b->modified) &&
	       is_same_time(a->changed, b->changed);
}

/* ------------------------------------------------------------------- what was armed */

static void free_file(struct recall_file *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->sites.n; i++)
		free(f->sites.at[i].user.place);
	vec_free(&f->sites);
	free(f);
}

static void forget_files(struct keeper *k)
{
	hash_each(&k->recall.files, i)
		free_file(k->recall.files.slots[i].value);
	hash_free(&k->recall.files);
}

/* Users of one site in the order in which they were wanted. */
static int by_place(const void *a, const void *b)
{
	const struct past *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->user.user < y->user.user ? -1 : x->user.user > y->user.user;
}

static int keep_site(struct recall_file *f, const struct site *s, dtproc_addr from)
{
	struct past p = {
		.at = s->addr - from, .offset = s->offset, .way = s->way, .len = s->len};

	memcpy(p.orig, s->orig, sizeof p.orig);
	for (size_t i = 0; i < s->users.n; i++) {
		p.user = s->users.at[i];
		if (p.user.kind != WIRE_SITE_PROBE)
			continue;
		if (f->sites.n == SITES_MAX ||
			place_move(s->users.at[i].place, -from, &p.user.place))
			return -1;
		if (vec_push(&f->sites, p)) {
			free(p.user.place);
			return -1;
		}
	}
	return 0;
}

static int keep_sites(
	struct keeper *k, struct recall_file *f, dtproc_addr from, dtproc_addr to)
{
	hash_each(&k->sites, i) {
		const struct site *s = k->sites.slots[i].value;
		if (k->sites.slots[i].key - from < to - from && s->ready &&
			keep_site(f, s, from))
			return -1;
	}
	if (f->sites.n)
		qsort(f->sites.at, f->sites.n, sizeof *f->sites.at, by_place);
	return 0;
}

static void keep(
	struct keeper *k, const struct file_id *id, dtproc_addr from, dtproc_addr to)
{
	struct recall_file *f;

	free_file(hash_take(&k->recall.files, id->inode));
	if (k->recall.files.n == FILES_MAX)
		forget_files(k);
	f = calloc(1, sizeof *f);
	if (!f)
		return;
	f->id = *id;
	if (keep_sites(k, f, from, to) || hash_put(&k->recall.files, id->inode, f))
		free_file(f);
}

/* -------------------------------------------------------------------- arming it again */

static struct site_user *user_of(struct site *s, uint32_t user)
{
	for (size_t i = 0; s && i < s->users.n; i++)
		if (s->users.at[i].user == user)
			return &s->users.at[i];
	return NULL;
}

/* 0; -1: there is one already, or no memory or program. */
static int want(struct keeper *k, const struct past *p, dtproc_addr from)
{
	struct wire_site w = {.addr = from + p->at,
		.user = p->user.user,
		.kind = WIRE_SITE_PROBE,
		.program = p->user.program,
		.probe = p->user.probe,
		.flags = p->user.late ? WIRE_SITE_LATE : 0};
	struct site *s = site_get(k, w.addr);
	struct site_user *u;

	if (s && s->ready)
		return -1;
	site_want(k, &w, NULL);
	u = user_of(site_get(k, w.addr), w.user);
	if (w.result || !u)
		return -1;
	if (!place_move(p->user.place, from, &u->place))
		return 0;
	site_unwant(k, w.addr, w.user);
	return -1;
}

static int is_as_it_was(
	const struct site *s, const struct past *p, const struct recall_file *f)
{
	return s->ready && s->inode == f->id.inode && s->offset == p->offset &&
	       s->way == p->way && s->len == p->len &&
	       !memcmp(s->orig, p->orig, sizeof p->orig);
}

/* Sites that are wanted, made ready as they were; 0, or they are not what they were. */
static int prepare(struct keeper *k, const struct recall_file *f, dtproc_addr from,
	struct site **s, size_t n)
{
	uint8_t no_inject = k->no_inject;
	int bad;

	/* The thread stands amid a hit: what takes a call in the victim is the client's.
	 */
	k->no_inject = 1;
	bad = sites_prepare_these(k, s, n);
	k->no_inject = no_inject;
	for (size_t i = 0; i < f->sites.n && !bad; i++) {
		const struct past *p = &f->sites.at[i];
		bad = !is_as_it_was(site_get(k, from + p->at), p, f);
	}
	return bad || !guard_fits(k);
}

/* Those are the client's to claim. */
static void mark(struct keeper *k, const struct recall_file *f, dtproc_addr from)
{
	for (size_t i = 0; i < f->sites.n; i++) {
		const struct past *p = &f->sites.at[i];
		user_of(site_get(k, from + p->at), p->user.user)->recalled = 1;
	}
}

static int arm(struct keeper *k, const struct recall_file *f, dtproc_addr from)
{
	CLEAN_FREE struct site **s = calloc(f->sites.n + 1, sizeof *s);
	size_t wanted = 0, n = 0;

	while (s && wanted < f->sites.n) {
		const struct past *p = &f->sites.at[wanted];
		if (want(k, p, from))
			break;
		if (!wanted++ || p->at != p[-1].at)
			s[n++] = site_get(k, from + p->at);
	}
	if (s && wanted == f->sites.n && !prepare(k, f, from, s, n)) {
		mark(k, f, from);
		if (!k->held) /* else planted when all go on */
			sites_plant_these(k, s, n);
		return 1;
	}
	while (wanted-- > 0)
		site_unwant(
			k, from + f->sites.at[wanted].at, f->sites.at[wanted].user.user);
	return 0;
}

/* ------------------------------------------------------------------ coming and going */

static struct recall_object *add_object(struct keeper *k, dtproc_addr from)
{
	struct recall_object *o = hash_take(&k->recall.here, from);

	if (!o)
		o = calloc(1, sizeof *o);
	if (!o || hash_put(&k->recall.here, from, o)) {
		free(o);
		return NULL;
	}
	*o = (struct recall_object){.file = identify(k, from)};
	return o;
}

int recall_came(struct keeper *k, dtproc_addr from)
{
	struct recall_object *o = from ? add_object(k, from) : NULL;
	struct recall_file *f = o ? hash_get(&k->recall.files, o->file.inode) : NULL;

	if (!o)
		return 0;
	if (f && (is_same_file(&f->id, &o->file) || !RULE(E2, same)) && arm(k, f, from)) {
		o->known = 1;
		return 1;
	}
	if (vec_push(&k->recall.news, from))
		o->file.inode = 0;
	return 0;
}

void recall_left(struct keeper *k, dtproc_addr from, dtproc_addr to)
{
	struct recall_object *o = hash_take(&k->recall.here, from);

	for (size_t i = 0; i < k->recall.news.n; i++)
		if (k->recall.news.at[i] == from)
			k->recall.news.at[i] = 0;
	if (o && o->known && o->file.inode)
		keep(k, &o->file, from, to);
	free(o);
}

void recall_told(struct keeper *k)
{
	k->recall.told = k->recall.news.n;
}

void recall_reacted(struct keeper *k)
{
	size_t rest = k->recall.news.n - k->recall.told;

	for (size_t i = 0; i < k->recall.told; i++) {
		struct recall_object *o = hash_get(&k->recall.here, k->recall.news.at[i]);
		if (o)
			o->known = 1;
	}
	if (k->recall.told && rest)
		memmove(k->recall.news.at, k->recall.news.at + k->recall.told,
			rest * sizeof *k->recall.news.at);
	k->recall.news.n = rest;
	k->recall.told = 0;
}

/* ---------------------------------------------------------------- the client's own */

/* By the names of its probe, or by what runs alone: it may have another ID by now. */
enum likeness { SAME_PROBE, SAME_PROGRAM };

static int is_the_same(const struct keeper *k, const struct site_user *u,
	const struct wire_site *w, enum likeness how)
{
	if (u->kind != WIRE_SITE_PROBE || u->program != w->program)
		return 0;
	return how == SAME_PROBE ? u->probe == w->probe && u->asked != k->request_seq
				 : u->recalled;
}

static int take_over(
	struct keeper *k, struct site *s, const struct wire_site *w, enum likeness how)
{
	for (size_t i = 0; s && i < s->users.n; i++) {
		struct site_user *u = &s->users.at[i];
		if (!is_the_same(k, u, w, how))
			continue;
		u->user = w->user;
		u->probe = w->probe;
		u->asked = k->request_seq;
		u->recalled = 0;
		return 1;
	}
	return 0;
}

int recall_claim(struct keeper *k, const struct wire_site *w)
{
	struct site *s = site_get(k, w->addr);

	return w->kind == WIRE_SITE_PROBE && RULE(E2, once) &&
	       (take_over(k, s, w, SAME_PROBE) || take_over(k, s, w, SAME_PROGRAM));
}

static int is_recalled(const struct site *s)
{
	for (size_t i = 0; i < s->users.n; i++)
		if (s->users.at[i].recalled)
			return 1;
	return 0;
}

/* Those of `users` go, wherever their object is by now. */
static void unwant(struct keeper *k, const struct site *s, const struct hash *users)
{
	const dtproc_addr addr = s->addr;

	for (size_t i = s->users.n; i-- > 0;) {
		const struct site_user *u = &s->users.at[i];
		size_t n = s->users.n;
		if (!u->recalled || !hash_get(users, u->user))
			continue;
		site_unwant(k, addr, u->user);
		if (n == 1)
			return;
	}
}

void recall_disarm(struct keeper *k, const struct wire_site *w, size_t n)
{
	struct site **s = NULL;
	struct hash users = {0};
	size_t sites = 0;

	recall_forget(k);
	if (sites_sorted(k, is_recalled, &s, &sites))
		return;
	for (size_t i = 0; i < n && sites; i++)
		if (hash_put(&users, w[i].user, k))
			break;
	for (size_t i = 0; i < sites; i++)
		unwant(k, s[i], &users);
	hash_free(&users);
	free(s);
}

void recall_forget(struct keeper *k)
{
	forget_files(k);
	hash_each(&k->recall.here, i)
		free(k->recall.here.slots[i].value);
	hash_free(&k->recall.here);
	vec_free(&k->recall.news);
	k->recall.told = 0;
}
