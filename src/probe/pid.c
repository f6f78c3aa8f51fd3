/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pid provider: pid4711:module:function:name.
 *
 * NAMES.  entry is the first instruction of a function, return where it returns (see
 * return.c); a hexadecimal number is an offset from the first instruction; function "-"
 * makes that number an address.  A glob for the name is matched with "entry", "return"
 * and the offset of each instruction.
 *
 * FUNCTIONS.  A plain name is looked up as it is, so an alias can be asked for, and else
 * as a programmer of C++ or Rust wrote it (mangled.c); a glob takes one name an address,
 * the preferred one of those that match.  Data and indirect functions (whose symbol is
 * the resolver) are not functions.  Symbols without a size are labels of assembler code;
 * only a plain name reaches them.  main is found in a stripped program too.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <arch/arch.h>
#include <base/clean.h>
#include <base/glob.h>
#include <base/log.h>
#include "code.h"

/* What one call of each() carries along. */
struct walk {
	struct probe_table *table;
	const struct probe_desc *desc;
	struct probe_victim *victim;
	const struct probe_module *module;
	uint32_t since; /* modules of that epoch and on */
	probe_fn *fn;
	void *arg;
	long matched;
	unsigned modules, functions, indirect; /* that the description names */
};

static pid_t pid_of(const char *provider)
{
	return probe_pid_behind(provider, "pid");
}

static int claims(const struct probe_desc *d)
{
	return pid_of(d->provider) > 0;
}

/* "1f" or "0x1f", wholly; 1 if it is one. */
static int parse_hex(const char *s, uint64_t *out)
{
	uint64_t v = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X') && s[2])
		s += 2;
	if (!*s || strlen(s) > 16)
		return 0;
	for (; *s; s++) {
		if (!isxdigit((unsigned char)*s))
			return 0;
		v = v << 4 |
		    (uint64_t)(isdigit((unsigned char)*s) ? *s - '0'
							  : (*s | 32) - 'a' + 10);
	}
	*out = v;
	return 1;
}

static int emit_places(struct walk *w, const char *function, const char *name,
	const struct probe_place *places, size_t n)
{
	struct probe p = {.kind = PROBE_ADDRESS,
		.provider = w->victim->provider,
		.module = w->module ? w->module->name : "",
		.function = function,
		.name = name,
		.proc = w->victim->proc,
		.places = places,
		.n_places = n,
		.generation = w->victim->generation};
	const struct probe *made;
	int err = probe_intern(w->table, &p, w->module, &made);

	if (!err)
		err = w->fn(made, w->arg);
	if (err < 0)
		return err;
	w->matched++;
	return 0;
}

static int emit(struct walk *w, const char *function, const char *name, dtproc_addr addr)
{
	struct probe_place place = {.addr = addr};

	return emit_places(w, function, name, &place, 1);
}

/* One function of which nothing can be said must not hide the probes of the others. */
static void leave_out(struct walk *w, const char *function, const char *why)
{
	probe_set_why(w->table, "%s: %s", function, why);
	log_line("probe", 1, "%s:%s left out: %s", w->module->name, function, why);
}

/*
 * Emits a probe at each instruction of a function whose offset the description names;
 * one that lies between two instructions gets none.
 */
static int each_offset(struct walk *w, const struct object_symbol *s)
{
	const char *function = object_name_of(w->module->object, s);
	CLEAN(code_free) struct code c = {0};
	uint64_t wanted = UINT64_MAX;
	int err = code_read(w->victim, s->value + w->module->bias, s->size, &c);

	if (c.unsure)
		leave_out(w, function, c.unsure);
	if (err || c.unsure)
		return err;
	parse_hex(w->desc->name, &wanted);
	for (size_t i = 0; i < c.insns.n && !err; i++) {
		size_t at = c.insns.at[i].at;
		char name[24];

		snprintf(name, sizeof name, "%zx", at);
		if (at == wanted ||
			(wanted == UINT64_MAX && glob_match(w->desc->name, name)))
			err = emit(w, function, name, c.start + at);
	}
	return err;
}

static int at_returns(struct walk *w, const struct object_symbol *s)
{
	const char *function = object_name_of(w->module->object, s);
	struct code_returns r;
	int err = code_returns(w->victim, w->module, s, &r);

	if (err)
		return err;
	if (r.unsure)
		leave_out(w, function, r.unsure);
	else if (r.n)
		err = emit_places(w, function, "return", r.places, r.n);
	else
		probe_set_why(w->table, "%s does not return", function);
	free(r.places);
	return err;
}

static int at_function(struct walk *w, const struct object_symbol *s)
{
	const char *function = object_name_of(w->module->object, s);
	const char *name = w->desc->name;
	uint64_t offset;
	int err = 0;

	if (!object_executable(w->module->object, s->value))
		return 0;
	w->functions++;
	if (glob_match(name, "entry"))
		err = emit(w, function, "entry", s->value + w->module->bias);
	if (err || !s->size)
		return err;
	if (glob_match(name, "return"))
		err = at_returns(w, s);
	if (!err && (glob_is_pattern(name) || !name[0] || parse_hex(name, &offset)))
		err = each_offset(w, s);
	return err;
}

/* Do two neighbours in the table share an address? */
static int same_place(const struct object_symbol *a, const struct object_symbol *b)
{
	return a->value == b->value;
}

/* Each address once, by its preferred name among those that match. */
static int each_by_glob(struct walk *w, const struct object_symbol *at, size_t n)
{
	const struct object *o = w->module->object;
	const struct object_symbol *taken = NULL;

	for (size_t i = 0; i < n; i++) {
		int err;

		if (at[i].kind != OBJECT_FUNCTION || !at[i].size ||
			(taken && same_place(taken, &at[i])) ||
			!probe_function_is(w->desc->function, object_name_of(o, &at[i])))
			continue;
		taken = &at[i];
		err = at_function(w, taken);
		if (err)
			return err;
	}
	return 0;
}

