/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rtld provider: rtld4711:::load and the like, moments of the run-time linker.
 *
 * load and unload fire for each object, with its name at arg0 (a string for copyinstr)
 * and its address in arg1, once the linker's lists are consistent again: what is loaded
 * has run no constructor, what is unloaded is not mapped any more.  preinit comes when
 * all is mapped and relocated and no constructor has run, postinit is the program's entry
 * point (glibc has run the libraries' constructors then, musl does it behind).  A victim
 * that begins to be traced at one of these moments is past it.
 */
#include <string.h>
#include <base/glob.h>
#include "own.h"

static const struct {
	const char *name;
	enum wire_moment moment; /* COUNT: the entry point */
} probes[] = {
	{"load", WIRE_MOMENT_LOAD},
	{"unload", WIRE_MOMENT_UNLOAD},
	{"preinit", WIRE_MOMENT_PREINIT},
	{"postinit", WIRE_MOMENT_COUNT},
};

static int claims(const struct probe_desc *d)
{
	return probe_pid_behind(d->provider, "rtld") > 0;
}

static int emit(
	struct probe_table *t, struct probe_victim *v, size_t i, probe_fn *fn, void *arg)
{
	struct probe_place place = {.addr = WIRE_MOMENTS + probes[i].moment};
	struct probe p = {.kind = PROBE_ADDRESS,
		.provider = v->rtld,
		.module = "",
		.function = "",
		.name = probes[i].name,
		.proc = v->proc,
		.places = &place,
		.n_places = 1,
		.generation = v->generation};
	const struct probe *made;

	if (probes[i].moment == WIRE_MOMENT_COUNT)
		place.addr = v->entry;
	int err = probe_intern(t, &p, NULL, &made);

	return err ? err : fn(made, arg);
}

static long each_of(struct probe_table *t, struct probe_victim *v,
	const struct probe_desc *d, probe_fn *fn, void *arg)
{
	long matched = 0;

	for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
		if (*d->module || *d->function || !glob_match(d->name, probes[i].name))
			continue;
		int err = emit(t, v, i, fn, arg);

		if (err < 0)
			return err;
		matched++;
	}
	if (!matched)
		probe_set_why(t, "the probes of rtld are :::load, :::unload, :::preinit "
				 "and :::postinit");
	return matched;
}

static long each(
	struct probe_table *t, const struct probe_desc *d, probe_fn *fn, void *arg)
{
	struct probe_victim *v;
	int err = probe_victim_find(t, probe_pid_behind(d->provider, "rtld"), &v);

	return err ? err : each_of(t, v, d, fn, arg);
}

/* In another image they are others. */
static long each_new(struct probe_table *t, struct probe_victim *v,
	const struct probe_desc *d, probe_fn *fn, void *arg)
{
	if (!probe_victim_is_meant(v, probe_pid_behind(d->provider, "rtld")) ||
		v->epoch != t->epoch)
		return 0;
	return each_of(t, v, d, fn, arg);
}

const struct probe_provider probe_rtld_provider = {"rtld", claims, each, each_new};
