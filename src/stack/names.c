/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of addresses in a space: of objects, and of code that a JIT has made. */
#include "space.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <base/clean.h>

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---------------------------------------------------------------------- JITs */

/* The mapping by which a program marks its jitdump, or NULL. */
static const char *dump_path(const struct stack_space *s)
{
	for (size_t i = 0; i < s->now.n; i++) {
		const char *name = last_part(s->now.at[i]->path);

		if (s->now.at[i]->inode && !strncmp(name, "jit-", 4) &&
			strlen(name) > 5 && !strcmp(name + strlen(name) - 5, ".dump"))
			return s->now.at[i]->path;
	}
	return NULL;
}

/* A file of the victim's own: anybody may put one into /tmp. */
static int open_inside(const struct stack_space *s, const char *path)
{
	char buf[PATH_MAX];
	struct stat who, st;

	snprintf(buf, sizeof buf, "/proc/%d", (int)s->options.pid);
	if (stat(buf, &who))
		return -1;
	snprintf(buf, sizeof buf, "/proc/%d/root%s", (int)s->options.pid, path);
	CLEAN_FD int fd =
		open(buf, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);

	if (fd < 0 || fstat(fd, &st) || (st.st_uid != who.st_uid && st.st_uid != 0))
		return -1;
	return TAKE_FD(fd);
}

/* Reads what has come to a file since. */
static void read_more(const struct stack_space *s, struct jit_file *f, const char *path,
	enum object_jit_form form)
{
	CLEAN_FD int fd = f->absent || !path ? -1 : open_inside(s, path);

	f->absent = fd < 0;
	if (fd < 0 || (!f->names && object_jit_create(&f->names)))
		return;
	if (object_jit_read(f->names, fd, form))
		f->absent = 1;
}

static const char *look_in(
	const struct jit_file *f, dtproc_addr at, uint64_t *start, uint64_t *size)
{
	return f->names ? object_jit_at(f->names, at, start, size) : NULL;
}

static const char *generated(
	struct stack_space *s, dtproc_addr at, uint64_t *start, uint64_t *size)
{
	char path[64];
	const char *name = look_in(&s->map, at, start, size);

	if (!name)
		name = look_in(&s->dump, at, start, size);
	if (name || !s->options.pid)
		return name;
	snprintf(path, sizeof path, "/tmp/perf-%d.map",
		(int)(s->options.inner ? s->options.inner : s->options.pid));
	read_more(s, &s->map, path, OBJECT_JIT_MAP);
	read_more(s, &s->dump, dump_path(s), OBJECT_JIT_DUMP);
	name = look_in(&s->map, at, start, size);
	return name ? name : look_in(&s->dump, at, start, size);
}

/* --------------------------------------------------------------------- names */

static void name_in(const struct region *r, dtproc_addr at, struct stack_name *out)
{
	struct object_named named;

	out->object = object_name(r->object);
	out->path = object_path(r->object);
	out->start = r->bias;
	out->value = at - r->bias;
	if (object_name_at(r->object, out->value, &named) != 1)
		return;
	out->symbol = named.name;
	out->start = named.value + r->bias;
	out->size = named.size;
	out->kind = named.kind;
}

int stack_space_name(
	struct stack_space *s, dtproc_addr at, uint64_t when, struct stack_name *out)
{
	struct region *r = space_region(s, at, when);

	*out = (struct stack_name){.object = "", .path = ""};
	if (!r)
		return 0;
	if (r->object) {
		name_in(r, at, out);
		return 1;
	}
	if (r->path[0]) {
		out->path = r->path;
		out->object = last_part(r->path);
		out->start = r->start;
	}
	if (r->executable)
		out->symbol = generated(s, at, &out->start, &out->size);
	return out->symbol != NULL || out->object[0];
}
