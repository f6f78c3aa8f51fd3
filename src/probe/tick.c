/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile:::tick-N[unit]: fires in the client at an interval.  Without a unit N is a
 * rate in hertz, as in DTrace.
 */
#include <string.h>
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

static long each(
	struct probe_table *t, const struct probe_desc *d, probe_fn *fn, void *arg)
{
	struct probe p = {.kind = PROBE_TICK,
		.provider = "profile",
		.module = "",
		.function = "",
		.name = d->name};
	const struct probe *made;
	int err;

	if (!starts(d->name, "tick-"))
		return err_set(DTPROC_ENOPROBE,
			"profile provider: %s: profile-N probes are not built yet",
			d->name);
	p.interval_ns = parse_interval(d->name + strlen("tick-"));
	if (!p.interval_ns)
		return err_set(DTPROC_ENOPROBE,
			"profile provider: %s: expected tick-N with one of hz, ns, us, ms, "
			"s, m, h, d behind N",
			d->name);
	if (p.interval_ns < SHORTEST_NS)
		return err_set(DTPROC_ENOPROBE,
			"profile provider: %s: the shortest interval is 200us", d->name);
	err = probe_intern(t, &p, NULL, &made);
	if (!err)
		err = fn(made, arg);
	return err < 0 ? err : 1;
}

const struct probe_provider probe_tick_provider = {"profile", claims, each, NULL};
