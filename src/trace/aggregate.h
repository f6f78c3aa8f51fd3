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

/* Merges what all segments hold now.  The caller frees it. */
int trace_table_collect(
	struct dtproc *, const struct lang_agg *only, struct trace_table *out) MUST_USE;
void trace_table_free(struct trace_table *);
/* The row of this group and key, or NULL. */
struct trace_row *trace_table_find(const struct trace_table *, uint32_t group,
	const unsigned char *key, size_t key_len);

/* From now on all keys count anew; the rows that are marked as truncated are gone until
 * they count. */
void trace_clear(struct dtproc *, const struct lang_agg *);
void trace_table_truncate(struct trace_table *);

/* -------------------------------------------------------------- aggsort.c */

/* What a row amounts to, divided by what normalize() gave (1: nothing). */
int64_t trace_row_number(const struct trace_row *, uint64_t normal);
int trace_row_is_histogram(const struct trace_row *);
/* Less than 0, 0, or more; of rows whose keys have the same fields. */
int trace_row_compare_values(const struct trace_row *, const struct trace_row *);
/* Options NULL: the fields in their order. */
int trace_row_compare_keys(
	const struct trace_row *, const struct trace_row *, const struct trace_options *);
/* As the options for sorting say: by aggregation, value and key, or by key and value. */
int trace_row_compare(
	const struct trace_row *, const struct trace_row *, const struct trace_options *);
void trace_table_sort(struct trace_table *);

/* -------------------------------------------------------------- aggprint.c */

/* The key's fields as values; text points into the row. */
void trace_row_values(const struct trace_row *, struct trace_value values[LANG_KEYS_MAX]);
void trace_print_keys(struct dtproc *, const struct trace_row *, FILE *out);
/* Its number in a column, or its picture. */
void trace_print_result(struct dtproc *, const struct trace_row *, FILE *out);
/* Prints a table, which is sorted, without printa(): the aggregations one by one. */
void trace_print_table(struct dtproc *, const struct trace_table *, FILE *out);
/* Divides what is printed of an aggregation from now on; 1: no more. */
int trace_normalize(struct dtproc *, uint32_t group, uint64_t normal) MUST_USE;
uint64_t trace_normal_of(const struct dtproc *, uint32_t group);
/* printa() shows an aggregation: at the end it is not shown again. */
int trace_was_printed(const struct dtproc *, uint32_t group);
int trace_note_printed(struct dtproc *, uint32_t group) MUST_USE;
/* aggpack.c: prints the rows of one aggregation as options say: 1; 0: none does. */
int trace_print_packed(
	struct dtproc *, struct trace_row *const *rows, size_t n, FILE *out);
/* printa.c */
int trace_printa(struct dtproc *, const struct cg_action *, FILE *out) MUST_USE;

#endif
