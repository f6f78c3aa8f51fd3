/* SPDX-License-Identifier: BSD-2-Clause */
/* What types.c and params.c share. */
#ifndef OBJECT_TYPES_H
#define OBJECT_TYPES_H

#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <base/clean.h>
#include <base/hash.h>
#include "object.h"
#include "own.h"

struct object_types {
	Dwfl *dwfl;
	Dwarf *dw;
	struct hash by_name; /* to the address of an entry */
};

/* The file's DWARF, read when first asked for; NULL: none.  Under types_lock. */
Dwarf *object_dwarf(struct object *);
/* The entry of a reference; 0: there is none. */
int object_die_of(const struct type_ref *, Dwarf_Die *out);
/* A declaration becomes what it stands for: a type unit's, or a definition elsewhere. */
void object_die_complete(struct object *, Dwarf_Die *);
void object_types_unlock(pthread_mutex_t **);
/* The scope with the object's types locked. */
#define LOCKED(o)                                                                        \
	CLEAN(object_types_unlock) pthread_mutex_t *locked_ = &(o)->types_lock;          \
	pthread_mutex_lock(locked_)
/* What DW_AT_type of an entry names; file NULL: nothing, which is void. */
struct type_ref object_die_type(const struct object *, Dwarf_Die *);

#endif
