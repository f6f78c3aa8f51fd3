/* SPDX-License-Identifier: BSD-2-Clause */
/* What is forgotten of aggregations, what room they take, and llquantize(). */
#include "unit.h"
#include "side.h"

static int count_rows(const struct rt_agg_entry *e, void *arg)
{
	uint64_t *n = arg;

	n[0]++;
	n[1] += e->words[0];
	return 0;
}

static int forget(const struct rt_agg_entry *e, void *arg)
{
	rt_agg_forget(e, *(enum rt_forget *)arg);
	return 0;
}

static void forget_all(struct side *s, enum rt_forget how)
{
	rt_agg_each(&s->client, 0, forget, &how);
}

/* A cleared key has the value of a new one; a truncated one is gone until it counts. */
static void test_agg_forgets(void **state)
{
	struct sums *r = calloc(1, sizeof *r);
	uint64_t rows[2] = {0};
	struct side s;

	open_side(&s, small());
	for (int func = RT_AGG_COUNT; func <= RT_AGG_STDDEV; func++)
		rt_agg_update(&s.views[0], 1 + func, func, 0, "", 0, 7, 1);
	forget_all(&s, RT_CLEAR);
	rt_agg_each(&s.client, 0, sum_up, r);
	assert_int_equal(r->n, 6);
	assert_int_equal(r->first[0], INT64_MAX + (1ull << 63)); /* of min and max */
	assert_int_equal(r->first[1] | r->first[2], 0);
	for (int func = RT_AGG_COUNT; func <= RT_AGG_STDDEV; func++)
		rt_agg_update(&s.views[0], 1 + func, func, 0, "", 0, 3, 1);
	memset(r, 0, sizeof *r);
	rt_agg_each(&s.client, 0, sum_up, r);
	assert_int_equal(r->first[0], 1 + 3 + 1 + 3 + 3 + 1);
	assert_int_equal(r->first[1], 6);
	assert_int_equal(r->first[2], 9);
	forget_all(&s, RT_TRUNCATE);
	rt_agg_each(&s.client, 0, count_rows, rows);
	assert_int_equal(rows[0], 0);
	rt_agg_update(&s.views[0], 1 + RT_AGG_MIN, RT_AGG_MIN, 0, "", 0, 50, 1);
	rt_agg_each(&s.client, 0, count_rows, rows);
	assert_int_equal(rows[0], 1);
	assert_int_equal(rows[1], 50);
	free(r);
	close_side(&s);
}

/* New keys for ever fit where the old ones are truncated: nothing is dropped. */
static void test_agg_reuses(void **state)
{
	struct rt_drops drops;
	uint64_t key[8] = {0}, n = 0;
	struct side s;

	open_side(&s, small());
	for (int round = 0; round < 1000; round++) {
		uint64_t rows[2] = {0};

		for (int i = 0; i < 20; i++) {
			key[0] = ++n;
			rt_agg_update(&s.views[0], 1, RT_AGG_AVG, 0, key, 8, 1, 1);
			rt_agg_update(&s.views[0], 1, RT_AGG_AVG, 0, key, 8, 1, 1);
		}
		rt_agg_each(&s.client, 0, count_rows, rows);
		assert_int_equal(rows[0], 20);
		assert_int_equal(rows[1], 40);
		forget_all(&s, RT_TRUNCATE);
	}
	rt_client_drops(&s.client, 0, &drops);
	assert_int_equal(drops.agg, 0);
	close_side(&s);
}

/* Keys by the million in a small room: all is counted or dropped, and hits are free. */
static void test_agg_flat(void **state)
{
	struct rt_params params = small();
	struct rt_drops drops;
	uint64_t rows[2] = {0}, used;
	struct side s;

	params.agg_bytes = 1 << 17;
	open_side(&s, params);
	for (uint64_t i = 0; i < 10000000; i++) {
		uint64_t key = i % 1000;
		rt_agg_update(&s.views[0], 1, RT_AGG_COUNT, 0, &key, 8, 1, 1);
		if (i == 999)
			used = s.views[0].heap_used;
	}
	assert_int_equal(s.views[0].heap_used, used);
	for (uint64_t key = 0; key < 1000000; key++)
		rt_agg_update(&s.views[0], 1, RT_AGG_COUNT, 0, &key, 8, 1, 1);
	rt_agg_each(&s.client, 0, count_rows, rows);
	rt_client_drops(&s.client, 0, &drops);
	assert_true(drops.agg > 900000);
	assert_int_equal(rows[1] + drops.agg, 11000000);
	close_side(&s);
}

/* llquantize(x, 10, 0, 2, 20): 1..9 by ones, 10..99 by fives, 100..999 by fifties. */
static void test_llquantize(void **state)
{
	static const int64_t bounds[] = {INT64_MIN, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20,
		25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100, 150, 200,
		250, 300, 350, 400, 450, 500, 550, 600, 650, 700, 750, 800, 850, 900, 950,
		1000};
	uint64_t param = RT_LLQUANTIZE(10, 0, 2, 20);
	struct rt_params params = small();
	struct sums *r = calloc(1, sizeof *r);
	struct side s;

	params.agg_bytes = 1 << 17;
	assert_int_equal(rt_agg_words(RT_AGG_LLQUANTIZE, param), COUNT_OF(bounds));
	open_side(&s, params);
	for (size_t i = 0; i < COUNT_OF(bounds); i++) {
		assert_int_equal(rt_llquantize_bound(param, i), bounds[i]);
		for (int more = 0; more < 2; more++)
			rt_agg_update(&s.views[0], 1, RT_AGG_LLQUANTIZE, param, "", 0,
				more ? (i + 1 < COUNT_OF(bounds) ? bounds[i + 1] - 1
								 : INT64_MAX)
				     : bounds[i],
				i + 1);
	}
	rt_agg_each(&s.client, 0, sum_up, r);
	for (size_t i = 0; i < COUNT_OF(bounds); i++)
		assert_int_equal(r->first[i], 2 * (i + 1));
	assert_int_equal(rt_agg_words(RT_AGG_LLQUANTIZE, RT_LLQUANTIZE(1, 0, 2, 20)), 0);
	assert_int_equal(rt_agg_words(RT_AGG_LLQUANTIZE, RT_LLQUANTIZE(10, 2, 2, 20)), 0);
	assert_int_equal(
		rt_agg_words(RT_AGG_LLQUANTIZE, RT_LLQUANTIZE(10, 0, 40, 20)), 0);
	assert_int_equal(rt_llquantize_bound(RT_LLQUANTIZE(2, 0, 62, 2), 64), INT64_MIN);
	free(r);
	close_side(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agg_forgets),
		cmocka_unit_test(test_agg_reuses),
		cmocka_unit_test(test_agg_flat),
		cmocka_unit_test(test_llquantize),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
