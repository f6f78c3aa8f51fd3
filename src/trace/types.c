/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The types of $target's objects for the compiler, and what args[] are.
 *
 * A clause that uses args[] is compiled for the parameters that all its probes have; one
 * that comes later must have the same, which a hash of their places and types decides.
 */
#include <base/hash.h>
#include <object/object.h>
#include <string.h>
#include "own.h"

#define HASH_DEPTH 12
#define HASH_MEMBERS 64

/* ------------------------------------------------------------------------ signature */

struct signature {
	uint64_t hash;
	int depth, members;
};

static void mix(struct signature *s, uint64_t v)
{
	s->hash = hash_mix(s->hash ^ v) + 1;
}

static void hash_type(struct signature *s, const struct type_ref *ref);

static int hash_member(const struct type_member *m, void *arg)
{
	struct signature *s = arg;

	mix(s, hash_bytes(m->name, strlen(m->name)));
	mix(s, m->bit | (uint64_t)m->bits << 48);
	return --s->members <= 0;
}

/* Names, sizes and places; of members only these. */
static void hash_type(struct signature *s, const struct type_ref *ref)
{
	struct type_desc t;

	if (!ref->file || s->depth >= HASH_DEPTH || object_type_describe(ref, &t) <= 0)
		return;
	s->depth++;
	if (t.kind != TYPE_ALIAS) {
		mix(s, t.kind | t.size << 8 | t.count << 32);
		mix(s, t.is_signed);
	}
	if (t.kind == TYPE_STRUCT || t.kind == TYPE_UNION) {
		mix(s, hash_bytes(t.name, strlen(t.name)));
		s->members = HASH_MEMBERS;
		object_type_members(ref, hash_member, s);
	}
	hash_type(s, &t.to);
	s->depth--;
}

static uint64_t signature_of(const struct type_params *p)
{
	struct signature s = {p->n, 0, 0};

	for (unsigned i = 0; i < p->n; i++) {
		mix(&s, (uint64_t)p->at[i].slot);
		hash_type(&s, &p->at[i].type);
	}
	return s.hash;
}

/* --------------------------------------------------------------------- type_source */

static int is_ready(struct dtproc *d)
{
	return d->typing || probe_table_open(d->hold, PROBE_TO_LIST, &d->typing) == 0;
}

static int find(void *arg, const char *module, const char *name, struct type_ref *out)
{
	struct dtproc *d = arg;

	return is_ready(d) &&
	       probe_type_find(d->typing, hold_target(d->hold), module, name, out);
}

static int describe(void *arg, const struct type_ref *ref, struct type_desc *out)
{
	return object_type_describe(ref, out);
}

static int members(void *arg, const struct type_ref *ref, type_member_fn *fn, void *to)
{
	return object_type_members(ref, fn, to);
}

static int enums(void *arg, const struct type_ref *ref, type_enum_fn *fn, void *to)
{
	return object_type_enums(ref, fn, to);
}

static int symbol(void *arg, const char *module, const char *name, uint64_t *addr,
	pid_t *pid, struct type_ref *type)
{
	struct dtproc *d = arg;

	*pid = hold_target(d->hold);
	return is_ready(d) && probe_symbol(d->typing, *pid, module, name, addr, type);
}

/* The parameters of the probes so far. */
struct common {
	struct dtproc *session;
	struct type_params *params;
	uint64_t hash;
	unsigned n;
	int differ;
	const char *why;
};

static int see_probe(const struct probe *p, void *arg)
{
	static struct type_params one; /* the compiler is one thread at a time */
	struct common *c = arg;
	uint64_t hash;

	if (!probe_params(c->session->typing, p, &one, &c->why)) {
		c->differ = c->n != 0;
		return -1;
	}
	hash = signature_of(&one);
	if (!c->n++) {
		*c->params = one;
		c->hash = hash;
	}
	c->differ |= hash != c->hash;
	return c->differ ? -1 : 0;
}

static int params(void *arg, const char *const (*descs)[4], unsigned n,
	struct type_params *out, const char **why)
{
	struct dtproc *d = arg;
	struct common c = {
		.session = d, .params = out, .why = "there is no such probe yet"};
	long got = 0;

	if (!is_ready(d))
		return 0;
	for (unsigned i = 0; i < n && got >= 0; i++) {
		struct probe_desc desc = {
			descs[i][0], descs[i][1], descs[i][2], descs[i][3]};
		got = probe_each(d->typing, &desc, see_probe, &c);
	}
	*why = c.differ ? "two of them differ" : c.why;
	return c.differ ? -1 : got >= 0 && c.n;
}

struct type_source trace_types(struct dtproc *d)
{
	return (struct type_source){.arg = d,
		.find = find,
		.describe = describe,
		.members = members,
		.enums = enums,
		.params = params,
		.symbol = symbol};
}

int trace_args_fit(struct dtproc *d, uint32_t program, const struct probe *p)
{
	const struct cg_clause *c = d->clauses.at[program];
	struct type_params now;
	const char *why;
	uint64_t hash;

	if (!c->uses_args)
		return 1;
	hash = probe_params(d->probes, p, &now, &why) ? signature_of(&now) : 0;
	if (!d->args_of.n && vec_reserve((void **)&d->args_of.at, &d->args_of.room,
				     d->clauses.n, sizeof *d->args_of.at))
		return 0;
	while (d->args_of.n < d->clauses.n)
		d->args_of.at[d->args_of.n++] = 0;
	if (!d->args_of.at[program])
		d->args_of.at[program] = hash;
	if (hash && d->args_of.at[program] == hash)
		return 1;
	trace_warn(d,
		"probe %s:%s:%s:%s is not enabled: its args[] are not those that the "
		"clause was compiled for",
		p->provider, p->module, p->function, p->name);
	return 0;
}
