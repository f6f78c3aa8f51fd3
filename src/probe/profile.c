/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The profile provider.  tick-N[unit] fires in the client at an interval; profile-N[unit]
 * in each held victim, for each of its threads that is on a CPU then.  Without a unit N
 * is a rate in hertz, as in DTrace.
 */
#include <string.h>
#include <base/clean.h>
#include <base/glob.h>
#include <base/number.h>
#include "own.h"

#define SECOND 1000000000ull
/* The shortest interval, DTrace's. */
#define SHORTEST_NS 200000ull

static const struct {
	const char *name;
	uint64_t ns; /* 0: hertz */
} units[] = {
	{"", 0},
	{"hz", 0},
	{"ns", 1},
	{"nsec", 1},
	{"us", 1000},
	{"usec", 1000},
	{"ms", 1000000},
	{"msec", 1000000},
	{"s", SECOND},
	{"sec", SECOND},
	{"m", 60 * SECOND},
	{"min", 60 * SECOND},
	{"h", 3600 * SECOND},
	{"hour", 3600 * SECOND},
	{"d", 86400 * SECOND},
	{"day", 86400 * SECOND},
};

static int starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static int claims(const struct probe_desc *d)
{
	if (!glob_match(d->provider, "profile") && !glob_match(d->provider, "tick"))
		return 0;
	if (d->module[0] || d->function[0] || glob_is_pattern(d->name))
		return 0;
	return starts(d->name, "tick-") || starts(d->name, "profile-");
}

/* Interval of "250ms", or 0. */
static uint64_t parse_interval(const char *s)
{
	uint64_t n;

	if (!number_parse(s, &n, &s))
		return 0;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		uint64_t ns;

		if (strcasecmp(s, units[i].name))
			continue;
		if (!units[i].ns)
			return n ? SECOND / n : 0;
		return __builtin_mul_overflow(n, units[i].ns, &ns) || ns > INT64_MAX ? 0
										     : ns;
	}
	return 0;
}

static int check_interval(const struct probe_desc *d, uint64_t ns)
{
	if (!ns)
		return err_set(DTPROC_ENOPROBE,
			"profile provider: %s: expected %.*sN with one of hz, ns, us, ms, "
			"s, m, h, d behind N",
			d->name, (int)(strchr(d->name, '-') + 1 - d->name), d->name);
	if (ns < SHORTEST_NS)
		return err_set(DTPROC_ENOPROBE,
			"profile provider: %s: the shortest interval is 200us", d->name);
	return 0;
}

static long make_tick(struct probe_table *t, const struct probe_desc *d, uint64_t ns,
	probe_fn *fn, void *arg)
{
	struct probe p = {.kind = PROBE_TICK,
		.provider = "profile",
		.module = "",
		.function = "",
		.name = d->name,
		.interval_ns = ns};
	const struct probe *made;
	int err = probe_intern(t, &p, NULL, &made);

	if (!err)
		err = fn(made, arg);
	return err < 0 ? err : 1;
}

static long make_profile(struct probe_table *t, struct probe_victim *v,
	const struct probe_desc *d, uint64_t ns, probe_fn *fn, void *arg)
{
	struct probe_place place = {
		.addr = WIRE_MOMENTS + WIRE_MOMENT_PROFILE, .interval_ns = ns};
	struct probe p = {.kind = PROBE_ADDRESS,
		.provider = "profile",
		.module = "",
		.function = "",
		.name = d->name,
		.proc = v->proc,
		.places = &place,
		.n_places = 1,
		.generation = v->generation};
	const struct probe *made;
	int err = probe_intern(t, &p, NULL, &made);

	if (!err)
		err = fn(made, arg);
	return err < 0 ? err : 1;
}

static uint64_t interval_of(const struct probe_desc *d)
{
	return parse_interval(strchr(d->name, '-') + 1);
}

static long each_victim(struct probe_table *t, const struct probe_desc *d, uint64_t ns,
	probe_fn *fn, void *arg)
{
	CLEAN(probe_pids_free) struct probe_pids all = {0};
	struct probe_victim *v;
	long matched = 0, n = probe_pids_known(t, &all);

	for (size_t i = 0; i < all.n && n >= 0; i++) {
		n = probe_victim_find(t, all.at[i], &v);
		if (!n)
			n = make_profile(t, v, d, ns, fn, arg);
		matched += n;
	}
	if (!matched)
		probe_set_why(t, "no process is held");
	return n < 0 ? n : matched;
}

static long each(
	struct probe_table *t, const struct probe_desc *d, probe_fn *fn, void *arg)
{
	uint64_t ns = interval_of(d);
	int err = check_interval(d, ns);

	if (err)
		return err;
	return starts(d->name, "tick-") ? make_tick(t, d, ns, fn, arg)
					: each_victim(t, d, ns, fn, arg);
}

/* An exec takes all sites away. */
static long each_new(struct probe_table *t, struct probe_victim *v,
	const struct probe_desc *d, probe_fn *fn, void *arg)
{
	if (starts(d->name, "tick-") || v->epoch != t->epoch)
		return 0;
	return make_profile(t, v, d, interval_of(d), fn, arg);
}

const struct probe_provider probe_profile_provider = {"profile", claims, each, each_new};
