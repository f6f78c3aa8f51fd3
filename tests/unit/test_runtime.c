/* SPDX-License-Identifier: BSD-2-Clause */
/* The segment: rings, aggregations, names, and what a hostile victim may do to them. */
#include "unit.h"

#include <runtime/runtime.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "side.h"

/* Records of all lengths come out as they went in, around the end of the ring. */
static void test_ring_wraps(void **state)
{
	struct side s;
	uint64_t out[RT_RECORD_MAX / 8], in[64];
	struct rt_record record;

	open_side(&s, small());
	struct rt_hit hit = hit_of(&s, 1);
	for (uint64_t n = 0; n < 2000; n++) {
		uint32_t words = 1 + n % 60;

		for (uint64_t i = 0; i < words; i++)
			in[i] = n * 1000 + i;
		rt_ring_put(&hit, RT_RECORD_DATA, in, words * 8);
		assert_int_equal(rt_ring_next(&s.client, 1, &record, out), 1);
		assert_int_equal(record.size, sizeof record + words * 8);
		assert_int_equal(record.program, 5);
		assert_int_equal(record.probe, 9);
		assert_int_equal(record.timestamp, 123);
		assert_memory_equal(in, out, words * 8);
		assert_int_equal(rt_ring_next(&s.client, 1, &record, out), 0);
		assert_int_equal(rt_ring_next(&s.client, 0, &record, out), 0);
	}
	close_side(&s);
}

/* A full ring drops and counts; what was in it stays whole. */
static void test_ring_drops(void **state)
{
	struct side s;
	uint64_t out[RT_RECORD_MAX / 8], n;
	struct rt_record record;
	struct rt_drops drops;

	open_side(&s, small());
	struct rt_hit hit = hit_of(&s, 0);
	for (n = 0; n < 1000; n++)
		rt_ring_put(&hit, RT_RECORD_DATA, &n, 8);
	rt_client_drops(&s.client, 0, &drops);
	assert_int_equal(drops.ring, 1000 - 4096 / 40);
	assert_int_equal(rt_view_bell(&s.views[0]), 1);
	s.views[0].urgent = 1;
	assert_int_equal(rt_view_bell(&s.views[0]), 0); /* not answered yet */
	rt_client_answer(&s.client);
	s.views[0].urgent = 1;
	assert_int_equal(rt_view_bell(&s.views[0]), 1);
	for (n = 0; rt_ring_next(&s.client, 0, &record, out); n++)
		assert_int_equal(out[0], n);
	assert_int_equal(n, 4096 / 40);
	close_side(&s);
}

static void test_agg_counts(void **state)
{
	struct side s;
	struct sums sums = {0};
	uint64_t key[2] = {0};
	struct rt_drops drops;

	open_side(&s, small());
	for (uint64_t n = 0; n < 3000; n++) {
		key[0] = n % 30;
		rt_agg_update(&s.views[0], 1, RT_AGG_COUNT, 0, key, 16, 1, 1);
	}
	rt_agg_each(&s.client, 0, sum_up, &sums);
	assert_int_equal(sums.n, 30);
	assert_int_equal(sums.keys, 29 * 30 / 2);
	assert_int_equal(sums.first[0], 3000);
	for (uint64_t n = 0; n < 3000; n++) { /* more keys than there is room for */
		key[0] = key[1] = n;
		rt_agg_update(&s.views[0], 2, RT_AGG_COUNT, 0, key, 16, 1, 1);
	}
	memset(&sums, 0, sizeof sums);
	rt_agg_each(&s.client, 0, sum_up, &sums);
	rt_client_drops(&s.client, 0, &drops);
	assert_true(drops.agg > 0);
	assert_int_equal(sums.first[0] + drops.agg, 6000);
	close_side(&s);
}

/* One function fed with 1, 2, ... 10 and -5: its words. */
static void words_of(enum rt_agg_func func, uint64_t param, struct sums *out)
{
	struct side s;
	struct rt_params params = small();

	params.agg_bytes = 1 << 17;
	open_side(&s, params);
	for (int64_t v = 1; v <= 10; v++)
		rt_agg_update(&s.views[0], 1, func, param, "", 0, v, 1);
	rt_agg_update(&s.views[0], 1, func, param, "", 0, -5, 1);
	memset(out, 0, sizeof *out);
	rt_agg_each(&s.client, 0, sum_up, out);
	assert_int_equal(out->n, 1);
	close_side(&s);
}

