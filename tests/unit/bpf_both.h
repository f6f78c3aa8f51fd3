/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program in both forms, each on a bench of its own.  The benches see the same programs
 * one after the other, so whatever one form does differently once stays visible.
 */
#ifndef TESTS_UNIT_BPF_BOTH_H
#define TESTS_UNIT_BPF_BOTH_H

#include "dlang.h"

struct both {
	struct dbench interpreted, compiled;
	int result; /* of the run: what bpf_program_run() said */
};

static inline int both_open(struct both *b)
{
	static const struct rt_params params = {.ring_bytes = 4096,
		.agg_bytes = 8192,
		.probes = 8,
		.name_bytes = 4096,
		.self_bytes = 4096};

	if (bench_open(&b->interpreted, &params) || bench_open(&b->compiled, &params))
		return -1;
	b->interpreted.hit.flags = b->compiled.hit.flags = RT_HIT_ALWAYS;
	return 0;
}

static inline void both_close(struct both *b)
{
	bench_close(&b->interpreted);
	bench_close(&b->compiled);
}

/* Takes all records out, so that there is room for the next ones. */
static inline void both_drain(struct dbench *d)
{
	static uint64_t payload[RT_RECORD_MAX / 8];
	struct rt_record record;

	while (rt_ring_next(&d->client, 0, &record, payload))
		;
}

#define BOTH_DIFFER(field, what)                                                         \
	if (memcmp(&b->interpreted.field, &b->compiled.field,                            \
		    sizeof b->interpreted.field))                                        \
	return what

/* What the two forms left differently; NULL: nothing. */
static inline const char *both_compare(struct both *b)
{
	BOTH_DIFFER(hit.fault, "fault");
	BOTH_DIFFER(hit.fault_pc, "where it ended");
	BOTH_DIFFER(hit.fault_value, "value of the fault");
	BOTH_DIFFER(hit.timestamp, "timestamp");
	BOTH_DIFFER(args_read, "arguments asked for");
	BOTH_DIFFER(raised, "signals");
	BOTH_DIFFER(view.scratch, "scratch memory");
	BOTH_DIFFER(view.locals, "this-> variables");
	BOTH_DIFFER(view.own, "memory of alloca()");
	BOTH_DIFFER(view.token, "string of strtok()");
	BOTH_DIFFER(hit.own, "how much alloca() gave");
	BOTH_DIFFER(hit.token, "place of strtok()");
	BOTH_DIFFER(shared, "global variables and arrays");
	BOTH_DIFFER(stored, "the victim's memory");
	if (memcmp(b->interpreted.mem, b->compiled.mem, b->compiled.size))
		return "segment";
	return NULL;
}

/* Runs it in both; what differs, or NULL. */
static inline const char *both_run(struct both *b, const void *blob, size_t bytes)
{
	struct bpf_program *p;
	const char *what;
	int result;

	if (bpf_program_load(blob, bytes, &p))
		return err_text();
	rt_hit_probe(&b->interpreted.hit, 3);
	rt_hit_probe(&b->compiled.hit, 3);
	b->result = bpf_program_run(p, &b->interpreted.hit);
	what = bpf_programs_compile(&p, 1) ? NULL : "no machine code";
	result = bpf_program_run(p, &b->compiled.hit);
	bpf_program_free(p);
	if (!what && result != b->result)
		what = "result";
	if (!what)
		what = both_compare(b);
	both_drain(&b->interpreted);
	both_drain(&b->compiled);
	return what;
}

#endif
