/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Static probes of programs and libraries: python4711:module:function:name.
 *
 * NAMES.  The provider is the one of <sys/sdt.h> with the victim's PID behind it, the
 * function is the one that the instruction lies in.  Two underscores of a name become a
 * dash, as in DTrace; descriptions may have either.  A provider's name may be a glob
 * (python*): then it is looked for in the victims that are held.
 *
 * PLACES.  One function may hold a probe several times (inlined, or written so): that is
 * one probe with several places, each with arguments of its own.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <arch/arch.h>
#include <base/clean.h>
#include <base/glob.h>
#include <base/log.h>
#include "own.h"

/* A static probe of the module at hand that the description names. */
struct found {
	const struct object_sdt *sdt;
	const char *provider, *function; /* "": in none that has a symbol */
};

struct walk {
	struct probe_table *table;
	const struct probe_desc *desc;
	struct probe_victim *victim;
	const struct probe_module *module;
	VEC(struct found) found;
	unsigned providers; /* static probes whose provider the description names */
};

/* Two underscores become a dash. */
static void spell(const char *from, char *to, size_t room)
{
	size_t n = 0;

	for (; *from && n + 1 < room; n++) {
		int two = from[0] == '_' && from[1] == '_';

		to[n] = two ? '-' : *from;
		from += two ? 2 : 1;
	}
	to[n] = 0;
}

/* ------------------------------------------------------------------- arguments */

/* The symbol of an operand is in its own object; 0: it is not known. */
static int symbol_at(const struct walk *w, const struct arch_operand *o, uint64_t *out)
{
	char name[256];
	uint32_t size;

	if (!o->symbol || o->symbol_len >= sizeof name)
		return 0;
	memcpy(name, o->symbol, o->symbol_len);
	name[o->symbol_len] = 0;
	if (object_lookup(w->module->object, name, out, &size))
		return 0;
	*out += w->module->bias;
	return 1;
}

static struct wire_operand operand_of(const struct walk *w, const char *text, size_t n)
{
	struct wire_operand none = {.kind = WIRE_OPERAND_NONE}, to;
	struct arch_operand o;
	uint64_t symbol = 0;

	if (!arch_sdt_operand(text, n, &o) || (o.symbol && !symbol_at(w, &o, &symbol))) {
		log_line("probe", 1, "argument %.*s is not understood", (int)n, text);
		return none;
	}
	to = (struct wire_operand){.value = (int64_t)((uint64_t)o.value + symbol),
		.size = (uint8_t)o.size,
		.is_signed = (uint8_t)o.is_signed,
		.base = o.base == ARCH_NO_REG ? WIRE_NO_REG : (uint8_t)o.base,
		.index = o.index == ARCH_NO_REG ? WIRE_NO_REG : (uint8_t)o.index,
		.scale = (uint8_t)o.scale,
		.shift = (uint8_t)o.shift};
	to.kind = o.kind == ARCH_OPERAND_CONST ? WIRE_OPERAND_CONST
		  : o.kind == ARCH_OPERAND_REG ? WIRE_OPERAND_REG
					       : WIRE_OPERAND_MEMORY;
	return to;
}

/* How many of the at most ten arguments there are. */
static uint8_t read_args(const struct walk *w, const char *text,
	struct wire_operand out[WIRE_OPERANDS_MAX])
{
	uint8_t n = 0;

	while (n < WIRE_OPERANDS_MAX) {
		text += strspn(text, " ");
		size_t len = strcspn(text, " ");

		if (!len)
			break;
		out[n++] = operand_of(w, text, len);
		text += len;
	}
	return n;
}

/* ---------------------------------------------------------------------- probes */

static int by_name(const struct found *a, const struct found *b)
{
	int c = strcmp(a->sdt->provider, b->sdt->provider);

	if (!c)
		c = strcmp(a->sdt->name, b->sdt->name);
	return c ? c : strcmp(a->function, b->function);
}

static int by_name_and_place(const void *a, const void *b)
{
	const struct found *fa = a, *fb = b;
	int c = by_name(fa, fb);

	return c ? c
		 : (fa->sdt->value > fb->sdt->value) - (fa->sdt->value < fb->sdt->value);
}

