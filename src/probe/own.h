/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share. */
#ifndef PROBE_OWN_H
#define PROBE_OWN_H

#include <base/hash.h>
#include <base/vec.h>
#include <object/object.h>
#include "probe.h"

/* Descriptions of one provider go to it; the others are matched with what there is. */
struct probe_provider {
	const char *name;
	/* Is this description for it? */
	int (*claims)(const struct probe_desc *);
	/* As probe_each(), for a description that it claims. */
	long (*each)(struct probe_table *, const struct probe_desc *, probe_fn *, void *);
};

extern const struct probe_provider probe_pid_provider, probe_tick_provider;

/* One object in a victim. */
struct probe_module {
	struct object *object;
	const char *name; /* of the object */
	uint64_t bias;
	enum { PROBE_LIBRARY, PROBE_PROGRAM } role;
};

/* An object that could not be read. */
struct probe_skipped {
	char *name; /* last part of its path */
	char *why;
	int is_program;
};

/* A victim whose modules are known. */
struct probe_victim {
	struct dtproc_proc *proc; /* a reference */
	pid_t pid;
	char provider[16]; /* pid4711 */
	VEC(struct probe_module) modules;
	dtproc_addr entry; /* AT_ENTRY; 0: not known */
	VEC(struct probe_skipped) skipped;
	VEC(struct probe_module) retired; /* of earlier images: names point there */
};

/* A probe with the chain of its hash bucket. */
struct probe_entry {
	struct probe probe;
	struct probe_entry *same_place;
	char *own_name; /* freed with it, or NULL */
};

struct probe_table {
	struct hold_session *session;
	enum probe_purpose purpose;
	VEC(struct probe_entry *) entries; /* index: ID - 1 */
	VEC(struct probe_victim *) victims;
	struct hash by_place; /* mix of victim and address to struct probe_entry */
	int released;
	char why[256];
};

/*
 * The probe like `wanted` (its id does not matter): the one that is there, or a new one.
 * Strings are kept, not copied, but for `name`.
 */
int probe_intern(struct probe_table *, const struct probe *wanted,
	const struct probe **out) MUST_USE;
void probe_set_why(struct probe_table *, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The victim with this PID, grabbed if need be, its modules as they are now. */
int probe_victim_find(struct probe_table *, pid_t, struct probe_victim **out) MUST_USE;
void probe_victim_release(struct probe_victim *);
void probe_victim_free(struct probe_victim *);
/* Does `wanted` of a description name this module? */
int probe_module_matches(const struct probe_module *, const char *wanted);

#endif
