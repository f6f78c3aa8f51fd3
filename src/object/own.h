/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share. */
#ifndef OBJECT_OWN_H
#define OBJECT_OWN_H

#include <pthread.h>
#include <base/list.h>
#include "object.h"

struct cfi;

struct object_segment {
	uint64_t value, size, offset;
	uint64_t bytes; /* of the file; the rest is zero */
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
	char *opened; /* what was opened, for another time */
	struct object_segment *segments;
	size_t nsegments;
	uint64_t rseq_value, rseq_size;
	uint64_t frames_value; /* of .eh_frame_hdr; 0: none */
	pthread_mutex_t lock;  /* of what follows */
	int fd;                /* -1: put away */
	int keeps_file;        /* it stays open (object_file_done) */
	struct cfi *cfi;       /* NULL: nobody asked yet */
	enum { OBJECT_UNREAD, OBJECT_READ, OBJECT_BAD } state;
	struct object_table table;
};

/* The file's descriptor, opened again if need be, with the lock held.  ENOSYM. */
int object_file(struct object *) MUST_USE;
/* That was it for now: the file stays open, unless many do. */
void object_file_done(struct object *);
/* The segment whose bytes of the file hold `value`, or NULL. */
const struct object_segment *object_segment_of(const struct object *, uint64_t value);

void object_cfi_free(struct cfi *);

/* Reads all symbols of an open file; the result is the caller's to object_table_free().
 */
int object_table_read(int fd, const char *path, struct object_table *out) MUST_USE;
void object_table_free(struct object_table *);
/* The symbol of one name, without reading the others; value 0: there is none. */
int object_table_scan(
	int fd, const char *path, const char *name, struct object_symbol *out) MUST_USE;

#endif
