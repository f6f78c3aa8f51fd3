/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bench for programs: compiles D, loads the blobs into a segment of ordinary memory and
 * runs them for a made-up thread.
 */
#ifndef TESTS_UNIT_DLANG_H
#define TESTS_UNIT_DLANG_H

#include <base/err.h>
#include <bpf/bpf.h>
#include <codegen/codegen.h>

#include <stdlib.h>
#include <string.h>

struct dbench {
	struct rt_client client;
	struct rt_view view;
	struct rt_hit hit;
	unsigned char *mem;
	size_t size;
	struct cg *cg;
	struct cg_script *script;
	_Alignas(64) unsigned char shared[256 * 1024];
	unsigned args_read; /* how often the host was asked for an argument */
	uint64_t raised;    /* bit N - 1: signal N */
	char stored[64];    /* what was written to 0x1000 and on */
};

static inline int bench_arg(void *cookie, unsigned n, uint64_t *out)
{
	((struct dbench *)cookie)->args_read++;
	*out = n == 0 ? 7 : n == 1 ? (uint64_t)-7 : n == 2 ? 0 : 100 + n;
	return 0;
}

/* The victim has 64 bytes at 0x1000 ("hello" and a counter), and nothing else. */
static inline int bench_load(void *cookie, uint64_t addr, void *buf, size_t len)
{
	unsigned char memory[64] = "hello";

	for (unsigned char i = 16; i < 64; i++)
		memory[i] = (unsigned char)(i * 7);
	if (addr < 0x1000 || addr > 0x1040 || len > 0x1040 - addr)
		return -1;
	memcpy(buf, memory + (addr - 0x1000), len);
	return 0;
}

static inline int bench_execname(void *cookie, char out[RT_EXECNAME])
{
	strcpy(out, "victim");
	return 0;
}

static inline int bench_value(void *cookie, uint32_t which, uint64_t *out)
{
	if (which == RT_VALUE_ERRNO)
		return -1;
	*out = 1000 + which;
	return 0;
}

static inline int bench_raise(void *cookie, unsigned sig)
{
	((struct dbench *)cookie)->raised |= 1ULL << (sig - 1);
	return 0;
}

static inline int bench_store(void *cookie, uint64_t addr, const void *buf, size_t len)
{
	if (addr < 0x1000 || addr > 0x1040 || len > 0x1040 - addr)
		return -1;
	memcpy(((struct dbench *)cookie)->stored + (addr - 0x1000), buf, len);
	return 0;
}

static inline int bench_text(void *cookie, uint32_t which, char *buf, size_t size)
{
	strncpy(buf, which == RT_TEXT_CWD ? "/tmp/victim" : "/", size);
	return 0;
}

static inline int bench_progeny(void *cookie, int64_t pid)
{
	return pid == 1 || pid == 42;
}

static inline int bench_reg(void *cookie, unsigned reg, uint64_t *out)
{
	*out = reg;
	return reg >= RT_UREG && reg < RT_UREG + 28 ? 0 : -1;
}

static const struct rt_host bench_host = {.store = bench_store,
	.text = bench_text,
	.progeny = bench_progeny,
	.reg = bench_reg,
	.arg = bench_arg,
	.load = bench_load,
	.execname = bench_execname,
	.value = bench_value,
	.raise = bench_raise};

/* Cuts and fills what `mem` is: fresh. */
static inline int bench_open(struct dbench *b, const struct rt_params *params)
{
	static const char *const names[RT_PARTS] = {
		"pid42", "libc.so.6", "malloc", "entry"};
	static const struct rt_shared_params shared = {
		.globals = 4096, .dyn_bytes = 128 * 1024, .dyn_room = 1024, .specs = 2};
	struct rt_params roomy = *params;

	roomy.self_room = roomy.self_room ? roomy.self_room : 1024;
	params = &roomy;
	memset(b, 0, sizeof *b);
	b->size = rt_segment_size(params);
	b->mem = aligned_alloc(4096, b->size);
	if (!b->mem)
		return -1;
	memset(b->mem, 0, b->size);
	if (rt_segment_format(b->mem, b->size, params, &b->client) ||
		rt_segment_attach(b->mem, b->size, 0, &b->view) ||
		rt_client_name(&b->client, 3, names) || cg_open(&b->cg))
		return -1;
	if (rt_shared_format(b->shared, sizeof b->shared, &shared) ||
		rt_view_shared(&b->view, b->shared, sizeof b->shared))
		return -1;
	b->hit = (struct rt_hit){.view = &b->view,
		.host = &bench_host,
		.cookie = b,
		.probe = 3,
		.pid = 42,
		.tid = 43};
	return 0;
}

static inline void bench_close(struct dbench *b)
{
	cg_script_free(b->script);
	cg_close(b->cg);
	free(b->mem);
}

/* Compiles a text in place of the former one; 0 or the code of the error. */
static inline int bench_compile(struct dbench *b, const char *text)
{
	static char *argv[] = {"test", "12", "word", "-3", "99999999999999999999"};
	struct lang_source source = {.text = text,
		.target = 4711,
		.argc = 5,
		.argv = argv,
		.flags = LANG_ARGREF};

	cg_script_free(b->script);
	b->script = NULL;
	return cg_compile(b->cg, &source, &b->script);
}

/* Runs clause i once; what bpf_program_run() says, or -2 when it does not load. */
static inline int bench_run(struct dbench *b, unsigned i)
{
	struct bpf_program *program;
	int result;

	if (bpf_program_load(
		    b->script->clauses[i].blob, b->script->clauses[i].bytes, &program))
		return -2;
	if (!getenv("TEST_INTERPRETED"))
		bpf_programs_compile(&program, 1);
	result = bpf_program_run(program, &b->hit);
	bpf_program_free(program);
	return result;
}

#endif
