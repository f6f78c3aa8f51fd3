/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of objects, and the cheap part of one: names and segments.
 *
 * SHARING.  One list under one lock.  A search compares device, inode and modification
 * time of the open file, so two paths to one file share an object, and a file that was
 * written anew is another one.  The list is short (a busy desktop maps some hundred
 * files), so it is walked.
 *
 * READING.  Files are read, never mapped: one that is truncated under us costs an error
 * and not a SIGBUS.  Opening reads the program headers and the dynamic section.  Symbols
 * are read when first asked for; until then the descriptor stays open, since the path
 * may name another file later.  What is read piece by piece keeps it open, too, for the
 * first FILES_KEPT files; later ones are opened again if their path names them still.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <base/clean.h>
#include "own.h"

#define FILES_KEPT 64 /* that stay open */

static pthread_mutex_t objects_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list objects = LIST_INIT(objects);
static int files_kept; /* atomic */

static void put_away(struct object *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
	if (o->keeps_file)
		__atomic_sub_fetch(&files_kept, 1, __ATOMIC_RELAXED);
	o->keeps_file = 0;
}

static void destroy(struct object *o)
{
	if (!o)
		return;
	object_table_free(&o->table);
	object_stubs_free(&o->stubs);
	object_types_free(o->types);
	object_places_free(&o->places);
	object_cfi_free(o->cfi);
	object_sdts_free(&o->sdts);
	pthread_mutex_destroy(&o->lock);
	pthread_mutex_destroy(&o->types_lock);
	put_away(o);
	free(o->segments);
	free(o->path);
	free(o->opened);
	free(o->soname);
	free(o->asked);
	free(o);
}

static void clean_object(struct object **o)
{
	destroy(*o);
}

static int64_t mtime_of(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* The object of this file if there is one, with one more reference; st: of this time. */
static struct object *look_up(const struct object_id *id, const struct stat *st)
{
	struct object *found = NULL;

	pthread_mutex_lock(&objects_lock);
	list_each(it, &objects) {
		struct object *o = list_entry(it, struct object, link);

		if (o->ino != id->ino || o->dev != id->dev ||
			(st && o->mtime_ns != mtime_of(st)))
			continue;
		o->refs++;
		found = o;
		break;
	}
	pthread_mutex_unlock(&objects_lock);
	return found;
}

static void init_recursive(pthread_mutex_t *m)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(m, &attr);
	pthread_mutexattr_destroy(&attr);
}

/* Makes the object of an open file; takes the descriptor. */
static int make(const char *opened, const char *path, const struct stat *st, int *fd,
	struct object **out)
{
	CLEAN(clean_object) struct object *o = calloc(1, sizeof *o);
	int err;

	if (!o)
		return err_nomem("an object");
	list_init(&o->link);
	pthread_mutex_init(&o->lock, NULL);
	init_recursive(&o->types_lock);
	o->refs = 1;
	o->dev = st->st_dev;
	o->ino = st->st_ino;
	o->mtime_ns = mtime_of(st);
	o->fd = TAKE_FD(*fd);
	o->path = strdup(path);
	o->opened = opened ? strdup(opened) : NULL;
	if (!o->path || (opened && !o->opened))
		return err_nomem("a path");
	err = object_headers_read(o);
	if (err)
		return err;
	*out = TAKE_PTR(o);
	return 0;
}

struct object *object_publish(struct object *o)
{
	pthread_mutex_lock(&objects_lock);
	list_each(it, &objects) {
		struct object *other = list_entry(it, struct object, link);

		if (other->ino != o->ino || other->dev != o->dev ||
			other->mtime_ns != o->mtime_ns)
			continue;
		other->refs++;
		pthread_mutex_unlock(&objects_lock);
		destroy(o);
		return other;
	}
	list_add(&objects, &o->link);
	pthread_mutex_unlock(&objects_lock);
	return o;
}

