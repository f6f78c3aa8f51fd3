/* SPDX-License-Identifier: BSD-2-Clause */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char text[ERR_TEXT_MAX];

int err_set(int code, const char *fmt, ...)
{
	char fresh[ERR_TEXT_MAX]; /* an argument may be the old text */
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fresh, sizeof fresh, fmt, ap);
	va_end(ap);
	memcpy(text, fresh, sizeof text);
	return code;
}

int err_errno(int code, int eno, const char *fmt, ...)
{
	char fresh[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fresh, sizeof fresh, fmt, ap);
	va_end(ap);
	return err_set(code, "%s: %s", fresh, strerror(eno));
}

int err_nomem(const char *what)
{
	return err_set(DTPROC_ENOMEM, "out of memory for %s", what);
}

const char *err_text(void)
{
	return text;
}

static const char *const names[] = {
	[0] = "no error",
	[-DTPROC_ENOMEM] = "out of memory",
	[-DTPROC_EINVAL] = "invalid argument",
	[-DTPROC_ESYS] = "system call failed",
	[-DTPROC_ENOPROC] = "no such process",
	[-DTPROC_EPERM] = "permission denied",
	[-DTPROC_ETRACED] = "already traced",
	[-DTPROC_EKTHREAD] = "kernel thread",
	[-DTPROC_EZOMBIE] = "zombie",
	[-DTPROC_ESELF] = "oneself",
	[-DTPROC_EEXITED] = "exited",
	[-DTPROC_EKILLED] = "killed",
	[-DTPROC_EUNOBSERVABLE] = "cannot be observed",
	[-DTPROC_ELOST] = "lost",
	[-DTPROC_ESTALE] = "stale handle",
	[-DTPROC_EIMAGE] = "another image",
	[-DTPROC_ETIMEOUT] = "deadline passed",
	[-DTPROC_ESTATE] = "wrong state",
	[-DTPROC_ENOEXEC] = "cannot be executed",
	[-DTPROC_EKEEPER] = "keeper failed",
	[-DTPROC_EPROTO] = "protocol error",
	[-DTPROC_ERANGE] = "address out of range",
	[-DTPROC_ESITE] = "site refused",
	[-DTPROC_ELIMIT] = "limit reached",
	[-DTPROC_ELOCK] = "lock misused",
	[-DTPROC_ENOSYM] = "no such symbol",
	[-DTPROC_ENOPROBE] = "no such probe",
	[-DTPROC_ESYNTAX] = "script error",
	[-DTPROC_EELF] = "bad ELF file",
	[-DTPROC_EVERIFY] = "program refused",
};

const char *err_name(int code)
{
	size_t i = (size_t) - (long)code;

	if (code > 0 || i >= sizeof names / sizeof names[0] || !names[i])
		return "unknown error";
	return names[i];
}
