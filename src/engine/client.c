/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's own engine: BEGIN, END, ERROR and timers run here, in
 * a segment of private memory with one lane.  pid, execname and the like are the
 * client's; there is no victim whose memory could be read.
 */
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "own.h"

struct client {
	struct rt_view view;
	size_t n;
	struct bpf_program *programs[]; /* by index; NULL: not needed here */
};

/* What the host's callbacks know of a hit. */
struct cookie {
	const uint64_t *args;
	pid_t pid, tid;
};

static int able(const struct probe *p)
{
	return p->kind == PROBE_ADDRESS ? err_set(DTPROC_ESITE, "it lies in a victim")
					: 0;
}

static int get_arg(void *cookie, unsigned n, uint64_t *out)
{
	const struct cookie *c = cookie;

	*out = n < 10 ? c->args[n] : 0;
	return 0;
}

static int get_memory(void *cookie, uint64_t addr, void *buf, size_t len)
{
	return -1;
}

static int get_execname(void *cookie, char out[RT_EXECNAME])
{
	const struct cookie *c = cookie;

	return bpf_system_execname(c->pid, c->tid, out);
}

static int get_value(void *cookie, uint32_t which, uint64_t *out)
{
	const struct cookie *c = cookie;

	return bpf_system_value(c->pid, c->tid, which, out);
}

static int get_text(void *cookie, uint32_t which, char *buf, size_t size)
{
	return bpf_system_text(((const struct cookie *)cookie)->pid, which, buf, size);
}

static int is_progeny(void *cookie, int64_t pid)
{
	return bpf_system_progeny(((const struct cookie *)cookie)->pid, pid);
}

static const struct rt_host host = {
	.text = get_text,
	.progeny = is_progeny,
	.arg = get_arg,
	.load = get_memory,
	.execname = get_execname,
	.value = get_value,
};

static int prepare(struct engine_set *s, struct engine_unit *u)
{
	struct client *c;
	int err;

	if (u->own)
		return 0;
	err = engine_make_segment(s, u, ENGINE_PRIVATE);
	if (err)
		return err;
	c = calloc(1, sizeof *c + s->config.n_programs * sizeof *c->programs);
	if (!c)
		return err_nomem("the client's programs");
	c->n = s->config.n_programs;
	u->own = c;
	if (rt_segment_attach(u->memory, u->size, 0, &c->view) ||
		(s->shared && rt_view_shared(&c->view, s->shared, s->shared_size)))
		return err_set(DTPROC_EPROTO, "the client's own segment is not sound");
	return 0;
}

static long arm(struct engine_set *s, struct engine_unit *u, engine_refused_fn *refused,
	void *arg)
{
	int err = prepare(s, u);
	struct client *c = u->own;

	if (!err)
		err = engine_name_probes(u);
	if (err)
		return err;
	for (size_t i = u->armed; i < u->pairs.n; i++) {
		uint32_t k = u->pairs.at[i].program;
		const struct engine_program *p = &s->config.programs[k];

		if (c->programs[k])
			continue;
		err = bpf_program_load(p->blob, p->bytes, &c->programs[k]);
		if (err)
			return err;
	}
	if (!s->config.interpret)
		bpf_programs_compile(c->programs, c->n);
	return (long)(u->pairs.n - u->armed);
}

static void fire(struct engine_unit *u, const struct probe *p, enum engine_when when,
	const uint64_t args[10])
{
	static const uint64_t none[10];
	struct client *c = u->own;
	struct cookie cookie = {args ? args : none, getpid(), (pid_t)syscall(SYS_gettid)};
	struct rt_hit hit = {.view = &c->view,
		.host = &host,
		.cookie = &cookie,
		.probe = p->id,
		.flags = when == ENGINE_ALWAYS ? RT_HIT_ALWAYS : 0,
		.pid = cookie.pid,
		.tid = cookie.tid};

	for (size_t i = 0; i < u->armed; i++)
		if (u->pairs.at[i].probe == p)
			bpf_program_run(c->programs[u->pairs.at[i].program], &hit);
}

static void close_client(struct engine_unit *u)
{
	struct client *c = u->own;

	for (size_t i = 0; c && i < c->n; i++)
		bpf_program_free(c->programs[i]);
	free(c);
}

const struct engine engine_client_side = {
	.name = "client",
	.able = able,
	.arm = arm,
	.fire = fire,
	.close = close_client,
};
