/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Static probes of <sys/sdt.h>: notes of type 3 called "stapsdt".  Each has the addresses
 * of its instruction, of the section .stapsdt.base as it was when it was linked (a
 * prelinked file has moved it since), and of its semaphore, or 0; then three strings:
 * provider, name, arguments.
 */
#include <gelf.h>
#include <string.h>
#include <base/cursor.h>
#include <base/vec.h>
#include "own.h"

#define NOTE_TYPE 3
/* More than any real file has (QEMU: 5,000), and longer. */
#define MAX_NOTES (1u << 20)
#define MAX_NAME 128
#define MAX_ARGS 1024

struct reader {
	const char *path;
	uint64_t base; /* of .stapsdt.base; 0: none */
	VEC(struct object_sdt) sdts;
	VEC(char) text;
};

static int is_name(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	return n > 0 && n <= MAX_NAME &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789_-.") == n;
}

/* The offset of a copy is kept as if it were an address, until all is read. */
static int add_text(struct reader *r, const char *s, const char **out)
{
	size_t n = strlen(s) + 1;

	if (vec_reserve((void **)&r->text.at, &r->text.room, r->text.n + n, 1))
		return err_nomem("static probes");
	memcpy(r->text.at + r->text.n, s, n);
	*out = (const char *)(uintptr_t)r->text.n;
	r->text.n += n;
	return 0;
}

static int add(struct reader *r, const struct object_sdt *found)
{
	struct object_sdt s = *found;
	int err = add_text(r, found->provider, &s.provider);

	if (!err)
		err = add_text(r, found->name, &s.name);
	if (!err)
		err = add_text(r, found->args, &s.args);
	if (!err && vec_push(&r->sdts, s))
		err = err_nomem("static probes");
	return err;
}

/* One note; what is not sound is left out. */
static int read_note(struct reader *r, const void *bytes, size_t len)
{
	struct cursor c = cursor_of(bytes, len);
	struct object_sdt s = {.value = cursor_u64(&c)};
	uint64_t base = cursor_u64(&c), moved = r->base ? r->base - base : 0;

	s.semaphore = cursor_u64(&c);
	s.provider = cursor_str(&c);
	s.name = cursor_str(&c);
	s.args = cursor_str(&c);
	if (c.bad || !is_name(s.provider) || !is_name(s.name) ||
		strlen(s.args) > MAX_ARGS)
		return 0;
	s.value += moved;
	if (s.semaphore)
		s.semaphore += moved;
	return add(r, &s);
}

static int read_section(struct reader *r, Elf_Data *data)
{
	size_t at = 0, next, name, desc;
	GElf_Nhdr n;

	while (data && (next = gelf_getnote(data, at, &n, &name, &desc)) > 0) {
		const char *bytes = data->d_buf;
		int err = 0;

		if (n.n_type == NOTE_TYPE && n.n_namesz == sizeof "stapsdt" &&
			memcmp(bytes + name, "stapsdt", sizeof "stapsdt") == 0)
			err = read_note(r, bytes + desc, n.n_descsz);
		if (!err && r->sdts.n > MAX_NOTES)
			err = err_set(
				DTPROC_ELIMIT, "%s: too many static probes", r->path);
		if (err)
			return err;
		at = next;
	}
	return 0;
}

/* The next section behind `scn` of a name; NULL. */
static Elf_Scn *next_called(
	Elf *elf, Elf_Scn *scn, size_t names, const char *wanted, GElf_Shdr *sh)
{
	while ((scn = elf_nextscn(elf, scn))) {
		const char *name = gelf_getshdr(scn, sh)
					   ? elf_strptr(elf, names, sh->sh_name)
					   : NULL;

		if (name && strcmp(name, wanted) == 0)
			return scn;
	}
	return NULL;
}

static int read_all(struct reader *r, Elf *elf)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	size_t names;
	int err = 0;

	if (elf_getshdrstrndx(elf, &names))
		return 0;
	if (next_called(elf, NULL, names, ".stapsdt.base", &sh))
		r->base = sh.sh_addr;
	while (!err && (scn = next_called(elf, scn, names, ".note.stapsdt", &sh)))
		if (sh.sh_type == SHT_NOTE)
			err = read_section(r, elf_getdata(scn, NULL));
	return err;
}

int object_sdts_read(int fd, const char *path, struct object_sdts *out)
{
	struct reader r = {.path = path};
	Elf *elf;
	int err;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	err = elf ? read_all(&r, elf) : err_set(DTPROC_EELF, "%s: not an ELF file", path);
	if (elf)
		elf_end(elf);
	for (size_t i = 0; i < r.sdts.n; i++) {
		struct object_sdt *s = &r.sdts.at[i];

		s->provider = r.text.at + (uintptr_t)s->provider;
		s->name = r.text.at + (uintptr_t)s->name;
		s->args = r.text.at + (uintptr_t)s->args;
	}
	*out = (struct object_sdts){r.sdts.at, r.sdts.n, r.text.at};
	if (err)
		object_sdts_free(out);
	return err;
}

void object_sdts_free(struct object_sdts *s)
{
	free(s->at);
	free(s->text);
	*s = (struct object_sdts){0};
}
