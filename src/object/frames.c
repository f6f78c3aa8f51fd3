/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a file says how to leave its functions, and the rows that were asked for so far.
 *
 * .eh_frame_hdr is a sorted table of all functions: it is read as it stands, 8 bytes a
 * function, and an entry of .eh_frame only when somebody asks about its function.  Files
 * without that table, and .debug_frame, are read once as a whole and a table is made.
 */
#include "cfi.h"

#include <dwarf.h>
#include <gelf.h>
#include <string.h>
#include <base/clean.h>
#include "own.h"

#define ENTRY_MAX (1u << 20)
#define SECTION_MAX (256u << 20)
#define COMMONS_MAX 256
#define HEAD 12 /* .eh_frame_hdr before its table, as all linkers write it */
#define BAD UINT32_MAX

/* Both are signed distances, as in .eh_frame_hdr. */
struct function {
	int32_t start; /* from `base` */
	int32_t entry; /* from `entries` */
};

struct table {
	enum { TABLE_UNREAD, TABLE_NONE, TABLE_READ } state;
	int eh;
	VEC(struct function) functions; /* by address */
	uint64_t base, entries;
	uint32_t *rows; /* of each function: their index + 1; 0: not made yet; BAD */
	uint8_t *bytes; /* the whole section, or NULL: entries are read from the file */
	size_t size;
	VEC(struct cfi_common) commons;
};

struct cfi {
	struct table eh, debug;
	struct cfi_rules rules;
};

static void free_table(struct table *t)
{
	for (size_t i = 0; i < t->commons.n; i++)
		free(t->commons.at[i].bytes);
	vec_free(&t->commons);
	vec_free(&t->functions);
	free(t->rows);
	free(t->bytes);
}

void object_cfi_free(struct cfi *c)
{
	if (!c)
		return;
	free_table(&c->eh);
	free_table(&c->debug);
	cfi_rules_free(&c->rules);
	free(c);
}

/* ------------------------------------------------------------------- bytes */

/* Bytes of the entry that begins here; 0: none. */
static size_t entry_size(const uint8_t *bytes, size_t left)
{
	struct cursor c = cursor_of(bytes, left);
	uint64_t size = cursor_u32(&c);

	if (size == UINT32_MAX)
		size = cursor_u64(&c);
	return c.bad || size > cursor_left(&c) ? 0 : size + (size_t)(c.at - bytes);
}

static ssize_t read_at(const struct object *o, const struct object_segment *s,
	uint64_t value, void *buf, size_t len)
{
	return pread(o->fd, buf, len, (off_t)(value - s->value + s->offset));
}

/* Reads the entry at an address of the file; the bytes are the caller's. */
static int read_entry(const struct object *o, uint64_t value, uint8_t **out, size_t *size)
{
	const struct object_segment *s = object_segment_of(o, value);
	uint64_t left = s ? s->bytes - (value - s->value) : 0;
	uint32_t len;

	if (!s || left <= sizeof len || read_at(o, s, value, &len, sizeof len) != 4 ||
		len > ENTRY_MAX || len + 4ul > left)
		return err_set(DTPROC_EELF, "%s: bad call frame information", o->path);
	CLEAN_FREE uint8_t *bytes = malloc(len + 4ul);

	if (!bytes)
		return err_nomem("call frame information");
	if (read_at(o, s, value, bytes, len + 4ul) != (ssize_t)(len + 4ul))
		return err_set(DTPROC_EELF, "%s: bad call frame information", o->path);
	*size = len + 4ul;
	*out = TAKE_PTR(bytes);
	return 0;
}

/*
 * The bytes of an entry; `mine` is what the caller has to free.  In a section that was
 * read as a whole they are lent.
 */
static int get_entry(const struct object *o, const struct table *t, uint64_t position,
	struct cfi_bytes *out, uint8_t **mine)
{
	uint64_t at = position - t->entries;

	*out = (struct cfi_bytes){.position = position, .eh = t->eh};
	*mine = NULL;
	if (!t->bytes) {
		int err = read_entry(o, position, mine, &out->n);

		out->at = *mine;
		return err;
	}
	out->n = at < t->size ? entry_size(t->bytes + at, t->size - at) : 0;
	out->at = t->bytes + at;
	return out->n ? 0
		      : err_set(DTPROC_EELF, "%s: bad call frame information", o->path);
}

/* The common entry at that position, decoded once. */
static int get_common(const struct object *o, struct table *t, uint64_t position,
	const struct cfi_common **out)
{
	struct cfi_common common;
	struct cfi_bytes b;
	CLEAN_FREE uint8_t *mine = NULL;
	int err;

	for (size_t i = 0; i < t->commons.n; i++)
		if (t->commons.at[i].position == position) {
			*out = &t->commons.at[i];
			return 0;
		}
	if (t->commons.n == COMMONS_MAX)
		return err_set(DTPROC_ELIMIT, "%s: too many common entries", o->path);
	err = get_entry(o, t, position, &b, &mine);
	if (!err)
		err = cfi_common_read(&b, &mine, &common);
	if (err)
		return err;
	if (vec_push(&t->commons, common)) {
		free(common.bytes);
		return err_nomem("common entries");
	}
	*out = &t->commons.at[t->commons.n - 1];
	return 0;
}