/* Makes the probe of `n` places with one name. */
static int make(const struct walk *w, const struct found *f, size_t n)
{
	struct wire_operand *args = calloc(n * WIRE_OPERANDS_MAX, sizeof *args);
	struct probe_place *places = calloc(n, sizeof *places);
	char name[256];
	struct probe p = {.kind = PROBE_ADDRESS,
		.provider = f->provider,
		.module = w->module->name,
		.function = f->function,
		.name = name,
		.proc = w->victim->proc,
		.places = places,
		.n_places = n,
		.generation = w->victim->generation};
	const struct probe *made;
	int err = args && places ? 0 : err_nomem("a static probe");

	spell(f->sdt->name, name, sizeof name);
	for (size_t i = 0; i < n && !err; i++) {
		const struct object_sdt *s = f[i].sdt;

		places[i].addr = s->value + w->module->bias;
		places[i].semaphore = s->semaphore ? s->semaphore + w->module->bias : 0;
		places[i].args = args + i * WIRE_OPERANDS_MAX;
		places[i].n_args = read_args(w, s->args, args + i * WIRE_OPERANDS_MAX);
	}
	if (!err)
		err = probe_intern(w->table, &p, w->module, &made);
	free(args);
	free(places);
	return err;
}

static int make_all(const struct walk *w)
{
	struct found *f = w->found.at;
	size_t n;

	if (w->found.n)
		qsort(f, w->found.n, sizeof *f, by_name_and_place);
	for (size_t i = 0; i < w->found.n; i += n) {
		for (n = 1; i + n < w->found.n && by_name(&f[i], &f[i + n]) == 0;)
			n++;
		int err = make(w, f + i, n);

		if (err)
			return err;
	}
	return 0;
}

/* "python4711", kept with the victim. */
static int provider_of(struct probe_victim *v, const char *name, const char **out)
{
	char text[160], *copy;

	snprintf(text, sizeof text, "%s%d", name, (int)v->pid);
	for (size_t i = 0; i < v->usdt.n; i++)
		if (strcmp(v->usdt.at[i], text) == 0) {
			*out = v->usdt.at[i];
			return 0;
		}
	copy = strdup(text);
	if (!copy || vec_push(&v->usdt, copy)) {
		free(copy);
		return err_nomem("the name of a provider");
	}
	*out = copy;
	return 0;
}

static int names_it(const char *wanted, const char *name)
{
	char spelt[256];

	spell(name, spelt, sizeof spelt);
	return glob_match(wanted, spelt) || glob_match(wanted, name);
}

static int look_at(struct walk *w, const struct object_sdt *s)
{
	const struct object *o = w->module->object;
	struct found f = {.sdt = s, .function = ""};
	const struct object_symbol *at;
	const struct object_symbol *all;
	size_t n;
	int err = provider_of(w->victim, s->provider, &f.provider);

	if (err || !glob_match(w->desc->provider, f.provider))
		return err;
	w->providers++;
	if (!names_it(w->desc->name, s->name) || !object_executable(o, s->value))
		return 0;
	err = object_symbols(w->module->object, &all, &n);
	if (err == DTPROC_ENOMEM)
		return err;
	at = err ? NULL : object_at(o, s->value);
	if (at)
		f.function = object_name_of(o, at);
	if (!glob_match(w->desc->function, f.function))
		return 0;
	return vec_push(&w->found, f) ? err_nomem("static probes") : 0;
}

