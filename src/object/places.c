/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of a few addresses in a large file.  The whole table (symbols.c) copies and sorts
 * all names: what probes need, and a third of a second for node.  Whoever wants the names
 * of a stack gets this: symbols sorted by address alone, their names left in the file and
 * read one by one.
 */
#include <gelf.h>
#include <string.h>
#include <base/clean.h>
#include <base/vec.h>
#include "own.h"

#define NAME_FIRST 256 /* bytes that are read of a name at once */
#define NAME_MOST 65536
#define BUCKETS 65536u

static void clean_elf(Elf **elf)
{
	if (*elf)
		elf_end(*elf);
}

/* The section of symbols to use, or NULL. */
static Elf_Scn *find_symbols(Elf *elf, GElf_Shdr *out)
{
	Elf_Scn *found = NULL;
	GElf_Shdr sh;

	for (Elf_Scn *s = elf_nextscn(elf, NULL); s; s = elf_nextscn(elf, s)) {
		if (!gelf_getshdr(s, &sh) || !sh.sh_size)
			continue;
		if (sh.sh_type == SHT_SYMTAB || (sh.sh_type == SHT_DYNSYM && !found)) {
			*out = sh;
			found = s;
		}
		if (sh.sh_type == SHT_SYMTAB)
			break;
	}
	return found;
}

static int by_value(const void *a, const void *b)
{
	const struct object_symbol *one = a, *other = b;

	return (one->value > other->value) - (one->value < other->value);
}

/* The symbols of a section, one after the other; 0: that was the last. */
struct walk {
	const Elf_Data *data;
	uint64_t strings_size;
	size_t next;
};

static int next_symbol(struct walk *w, struct object_symbol *out)
{
	Elf64_Sym sym; /* GElf_Sym is the same */

	while (++w->next < w->data->d_size / sizeof sym) {
		memcpy(&sym, (const char *)w->data->d_buf + w->next * sizeof sym,
			sizeof sym);
		if (sym.st_name < w->strings_size && object_symbol_of(&sym, out)) {
			out->name = sym.st_name;
			return 1;
		}
	}
	return 0;
}

/* Where the addresses lie, and how many there are. */
struct span {
	uint64_t from, to;
	size_t n;
	unsigned shift; /* address from `from` to bucket */
};

static struct span measure(struct walk w)
{
	struct span s = {.from = UINT64_MAX};
	struct object_symbol sym;

	for (; next_symbol(&w, &sym); s.n++) {
		s.from = sym.value < s.from ? sym.value : s.from;
		s.to = sym.value > s.to ? sym.value : s.to;
	}
	while (s.n && (s.to - s.from) >> s.shift >= BUCKETS)
		s.shift++;
	return s;
}

/*
 * By address, in about linear time as code lies in a file: into buckets by the upper
 * bits, and then each.
 */
static int read_symbols(struct object_places *p, const struct walk *walk)
{
	const struct span s = measure(*walk);
	CLEAN_FREE uint32_t *begin = calloc(BUCKETS + 1, sizeof *begin);
	struct object_symbol sym;

	p->at = malloc(s.n * sizeof *p->at + 1);
	if (!p->at || !begin)
		return err_nomem("symbols");
	for (struct walk w = *walk; next_symbol(&w, &sym);)
		begin[(sym.value - s.from) >> s.shift]++;
	for (size_t k = 1; k <= BUCKETS; k++)
		begin[k] += begin[k - 1];
	for (struct walk w = *walk; next_symbol(&w, &sym);)
		p->at[--begin[(sym.value - s.from) >> s.shift]] = sym;
	for (size_t k = 0; k < BUCKETS; k++)
		if (begin[k + 1] - begin[k] > 1)
			qsort(p->at + begin[k], begin[k + 1] - begin[k], sizeof *p->at,
				by_value);
	p->n = s.n;
	return 0;
}

int object_places_read(struct object *o)
{
	CLEAN(clean_elf) Elf *elf = elf_begin(o->fd, ELF_C_READ, NULL);
	struct object_places *p = &o->places;
	struct object_more more;
	GElf_Shdr sh, strings;
	Elf_Scn *scn = elf ? find_symbols(elf, &sh) : NULL;

	if (!scn || gelf_getclass(elf) != ELFCLASS64 ||
		!gelf_getshdr(elf_getscn(elf, sh.sh_link), &strings) ||
		strings.sh_type != SHT_STRTAB)
		return 0;
	if (sh.sh_type == SHT_DYNSYM && object_more_open(elf, o->path, &more)) {
		object_more_close(&more);
		return 0;
	}
	Elf_Data *d = elf_getdata(scn, NULL);

	if (!d || !d->d_buf || d->d_size / sizeof(Elf64_Sym) > OBJECT_SYMBOLS_MAX)
		return 0;
	/* Memory may have been short the last time. */
	free(p->at);
	p->at = NULL;
	p->n = 0;
	p->strings = strings.sh_offset;
	p->strings_size = strings.sh_size;
	const struct walk walk = {d, p->strings_size, 0};

	return read_symbols(p, &walk) ?: 1;
}

/* Reads a name; the caller frees it.  NULL: there is none. */
static char *read_name(const struct object *o, uint32_t name)
{
	uint64_t left = o->places.strings_size - name;

	for (size_t room = NAME_FIRST; room <= NAME_MOST; room *= 4) {
		size_t len = left < room ? left : room;
		CLEAN_FREE char *text = malloc(len + 1);
		ssize_t got =
			text ? pread(o->fd, text, len, (off_t)(o->places.strings + name))
			     : -1;

		if (got <= 0)
			return NULL;
		if (memchr(text, 0, (size_t)got)) {
			char *version = strchr(text + (text[0] != 0), '@');

			if (version)
				*version = 0;
			return TAKE_PTR(text);
		}
	}
	return NULL;
}

/* The name of a symbol, read once; "" when it cannot be. */
static const char *name_of(struct object *o, const struct object_symbol *s)
{
	char *name = hash_get(&o->places.names, s->name + 1ull);

	if (name)
		return name;
	name = object_file(o) ? NULL : read_name(o, s->name);
	if (!name)
		return "";
	if (hash_put(&o->places.names, s->name + 1ull, name)) {
		free(name);
		return "";
	}
	return name;
}

int object_places_find(struct object *o, uint64_t value, struct object_named *out)
{
	const struct object_places *p = &o->places;
	const struct object_symbol *s = object_cover(p->at, p->n, value), *best = s;
	const char *name, *best_name;

	if (!s)
		return 0;
	best_name = name_of(o, best);
	for (s++; s < p->at + p->n && s->value == best->value; s++) {
		name = name_of(o, s);
		if (*name &&
			(!*best_name || object_prefer(s, name, best, best_name) < 0)) {
			best = s;
			best_name = name;
		}
	}
	object_file_done(o);
	if (!*best_name)
		return 0;
	*out = (struct object_named){best_name, best->value, best->size, best->kind};
	return 1;
}

void object_places_free(struct object_places *p)
{
	hash_each(&p->names, i)
		free(p->names.slots[i].value);
	hash_free(&p->names);
	free(p->at);
}
