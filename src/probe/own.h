/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share. */
#ifndef PROBE_OWN_H
#define PROBE_OWN_H

#include <base/hash.h>
#include <base/vec.h>
#include <object/object.h>
#include "probe.h"

struct probe_victim;

/* Descriptions of one provider go to it; the others are matched with what there is. */
struct probe_provider {
	const char *name;
	/* Is this description for it? */
	int (*claims)(const struct probe_desc *);
	/* As probe_each(), for a description that it claims. */
	long (*each)(struct probe_table *, const struct probe_desc *, probe_fn *, void *);
	/* As probe_each_new(), likewise; NULL: nothing ever comes. */
	long (*each_new)(struct probe_table *, struct probe_victim *,
		const struct probe_desc *, probe_fn *, void *);
};

extern const struct probe_provider probe_pid_provider, probe_proc_provider,
	probe_rtld_provider, probe_profile_provider, probe_usdt_provider;

/*
 * One object in a victim.  It stays when the object leaves, for names point into it, and
 * comes back when the same file does, maybe elsewhere.
 */
struct probe_module {
	struct object *object;
	const char *name; /* of the object */
	uint64_t bias;
	dtproc_addr start; /* of a mapping of its code */
	enum { PROBE_LIBRARY, PROBE_PROGRAM } role;
	uint32_t epoch; /* of the table when it came; 0: it has left */
	int seen;       /* it is still there */
};

/* An object that could not be read. */
struct probe_skipped {
	char *name; /* last part of its path */
	char *why;
	int is_program;
};

/* A victim whose modules are known. */
struct probe_victim {
	struct dtproc_proc *proc;          /* a reference */
	const struct probe_victim *parent; /* of a followed child, if that is known */
	size_t first; /* index of the entries that there were before */
	pid_t pid;
	char provider[16], rtld[16]; /* pid4711, rtld4711 */
	VEC(struct probe_module *) modules;
	VEC(struct probe_module *) retired; /* those that have left */
	dtproc_addr entry;                  /* AT_ENTRY; 0: not known */
	uint32_t epoch;                     /* of the table when its image came */
	uint32_t generation;                /* of that image */
	VEC(struct probe_skipped) skipped;
	VEC(char *) usdt; /* names of providers: python4711 */
};

/* Victims by number: those that are held, and those that are known. */
struct probe_pids {
	pid_t *at;
	size_t n, room;
};
int probe_pids_known(struct probe_table *, struct probe_pids *) MUST_USE;
void probe_pids_free(struct probe_pids *);

/*
 * A probe with the chain of its hash bucket.  When its module has left it is *vacant*:
 * the next probe of that name takes it over, so that IDs and memory do not grow with
 * each exec or dlopen of the same thing.
 */
struct probe_entry {
	struct probe probe;
	const struct probe_module *module; /* NULL: it is in none */
	uint32_t epoch;                    /* of the module, or of the table */
	struct probe_entry *same_name;
	char *own_name; /* freed with it, or NULL */
	void *places;   /* likewise: the probe's places, behind them their operands */
};

struct probe_table {
	struct hold_session *session;
	enum probe_purpose purpose;
	VEC(struct probe_entry *) entries; /* index: ID - 1 */
	VEC(struct probe_victim *) victims;
	struct hash by_name; /* of victim, and names or interval, to struct probe_entry */
	uint32_t epoch;      /* grows when a victim is looked at anew */
	int released;
	int may_come; /* probe_may_come() */
	char why[256];
};

/*
 * The probe like `wanted` (its id does not matter) in `module` (NULL: in none): the one
 * that is there, or a new one.  Strings are kept, not copied, but for `name`; places are.
 */
int probe_intern(struct probe_table *, const struct probe *wanted,
	const struct probe_module *module, const struct probe **out) MUST_USE;
/* As probe_each(), for what is there and came since an epoch. */
long probe_each_existing(struct probe_table *, uint32_t since, const struct probe_desc *,
	probe_fn *fn, void *arg) MUST_USE;
void probe_set_why(struct probe_table *, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The PID of "pid4711", if `prefix` is "pid"; or 0. */
pid_t probe_pid_behind(const char *provider, const char *prefix);
/* The known victim behind a handle, or NULL. */
struct probe_victim *probe_victim_of(struct probe_table *, const struct dtproc_proc *);
/* Brings its modules up to date: what came has the table's epoch. */
int probe_victim_read(
	struct probe_table *, struct probe_victim *, enum hold_change) MUST_USE;
/* The victim with this PID, grabbed if need be, its modules as they are now. */
int probe_victim_find(struct probe_table *, pid_t, struct probe_victim **out) MUST_USE;
void probe_victim_release(struct probe_victim *);
void probe_victim_free(struct probe_victim *);
/* A followed child. */
int probe_victim_follow(struct probe_table *, struct dtproc_proc *) MUST_USE;
/* Is what is said of process `pid` meant for this one too? */
int probe_victim_is_meant(const struct probe_victim *, pid_t);
/* Does `wanted` of a description name the function with this symbol? */
int probe_function_is(const char *wanted, const char *name);
/* Does `wanted` of a description name this module? */
int probe_module_matches(const struct probe_module *, const char *wanted);

#endif
