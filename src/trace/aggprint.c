/* SPDX-License-Identifier: BSD-2-Clause */
/* Aggregations in order, and on paper; printa(), clear() and trunc(). */
#include <string.h>
#include "aggregate.h"

/* ------------------------------------------------------------------- sorting */

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int64_t average(const uint64_t *w)
{
	return w[0] ? (int64_t)w[1] / (int64_t)w[0] : 0;
}

static uint64_t square_root(unsigned __int128 n)
{
	unsigned __int128 low = 0, high = (unsigned __int128)1 << 64;

	while (high - low > 1) {
		unsigned __int128 mid = low + (high - low) / 2;

		if (mid * mid <= n)
			low = mid;
		else
			high = mid;
	}
	return (uint64_t)low;
}

static int64_t deviation(const uint64_t *w)
{
	unsigned __int128 squares = (unsigned __int128)w[3] << 64 | w[2];
	__int128 mean = average(w), spread;

	if (!w[0])
		return 0;
	spread = (__int128)(squares / w[0]) - mean * mean;
	return spread > 0 ? (int64_t)square_root((unsigned __int128)spread) : 0;
}

/* What a histogram weighs: the sum of bucket times count. */
static long double weight(const struct trace_row *r)
{
	int64_t base = (int32_t)r->agg->param;
	unsigned step = (unsigned)(r->agg->param >> 48);
	long double sum = 0;

	for (uint32_t i = 0; i < r->agg->words; i++) {
		long double at =
			r->agg->func == RT_AGG_QUANTIZE
				? (long double)rt_quantize_bound(i)
				: (long double)base + ((long double)i - 1) * step;

		sum += at * (long double)(int64_t)r->words[i];
	}
	return sum;
}

static int64_t number_of(const struct trace_row *r)
{
	switch (r->agg->func) {
	case RT_AGG_AVG:
		return average(r->words);
	case RT_AGG_STDDEV:
		return deviation(r->words);
	default:
		return (int64_t)r->words[0];
	}
}

static int is_histogram(const struct trace_row *r)
{
	return r->agg->func == RT_AGG_QUANTIZE || r->agg->func == RT_AGG_LQUANTIZE;
}

static int by_value(const struct trace_row *a, const struct trace_row *b)
{
	if (is_histogram(a) && is_histogram(b)) {
		long double wa = weight(a), wb = weight(b);

		return COMPARE(wa, wb);
	}
	return COMPARE(number_of(a), number_of(b));
}

static int by_key(const struct trace_row *a, const struct trace_row *b)
{
	const unsigned char *ka = a->key, *kb = b->key;
	int c = 0;

	for (unsigned i = 0; i < a->agg->n_keys && !c; i++) {
		if (a->agg->keys[i].kind == CG_INT) {
			int64_t na, nb;

			memcpy(&na, ka, sizeof na);
			memcpy(&nb, kb, sizeof nb);
			c = a->agg->keys[i].is_signed
				    ? COMPARE(na, nb)
				    : COMPARE((uint64_t)na, (uint64_t)nb);
			ka += sizeof na;
			kb += sizeof nb;
		} else {
			c = strcmp((const char *)ka, (const char *)kb);
			ka += strlen((const char *)ka) + 1;
			kb += strlen((const char *)kb) + 1;
		}
	}
	return c;
}

int trace_row_compare(const struct trace_row *a, const struct trace_row *b,
	const struct trace_options *o)
{
	int c;

	if (trace_option_on(o, TRACE_AGGSORTKEY))
		c = by_key(a, b) ?: by_value(a, b);
	else
		c = by_value(a, b) ?: by_key(a, b);
	return trace_option_on(o, TRACE_AGGSORTREV) ? -c : c;
}

static int compare_values(const void *pa, const void *pb, void *unused)
{
	const struct trace_row *a = *(struct trace_row *const *)pa;
	const struct trace_row *b = *(struct trace_row *const *)pb;

	return by_value(a, b) ?: by_key(a, b);
}