/* An entry of a function, with its common entry.  1: it is none. */
static int get_function(const struct object *o, struct table *t, uint64_t position,
	struct cfi_bytes *b, uint8_t **mine, const struct cfi_common **common)
{
	uint64_t at;
	int err = get_entry(o, t, position, b, mine);

	if (err)
		return err;
	if (cfi_entry_kind(b, &at) != CFI_FUNCTION)
		return 1;
	return get_common(o, t, at, common);
}

/* ------------------------------------------------------------------ tables */

/* The linker's table.  1: there is none of the usual form. */
static int read_linkers(const struct object *o, struct table *t)
{
	const struct object_segment *s =
		o->frames_value ? object_segment_of(o, o->frames_value) : NULL;
	uint64_t left = s ? s->bytes - (o->frames_value - s->value) : 0;
	uint8_t head[HEAD];
	uint32_t n;

	if (left < HEAD || read_at(o, s, o->frames_value, head, HEAD) != HEAD)
		return 1;
	memcpy(&n, head + 8, sizeof n);
	if (head[0] != 1 || head[2] != DW_EH_PE_udata4 ||
		head[3] != (DW_EH_PE_datarel | DW_EH_PE_sdata4) || n == 0 ||
		n > (left - HEAD) / sizeof(struct function))
		return 1;
	size_t bytes = n * sizeof(struct function);

	t->functions.at = malloc(bytes);
	if (!t->functions.at)
		return err_nomem("a table of functions");
	if (read_at(o, s, o->frames_value + HEAD, t->functions.at, bytes) !=
		(ssize_t)bytes)
		return 1;
	t->functions.n = n;
	t->base = t->entries = o->frames_value;
	return 0;
}

static void clean_elf(Elf **elf)
{
	if (*elf)
		elf_end(*elf);
}

/* Copies a section of the file. */
static int copy_section(Elf_Scn *scn, const GElf_Shdr *sh, struct table *t)
{
	GElf_Chdr packed;

	if ((sh->sh_flags & SHF_COMPRESSED) &&
		(!gelf_getchdr(scn, &packed) || packed.ch_size > SECTION_MAX ||
			elf_compress(scn, 0, 0) < 0))
		return 0;
	const Elf_Data *d = elf_rawdata(scn, NULL);

	if (!d || !d->d_buf || d->d_size == 0 || d->d_size > SECTION_MAX)
		return 0;
	t->bytes = malloc(d->d_size);
	if (!t->bytes)
		return err_nomem("call frame information");
	memcpy(t->bytes, d->d_buf, d->d_size);
	t->size = d->d_size;
	t->entries = t->eh ? sh->sh_addr : 0;
	return 0;
}

/* Reads the whole section of that name, if there is one. */
static int read_section(const struct object *o, const char *wanted, struct table *t)
{
	CLEAN(clean_elf) Elf *elf = elf_begin(o->fd, ELF_C_READ, NULL);
	size_t names;
	GElf_Shdr sh;

	if (!elf || elf_getshdrstrndx(elf, &names))
		return 0;
	for (Elf_Scn *s = elf_nextscn(elf, NULL); s; s = elf_nextscn(elf, s)) {
		const char *name =
			gelf_getshdr(s, &sh) ? elf_strptr(elf, names, sh.sh_name) : NULL;

		if (name && strcmp(name, wanted) == 0 && sh.sh_type != SHT_NOBITS)
			return copy_section(s, &sh, t);
	}
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct function *one = a, *other = b;

	return (one->start > other->start) - (one->start < other->start);
}

/* Enters the function of one entry, if it is one and not too far away. */
static int add_function(const struct object *o, struct table *t, uint64_t position)
{
	CLEAN_FREE uint8_t *mine = NULL;
	const struct cfi_common *common;
	struct cfi_bytes b;
	uint64_t start, size;

	if (get_function(o, t, position, &b, &mine, &common) ||
		cfi_function_range(&b, common, &start, &size))
		return 0;
	if (t->functions.n == 0)
		t->base = start;
	int64_t far = (int64_t)(start - t->base);

	if (far < INT32_MIN || far > INT32_MAX)
		return 0;
	const struct function f = {(int32_t)far, (int32_t)(position - t->entries)};

	return vec_push(&t->functions, f) ? err_nomem("a table of functions") : 0;
}

/* Makes a table of a section that was read as a whole. */
static int make_table(const struct object *o, struct table *t)
{
	for (size_t at = 0, size; at < t->size; at += size) {
		size = entry_size(t->bytes + at, t->size - at);
		if (size == 0)
			break;
		int err = size > 4 ? add_function(o, t, t->entries + at) : 0;

		if (err)
			return err;
	}
	if (t->functions.n)
		qsort(t->functions.at, t->functions.n, sizeof *t->functions.at, by_start);
	return 0;
}

