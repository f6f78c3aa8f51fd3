/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Engines make a CPU run a program when it reaches a site.  They get pairs of a probe and
 * a program and know neither names of probes nor D.
 *
 * A *unit* is one segment being written to: that of one victim, or the client's own, in
 * which BEGIN, END and timers run.  The layer above drains all units of a set.
 *
 * Threads: one at a time for a set; the segments are written to meanwhile by others.
 * engine_refresh() takes the lock of no other handle than its own.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <base/err.h>
#include <probe/probe.h>
#include <runtime/runtime.h>

struct engine_set;

struct engine_program {
	const void *blob;
	size_t bytes;
};

struct engine_config {
	const char *engine;      /* "auto" or an engine's name */
	struct rt_params params; /* of each segment; lanes, probes and names are ours */
	uint32_t specs;          /* speculations at once; 0: no program makes one */
	uint32_t dyn_bytes;      /* of associative arrays, and of each lane's self-> */
	const struct engine_program *programs; /* borrowed while the set lives */
	size_t n_programs;
	int follows;   /* children too: each makes probes of its own */
	int interpret; /* the programs, although the CPU could run them */
};

int engine_open(const struct engine_config *, struct engine_set **out) MUST_USE;
/* Unmaps all segments.  What is armed stays armed: engine_disarm() comes first. */
void engine_close(struct engine_set *);
/* Is there an engine called thus (or "auto")? */
int engine_exists(const char *name);

/*
 * Wants a program (an index) to run when a probe fires; those of one probe run in the
 * order in which they were wanted.  DTPROC_ESITE: no engine can, with the reason.
 */
int engine_want(struct engine_set *, const struct probe *, uint32_t program) MUST_USE;

/*
 * Has a victim's objects read for what arming will ask of them, while it runs.  They
 * remember it as long as somebody has them open.
 */
void engine_look_ahead(struct dtproc_proc *);

/* Is told of each probe that could not be armed. */
typedef void engine_refused_fn(const struct probe *, const char *why, void *arg);
/*
 * Arms what is wanted and not armed yet, each victim in one request.  Returns how many
 * sites are armed now; a negative code when a victim as a whole failed.
 */
long engine_arm(struct engine_set *, engine_refused_fn *refused, void *arg) MUST_USE;
/* A victim's sites are gone by an exec: nothing is wanted there any more. */
void engine_forget(struct engine_set *, const struct dtproc_proc *);
/* As engine_arm(), for what is wanted in one victim. */
long engine_refresh(struct engine_set *, const struct dtproc_proc *,
	engine_refused_fn *refused, void *arg) MUST_USE;
/*
 * Makes a victim ready for children that are followed: what they record goes to its
 * segment.
 */
int engine_ready(struct engine_set *, struct dtproc_proc *) MUST_USE;
/* Forgets a followed child that has ended, and gives the reference to it back. */
void engine_drop(struct engine_set *, const struct dtproc_proc *);
/* Takes everything out of the victims; errors of those that are gone do not count. */
void engine_disarm(struct engine_set *);

/* Gives the references to victims back, after engine_disarm(); segments stay readable. */
void engine_release(struct engine_set *);

/* When it fires: the programs of a probe of the client run, in the calling thread. */
enum engine_when { ENGINE_WHILE_TRACING, ENGINE_ALWAYS };
void engine_fire(struct engine_set *, const struct probe *, enum engine_when,
	const uint64_t args[10]);

/* An eventfd that a segment rings when it wants to be drained. */
int engine_doorbell(const struct engine_set *);
size_t engine_units(const struct engine_set *);
/* The client's side of a unit's segment. */
struct rt_client *engine_client(struct engine_set *, size_t unit);

#endif
