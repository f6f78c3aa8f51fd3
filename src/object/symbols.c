/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The symbol table of one file.
 *
 * Both .symtab and .dynsym are read: a stripped library has only the second, and the
 * first need not hold what the second holds.  What is kept of a symbol is 24 bytes and
 * its name, copied, so that the file can be closed.  The table is sorted by address and
 * preference; one that stands in both is kept once.
 *
 * The preference among names of one address is that of libproc on Solaris (Psymtab.c,
 * byaddr_cmp), so that a glob shows the name a DTrace user expects.
 */
#include <gelf.h>
#include <string.h>
#include <base/hash.h>
#include <base/vec.h>
#include "own.h"

struct reader {
	const char *path;
	VEC(struct object_symbol) symbols;
	VEC(char) names;
	/* When only one name is asked for: it, and the best of its symbols so far. */
	int whole; /* a .symtab was there */
	const char *only;
	struct object_symbol best; /* value 0: none */
};

static int add_name(struct reader *r, const char *name, size_t len, uint32_t *at)
{
	if (r->names.n + len + 1 > UINT32_MAX)
		return err_set(DTPROC_ELIMIT, "%s: too many symbol names", r->path);
	if (vec_reserve((void **)&r->names.at, &r->names.room, r->names.n + len + 1, 1))
		return err_nomem("symbol names");
	*at = (uint32_t)r->names.n;
	memcpy(r->names.at + r->names.n, name, len);
	r->names.at[r->names.n + len] = 0;
	r->names.n += len + 1;
	return 0;
}

static int kind_of(const GElf_Sym *s)
{
	switch (GELF_ST_TYPE(s->st_info)) {
	case STT_FUNC:
		return OBJECT_FUNCTION;
	case STT_OBJECT:
		return OBJECT_DATA;
	case STT_GNU_IFUNC:
		return OBJECT_INDIRECT;
	}
	return -1;
}

static int bind_of(const GElf_Sym *s)
{
	switch (GELF_ST_BIND(s->st_info)) {
	case STB_LOCAL:
		return OBJECT_LOCAL;
	case STB_WEAK:
		return OBJECT_WEAK;
	}
	return OBJECT_GLOBAL;
}

int object_symbol_of(const void *elf_sym, struct object_symbol *out)
{
	const GElf_Sym *s = elf_sym;
	int kind = kind_of(s);

	if (kind < 0 || s->st_shndx == SHN_UNDEF || s->st_value == 0)
		return 0;
	*out = (struct object_symbol){.value = s->st_value,
		.size = s->st_size > UINT32_MAX ? UINT32_MAX : (uint32_t)s->st_size,
		.kind = (uint8_t)kind,
		.bind = (uint8_t)bind_of(s)};
	return 1;
}

/* As the table would have them: the first at the lowest address, a function before
 * others. */
static void consider(struct reader *r, const struct object_symbol *s)
{
	const struct object_symbol *b = &r->best;

	if (b->value == 0 || s->value < b->value ||
		(s->value == b->value && s->kind == OBJECT_FUNCTION &&
			b->kind != OBJECT_FUNCTION))
		r->best = *s;
}

/* Keeps a symbol if it is a defined function or datum with a sound name. */
static int add_symbol(struct reader *r, const GElf_Sym *s, const Elf_Data *strings)
{
	struct object_symbol sym;
	const char *name;
	size_t room, len;
	int err;

	if (!object_symbol_of(s, &sym) || s->st_name >= strings->d_size)
		return 0;
	name = (const char *)strings->d_buf + s->st_name;
	room = strings->d_size - s->st_name;
	len = strnlen(name, room);
	if (len == 0 || len == room)
		return 0;
	/* .symtab may carry versions: memcpy@@GLIBC_2.14 */
	const char *version = memchr(name + 1, '@', len - 1);

	if (version)
		len = (size_t)(version - name);
	if (r->only) {
		if (strlen(r->only) == len && memcmp(name, r->only, len) == 0)
			consider(r, &sym);
		return 0;
	}
	err = add_name(r, name, len, &sym.name);
	if (err)
		return err;
	return vec_push(&r->symbols, sym) ? err_nomem("symbols") : 0;
}

