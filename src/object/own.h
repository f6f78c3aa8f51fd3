/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share. */
#ifndef OBJECT_OWN_H
#define OBJECT_OWN_H

#include <pthread.h>
#include <base/list.h>
#include "object.h"

struct object_segment {
	uint64_t value, size, offset;
	int executable;
};

/* Names and symbols, once read. */
struct object_table {
	struct object_symbol *at;
	size_t n;
	char *names;
	uint32_t *bucket, *next; /* by name: index + 1, 0 ends */
	size_t buckets;          /* a power of two */
};

struct object {
	struct list link; /* in the table of objects, under its lock */
	unsigned refs;    /* under that lock */
	uint64_t dev, ino;
	int64_t mtime_ns;
	char *path, *soname;
	int fd; /* open until the symbols are read */
	struct object_segment *segments;
	size_t nsegments;
	uint64_t rseq_value, rseq_size;
	pthread_mutex_t lock; /* of what follows */
	enum { OBJECT_UNREAD, OBJECT_READ, OBJECT_BAD } state;
	struct object_table table;
	struct object_frames *frames; /* NULL: not asked for yet */
};

void object_frames_free(struct object_frames *); /* NULL: nothing */

/* Reads all symbols of an open file; the result is the caller's to object_table_free().
 */
int object_table_read(int fd, const char *path, struct object_table *out) MUST_USE;
void object_table_free(struct object_table *);
/* The symbol of one name, without reading the others; value 0: there is none. */
int object_table_scan(
	int fd, const char *path, const char *name, struct object_symbol *out) MUST_USE;

#endif
