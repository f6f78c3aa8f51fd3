/* SPDX-License-Identifier: BSD-2-Clause */
/* What cmocka wants to be included before it. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

/* DTPROC_CASE names the one test that is to run ("*": any part of it). */
__attribute__((constructor)) static void unit_filter(void)
{
	cmocka_set_test_filter(getenv("DTPROC_CASE"));
}

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#endif