static int read_section(struct reader *r, Elf *elf, Elf_Scn *scn, const GElf_Shdr *sh)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	Elf_Data *strings = elf_getdata(elf_getscn(elf, sh->sh_link), NULL);
	size_t each = gelf_fsize(elf, ELF_T_SYM, 1, EV_CURRENT), n;

	if (!data || !strings || !strings->d_buf || !data->d_buf || !each)
		return err_set(DTPROC_EELF, "%s: corrupt symbol table", r->path);
	n = data->d_size / each;
	if (n > OBJECT_SYMBOLS_MAX)
		return err_set(DTPROC_ELIMIT, "%s: %zu symbols are too many", r->path, n);
	for (size_t i = 1; i < n; i++) {
		GElf_Sym sym;
		int err;

		if (!gelf_getsym(data, (int)i, &sym))
			return err_set(DTPROC_EELF, "%s: corrupt symbol table", r->path);
		err = add_symbol(r, &sym, strings);
		if (err)
			return err;
	}
	return 0;
}

static int read_sections(struct reader *r, Elf *elf)
{
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
		GElf_Shdr sh;
		int err;

		if (!gelf_getshdr(scn, &sh))
			return err_set(DTPROC_EELF, "%s: bad section headers", r->path);
		if ((sh.sh_type != SHT_SYMTAB && sh.sh_type != SHT_DYNSYM) || !sh.sh_size)
			continue;
		r->whole |= sh.sh_type == SHT_SYMTAB;
		err = read_section(r, elf, scn, &sh);
		if (err)
			return err;
	}
	return 0;
}

/* All symbols of a file, and what was stripped off it. */
static int read_file(struct reader *r, int fd)
{
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	struct object_more more;
	int err = elf ? read_sections(r, elf)
		      : err_set(DTPROC_EELF, "%s: not an ELF file", r->path);

	if (!err && !r->whole && !r->best.value &&
		object_more_open(elf, r->path, &more)) {
		/* That one is corrupt is no reason to do without the other. */
		err = read_sections(r, more.elf) == DTPROC_ENOMEM ? DTPROC_ENOMEM : 0;
		object_more_close(&more);
	}
	if (elf)
		elf_end(elf);
	return err;
}

static int by_underscores(const char *a, const char *b)
{
	for (; *a == '_' && *b == '_'; a++, b++)
		;
	return (*a == '_') - (*b == '_');
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

int object_prefer(const struct object_symbol *a, const char *na,
	const struct object_symbol *b, const char *nb)
{
	int c = COMPARE(a->value, b->value);

	if (!c)
		c = (a->kind != OBJECT_FUNCTION) - (b->kind != OBJECT_FUNCTION);
	if (!c)
		c = (a->bind == OBJECT_LOCAL) - (b->bind == OBJECT_LOCAL);
	if (!c)
		c = (*na == '$') - (*nb == '$');
	if (!c)
		c = by_underscores(na, nb);
	if (!c)
		c = COMPARE(a->size, b->size);
	if (!c)
		c = strcmp(na, nb);
	return c ? c : COMPARE(a->bind, b->bind);
}

static int prefer(const void *pa, const void *pb, void *arg)
{
	const struct object_symbol *a = pa, *b = pb;
	const char *names = arg;

	return object_prefer(a, names + a->name, b, names + b->name);
}

/* Drops those that stand in both tables; they are neighbours now. */
static size_t drop_twins(struct object_symbol *at, size_t n, const char *names)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		const struct object_symbol *last = kept ? &at[kept - 1] : NULL;

		if (last && last->value == at[i].value && last->kind == at[i].kind &&
			strcmp(names + last->name, names + at[i].name) == 0)
			continue;
		at[kept++] = at[i];
	}
	return kept;
}

