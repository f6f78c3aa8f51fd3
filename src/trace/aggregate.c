/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Aggregations: the tables of all lanes and victims merged.
 *
 * Keys are merged by what they mean: a probe's name in a key is a probe id in the
 * segments, and two victims have different ids for one function.  So a key is brought
 * into a canonical form first: 8 bytes for a number, text and NUL for a string.  One
 * aggregation of the text may have several layouts (a key that is a string here and a
 * name of the probe there); they are one group.
 *
 * CLEARING.  The segments belong to their writers.  What clear() and trunc() forget is
 * kept here as a *base*, which is subtracted from what is read later; that cannot be done
 * for min() and max().
 */
#include <base/clean.h>
#include <string.h>
#include "aggregate.h"

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
		if (f->kind == CG_STACK || f->kind == CG_ADDRESS) {
			uint64_t words[RT_KEY_MAX / 8];

			memcpy(words, full + f->offset, f->size);
			trace_names_canonical(d, f, words, f->size / 8);
			put(out, words, f->size);
			continue;
		}
		const char *text =
			trace_field_text(d, f, full, RT_KEY_MAX, buf, f->size + 1);

		put(out, text, strlen(text) + 1);
	}
}

static void free_row(struct trace_row *r)
{
	free(r->key);
	free(r->words);
	free(r);
}

