/* SPDX-License-Identifier: BSD-2-Clause */
/* src/base: lists, hash tables, vectors, cursors, globs, cleanup. */
#include "unit.h"

#include <base/clean.h>
#include <base/cursor.h>
#include <base/err.h>
#include <base/glob.h>
#include <base/hash.h>
#include <base/list.h>
#include <base/vec.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct item {
	int n;
	struct list link;
};

static int sum_in_order(struct list *head)
{
	int sum = 0;

	list_each(it, head)
		sum = sum * 10 + list_entry(it, struct item, link)->n;
	return sum;
}

static void list_order_and_removal(void **state)
{
	struct list head = LIST_INIT(head);
	struct item items[4] = {{.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}};

	assert_true(list_empty(&head));
	list_append(&head, &items[1].link);
	list_append(&head, &items[2].link);
	list_add(&head, &items[0].link);
	list_append(&head, &items[3].link);
	assert_int_equal(sum_in_order(&head), 1234);
	list_remove(&items[1].link);
	list_remove(&items[1].link);
	assert_int_equal(sum_in_order(&head), 134);
}

static void list_each_may_remove(void **state)
{
	struct list head = LIST_INIT(head);
	struct item items[4] = {{.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}};

	for (int i = 0; i < 4; i++)
		list_append(&head, &items[i].link);
	list_each(it, &head)
		if (list_entry(it, struct item, link)->n % 2)
			list_remove(it);
	assert_int_equal(sum_in_order(&head), 24);
	list_each(it, &head)
		list_remove(it);
	assert_true(list_empty(&head));
}

/* A table against an array, through growth, replacement and removal in any order. */
static void hash_against_an_array(void **state)
{
	enum { KEYS = 512 };
	char *model[KEYS] = {0}, values[16];
	struct hash h = {0};
	uint32_t random = 1;
	size_t n = 0;

	assert_null(hash_get(&h, 0));
	assert_null(hash_take(&h, 0));
	for (int step = 0; step < 40000; step++) {
		random = random * 1664525 + 1013904223;
		unsigned key = (random >> 8) % KEYS;
		if (random >> 31) {
			n += !model[key];
			model[key] = &values[(random >> 20) % 16];
			assert_int_equal(hash_put(&h, key, model[key]), 0);
		} else {
			n -= !!model[key];
			assert_ptr_equal(hash_take(&h, key), model[key]);
			model[key] = NULL;
		}
		assert_int_equal(h.n, n);
	}
	for (unsigned key = 0; key < KEYS; key++)
		assert_ptr_equal(hash_get(&h, key), model[key]);
	size_t walked = 0;
	hash_each(&h, i)
		walked++;
	assert_int_equal(walked, n);
	hash_free(&h);
	assert_int_equal(h.n, 0);
}

static void hash_of_bytes(void **state)
{
	/* Test vectors of FNV-1a, 64 bits. */
	assert_true(hash_bytes("", 0) == 0xcbf29ce484222325ULL);
	assert_true(hash_bytes("a", 1) == 0xaf63dc4c8601ec8cULL);
	assert_true(hash_bytes("foobar", 6) == 0x85944171f73967e8ULL);
}

