/* SPDX-License-Identifier: BSD-2-Clause */
/* What a file tells at once: segments, soname, build-id, where some sections are. */
#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <limits.h>
#include <string.h>
#include <base/clean.h>
#include "own.h"

#define MAX_SEGMENTS 1024

static void clean_elf(Elf **elf)
{
	if (*elf)
		elf_end(*elf);
}

static int read_segments(Elf *elf, struct object *o)
{
	size_t n;

	if (elf_getphdrnum(elf, &n) || n == 0 || n > MAX_SEGMENTS)
		return err_set(DTPROC_EELF, "%s: bad program headers", o->path);
	o->segments = calloc(n, sizeof *o->segments);
	if (!o->segments)
		return err_nomem("segments");
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(elf, (int)i, &ph))
			return err_set(DTPROC_EELF, "%s: bad program headers", o->path);
		if (ph.p_type == PT_GNU_EH_FRAME)
			o->frames_value = ph.p_vaddr;
		if (ph.p_type != PT_LOAD)
			continue;
		o->segments[o->nsegments++] =
			(struct object_segment){ph.p_vaddr, ph.p_memsz, ph.p_offset,
				ph.p_filesz < ph.p_memsz ? ph.p_filesz : ph.p_memsz,
				(ph.p_flags & PF_X) != 0};
	}
	return 0;
}

/* File offset of an address of the file, or -1. */
static int64_t offset_of(const struct object *o, uint64_t value)
{
	for (size_t i = 0; i < o->nsegments; i++) {
		const struct object_segment *s = &o->segments[i];

		if (value >= s->value && value - s->value < s->size)
			return (int64_t)(value - s->value + s->offset);
	}
	return -1;
}

/* Reads the soname at an address of the file; a bad one is left out. */
static int read_soname(struct object *o, uint64_t value)
{
	char buf[NAME_MAX + 1];
	int64_t at = offset_of(o, value);
	ssize_t got = at < 0 ? -1 : pread(o->fd, buf, sizeof buf, at);

	if (got <= 0 || !memchr(buf, 0, (size_t)got) || !buf[0] || strchr(buf, '/'))
		return 0;
	o->soname = strdup(buf);
	return o->soname ? 0 : err_nomem("a soname");
}

static int read_dynamic(struct object *o, const GElf_Phdr *ph)
{
	CLEAN_FREE Elf64_Dyn *dyn = NULL;
	size_t n = ph->p_filesz / sizeof *dyn;
	uint64_t strtab = 0, soname = UINT64_MAX;

	if (n == 0 || n > 4096)
		return 0;
	dyn = malloc(n * sizeof *dyn);
	if (!dyn)
		return err_nomem("a dynamic section");
	ssize_t got = pread(o->fd, dyn, n * sizeof *dyn, (off_t)ph->p_offset);

	n = got < 0 ? 0 : (size_t)got / sizeof *dyn;
	for (size_t i = 0; i < n && dyn[i].d_tag != DT_NULL; i++) {
		if (dyn[i].d_tag == DT_STRTAB)
			strtab = dyn[i].d_un.d_ptr;
		else if (dyn[i].d_tag == DT_SONAME)
			soname = dyn[i].d_un.d_val;
	}
	if (!strtab || soname == UINT64_MAX)
		return 0;
	return read_soname(o, strtab + soname);
}

static int read_names(Elf *elf, struct object *o)
{
	size_t n;

	if (gelf_getclass(elf) != ELFCLASS64 || elf_getphdrnum(elf, &n))
		return 0;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr ph;

		if (gelf_getphdr(elf, (int)i, &ph) && ph.p_type == PT_DYNAMIC)
			return read_dynamic(o, &ph);
	}
	return 0;
}

static void add_plt(struct object *o, const GElf_Shdr *sh)
{
	if (!o->plt_to || sh->sh_addr < o->plt_from)
		o->plt_from = sh->sh_addr;
	if (sh->sh_addr + sh->sh_size > o->plt_to)
		o->plt_to = sh->sh_addr + sh->sh_size;
}

static void read_build_id(Elf *elf, struct object *o)
{
	const void *id;
	ssize_t len = dwelf_elf_gnu_build_id(elf, &id);

	if (len <= 0 || (size_t)len > sizeof o->build_id.bytes)
		return;
	memcpy(o->build_id.bytes, id, (size_t)len);
	o->build_id.len = (size_t)len;
}

/* Where the restartable sequences are described, if any are (linux/rseq.h), and stubs. */
static void read_sections(Elf *elf, struct object *o)
{
	size_t names;
	GElf_Shdr sh;

	if (elf_getshdrstrndx(elf, &names))
		return;
	for (Elf_Scn *s = elf_nextscn(elf, NULL); s; s = elf_nextscn(elf, s)) {
		const char *name =
			gelf_getshdr(s, &sh) ? elf_strptr(elf, names, sh.sh_name) : NULL;
		if (name && strcmp(name, "__rseq_cs") == 0) {
			o->rseq_value = sh.sh_addr;
			o->rseq_size = sh.sh_size;
		}
		if (name && object_is_plt(name) && sh.sh_type == SHT_PROGBITS)
			add_plt(o, &sh);
	}
}

int object_headers_read(struct object *o)
{
	CLEAN(clean_elf) Elf *elf = NULL;
	int err;

	elf_version(EV_CURRENT);
	elf = elf_begin(o->fd, ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF)
		return err_set(DTPROC_EELF, "%s: not an ELF file", o->path);
	read_sections(elf, o);
	read_build_id(elf, o);
	err = read_segments(elf, o);
	return err ? err : read_names(elf, o);
}
