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
	&probe_pid_provider,
	&probe_tick_provider,
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

static uint64_t place_of(const struct probe *p)
{
	if (p->kind == PROBE_ADDRESS)
		return hash_mix((uintptr_t)p->proc ^ hash_mix(p->addr));
	return hash_mix((uint64_t)p->kind ^ hash_mix(p->interval_ns));
}

static int is_same(const struct probe *a, const struct probe *b)
{
	return a->kind == b->kind && a->proc == b->proc && a->addr == b->addr &&
	       strcmp(a->name, b->name) == 0 && strcmp(a->function, b->function) == 0 &&
	       strcmp(a->module, b->module) == 0 && strcmp(a->provider, b->provider) == 0;
}

static struct probe_entry *make_entry(const struct probe *wanted, uint32_t id)
{
	struct probe_entry *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->probe = *wanted;
	e->probe.id = id;
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
	free(e);
}

int probe_intern(
	struct probe_table *t, const struct probe *wanted, const struct probe **out)
{
	uint64_t place = place_of(wanted);
	struct probe_entry *first = hash_get(&t->by_place, place), *e = first;

	while (e && !is_same(&e->probe, wanted))
		e = e->same_place;
	if (e) {
		*out = &e->probe;
		return 0;
	}
	e = make_entry(wanted, (uint32_t)t->entries.n + 1);
	if (!e)
		return err_nomem("a probe");
	e->same_place = first;
	if (vec_push(&t->entries, e)) {
		free_entry(e);
		return err_nomem("probes");
	}
	if (hash_put(&t->by_place, place, e)) {
		t->entries.n--;
		free_entry(e);
		return err_nomem("probes");
	}
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
		err = probe_intern(t, &p, &made);
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
	hash_free(&t->by_place);
	free(t);
}

/* Module names match as users write them; all else by glob. */
static int matches(const struct probe *p, const struct probe_desc *d)
{
	return glob_match(d->provider, p->provider) &&
	       object_is_called(p->module, d->module) &&
	       glob_match(d->function, p->function) && glob_match(d->name, p->name);
}

static long each_existing(
	struct probe_table *t, const struct probe_desc *d, probe_fn *fn, void *arg)
{
	size_t n = t->entries.n;
	long matched = 0;

	for (size_t i = 0; i < n; i++) {
		const struct probe *p = &t->entries.at[i]->probe;
		int err;

		if (!matches(p, d))
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

long probe_each(
	struct probe_table *t, const struct probe_desc *d, probe_fn *fn, void *arg)
{
	t->why[0] = 0;
	if (t->released)
		return err_set(DTPROC_ESTATE, "the victims were released");
	for (size_t i = 0; i < sizeof providers / sizeof *providers; i++)
		if (providers[i]->claims(d))
			return providers[i]->each(t, d, fn, arg);
	long matched = each_existing(t, d, fn, arg);
	if (matched == 0)
		look_at_provider(t, d);
	return matched;
}

const struct probe *probe_by_id(const struct probe_table *t, uint32_t id)
{
	return id && id <= t->entries.n ? &t->entries.at[id - 1]->probe : NULL;
}

uint32_t probe_count(const struct probe_table *t)
{
	return (uint32_t)t->entries.n;
}
