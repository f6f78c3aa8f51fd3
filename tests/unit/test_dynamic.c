/* SPDX-License-Identifier: BSD-2-Clause */
/* Dynamic variables: one engine, many engines, engines that died, and hostile memory. */
#include "unit.h"

#include <runtime/runtime.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/runtime/segment.h"

static struct rt_dyn open_table(uint32_t bytes, uint32_t room, void **mem)
{
	struct rt_dyn t = {0};
	size_t size = (rt_dyn_shape(bytes, room, &t) + 4095) & ~(size_t)4095;

	*mem = aligned_alloc(4096, size);
	assert_non_null(*mem);
	memset(*mem, 0, size);
	rt_dyn_at(*mem, &t);
	return t;
}

static struct rt_dyn_key key_of(const uint64_t *key)
{
	return (struct rt_dyn_key){1, 0, key, 8};
}

static int set(const struct rt_dyn *t, uint64_t k, uint64_t v)
{
	struct rt_dyn_key key = key_of(&k);

	return rt_dyn_set(t, &key, &v, 8);
}

static void drop(const struct rt_dyn *t, uint64_t k)
{
	struct rt_dyn_key key = key_of(&k);

	rt_dyn_remove(t, &key);
}

static uint64_t get(const struct rt_dyn *t, uint64_t k)
{
	struct rt_dyn_key key = key_of(&k);
	uint64_t v = 99;

	rt_dyn_get(t, &key, &v, 8);
	return v;
}

/* All cells can be used, each key finds its own, and what is given back is used again. */
static void test_full(void **state)
{
	void *mem;
	struct rt_dyn t = open_table(64 * 1024, 16, &mem);
	uint32_t n = t.n_cells;

	for (int round = 0; round < 5; round++) {
		for (uint64_t k = 1; k <= n; k++)
			assert_int_equal(set(&t, k + round, k), 1);
		assert_int_equal(set(&t, 1000000, 1), 0);
		assert_int_equal(get(&t, 1000000), 0);
		for (uint64_t k = 1; k <= n; k++)
			assert_int_equal(get(&t, k + round), k);
		for (uint64_t k = 1; k <= n; k++)
			drop(&t, k + round);
		for (uint64_t k = 1; k <= n; k++)
			assert_int_equal(get(&t, k + round), 0);
	}
	free(mem);
}

/* Few keys and many updates take no more room than few updates. */
static void test_updates_are_flat(void **state)
{
	void *mem;
	struct rt_dyn t = open_table(4096, 16, &mem);

	for (uint64_t i = 1; i < 200000; i++) {
		assert_int_equal(set(&t, i % 5, i), 1);
		if (i % 7 == 0)
			drop(&t, i % 5);
	}
	assert_true(t.head->fresh <= 6);
	free(mem);
}

static void test_threads_differ(void **state)
{
	void *mem;
	struct rt_dyn t = open_table(4096, 64, &mem);
	struct rt_dyn_key key = {3, 7, NULL, 0};
	uint64_t text[4] = {0x6f6c6c6568, 5, 0, 0}, out[8];

	t.is_private = 1;
	assert_int_equal(rt_dyn_set(&t, &key, text, 32), 1);
	key.tid = 8;
	assert_int_equal(rt_dyn_get(&t, &key, out, 64), 0);
	key.tid = 7;
	memset(out, 0xff, sizeof out);
	assert_int_equal(rt_dyn_get(&t, &key, out, 64), 1);
	assert_memory_equal(out, text, 32);
	assert_int_equal(out[4] | out[7], 0);
	assert_int_equal(rt_dyn_set(&t, &key, text + 1, 8), 1); /* a number now */
	assert_int_equal(rt_dyn_set(&t, &key, text + 0, 8), 1);
	assert_int_equal(rt_dyn_get(&t, &key, out, 16), 1);
	assert_int_equal(out[0], text[0]);
	assert_int_equal(out[1], 0);
	free(mem);
}

/* An engine that died with a cell in its hand leaves the others what they had. */
static void test_death(void **state)
{
	void *mem;
	struct rt_dyn t = open_table(4096, 16, &mem);
	uint32_t n = t.n_cells;

	assert_int_equal(set(&t, 1, 10), 1);
	t.head->fresh++; /* it had taken one */
	assert_int_equal(get(&t, 1), 10);
	for (uint64_t k = 2; k < n; k++)
		assert_int_equal(set(&t, k, k), 1);
	assert_int_equal(set(&t, n, 1), 0);
	drop(&t, 1);
	assert_int_equal(set(&t, n, 1), 1);
	free(mem);
}

/* ------------------------------------------------------------------- many engines */

