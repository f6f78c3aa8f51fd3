/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding the run-time linker's r_debug and r_brk.
 *
 * DT_DEBUG in the program's dynamic section points to r_debug, once the linker has run so
 * far; r_debug tells r_brk.  Before that the linker's file is asked: glibc's exports
 * _r_debug and _dl_debug_state, musl's _dl_debug_state and a pointer, _dl_debug_addr,
 * that is set when the linker has relocated itself.  A linker that was started by name
 * (ld.so PROGRAM) is the program of the kernel's table; it has no DT_DEBUG of its own.
 *
 * A linker without these symbols is found late, by DT_DEBUG at the program's entry point:
 * what is loaded before needs no event, since the maps show it.
 *
 * Everything here is of the victim's making.  It is bounded, and what it claims is only
 * ever used as an address to read from, or for a breakpoint, which the keeper judges.
 */
#include "victim.h"

#include <base/clean.h>
#include <base/cursor.h>
#include <base/linkmap.h>
#include <object/object.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define PHDRS_MAX 128
#define DYNAMIC_MAX 512

int victim_auxv_read(pid_t pid, struct victim_auxv *out)
{
	struct victim_auxv a = {0};
	char path[40], bytes[4096];

	snprintf(path, sizeof path, "/proc/%d/auxv", (int)victim_live_tid(pid));
	CLEAN_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
	if (got < 0)
		return err_errno(DTPROC_ESYS, errno, "%s", path);
	struct cursor c = cursor_of(bytes, (size_t)got);
	while (cursor_left(&c) >= sizeof(Elf64_auxv_t)) {
		uint64_t type = cursor_u64(&c), value = cursor_u64(&c);
		if (type == AT_ENTRY)
			a.entry = value;
		else if (type == AT_BASE)
			a.linker = value;
		else if (type == AT_PHDR)
			a.phdr = value;
		else if (type == AT_PHNUM)
			a.phnum = value;
	}
	if (!a.entry)
		return err_set(
			DTPROC_ENOSYM, "pid %d: no entry point is known", (int)pid);
	*out = a;
	return 0;
}

/* ---------------------------------------------------------------- by the program */

struct reader {
	victim_read_fn *read;
	void *arg;
};

/* The program header of a type, with the addresses where it really lies; 0: none. */
static uint64_t find_dynamic(
	const struct victim_auxv *a, const struct reader *r, uint64_t *size)
{
	Elf64_Phdr ph[PHDRS_MAX];
	uint64_t n = a->phnum < PHDRS_MAX ? a->phnum : PHDRS_MAX;
	uint64_t bias = 0, at = 0;
	ssize_t got = r->read(r->arg, a->phdr, ph, n * sizeof *ph);

	if (got < (ssize_t)(n * sizeof *ph))
		return 0;
	for (uint64_t i = 0; i < n; i++) {
		if (ph[i].p_type == PT_PHDR)
			bias = a->phdr - ph[i].p_vaddr;
		if (ph[i].p_type != PT_DYNAMIC)
			continue;
		at = ph[i].p_vaddr;
		*size = ph[i].p_memsz;
	}
	return at ? at + bias : 0;
}

static uint64_t find_debug(const struct victim_auxv *a, const struct reader *r)
{
	Elf64_Dyn dyn[DYNAMIC_MAX];
	uint64_t size = 0, at = find_dynamic(a, r, &size);
	ssize_t got;

	if (!at)
		return 0;
	got = r->read(r->arg, at, dyn, size < sizeof dyn ? size : sizeof dyn);
	for (ssize_t i = 0; i < got / (ssize_t)sizeof *dyn && dyn[i].d_tag; i++)
		if (dyn[i].d_tag == DT_DEBUG)
			return dyn[i].d_un.d_val;
	return 0;
}

static void learn_brk(const struct reader *r, struct victim_linker *l)
{
	const ssize_t least = offsetof(struct link_debug, state);
	struct link_debug d = {0};

	if (l->debug && r->read(r->arg, l->debug, &d, sizeof d) >= least && d.brk)
		l->brk = d.brk;
}

void victim_linker_parse(const struct victim_auxv *a, victim_read_fn *read, void *arg,
	struct victim_linker *out)
{
	const struct reader r = {read, arg};
	struct victim_linker l = {.debug = find_debug(a, &r)};

	learn_brk(&r, &l);
	*out = l;
}

/* ------------------------------------------------------------------- by symbols */

static void unref(struct object **o)
{
	object_unref(*o);
}

/* The file of the linker, and how far it lies from its addresses; NULL: none. */
static struct object *open_linker(pid_t pid, const struct victim_auxv *a, uint64_t *bias)
{
	const dtproc_addr at = a->linker ? a->linker : a->entry;
	CLEAN(unref) struct object *o = NULL;
	struct victim_map m;

	if (victim_maps_code(pid, at, UINT64_MAX, &m))
		return NULL;
	struct object_id id = {m.dev, m.inode};
	int rc =
		object_open_mapped(victim_live_tid(pid), m.start, m.end, m.path, &id, &o);
	if (rc == 0)
		rc = object_bias(o, m.start, m.offset, bias);
	victim_map_free(&m);
	/* Without AT_BASE: a static program, or a linker, which is a library. */
	if (rc || (!a->linker && !*object_soname(o)))
		return NULL;
	return TAKE_PTR(o);
}

static dtproc_addr symbol(struct object *o, uint64_t bias, const char *name)
{
	uint64_t value;
	uint32_t size;

	return object_lookup(o, name, &value, &size) ? 0 : value + bias;
}

static int by_symbols(pid_t pid, const struct victim_auxv *a, const struct reader *r,
	struct victim_linker *l)
{
	uint64_t bias = 0, pointer = 0;
	CLEAN(unref) struct object *o = open_linker(pid, a, &bias);

	if (!o && !a->linker)
		return err_set(DTPROC_ENOSYM,
			"pid %d has no run-time linker: its program is static", (int)pid);
	if (!o)
		return 0;
	l->debug = symbol(o, bias, "_r_debug");
	l->brk = symbol(o, bias, "_dl_debug_state");
	dtproc_addr at = l->debug ? 0 : symbol(o, bias, "_dl_debug_addr");
	/* As long as the linker has not relocated itself, it is one in the file. */
	if (at && r->read(r->arg, at, &pointer, sizeof pointer) == sizeof pointer)
		l->debug = pointer && pointer < bias ? pointer + bias : pointer;
	learn_brk(r, l);
	return 0;
}

static ssize_t read_mem(void *arg, dtproc_addr addr, void *buf, size_t len)
{
	return victim_mem_read(*(int *)arg, addr, buf, len);
}

int victim_linker_find(pid_t pid, int mem, struct victim_linker *out)
{
	const struct reader r = {read_mem, &mem};
	struct victim_auxv a;
	struct victim_linker l;
	int rc = victim_auxv_read(pid, &a);

	if (rc)
		return rc;
	victim_linker_parse(&a, read_mem, &mem, &l);
	if (!l.brk)
		rc = by_symbols(pid, &a, &r, &l);
	if (rc == 0)
		*out = l;
	return rc;
}

int victim_linker_is_late(pid_t pid)
{
	struct victim_auxv a;
	uint64_t bias, value;
	uint32_t size;
	CLEAN(unref)
	struct object *o = victim_auxv_read(pid, &a) ? NULL : open_linker(pid, &a, &bias);

	/* Such a linker is the C library. */
	return o && object_lookup(o, "__libc_start_main", &value, &size) == 0;
}