static void test_agg_functions(void **state)
{
	struct sums r;
	uint64_t other[4] = {1, 2, UINT64_MAX, 0};

	words_of(RT_AGG_SUM, 0, &r);
	assert_int_equal(r.first[0], 50);
	words_of(RT_AGG_AVG, 0, &r);
	assert_int_equal(r.first[0], 11);
	assert_int_equal(r.first[1], 50);
	words_of(RT_AGG_MIN, 0, &r);
	assert_int_equal((int64_t)r.first[0], -5);
	words_of(RT_AGG_MAX, 0, &r);
	assert_int_equal(r.first[0], 10);
	words_of(RT_AGG_STDDEV, 0, &r);
	assert_int_equal(r.first[2], 385 + 25);
	rt_agg_merge(RT_AGG_STDDEV, 4, r.first, other);
	assert_int_equal(r.first[0], 12);
	assert_int_equal(r.first[2], 409);
	assert_int_equal(r.first[3], 1);
	words_of(RT_AGG_QUANTIZE, 0, &r);
	assert_int_equal(r.first[RT_QUANTIZE_ZERO + 1], 1); /* 1 */
	assert_int_equal(r.first[RT_QUANTIZE_ZERO + 4], 3); /* 8, 9, 10 */
	assert_int_equal(r.first[RT_QUANTIZE_ZERO - 3], 1); /* -5 */
	assert_int_equal(rt_quantize_bound(RT_QUANTIZE_ZERO + 4), 8);
	assert_int_equal(rt_quantize_bound(RT_QUANTIZE_ZERO - 3), -4);
	words_of(RT_AGG_LQUANTIZE, RT_LQUANTIZE(0, 3, 3), &r);
	assert_int_equal(r.first[0], 1); /* below 0 */
	assert_int_equal(r.first[1], 2); /* 1, 2 */
	assert_int_equal(r.first[2], 3); /* 3, 4, 5 */
	assert_int_equal(r.first[4], 2); /* 9, 10 */
	assert_int_equal(rt_agg_words(RT_AGG_LQUANTIZE, RT_LQUANTIZE(0, 3, 0)), 0);
	assert_int_equal(rt_agg_words(RT_AGG_FUNCS, 0), 0);
}

/* quantize's buckets hold what they say, at every power of two and around it. */
static void test_quantize_bounds(void **state)
{
	struct side s;
	struct rt_params params = small();
	struct sums *r = calloc(1, sizeof *r);

	params.agg_bytes = 1 << 20;
	open_side(&s, params);
	for (uint64_t bit = 0; bit < 63; bit++) {
		int64_t v = (int64_t)(1ull << bit);
		uint32_t up = RT_QUANTIZE_ZERO + 1 + (uint32_t)bit;

		assert_int_equal(rt_quantize_bound(up), v);
		assert_int_equal(rt_quantize_bound(2 * RT_QUANTIZE_ZERO - up), -v);
		rt_agg_update(&s.views[0], 1, RT_AGG_QUANTIZE, 0, "", 0, v, 1);
		rt_agg_update(&s.views[0], 1, RT_AGG_QUANTIZE, 0, "", 0, v + (v - 1), 1);
		rt_agg_update(&s.views[0], 1, RT_AGG_QUANTIZE, 0, "", 0, -v, 1);
		rt_agg_update(&s.views[0], 1, RT_AGG_QUANTIZE, 0, "", 0, -v - (v - 1), 1);
	}
	rt_agg_update(&s.views[0], 1, RT_AGG_QUANTIZE, 0, "", 0, INT64_MIN, 1);
	rt_agg_update(&s.views[0], 1, RT_AGG_QUANTIZE, 0, "", 0, 0, 1);
	rt_agg_each(&s.client, 0, sum_up, r);
	for (uint32_t i = 0; i < RT_QUANTIZE_BUCKETS; i++)
		assert_int_equal(r->first[i], i == RT_QUANTIZE_ZERO ? 1 : i == 0 ? 3 : 2);
	free(r);
	close_side(&s);
}

