/* SPDX-License-Identifier: BSD-2-Clause */
/* Merged aggregations, between the file that makes them and the one that prints them. */
#ifndef TRACE_AGGREGATE_H
#define TRACE_AGGREGATE_H

#include "own.h"

struct trace_row {
	const struct cg_agg *agg;
	unsigned char *key; /* canonical */
	size_t key_len;
	uint64_t *words;
	struct trace_row *same_hash;
	enum { TRACE_ROW_SHOWN, TRACE_ROW_TRUNCATED } state;
};

struct trace_table {
	struct dtproc *session;
	const struct lang_agg *only; /* NULL: all aggregations */
	struct hash by_key;
	VEC(struct trace_row *) rows;
	int err;
};

/* Merges what all segments hold now, less what was cleared.  The caller frees it. */
int trace_table_collect(
	struct dtproc *, const struct lang_agg *only, struct trace_table *out) MUST_USE;
void trace_table_free(struct trace_table *);
/* The row of this group and key, or NULL. */
struct trace_row *trace_table_find(const struct trace_table *, uint32_t group,
	const unsigned char *key, size_t key_len);

/* From now on this row counts from zero; a truncated one is gone until it counts. */
int trace_row_forget(struct dtproc *, const struct trace_row *, unsigned state) MUST_USE;

/* -1, 0, 1, as the session's options say for rows of one group. */
int trace_row_compare(
	const struct trace_row *, const struct trace_row *, const struct trace_options *);

#endif
