/* SPDX-License-Identifier: BSD-2-Clause */
/* A segment in ordinary memory, with both its sides. */
#ifndef TESTS_UNIT_SIDE_H
#define TESTS_UNIT_SIDE_H

#include "unit.h"

#include <runtime/runtime.h>

#include <stdlib.h>
#include <string.h>

#include "../../src/runtime/segment.h"

struct side {
	struct rt_client client;
	struct rt_view *views;
	unsigned char *mem;
	size_t size;
};

static int host_value(void *cookie, uint32_t which, uint64_t *out)
{
	*out = which == RT_VALUE_TIMESTAMP ? 123 : 1;
	return 0;
}
static const struct rt_host host = {.value = host_value};

static void open_side(struct side *s, struct rt_params params)
{
	s->size = rt_segment_size(&params);
	assert_true(s->size > 0);
	s->mem = aligned_alloc(4096, s->size);
	assert_non_null(s->mem);
	memset(s->mem, 0, s->size);
	assert_int_equal(rt_segment_format(s->mem, s->size, &params, &s->client), 0);
	s->views = calloc(s->client.geo.lanes, sizeof *s->views);
	assert_non_null(s->views);
	for (uint32_t i = 0; i < s->client.geo.lanes; i++)
		assert_int_equal(rt_segment_attach(s->mem, s->size, i, &s->views[i]), 0);
}

static void close_side(struct side *s)
{
	free(s->views);
	free(s->mem);
}

static struct rt_hit hit_of(struct side *s, uint32_t lane)
{
	return (struct rt_hit){.view = &s->views[lane],
		.host = &host,
		.probe = 9,
		.program = 5,
		.pid = 1,
		.tid = 2};
}

static struct rt_params small(void)
{
	return (struct rt_params){.lanes = 2,
		.ring_bytes = 4096,
		.agg_bytes = 4096,
		.probes = 4,
		.name_bytes = 4096};
}

struct sums {
	uint64_t n, first[RT_WORDS_MAX], keys;
};

static int sum_up(const struct rt_agg_entry *e, void *arg)
{
	struct sums *sums = arg;

	sums->n++;
	sums->keys += e->key_bytes ? *(const uint64_t *)e->key : 0;
	for (uint32_t i = 0; i < e->n_words; i++)
		sums->first[i] += e->words[i];
	return 0;
}

#endif
