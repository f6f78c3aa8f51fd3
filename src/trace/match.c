/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptions to probes: what is armed by dtproc_go(), what -l lists. */
#include <string.h>
#include "own.h"

struct match {
	struct dtproc *session;
	uint32_t program;
};

static int add_pair(const struct probe *p, void *arg)
{
	struct match *m = arg;

	if (!trace_args_fit(m->session, m->program, p))
		return 0;
	return vec_push(&m->session->pairs, ((struct trace_pair){p, m->program}))
		       ? err_nomem("pairs of probe and clause")
		       : 0;
}

static int open_table(struct dtproc *d, enum probe_purpose purpose)
{
	return d->probes ? 0 : probe_table_open(d->hold, purpose, &d->probes);
}

/* As probe_each(), for a description of a script. */
static long each_probe(struct dtproc *d, const struct cg_desc *c, probe_fn *fn, void *arg)
{
	struct probe_desc desc = {c->part[RT_PART_PROVIDER], c->part[RT_PART_MODULE],
		c->part[RT_PART_FUNCTION], c->part[RT_PART_NAME]};
	const struct probe *p;
	int err;

	if (!c->id)
		return probe_each(d->probes, &desc, fn, arg);
	p = probe_by_id(d->probes, c->id);
	if (!p)
		return 0;
	err = fn(p, arg);
	return err < 0 ? err : 1;
}

/* Sets the whole text of an error that a description caused. */
static int blame(const struct trace_script *s, const struct cg_clause *c, int code,
	const char *fmt, const char *text, const char *why)
{
	char line[32] = "", message[ERR_TEXT_MAX];

	if (!s->is_text)
		snprintf(line, sizeof line, "line %u: ", c->line);
	snprintf(message, sizeof message, fmt, text, why);
	return err_set(
		code, "%s: %s%s%s%s", s->blame, line, message, *why ? ": " : "", why);
}

static int none(struct dtproc *d, const struct trace_script *s, const struct cg_clause *c,
	const struct cg_desc *desc)
{
	const char *why = desc->id ? "" : probe_why_none(d->probes);

	if (trace_option_on(&d->options, TRACE_ZDEFS) || probe_may_come(d->probes))
		return 0;
	return blame(s, c, DTPROC_ENOPROBE,
		"probe description %s does not match any probes", desc->text, why);
}

static int failed(const struct trace_script *s, const struct cg_clause *c, int code)
{
	char text[ERR_TEXT_MAX];

	snprintf(text, sizeof text, "%s", err_text());
	return blame(s, c, code, "%s", text, "");
}

static int match_clause(struct dtproc *d, struct trace_script *s,
	const struct cg_clause *c, uint32_t program)
{
	struct match m = {d, program};

	for (unsigned i = 0; i < c->n_descs; i++) {
		long n = each_probe(d, &c->descs[i], add_pair, &m);
		int err = n == 0 ? none(d, s, c, &c->descs[i]) : 0;

		if (n < 0)
			err = failed(s, c, (int)n);
		if (err)
			return err;
		s->matched += (unsigned)n;
	}
	return 0;
}

static int match_script(struct dtproc *d, struct trace_script *s, uint32_t *program)
{
	s->matched = 0;
	for (unsigned i = 0; i < s->code->n_clauses; i++) {
		int err = match_clause(d, s, &s->code->clauses[i], (*program)++);

		if (err)
			return err;
	}
	return 0;
}

int trace_match(struct dtproc *d)
{
	uint32_t program = 0;
	int err = open_table(d, PROBE_TO_ARM);

	d->pairs.n = 0;
	for (size_t i = 0; i < d->scripts.n && !err; i++)
		err = match_script(d, &d->scripts.at[i], &program);
	probe_table_close(d->seen);
	d->seen = NULL;
	if (!err)
		trace_matched(d);
	return err;
}

int dtproc_match(struct dtproc *d, dtproc_match_fn *matched, void *arg)
{
	int err = 0;

	if (d->phase == TRACE_COMPILING)
		err = trace_match(d);
	for (size_t i = 0; i < d->scripts.n && !err && matched; i++)
		matched(d->scripts.at[i].what, d->scripts.at[i].matched, arg);
	return err;
}

struct listing {
	dtproc_probe_fn *fn;
	void *arg;
};

static int list_one(const struct probe *p, void *arg)
{
	const struct listing *l = arg;
	struct dtproc_probe_info info = {.id = p->id,
		.provider = p->provider,
		.module = p->module,
		.function = p->function,
		.name = p->name};

	probe_attributes(p, &info.of_name, &info.of_args);
	if (p->n_places && p->places[0].args)
		info.n_args = p->places[0].n_args;
	return l->fn(&info, l->arg);
}

static int list_clause(struct dtproc *d, const struct trace_script *s,
	const struct cg_clause *c, struct listing *l)
{
	for (unsigned i = 0; i < c->n_descs; i++) {
		long n = each_probe(d, &c->descs[i], list_one, l);

		if (n < 0)
			return failed(s, c, (int)n);
	}
	return 0;
}

/* Without a script: the probes that exist without being asked for. */
static int list_all(struct dtproc *d, struct listing *l)
{
	static const struct probe_desc any = {"", "", "", ""};
	long n = probe_each(d->probes, &any, list_one, l);

	return n < 0 ? (int)n : 0;
}

static int list_scripts(struct dtproc *d, struct listing *l)
{
	int err = 0;

	for (size_t i = 0; i < d->scripts.n; i++) {
		const struct trace_script *s = &d->scripts.at[i];

		for (unsigned k = 0; k < s->code->n_clauses && !err; k++)
			err = list_clause(d, s, &s->code->clauses[k], l);
	}
	return err;
}

int dtproc_each_probe(struct dtproc *d, dtproc_probe_fn *fn, void *arg)
{
	struct listing l = {fn, arg};
	int err = open_table(d, PROBE_TO_LIST);

	if (!err)
		err = d->scripts.n ? list_scripts(d, &l) : list_all(d, &l);
	/*
	 * Its victims are held read-only: dtproc_go() makes a table of its own, and soon
	 * when the objects are open still.
	 */
	if (d->phase == TRACE_COMPILING) {
		probe_table_close(d->seen);
		d->seen = d->probes;
		d->probes = NULL;
		if (!err)
			probe_each_victim(d->seen, engine_look_ahead);
	}
	return err;
}
