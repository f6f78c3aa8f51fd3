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
 * Forgetting.  clear() and trunc() are for the engines: each entry that makes up a row is
 * told to begin anew (rt_agg_forget).
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

/* Every entry of the group, or those whose rows are truncated. */
static int forget_entry(const struct rt_agg_entry *e, void *arg)
{
	const struct trace_table *t = arg;
	const struct cg_agg *agg = cg_agg_by_id(t->session->cg, e->id);
	unsigned char full[RT_KEY_MAX], canon[2 * RT_KEY_MAX];
	struct buffer key = {canon, 0, sizeof canon};
	const struct trace_row *row;

	if (!agg || t->only->id != agg->group)
		return 0;
	if (!t->rows.n) {
		rt_agg_forget(e, RT_CLEAR);
		return 0;
	}
	pad_key(e, agg, full);
	canonical(t->session, agg, full, &key);
	row = trace_table_find(t, agg->group, key.at, key.n);
	if (row && row->state == TRACE_ROW_TRUNCATED)
		rt_agg_forget(e, RT_TRUNCATE);
	return 0;
}

static void forget_units(struct trace_table *t)
{
	struct engine_set *engines = t->session->engines;
	CLEAN(trace_unlock) struct dtproc *locked = trace_lock(t->session);

	for (size_t i = 0; i < engine_units(engines); i++)
		rt_agg_each(engine_client(engines, i), 0, forget_entry, t);
}

void trace_clear(struct dtproc *d, const struct lang_agg *agg)
{
	struct trace_table all = {.session = d, .only = agg};

	forget_units(&all);
}

void trace_table_truncate(struct trace_table *t)
{
	if (t->rows.n)
		forget_units(t);
}
