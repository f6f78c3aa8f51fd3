/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * D text.  Whatever it is: a diagnostic or programs; and what the compiler makes the
 * verifier accepts, and it runs to its end or to a fault.
 */
#include "../unit/dlang.h"

#include <stdio.h>

static struct dbench bench;
static uint64_t payload[RT_RECORD_MAX / 8];

static void run_all(void)
{
	struct rt_record record;

	for (unsigned i = 0; i < bench.script->n_clauses; i++) {
		bench.hit.flags = RT_HIT_ALWAYS;
		if (bench_run(&bench, i) == -2) {
			fprintf(stderr, "%s\n", err_text());
			abort();
		}
		while (rt_ring_next(&bench.client, 0, &record, payload))
			;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rt_params params = {
		.ring_bytes = 65536, .agg_bytes = 65536, .probes = 8, .name_bytes = 4096};
	static unsigned used;
	char *text;

	if (used++ % 1000 == 0) { /* aggregations live as long as the session */
		if (bench.cg)
			bench_close(&bench);
		if (bench_open(&bench, &params))
			abort();
	}
	text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	if (!bench_compile(&bench, text))
		run_all();
	free(text);
	return 0;
}