#define ENGINES 6
#define ROUNDS 40000

struct worker {
	struct rt_dyn *t;
	uint64_t own;
};

/*
 * Keys of its own, among keys that all write: what is written to a key of its own is
 * read there, and a value of a shared key is one that was written to that key, whole.
 */
static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t random = w->own;

	for (uint64_t i = 1; i <= ROUNDS; i++) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		uint64_t mine = 1000 + w->own * 100 + i % 20, all = random >> 33 & 15;
		struct rt_dyn_key key = key_of(&all);
		uint64_t value[6], got[6];

		assert_int_equal(set(w->t, mine, i), 1);
		for (int k = 0; k < 6; k++)
			value[k] = all << 32 | i;
		assert_int_equal(rt_dyn_set(w->t, &key, value, 48), 1);
		if (rt_dyn_get(w->t, &key, got, 48))
			for (int k = 0; k < 6; k++)
				assert_true(got[k] == got[0] && got[k] >> 32 == all);
		if (i % 3 == 0)
			rt_dyn_remove(w->t, &key);
		assert_int_equal(get(w->t, mine), i);
		drop(w->t, mine);
		assert_int_equal(get(w->t, mine), 0);
	}
	return NULL;
}

static void test_many(void **state)
{
	void *mem;
	struct rt_dyn t = open_table(64 * 1024, 64, &mem);
	struct worker workers[ENGINES];
	pthread_t threads[ENGINES];

	for (uint64_t i = 0; i < ENGINES; i++) {
		workers[i] = (struct worker){&t, i};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (uint64_t i = 0; i < ENGINES; i++)
		pthread_join(threads[i], NULL);
	for (uint64_t all = 0; all < 16; all++) {
		drop(&t, all);
		assert_int_equal(get(&t, all), 0);
	}
	assert_true(t.head->fresh <= 16 + 3 * ENGINES);
	/* Nothing was lost: all cells can be had. */
	for (uint64_t k = 1; k <= t.n_cells; k++)
		assert_int_equal(set(&t, k, k), 1);
	free(mem);
}

/* ------------------------------------------------------------------------- hostile */

/* Whatever somebody writes there, nobody leaves the table or stays in it for ever. */
static void test_scribbled(void **state)
{
	void *mem;
	struct rt_dyn t = open_table(8192, 64, &mem);
	size_t size = (size_t)(t.cells - (unsigned char *)mem) +
		      (size_t)t.n_cells * t.cell_bytes;
	uint64_t random = 1, out[8];

	for (int round = 0; round < 20000; round++) {
		uint64_t k = (uint64_t)round % 40;
		struct rt_dyn_key key = key_of(&k);

		for (int i = 0; i < 8; i++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			((unsigned char *)mem)[(random >> 33) % size] =
				(unsigned char)(random >> 20);
		}
		set(&t, k, random);
		rt_dyn_get(&t, &key, out, sizeof out);
		rt_dyn_set(&t, &key, out, 56);
		if (round % 3 == 0)
			drop(&t, k);
	}
	free(mem);
}

static void test_shared_refuses(void **state)
{
	static const struct rt_shared_params params = {
		.globals = 64, .dyn_bytes = 8192, .dyn_room = 16};
	size_t size = rt_shared_size(&params);
	struct rt_view *view = calloc(1, sizeof *view);
	struct rt_shared *head = aligned_alloc(4096, size);

	assert_int_equal(size % 4096, 0);
	memset(head, 0, size);
	assert_int_equal(rt_view_shared(view, head, size), RT_EMAGIC);
	assert_int_equal(rt_shared_format(head, size - 1, &params), RT_ESIZE);
	assert_int_equal(rt_shared_format(head, size, &params), 0);
	assert_int_equal(rt_view_shared(view, head, size - 1), RT_ESIZE);
	assert_int_equal(rt_view_shared(view, head, 8), RT_ESIZE);
	assert_int_equal(rt_view_shared(view, head, size), 0);
	assert_int_equal(view->globals_bytes, 64);
	assert_int_equal(rt_dyn_room(&view->arrays), 16);
	head->params.dyn_room = RT_DYN_ROOM_MAX + 1;
	assert_int_equal(rt_view_shared(view, head, size), RT_EINVAL);
	head->params.dyn_room = 16;
	head->params.globals = 1 << 20;
	assert_int_equal(rt_view_shared(view, head, size), RT_ESIZE);
	free(head);
	free(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_updates_are_flat),
		cmocka_unit_test(test_threads_differ),
		cmocka_unit_test(test_death),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_scribbled),
		cmocka_unit_test(test_shared_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
