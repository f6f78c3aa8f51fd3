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

	if (u->memory)
		return 0;
	err = engine_make_segment(s, u, ENGINE_SHARED);
	if (!err)
		err = hold_segment(u->proc, u->memfd, s->doorbell, s->globals_fd);
	if (!err)
		err = pack_programs(&s->config, &programs, &len);
	if (!err)
		err = hold_programs(u->proc, programs, len);
	return err;
}

/* Is there a place among what is to be armed, and not moments alone? */
static int has_traps(const struct engine_unit *u)
{
	for (size_t i = u->armed; i < u->pairs.n; i++)
		if (u->pairs.at[i].probe->addr < WIRE_MOMENTS)
			return 1;
	return 0;
}

/*
 * A trap that is hit while SIGTRAP is blocked or ignored costs the victim its disposition
 * of SIGTRAP; the keeper puts it back, and learns here of one that is set later (D7).
 */
static size_t watch_sigaction(const struct engine_unit *u, struct wire_site *site)
{
	dtproc_addr at;

	if (u->watches || !has_traps(u) ||
		(dtproc_proc_symbol(u->proc, "libc", "sigaction", &at, NULL) &&
			dtproc_proc_symbol(u->proc, "a.out", "sigaction", &at, NULL)))
		return 0;
	*site = (struct wire_site){
		.addr = at, .user = HOLD_USER_MAX - 1, .kind = WIRE_SITE_SIGACTION};
	return 1;
}

static int make_sites(const struct engine_unit *u, struct wire_site **out, size_t *n)
{
	struct wire_site *sites;

	*n = u->pairs.n - u->armed;
	sites = calloc(*n + 1, sizeof *sites);
	if (!sites)
		return err_nomem("sites");
	for (size_t i = 0; i < *n; i++) {
		const struct engine_pair *p = &u->pairs.at[u->armed + i];

		sites[i] = (struct wire_site){.addr = p->probe->addr,
			.user = (uint32_t)(u->armed + i),
			.kind = WIRE_SITE_PROBE,
			.program = p->program,
			.probe = p->probe->id};
	}
	if (*n)
		*n += watch_sigaction(u, &sites[*n]);
	*out = sites;
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
	CLEAN_FREE struct wire_site *sites = NULL;
	size_t n = 0;
	int err = prepare(s, u);
	long got;

	if (!err)
		err = engine_name_probes(u);
	if (!err)
		err = make_sites(u, &sites, &n);
	if (err || !n)
		return err;
	got = hold_arm(u->proc, u->pairs.at[u->armed].probe->generation, sites, n);
	return got < 0 ? got : sort_out(u, sites, n, refused, arg);
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
	.arm = arm,
	.disarm = disarm,
};
