/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Debug log.  DTPROC_DEBUG=keeper,bkpt:2 turns areas on (with a level); lines go to a
 * ring in memory, and to standard error when DTPROC_DEBUG_STDERR is set.  The ring is
 * dumped by log_dump(), which a failed assertion calls.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/* Logs when `area` is on at `level` (1 coarse ... 3 each event).  Any thread. */
void log_line(const char *area, int level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Writes the ring to a descriptor, oldest first. */
void log_dump(int fd);

/* An assertion that stays on in release builds; dumps the log, then aborts. */
#define CHECK(cond, ...)                                                                 \
	do {                                                                             \
		if (__builtin_expect(!(cond), 0))                                        \
			log_fatal(__FILE__, __LINE__, #cond, "" __VA_ARGS__);            \
	} while (0)
void log_fatal(const char *file, int line, const char *cond, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 4, 5)));

#endif
