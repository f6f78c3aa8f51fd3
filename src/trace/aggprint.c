/* SPDX-License-Identifier: BSD-2-Clause */
/* Aggregations on paper; clear(), trunc() and what normalize() divides by. */
#include <string.h>
#include "aggregate.h"
#include "histogram.h"

/* ----------------------------------------------------------------------- rows */

void trace_row_values(const struct trace_row *r, struct trace_value values[LANG_KEYS_MAX])
{
	const unsigned char *k = r->key;

	for (unsigned i = 0; i < r->agg->n_keys; i++) {
		const struct cg_field *f = &r->agg->keys[i];

		values[i] = (struct trace_value){
			.size = f->type_size, .is_signed = f->is_signed};
		if (f->kind == CG_INT)
			memcpy(&values[i].number, k, 8);
		else if (!trace_value_named(f, k, &values[i]))
			values[i].text = (const char *)k;
		k += trace_key_bytes(f, k);
	}
}

/* A stack stands on lines of its own. */
static void print_named(struct dtproc *d, const struct trace_value *v, FILE *out)
{
	char buf[TRACE_NAME_MAX];

	if (v->is_stack) {
		trace_print_stack(d, v, 0, out);
		return;
	}
	trace_named_text(d, v, buf, sizeof buf);
	fprintf(out, "  %-50s", buf);
}

void trace_print_keys(struct dtproc *d, const struct trace_row *r, FILE *out)
{
	int raw = trace_option_on(&d->options, TRACE_RAWBYTES);
	struct trace_value values[LANG_KEYS_MAX];

	trace_row_values(r, values);
	for (unsigned i = 0; i < r->agg->n_keys; i++) {
		if (values[i].words)
			print_named(d, &values[i], out);
		else if (values[i].text && raw)
			trace_print_bytes(values[i].text, strlen(values[i].text) + 1,
				TRACE_BYTES_RAW, out);
		else if (values[i].text)
			fprintf(out, "  %-50s", values[i].text);
		else
			trace_print_number(&values[i], out);
	}
}

void trace_print_result(struct dtproc *d, const struct trace_row *r, FILE *out)
{
	uint64_t normal = trace_normal_of(d, r->agg->group);
	struct trace_picture p = {.func = r->agg->func,
		.words = r->words,
		.n = r->agg->words,
		.param = r->agg->param,
		.normal = normal,
		.flags = trace_picture_flags(&d->options)};

	if (trace_row_is_histogram(r))
		trace_print_picture(&p, out);
	else
		fprintf(out, " %16lld", (long long)trace_row_number(r, normal));
}

/* ----------------------------------------------------------------------- tables */

/* The end of the rows of one aggregation. */
static size_t end_of_group(const struct trace_table *t, size_t first)
{
	size_t end = first;

	while (end < t->rows.n &&
		t->rows.at[end]->agg->group == t->rows.at[first]->agg->group)
		end++;
	return end;
}

static void print_group(
	struct dtproc *d, struct trace_row *const *rows, size_t n, FILE *out)
{
	if (trace_print_packed(d, rows, n, out))
		return;
	for (size_t i = 0; i < n; i++) {
		trace_print_keys(d, rows[i], out);
		trace_print_result(d, rows[i], out);
		fputc('\n', out);
	}
}

void trace_print_table(struct dtproc *d, const struct trace_table *t, FILE *out)
{
	size_t end;

	for (size_t i = 0; i < t->rows.n; i = end) {
		end = end_of_group(t, i);
		print_group(d, &t->rows.at[i], end - i, out);
	}
}

int trace_print_aggregations(struct dtproc *d, FILE *out)
{
	struct trace_table t;
	int err = trace_table_collect(d, NULL, &t);
	size_t end;

	if (err)
		return err;
	trace_table_sort(&t);
	for (size_t i = 0; i < t.rows.n; i = end) {
		end = end_of_group(&t, i);
		if (!trace_was_printed(d, t.rows.at[i]->agg->group))
			print_group(d, &t.rows.at[i], end - i, out);
	}
	trace_table_free(&t);
	return 0;
}

/* ------------------------------------------------- what is kept by aggregation */

int trace_was_printed(const struct dtproc *d, uint32_t group)
{
	for (size_t i = 0; i < d->printed.n; i++)
		if (d->printed.at[i] == group)
			return 1;
	return 0;
}

int trace_note_printed(struct dtproc *d, uint32_t group)
{
	if (trace_was_printed(d, group))
		return 0;
	return vec_push(&d->printed, group) ? err_nomem("what was printed") : 0;
}

uint64_t trace_normal_of(const struct dtproc *d, uint32_t group)
{
	for (size_t i = 0; i < d->normals.n; i++)
		if (d->normals.at[i].group == group)
			return d->normals.at[i].normal;
	return 1;
}

int trace_normalize(struct dtproc *d, uint32_t group, uint64_t normal)
{
	struct trace_normal n = {group, normal};

	if (!normal || normal > INT64_MAX)
		return err_set(DTPROC_EINVAL, "normalize(): cannot divide by %lld",
			(long long)normal);
	for (size_t i = 0; i < d->normals.n; i++)
		if (d->normals.at[i].group == group) {
			d->normals.at[i].normal = normal;
			return 0;
		}
	return vec_push(&d->normals, n) ? err_nomem("normalize()") : 0;
}

/* ------------------------------------------------------------ clear(), trunc() */

static int compare_values(const void *pa, const void *pb, void *unused)
{
	const struct trace_row *a = *(struct trace_row *const *)pa;
	const struct trace_row *b = *(struct trace_row *const *)pb;

	return trace_row_compare_values(a, b) ?: trace_row_compare_keys(a, b, NULL);
}

/* Keeps the `keep` rows of greatest value; of least, if it is negative. */
static int do_trunc(struct dtproc *d, const struct lang_agg *agg, int64_t keep)
{
	uint64_t want = keep < 0 ? -(uint64_t)keep : (uint64_t)keep;
	struct trace_table t;
	int err = trace_table_collect(d, agg, &t);

	if (err)
		return err;
	if (t.rows.n)
		qsort_r(t.rows.at, t.rows.n, sizeof *t.rows.at, compare_values, NULL);
	for (size_t i = 0; i < t.rows.n; i++) {
		size_t rank = keep < 0 ? i : t.rows.n - 1 - i;

		if (rank >= want)
			t.rows.at[i]->state = TRACE_ROW_TRUNCATED;
	}
	trace_table_truncate(&t);
	trace_table_free(&t);
	return 0;
}

void trace_aggregation_action(struct dtproc *d, const struct cg_action *a,
	const void *payload, size_t len, FILE *out)
{
	int64_t keep = 0;
	int err = 0;

	if (a->n_fields)
		keep = (int64_t)trace_field_number(&a->fields[0], payload, len);
	if (a->kind == CG_PRINTA)
		err = trace_printa(d, a, out);
	else if (a->kind == CG_CLEAR)
		trace_clear(d, a->aggs[0]);
	else if (a->kind == CG_TRUNC)
		err = do_trunc(d, a->aggs[0], keep);
	else
		err = trace_normalize(
			d, a->aggs[0]->id, a->kind == CG_NORMALIZE ? (uint64_t)keep : 1);
	if (err)
		trace_warn(d, "%s", err_text());
}
