/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The set of units, and which engine serves which probe: the first able one of the list
 * below, which goes from cheap to dear.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <victim/victim.h>
#include "own.h"

static const struct engine *const engines[] = {
	&engine_client_side,
	&engine_breakpoint,
};

int engine_exists(const char *name)
{
	/* The client's is no choice: it serves what fires nowhere else. */
	return strcmp(name, "auto") == 0 || strcmp(name, engine_breakpoint.name) == 0;
}

int engine_open(const struct engine_config *config, struct engine_set **out)
{
	struct engine_set *s = calloc(1, sizeof *s);

	if (!s)
		return err_nomem("engines");
	s->config = *config;
	s->doorbell = victim_lift(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (s->doorbell < 0) {
		free(s);
		return err_errno(DTPROC_ESYS, errno, "eventfd");
	}
	int err = engine_make_shared(s);
	if (err) {
		close(s->doorbell);
		free(s);
		return err;
	}
	*out = s;
	return 0;
}

static void release(struct engine_unit *u)
{
	if (u->proc)
		dtproc_proc_release(u->proc, DTPROC_RELEASE_DEFAULT);
	u->proc = NULL;
}

/* The units of followed children come behind those with a segment of their own. */
static size_t count(const struct engine_set *s)
{
	return s->units.n + s->followed.n;
}

static struct engine_unit *unit_at(const struct engine_set *s, size_t i)
{
	return i < s->units.n ? s->units.at[i] : s->followed.at[i - s->units.n];
}

static void free_unit(struct engine_unit *u)
{
	if (u->engine->close)
		u->engine->close(u);
	if (u->memory)
		munmap(u->memory, u->size);
	if (u->memfd >= 0)
		close(u->memfd);
	vec_free(&u->pairs);
	vec_free(&u->sites);
	release(u);
	free(u);
}

void engine_release(struct engine_set *s)
{
	for (size_t i = 0; i < count(s); i++)
		release(unit_at(s, i));
}

void engine_close(struct engine_set *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < count(s); i++)
		free_unit(unit_at(s, i));
	vec_free(&s->units);
	vec_free(&s->followed);
	engine_free_shared(s);
	close(s->doorbell);
	free(s);
}

static int choose(
	const struct engine_set *s, const struct probe *p, const struct engine **out)
{
	const char *wanted = s->config.engine;
	int err = err_set(DTPROC_ESITE, "no engine serves this kind of probe");

	for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
		const struct engine *e = engines[i];

		if (e != &engine_client_side && strcmp(wanted, "auto") &&
			strcmp(wanted, e->name))
			continue;
		err = e->able(p);
		if (err)
			continue;
		*out = e;
		return 0;
	}
	return err;
}

static struct engine_unit *find_unit(const struct engine_set *s, const struct engine *e,
	const struct dtproc_proc *proc)
{
	for (size_t i = 0; i < count(s); i++) {
		struct engine_unit *u = unit_at(s, i);

		if (u->engine == e && u->proc == proc)
			return u;
	}
	return NULL;
}

static int add_unit(struct engine_set *s, const struct engine *e,
	struct dtproc_proc *proc, struct engine_unit *root, struct engine_unit **out)
{
	struct engine_unit *u = calloc(1, sizeof *u);

	if (!u)
		return err_nomem("a unit");
	u->engine = e;
	u->memfd = -1;
	u->root = root;
	if (root ? vec_push(&s->followed, u) : vec_push(&s->units, u)) {
		free(u);
		return err_nomem("units");
	}
	if (proc)
		hold_ref(proc);
	u->proc = proc;
	*out = u;
	return 0;
}

/* A followed child writes to the segment of the victim that it descends from. */
static int get_unit(struct engine_set *s, const struct engine *e,
	struct dtproc_proc *proc, struct engine_unit **out)
{
	struct engine_unit *root = NULL;

	*out = find_unit(s, e, proc);
	if (*out)
		return 0;
	if (proc && hold_parent(proc)) {
		root = find_unit(s, e, hold_root(proc));
		if (!root)
			return err_set(DTPROC_ESTATE, "pid %d: its parent has no segment",
				(int)dtproc_proc_pid(proc));
	}
	return add_unit(s, e, proc, root, out);
}

