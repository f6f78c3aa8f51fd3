/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share. */
#ifndef OBJECT_OWN_H
#define OBJECT_OWN_H

#include <pthread.h>
#include <base/hash.h>
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

/* Stubs of the PLT: by address, with names of their own. */
struct object_stub {
	uint64_t value;
	uint32_t size, name;
};
struct object_stubs {
	struct object_stub *at;
	size_t n;
	char *names;
};

/* Static probes, once read. */
struct object_sdts {
	struct object_sdt *at;
	size_t n;
	char *text;
};

/* Symbols by address; their names are in the file (places.c). */
struct object_places {
	struct object_symbol *at; /* name: offset among the strings */
	size_t n;
	uint64_t strings, strings_size; /* in the file */
	struct hash names;              /* of those asked for: offset + 1 -> text */
};

struct object {
	struct list link; /* in the table of objects, under its lock */
	unsigned refs;    /* under that lock */
	uint64_t dev, ino;
	int64_t mtime_ns;
	struct object_build_id build_id;
	char *path, *soname;
	char *opened; /* what was opened, for another time; NULL: fd is all there is */
	struct object_segment *segments;
	size_t nsegments;
	uint64_t rseq_value, rseq_size;
	uint64_t frames_value;     /* of .eh_frame_hdr; 0: none */
	uint64_t plt_from, plt_to; /* where all stubs are; 0: there are none */
	pthread_mutex_t lock;      /* of what follows */
	int fd;                    /* -1: put away */
	int keeps_file;            /* it stays open (object_file_done) */
	struct cfi *cfi;           /* NULL: nobody asked yet */
	enum { OBJECT_UNREAD, OBJECT_READ, OBJECT_BAD } state;
	struct object_table table;
	char *asked;                 /* name that was looked for last, unread */
	struct object_symbol answer; /* value 0: there is none */
	enum { PLACES_UNREAD, PLACES_READ, PLACES_NONE } places_state;
	struct object_places places;
	int stubs_read;
	struct object_stubs stubs;
	struct object_sdts sdts;
	int sdts_read;
	pthread_mutex_t types_lock; /* of what follows; recursive */
	struct object_types *types; /* types.c; NULL: none */
	int types_read;
};

/* headers.c: what a file tells at once.  EELF. */
int object_headers_read(struct object *) MUST_USE;

/* Makes an object of a descriptor that has no path, and takes it; nobody finds it yet. */
int object_adopt(const char *name, const struct object_build_id *, int *fd,
	struct object **out) MUST_USE;
/* Puts a new object into the table, or gives the one that was quicker. */
struct object *object_publish(struct object *);

/* The file's descriptor, opened again if need be, with the lock held.  ENOSYM. */
int object_file(struct object *) MUST_USE;
/* Looks for one name in a table that is not read, unless it was the last one asked for.
 */
int object_ask(struct object *, const char *name, struct object_symbol *found) MUST_USE;
/* That was it for now: the file stays open, unless many do. */
void object_file_done(struct object *);
/* The segment whose bytes of the file hold `value`, or NULL. */
const struct object_segment *object_segment_of(const struct object *, uint64_t value);

/* More than any real file has (a debug build of a browser: 2 million). */
#define OBJECT_SYMBOLS_MAX (16u << 20)

/* What is kept of a GElf_Sym, but for its name; 0: it is not a defined function or datum.
 */
int object_symbol_of(const void *elf_sym, struct object_symbol *out);
/* Below 0: the first is the preferred one of two. */
int object_prefer(const struct object_symbol *, const char *name,
	const struct object_symbol *other, const char *others_name);
/* Among symbols by address: the first of those at the address that covers `value`. */
const struct object_symbol *object_cover(
	const struct object_symbol *, size_t n, uint64_t value);

/* Reads the symbols for object_places_find(), with the file open.  1; 0: the whole table
 * has to do. */
int object_places_read(struct object *) MUST_USE;
int object_places_find(struct object *, uint64_t value, struct object_named *out);
void object_places_free(struct object_places *);

/* The symbol at an address in what was read, with the lock held: 1, or 0. */
int object_name_symbol(struct object *, uint64_t value, struct object_named *out);

/* Another file that has the symbols of a stripped one. */
struct object_more {
	void *elf; /* Elf */
	int fd;    /* or -1 */
	char *bytes;
};
/* 1: found, and the caller's to close; 0: there is none. */
int object_more_open(void *elf, const char *path, struct object_more *out);
void object_more_close(struct object_more *);

/* Does a section of this name hold stubs? */
int object_is_plt(const char *section);
/* The stubs, with the file open and the symbols read. */
int object_plt_read(struct object *, struct object_stubs *out) MUST_USE;
const struct object_stub *object_stub_at(const struct object_stubs *, uint64_t value);
void object_stubs_free(struct object_stubs *);

void object_cfi_free(struct cfi *);
/* Reads the static probes of an open file. */
int object_sdts_read(int fd, const char *path, struct object_sdts *out) MUST_USE;
void object_sdts_free(struct object_sdts *);

void object_types_free(struct object_types *);

/* Reads all symbols of an open file; the result is the caller's to object_table_free().
 */
int object_table_read(int fd, const char *path, struct object_table *out) MUST_USE;
void object_table_free(struct object_table *);
/* The symbol of one name, without reading the others; value 0: there is none. */
int object_table_scan(
	int fd, const char *path, const char *name, struct object_symbol *out) MUST_USE;

#endif
