/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of the stubs in a PLT: `malloc@plt`.  A stub jumps through an entry of the GOT,
 * and a relocation says whose address goes there.  Stubs are no functions that anybody
 * would probe, so they are in a table of their own, read when somebody asks for an
 * address among them.
 */
#include <gelf.h>
#include <stdio.h>
#include <string.h>
#include <base/vec.h>
#include "own.h"

#define STUBS_MAX (1u << 20)
#define ENTRY_BYTES 16

struct slot {
	uint64_t at; /* of the entry of the GOT */
	uint32_t symbol;
	uint64_t function; /* symbol 0: the address of an ifunc's resolver */
};

struct plt {
	struct object *o;
	Elf *elf;
	VEC(struct slot) slots;
	VEC(struct object_stub) stubs;
	VEC(char) names;
	const Elf_Data *symbols, *strings;
};

static int by_place(const void *a, const void *b)
{
	const struct slot *one = a, *other = b;

	return (one->at > other->at) - (one->at < other->at);
}

static int add_slots(struct plt *p, Elf_Scn *scn, const GElf_Shdr *sh)
{
	const Elf_Data *d = elf_getdata(scn, NULL);
	size_t n = d && sh->sh_entsize ? d->d_size / sh->sh_entsize : 0;
	GElf_Rela r;

	for (size_t i = 0; i < n && i < STUBS_MAX; i++) {
		if (!gelf_getrela((Elf_Data *)d, (int)i, &r))
			break;
		const unsigned type = (unsigned)GELF_R_TYPE(r.r_info);

		if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT &&
			type != R_X86_64_IRELATIVE)
			continue;
		const struct slot s = {
			r.r_offset, (uint32_t)GELF_R_SYM(r.r_info), (uint64_t)r.r_addend};

		if (vec_push(&p->slots, s))
			return err_nomem("a PLT");
	}
	return 0;
}

/* The name of what a slot leads to, or NULL. */
static const char *name_of(const struct plt *p, const struct slot *slot)
{
	struct object_named named;
	GElf_Sym sym;

	if (!slot->symbol)
		return object_name_symbol(p->o, slot->function, &named) ? named.name
									: NULL;
	if (!p->symbols || !p->strings ||
		!gelf_getsym((Elf_Data *)p->symbols, (int)slot->symbol, &sym) ||
		sym.st_name >= p->strings->d_size)
		return NULL;
	const char *name = (const char *)p->strings->d_buf + sym.st_name;

	return memchr(name, 0, p->strings->d_size - sym.st_name) ? name : NULL;
}

static int add_stub(struct plt *p, uint64_t value, uint32_t size, uint64_t got)
{
	const struct slot wanted = {.at = got};
	const struct slot *slot = p->slots.n ? bsearch(&wanted, p->slots.at, p->slots.n,
						       sizeof wanted, by_place)
					     : NULL;
	const char *name = slot ? name_of(p, slot) : NULL;
	const size_t len = name ? strlen(name) + sizeof "@plt" : 0, at = p->names.n;

	if (!len || at + len > UINT32_MAX)
		return 0;
	if (vec_reserve((void **)&p->names.at, &p->names.room, at + len, 1))
		return err_nomem("a PLT");
	snprintf(p->names.at + at, len, "%s@plt", name);
	p->names.n += len;
	const struct object_stub s = {value, size, (uint32_t)at};

	return vec_push(&p->stubs, s) ? err_nomem("a PLT") : 0;
}

/* Looks for `jmp *x(%rip)` in each entry. */
static int add_stubs(struct plt *p, Elf_Scn *scn, const GElf_Shdr *sh)
{
	const Elf_Data *d = elf_rawdata(scn, NULL);
	const size_t each = sh->sh_entsize == 8 ? 8 : ENTRY_BYTES;
	int err = 0;

	for (size_t at = 0; d && d->d_buf && at + each <= d->d_size && !err; at += each) {
		const uint8_t *b = (const uint8_t *)d->d_buf + at;

		for (size_t i = 0; i + 6 <= each; i++) {
			int32_t far;

			if (b[i] != 0xff || b[i + 1] != 0x25)
				continue;
			memcpy(&far, b + i + 2, sizeof far);
			err = add_stub(p, sh->sh_addr + at, (uint32_t)each,
				sh->sh_addr + at + i + 6 + (uint64_t)(int64_t)far);
			break;
		}
	}
	return err;
}

int object_is_plt(const char *section)
{
	return !strncmp(section, ".plt", 4) || !strcmp(section, ".iplt");
}

/* Relocations and the dynamic symbols first (pass 0), then the stubs. */
static int read_pass(struct plt *p, int pass)
{
	size_t names;
	GElf_Shdr sh;
	int err = 0;

	if (elf_getshdrstrndx(p->elf, &names))
		return 0;
	for (Elf_Scn *s = elf_nextscn(p->elf, NULL); s && !err;
		s = elf_nextscn(p->elf, s)) {
		if (!gelf_getshdr(s, &sh))
			break;
		const char *name = elf_strptr(p->elf, names, sh.sh_name);

		if (pass == 0 && sh.sh_type == SHT_RELA && (sh.sh_flags & SHF_ALLOC))
			err = add_slots(p, s, &sh);
		if (pass == 0 && sh.sh_type == SHT_DYNSYM) {
			p->symbols = elf_getdata(s, NULL);
			p->strings = elf_getdata(elf_getscn(p->elf, sh.sh_link), NULL);
		}
		if (pass == 1 && name && object_is_plt(name) &&
			sh.sh_type == SHT_PROGBITS)
			err = add_stubs(p, s, &sh);
	}
	return err;
}

static int by_value(const void *a, const void *b)
{
	const struct object_stub *one = a, *other = b;

	return (one->value > other->value) - (one->value < other->value);
}

int object_plt_read(struct object *o, struct object_stubs *out)
{
	struct plt p = {.o = o, .elf = elf_begin(o->fd, ELF_C_READ, NULL)};
	GElf_Ehdr head;
	int err = 0;

	if (p.elf && gelf_getehdr(p.elf, &head) && head.e_machine == EM_X86_64) {
		err = read_pass(&p, 0);
		if (p.slots.n)
			qsort(p.slots.at, p.slots.n, sizeof *p.slots.at, by_place);
		if (!err)
			err = read_pass(&p, 1);
	}
	if (p.elf)
		elf_end(p.elf);
	vec_free(&p.slots);
	if (err) {
		vec_free(&p.stubs);
		vec_free(&p.names);
		return err;
	}
	if (p.stubs.n)
		qsort(p.stubs.at, p.stubs.n, sizeof *p.stubs.at, by_value);
	*out = (struct object_stubs){p.stubs.at, p.stubs.n, p.names.at};
	return 0;
}

const struct object_stub *object_stub_at(const struct object_stubs *s, uint64_t value)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->at[mid].value <= value)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || value - s->at[low - 1].value >= s->at[low - 1].size)
		return NULL;
	return &s->at[low - 1];
}

void object_stubs_free(struct object_stubs *s)
{
	free(s->at);
	free(s->names);
	*s = (struct object_stubs){0};
}
