/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The breakpoint engine: a trap in the text, the program runs in the keeper.  All sites
 * of a victim go to its keeper in one request, so the victim is stopped once.
 *
 * A site's `user` is the index of its pair: several programs at one probe, and several
 * probes at one address, are several users of one trap, in the order they were wanted.
 */
#include <stdio.h>
#include <string.h>
#include <base/clean.h>
#include <base/log.h>
#include "own.h"

static int able(const struct probe *p)
{
	return p->kind == PROBE_ADDRESS
		       ? 0
		       : err_set(DTPROC_ESITE, "it has no address in a victim");
}

/* All programs, each behind its header, as the wire wants them; the caller frees. */
static int pack_programs(const struct engine_config *c, void **out, size_t *len)
{
	CLEAN_FREE unsigned char *bytes = NULL;
	size_t total = 0, at = 0;

	for (size_t i = 0; i < c->n_programs; i++)
		total += sizeof(struct wire_program) + c->programs[i].bytes;
	bytes = malloc(total ? total : 1);
	if (!bytes)
		return err_nomem("programs");
	for (size_t i = 0; i < c->n_programs; i++) {
		struct wire_program h = {.bytes = (uint32_t)c->programs[i].bytes};

		memcpy(bytes + at, &h, sizeof h);
		memcpy(bytes + at + sizeof h, c->programs[i].blob, h.bytes);
		at += sizeof h + h.bytes;
	}
	*out = TAKE_PTR(bytes);
	*len = total;
	return 0;
}

static int prepare(struct engine_set *s, struct engine_unit *u)
{
	CLEAN_FREE void *programs = NULL;
	size_t len = 0;
	int err;

	if (u->memory || u->root)
		return 0;
	err = engine_make_segment(s, u, ENGINE_SHARED);
	if (!err)
		err = hold_segment(u->proc, u->memfd, s->doorbell, s->shared_fd);
	if (!err)
		err = pack_programs(&s->config, &programs, &len);
	if (!err)
		err = hold_programs(
			u->proc, s->config.interpret ? WIRE_INTERPRET : 0, programs, len);
	return err;
}

/* Is there a place among what is to be armed, and not moments alone? */
static int has_traps(const struct engine_unit *u)
{
	for (size_t i = u->armed; i < u->pairs.n; i++)
		if (u->pairs.at[i].probe->places[0].addr < WIRE_MOMENTS)
			return 1;
	return 0;
}

/*
 * A trap that is hit while SIGTRAP is blocked or ignored costs the victim its disposition
 * of SIGTRAP; the keeper puts it back, and learns here of one that is set later (D7).
 */
static int find_sigaction(struct dtproc_proc *p, dtproc_addr *at)
{
	return dtproc_proc_symbol(p, "libc", "sigaction", at, NULL) &&
	       dtproc_proc_symbol(p, "a.out", "sigaction", at, NULL);
}

static size_t watch_sigaction(const struct engine_unit *u, struct wire_site *site)
{
	dtproc_addr at;

	if (u->watches || !has_traps(u) || find_sigaction(u->proc, &at))
		return 0;
	*site = (struct wire_site){
		.addr = at, .user = HOLD_USER_MAX - 1, .kind = WIRE_SITE_SIGACTION};
	return 1;
}

void engine_look_ahead(struct dtproc_proc *p)
{
	dtproc_addr at;

	if (find_sigaction(p, &at))
		log_line("engine", 1, "no sigaction(): %s", err_text());
}

/* One request's sites and, behind them, the operands of their arguments. */
struct request {
	struct wire_site *site;
	size_t n, operands;
};

static void free_request(struct request *r)
{
	free(r->site);
}

static int make_room(const struct engine_unit *u, struct request *r)
{
	size_t sites = 1, operands = 0;

	for (size_t i = u->armed; i < u->pairs.n; i++) {
		const struct probe *p = u->pairs.at[i].probe;

		sites += p->n_places;
		for (size_t k = 0; k < p->n_places; k++)
			operands += p->places[k].n_args;
	}
	r->site = calloc(
		1, sites * sizeof *r->site + operands * sizeof(struct wire_operand));
	return r->site ? 0 : err_nomem("sites");
}

