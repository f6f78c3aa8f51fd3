/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names to sites.  A *probe* is a name of four parts and the place where it fires: an
 * address in a victim, a timer, or a moment of the session.  A *table* holds the probes
 * of a session; providers put probes into it when a description asks for them.
 *
 * A provider never sees a program; who asks for a probe decides what runs there.  IDs
 * are given in the order in which probes are made, so one script on one program has the
 * same IDs each time.  A probe stays until its table is closed, that of a dead victim
 * too: records name it.  One whose place is gone (by an exec, a dlclose) keeps names and
 * ID, and comes back, with another address maybe, when something of those names does.
 *
 * Threads: one at a time for a table.
 */
#ifndef PROBE_PROBE_H
#define PROBE_PROBE_H

#include <base/err.h>
#include <base/typedesc.h>
#include <hold/hold.h>

enum probe_kind {
	PROBE_BEGIN,
	PROBE_END,
	PROBE_ERROR,
	PROBE_TICK,
	PROBE_ADDRESS, /* fires in a victim */
};

/* One place at which a probe fires. */
struct probe_place {
	dtproc_addr addr;      /* or WIRE_MOMENTS and a moment */
	dtproc_addr from, to;  /* when the jump there leaves this range; to 0: always */
	uint64_t interval_ns;  /* at WIRE_MOMENT_PROFILE */
	dtproc_addr semaphore; /* raised while it is armed; 0: none */
	const struct wire_operand *args; /* NULL: as functions get them */
	uint8_t n_args;                  /* those behind are 0 */
	uint8_t late;                    /* it fires behind others that are not */
};

struct probe {
	uint32_t id; /* 1 and on */
	enum probe_kind kind;
	const char *provider, *module, *function, *name; /* "": none */
	uint64_t interval_ns;                            /* PROBE_TICK */
	struct dtproc_proc *proc;         /* PROBE_ADDRESS; until probe_table_release() */
	const struct probe_place *places; /* PROBE_ADDRESS: one or more */
	size_t n_places;
	uint32_t generation; /* of the victim's image when those were its places */
};

/* A description with its macros expanded; "" matches all. */
struct probe_desc {
	const char *provider, *module, *function, *name;
};

struct probe_table;

/* How victims that only a description names (pid4711) are grabbed. */
enum probe_purpose {
	PROBE_TO_ARM,  /* for control */
	PROBE_TO_LIST, /* read-only */
};

int probe_table_open(
	struct hold_session *, enum probe_purpose, struct probe_table **out) MUST_USE;
/* Releases what was grabbed for it; probes keep their names and match no more. */
void probe_table_release(struct probe_table *);
void probe_table_close(struct probe_table *);
/* Calls fn for each victim that it knows. */
void probe_each_victim(struct probe_table *, void (*fn)(struct dtproc_proc *));

typedef int probe_fn(const struct probe *, void *arg);
/*
 * Calls fn for each probe that the description matches, making those that do not exist
 * yet.  Returns how many; the first negative result of fn; or an error: a description
 * that can never match (DTPROC_ENOPROBE: say why), or a victim that cannot be grabbed.
 * Zero is no error: probe_why_none() may know more.
 */
long probe_each(struct probe_table *, const struct probe_desc *, probe_fn *fn,
	void *arg) MUST_USE;
/*
 * Brings the table up to date with a change of a victim, whose handle is locked; those
 * that no description has named yet are no error.
 */
int probe_refresh(struct probe_table *, struct dtproc_proc *, enum hold_change) MUST_USE;
/*
 * As probe_each(), for what the last probe_refresh() has found of that victim alone.  It
 * takes no other handle's lock.
 */
long probe_each_new(struct probe_table *, struct dtproc_proc *, const struct probe_desc *,
	probe_fn *fn, void *arg) MUST_USE;
/* A followed child has ended: its probes keep their names and match no more. */
void probe_forget(struct probe_table *, const struct dtproc_proc *);
/* Has the victim executed another program since it was looked at? */
int probe_is_stale(struct probe_table *, struct dtproc_proc *);
/*
 * Did the last probe_each() find nothing because the object that it names is not there
 * yet, in a victim that we created?
 */
int probe_may_come(const struct probe_table *);
/* Why the last probe_each() found nothing, or left things out; "" if that is unknown. */
const char *probe_why_none(const struct probe_table *);
/*
 * Types and variables of a victim by name, in a module (NULL: any), and the parameters of
 * the function that a probe is at: 1, or 0 (*why is static).  A reference is good until
 * the table is closed.
 */
int probe_type_find(struct probe_table *, pid_t, const char *module, const char *name,
	struct type_ref *out);
int probe_symbol(struct probe_table *, pid_t, const char *module, const char *name,
	uint64_t *addr, struct type_ref *type);
int probe_params(struct probe_table *, const struct probe *, struct type_params *out,
	const char **why);
/* The probe of this ID, or NULL. */
const struct probe *probe_by_id(const struct probe_table *, uint32_t id);
/* How many probes the table has: their IDs are 1 to that. */
uint32_t probe_count(const struct probe_table *);

/*
 * How stable a probe is, by DTrace's words: the parts of its name that it has, and its
 * arguments.
 */
void probe_attributes(const struct probe *, struct dtproc_stability *name,
	struct dtproc_stability *args);

#endif