int engine_ready(struct engine_set *s, struct dtproc_proc *proc)
{
	struct engine_unit *u = NULL;
	int err = 0;

	for (size_t i = 0; i < sizeof engines / sizeof *engines && !err; i++) {
		if (!engines[i]->prepare)
			continue;
		err = get_unit(s, engines[i], proc, &u);
		if (!err)
			err = engines[i]->prepare(s, u);
	}
	return err;
}

void engine_drop(struct engine_set *s, const struct dtproc_proc *proc)
{
	for (size_t i = s->followed.n; i-- > 0;) {
		struct engine_unit *u = s->followed.at[i];

		if (u->proc != proc)
			continue;
		vec_drop(&s->followed, i);
		free_unit(u);
	}
}

int engine_want(struct engine_set *s, const struct probe *p, uint32_t program)
{
	const struct engine *e = NULL;
	struct engine_unit *u = NULL;
	int err;

	if (program >= s->config.n_programs)
		return err_set(DTPROC_EINVAL, "no program %u", program);
	err = choose(s, p, &e);
	if (!err)
		err = get_unit(s, e, p->proc, &u);
	if (err)
		return err;
	return vec_push(&u->pairs, ((struct engine_pair){p, program}))
		       ? err_nomem("pairs of probe and program")
		       : 0;
}

/*
 * A victim that came to its end is told by a notice, and one that executed another
 * program is armed anew: no errors of arming.
 */
static int is_end(long code)
{
	return code == DTPROC_EEXITED || code == DTPROC_EKILLED || code == DTPROC_ELOST ||
	       code == DTPROC_EIMAGE;
}

static long arm_unit(struct engine_set *s, struct engine_unit *u,
	engine_refused_fn *refused, void *arg)
{
	long n = u->engine->arm(s, u, refused, arg);

	if (n < 0 && !is_end(n))
		return n;
	u->armed = u->pairs.n;
	return n < 0 ? 0 : n;
}

long engine_arm(struct engine_set *s, engine_refused_fn *refused, void *arg)
{
	long armed = 0;

	for (size_t i = 0; i < count(s); i++) {
		long n = arm_unit(s, unit_at(s, i), refused, arg);

		if (n < 0)
			return n;
		armed += n;
	}
	return armed;
}

void engine_forget(struct engine_set *s, const struct dtproc_proc *proc)
{
	for (size_t i = 0; i < count(s); i++) {
		struct engine_unit *u = unit_at(s, i);

		if (u->proc == proc)
			u->armed = u->pairs.n = u->sites.n = 0;
		if (u->proc == proc)
			u->watches = 0;
	}
}

long engine_refresh(struct engine_set *s, const struct dtproc_proc *proc,
	engine_refused_fn *refused, void *arg)
{
	long armed = 0;

	for (size_t i = 0; i < count(s); i++) {
		struct engine_unit *u = unit_at(s, i);
		long n = u->proc == proc ? arm_unit(s, u, refused, arg) : 0;

		if (n < 0)
			return n;
		armed += n;
	}
	return armed;
}

void engine_disarm(struct engine_set *s)
{
	for (size_t i = 0; i < count(s); i++)
		if (unit_at(s, i)->engine->disarm)
			unit_at(s, i)->engine->disarm(s, unit_at(s, i));
}

void engine_fire(struct engine_set *s, const struct probe *p, enum engine_when when,
	const uint64_t args[10])
{
	for (size_t i = 0; i < count(s); i++)
		if (unit_at(s, i)->engine->fire)
			unit_at(s, i)->engine->fire(unit_at(s, i), p, when, args);
}

int engine_doorbell(const struct engine_set *s)
{
	return s->doorbell;
}

size_t engine_units(const struct engine_set *s)
{
	return s->units.n;
}

struct rt_client *engine_client(struct engine_set *s, size_t unit)
{
	return &s->units.at[unit]->client;
}
