/* SPDX-License-Identifier: BSD-2-Clause */
/* How stable the parts of a probe's name are, as the guide says of each provider. */
#include "probe.h"

#include <string.h>

/* In the order of how much they promise. */
static const char *const stabilities[] = {"Internal", "Private", "Obsolete", "External",
	"Unstable", "Evolving", "Stable", "Standard"};
static const char *const classes[] = {
	"Unknown", "CPU", "Platform", "Group", "ISA", "Common"};

enum { PRIVATE = 1, UNSTABLE = 4, EVOLVING, STABLE };
enum { UNKNOWN, ISA = 4, COMMON };

struct triple {
	uint8_t names, data, class;
};

/* Of provider, module, function, name, and of the arguments. */
static const struct row {
	const char *provider; /* a PID may stand behind it */
	struct triple part[4], args;
} rows[] = {
	{"dtrace",
		{{STABLE, STABLE, COMMON}, {PRIVATE, PRIVATE, UNKNOWN},
			{PRIVATE, PRIVATE, UNKNOWN}, {STABLE, STABLE, COMMON}},
		{STABLE, STABLE, COMMON}},
	{"pid",
		{{EVOLVING, EVOLVING, ISA}, {PRIVATE, PRIVATE, UNKNOWN},
			{PRIVATE, PRIVATE, UNKNOWN}, {EVOLVING, EVOLVING, ISA}},
		{PRIVATE, PRIVATE, UNKNOWN}},
	{"proc",
		{{EVOLVING, EVOLVING, ISA}, {PRIVATE, PRIVATE, UNKNOWN},
			{PRIVATE, PRIVATE, UNKNOWN}, {EVOLVING, EVOLVING, ISA}},
		{EVOLVING, EVOLVING, ISA}},
	{"profile",
		{{EVOLVING, EVOLVING, COMMON}, {UNSTABLE, UNSTABLE, UNKNOWN},
			{PRIVATE, PRIVATE, UNKNOWN}, {EVOLVING, EVOLVING, COMMON}},
		{EVOLVING, EVOLVING, COMMON}},
	/* Any other: nobody has promised anything. */
	{"",
		{{PRIVATE, PRIVATE, UNKNOWN}, {PRIVATE, PRIVATE, UNKNOWN},
			{PRIVATE, PRIVATE, UNKNOWN}, {PRIVATE, PRIVATE, UNKNOWN}},
		{PRIVATE, PRIVATE, UNKNOWN}},
};

static const struct row *row_of(const char *provider)
{
	const struct row *r = rows;

	for (; *r->provider; r++) {
		size_t len = strlen(r->provider);

		if (strncmp(provider, r->provider, len) == 0 &&
			provider[len + strspn(provider + len, "0123456789")] == 0)
			break;
	}
	return r;
}

static uint8_t least(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

static struct dtproc_stability named(struct triple t)
{
	return (struct dtproc_stability){
		stabilities[t.names], stabilities[t.data], classes[t.class]};
}

void probe_attributes(const struct probe *p, struct dtproc_stability *name,
	struct dtproc_stability *args)
{
	const char *const parts[] = {p->provider, p->module, p->function, p->name};
	const struct row *r = row_of(p->provider);
	struct triple t = r->part[0];

	for (unsigned i = 1; i < 4; i++) {
		if (!*parts[i])
			continue;
		t.names = least(t.names, r->part[i].names);
		t.data = least(t.data, r->part[i].data);
		t.class = least(t.class, r->part[i].class);
	}
	*name = named(t);
	*args = named(r->args);
}
