/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects that have no file for us: the vDSO, and libraries that were deleted or replaced
 * on disk, whose old file only the privileged reach.  What the victim has mapped is put
 * into a memfd where it would lie in the file, and that is read like any other.  Sections
 * are missing then (the vDSO has them); .dynsym and .eh_frame are in memory.
 *
 * One that somebody has open already is found by its build-id: the vDSO is one object for
 * all victims, and a library that was deleted under twenty processes is read once.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <base/clean.h>
#include <base/cursor.h>
#include <base/hash.h>
#include "own.h"

#define PHDRS_MAX 128
#define NOTES_MAX 4096
#define IMAGE_MAX (1u << 30)
#define PIECE 65536
#define DYNAMIC_MAX 256
#define SYMBOLS_MAX (1u << 20)

struct image {
	object_memory_fn *read;
	void *arg;
	const char *name;
	uint64_t start, bias;
	Elf64_Ehdr head;
	Elf64_Phdr ph[PHDRS_MAX];
};

static int bad(const struct image *m, const char *what)
{
	return err_set(DTPROC_EELF, "%s at %#llx: %s", m->name,
		(unsigned long long)m->start, what);
}

static int read_heads(struct image *m)
{
	size_t bytes;

	if (m->read(m->arg, m->start, &m->head, sizeof m->head) != sizeof m->head ||
		memcmp(m->head.e_ident, ELFMAG, SELFMAG) ||
		m->head.e_ident[EI_CLASS] != ELFCLASS64)
		return bad(m, "no ELF header in memory");
	bytes = m->head.e_phnum * sizeof m->ph[0];
	if (m->head.e_phnum > PHDRS_MAX || m->head.e_phentsize != sizeof m->ph[0] ||
		m->read(m->arg, m->start + m->head.e_phoff, m->ph, bytes) !=
			(ssize_t)bytes)
		return bad(m, "no program headers in memory");
	for (unsigned i = 0; i < m->head.e_phnum; i++)
		if (m->ph[i].p_type == PT_LOAD && m->ph[i].p_offset == 0) {
			m->bias = m->start - m->ph[i].p_vaddr;
			return 0;
		}
	return bad(m, "its headers are not mapped");
}

/* The build-id among the notes of one segment. */
static void find_build_id(
	const struct image *m, const Elf64_Phdr *ph, struct object_build_id *out)
{
	char bytes[NOTES_MAX];
	size_t len = ph->p_filesz < sizeof bytes ? ph->p_filesz : sizeof bytes;
	ssize_t got = m->read(m->arg, m->bias + ph->p_vaddr, bytes, len);
	struct cursor c = cursor_of(bytes, got < 0 ? 0 : (size_t)got);

	while (cursor_left(&c) >= 12) {
		uint32_t namesz = cursor_u32(&c), descsz = cursor_u32(&c);
		uint32_t type = cursor_u32(&c);
		const char *name = cursor_get(&c, (namesz + 3ul) & ~3ul);
		const void *desc = cursor_get(&c, (descsz + 3ul) & ~3ul);

		if (!name || !desc)
			return;
		if (type == NT_GNU_BUILD_ID && namesz == 4 && !memcmp(name, "GNU", 4) &&
			descsz > 0 && descsz <= sizeof out->bytes) {
			memcpy(out->bytes, desc, descsz);
			out->len = descsz;
			return;
		}
	}
}

/* Code alone is not copied where other segments tell about it; its bytes are asked of the
 * victim. */
static int is_wanted(const struct image *m, const Elf64_Phdr *ph)
{
	unsigned others = 0;

	for (unsigned i = 0; i < m->head.e_phnum; i++)
		others += m->ph[i].p_type == PT_LOAD && !(m->ph[i].p_flags & PF_X);
	return ph->p_type == PT_LOAD && (!(ph->p_flags & PF_X) || !others);
}

/*
 * Does each piece of what is neither written nor left out pass?  Without the ELF header,
 * which is not the same in an image that got other sections.
 */
