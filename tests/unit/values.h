/* SPDX-License-Identifier: BSD-2-Clause */
/* One bench, and what a text leaves there. */
#ifndef TESTS_UNIT_VALUES_H
#define TESTS_UNIT_VALUES_H

#include "unit.h"
#include "dlang.h"

static struct dbench bench;
static uint64_t payload[RT_RECORD_MAX / 8];

static int setup(void **state)
{
	struct rt_params params = {.ring_bytes = 65536,
		.agg_bytes = 65536,
		.probes = 16,
		.name_bytes = 4096};

	return bench_open(&bench, &params);
}

static int teardown(void **state)
{
	bench_close(&bench);
	return 0;
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* Compiles a text and runs its first clause; the record. */
static struct rt_record record_of(const char *text)
{
	struct rt_record record;

	if (bench_compile(&bench, text))
		fail_msg("%s: %s", text, err_text());
	if (bench_run(&bench, 0) == -2)
		fail_msg("%s: %s", text, err_text());
	if (!rt_ring_next(&bench.client, 0, &record, payload))
		fail_msg("%s: no record", text);
	return record;
}

/* Runs clause 0 of a text; the last action's value, which begins the payload for text. */
static int64_t last_value(const char *text)
{
	struct rt_record record = record_of(text);
	const struct cg_clause *c = bench.script->clauses;

	if (record.kind != RT_RECORD_DATA)
		fail_msg(
			"%s: fault %u", text, ((struct rt_fault_record *)payload)->fault);
	return (int64_t)payload[c->actions[c->n_actions - 1].fields[0].offset / 8];
}

#endif
