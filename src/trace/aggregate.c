/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Aggregations: the tables of all lanes and victims merged, sorted, printed.
 *
 * Keys are merged by what they mean: a probe's name in a key is a probe id in the
 * segments, and two victims have different ids for one function.  So a key is brought
 * into a canonical form first: 8 bytes for a number, text and NUL for a string.  One
 * aggregation of the text may have several layouts (a key that is a string here and a
 * name of the probe there); they are one group.
 */
#include <string.h>
#include "own.h"

struct row {
	const struct cg_agg *agg;
	unsigned char *key; /* canonical */
	size_t key_len;
	uint64_t *words;
	struct row *same_hash;
};

struct table {
	struct dtproc *session;
	const struct lang_agg *only; /* NULL: all aggregations */
	struct hash by_key;
	VEC(struct row *) rows;
	int err;
};

/* Appends to `buf`, which has room for `size`; what does not fit is cut. */
struct buffer {
	unsigned char *at;
	size_t n, size;
};

static void put(struct buffer *b, const void *bytes, size_t len)
{
	size_t left = b->size - b->n;

	len = len < left ? len : left;
	memcpy(b->at + b->n, bytes, len);
	b->n += len;
}

/* The key of an entry with the zeros back that the segment leaves out. */
static void pad_key(const struct rt_agg_entry *e, const struct cg_agg *agg,
	unsigned char full[RT_KEY_MAX])
{
	size_t len = e->key_bytes < RT_KEY_MAX ? e->key_bytes : RT_KEY_MAX;

	memcpy(full, e->key, len);
	memset(full + len, 0, RT_KEY_MAX - len);
}

static void canonical(struct dtproc *d, const struct cg_agg *agg,
	const unsigned char full[RT_KEY_MAX], struct buffer *out)
{
	for (unsigned i = 0; i < agg->n_keys; i++) {
		const struct cg_field *f = &agg->keys[i];
		char buf[RT_KEY_MAX + 1];

		if (f->kind == CG_INT) {
			uint64_t n = trace_field_number(f, full, RT_KEY_MAX);

			put(out, &n, sizeof n);
			continue;
		}
		const char *text =
			trace_field_text(d, f, full, RT_KEY_MAX, buf, f->size + 1);

		put(out, text, strlen(text) + 1);
	}
}

static void free_row(struct row *r)
{
	free(r->key);
	free(r->words);
	free(r);
}

static struct row *make_row(
	const struct cg_agg *agg, const struct buffer *key, const uint64_t *words)
{
	struct row *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->agg = agg;
	r->key_len = key->n;
	r->key = malloc(key->n + 1);
	r->words = calloc(agg->words, sizeof *r->words);
	if (!r->key || !r->words) {
		free_row(r);
		return NULL;
	}
	memcpy(r->key, key->at, key->n);
	memcpy(r->words, words, agg->words * sizeof *words);
	return r;
}

static int add_row(struct table *t, const struct cg_agg *agg, const struct buffer *key,
	const uint64_t *words)
{
	uint64_t h = hash_mix(hash_bytes(key->at, key->n) + agg->group);
	struct row *first = hash_get(&t->by_key, h), *r = first;

	while (r && (r->agg->group != agg->group || r->key_len != key->n ||
			    memcmp(r->key, key->at, key->n)))
		r = r->same_hash;
	if (r) {
		rt_agg_merge(agg->func, agg->words, r->words, words);
		return 0;
	}
	r = make_row(agg, key, words);
	if (!r)
		return err_nomem("an aggregation");
	if (vec_push(&t->rows, r)) {
		free_row(r);
		return err_nomem("aggregations");
	}
	r->same_hash = first;
	return hash_put(&t->by_key, h, r) ? err_nomem("aggregations") : 0;
}

/* One entry of one lane; the table it comes from may be hostile. */
static int take_entry(const struct rt_agg_entry *e, void *arg)
{
	struct table *t = arg;
	const struct cg_agg *agg = cg_agg_by_id(t->session->cg, e->id);
	unsigned char full[RT_KEY_MAX], canon[2 * RT_KEY_MAX];
	struct buffer key = {canon, 0, sizeof canon};

	if (!agg || agg->func != e->func || agg->words != e->n_words ||
		(t->only && t->only->id != agg->group))
		return 0;
	pad_key(e, agg, full);
	canonical(t->session, agg, full, &key);
	t->err = add_row(t, agg, &key, e->words);
	return t->err;
}

