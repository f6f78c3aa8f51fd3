/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share. */
#ifndef ENGINE_OWN_H
#define ENGINE_OWN_H

#include <base/vec.h>
#include "engine.h"

struct engine_pair {
	const struct probe *probe;
	uint32_t program;
};

struct engine_unit {
	const struct engine *engine;
	struct dtproc_proc *proc; /* a reference; NULL: the client */
	struct engine_unit *root; /* whose segment a followed child uses; NULL: its own */
	VEC(struct engine_pair) pairs;
	size_t armed;                /* pairs before this are armed, or refused */
	int watches;                 /* the breakpoint engine's sigaction() is there */
	VEC(struct wire_site) sites; /* that are in the victim */
	void *memory;                /* the segment, mapped */
	size_t size;
	int memfd; /* -1: private memory */
	struct rt_client client;
	void *own; /* the engine's */
};

struct engine_set {
	struct engine_config config;
	int doorbell;
	int shared_fd; /* the session's variables; -1: it has none */
	void *shared;
	size_t shared_size;
	VEC(struct engine_unit *) units;    /* with a segment */
	VEC(struct engine_unit *) followed; /* without */
};

/* One way of reaching a site.  Adding one: a file, and a line in engine.c. */
struct engine {
	const char *name;
	/* 0, or why it cannot serve this probe (DTPROC_ESITE with the text set). */
	int (*able)(const struct probe *);
	/* Makes the segment and hands it to the victim; NULL: it has none there. */
	int (*prepare)(struct engine_set *, struct engine_unit *);
	/* Arms pairs[armed...]; the number armed, or a negative code. */
	long (*arm)(
		struct engine_set *, struct engine_unit *, engine_refused_fn *, void *);
	void (*disarm)(struct engine_set *, struct engine_unit *);
	/* Runs the programs of a probe here; NULL: it fires elsewhere. */
	void (*fire)(struct engine_unit *, const struct probe *, enum engine_when,
		const uint64_t args[10]);
	/* Frees `own`; NULL: nothing to free. */
	void (*close)(struct engine_unit *);
};

extern const struct engine engine_breakpoint, engine_client_side;

/* Makes the memory of the session's variables, if the programs want any. */
int engine_make_shared(struct engine_set *) MUST_USE;
void engine_free_shared(struct engine_set *);

enum engine_sharing { ENGINE_PRIVATE, ENGINE_SHARED };
/* Makes and formats the unit's segment, with room for the names of more probes. */
int engine_make_segment(
	struct engine_set *, struct engine_unit *, enum engine_sharing) MUST_USE;
/* Names the probes of pairs[armed...] in it. */
int engine_name_probes(struct engine_unit *) MUST_USE;

#endif
