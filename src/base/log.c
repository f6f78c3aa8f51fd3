/* SPDX-License-Identifier: BSD-2-Clause */
#include "log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES 256
#define WIDTH 160

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char ring[LINES][WIDTH];
static unsigned long next;
static const char *areas;
static int to_stderr;

static void setup(void)
{
	areas = secure_getenv("DTPROC_DEBUG");
	to_stderr = secure_getenv("DTPROC_DEBUG_STDERR") != NULL;
}

/* Level at which `area` is on; "all" names every area; 0: off. */
static int level_of(const char *area)
{
	size_t len = strlen(area);

	for (const char *p = areas; p && *p; p += *p == ',') {
		size_t n = strcspn(p, ",:");
		int hit = (n == len && !strncmp(p, area, n)) ||
			  (n == 3 && !strncmp(p, "all", 3));
		p += n;
		int level = *p == ':' ? atoi(p + 1) : 1;
		p += strcspn(p, ",");
		if (hit)
			return level;
	}
	return 0;
}

static void add(const char *area, const char *fmt, va_list ap)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	pthread_mutex_lock(&lock);
	char *line = ring[next++ % LINES];
	int n = snprintf(line, WIDTH - 1, "%5ld.%06ld %d %.40s: ", (long)t.tv_sec,
		t.tv_nsec / 1000, getpid(), area);
	vsnprintf(line + n, (size_t)(WIDTH - 1 - n), fmt, ap);
	strcat(line, "\n");
	if (to_stderr && write(STDERR_FILENO, line, strlen(line)) < 0)
		to_stderr = 0;
	pthread_mutex_unlock(&lock);
}

void log_line(const char *area, int level, const char *fmt, ...)
{
	va_list ap;

	pthread_once(&once, setup);
	if (!areas || level > level_of(area))
		return;
	va_start(ap, fmt);
	add(area, fmt, ap);
	va_end(ap);
}

void log_dump(int fd)
{
	unsigned long first = next > LINES ? next - LINES : 0;

	for (unsigned long i = first; i < next; i++) {
		const char *line = ring[i % LINES];
		if (write(fd, line, strlen(line)) < 0)
			return;
	}
}

void log_fatal(const char *file, int line, const char *cond, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "dtproc: %s:%d: assertion '%s' failed: ", file, line, cond);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	log_dump(STDERR_FILENO);
	abort();
}
