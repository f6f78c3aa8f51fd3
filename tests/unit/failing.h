/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One allocation of the library that fails: the linker sends its calls here
 * (`failing` in tests/unit/meson.build).
 */
#ifndef TESTS_FAILING_H
#define TESTS_FAILING_H

#include <stdlib.h>

static long countdown = -1; /* allocations until one fails; negative: none does */

/* The nth allocation from now on fails, from 0. */
static inline void fail_nth(long n)
{
	__atomic_store_n(&countdown, n, __ATOMIC_SEQ_CST);
}

/* No allocation fails any more; was one still to fail? */
static inline int fail_none(void)
{
	return __atomic_exchange_n(&countdown, -1, __ATOMIC_SEQ_CST) >= 0;
}

static int fails(void)
{
	return __atomic_load_n(&countdown, __ATOMIC_SEQ_CST) >= 0 &&
	       __atomic_fetch_sub(&countdown, 1, __ATOMIC_SEQ_CST) == 0;
}

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
char *__real_strdup(const char *);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
char *__wrap_strdup(const char *);

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

#endif
