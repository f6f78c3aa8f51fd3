/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Types of a file, from its DWARF by libdw: in the file itself or in a separate debug
 * file (by build-id or .gnu_debuglink), with type units, partial units and split units.
 *
 * The first question opens the DWARF and walks once over the outermost entries of its
 * units, to make an index of names; nobody pays who does not ask.  A type is known by the
 * address of its entry.  DWARF is hostile: walks have a budget, and libdw checks offsets.
 */
#include <base/clean.h>
#include <base/hash.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "own.h"
#include "types.h"

#define ENTRIES_MAX 40000000u /* looked at for the index of a file */
#define NAMES_MAX 4000000u
#define NESTING_MAX 16
#define STEPS_MAX 64 /* of qualifiers, declarations and the like */

/* ---------------------------------------------------------------------------- index */

/* What a name can be asked for as. */
enum tag_class {
	CLASS_NONE,
	CLASS_NAME = 't',
	CLASS_STRUCT = 's',
	CLASS_UNION = 'u',
	CLASS_ENUM = 'e',
	CLASS_VARIABLE = 'v'
};

struct walk {
	struct object_types *types;
	unsigned budget;
	int is_c; /* the unit's language has names of tags apart */
	char prefix[512];
};

static uint64_t key_of(enum tag_class class, const char *prefix, const char *name)
{
	uint64_t h = hash_bytes(prefix, strlen(prefix));

	return hash_mix(h ^ hash_mix(hash_bytes(name, strlen(name)) + class));
}

static int put(struct walk *w, enum tag_class class, const char *name, Dwarf_Die *die)
{
	const char *prefixes[] = {w->prefix, ""};

	for (int i = 0; i < (*w->prefix ? 2 : 1); i++) {
		uint64_t key = key_of(class, prefixes[i], name);
		if (hash_get(&w->types->by_name, key) || w->types->by_name.n >= NAMES_MAX)
			continue;
		if (hash_put(&w->types->by_name, key, die->addr))
			return DTPROC_ENOMEM;
	}
	return 0;
}

static enum tag_class class_of(int tag)
{
	switch (tag) {
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
		return CLASS_STRUCT;
	case DW_TAG_union_type:
		return CLASS_UNION;
	case DW_TAG_enumeration_type:
		return CLASS_ENUM;
	case DW_TAG_typedef:
	case DW_TAG_base_type:
		return CLASS_NAME;
	case DW_TAG_variable:
		return CLASS_VARIABLE;
	default:
		return CLASS_NONE;
	}
}

static int is_declaration(Dwarf_Die *die)
{
	return dwarf_hasattr(die, DW_AT_declaration) ||
	       dwarf_hasattr(die, DW_AT_signature);
}

static int walk_children(struct walk *w, Dwarf_Die *die, int depth);

/* Those of a namespace or a class, under its name. */
static int walk_inside(struct walk *w, Dwarf_Die *die, const char *name, int depth)
{
	size_t was = strlen(w->prefix), len = name ? strlen(name) : 0;
	int err;

	if (depth >= NESTING_MAX || was + len + 3 > sizeof w->prefix)
		return 0;
	if (len) {
		memcpy(w->prefix + was, name, len);
		memcpy(w->prefix + was + len, "::", 3);
	}
	err = walk_children(w, die, depth + 1);
	w->prefix[was] = 0;
	return err;
}

static int walk_one(struct walk *w, Dwarf_Die *die, int depth)
{
	int tag = dwarf_tag(die), err = 0;
	enum tag_class class = class_of(tag);
	const char *name;

	if (tag == DW_TAG_namespace)
		return walk_inside(w, die, dwarf_diename(die), depth);
	if (!class)
		return 0;
	name = dwarf_diename(die);
	if (!name || is_declaration(die))
		return 0;
	err = put(w, class, name, die);
	if (!err && class != CLASS_NAME && class != CLASS_VARIABLE && !w->is_c)
		err = put(w, CLASS_NAME, name, die);
	if (!err && class == CLASS_STRUCT && !w->is_c)
		err = walk_inside(w, die, name, depth);
	return err;
}

