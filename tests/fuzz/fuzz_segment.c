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
	if (*sum % 5 == 0)
		rt_agg_forget(e, *sum % 2 ? RT_CLEAR : RT_TRUNCATE);
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
		rt_view_shared(&b->view, b->shared, sizeof b->shared);
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
			" printf(\"%s\", execname); a[arg0, execname] = arg1; self->b[arg1]++;"
			" s[arg1] = probefunc; @l[a[arg0, s[arg1]]] = llquantize(arg0, 10, 0, 6, 20, 3); }"
			"BEGIN { self->s = speculation(); a[arg0, execname] = 0; }"
			"BEGIN { speculate(self->s); trace(s[self->b[arg1]]); }"
			"BEGIN { commit(self->s); self->s = 0; discard(a[1, \"\"]); }"))
		abort();
	for (size_t i = 0; i + 8 <= size; i += 8) {
		uint32_t where;

		memcpy(&where, data + i, 4);
		if (data[i + 3] & 128) {
			where %= sizeof b.shared - 4;
			memcpy(b.shared + where, data + i + 4, 4);
		} else {
			where %= (uint32_t)b.size - 4;
			memcpy(b.mem + where, data + i + 4, 4);
		}
		step(&b, data[i + 3]);
	}
	rt_client_drops(&b.client, 0, &drops);
	return 0;
}