static int in_module(struct walk *w)
{
	const struct object_sdt *sdts;
	size_t n;
	int err = object_sdts(w->module->object, &sdts, &n);

	if (err == DTPROC_ENOMEM)
		return err;
	if (err) { /* one bad file must not hide the probes of the others */
		log_line("probe", 1, "%s", err_text());
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		if ((err = look_at(w, &sdts[i])))
			return err;
	err = make_all(w);
	w->found.n = 0;
	return err;
}

/* Makes what a description names in modules of that epoch and on. */
static int in_victim(struct walk *w, uint32_t since)
{
	int err = 0;

	for (size_t i = 0; i < w->victim->modules.n && !err; i++) {
		w->module = w->victim->modules.at[i];
		if (w->module->epoch >= since &&
			probe_module_matches(w->module, w->desc->module))
			err = in_module(w);
	}
	vec_free(&w->found);
	return err;
}

/* ------------------------------------------------------------------- provider */

static int claims(const struct probe_desc *d)
{
	return d->provider[0] != 0;
}

/* Does a provider's name end in this PID, or in a glob? */
static int may_be_of(const char *provider, pid_t pid)
{
	char digits[16];
	size_t n = strlen(provider), k;

	if (provider[n - 1] == '*' || provider[n - 1] == ']' || provider[n - 1] == '?')
		return 1;
	k = (size_t)snprintf(digits, sizeof digits, "%d", (int)pid);
	return n > k && strcmp(provider + n - k, digits) == 0;
}

/* The PID that a provider's name ends in, or 0. */
static pid_t pid_at_end(const char *provider)
{
	size_t n = strlen(provider), k = n;

	while (k > 0 && isdigit((unsigned char)provider[k - 1]))
		k--;
	return k > 0 && k < n ? probe_pid_behind(provider + k, "") : 0;
}

static long of_victims(struct walk *w, const struct probe_pids *pids)
{
	long victims = 0;

	for (size_t i = 0; i < pids->n; i++) {
		if (!may_be_of(w->desc->provider, pids->at[i]))
			continue;
		int err = probe_victim_find(w->table, pids->at[i], &w->victim);

		if (!err)
			err = in_victim(w, 0);
		if (err)
			return err;
		victims++;
		if (!w->providers && !glob_is_pattern(w->desc->provider))
			w->table->may_come = hold_created(w->victim->proc);
	}
	return victims;
}

/* Makes the probes; those are matched then as all others that are there. */
static long make_probes(struct walk *w)
{
	CLEAN(probe_pids_free) struct probe_pids pids = {0};
	pid_t pid = pid_at_end(w->desc->provider);
	int err = probe_pids_known(w->table, &pids);
	long victims = err ? err : of_victims(w, &pids);

	if (victims || !pid)
		return victims;
	err = probe_victim_find(w->table, pid, &w->victim);
	return err ? err : in_victim(w, 0);
}

static long each(
	struct probe_table *t, const struct probe_desc *d, probe_fn *fn, void *arg)
{
	char name[256];
	struct probe_desc spelt = *d;
	struct walk w = {.table = t, .desc = d};
	long n = make_probes(&w);

	if (n < 0)
		return n;
	spell(d->name, name, sizeof name);
	spelt.name = name;
	n = probe_each_existing(t, 0, &spelt, fn, arg);
	if (n == 0 && w.providers)
		probe_set_why(
			t, "%s has no such probe (dtproc -lP lists them)", d->provider);
	return n;
}

/* A provider's name in a followed child: its own PID for that of an ancestor. */
static const char *own_provider(
	const struct probe_victim *v, const char *provider, char *buf, size_t size)
{
	pid_t pid = pid_at_end(provider);
	size_t n = strlen(provider);

	if (!pid || pid == v->pid || !probe_victim_is_meant(v, pid))
		return provider;
	while (n > 0 && isdigit((unsigned char)provider[n - 1]))
		n--;
	snprintf(buf, size, "%.*s%d", (int)n, provider, (int)v->pid);
	return buf;
}

static long each_new(struct probe_table *t, struct probe_victim *v,
	const struct probe_desc *d, probe_fn *fn, void *arg)
{
	char name[256], provider[256];
	struct probe_desc spelt = *d;
	struct walk w = {.table = t, .desc = &spelt, .victim = v};
	int err;

	spelt.provider = own_provider(v, d->provider, provider, sizeof provider);
	err = may_be_of(spelt.provider, v->pid) ? in_victim(&w, t->epoch) : 0;
	if (err)
		return err;
	spell(d->name, name, sizeof name);
	spelt.name = name;
	return probe_each_existing(t, t->epoch, &spelt, fn, arg);
}

const struct probe_provider probe_usdt_provider = {"usdt", claims, each, each_new};