static void vec_grows(void **state)
{
	VEC(int) v = {0};

	for (int i = 0; i < 1000; i++)
		assert_int_equal(vec_push(&v, i), 0);
	assert_int_equal(v.n, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(v.at[i], i);
	vec_drop(&v, 0);
	assert_int_equal(v.n, 999);
	assert_int_equal(v.at[0], 999);
	vec_free(&v);
	assert_null(v.at);
}

static void vec_is_kept_when_memory_is_out(void **state)
{
	VEC(uint64_t) v = {0};
	static const size_t much[] = {SIZE_MAX, SIZE_MAX / 2 + 2, SIZE_MAX / 8 - 8};

	assert_int_equal(vec_push(&v, 7), 0);
	for (size_t i = 0; i < COUNT_OF(much); i++) {
		int err = vec_reserve((void **)&v.at, &v.room, much[i], sizeof *v.at);
		assert_int_equal(err, DTPROC_ENOMEM);
	}
	assert_int_equal(v.n, 1);
	assert_int_equal(v.at[0], 7);
	vec_free(&v);
}

static void cursor_stops_at_the_end(void **state)
{
	static const unsigned char bytes[] = {1, 0, 0, 0, 'a', 'b', 0, 'c'};
	struct cursor c = cursor_of(bytes, sizeof bytes);

	assert_int_equal(cursor_u32(&c), 1);
	assert_string_equal(cursor_str(&c), "ab");
	assert_int_equal(cursor_left(&c), 1);
	assert_null(cursor_str(&c));
	assert_int_equal(c.bad, 1);
	assert_null(cursor_get(&c, 1));
}

static void cursor_gives_zeros_behind_the_end(void **state)
{
	static const unsigned char bytes[] = {0xff, 0xff, 0xff};
	struct cursor c = cursor_of(bytes, sizeof bytes);

	assert_int_equal(cursor_u64(&c), 0);
	assert_int_equal(c.bad, 1);
	c = cursor_of(bytes, sizeof bytes);
	assert_null(cursor_get(&c, SIZE_MAX));
	assert_int_equal(c.bad, 1);
}

static void globs(void **state)
{
	static const struct {
		const char *pattern, *text;
		int yes;
	} rows[] = {
		{"", "anything", 1},
		{"malloc", "malloc", 1},
		{"malloc", "mallocs", 0},
		{"malloc", "mallo", 0},
		{"*", "", 1},
		{"*", "x", 1},
		{"*alloc", "malloc", 1},
		{"*alloc*", "reallocarray", 1},
		{"*alloc*", "free", 0},
		{"m?lloc", "malloc", 1},
		{"m?lloc", "mlloc", 0},
		{"?", "", 0},
		{"[mc]alloc", "calloc", 1},
		{"[mc]alloc", "valloc", 0},
		{"[!mc]alloc", "valloc", 1},
		{"[!mc]alloc", "malloc", 0},
		{"x[0-9]", "x7", 1},
		{"x[0-9]", "xa", 0},
		{"x[a-]", "x-", 1},
		{"[]x]", "]", 1},
		{"[!]x]", "]", 0},
		{"[", "[", 1},
		{"[ab", "[ab", 1},
		{"\\*", "*", 1},
		{"\\*", "x", 0},
		{"a\\", "a\\", 1},
		{"a*b*c", "aXbXbXc", 1},
		{"a*b*c", "aXbX", 0},
		{"**", "", 1},
		{"a**", "a", 1},
		{"*?", "", 0},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (glob_match(rows[i].pattern, rows[i].text) != rows[i].yes)
			fail_msg("'%s' against '%s'", rows[i].pattern, rows[i].text);
	assert_true(glob_is_pattern("a*"));
	assert_true(glob_is_pattern("a[b"));
	assert_false(glob_is_pattern("operator new(unsigned)"));
}

/* With backtracking over every star this would outlive us all. */
static void hostile_glob(void **state)
{
	char pattern[201], text[2001];

	for (int i = 0; i < 200; i++)
		pattern[i] = i % 2 ? 'a' : '*';
	pattern[199] = 'b';
	pattern[200] = 0;
	memset(text, 'a', 2000);
	text[2000] = 0;
	assert_int_equal(glob_match(pattern, text), 0);
}

static int opened(int *kept)
{
	CLEAN_FD int fd = open("/dev/null", O_RDONLY), gone = dup(fd);

	*kept = TAKE_FD(fd);
	return gone;
}

static void cleanup_closes_what_is_not_taken(void **state)
{
	int kept, gone = opened(&kept);

	assert_int_equal(fcntl(gone, F_GETFD), -1);
	assert_int_equal(errno, EBADF);
	assert_int_not_equal(fcntl(kept, F_GETFD), -1);
	close(kept);
	CLEAN_FREE char *s = strdup("x");
	char *taken = TAKE_PTR(s);
	assert_null(s);
	free(taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_order_and_removal),
		cmocka_unit_test(list_each_may_remove),
		cmocka_unit_test(hash_against_an_array),
		cmocka_unit_test(hash_of_bytes),
		cmocka_unit_test(vec_grows),
		cmocka_unit_test(vec_is_kept_when_memory_is_out),
		cmocka_unit_test(cursor_stops_at_the_end),
		cmocka_unit_test(cursor_gives_zeros_behind_the_end),
		cmocka_unit_test(globs),
		cmocka_unit_test(hostile_glob),
		cmocka_unit_test(cleanup_closes_what_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