static struct trace_row *make_row(
	const struct cg_agg *agg, const struct buffer *key, const uint64_t *words)
{
	struct trace_row *r = calloc(1, sizeof *r);

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

static uint64_t hash_of(uint32_t group, const unsigned char *key, size_t key_len)
{
	return hash_mix(hash_bytes(key, key_len) + group);
}

struct trace_row *trace_table_find(const struct trace_table *t, uint32_t group,
	const unsigned char *key, size_t key_len)
{
	struct trace_row *r = hash_get(&t->by_key, hash_of(group, key, key_len));

	while (r && (r->agg->group != group || r->key_len != key_len ||
			    memcmp(r->key, key, key_len)))
		r = r->same_hash;
	return r;
}

static int link_row(struct trace_table *t, struct trace_row *r)
{
	uint64_t h = hash_of(r->agg->group, r->key, r->key_len);

	r->same_hash = hash_get(&t->by_key, h);
	return hash_put(&t->by_key, h, r) ? err_nomem("aggregations") : 0;
}

static int add_row(struct trace_table *t, const struct cg_agg *agg,
	const struct buffer *key, const uint64_t *words)
{
	struct trace_row *r = make_row(agg, key, words);
	int err;

	if (!r)
		return err_nomem("an aggregation");
	if (vec_push(&t->rows, r)) {
		free_row(r);
		return err_nomem("aggregations");
	}
	err = link_row(t, r);
	if (err) {
		t->rows.n--;
		free_row(r);
	}
	return err;
}

static int merge_row(struct trace_table *t, const struct cg_agg *agg,
	const struct buffer *key, const uint64_t *words)
{
	struct trace_row *r = trace_table_find(t, agg->group, key->at, key->n);

	if (!r)
		return add_row(t, agg, key, words);
	if (r->agg->func == agg->func && r->agg->words == agg->words)
		rt_agg_merge(agg->func, agg->words, r->words, words);
	return 0;
}

/* One entry of one lane; the table it comes from may be hostile. */
static int take_entry(const struct rt_agg_entry *e, void *arg)
{
	struct trace_table *t = arg;
	const struct cg_agg *agg = cg_agg_by_id(t->session->cg, e->id);
	unsigned char full[RT_KEY_MAX], canon[2 * RT_KEY_MAX];
	struct buffer key = {canon, 0, sizeof canon};

	if (!agg || agg->func != e->func || agg->words != e->n_words ||
		(t->only && t->only->id != agg->group))
		return 0;
	pad_key(e, agg, full);
	canonical(t->session, agg, full, &key);
	t->err = merge_row(t, agg, &key, e->words);
	return t->err;
}

static void subtract(struct trace_row *r, const struct trace_row *base)
{
	unsigned __int128 now, then;

	if (r->agg->func != RT_AGG_STDDEV) {
		for (uint32_t i = 0; i < r->agg->words; i++)
			r->words[i] -= base->words[i];
		return;
	}
	now = (unsigned __int128)r->words[3] << 64 | r->words[2];
	then = (unsigned __int128)base->words[3] << 64 | base->words[2];
	now -= then;
	r->words[0] -= base->words[0];
	r->words[1] -= base->words[1];
	r->words[2] = (uint64_t)now;
	r->words[3] = (uint64_t)(now >> 64);
}

static int is_zero(const struct trace_row *r)
{
	for (uint32_t i = 0; i < r->agg->words; i++)
		if (r->words[i])
			return 0;
	return 1;
}

/* Takes the bases off; rows that were truncated and did not count since are dropped. */
static int subtract_bases(struct trace_table *t)
{
	size_t kept = 0;
	int err = 0;

	for (size_t i = 0; i < t->rows.n; i++) {
		struct trace_row *r = t->rows.at[i];
		struct trace_row *base = trace_table_find(
			t->session->bases, r->agg->group, r->key, r->key_len);

		if (base && base->agg->words == r->agg->words)
			subtract(r, base);
		if (base && base->state == TRACE_ROW_TRUNCATED && is_zero(r))
			free_row(r);
		else
			t->rows.at[kept++] = r;
	}
	t->rows.n = kept;
	hash_free(&t->by_key); /* its chains held the dropped ones */
	for (size_t i = 0; i < kept && !err; i++)
		err = link_row(t, t->rows.at[i]);
	return err;
}

static void collect_units(struct trace_table *t)
{
	struct engine_set *engines = t->session->engines;
	CLEAN(trace_unlock) struct dtproc *locked = trace_lock(t->session);

	for (size_t i = 0; i < engine_units(engines) && !t->err; i++)
		rt_agg_each(engine_client(engines, i), 0, take_entry, t);
}

int trace_table_collect(
	struct dtproc *d, const struct lang_agg *only, struct trace_table *out)
{
	struct trace_table t = {.session = d, .only = only};

	collect_units(&t);
	if (t.err) {
		trace_table_free(&t);
		return t.err;
	}
	if (d->bases)
		t.err = subtract_bases(&t);
	if (t.err) {
		trace_table_free(&t);
		return t.err;
	}
	*out = t;
	return 0;
}

void trace_table_free(struct trace_table *t)
{
	for (size_t i = 0; i < t->rows.n; i++)
		free_row(t->rows.at[i]);
	vec_free(&t->rows);
	hash_free(&t->by_key);
}

int trace_row_forget(struct dtproc *d, const struct trace_row *r, unsigned state)
{
	const struct buffer key = {r->key, r->key_len, r->key_len};
	struct trace_row *base;
	int err = 0;

	if (r->agg->func == RT_AGG_MIN || r->agg->func == RT_AGG_MAX)
		return err_set(DTPROC_EINVAL, "min() and max() cannot be cleared yet");
	if (!d->bases)
		d->bases = calloc(1, sizeof *d->bases);
	if (!d->bases)
		return err_nomem("what was cleared");
	base = trace_table_find(d->bases, r->agg->group, r->key, r->key_len);
	/* A row read later has this base off already: bases add up. */
	if (base)
		rt_agg_merge(r->agg->func, r->agg->words, base->words, r->words);
	else
		err = add_row(d->bases, r->agg, &key, r->words);
	if (err)
		return err;
	base = trace_table_find(d->bases, r->agg->group, r->key, r->key_len);
	base->state = state;
	return 0;
}

void trace_forget_bases(struct dtproc *d)
{
	if (d->bases)
		trace_table_free(d->bases);
	free(d->bases);
	d->bases = NULL;
}
