/* SPDX-License-Identifier: BSD-2-Clause */
/* Scripts: from text to clauses with their programs and layouts. */
#include "gen.h"

#include <stdlib.h>

int cg_open(struct cg **out)
{
	struct cg *cg = calloc(1, sizeof *cg);
	int err;

	if (!cg)
		return err_nomem("a compiler");
	cg_set_frames(cg, 20, 50);
	err = lang_scope_open(&cg->scope);
	if (err) {
		free(cg);
		return err;
	}
	*out = cg;
	return 0;
}

void cg_set_strsize(struct cg *cg, uint32_t bytes)
{
	lang_scope_set_strsize(cg->scope, bytes);
}

void cg_set_frames(struct cg *cg, uint32_t ustack, uint32_t jstack)
{
	cg->ustack_frames = ustack;
	cg->jstack_frames = jstack;
}

int cg_names_addresses(const struct cg *cg)
{
	return cg->names_addresses;
}

/* Forgets aggregations from the n-th on. */
static void forget(struct cg *cg, size_t n)
{
	while (cg->aggs.n > n)
		free(cg->aggs.at[--cg->aggs.n]);
}

void cg_close(struct cg *cg)
{
	if (!cg)
		return;
	forget(cg, 0);
	vec_free(&cg->aggs);
	lang_scope_close(cg->scope);
	free(cg);
}

void cg_script_free(struct cg_script *script)
{
	struct cg_impl *impl = (struct cg_impl *)script;

	if (!impl)
		return;
	for (size_t i = 0; i < impl->owned.n; i++)
		free(impl->owned.at[i]);
	vec_free(&impl->owned);
	lang_script_free(script->tree);
	free(impl);
}

unsigned cg_clause_action_at(const struct cg_clause *clause, uint32_t pc)
{
	unsigned i = 0;

	while (i < clause->n_actions && clause->actions[i].pc <= pc)
		i++;
	return i;
}

static int descriptions(
	struct gen *g, const struct lang_clause *from, struct cg_clause *to)
{
	struct cg_desc *descs;
	unsigned n = 0;

	for (const struct lang_desc *d = from->descs; d; d = d->next)
		n++;
	descs = gen_own(g, n * sizeof *descs);
	if (!descs)
		return DTPROC_ENOMEM;
	to->descs = descs;
	for (const struct lang_desc *d = from->descs; d; d = d->next, descs++) {
		descs->text = d->text;
		descs->id = d->id;
		for (int i = 0; i < LANG_PARTS; i++)
			descs->part[i] = d->part[i];
	}
	to->n_descs = n;
	return 0;
}

/* One clause, with a generator of its own. */
static int clause(struct cg *cg, struct cg_impl *impl, const struct lang_clause *from,
	struct cg_clause *to)
{
	struct gen g = {.cg = cg, .impl = impl, .script = impl->script.tree};
	int err;

	to->program = ++cg->programs;
	to->line = from->line;
	to->uses_args = from->uses_args != 0;
	err = descriptions(&g, from, to);
	if (!err)
		err = gen_clause(&g, from, to);
	vec_free(&g.code);
	vec_free(&g.rodata);
	vec_free(&g.labels);
	vec_free(&g.fixups);
	vec_free(&g.keys);
	return err;
}

static int clauses(struct cg *cg, struct cg_impl *impl)
{
	struct gen g = {.impl = impl};
	struct cg_clause *out;
	unsigned n = 0;
	int err = 0;

	for (const struct lang_clause *c = impl->script.tree->clauses; c; c = c->next)
		n++;
	out = gen_own(&g, n * sizeof *out);
	if (!out)
		return DTPROC_ENOMEM;
	impl->script.clauses = out;
	impl->script.n_clauses = n;
	for (const struct lang_clause *c = impl->script.tree->clauses; c && !err;
		c = c->next)
		err = clause(cg, impl, c, out++);
	return err;
}

static int options(struct cg_impl *impl)
{
	struct gen g = {.impl = impl};
	struct cg_option *out;
	unsigned n = 0;

	for (const struct lang_option *o = impl->script.tree->options; o; o = o->next)
		n++;
	out = gen_own(&g, n * sizeof *out);
	if (!out)
		return DTPROC_ENOMEM;
	impl->script.options = out;
	impl->script.n_options = n;
	for (const struct lang_option *o = impl->script.tree->options; o; o = o->next)
		*out++ = (struct cg_option){o->name, o->value};
	return 0;
}

int cg_compile(struct cg *cg, const struct lang_source *source, struct cg_script **out)
{
	struct cg_impl *impl = calloc(1, sizeof *impl);
	size_t aggs = cg->aggs.n;
	struct lang_mark mark;
	int err;

	if (!impl)
		return err_nomem("a script");
	lang_scope_mark(cg->scope, &mark);
	err = lang_compile(cg->scope, source, &impl->script.tree);
	if (!err)
		err = clauses(cg, impl);
	if (!err)
		err = options(impl);
	if (err) {
		cg_script_free(&impl->script);
		forget(cg, aggs);
		lang_scope_reset(cg->scope, &mark);
		return err;
	}
	*out = &impl->script;
	return 0;
}
