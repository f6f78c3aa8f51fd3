/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Core files.  Notes tell threads and which files were mapped; program headers where
 * memory lies in the file.  Text is not in it as a rule: it is read from the files that
 * were mapped.  A truncated core ends amid its memory: what is not there cannot be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>
#include <base/clean.h>
#include <base/cursor.h>
#include <base/hash.h>
#include <base/vec.h>
#include "stack.h"

#define SEGMENTS_MAX 262144
#define NOTES_MAX (256u << 20)
#define THREADS_MAX 1000000

/* Memory that was mapped; `bytes` of it lie in the core file at `at`. */
struct piece {
	dtproc_addr start, end;
	uint64_t at, bytes;
	int executable;
};

struct file {
	dtproc_addr start, end;
	uint64_t offset;
	const char *path; /* in `notes` */
};

struct stack_core {
	int fd;
	pid_t pid;
	char name[16];
	dtproc_addr vdso;
	char *notes;
	size_t notes_len;
	VEC(struct piece) pieces;
	VEC(struct file) files;
	VEC(struct stack_core_thread) threads;
	struct stack_space *space;
};

/* -------------------------------------------------------------------- notes */

static int take_thread(struct stack_core *c, const void *desc, size_t len)
{
	struct elf_prstatus status;
	struct stack_core_thread t;

	if (len < sizeof status || c->threads.n == THREADS_MAX)
		return 0;
	memcpy(&status, desc, sizeof status);
	t.tid = status.pr_pid;
	memcpy(&t.regs, &status.pr_reg, sizeof t.regs);
	return vec_push(&c->threads, t) ? err_nomem("threads of a core") : 0;
}

static int take_process(struct stack_core *c, const void *desc, size_t len)
{
	struct elf_prpsinfo info;

	if (len < sizeof info)
		return 0;
	memcpy(&info, desc, sizeof info);
	c->pid = info.pr_pid;
	snprintf(c->name, sizeof c->name, "%.15s", info.pr_fname);
	return 0;
}

/* NT_FILE: count, page size, (start, end, page) of each, then the paths. */
static int take_files(struct stack_core *c, const void *desc, size_t len)
{
	struct cursor numbers = cursor_of(desc, len), paths;
	uint64_t n = cursor_u64(&numbers), page = cursor_u64(&numbers);

	if (n > SEGMENTS_MAX)
		return 0;
	paths = numbers;
	cursor_get(&paths, n * 24);
	for (uint64_t i = 0; i < n && !numbers.bad && !paths.bad; i++) {
		struct file f = {cursor_u64(&numbers), cursor_u64(&numbers),
			cursor_u64(&numbers) * page, cursor_str(&paths)};

		if (f.path && f.path[0] && f.start < f.end && vec_push(&c->files, f))
			return err_nomem("mappings of a core");
	}
	return 0;
}

static int take_auxv(struct stack_core *c, const void *desc, size_t len)
{
	struct cursor a = cursor_of(desc, len);

	while (cursor_left(&a) >= 16) {
		uint64_t type = cursor_u64(&a), value = cursor_u64(&a);

		if (type == AT_SYSINFO_EHDR)
			c->vdso = value;
	}
	return 0;
}

static int take_note(struct stack_core *c, uint32_t type, const void *desc, size_t len)
{
	switch (type) {
	case NT_PRSTATUS:
		return take_thread(c, desc, len);
	case NT_PRPSINFO:
		return take_process(c, desc, len);
	case NT_FILE:
		return take_files(c, desc, len);
	case NT_AUXV:
		return take_auxv(c, desc, len);
	}
	return 0;
}

static int read_notes(struct stack_core *c, const GElf_Phdr *ph)
{
	struct cursor at;
	ssize_t got;

	if (c->notes || ph->p_filesz > NOTES_MAX)
		return 0;
	c->notes = malloc(ph->p_filesz + 1);
	if (!c->notes)
		return err_nomem("notes of a core");
	got = pread(c->fd, c->notes, ph->p_filesz, (off_t)ph->p_offset);
	at = cursor_of(c->notes, got < 0 ? 0 : (size_t)got);
	while (cursor_left(&at) >= 12) {
		uint32_t namesz = cursor_u32(&at), descsz = cursor_u32(&at);
		uint32_t type = cursor_u32(&at);
		const char *name = cursor_get(&at, (namesz + 3ul) & ~3ul);
		const void *desc = cursor_get(&at, (descsz + 3ul) & ~3ul);
		int err = 0;

		if (!name || !desc)
			break;
		if (namesz == 5 && !memcmp(name, "CORE", 5))
			err = take_note(c, type, desc, descsz);
		if (err)
			return err;
	}
	return 0;
}

/* ------------------------------------------------------------------- memory */

static int add_piece(struct stack_core *c, const GElf_Phdr *ph)
{
	const struct piece p = {ph->p_vaddr, ph->p_vaddr + ph->p_memsz, ph->p_offset,
		ph->p_filesz < ph->p_memsz ? ph->p_filesz : ph->p_memsz,
		(ph->p_flags & PF_X) != 0};

	if (p.start >= p.end)
		return 0;
	return vec_push(&c->pieces, p) ? err_nomem("mappings of a core") : 0;
}

static const struct piece *piece_of(const struct stack_core *c, dtproc_addr at)
{
	size_t low = 0, high = c->pieces.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (c->pieces.at[mid].end <= at)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->pieces.n && at >= c->pieces.at[low].start ? &c->pieces.at[low]
								  : NULL;
}

