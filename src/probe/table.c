/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of probes, and how a description finds its provider.
 *
 * A provider claims descriptions that are plainly its own (pid4711:..., tick-1s) and
 * makes what they ask for.  All other descriptions, with a glob or nothing for the
 * provider, are matched with the probes that are there: as in DTrace, `:::entry` means
 * the entry probes that somebody asked for, not all functions of all processes.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <base/glob.h>
#include "own.h"

static const struct probe_provider *const providers[] = {
	&probe_pid_provider, &probe_proc_provider, &probe_rtld_provider,
	&probe_profile_provider, &probe_usdt_provider, /* all others that have a name */
};

void probe_set_why(struct probe_table *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->why, sizeof t->why, fmt, ap);
	va_end(ap);
}

const char *probe_why_none(const struct probe_table *t)
{
	return t->why;
}

static uint64_t name_of(const struct probe *p)
{
	uint64_t h = hash_mix((uintptr_t)p->proc ^ (uint64_t)p->kind);

	if (p->kind == PROBE_TICK)
		return hash_mix(h ^ hash_mix(p->interval_ns));
	h = hash_mix(h ^ hash_bytes(p->module, strlen(p->module)));
	h = hash_mix(h ^ hash_bytes(p->function, strlen(p->function)));
	return hash_mix(h ^ hash_bytes(p->name, strlen(p->name)));
}

static int is_same(const struct probe *a, const struct probe *b)
{
	return a->kind == b->kind && a->proc == b->proc &&
	       strcmp(a->name, b->name) == 0 && strcmp(a->function, b->function) == 0 &&
	       strcmp(a->module, b->module) == 0 && strcmp(a->provider, b->provider) == 0;
}

static int is_vacant(const struct probe_entry *e)
{
	return e->module && e->module->epoch != e->epoch;
}

static int is_there(const struct probe *a, const struct probe *b)
{
	return a->n_places == b->n_places &&
	       (!a->n_places || a->places[0].addr == b->places[0].addr);
}

/* The entry of these names that is at that place, or else a vacant one; NULL. */
static struct probe_entry *find_entry(struct probe_entry *e, const struct probe *wanted)
{
	struct probe_entry *vacant = NULL;

	for (; e; e = e->same_name) {
		if (!is_same(&e->probe, wanted))
			continue;
		if (is_vacant(e))
			vacant = e;
		else if (is_there(&e->probe, wanted))
			return e;
	}
	return vacant;
}

static struct wire_operand *copy_args(struct probe_place *place, struct wire_operand *to)
{
	if (!place->args)
		return to;
	if (place->n_args)
		memcpy(to, place->args, place->n_args * sizeof *to);
	place->args = to;
	return to + place->n_args;
}

/* The places of a probe, behind them their operands, as one block. */
static void *copy_places(const struct probe *p)
{
	size_t operands = 1; /* args of none are not NULL either */
	struct wire_operand *next;
	struct probe_place *to;

	for (size_t i = 0; i < p->n_places; i++)
		operands += p->places[i].n_args;
	to = malloc(p->n_places * sizeof *to + operands * sizeof *next);
	if (!to)
		return NULL;
	if (p->n_places)
		memcpy(to, p->places, p->n_places * sizeof *to);
	next = (struct wire_operand *)(to + p->n_places);
	for (size_t i = 0; i < p->n_places; i++)
		next = copy_args(&to[i], next);
	return to;
}

static int settle(struct probe_table *t, struct probe_entry *e,
	const struct probe_module *module, const struct probe *wanted)
{
	void *places = copy_places(wanted);

	if (!places)
		return err_nomem("the places of a probe");
	free(e->places);
	e->places = places;
	e->module = module;
	e->epoch = module ? module->epoch : t->epoch;
	e->probe.places = places;
	e->probe.n_places = wanted->n_places;
	e->probe.generation = wanted->generation;
	return 0;
}

static struct probe_entry *make_entry(const struct probe *wanted, uint32_t id)
{
	struct probe_entry *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->probe = *wanted;
	e->probe.id = id;
	e->probe.n_places = 0;
	e->probe.places = NULL;
	e->own_name = strdup(wanted->name);
	if (!e->own_name) {
		free(e);
		return NULL;
	}
	e->probe.name = e->own_name;
	return e;
}

static void free_entry(struct probe_entry *e)
{
	free(e->own_name);
	free(e->places);
	free(e);
}

/* Enters a new one before the others of its name. */
static int add_entry(struct probe_table *t, const struct probe *wanted, uint64_t name,
	struct probe_entry **out)
{
	struct probe_entry *e = make_entry(wanted, (uint32_t)t->entries.n + 1);

	if (!e)
		return err_nomem("a probe");
	e->same_name = hash_get(&t->by_name, name);
	if (vec_push(&t->entries, e)) {
		free_entry(e);
		return err_nomem("probes");
	}
	if (hash_put(&t->by_name, name, e)) {
		t->entries.n--;
		free_entry(e);
		return err_nomem("probes");
	}
	*out = e;
	return 0;
}

int probe_intern(struct probe_table *t, const struct probe *wanted,
	const struct probe_module *module, const struct probe **out)
{
	uint64_t name = name_of(wanted);
	struct probe_entry *e = find_entry(hash_get(&t->by_name, name), wanted);
	int fresh = !e, err = fresh ? add_entry(t, wanted, name, &e) : 0;

	if (err)
		return err;
	if (fresh || is_vacant(e) || !module)
		err = settle(t, e, module, wanted);
	if (err)
		return err;
	*out = &e->probe;
	return 0;
}