static int compare(const void *pa, const void *pb, void *options)
{
	const struct trace_row *a = *(struct trace_row *const *)pa;
	const struct trace_row *b = *(struct trace_row *const *)pb;

	if (a->agg->group != b->agg->group)
		return COMPARE(a->agg->group, b->agg->group);
	return trace_row_compare(a, b, options);
}

/* ------------------------------------------------------------------ printing */

/* The key's fields as values; text points into the row. */
static void values_of(const struct trace_row *r, struct trace_value values[LANG_KEYS_MAX])
{
	const unsigned char *k = r->key;

	for (unsigned i = 0; i < r->agg->n_keys; i++) {
		const struct cg_field *f = &r->agg->keys[i];

		values[i] = (struct trace_value){
			.size = f->type_size, .is_signed = f->is_signed};
		if (f->kind == CG_INT) {
			memcpy(&values[i].number, k, 8);
			k += 8;
		} else {
			values[i].text = (const char *)k;
			k += strlen(values[i].text) + 1;
		}
	}
}

static void print_result(const struct trace_row *r, FILE *out)
{
	switch (r->agg->func) {
	case RT_AGG_QUANTIZE:
		trace_print_quantize(r->words, r->agg->words, out);
		break;
	case RT_AGG_LQUANTIZE:
		trace_print_lquantize(r->words, r->agg->words, r->agg->param, out);
		break;
	default:
		fprintf(out, " %16lld", (long long)number_of(r));
	}
}

static void print_keys(const struct trace_row *r, FILE *out)
{
	struct trace_value values[LANG_KEYS_MAX];

	values_of(r, values);
	for (unsigned i = 0; i < r->agg->n_keys; i++) {
		if (values[i].text)
			fprintf(out, "  %-50s", values[i].text);
		else
			trace_print_number(&values[i], out);
	}
}

static void sort(struct trace_table *t)
{
	if (t->rows.n)
		qsort_r(t->rows.at, t->rows.n, sizeof *t->rows.at, compare,
			&t->session->options);
}

static int was_printed(const struct dtproc *d, uint32_t group)
{
	for (size_t i = 0; i < d->printed.n; i++)
		if (d->printed.at[i] == group)
			return 1;
	return 0;
}

int trace_print_aggregations(struct dtproc *d, FILE *out)
{
	struct trace_table t;
	int err = trace_table_collect(d, NULL, &t);

	if (err)
		return err;
	sort(&t);
	for (size_t i = 0; i < t.rows.n; i++) {
		const struct trace_row *r = t.rows.at[i];

		if (was_printed(d, r->agg->group))
			continue;
		print_keys(r, out);
		print_result(r, out);
		fputc('\n', out);
	}
	trace_table_free(&t);
	return 0;
}

/* ------------------------------------------------------------------- printa() */

/*
 * printa() joins several aggregations by key: one line for each key that any of them
 * has, in the order of the first one that has it.
 */
struct join {
	const struct cg_action *action;
	struct trace_table *tables; /* one each, sorted */
	struct trace_row *empty;    /* one each, without a key: a missing value is zero */
	unsigned n;
	FILE *out;
};

static void print_at(const void *arg, FILE *out)
{
	print_result(arg, out);
}

static void print_joined_line(const struct join *j, const struct trace_row *key_of)
{
	struct trace_value values[LANG_KEYS_MAX + LANG_ARGS_MAX];
	unsigned n = key_of->agg->n_keys;

	if (!j->action->format)
		print_keys(key_of, j->out);
	values_of(key_of, values);
	for (unsigned i = 0; i < j->n; i++) {
		const struct trace_row *r = trace_table_find(&j->tables[i],
			j->action->aggs[i]->id, key_of->key, key_of->key_len);

		if (!r)
			r = &j->empty[i];
		if (!j->action->format)
			print_result(r, j->out);
		values[n + i] = (struct trace_value){.number = (uint64_t)number_of(r),
			.size = 8,
			.is_signed = 1,
			.print = is_histogram(r) ? print_at : NULL,
			.arg = r};
	}
	if (j->action->format)
		trace_format(j->action->format, values, n + j->n, j->out);
	else
		fputc('\n', j->out);
}