/* Opens for reading what is a regular file; `shown` is its name in errors. */
static int open_file(const char *path, const char *shown, int *fd, struct stat *st)
{
	CLEAN_FD int f = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (f < 0 || fstat(f, st))
		return err_errno(DTPROC_ENOSYM, errno, "%s", shown);
	if (!S_ISREG(st->st_mode))
		return err_set(DTPROC_ENOSYM, "%s: not a regular file", shown);
	*fd = TAKE_FD(f);
	return 0;
}

/*
 * Only the inode has to agree: on btrfs and overlayfs stat(2) and the kernel's list of
 * mappings name different devices for one file.
 */
static int is_expected(const struct stat *st, const struct object_id *expect)
{
	return !expect || !expect->ino || expect->ino == st->st_ino;
}

static int open_as(const char *path, const char *shown, const struct object_id *expect,
	struct object **out)
{
	CLEAN_FD int fd = -1;
	struct stat st;
	struct object *o;
	int err = open_file(path, shown, &fd, &st);

	if (err)
		return err;
	if (!is_expected(&st, expect))
		return err_set(DTPROC_ENOSYM, "%s: was replaced by another file", shown);
	const struct object_id id = {st.st_dev, st.st_ino};

	o = look_up(&id, &st);
	if (!o) {
		err = make(path, shown, &st, &fd, &o);
		if (err)
			return err;
		o = object_publish(o);
	}
	*out = o;
	return 0;
}

int object_open(const char *path, const struct object_id *expect, struct object **out)
{
	return open_as(path, path, expect, out);
}

/* The object of that file if it is open already and has not been written since. */
static struct object *find_open(const char *path, const struct object_id *expect)
{
	struct stat st;

	if (!expect || !expect->ino || stat(path, &st) || !is_expected(&st, expect))
		return NULL;
	const struct object_id id = {st.st_dev, st.st_ino};

	return look_up(&id, &st);
}

int object_open_mapped(pid_t pid, uint64_t start, uint64_t end, const char *path,
	const struct object_id *expect, struct object **out)
{
	char buf[PATH_MAX + 32];

	if (path[0] != '/')
		return err_set(DTPROC_ENOSYM, "%s: not a file", path);
	struct object *o = find_open(path, expect);
	if (o) {
		*out = o;
		return 0;
	}
	snprintf(buf, sizeof buf, "/proc/%d/map_files/%llx-%llx", (int)pid,
		(unsigned long long)start, (unsigned long long)end);
	if (open_as(buf, path, NULL, out) == 0)
		return 0;
	snprintf(buf, sizeof buf, "/proc/%d/root%s", (int)pid, path);
	if (open_as(buf, path, expect, out) == 0)
		return 0;
	return open_as(path, path, expect, out);
}

int object_adopt(
	const char *name, const struct object_build_id *id, int *fd, struct object **out)
{
	struct stat st;
	int err;

	if (fstat(*fd, &st))
		return err_errno(DTPROC_ESYS, errno, "%s", name);
	err = make(NULL, name, &st, fd, out);
	if (err)
		return err;
	(*out)->build_id = *id;
	return 0;
}

struct object *object_get_build_id(const struct object_build_id *id)
{
	struct object *found = NULL;

	pthread_mutex_lock(&objects_lock);
	list_each(it, &objects) {
		struct object *o = list_entry(it, struct object, link);

		if (!id->len || o->build_id.len != id->len ||
			memcmp(o->build_id.bytes, id->bytes, id->len) != 0)
			continue;
		o->refs++;
		found = o;
		break;
	}
	pthread_mutex_unlock(&objects_lock);
	return found;
}

const struct object_build_id *object_build_id(const struct object *o)
{
	return &o->build_id;
}

struct object *object_get_open(const struct object_id *id)
{
	return look_up(id, NULL);
}

struct object *object_ref(struct object *o)
{
	pthread_mutex_lock(&objects_lock);
	o->refs++;
	pthread_mutex_unlock(&objects_lock);
	return o;
}