static size_t bucket_of(const struct object_table *t, const char *name)
{
	return (size_t)hash_mix(hash_bytes(name, strlen(name))) & (t->buckets - 1);
}

/* Chains go by descending index, so filling from the end gives them in table order. */
static int index_names(struct object_table *t)
{
	for (t->buckets = 16; t->buckets < t->n;)
		t->buckets *= 2;
	t->bucket = calloc(t->buckets, sizeof *t->bucket);
	t->next = calloc(t->n + 1, sizeof *t->next);
	if (!t->bucket || !t->next)
		return err_nomem("an index of symbols");
	for (size_t i = t->n; i-- > 0;) {
		size_t b = bucket_of(t, t->names + t->at[i].name);

		t->next[i] = t->bucket[b];
		t->bucket[b] = (uint32_t)i + 1;
	}
	return 0;
}

/* Gives memory back that vectors hold in reserve. */
static void *shrink(void *p, size_t bytes)
{
	void *q = bytes ? realloc(p, bytes) : NULL;

	return q ? q : p;
}

int object_table_read(int fd, const char *path, struct object_table *out)
{
	struct reader r = {.path = path};
	struct object_table t = {0};
	int err = read_file(&r, fd);

	t.names = shrink(r.names.at, r.names.n);
	t.at = shrink(r.symbols.at, r.symbols.n * sizeof *t.at);
	if (!err) {
		if (r.symbols.n)
			qsort_r(t.at, r.symbols.n, sizeof *t.at, prefer, t.names);
		t.n = drop_twins(t.at, r.symbols.n, t.names);
		err = index_names(&t);
	}
	if (err) {
		object_table_free(&t);
		return err;
	}
	*out = t;
	return 0;
}

int object_table_scan(
	int fd, const char *path, const char *name, struct object_symbol *out)
{
	struct reader r = {.path = path, .only = name};
	int err = read_file(&r, fd);

	if (!err)
		*out = r.best;
	return err;
}

void object_table_free(struct object_table *t)
{
	free(t->at);
	free(t->names);
	free(t->bucket);
	free(t->next);
	*t = (struct object_table){0};
}

const char *object_name_of(const struct object *o, const struct object_symbol *s)
{
	return o->table.names + s->name;
}

const struct object_symbol *object_find(
	const struct object *o, const char *name, const struct object_symbol *after)
{
	const struct object_table *t = &o->table;
	uint32_t i;

	if (!t->n)
		return NULL;
	i = after ? t->next[after - t->at] : t->bucket[bucket_of(t, name)];
	for (; i; i = t->next[i - 1])
		if (strcmp(t->names + t->at[i - 1].name, name) == 0)
			return &t->at[i - 1];
	return NULL;
}

const struct object_symbol *object_cover(
	const struct object_symbol *at, size_t n, uint64_t value)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (at[mid].value <= value)
			low = mid + 1;
		else
			high = mid;
	}
	/* A label inside a function hides it: look back for one that covers. */
	for (size_t i = low, tries = 0; i-- > 0 && tries < 64; tries++) {
		uint64_t start = at[i].value;

		if (value - start >= at[i].size && value != start)
			continue;
		while (i > 0 && at[i - 1].value == start)
			i--;
		return &at[i];
	}
	return NULL;
}

int object_ask(struct object *o, const char *name, struct object_symbol *found)
{
	int err;

	if (o->asked && strcmp(o->asked, name) == 0) {
		*found = o->answer;
		return 0;
	}
	err = object_file(o);
	if (!err)
		err = object_table_scan(o->fd, o->path, name, found);
	if (err)
		return err;
	free(o->asked);
	o->asked = strdup(name); /* NULL: not known, that is all */
	o->answer = *found;
	return 0;
}

const struct object_symbol *object_at(const struct object *o, uint64_t value)
{
	return object_cover(o->table.at, o->table.n, value);
}
