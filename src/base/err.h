/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors.  A function that can fail returns 0 (or a count) or a negative code of
 * enum dtproc_error, and sets the text of the error once, where the cause is known.
 * The text belongs to the calling thread and holds until that thread's next error.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <dtproc.h>

/* Longest error text, with its NUL; a longer one is cut. */
#define ERR_TEXT_MAX 512

/* Sets the calling thread's error text; returns `code` so that one can `return` it. */
int err_set(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same with ": " and the text of errno value `eno` behind it. */
int err_errno(int code, int eno, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Out of memory while making `what`: returns DTPROC_ENOMEM. */
int err_nomem(const char *what);
/* Text of the calling thread's last error; "" when there was none.  Borrowed. */
const char *err_text(void);
/* Short name of a code ("permission denied"), for lists and logs.  Static. */
const char *err_name(int code);

#define MUST_USE __attribute__((warn_unused_result))

#endif