static int each_piece(const struct image *m,
	int (*fn)(void *, uint64_t value, const void *, size_t), void *arg)
{
	CLEAN_FREE char *piece = malloc(PIECE);
	int yes = piece != NULL;

	for (unsigned i = 0; i < m->head.e_phnum && yes; i++) {
		const Elf64_Phdr *ph = &m->ph[i];

		if (!is_wanted(m, ph) || (ph->p_flags & PF_W))
			continue;
		uint64_t at = ph->p_offset ? 0 : sizeof m->head;

		for (; at < ph->p_filesz && yes; at += PIECE) {
			uint64_t left = ph->p_filesz - at;
			ssize_t got = m->read(m->arg, m->bias + ph->p_vaddr + at, piece,
				left < PIECE ? left : PIECE);

			yes = got > 0 && fn(arg, ph->p_vaddr + at, piece, (size_t)got);
		}
	}
	return yes;
}

static int mix_in(void *arg, uint64_t value, const void *bytes, size_t len)
{
	uint64_t *hash = arg;

	*hash = hash_mix(*hash ^ value ^ hash_bytes(bytes, len));
	return 1;
}

static int is_equal(void *arg, uint64_t value, const void *bytes, size_t len)
{
	CLEAN_FREE char *other = malloc(len);

	return other && object_read(arg, value, other, len) == len &&
	       memcmp(bytes, other, len) == 0;
}

static void look_for_build_id(const struct image *m, struct object_build_id *id)
{
	for (unsigned i = 0; i < m->head.e_phnum && !id->len; i++)
		if (m->ph[i].p_type == PT_NOTE)
			find_build_id(m, &m->ph[i], id);
}

void object_image_build_id(
	uint64_t start, object_memory_fn *read, void *arg, struct object_build_id *out)
{
	CLEAN_FREE struct image *m = malloc(sizeof *m);

	out->len = 0;
	if (!m)
		return;
	*m = (struct image){.read = read, .arg = arg, .name = "image", .start = start};
	if (read_heads(m) == 0)
		look_for_build_id(m, out);
}

/* The build-id; an image that has none is known by what it holds. */
static void identify(const struct image *m, struct object_build_id *id)
{
	uint64_t hash = 0;

	look_for_build_id(m, id);
	if (!id->len && each_piece(m, mix_in, &hash)) {
		id->len = sizeof hash;
		memcpy(id->bytes, &hash, sizeof hash);
	}
}

/* An open object with the same bytes: a victim may claim any build-id. */
static struct object *find_same(const struct image *m, const struct object_build_id *id)
{
	struct object *o = id->len ? object_get_build_id(id) : NULL;

	if (o && !each_piece(m, is_equal, o)) {
		object_unref(o);
		o = NULL;
	}
	return o;
}

static int copy_segment(const struct image *m, const Elf64_Phdr *ph, int fd)
{
	CLEAN_FREE char *piece = malloc(PIECE);

	if (!piece)
		return err_nomem("an image");
	for (uint64_t at = 0; at < ph->p_filesz; at += PIECE) {
		uint64_t left = ph->p_filesz - at;
		ssize_t got = m->read(m->arg, m->bias + ph->p_vaddr + at, piece,
			left < PIECE ? left : PIECE);

		if (got > 0 &&
			pwrite(fd, piece, (size_t)got, (off_t)(ph->p_offset + at)) != got)
			return err_errno(DTPROC_ESYS, errno, "%s", m->name);
	}
	return 0;
}

/* Are the section headers in memory, too? */
static int has_sections(const struct image *m)
{
	uint64_t size = (uint64_t)m->head.e_shnum * m->head.e_shentsize;

	for (unsigned i = 0; i < m->head.e_phnum; i++) {
		const Elf64_Phdr *ph = &m->ph[i];

		if (is_wanted(m, ph) && m->head.e_shoff >= ph->p_offset &&
			m->head.e_shoff - ph->p_offset <= ph->p_filesz &&
			size <= ph->p_filesz - (m->head.e_shoff - ph->p_offset))
			return m->head.e_shnum != 0;
	}
	return 0;
}

/* ----------------------------------------------- sections, where there are none */