void object_unref(struct object *o)
{
	if (!o)
		return;
	pthread_mutex_lock(&objects_lock);
	unsigned refs = --o->refs;

	if (refs == 0)
		list_remove(&o->link);
	pthread_mutex_unlock(&objects_lock);
	if (refs == 0)
		destroy(o);
}

const char *object_path(const struct object *o)
{
	return o->path;
}

const char *object_soname(const struct object *o)
{
	return o->soname ? o->soname : "";
}

const char *object_name(const struct object *o)
{
	const char *slash = strrchr(o->path, '/');

	if (o->soname)
		return o->soname;
	return slash ? slash + 1 : o->path;
}

int object_bias(
	const struct object *o, uint64_t map_start, uint64_t map_offset, uint64_t *bias)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE) - 1;

	for (size_t i = 0; i < o->nsegments; i++) {
		const struct object_segment *s = &o->segments[i];
		uint64_t low = s->offset & ~page, skew = s->offset & page;

		if (!s->executable || map_offset < low ||
			map_offset - low >= s->size + skew)
			continue;
		*bias = map_start - (s->value - skew) - (map_offset - low);
		return 0;
	}
	return err_set(DTPROC_EELF, "%s: no code is mapped from offset %#llx", o->path,
		(unsigned long long)map_offset);
}

int object_rseq(const struct object *o, uint64_t *value, uint64_t *size)
{
	*value = o->rseq_value;
	*size = o->rseq_size;
	return o->rseq_size != 0;
}

int object_executable(const struct object *o, uint64_t value)
{
	for (size_t i = 0; i < o->nsegments; i++) {
		const struct object_segment *s = &o->segments[i];

		if (s->executable && value >= s->value && value - s->value < s->size)
			return 1;
	}
	return 0;
}

int object_file(struct object *o)
{
	struct stat st;

	if (o->fd >= 0)
		return 0;
	CLEAN_FD int fd = -1;
	int err = open_file(o->opened, o->path, &fd, &st);

	if (err)
		return err;
	if (st.st_dev != o->dev || st.st_ino != o->ino || mtime_of(&st) != o->mtime_ns)
		return err_set(
			DTPROC_ENOSYM, "%s: was replaced by another file", o->path);
	o->fd = TAKE_FD(fd);
	return 0;
}

void object_file_done(struct object *o)
{
	if (o->fd < 0 || o->keeps_file || !o->opened)
		return;
	o->keeps_file = 1;
	if (__atomic_add_fetch(&files_kept, 1, __ATOMIC_RELAXED) > FILES_KEPT)
		put_away(o);
}

const struct object_segment *object_segment_of(const struct object *o, uint64_t value)
{
	for (size_t i = 0; i < o->nsegments; i++) {
		const struct object_segment *s = &o->segments[i];

		if (value >= s->value && value - s->value < s->bytes)
			return s;
	}
	return NULL;
}

size_t object_read(struct object *o, uint64_t value, void *buf, size_t len)
{
	const struct object_segment *s = object_segment_of(o, value);
	ssize_t got = -1;

	if (!s)
		return 0;
	if (len > s->bytes - (value - s->value))
		len = s->bytes - (value - s->value);
	pthread_mutex_lock(&o->lock);
	if (object_file(o) == 0)
		got = pread(o->fd, buf, len, (off_t)(value - s->value + s->offset));
	object_file_done(o);
	pthread_mutex_unlock(&o->lock);
	return got < 0 ? 0 : (size_t)got;
}

int object_sdts(struct object *o, const struct object_sdt **at, size_t *n)
{
	int err = 0;

	pthread_mutex_lock(&o->lock);
	if (!o->sdts_read && !(err = object_file(o))) {
		err = object_sdts_read(o->fd, o->path, &o->sdts);
		o->sdts_read = err != DTPROC_ENOMEM;
		object_file_done(o);
	}
	pthread_mutex_unlock(&o->lock);
	if (err)
		return err;
	*at = o->sdts.at;
	*n = o->sdts.n;
	return 0;
}