static int walk_children(struct walk *w, Dwarf_Die *die, int depth)
{
	Dwarf_Die child;
	int err = 0, more = dwarf_child(die, &child);

	while (!more && !err && w->budget && w->budget--) {
		Dwarf_Die next;

		err = walk_one(w, &child, depth);
		more = dwarf_siblingof(&child, &next);
		child = next;
	}
	return err;
}

static int is_c(Dwarf_Die *unit)
{
	int lang = dwarf_srclang(unit);

	return lang == DW_LANG_C || lang == DW_LANG_C89 || lang == DW_LANG_C99 ||
	       lang == DW_LANG_C11 || lang == DW_LANG_Mips_Assembler || lang < 0;
}

/* A unit's own entry, or that of the split unit which it stands for. */
static Dwarf_Die *unit_entry(uint8_t type, Dwarf_Die *unit, Dwarf_Die *sub)
{
	return type == DW_UT_skeleton && sub->addr ? sub : unit;
}

static int walk_file(struct walk *w, Dwarf *dw)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die unit, sub, *entry;
	uint8_t type;
	int err = 0;

	while (!err && w->budget &&
		!dwarf_get_units(dw, cu, &cu, NULL, &type, &unit, &sub)) {
		entry = unit_entry(type, &unit, &sub);
		w->is_c = is_c(entry);
		*w->prefix = 0;
		err = walk_children(w, entry, 0);
	}
	return err;
}

/* ------------------------------------------------------------------------- the file */

/* A regular file, or -1: a name in a file may be of anything. */
static int open_regular(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* What dwz has put into another file, whose path stands in this one. */
static int open_shared(const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');
	char whole[PATH_MAX];

	if (*path == '/' || !slash)
		return open_regular(path);
	snprintf(whole, sizeof whole, "%.*s/%s", (int)(slash - file), file, path);
	return open_regular(whole);
}

/* libdw asks where the rest of a module's debug information is. */
static int find_debug(Dwfl_Module *m, void **user, const char *name, Dwarf_Addr base,
	const char *file, const char *link, GElf_Word crc, char **found)
{
	struct object_more more;
	GElf_Addr bias;
	Elf *elf;
	int fd;

	if (file && link && strchr(link, '/'))
		return open_shared(file, link);
	elf = dwfl_module_getelf(m, &bias);
	if (!elf || !object_more_open(elf, file ? file : name, &more))
		return -1;
	fd = more.fd >= 0 ? fcntl(more.fd, F_DUPFD_CLOEXEC, 3) : -1;
	object_more_close(&more);
	return fd;
}

static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = find_debug,
	.section_address = dwfl_offline_section_address};

void object_types_free(struct object_types *t)
{
	if (!t)
		return;
	hash_free(&t->by_name);
	if (t->dwfl)
		dwfl_end(t->dwfl);
	free(t);
}

/* A descriptor of the file, for libdw to keep. */
static int open_same(struct object *o)
{
	int fd;

	pthread_mutex_lock(&o->lock);
	fd = object_file(o);
	if (!fd) {
		fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 3);
		object_file_done(o);
		if (fd < 0)
			fd = err_set(DTPROC_ESYS, "%s: no descriptor is left", o->path);
	}
	pthread_mutex_unlock(&o->lock);
	return fd;
}

static int open_dwarf(struct object *o, struct object_types *t)
{
	Dwarf_Addr bias;
	Dwfl_Module *m;
	int fd = open_same(o);

	if (fd < 0)
		return fd;
	t->dwfl = dwfl_begin(&callbacks);
	if (!t->dwfl) {
		close(fd);
		return err_nomem("debug information");
	}
	dwfl_report_begin(t->dwfl);
	m = dwfl_report_offline(t->dwfl, o->path, o->path, fd);
	if (!m)
		close(fd);
	dwfl_report_end(t->dwfl, NULL, NULL);
	t->dw = m ? dwfl_module_getdwarf(m, &bias) : NULL;
	return t->dw ? 0 : err_set(DTPROC_ENOSYM, "%s has no debug information", o->path);
}

