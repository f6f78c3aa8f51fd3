/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A type as a file describes it, for rooms that do not know each other: object/ reads
 * DWARF, lang/ makes types of it, and who stands above both joins them by a struct
 * type_source.
 *
 * Strings live as long as the file is open.  Everything here is bounded by who fills it
 * in, and nothing is believed by who reads it.
 */
#ifndef BASE_TYPEDESC_H
#define BASE_TYPEDESC_H

#include <stdint.h>
#include <sys/types.h>

struct type_ref {
	const void *file; /* NULL: void */
	uintptr_t id;
	uint32_t dim; /* of an array of several dimensions: which one */
};

enum type_desc_kind {
	TYPE_VOID,
	TYPE_INT,
	TYPE_FLOAT,
	TYPE_POINTER, /* and a reference */
	TYPE_ARRAY,
	TYPE_STRUCT,
	TYPE_UNION,
	TYPE_ENUM,
	TYPE_FUNCTION,
	TYPE_ALIAS, /* a typedef, when it has a name; a qualifier */
	TYPE_OTHER, /* something of its size */
};

struct type_desc {
	enum type_desc_kind kind;
	const char *name; /* without `struct` and the like; "": none */
	uint64_t size;
	uint64_t count; /* of an array's elements; 0: unknown */
	uint8_t is_signed;
	uint8_t is_incomplete;
	struct type_ref to; /* POINTER, ARRAY, FUNCTION, ALIAS */
};

struct type_member {
	const char *name; /* "": anonymous, or a base class */
	struct type_ref type;
	uint64_t bit;  /* from the struct's beginning */
	uint32_t bits; /* of a bit-field; 0: it is none */
};
typedef int type_member_fn(const struct type_member *, void *arg);
typedef int type_enum_fn(const char *name, int64_t value, void *arg);

#define TYPE_PARAMS_MAX 32
/* A function's parameters, and where each is at its entry. */
struct type_params {
	unsigned n;
	struct {
		struct type_ref type;
		int slot;        /* argN; -1: it cannot be had, because */
		const char *why; /* static */
	} at[TYPE_PARAMS_MAX];
};

/*
 * Each call returns 1, or 0: there is none, or a negative code.  A walk ends at the first
 * result of its function that is not 0, and returns it.
 */
struct type_source {
	void *arg;
	/* A type by name ("struct x", "x_t"), of a module or (NULL) of any. */
	int (*find)(
		void *arg, const char *module, const char *name, struct type_ref *out);
	int (*describe)(void *arg, const struct type_ref *, struct type_desc *out);
	int (*members)(void *arg, const struct type_ref *, type_member_fn *, void *to);
	int (*enums)(void *arg, const struct type_ref *, type_enum_fn *, void *to);
	/*
	 * The parameters that all probes of `n` descriptions (four parts each) have in
	 * common.  0: there are no such probes, or nothing is known; *why tells (static,
	 * or until the next call).  -1 with *why: they differ.
	 */
	int (*params)(void *arg, const char *const (*descs)[4], unsigned n,
		struct type_params *out, const char **why);
	/* A variable of the victim: where it is, in which process, and its type. */
	int (*symbol)(void *arg, const char *module, const char *name, uint64_t *addr,
		pid_t *pid, struct type_ref *type);
};

#endif