static int each_by_name(struct walk *w, const struct object_symbol *at, size_t n)
{
	const struct object *o = w->module->object;
	const struct object_symbol *s = NULL, *last = NULL;

	while ((s = object_find(o, w->desc->function, s))) {
		int err;

		if (s->kind == OBJECT_INDIRECT)
			w->indirect++;
		if (s->kind != OBJECT_FUNCTION || (last && same_place(last, s)))
			continue;
		last = s;
		err = at_function(w, s);
		if (err)
			return err;
	}
	/* Perhaps it is how a programmer wrote what has another symbol. */
	return last || w->indirect ? 0 : each_by_glob(w, at, n);
}

static int read_exactly(void *proc, dtproc_addr addr, void *buf, size_t len)
{
	return dtproc_proc_read(proc, addr, buf, len) == (ssize_t)len ? 0 : -1;
}

/*
 * main of a program that was stripped: its start code tells the address.  Without a size
 * only the entry can be had.
 */
static int stripped_main(struct walk *w)
{
	const struct probe_module *m = w->module;
	dtproc_addr main_at;

	if (m->role != PROBE_PROGRAM || !glob_match(w->desc->function, "main") ||
		!glob_match(w->desc->name, "entry") ||
		object_find(m->object, "main", NULL))
		return 0;
	main_at = arch_start_main(read_exactly, w->victim->proc, w->victim->entry);
	if (!main_at || !object_executable(m->object, main_at - m->bias) ||
		object_at(m->object, main_at - m->bias))
		return 0;
	return emit(w, "main", "entry", main_at);
}

static int in_module(struct walk *w)
{
	const struct object_symbol *at;
	size_t n;
	int err;

	w->modules++;
	err = object_symbols(w->module->object, &at, &n);
	if (err) {
		/* One bad file must not hide the probes of the others. */
		probe_set_why(w->table, "%s", err_text());
		return err == DTPROC_ENOMEM ? err : 0;
	}
	if (glob_is_pattern(w->desc->function) || !w->desc->function[0])
		err = each_by_glob(w, at, n);
	else
		err = each_by_name(w, at, n);
	return err ? err : stripped_main(w);
}

/* pid4711:module:-:4004f6 */
static int at_address(struct walk *w)
{
	dtproc_addr addr;

	if (!parse_hex(w->desc->name, &addr))
		return err_set(DTPROC_ENOPROBE,
			"pid provider: function '-' needs a hexadecimal address for the "
			"name, not '%s'",
			w->desc->name);
	return emit(w, "-", w->desc->name, addr);
}

/* An object of that name which could not be read, or NULL. */
static const struct probe_skipped *find_skipped(
	const struct probe_victim *v, const char *module)
{
	for (size_t i = 0; i < v->skipped.n; i++)
		if (object_is_called(v->skipped.at[i].name, module) ||
			(v->skipped.at[i].is_program && strcmp(module, "a.out") == 0))
			return &v->skipped.at[i];
	return NULL;
}

static void tell_why(const struct walk *w)
{
	const struct probe_desc *d = w->desc;
	struct probe_table *t = w->table;
	const struct probe_skipped *skipped = find_skipped(w->victim, d->module);

	if (w->matched || t->why[0])
		return;
	if (!w->modules && skipped)
		probe_set_why(t, "%s", skipped->why);
	else if (!w->modules) {
		t->may_come =
			!glob_is_pattern(d->module) && hold_created(w->victim->proc);
		probe_set_why(t, "pid %d has no object called %s", (int)w->victim->pid,
			d->module);
	} else if (w->functions && parse_hex(d->name, &(uint64_t){0}))
		probe_set_why(t, "no instruction begins at offset %s", d->name);
	else if (w->functions)
		probe_set_why(t,
			"%s is neither entry, return nor an offset in hexadecimal",
			d->name);
	else if (w->indirect)
		probe_set_why(t, "%s is an indirect function (IFUNC)", d->function);
	else
		probe_set_why(t, "no such function");
}

static int in_modules(struct walk *w)
{
	for (size_t i = 0; i < w->victim->modules.n; i++) {
		int err;

		w->module = w->victim->modules.at[i];
		if (w->module->epoch < w->since ||
			!probe_module_matches(w->module, w->desc->module))
			continue;
		err = in_module(w);
		if (err)
			return err;
	}
	return 0;
}

static long each(
	struct probe_table *t, const struct probe_desc *d, probe_fn *fn, void *arg)
{
	struct walk w = {.table = t, .desc = d, .fn = fn, .arg = arg};
	int err;

	err = probe_victim_find(t, pid_of(d->provider), &w.victim);
	if (err)
		return err;
	err = strcmp(d->function, "-") == 0 ? at_address(&w) : in_modules(&w);
	if (err)
		return err;
	tell_why(&w);
	return w.matched;
}

static long each_new(struct probe_table *t, struct probe_victim *v,
	const struct probe_desc *d, probe_fn *fn, void *arg)
{
	struct walk w = {.table = t,
		.desc = d,
		.victim = v,
		.since = t->epoch,
		.fn = fn,
		.arg = arg};
	int err = 0;

	if (!probe_victim_is_meant(v, pid_of(d->provider)))
		return 0;
	if (strcmp(d->function, "-"))
		err = in_modules(&w);
	else if (v->epoch == t->epoch) /* an address: in another image it is another */
		err = at_address(&w);
	return err ? err : w.matched;
}

const struct probe_provider probe_pid_provider = {"pid", claims, each, each_new};