/* The probes of the session itself have the IDs that they have in DTrace. */
static int make_own_probes(struct probe_table *t)
{
	static const struct probe own[] = {
		{.kind = PROBE_BEGIN, .name = "BEGIN"},
		{.kind = PROBE_END, .name = "END"},
		{.kind = PROBE_ERROR, .name = "ERROR"},
	};

	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		struct probe p = own[i];
		const struct probe *made;
		int err;

		p.provider = "dtrace";
		p.module = p.function = "";
		err = probe_intern(t, &p, NULL, &made);
		if (err)
			return err;
	}
	return 0;
}

int probe_table_open(struct hold_session *session, enum probe_purpose purpose,
	struct probe_table **out)
{
	struct probe_table *t = calloc(1, sizeof *t);
	int err;

	if (!t)
		return err_nomem("a table of probes");
	t->session = session;
	t->purpose = purpose;
	t->epoch = 1;
	err = make_own_probes(t);
	if (err) {
		probe_table_close(t);
		return err;
	}
	*out = t;
	return 0;
}

void probe_table_release(struct probe_table *t)
{
	for (size_t i = 0; i < t->victims.n; i++)
		probe_victim_release(t->victims.at[i]);
	t->released = 1;
}

void probe_each_victim(struct probe_table *t, void (*fn)(struct dtproc_proc *))
{
	for (size_t i = 0; i < t->victims.n; i++)
		fn(t->victims.at[i]->proc);
}

void probe_table_close(struct probe_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->entries.n; i++)
		free_entry(t->entries.at[i]);
	for (size_t i = 0; i < t->victims.n; i++)
		probe_victim_free(t->victims.at[i]);
	vec_free(&t->entries);
	vec_free(&t->victims);
	hash_free(&t->by_name);
	free(t);
}

/* Names of modules and functions match as users write them; all else by glob. */
static int matches(const struct probe *p, const struct probe_desc *d)
{
	return glob_match(d->provider, p->provider) &&
	       object_is_called(p->module, d->module) &&
	       probe_function_is(d->function, p->function) &&
	       glob_match(d->name, p->name);
}

/* Those that came since an epoch. */
long probe_each_existing(struct probe_table *t, uint32_t since,
	const struct probe_desc *d, probe_fn *fn, void *arg)
{
	size_t n = t->entries.n;
	long matched = 0;

	for (size_t i = 0; i < n; i++) {
		const struct probe_entry *e = t->entries.at[i];
		const struct probe *p = &e->probe;
		int err;

		if (e->epoch < since || !matches(p, d))
			continue;
		err = fn(p, arg);
		if (err < 0)
			return err;
		matched++;
	}
	return matched;
}

/* Why nothing is matched, where the provider is what is wrong. */
static void look_at_provider(struct probe_table *t, const struct probe_desc *d)
{
	if (!strcmp(d->provider, "pid")) {
		probe_set_why(t,
			"pid wants a PID behind it: pid$target, in single quotes "
			"for the shell, or pid4711");
		return;
	}
	for (size_t i = 0; i < t->entries.n; i++)
		if (glob_match(d->provider, t->entries.at[i]->probe.provider))
			return;
	probe_set_why(t, "there is no provider called %s", d->provider);
}

/* The one that claims a description; NULL: none. */
static const struct probe_provider *provider_of(const struct probe_desc *d)
{
	for (size_t i = 0; i < sizeof providers / sizeof *providers; i++)
		if (providers[i]->claims(d))
			return providers[i];
	return NULL;
}

long probe_each(
	struct probe_table *t, const struct probe_desc *d, probe_fn *fn, void *arg)
{
	t->why[0] = 0;
	t->may_come = 0;
	if (t->released)
		return err_set(DTPROC_ESTATE, "the victims were released");
	const struct probe_provider *p = provider_of(d);
	long matched = p ? p->each(t, d, fn, arg) : probe_each_existing(t, 0, d, fn, arg);
	if (matched == 0 && !t->why[0])
		look_at_provider(t, d);
	return matched;
}

int probe_refresh(struct probe_table *t, struct dtproc_proc *proc, enum hold_change what)
{
	struct probe_victim *v = probe_victim_of(t, proc);

	t->epoch++;
	if (what == HOLD_CHILD && !v)
		return probe_victim_follow(t, proc);
	return v ? probe_victim_read(t, v, what) : 0;
}

/* Their names are those of modules, which stay. */
void probe_forget(struct probe_table *t, const struct dtproc_proc *proc)
{
	struct probe_victim *v = probe_victim_of(t, proc);

	if (!v)
		return;
	for (size_t i = v->first; i < t->entries.n; i++) {
		struct probe *p = &t->entries.at[i]->probe;
		if (p->proc == proc)
			p->proc = NULL;
	}
	probe_victim_release(v);
}

long probe_each_new(struct probe_table *t, struct dtproc_proc *proc,
	const struct probe_desc *d, probe_fn *fn, void *arg)
{
	struct probe_victim *v = probe_victim_of(t, proc);

	if (!v)
		return 0;
	const struct probe_provider *p = provider_of(d);

	if (!p)
		return probe_each_existing(t, t->epoch, d, fn, arg);
	return p->each_new ? p->each_new(t, v, d, fn, arg) : 0;
}

int probe_is_stale(struct probe_table *t, struct dtproc_proc *proc)
{
	struct probe_victim *v = probe_victim_of(t, proc);
	struct dtproc_proc_status st;

	dtproc_proc_status(proc, &st);
	return v && v->generation != st.generation;
}

int probe_may_come(const struct probe_table *t)
{
	return t->may_come;
}

const struct probe *probe_by_id(const struct probe_table *t, uint32_t id)
{
	return id && id <= t->entries.n ? &t->entries.at[id - 1]->probe : NULL;
}

uint32_t probe_count(const struct probe_table *t)
{
	return (uint32_t)t->entries.n;
}
