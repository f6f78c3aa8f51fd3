/* SPDX-License-Identifier: BSD-2-Clause */
/* The pictures of aggregations. */
#ifndef TRACE_HISTOGRAM_H
#define TRACE_HISTOGRAM_H

#include "own.h"

enum picture_flags {
	PICTURE_ZOOM = 1 << 0, /* the highest bar is nearly as long as there is room */
	PICTURE_UTF8 = 1 << 1, /* bars of Unicode's blocks */
};
/* As the session's options say. */
unsigned trace_picture_flags(const struct trace_options *);

/* Bars of counts, positive, negative or both. */
struct trace_bars {
	long double total; /* of the counts' absolute values */
	int positive, negative;
	uint64_t normal; /* by which counts are divided that are printed */
	unsigned flags;
};
void trace_bars_add(struct trace_bars *, int64_t count);
void trace_print_bar_header(unsigned width, const char *what, FILE *out);
void trace_print_bar(const struct trace_bars *, int64_t count, FILE *out);
/* The character U+`code` (of three bytes) as UTF-8. */
void trace_print_block(unsigned code, FILE *out);

/* A quantize() or lquantize(). */
struct trace_picture {
	enum rt_agg_func func;
	const uint64_t *words;
	unsigned n;
	uint64_t param;
	uint64_t normal;
	unsigned flags;
};
void trace_print_picture(const struct trace_picture *, FILE *out);
/* What a bucket is called: "< 10", "10", ">= 100". */
void trace_bucket_text(enum rt_agg_func, uint64_t param, unsigned n, unsigned bucket,
	char *buf, size_t size);

#endif