/* Reads the symbols, once; a failure stays one. */
static int read_once(struct object *o)
{
	int err = 0;

	if (o->state == OBJECT_UNREAD) {
		err = object_file(o);
		if (!err)
			err = object_table_read(o->fd, o->path, &o->table);
		if (err == DTPROC_ENOMEM)
			return err;
		o->state = err ? OBJECT_BAD : OBJECT_READ;
		if (!o->keeps_file && o->opened)
			put_away(o);
	} else if (o->state == OBJECT_BAD) {
		err = err_set(DTPROC_EELF, "%s: corrupt symbol table", o->path);
	}
	return err;
}

int object_symbols(struct object *o, const struct object_symbol **at, size_t *n)
{
	pthread_mutex_lock(&o->lock);
	int err = read_once(o);

	pthread_mutex_unlock(&o->lock);
	if (err)
		return err;
	*at = o->table.at;
	*n = o->table.n;
	return 0;
}

int object_lookup(struct object *o, const char *name, uint64_t *value, uint32_t *size)
{
	struct object_symbol found = {0};
	const struct object_symbol *s = NULL;
	int err = 0;

	pthread_mutex_lock(&o->lock);
	if (o->state == OBJECT_UNREAD)
		err = object_ask(o, name, &found);
	else
		err = read_once(o);
	if (!err && o->state == OBJECT_READ && (s = object_find(o, name, NULL)))
		found = *s;
	pthread_mutex_unlock(&o->lock);
	if (!err && !found.value)
		err = err_set(DTPROC_ENOSYM, "%s has no symbol '%s'", o->path, name);
	if (err)
		return err;
	*value = found.value;
	*size = found.size;
	return 0;
}

/* The stub at an address, whose table is read when first needed; with the lock held. */
static int find_stub(struct object *o, uint64_t value, const struct object_stub **out)
{
	int err = 0;

	if (!o->stubs_read) {
		err = object_file(o);
		if (!err)
			err = object_plt_read(o, &o->stubs);
		object_file_done(o);
		o->stubs_read = err != DTPROC_ENOMEM;
	}
	*out = object_stub_at(&o->stubs, value);
	return err;
}

/* Makes ready what names are found in: the places, unless all symbols are read already.
 */
static int read_for_names(struct object *o)
{
	int got;

	if (o->state != OBJECT_UNREAD || o->places_state == PLACES_READ)
		return 0;
	if (o->places_state == PLACES_UNREAD) {
		got = object_file(o);
		if (!got)
			got = object_places_read(o);
		object_file_done(o);
		if (got < 0)
			return got;
		o->places_state = got ? PLACES_READ : PLACES_NONE;
	}
	return o->places_state == PLACES_READ ? 0 : read_once(o);
}

int object_name_symbol(struct object *o, uint64_t value, struct object_named *out)
{
	const struct object_symbol *s;

	if (o->state == OBJECT_UNREAD)
		return object_places_find(o, value, out);
	s = object_at(o, value);
	if (s)
		*out = (struct object_named){
			object_name_of(o, s), s->value, s->size, s->kind};
	return s != NULL;
}

int object_name_at(struct object *o, uint64_t value, struct object_named *out)
{
	const struct object_stub *stub = NULL;
	int found;

	pthread_mutex_lock(&o->lock);
	found = read_for_names(o);
	if (!found)
		found = object_name_symbol(o, value, out);
	if (!found && value >= o->plt_from && value < o->plt_to)
		found = find_stub(o, value, &stub);
	if (stub)
		*out = (struct object_named){o->stubs.names + stub->name, stub->value,
			stub->size, OBJECT_STUB};
	pthread_mutex_unlock(&o->lock);
	return stub ? 1 : found;
}