/* What the dynamic section says of symbols, as values of the file. */
struct dynamic {
	uint64_t symtab, strtab, strsz, hash, gnu_hash;
};

/* The run-time linker has put addresses there, or the values are as in the file. */
static uint64_t value_of(const struct image *m, uint64_t at)
{
	return m->bias && at >= m->start ? at - m->bias : at;
}

static int read_dynamic(
	const struct image *m, const Elf64_Phdr *ph, int fd, struct dynamic *d)
{
	Elf64_Dyn dyn[DYNAMIC_MAX];
	size_t len = ph->p_memsz < sizeof dyn ? ph->p_memsz : sizeof dyn;
	ssize_t got = m->read(m->arg, m->bias + ph->p_vaddr, dyn, len);

	for (size_t i = 0; got > 0 && i < (size_t)got / sizeof dyn[0]; i++) {
		uint64_t to = value_of(m, dyn[i].d_un.d_ptr);

		if (dyn[i].d_tag == DT_NULL)
			break;
		if (dyn[i].d_tag == DT_STRTAB)
			dyn[i].d_un.d_ptr = to;
		if (dyn[i].d_tag == DT_SYMTAB)
			d->symtab = to;
		else if (dyn[i].d_tag == DT_STRTAB)
			d->strtab = to;
		else if (dyn[i].d_tag == DT_STRSZ)
			d->strsz = dyn[i].d_un.d_val;
		else if (dyn[i].d_tag == DT_HASH)
			d->hash = to;
		else if (dyn[i].d_tag == DT_GNU_HASH)
			d->gnu_hash = to;
	}
	if (got > 0 && pwrite(fd, dyn, (size_t)got, (off_t)ph->p_offset) != got)
		return err_errno(DTPROC_ESYS, errno, "%s", m->name);
	return 0;
}

static uint32_t word_at(const struct image *m, uint64_t value)
{
	uint32_t word = 0;

	return m->read(m->arg, m->bias + value, &word, sizeof word) == sizeof word ? word
										   : 0;
}

/* The last symbol of the last chain of a GNU hash table tells how many there are. */
static uint32_t count_gnu(const struct image *m, uint64_t table)
{
	uint32_t buckets = word_at(m, table), first = word_at(m, table + 4);
	uint64_t at = table + 16 + 8ull * word_at(m, table + 8),
		 chains = at + 4ull * buckets;
	uint32_t last = 0;

	for (uint32_t i = 0; i < buckets && i < SYMBOLS_MAX; i++) {
		uint32_t symbol = word_at(m, at + 4ull * i);

		last = symbol > last ? symbol : last;
	}
	if (last < first)
		return first;
	while (last < SYMBOLS_MAX && !(word_at(m, chains + 4ull * (last - first)) & 1))
		last++;
	return last + 1;
}

static uint64_t offset_of(const struct image *m, uint64_t value)
{
	for (unsigned i = 0; i < m->head.e_phnum; i++) {
		const Elf64_Phdr *ph = &m->ph[i];

		if (ph->p_type == PT_LOAD && value >= ph->p_vaddr &&
			value - ph->p_vaddr < ph->p_filesz)
			return value - ph->p_vaddr + ph->p_offset;
	}
	return 0;
}

