/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One ELF file: its names, symbols and segments.  Objects are shared by all victims and
 * counted; the table of them has its own lock, and a file is known by device, inode and
 * modification time.  Everything in a file is hostile: a corrupt one costs an error.
 *
 * Addresses here are those of the file ("values").  The address in a victim is value
 * plus *bias*, which one mapping of the file gives away: object_bias().
 *
 * Threads: any call from any thread; what a call lends stays until object_unref().
 */
#ifndef OBJECT_OBJECT_H
#define OBJECT_OBJECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <base/err.h>
#include <base/typedesc.h>

struct object;

enum object_kind {
	OBJECT_FUNCTION,
	OBJECT_DATA,
	OBJECT_INDIRECT, /* STT_GNU_IFUNC: the resolver, not the function */
	OBJECT_STUB,     /* of a PLT; only object_name_at() knows it */
};
enum object_bind { OBJECT_GLOBAL, OBJECT_WEAK, OBJECT_LOCAL };

struct object_symbol {
	uint64_t value;
	uint32_t size; /* 0: the file does not tell; UINT32_MAX: or more */
	uint32_t name; /* object_name_of() */
	uint8_t kind;  /* enum object_kind */
	uint8_t bind;  /* enum object_bind */
};

/* What tells one file from another; all zero: do not check. */
struct object_id {
	uint64_t dev, ino;
};

/*
 * Opens the file at `path`, or takes the one that is open already, with one reference.
 * DTPROC_EELF: not an ELF file, or a corrupt one; DTPROC_ENOSYM: it cannot be opened, or
 * is not the file that `expect` (may be NULL) names.
 */
int object_open(
	const char *path, const struct object_id *expect, struct object **out) MUST_USE;
/*
 * Opens the file behind a mapping of a process: `path`, `start`, `end` and the identity
 * are those of its line in /proc/PID/maps.  Deleted and replaced files are found where
 * privilege allows; the vDSO and anonymous memory have none.
 */
int object_open_mapped(pid_t pid, uint64_t start, uint64_t end, const char *path,
	const struct object_id *expect, struct object **out) MUST_USE;
/*
 * Opens what is mapped at `start` without a file: reads the ELF image that begins there
 * by `read` (bytes copied, fewer where memory ends).  Its .dynsym and unwind tables are
 * there; an object of its build-id that is open already is taken instead.  `name` is
 * what to show.  *bias: as of object_bias().  EELF: there is no image.
 */
typedef ssize_t object_memory_fn(void *arg, uint64_t addr, void *buf, size_t len);
int object_open_image(const char *name, uint64_t start, object_memory_fn *read, void *arg,
	struct object **out, uint64_t *bias) MUST_USE;

struct object_build_id {
	size_t len; /* 0: the file has none */
	unsigned char bytes[64];
};
/* That of the image at `start`, as its notes say; len 0: they do not. */
void object_image_build_id(
	uint64_t start, object_memory_fn *read, void *arg, struct object_build_id *out);
/* An object of this build-id, with one more reference, if one is open; NULL. */
struct object *object_get_build_id(const struct object_build_id *);
/* Its own.  Borrowed. */
const struct object_build_id *object_build_id(const struct object *);

/*
 * The object of that file, with one more reference, if somebody has it open: whether the
 * file was written since is not looked at.  NULL.
 */
struct object *object_get_open(const struct object_id *);
struct object *object_ref(struct object *);
void object_unref(struct object *); /* NULL: nothing */

/* The path it was first opened by; the soname, or "" when it has none. */
const char *object_path(const struct object *);
const char *object_soname(const struct object *);
/* The name to show: the soname, or else the last part of `path`. */
const char *object_name(const struct object *);

/*
 * Address in a victim minus value, from one executable mapping of this file (others are
 * ambiguous: two segments may share a page of the file).  DTPROC_EELF: no executable
 * segment covers that offset.
 */
int object_bias(const struct object *, uint64_t map_start, uint64_t map_offset,
	uint64_t *bias) MUST_USE;
/*
 * 1 when the file describes restartable sequences: an array of struct rseq_cs (linux/
 * rseq.h) at *value, of *size bytes, to be read from the victim, where it is relocated.
 */
int object_rseq(const struct object *, uint64_t *value, uint64_t *size);
/* Is `value` in an executable segment? */
int object_executable(const struct object *, uint64_t value);

/*
 * Symbols.  The first call reads .symtab and .dynsym, and for a stripped file what was
 * stripped off, where that can be found (debug.c).  A file without any has none, which
 * is no error.  Those at one address stand together, preferred name first (a function
 * before others, global before weak before local, fewer leading underscores, smaller,
 * alphabet).
 */
int object_symbols(struct object *, const struct object_symbol **at, size_t *n) MUST_USE;
/*
 * One symbol by its exact name: the first that object_find() would give, but the table
 * is not made for it.  DTPROC_ENOSYM: there is none.
 */
int object_lookup(
	struct object *, const char *name, uint64_t *value, uint32_t *size) MUST_USE;
/* The name of a symbol of this object. */
const char *object_name_of(const struct object *, const struct object_symbol *);
/*
 * The next symbol of this name behind `after` (NULL: the first), or NULL.  Needs a
 * successful object_symbols() before.
 */
