/* SPDX-License-Identifier: BSD-2-Clause */
/* Making a unit's segment: a sealed memfd, or private memory for the client's own. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <victim/victim.h>
#include "own.h"

#define MORE_PROBES 65536u
#define MORE_BYTES (4u << 20)
#define MOST_BYTES (1u << 29)
#define MOST_PROBES (1u << 23)
/* Followed children that have names of their own for all probes. */
#define CHILDREN 16384u

static void parts_of(const struct probe *p, const char *parts[RT_PARTS])
{
	parts[RT_PART_PROVIDER] = p->provider;
	parts[RT_PART_MODULE] = p->module;
	parts[RT_PART_FUNCTION] = p->function;
	parts[RT_PART_NAME] = p->name;
}

/* The most that any program wants; what the compiler says is the session's total. */
static struct bpf_blob wanted(const struct engine_config *c)
{
	struct bpf_blob most = {0};

	for (size_t i = 0; i < c->n_programs; i++) {
		struct bpf_blob head;

		if (c->programs[i].bytes < sizeof head)
			continue;
		memcpy(&head, c->programs[i].blob, sizeof head);
		most.globals = MAX(most.globals, head.globals);
		most.self_room = MAX(most.self_room, head.self_room);
		most.array_room = MAX(most.array_room, head.array_room);
	}
	return most;
}

/*
 * Geometry with room for the names of all probes of the unit, and of as many that come
 * later, or more: what is not used takes no memory.
 */
static struct rt_params geometry(const struct engine_set *s, const struct engine_unit *u)
{
	struct rt_params g = s->config.params;
	size_t bytes = 4096;

	g.lanes = 1;
	g.probes = 1;
	g.self_bytes = s->config.dyn_bytes;
	g.self_room = wanted(&s->config).self_room;
	for (size_t i = 0; i < u->pairs.n; i++) {
		const struct probe *p = u->pairs.at[i].probe;
		const char *parts[RT_PARTS];

		if (p->id >= g.probes)
			g.probes = p->id + 1;
		parts_of(p, parts);
		for (int k = 0; k < RT_PARTS; k++)
			bytes += strlen(parts[k]) + 1;
	}
	if (s->config.follows) {
		g.probes *= CHILDREN;
		bytes *= CHILDREN;
	}
	g.probes = g.probes < MORE_PROBES ? MORE_PROBES : 2 * g.probes;
	g.probes = g.probes > MOST_PROBES ? MOST_PROBES : g.probes;
	bytes = bytes < MORE_BYTES ? MORE_BYTES : 2 * bytes;
	g.name_bytes = bytes > MOST_BYTES ? MOST_BYTES : (uint32_t)bytes;
	return g;
}

/* A memfd of that size which nobody can make smaller, mapped. */
static int sealed(const char *name, size_t size, int *fd, void **mem)
{
	int err = victim_memfd(name, size, fd);

	if (err)
		return err;
	if (fcntl(*fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL))
		return err_errno(DTPROC_ESYS, errno, "a segment of %zu bytes", size);
	*mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	return 0;
}

int engine_name_probes(struct engine_unit *u)
{
	struct rt_client *client = u->root ? &u->root->client : &u->client;
	const struct probe *last = NULL;

	for (size_t i = u->armed; i < u->pairs.n; i++) {
		const struct probe *p = u->pairs.at[i].probe;
		const char *parts[RT_PARTS];

		if (p == last)
			continue;
		last = p;
		parts_of(p, parts);
		if (rt_client_name(client, p->id, parts))
			return err_set(DTPROC_ELIMIT, "no room for the names of probes");
	}
	return 0;
}

int engine_make_segment(
	struct engine_set *s, struct engine_unit *u, enum engine_sharing sharing)
{
	struct rt_params geo = geometry(s, u);
	int err = 0;

	u->size = rt_segment_size(&geo);
	if (!u->size)
		return err_set(DTPROC_EINVAL, "buffers of such a size are not possible");
	if (sharing == ENGINE_SHARED)
		err = sealed("dtproc-segment", u->size, &u->memfd, &u->memory);
	else
		u->memory = mmap(NULL, u->size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (err)
		return err;
	if (u->memory == MAP_FAILED) {
		u->memory = NULL;
		return err_errno(DTPROC_ESYS, errno, "a segment of %zu bytes", u->size);
	}
	if (rt_segment_format(u->memory, u->size, &geo, &u->client))
		return err_set(DTPROC_EINVAL, "buffers of such a size are not possible");
	return 0;
}

int engine_make_shared(struct engine_set *s)
{
	struct bpf_blob most = wanted(&s->config);
	struct rt_shared_params p = {.globals = most.globals,
		.dyn_bytes = s->config.dyn_bytes,
		.dyn_room = most.array_room,
		.specs = s->config.specs};
	size_t size = rt_shared_size(&p);
	void *mem = NULL;
	int err;

	s->shared_fd = -1;
	if (!p.globals && !p.dyn_room && !p.specs)
		return 0;
	err = sealed("dtproc-shared", size, &s->shared_fd, &mem);
	if (!err && mem == MAP_FAILED)
		err = err_errno(
			DTPROC_ESYS, errno, "memory for %zu bytes of variables", size);
	if (!err && rt_shared_format(mem, size, &p)) {
		munmap(mem, size);
		err = err_set(DTPROC_EINVAL, "so many variables are not possible");
	}
	if (err) {
		engine_free_shared(s);
		return err;
	}
	s->shared = mem;
	s->shared_size = size;
	return 0;
}

void engine_free_shared(struct engine_set *s)
{
	if (s->shared)
		munmap(s->shared, s->shared_size);
	if (s->shared_fd >= 0)
		close(s->shared_fd);
	s->shared = NULL;
	s->shared_fd = -1;
}