/* Adds a table of sections for the dynamic symbols, so that they are found as usual. */
static int add_sections(struct image *m, int fd)
{
	static const char names[] = "\0.dynsym\0.dynstr";
	struct dynamic d = {0};
	Elf64_Shdr sh[4] = {{0}};
	off_t end;
	uint32_t n;
	int err = 0;

	for (unsigned i = 0; i < m->head.e_phnum && !err; i++)
		if (m->ph[i].p_type == PT_DYNAMIC && m->ph[i].p_offset < IMAGE_MAX)
			err = read_dynamic(m, &m->ph[i], fd, &d);
	if (err)
		return err;
	n = d.gnu_hash ? count_gnu(m, d.gnu_hash) : d.hash ? word_at(m, d.hash + 4) : 0;
	m->head.e_shoff = 0;
	m->head.e_shnum = m->head.e_shstrndx = 0;
	end = lseek(fd, 0, SEEK_END);
	if (n > SYMBOLS_MAX || !d.symtab || !d.strtab || end < 0)
		return 0;
	sh[1] = (Elf64_Shdr){1, SHT_DYNSYM, SHF_ALLOC, d.symtab, offset_of(m, d.symtab),
		n * sizeof(Elf64_Sym), 2, 1, 8, sizeof(Elf64_Sym)};
	sh[2] = (Elf64_Shdr){9, SHT_STRTAB, SHF_ALLOC, d.strtab, offset_of(m, d.strtab),
		d.strsz, 0, 0, 1, 0};
	sh[3] = (Elf64_Shdr){
		0, SHT_STRTAB, 0, 0, (uint64_t)end, sizeof names, 0, 0, 1, 0};
	m->head.e_shoff = ((uint64_t)end + sizeof names + 7) & ~7ull;
	m->head.e_shnum = 4;
	m->head.e_shstrndx = 3;
	m->head.e_shentsize = sizeof sh[0];
	if (pwrite(fd, names, sizeof names, end) != sizeof names ||
		pwrite(fd, sh, sizeof sh, (off_t)m->head.e_shoff) != sizeof sh)
		return err_errno(DTPROC_ESYS, errno, "%s", m->name);
	return 0;
}

static int copy_all(struct image *m, int fd)
{
	uint64_t sum = 0;
	int err = 0;

	for (unsigned i = 0; i < m->head.e_phnum && !err; i++) {
		const Elf64_Phdr *ph = &m->ph[i];

		if (!is_wanted(m, ph))
			continue;
		if (ph->p_filesz > IMAGE_MAX - sum || ph->p_offset > IMAGE_MAX)
			return bad(m, "too large");
		sum += ph->p_filesz;
		err = copy_segment(m, ph, fd);
	}
	if (!err && !has_sections(m))
		err = add_sections(m, fd);
	if (err)
		return err;
	/* The headers as they were checked: the victim may have changed them since. */
	if (pwrite(fd, &m->head, sizeof m->head, 0) != sizeof m->head ||
		pwrite(fd, m->ph, m->head.e_phnum * sizeof m->ph[0],
			(off_t)m->head.e_phoff) < 0)
		return err_errno(DTPROC_ESYS, errno, "%s", m->name);
	return 0;
}

/* Bytes that were not copied are not the file's, either. */
static void forget_missing(const struct image *m, struct object *o)
{
	for (unsigned i = 0; i < m->head.e_phnum; i++)
		for (size_t k = 0; k < o->nsegments; k++)
			if (m->ph[i].p_type == PT_LOAD && !is_wanted(m, &m->ph[i]) &&
				o->segments[k].value == m->ph[i].p_vaddr)
				o->segments[k].bytes = 0;
}

static int make_image(
	struct image *m, const struct object_build_id *id, struct object **out)
{
	CLEAN_FD int fd = memfd_create("dtproc-image", MFD_CLOEXEC);
	struct object *o;
	int err;

	if (fd < 0)
		return err_errno(DTPROC_ESYS, errno, "%s", m->name);
	err = copy_all(m, fd);
	if (!err)
		err = object_adopt(m->name, id, &fd, &o);
	if (err)
		return err;
	forget_missing(m, o);
	*out = object_publish(o);
	return 0;
}

int object_open_image(const char *name, uint64_t start, object_memory_fn *read, void *arg,
	struct object **out, uint64_t *bias)
{
	CLEAN_FREE struct image *m = malloc(sizeof *m);
	struct object_build_id id = {.len = 0};
	struct object *o;
	int err;

	if (!m)
		return err_nomem("an image");
	*m = (struct image){.read = read, .arg = arg, .name = name, .start = start};
	err = read_heads(m);
	if (err)
		return err;
	identify(m, &id);
	o = find_same(m, &id);
	if (!o)
		err = make_image(m, &id, &o);
	if (err)
		return err;
	*bias = m->bias;
	*out = o;
	return 0;
}
