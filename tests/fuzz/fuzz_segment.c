/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A segment that its victim scribbles on.  The input is a list of writes (where, what)
 * with hits and drains between them; both sides must stay within their memory.
 */
#include "../unit/dlang.h"

static uint64_t payload[RT_RECORD_MAX / 8];

static int look(const struct rt_agg_entry *e, void *arg)
{
	uint64_t *sum = arg;
	const unsigned char *key = e->key;

	for (uint32_t i = 0; i < e->n_words; i++)
		*sum += e->words[i];
	for (uint32_t i = 0; i < e->key_bytes; i++)
		*sum += key[i];
	return 0;
}

static void step(struct dbench *b, unsigned what)
{
	struct rt_record record;
	uint64_t sum = 0;

	switch (what % 8) {
	case 0:
		while (rt_ring_next(&b->client, 0, &record, payload))
			;
		break;
	case 1:
		rt_agg_each(&b->client, 0, look, &sum);
		break;
	case 2:
		rt_segment_attach(b->mem, b->size, 0, &b->view);
		break;
	default:
		b->hit.flags = RT_HIT_ALWAYS;
		b->hit.probe = what / 8;
		for (unsigned i = 0; i < b->script->n_clauses; i++)
			bench_run(b, i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rt_params params = {
		.ring_bytes = 4096, .agg_bytes = 4096, .probes = 8, .name_bytes = 4096};
	static struct dbench b;
	struct rt_drops drops;

	if (b.mem)
		bench_close(&b);
	if (bench_open(&b, &params) ||
		bench_compile(&b,
			"BEGIN /probefunc != \"x\"/ { @a[probemod, execname] = avg(arg0);"
			" @q[arg1] = quantize(arg0); @ = count(); trace(probefunc);"
			" printf(\"%s\", execname); }"))
		abort();
	for (size_t i = 0; i + 8 <= size; i += 8) {
		uint32_t where;

		memcpy(&where, data + i, 4);
		where %= (uint32_t)b.size - 4;
		memcpy(b.mem + where, data + i + 4, 4);
		step(&b, data[i + 3]);
	}
	rt_client_drops(&b.client, 0, &drops);
	return 0;
}