static void add_site(struct request *r, const struct engine_pair *pair, uint32_t user,
	const struct probe_place *at)
{
	r->site[r->n++] = (struct wire_site){.addr = at->addr,
		.user = user,
		.kind = WIRE_SITE_PROBE,
		.program = pair->program,
		.probe = pair->probe->id,
		.from = at->from,
		.to = at->to,
		.semaphore = at->semaphore,
		.interval = at->interval_ns,
		.operand = (uint32_t)r->operands,
		.operands = at->n_args,
		.flags = (uint8_t)((at->args ? WIRE_SITE_OPERANDS : 0) |
				   (at->late ? WIRE_SITE_LATE : 0))};
	r->operands += at->n_args;
}

static void add_operands(struct request *r, const struct engine_unit *u)
{
	struct wire_operand *next = (struct wire_operand *)(r->site + r->n);

	for (size_t i = u->armed; i < u->pairs.n; i++) {
		const struct probe *p = u->pairs.at[i].probe;

		for (size_t k = 0; k < p->n_places; k++) {
			const struct probe_place *at = &p->places[k];

			if (at->n_args)
				memcpy(next, at->args, at->n_args * sizeof *next);
			next += at->n_args;
		}
	}
}

static int make_request(const struct engine_unit *u, struct request *r)
{
	int err = make_room(u, r);

	if (err)
		return err;
	for (size_t i = u->armed; i < u->pairs.n; i++) {
		const struct engine_pair *pair = &u->pairs.at[i];

		for (size_t k = 0; k < pair->probe->n_places; k++)
			add_site(r, pair, (uint32_t)i, &pair->probe->places[k]);
	}
	if (r->n)
		r->n += watch_sigaction(u, &r->site[r->n]);
	add_operands(r, u);
	return 0;
}

static const char *why_refused(const struct wire_site *site)
{
	return site->result == DTPROC_ESITE ? wire_refusal_text(site->reason)
					    : err_name(site->result);
}

/* Keeps what was armed, reports what was not. */
static long sort_out(struct engine_unit *u, const struct wire_site *sites, size_t n,
	engine_refused_fn *refused, void *arg)
{
	long armed = 0;

	for (size_t i = 0; i < n; i++) {
		int ours = sites[i].kind == WIRE_SITE_SIGACTION;

		if (sites[i].result == 0) {
			u->watches |= ours;
			if (vec_push(&u->sites, sites[i]))
				return err_nomem("sites");
			armed += !ours;
			continue;
		}
		log_line("engine", 2, "site %#llx refused: %s",
			(unsigned long long)sites[i].addr, why_refused(&sites[i]));
		if (refused && !ours)
			refused(u->pairs.at[sites[i].user].probe, why_refused(&sites[i]),
				arg);
	}
	return armed;
}

static long arm(struct engine_set *s, struct engine_unit *u, engine_refused_fn *refused,
	void *arg)
{
	CLEAN(free_request) struct request r = {0};
	int err = prepare(s, u);
	long got;

	if (!err)
		err = engine_name_probes(u);
	if (!err)
		err = make_request(u, &r);
	if (err || !r.n)
		return err;
	got = hold_arm(u->proc, u->pairs.at[u->armed].probe->generation, r.site, r.n,
		r.operands);
	return got < 0 ? got : sort_out(u, r.site, r.n, refused, arg);
}

static void disarm(struct engine_set *s, struct engine_unit *u)
{
	if (u->sites.n && hold_disarm(u->proc, u->sites.at, u->sites.n))
		log_line("engine", 1, "disarm: %s", err_text());
	u->sites.n = 0;
}

const struct engine engine_breakpoint = {
	.name = "breakpoint",
	.able = able,
	.prepare = prepare,
	.arm = arm,
	.disarm = disarm,
};