static void test_names(void **state)
{
	static const char *const parts[] = {"pid1", "libc", "malloc", "entry"};
	static const char *const other[] = {"pid1", "libc", "free", "entry"};
	struct side s;
	struct rt_hit hit;
	char text[16];
	uint32_t used;

	open_side(&s, small());
	assert_int_equal(rt_client_name(&s.client, 0, parts), 0);
	used = s.client.name_used;
	assert_int_equal(rt_client_name(&s.client, 1, other), 0);
	assert_int_equal(s.client.name_used, used + 5); /* what repeats is shared */
	assert_int_equal(rt_client_name(&s.client, 4, parts), RT_EINVAL);
	hit = hit_of(&s, 0);
	hit.probe = 1;
	rt_helpers[RT_HELPER_PROBE_TEXT].fn(
		&hit, RT_PART_FUNCTION, (uintptr_t)text, sizeof text, 0, 0);
	assert_string_equal(text, "free");
	rt_helpers[RT_HELPER_PROBE_TEXT].fn(
		&hit, RT_PART_FUNCTION, (uintptr_t)text, 3, 0, 0);
	assert_string_equal(text, "fr");
	hit.probe = 1000000; /* no such probe: no name */
	rt_helpers[RT_HELPER_PROBE_TEXT].fn(
		&hit, RT_PART_FUNCTION, (uintptr_t)text, sizeof text, 0, 0);
	assert_string_equal(text, "");
	close_side(&s);
}

/* A program inside a program (a signal in the victim) is dropped and counted. */
static void test_reentry(void **state)
{
	struct side s;
	struct rt_drops drops;

	open_side(&s, small());
	struct rt_hit hit = hit_of(&s, 0), inner = hit;
	assert_int_equal(rt_run_begin(&hit, 1), RT_RUN);
	assert_int_equal(rt_run_begin(&inner, 2), RT_SKIP_BUSY);
	rt_run_end(&hit);
	assert_int_equal(rt_run_begin(&inner, 2), RT_RUN);
	rt_run_end(&inner);
	rt_client_drops(&s.client, 0, &drops);
	assert_int_equal(drops.busy, 1);
	rt_client_stop(&s.client);
	assert_int_equal(rt_run_begin(&hit, 1), RT_SKIP_STOPPED);
	close_side(&s);
}

/* An engine that died in the middle of an update is neither waited for nor believed. */
static void test_agg_survives_death(void **state)
{
	struct rt_entry *e;
	struct side s;
	struct sums *r = calloc(1, sizeof *r);

	open_side(&s, small());
	rt_agg_update(&s.views[0], 1, RT_AGG_AVG, 0, "", 0, 10, 1);
	e = (struct rt_entry *)s.views[0].heap;
	e->seq++; /* it had begun the next one: */
	((uint64_t *)(e + 1))[0] = 2;
	rt_agg_each(&s.client, 0, sum_up, r);
	assert_int_equal(r->first[0], 1);
	assert_int_equal(r->first[1], 10);
	rt_agg_update(&s.views[0], 1, RT_AGG_AVG, 0, "", 0, 5, 1); /* its successor */
	memset(r, 0, sizeof *r);
	rt_agg_each(&s.client, 0, sum_up, r);
	assert_int_equal(r->first[0], 2);
	assert_int_equal(r->first[1], 15);
	free(r);
	close_side(&s);
}

/* ------------------------------------------------------------------- hostile */

static void test_attach_refuses(void **state)
{
	struct side s;
	struct rt_view *view = calloc(1, sizeof *view);
	struct rt_header *header;
	struct rt_params huge = {.lanes = RT_LANES_MAX + 1};

	open_side(&s, small());
	header = (struct rt_header *)s.mem;
	assert_int_equal(rt_segment_attach(s.mem, s.size - 1, 0, view), RT_ESIZE);
	assert_int_equal(rt_segment_attach(s.mem, 8, 0, view), RT_ESIZE);
	assert_int_equal(rt_segment_attach(s.mem, s.size, 2, view), RT_EINVAL);
	header->geo.ring_bytes = UINT32_MAX;
	assert_int_equal(rt_segment_attach(s.mem, s.size, 0, view), RT_EINVAL);
	header->geo.ring_bytes = 1 << 20;
	assert_int_equal(rt_segment_attach(s.mem, s.size, 0, view), RT_ESIZE);
	header->magic++;
	assert_int_equal(rt_segment_attach(s.mem, s.size, 0, view), RT_EMAGIC);
	assert_int_equal(rt_segment_size(&huge), 0);
	free(view);
	close_side(&s);
}