/* Is this row the first of the tables' to have its key? */
static int is_first(const struct join *j, unsigned table, const struct trace_row *r)
{
	for (unsigned i = 0; i < table; i++)
		if (trace_table_find(
			    &j->tables[i], j->action->aggs[i]->id, r->key, r->key_len))
			return 0;
	return 1;
}

static void print_joined(const struct join *j)
{
	if (!j->action->format)
		fputc('\n', j->out);
	for (unsigned i = 0; i < j->n; i++)
		for (size_t k = 0; k < j->tables[i].rows.n; k++)
			if (is_first(j, i, j->tables[i].rows.at[k]))
				print_joined_line(j, j->tables[i].rows.at[k]);
}

/* What stands for a key that this aggregation does not have. */
static int make_empty(const struct trace_table *t, struct trace_row *out)
{
	static const struct cg_agg nothing = {.func = RT_AGG_COUNT, .words = 1};

	out->agg = t->rows.n ? t->rows.at[0]->agg : &nothing;
	out->words = calloc(out->agg->words, sizeof *out->words);
	return out->words ? 0 : err_nomem("an empty aggregation");
}

static int collect_joined(struct dtproc *d, struct join *j)
{
	int err = 0;

	for (unsigned i = 0; i < j->n && !err; i++) {
		const struct lang_agg *agg = j->action->aggs[i];

		err = trace_table_collect(d, agg, &j->tables[i]);
		if (err)
			break;
		sort(&j->tables[i]);
		err = make_empty(&j->tables[i], &j->empty[i]);
		if (!err && !was_printed(d, agg->id) && vec_push(&d->printed, agg->id))
			err = err_nomem("what was printed");
	}
	return err;
}

static int do_printa(struct dtproc *d, const struct cg_action *a, FILE *out)
{
	struct join j = {.action = a, .n = a->n_aggs, .out = out};
	int err;

	if (j.n > LANG_ARGS_MAX)
		return err_set(DTPROC_ELIMIT, "too many aggregations");
	j.tables = calloc(j.n, sizeof *j.tables);
	j.empty = calloc(j.n, sizeof *j.empty);
	err = j.tables && j.empty ? collect_joined(d, &j) : err_nomem("printa()");
	if (!err)
		print_joined(&j);
	for (unsigned i = 0; i < j.n && j.tables && j.empty; i++) {
		trace_table_free(&j.tables[i]);
		free(j.empty[i].words);
	}
	free(j.tables);
	free(j.empty);
	return err;
}

/* ------------------------------------------------------------ clear(), trunc() */

static int do_clear(struct dtproc *d, const struct lang_agg *agg)
{
	struct trace_table t;
	int err = trace_table_collect(d, agg, &t);

	if (err)
		return err;
	for (size_t i = 0; i < t.rows.n && !err; i++)
		err = trace_row_forget(d, t.rows.at[i], TRACE_ROW_SHOWN);
	trace_table_free(&t);
	return err;
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
	for (size_t i = 0; i < t.rows.n && !err; i++) {
		size_t rank = keep < 0 ? i : t.rows.n - 1 - i;

		if (rank >= want)
			err = trace_row_forget(d, t.rows.at[i], TRACE_ROW_TRUNCATED);
	}
	trace_table_free(&t);
	return err;
}

void trace_aggregation_action(struct dtproc *d, const struct cg_action *a,
	const void *payload, size_t len, FILE *out)
{
	int64_t keep = 0;
	int err = 0;

	if (a->n_fields)
		keep = (int64_t)trace_field_number(&a->fields[0], payload, len);
	if (a->kind == CG_PRINTA)
		err = do_printa(d, a, out);
	else if (a->kind == CG_CLEAR)
		err = do_clear(d, a->aggs[0]);
	else if (a->kind == CG_TRUNC)
		err = do_trunc(d, a->aggs[0], keep);
	if (err)
		trace_warn(d, "%s", err_text());
}