static int read_types(struct object *o, struct object_types *t)
{
	struct walk w = {.types = t, .budget = ENTRIES_MAX};
	Dwarf *alt;
	int err = open_dwarf(o, t);

	if (err)
		return err;
	err = walk_file(&w, t->dw);
	alt = err ? NULL : dwarf_getalt(t->dw);
	if (alt)
		err = walk_file(&w, alt);
	return err ? err_nomem("an index of types") : 0;
}

/* Its types, read at the first call; NULL: it has none, or they cannot be read. */
static struct object_types *types_of(struct object *o)
{
	if (o->types_read)
		return o->types;
	o->types = calloc(1, sizeof *o->types);
	if (!o->types) {
		err_nomem("debug information");
		return NULL;
	}
	o->types_read = 1;
	if (read_types(o, o->types)) {
		object_types_free(o->types);
		o->types = NULL;
	}
	return o->types;
}

void object_types_unlock(pthread_mutex_t **m)
{
	pthread_mutex_unlock(*m);
}

Dwarf *object_dwarf(struct object *o)
{
	struct object_types *t = types_of(o);

	return t ? t->dw : NULL;
}

/* --------------------------------------------------------------------------- lookup */

static int lookup(
	struct object *o, enum tag_class class, const char *name, Dwarf_Die *out)
{
	struct object_types *t = types_of(o);
	void *addr = t ? hash_get(&t->by_name, key_of(class, "", name)) : NULL;
	const char *colon = t && !addr ? strstr(name, "::") : NULL, *last = colon;
	char prefix[512];

	for (; colon; colon = strstr(colon + 2, "::"))
		last = colon;
	if (last && (size_t)(last - name) + 3 <= sizeof prefix) {
		memcpy(prefix, name, (size_t)(last - name) + 2);
		prefix[last - name + 2] = 0;
		addr = hash_get(&t->by_name, key_of(class, prefix, last + 2));
	}
	return addr && dwarf_die_addr_die(t->dw, addr, out);
}

int object_type_find(struct object *o, const char *name, struct type_ref *out)
{
	static const struct {
		const char *word;
		enum tag_class class;
	} words[] = {{"struct ", CLASS_STRUCT}, {"class ", CLASS_STRUCT},
		{"union ", CLASS_UNION}, {"enum ", CLASS_ENUM}, {"", CLASS_NAME}};
	Dwarf_Die die;
	LOCKED(o);

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		size_t len = strlen(words[i].word);
		if (strncmp(name, words[i].word, len))
			continue;
		if (!lookup(o, words[i].class, name + len, &die))
			return 0;
		*out = (struct type_ref){o, (uintptr_t)die.addr, 0};
		return 1;
	}
	return 0;
}

int object_die_of(const struct type_ref *ref, Dwarf_Die *out)
{
	Dwarf *dw = object_dwarf((struct object *)ref->file);

	return dw && dwarf_die_addr_die(dw, (void *)ref->id, out);
}

struct type_ref object_die_type(const struct object *o, Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	Dwarf_Die to;

	if (!dwarf_attr_integrate(die, DW_AT_type, &attr) ||
		!dwarf_formref_die(&attr, &to))
		return (struct type_ref){0};
	return (struct type_ref){o, (uintptr_t)to.addr, 0};
}

int object_variable_type(struct object *o, const char *name, struct type_ref *out)
{
	Dwarf_Die die;
	LOCKED(o);

	if (!lookup(o, CLASS_VARIABLE, name, &die))
		return 0;
	*out = object_die_type(o, &die);
	return 1;
}

/* A declaration that stands for a type unit's type, or for a definition elsewhere. */
void object_die_complete(struct object *o, Dwarf_Die *die)
{
	static const enum tag_class classes[] = {CLASS_STRUCT, CLASS_UNION, CLASS_ENUM};
	Dwarf_Attribute attr;
	Dwarf_Die to;
	const char *name;

	if (dwarf_attr(die, DW_AT_signature, &attr) && dwarf_formref_die(&attr, &to)) {
		*die = to;
		return;
	}
	name = dwarf_hasattr(die, DW_AT_declaration) ? dwarf_diename(die) : NULL;
	for (size_t i = 0; name && i < sizeof classes / sizeof classes[0]; i++)
		if (class_of(dwarf_tag(die)) == classes[i] &&
			lookup(o, classes[i], name, &to)) {
			*die = to;
			return;
		}
}
