/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * printa().  Several aggregations are joined by their keys: one line for each key that
 * any of them has, in the order of their values; what has no value for a key is zero.
 */
#include <string.h>
#include "aggregate.h"

/* One key, and a row of each aggregation. */
struct bundle {
	const struct trace_row *key_of;
	const struct trace_row *rows[];
};

struct join {
	struct dtproc *session;
	const struct cg_action *action;
	struct trace_table *tables; /* one each */
	struct trace_row *empty;    /* one each, without a key: zero */
	unsigned n;
	VEC(struct bundle *) bundles;
};

/* ------------------------------------------------------------------- joining */

/* What stands for a key that this aggregation does not have. */
static int make_empty(const struct trace_table *t, struct trace_row *out)
{
	static const struct cg_agg nothing = {.func = RT_AGG_COUNT, .words = 1};

	out->agg = t->rows.n ? t->rows.at[0]->agg : &nothing;
	out->words = calloc(out->agg->words, sizeof *out->words);
	return out->words ? 0 : err_nomem("an empty aggregation");
}

static int collect(struct join *j)
{
	int err = 0;

	for (unsigned i = 0; i < j->n && !err; i++) {
		const struct lang_agg *agg = j->action->aggs[i];

		err = trace_table_collect(j->session, agg, &j->tables[i]);
		if (!err)
			err = make_empty(&j->tables[i], &j->empty[i]);
	}
	return err;
}

/* What was shown is not shown again when tracing ends. */
static int note_printed(const struct join *j)
{
	int err = 0;

	for (unsigned i = 0; i < j->n && j->bundles.n && !err; i++)
		err = trace_note_printed(j->session, j->action->aggs[i]->id);
	return err;
}

static const struct trace_row *find(
	const struct join *j, unsigned table, const struct trace_row *key_of)
{
	return trace_table_find(&j->tables[table], j->action->aggs[table]->id,
		key_of->key, key_of->key_len);
}

/* Does none of the tables before this one have the row's key? */
static int is_first(const struct join *j, unsigned table, const struct trace_row *r)
{
	for (unsigned i = 0; i < table; i++)
		if (find(j, i, r))
			return 0;
	return 1;
}

static int add_bundle(struct join *j, const struct trace_row *key_of)
{
	struct bundle *b = malloc(sizeof *b + j->n * sizeof b->rows[0]);

	if (!b || vec_push(&j->bundles, b)) {
		free(b);
		return err_nomem("printa()");
	}
	b->key_of = key_of;
	for (unsigned i = 0; i < j->n; i++)
		b->rows[i] = find(j, i, key_of) ?: &j->empty[i];
	return 0;
}

static int bundle_all(struct join *j)
{
	int err = 0;

	for (unsigned i = 0; i < j->n; i++)
		for (size_t k = 0; k < j->tables[i].rows.n && !err; k++)
			if (is_first(j, i, j->tables[i].rows.at[k]))
				err = add_bundle(j, j->tables[i].rows.at[k]);
	return err;
}

/* ------------------------------------------------------------------- sorting */

static int compare_values(
	const struct bundle *a, const struct bundle *b, const struct join *j)
{
	uint64_t first = trace_option_number(&j->session->options, TRACE_AGGSORTPOS, 0);
	int c = 0;

	if (first >= j->n)
		first = 0;
	for (unsigned i = 0; i < j->n && !c; i++) {
		size_t at = (size_t)(first + i) % j->n;

		c = trace_row_compare_values(a->rows[at], b->rows[at]);
	}
	return c;
}

static int compare(const void *pa, const void *pb, void *arg)
{
	const struct bundle *a = *(struct bundle *const *)pa;
	const struct bundle *b = *(struct bundle *const *)pb;
	const struct join *j = arg;
	const struct trace_options *o = &j->session->options;
	int c;

	if (trace_option_on(o, TRACE_AGGSORTKEY))
		c = trace_row_compare_keys(a->key_of, b->key_of, o);
	else
		c = compare_values(a, b, j)
			    ?: trace_row_compare_keys(a->key_of, b->key_of, o);
	return trace_option_on(o, TRACE_AGGSORTREV) ? -c : c;
}

/* ------------------------------------------------------------------- printing */

/* A histogram as a value of %@. */
struct picture {
	struct dtproc *session;
	const struct trace_row *row;
};

static void print_picture(const void *arg, FILE *out)
{
	const struct picture *p = arg;

	trace_print_result(p->session, p->row, out);
}

static void print_formatted(const struct join *j, const struct bundle *b, FILE *out)
{
	struct trace_value keys[LANG_KEYS_MAX], aggs[LANG_ARGS_MAX];
	struct picture pictures[LANG_ARGS_MAX];
	struct trace_values v = {.at = keys,
		.n = b->key_of->agg->n_keys,
		.aggs = aggs,
		.n_aggs = j->n,
		.session = j->session};

	trace_row_values(b->key_of, keys);
	for (unsigned i = 0; i < j->n; i++) {
		const struct trace_row *r = b->rows[i];
		uint64_t normal = trace_normal_of(j->session, j->action->aggs[i]->id);

		pictures[i] = (struct picture){j->session, r};
		aggs[i] = (struct trace_value){
			.number = (uint64_t)trace_row_number(r, normal),
			.size = 8,
			.is_signed = r->agg->func != RT_AGG_COUNT,
			.print = trace_row_is_histogram(r) ? print_picture : NULL,
			.arg = &pictures[i]};
	}
	trace_format(j->action->format, &v, out);
}

static void print_plain(const struct join *j, const struct bundle *b, FILE *out)
{
	trace_print_keys(j->session, b->key_of, out);
	for (unsigned i = 0; i < j->n; i++)
		trace_print_result(j->session, b->rows[i], out);
	fputc('\n', out);
}

static void print_all(struct join *j, FILE *out)
{
	if (!j->action->format)
		fputc('\n', out);
	if (!j->action->format && j->n == 1) {
		trace_table_sort(&j->tables[0]);
		trace_print_table(j->session, &j->tables[0], out);
		return;
	}
	if (j->bundles.n)
		qsort_r(j->bundles.at, j->bundles.n, sizeof *j->bundles.at, compare, j);
	for (size_t i = 0; i < j->bundles.n; i++) {
		if (j->action->format)
			print_formatted(j, j->bundles.at[i], out);
		else
			print_plain(j, j->bundles.at[i], out);
	}
}

static void free_join(struct join *j)
{
	for (unsigned i = 0; i < j->n && j->tables && j->empty; i++) {
		trace_table_free(&j->tables[i]);
		free(j->empty[i].words);
	}
	for (size_t i = 0; i < j->bundles.n; i++)
		free(j->bundles.at[i]);
	vec_free(&j->bundles);
	free(j->tables);
	free(j->empty);
}

int trace_printa(struct dtproc *d, const struct cg_action *a, FILE *out)
{
	struct join j = {.session = d, .action = a, .n = a->n_aggs};
	int err;

	if (j.n > LANG_ARGS_MAX)
		return err_set(DTPROC_ELIMIT, "too many aggregations");
	j.tables = calloc(j.n, sizeof *j.tables);
	j.empty = calloc(j.n, sizeof *j.empty);
	err = j.tables && j.empty ? collect(&j) : err_nomem("printa()");
	if (!err)
		err = bundle_all(&j) ?: note_printed(&j);
	if (!err)
		print_all(&j, out);
	free_join(&j);
	return err;
}