static int read_whole(const struct object *o, struct table *t)
{
	int err = read_section(o, t->eh ? ".eh_frame" : ".debug_frame", t);

	return err ? err : make_table(o, t);
}

/* Reads the table, once; a file that has none is no error. */
static int read_table(struct object *o, struct table *t)
{
	int err;

	if (t->state != TABLE_UNREAD)
		return 0;
	err = object_file(o);
	if (!err)
		err = t->eh ? read_linkers(o, t) : 1;
	if (err == 1)
		err = read_whole(o, t);
	if (!err && t->functions.n) {
		t->rows = calloc(t->functions.n, sizeof *t->rows);
		err = t->rows ? 0 : err_nomem("a table of functions");
	}
	if (err == DTPROC_ENOMEM) {
		int eh = t->eh;

		free_table(t);
		*t = (struct table){.eh = eh};
		return err;
	}
	t->state = t->functions.n && !err ? TABLE_READ : TABLE_NONE;
	return err;
}

/* ------------------------------------------------------------------ lookup */

/* Index of the last function that begins at or before `value`; -1: none. */
static int64_t function_before(const struct table *t, uint64_t value)
{
	int64_t far = (int64_t)(value - t->base);
	size_t low = 0, high = t->functions.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (t->functions.at[mid].start <= far)
			low = mid + 1;
		else
			high = mid;
	}
	return (int64_t)low - 1;
}

/*
 * Makes the rows of a function.  Before them stands one that counts them; its `rule` is
 * unused.
 */
static int make_rows(const struct object *o, struct cfi *c, struct table *t, size_t index)
{
	const struct function *f = &t->functions.at[index];
	CLEAN_FREE uint8_t *mine = NULL;
	const struct cfi_common *common;
	struct cfi_bytes b;
	uint64_t start, size;
	size_t first = c->rules.rows.n;
	int err = get_function(
		o, t, t->entries + (uint64_t)(int64_t)f->entry, &b, &mine, &common);

	if (!err)
		err = cfi_function_range(&b, common, &start, &size);
	if (err == 1 || (!err && start != t->base + (uint64_t)(int64_t)f->start))
		err = err_set(DTPROC_EELF, "%s: a bad table of functions", o->path);
	if (!err && vec_push(&c->rules.rows, ((struct cfi_row){0, 0})))
		err = err_nomem("unwind rows");
	if (!err)
		err = cfi_function_rows(&b, common, &c->rules);
	if (err) {
		c->rules.rows.n = first;
		t->rows[index] = err == DTPROC_ENOMEM ? 0 : BAD;
		return err;
	}
	c->rules.rows.at[first].pc = (uint32_t)(c->rules.rows.n - first - 1);
	t->rows[index] = (uint32_t)first + 1;
	return 0;
}

/* The rule `offset` bytes into a function whose rows are made, or NULL. */
static const struct object_rule *find_rule(
	const struct cfi *c, const struct cfi_row *rows, uint64_t offset)
{
	size_t n = rows->pc, low = 0, high = n - 1;

	rows++;
	if (offset >= rows[n - 1].pc)
		return NULL;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (rows[mid].pc <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? cfi_rule(&c->rules, rows[low - 1].rule) : NULL;
}

static int look_in(
	struct object *o, struct table *t, uint64_t value, const struct object_rule **out)
{
	struct cfi *c = o->cfi;
	int err = read_table(o, t);
	int64_t i;

	if (err || t->state != TABLE_READ)
		return err;
	i = function_before(t, value);
	if (i < 0)
		return 0;
	if (t->rows[i] == BAD)
		return err_set(DTPROC_EELF, "%s: bad call frame information", o->path);
	if (t->rows[i] == 0) {
		err = object_file(o);
		if (!err)
			err = make_rows(o, c, t, (size_t)i);
		if (err)
			return err;
	}
	const uint64_t start = t->base + (uint64_t)(int64_t)t->functions.at[i].start;
	const struct object_rule *rule =
		find_rule(c, &c->rules.rows.at[t->rows[i] - 1], value - start);

	if (rule)
		*out = rule;
	return rule != NULL;
}

int object_rule_at(struct object *o, uint64_t value, const struct object_rule **out)
{
	int found = 0;

	pthread_mutex_lock(&o->lock);
	if (!o->cfi) {
		o->cfi = calloc(1, sizeof *o->cfi);
		if (o->cfi)
			o->cfi->eh.eh = 1;
		else
			found = err_nomem("call frame information");
	}
	if (!found)
		found = look_in(o, &o->cfi->eh, value, out);
	if (!found)
		found = look_in(o, &o->cfi->debug, value, out);
	object_file_done(o);
	pthread_mutex_unlock(&o->lock);
	return found;
}

int object_frame(struct object *o, uint64_t value, unsigned *reg, int64_t *offset)
{
	const struct object_rule *rule;

	if (object_rule_at(o, value, &rule) != 1 || rule->cfa.how != OBJECT_REGISTER)
		return 0;
	*reg = rule->cfa.reg;
	*offset = rule->cfa.at;
	return 1;
}