static int collect(struct table *t)
{
	struct engine_set *s = t->session->engines;

	for (size_t i = 0; i < engine_units(s) && !t->err; i++)
		rt_agg_each(engine_client(s, i), 0, take_entry, t);
	return t->err;
}

static void free_table(struct table *t)
{
	for (size_t i = 0; i < t->rows.n; i++)
		free_row(t->rows.at[i]);
	vec_free(&t->rows);
	hash_free(&t->by_key);
}

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
static long double weight(const struct row *r)
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

static int64_t number_of(const struct row *r)
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

static int by_value(const struct row *a, const struct row *b)
{
	if (a->agg->func == RT_AGG_QUANTIZE || a->agg->func == RT_AGG_LQUANTIZE) {
		long double wa = weight(a), wb = weight(b);

		return COMPARE(wa, wb);
	}
	return COMPARE(number_of(a), number_of(b));
}

static int by_key(const struct row *a, const struct row *b)
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

static int compare(const void *pa, const void *pb, void *arg)
{
	const struct row *a = *(struct row *const *)pa, *b = *(struct row *const *)pb;
	const struct trace_options *o = arg;
	int c;

	if (a->agg->group != b->agg->group)
		return COMPARE(a->agg->group, b->agg->group);
	if (trace_option_on(o, TRACE_AGGSORTKEY))
		c = by_key(a, b) ?: by_value(a, b);
	else
		c = by_value(a, b) ?: by_key(a, b);
	return trace_option_on(o, TRACE_AGGSORTREV) ? -c : c;
}

/* ------------------------------------------------------------------ printing */

/* The key's fields as values; text points into the row. */
static void values_of(const struct row *r, struct trace_value values[LANG_KEYS_MAX])
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

static void print_result(const struct row *r, FILE *out)
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

static void print_row(const struct row *r, FILE *out)
{
	struct trace_value values[LANG_KEYS_MAX];

	values_of(r, values);
	for (unsigned i = 0; i < r->agg->n_keys; i++) {
		if (values[i].text)
			fprintf(out, "  %-50s", values[i].text);
		else
			trace_print_number(&values[i], out);
	}
	print_result(r, out);
	fputc('\n', out);
}

/* printa() with a format: conversions take the keys in order, %@ the result. */
static void print_formatted(
	const struct row *r, const struct lang_format *format, FILE *out)
{
	struct trace_value values[LANG_KEYS_MAX + 1];
	unsigned n = r->agg->n_keys;

	values_of(r, values);
	values[n] = (struct trace_value){
		.number = (uint64_t)number_of(r), .size = 8, .is_signed = 1};
	trace_format(format, values, n + 1, out);
}

static int sorted_rows(struct table *t)
{
	int err = collect(t);

	if (!err && t->rows.n)
		qsort_r(t->rows.at, t->rows.n, sizeof *t->rows.at, compare,
			&t->session->options);
	return err;
}

int trace_print_aggregations(struct dtproc *d, FILE *out)
{
	struct table t = {.session = d};
	int err = sorted_rows(&t);

	for (size_t i = 0; i < t.rows.n && !err; i++)
		print_row(t.rows.at[i], out);
	free_table(&t);
	return err;
}

static void print_now(struct dtproc *d, const struct lang_agg *agg,
	const struct lang_format *format, FILE *out)
{
	struct table t = {.session = d, .only = agg};

	if (sorted_rows(&t))
		trace_warn(d, "printa: %s", err_text());
	if (!format)
		fputc('\n', out);
	for (size_t i = 0; i < t.rows.n && !t.err; i++) {
		if (format)
			print_formatted(t.rows.at[i], format, out);
		else
			print_row(t.rows.at[i], out);
	}
	free_table(&t);
}

void trace_aggregation_action(struct dtproc *d, const struct cg_action *a,
	const void *payload, size_t len, FILE *out)
{
	for (unsigned i = 0; a->kind == CG_PRINTA && i < a->n_aggs; i++)
		print_now(d, a->aggs[i], a->format, out);
}