static ssize_t read_core(void *arg, dtproc_addr at, void *buf, size_t len)
{
	const struct stack_core *c = arg;
	const struct piece *p = piece_of(c, at);

	if (!p || at - p->start >= p->bytes)
		return 0;
	if (len > p->bytes - (at - p->start))
		len = p->bytes - (at - p->start);
	return pread(c->fd, buf, len, (off_t)(p->at + (at - p->start)));
}

static const struct file *file_of(const struct stack_core *c, dtproc_addr at)
{
	size_t low = 0, high = c->files.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (c->files.at[mid].end <= at)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->files.n && at >= c->files.at[low].start ? &c->files.at[low]
								: NULL;
}

/* Files have no inode in a core; one of their path tells them apart. */
static struct stack_map map_of(const struct stack_core *c, const struct piece *p)
{
	const struct file *f = file_of(c, p->start);
	struct stack_map m = {.start = p->start,
		.end = p->end,
		.executable = p->executable,
		.path = p->start == c->vdso ? "[vdso]" : ""};

	if (f) {
		m.path = f->path;
		m.offset = f->offset + (p->start - f->start);
		m.inode = hash_bytes(f->path, strlen(f->path)) | 1;
	}
	return m;
}

static int by_map_start(const void *a, const void *b)
{
	const struct stack_map *one = a, *other = b;

	return (one->start > other->start) - (one->start < other->start);
}

/* All mappings.  gdb leaves text out of its program headers; the notes have it. */
static size_t list_maps(const struct stack_core *c, struct stack_map *maps)
{
	size_t n = 0;

	for (size_t i = 0; i < c->pieces.n; i++)
		maps[n++] = map_of(c, &c->pieces.at[i]);
	for (size_t i = 0; i < c->files.n; i++) {
		const struct file *f = &c->files.at[i];
		const struct piece text = {f->start, f->end, 0, 0, 1};

		if (!piece_of(c, f->start))
			maps[n++] = map_of(c, &text);
	}
	qsort(maps, n, sizeof *maps, by_map_start);
	return n;
}

static int make_space(struct stack_core *c)
{
	const struct stack_space_options options = {.arg = c, .read = read_core};
	CLEAN_FREE struct stack_map *maps =
		calloc(c->pieces.n + c->files.n + 1, sizeof *maps);
	int err = maps ? stack_space_create(&options, &c->space)
		       : err_nomem("mappings of a core");

	return err ? err : stack_space_update(c->space, maps, list_maps(c, maps), 0);
}

/* ------------------------------------------------------------------ opening */

static void clean_elf(Elf **elf)
{
	if (*elf)
		elf_end(*elf);
}

static void clean_core(struct stack_core **c)
{
	stack_core_close(*c);
}

static int by_start(const void *a, const void *b)
{
	const struct piece *one = a, *other = b;

	return (one->start > other->start) - (one->start < other->start);
}

static int by_file_start(const void *a, const void *b)
{
	const struct file *one = a, *other = b;

	return (one->start > other->start) - (one->start < other->start);
}

static int read_headers(struct stack_core *c, const char *path)
{
	CLEAN(clean_elf) Elf *elf = NULL;
	GElf_Ehdr head;
	GElf_Phdr ph;
	size_t n = 0;
	int err = 0;

	elf_version(EV_CURRENT);
	elf = elf_begin(c->fd, ELF_C_READ, NULL);
	if (!elf || !gelf_getehdr(elf, &head) || head.e_type != ET_CORE ||
		gelf_getclass(elf) != ELFCLASS64 || elf_getphdrnum(elf, &n))
		return err_set(DTPROC_EELF, "%s: not a core file", path);
	for (size_t i = 0; i < n && i < SEGMENTS_MAX && !err; i++) {
		if (!gelf_getphdr(elf, (int)i, &ph))
			break;
		if (ph.p_type == PT_NOTE)
			err = read_notes(c, &ph);
		else if (ph.p_type == PT_LOAD)
			err = add_piece(c, &ph);
	}
	if (!err && !c->threads.n)
		err = err_set(DTPROC_EELF, "%s: a core file without threads", path);
	if (c->pieces.n)
		qsort(c->pieces.at, c->pieces.n, sizeof *c->pieces.at, by_start);
	if (c->files.n)
		qsort(c->files.at, c->files.n, sizeof *c->files.at, by_file_start);
	return err;
}

int stack_core_open(const char *path, struct stack_core **out)
{
	CLEAN(clean_core) struct stack_core *c = calloc(1, sizeof *c);
	struct stat st;
	int err;

	if (!c)
		return err_nomem("a core");
	c->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (c->fd < 0 || fstat(c->fd, &st))
		return err_errno(DTPROC_ENOSYM, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(DTPROC_ENOSYM, "%s: not a regular file", path);
	err = read_headers(c, path);
	if (!err)
		err = make_space(c);
	if (err)
		return err;
	*out = TAKE_PTR(c);
	return 0;
}

void stack_core_close(struct stack_core *c)
{
	if (!c)
		return;
	stack_space_destroy(c->space);
	clean_fd(&c->fd);
	free(c->notes);
	vec_free(&c->pieces);
	vec_free(&c->files);
	vec_free(&c->threads);
	free(c);
}

pid_t stack_core_pid(const struct stack_core *c)
{
	return c->pid;
}

const char *stack_core_name(const struct stack_core *c)
{
	return c->name;
}

const struct stack_core_thread *stack_core_threads(const struct stack_core *c, size_t *n)
{
	*n = c->threads.n;
	return c->threads.at;
}

struct stack_space *stack_core_space(const struct stack_core *c)
{
	return c->space;
}