const struct object_symbol *object_find(
	const struct object *, const char *name, const struct object_symbol *after);
/* The preferred function or datum that covers `value`, or NULL.  As above. */
const struct object_symbol *object_at(const struct object *, uint64_t value);

/* What covers an address, with the stubs of a PLT. */
struct object_named {
	const char *name; /* "malloc@plt" for a stub */
	uint64_t value;
	uint32_t size;
	uint8_t kind; /* enum object_kind */
};
/* 1; 0: nothing that has a name; EELF and others: the file cannot be read. */
int object_name_at(struct object *, uint64_t value, struct object_named *out) MUST_USE;

/*
 * The name as its programmer wrote it, C++ or Rust; the caller frees it.  NULL: it is not
 * mangled.
 */
enum object_demangle_flags {
	OBJECT_DEMANGLE_SHORT = 1 << 0, /* without the types of arguments */
};
char *object_demangle(const char *name, int flags);

/* A static probe of <sys/sdt.h>. */
struct object_sdt {
	uint64_t value;     /* of its instruction */
	uint64_t semaphore; /* value of a 16-bit counter; 0: none */
	const char *provider, *name, *args;
};
/* The static probes of the file, in its order. */
int object_sdts(struct object *, const struct object_sdt **at, size_t *n) MUST_USE;

/* ------------------------------------------------------ code that a program made */

struct object_jit;
enum object_jit_form {
	OBJECT_JIT_MAP,  /* /tmp/perf-PID.map */
	OBJECT_JIT_DUMP, /* jit-PID.dump */
};
int object_jit_create(struct object_jit **out) MUST_USE;
void object_jit_destroy(struct object_jit *); /* NULL: nothing */
/* Reads what has come to the file since the last time.  Lines that make no sense are
 * left out. */
int object_jit_read(struct object_jit *, int fd, enum object_jit_form) MUST_USE;
/* The name of the code at an address, and where that lies; NULL: none. */
const char *object_jit_at(
	struct object_jit *, uint64_t at, uint64_t *start, uint64_t *size);

/* ------------------------------------------------------- how to leave a function */

/* Registers by DWARF's numbers; what is said of others (vectors) is not kept. */
#define OBJECT_REGS 33

enum object_how {
	OBJECT_SAME,      /* it has the caller's value still, or nothing is said */
	OBJECT_UNDEFINED, /* it is lost */
	OBJECT_AT_CFA,    /* in memory at CFA + at */
	OBJECT_IS_CFA,    /* CFA + at itself */
	OBJECT_REGISTER,  /* what register `at` has; for the CFA: register `reg`, + at */
	OBJECT_AT_EXPR,   /* in memory where a DWARF expression says */
	OBJECT_IS_EXPR,   /* what it says */
};

struct object_where {
	uint8_t reg, how; /* whose value; enum object_how */
	uint16_t len;     /* of the expression, which lies at byte `at` of the rule */
	int32_t at;
};

enum object_rule_flags {
	OBJECT_RULE_SIGNAL = 1 << 0, /* the kernel made this frame for a signal */
	OBJECT_RULE_LAST = 1 << 1,   /* there is no caller */
};

/* From a frame's registers to those of its caller. */
struct object_rule {
	uint16_t size; /* bytes, with `saved` and expressions */
	uint8_t flags; /* enum object_rule_flags */
	uint8_t n;     /* of saved[] */
	uint8_t ra;    /* the register whose value is the caller's PC */
	uint8_t unused[3];
	struct object_where cfa;
	struct object_where saved[]; /* by register; those not named are OBJECT_SAME */
};

/*
 * The rule at an address, from .eh_frame or .debug_frame: 1; 0: the file has none for it;
 * EELF: a corrupt one; ENOMEM.  The first question about a function reads its entry.
 * The rule stays until object_unref().
 */
int object_rule_at(
	struct object *, uint64_t value, const struct object_rule **out) MUST_USE;
/*
 * Where the frame of the function is at an instruction: the canonical frame address of
 * its unwind tables is a register (DWARF's number) plus an offset.  1; 0: they do not
 * tell.
 */
int object_frame(struct object *, uint64_t value, unsigned *reg, int64_t *offset);
/* Copies bytes of the file that lie at an address; how many, 0: none. */
size_t object_read(struct object *, uint64_t value, void *buf, size_t len);

/*
 * Types, from DWARF (types.c): the first call reads it.  Each returns 1, or 0: there is
 * none; walks return as base/typedesc.h says.  A reference is good until object_unref().
 */
int object_type_find(struct object *, const char *name, struct type_ref *out);
int object_type_describe(const struct type_ref *, struct type_desc *out);
int object_type_members(const struct type_ref *, type_member_fn *, void *arg);
int object_type_enums(const struct type_ref *, type_enum_fn *, void *arg);
int object_variable_type(struct object *, const char *name, struct type_ref *out);
/* The parameters of the function that is entered at `value` (params.c). */
int object_function_params(struct object *, uint64_t value, struct type_params *out);

/*
 * Does `wanted`, as written in a probe description, name the object called `name`?  By
 * its whole name ("libc.so.6"), without version ("libc.so"), by stem ("libc"), or by a
 * glob over the whole name; empty: any.  "a.out" is the caller's to decide.
 */
int object_is_called(const char *name, const char *wanted);

#endif
