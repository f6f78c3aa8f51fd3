/* SPDX-License-Identifier: BSD-2-Clause */
/* D text of the client to clauses of the session, and how errors in it are introduced. */
#include <bpf/bpf.h>
#include <string.h>
#include "own.h"

/* A specifier without its clause, as DTrace's messages show it. */
static int specifier_len(const char *text)
{
	size_t len = strcspn(text, "{/;\n");

	return len > 200 ? 200 : (int)len;
}

static int name_script(struct trace_script *s, const char *name, const char *text)
{
	int ok;

	s->is_text = strcmp(name, "-n") == 0;
	if (s->is_text) {
		int len = specifier_len(text), shown = len;

		while (shown && text[shown - 1] == ' ')
			shown--;
		ok = asprintf(&s->what, "description '%.*s'", len, text) >= 0 &&
		     asprintf(&s->blame, "invalid probe specifier %.*s", shown, text) >=
			     0;
	} else {
		ok = asprintf(&s->what, "script '%s'", name) >= 0 &&
		     asprintf(&s->blame, "failed to compile script %s", name) >= 0;
	}
	return ok ? 0 : err_nomem("a script's name");
}

static void free_script(struct trace_script *s)
{
	cg_script_free(s->code);
	free(s->what);
	free(s->blame);
}

/* Puts the introduction before the diagnostic that is set. */
static int blame(const struct trace_script *s, int err)
{
	char text[ERR_TEXT_MAX];

	snprintf(text, sizeof text, "%s", err_text());
	return err_set(err, "%s: %s", s->blame, text);
}

static unsigned flags_of(const struct trace_options *o)
{
	return (trace_option_on(o, TRACE_DEFAULTARGS) ? LANG_DEFAULT_ARGS : 0) |
	       (trace_option_on(o, TRACE_EMPTY) ? LANG_EMPTY : 0) |
	       (trace_option_on(o, TRACE_ARGREF) ? LANG_ARGREF : 0) |
	       (trace_option_on(o, TRACE_PSPEC) ? LANG_PSPEC : 0);
}

/* How deep stacks are that do not say it. */
static void set_sizes(struct dtproc *d)
{
	cg_set_frames(d->cg, (uint32_t)d->options.at[TRACE_USTACKFRAMES].number,
		(uint32_t)d->options.at[TRACE_JSTACKFRAMES].number);
	cg_set_strsize(d->cg, (uint32_t)d->options.at[TRACE_STRSIZE].number);
}

/* A #pragma D option. */
static int set_option(void *arg, const char *name, const char *value, unsigned *flags)
{
	struct dtproc *d = arg;
	int err = trace_options_set(&d->options, name, value);

	if (!err)
		*flags = flags_of(&d->options) | (*flags & LANG_EMPTY); /* of a library */
	set_sizes(d);
	return err;
}

static int compile(struct dtproc *d, struct trace_script *s, const char *name,
	const char *text, int argc, char *const argv[], unsigned flags)
{
	char **args = calloc((size_t)argc + 2, sizeof *args);
	struct type_source types = trace_types(d);
	struct lang_source source = {.text = text,
		.spec = LANG_SPEC_NAME,
		.input = s->is_text ? LANG_INPUT_STRING : LANG_INPUT_FILE,
		.target = hold_target(d->hold),
		.argc = argc + 1,
		.argv = args,
		.flags = flags_of(&d->options) | flags,
		.types = &types,
		.set_option = set_option,
		.option_arg = d};
	int err;

	if (!args)
		return err_nomem("arguments");
	args[0] = (char *)name;
	set_sizes(d);
	for (int i = 0; i < argc; i++)
		args[i + 1] = argv[i];
	err = cg_compile(d->cg, &source, &s->code);
	free(args);
	return err ? blame(s, err) : 0;
}

static int add_clauses(struct dtproc *d, const struct cg_script *code)
{
	for (unsigned i = 0; i < code->n_clauses; i++) {
		const struct cg_clause *c = &code->clauses[i];
		struct engine_program p = {c->blob, c->bytes};

		if (vec_push(&d->clauses, c) || vec_push(&d->programs, p) ||
			hash_put(&d->clause_by_id, c->program, (void *)c))
			return err_nomem("clauses");
	}
	return 0;
}

/* Takes back what add_clauses() has done beyond `n`. */
static void drop_clauses(struct dtproc *d, size_t n)
{
	for (size_t i = n; i < d->clauses.n; i++)
		hash_take(&d->clause_by_id, d->clauses.at[i]->program);
	d->clauses.n = d->programs.n = n;
}

int dtproc_script(struct dtproc *d, const char *name, const char *text, int argc,
	char *const argv[])
{
	struct trace_script s = {0};
	struct trace_options options = d->options;
	size_t before = d->clauses.n;
	int err;

	if (d->phase != TRACE_COMPILING)
		return err_set(DTPROC_ESTATE, "scripts cannot be added any more");
	err = name_script(&s, name, text);
	if (!err)
		err = compile(d, &s, name, text, argc, argv, 0);
	if (!err)
		err = add_clauses(d, s.code);
	if (!err && vec_push(&d->scripts, s))
		err = err_nomem("scripts");
	if (err) {
		drop_clauses(d, before);
		d->options = options;
		free_script(&s);
	}
	return err;
}

int dtproc_library(struct dtproc *d, const char *name, const char *text)
{
	struct trace_script s = {0};
	int err = name_script(&s, name, text);

	if (!err)
		err = compile(d, &s, name, text, 0, NULL, LANG_EMPTY);
	if (!err && s.code->n_clauses)
		err = err_set(DTPROC_EINVAL, "%s: a library has no clauses", s.blame);
	free_script(&s);
	return err;
}

int dtproc_print_programs(struct dtproc *d, FILE *out)
{
	for (size_t i = 0; i < d->clauses.n; i++) {
		const struct cg_clause *c = d->clauses.at[i];
		int err;

		fprintf(out, "program %u, line %u:", c->program, c->line);
		for (unsigned k = 0; k < c->n_descs; k++)
			fprintf(out, "%s %s", k ? "," : "", c->descs[k].text);
		fputc('\n', out);
		err = bpf_disassemble(c->blob, c->bytes, out);
		if (err)
			return err;
		fputc('\n', out);
	}
	return 0;
}

void trace_scripts_free(struct dtproc *d)
{
	for (size_t i = 0; i < d->scripts.n; i++)
		free_script(&d->scripts.at[i]);
	vec_free(&d->scripts);
	vec_free(&d->clauses);
	vec_free(&d->programs);
	hash_free(&d->clause_by_id);
}
