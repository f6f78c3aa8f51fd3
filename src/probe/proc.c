/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The proc provider: proc:::exit and the like, moments in the life of each process that
 * is held.  There is one probe of each name for each of them.  They cost nothing that
 * ptrace does not cost anyhow, and so leave out what only a stop at each system call
 * would tell.
 */
#include <string.h>
#include <base/clean.h>
#include <base/glob.h>
#include "own.h"

static const struct {
	const char *name;
	enum wire_moment moment;
} probes[] = {
	{"create", WIRE_MOMENT_CREATE},
	{"exec-success", WIRE_MOMENT_EXEC_SUCCESS},
	{"exit", WIRE_MOMENT_EXIT},
	{"fault", WIRE_MOMENT_FAULT},
	{"lwp-create", WIRE_MOMENT_LWP_CREATE},
	{"lwp-exit", WIRE_MOMENT_LWP_EXIT},
	{"lwp-start", WIRE_MOMENT_LWP_START},
	{"signal-discard", WIRE_MOMENT_SIGNAL_DISCARD},
	{"signal-handle", WIRE_MOMENT_SIGNAL_HANDLE},
	{"start", WIRE_MOMENT_START},
};

/* DTrace's, that are not there. */
static const char *const absent[] = {
	"exec", "exec-failure", "signal-clear", "signal-send"};

static int claims(const struct probe_desc *d)
{
	return strcmp(d->provider, "proc") == 0;
}

static int emit(
	struct probe_table *t, struct probe_victim *v, size_t i, probe_fn *fn, void *arg)
{
	struct probe_place place = {.addr = WIRE_MOMENTS + probes[i].moment};
	struct probe p = {.kind = PROBE_ADDRESS,
		.provider = "proc",
		.module = "",
		.function = "",
		.name = probes[i].name,
		.proc = v->proc,
		.places = &place,
		.n_places = 1,
		.generation = v->generation};
	const struct probe *made;
	int err = probe_intern(t, &p, NULL, &made);

	return err ? err : fn(made, arg);
}

static int names(const struct probe_desc *d, const char *name)
{
	return !*d->module && !*d->function && glob_match(d->name, name);
}

static long each_of(struct probe_table *t, struct probe_victim *v,
	const struct probe_desc *d, probe_fn *fn, void *arg)
{
	long matched = 0;

	for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
		if (!names(d, probes[i].name))
			continue;
		int err = emit(t, v, i, fn, arg);

		if (err < 0)
			return err;
		matched++;
	}
	return matched;
}

static void tell_why(struct probe_table *t, const struct probe_desc *d,
	const struct probe_pids *victims)
{
	for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
		if (names(d, absent[i])) {
			probe_set_why(t, "proc provider: %s is not built yet", absent[i]);
			return;
		}
	probe_set_why(t, victims->n
				 ? "proc has no such probe (dtproc -lP proc lists them)"
				 : "no process is held");
}

static long each(
	struct probe_table *t, const struct probe_desc *d, probe_fn *fn, void *arg)
{
	CLEAN(probe_pids_free) struct probe_pids all = {0};
	struct probe_victim *v;
	long matched = 0, n = probe_pids_known(t, &all);

	for (size_t i = 0; i < all.n && n >= 0; i++) {
		n = probe_victim_find(t, all.at[i], &v);
		if (!n)
			n = each_of(t, v, d, fn, arg);
		matched += n;
	}
	if (!matched)
		tell_why(t, d, &all);
	return n < 0 ? n : matched;
}

/* An exec takes all sites away; who waits for its end wants them again. */
static long each_new(struct probe_table *t, struct probe_victim *v,
	const struct probe_desc *d, probe_fn *fn, void *arg)
{
	return v->epoch == t->epoch ? each_of(t, v, d, fn, arg) : 0;
}

const struct probe_provider probe_proc_provider = {"proc", claims, each, each_new};