/* Whatever is in the shared words, both sides stay within their memory. */
static void test_scribbled(void **state)
{
	struct side s;
	uint64_t *out = calloc(1, RT_RECORD_MAX), random = 1, key = 5;
	struct sums *sums = calloc(1, sizeof *sums);
	struct rt_record record;
	struct rt_drops drops;

	open_side(&s, small());
	struct rt_hit hit = hit_of(&s, 0);
	for (int round = 0; round < 3000; round++) {
		for (int i = 0; i < 32; i++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			s.mem[RT_PAGE + (random >> 33) % (s.size - RT_PAGE)] =
				(unsigned char)(random >> 20);
		}
		s.views[0].lane->tail = random;
		s.views[0].lane->head ^= random >> 50;
		rt_ring_put(&hit, RT_RECORD_DATA, &key, 8);
		rt_agg_update(&s.views[0], 1, RT_AGG_AVG, 0, &key, 8, 1, 1);
		while (rt_ring_next(&s.client, 0, &record, out))
			assert_true(record.size <= sizeof record + RT_RECORD_MAX);
		rt_agg_each(&s.client, 0, sum_up, sums);
	}
	rt_client_drops(&s.client, 0, &drops);
	assert_true(drops.corrupt > 0);
	free(out);
	free(sums);
	close_side(&s);
}

/* ------------------------------------------------------------------- threads */

#define LANES 8
#define HITS 20000

struct worker {
	struct side *side;
	uint32_t lane;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct rt_hit hit = hit_of(w->side, w->lane);

	for (uint64_t n = 0; n < HITS; n++) {
		uint64_t key = n % 10, payload[2] = {w->lane, n};

		if (rt_run_begin(&hit, 1) != RT_RUN)
			continue;
		rt_agg_update(hit.view, 1, RT_AGG_AVG, 0, &key, 8, 2, 1);
		rt_ring_put(&hit, RT_RECORD_DATA, payload, sizeof payload);
		rt_run_end(&hit);
	}
	return NULL;
}

static int never_torn(const struct rt_agg_entry *e, void *arg)
{
	assert_int_equal(e->words[1], e->words[0] * 2);
	return 0;
}

/* Takes what lane's ring holds: in order, nothing made up. */
static void take(struct side *s, uint32_t lane, uint64_t *taken, uint64_t *last)
{
	uint64_t out[RT_RECORD_MAX / 8];
	struct rt_record record;

	while (rt_ring_next(&s->client, lane, &record, out)) {
		assert_int_equal(out[0], lane);
		assert_true(!taken[lane] || out[1] > last[lane]);
		last[lane] = out[1];
		taken[lane]++;
	}
}

/* 8 threads on 8 lanes with a reader beside them: nothing is lost without count. */
static void test_threads(void **state)
{
	struct rt_params params = {
		.lanes = LANES, .ring_bytes = 16384, .agg_bytes = 8192};
	struct worker workers[LANES];
	pthread_t threads[LANES];
	uint64_t taken[LANES] = {0}, last[LANES] = {0};
	struct sums *sums = calloc(1, sizeof *sums);
	struct rt_drops drops;
	struct side s;

	open_side(&s, params);
	for (uint32_t i = 0; i < LANES; i++) {
		workers[i] = (struct worker){&s, i};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int round = 0; round < 50; round++) {
		for (uint32_t i = 0; i < LANES; i++) {
			take(&s, i, taken, last);
			rt_agg_each(&s.client, i, never_torn, NULL);
		}
	}
	for (uint32_t i = 0; i < LANES; i++) {
		pthread_join(threads[i], NULL);
		take(&s, i, taken, last);
		rt_agg_each(&s.client, i, sum_up, sums);
		rt_client_drops(&s.client, i, &drops);
		assert_int_equal(taken[i] + drops.ring, HITS);
		assert_int_equal(drops.corrupt, 0);
	}
	assert_int_equal(sums->first[0], LANES * HITS);
	free(sums);
	close_side(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_wraps),
		cmocka_unit_test(test_ring_drops),
		cmocka_unit_test(test_agg_counts),
		cmocka_unit_test(test_agg_functions),
		cmocka_unit_test(test_agg_survives_death),
		cmocka_unit_test(test_quantize_bounds),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_reentry),
		cmocka_unit_test(test_attach_refuses),
		cmocka_unit_test(test_scribbled),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
