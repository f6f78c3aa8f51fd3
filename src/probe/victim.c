/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Victims and the objects in them.  A module is a pair of object and bias, found from
 * the executable mappings: a library that dlmopen() loaded twice is two.  The program is
 * the one that holds the entry point (AT_ENTRY).  Objects that cannot be read (the vDSO,
 * a deleted file without the right to reach it) are left out, and that is logged.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <base/clean.h>
#include <base/log.h>
#include <victim/victim.h>
#include "own.h"

#define MAX_MODULES 16384

int probe_module_matches(const struct probe_module *m, const char *wanted)
{
	const char *slash;

	if (m->role == PROBE_PROGRAM && strcmp(wanted, "a.out") == 0)
		return 1;
	if (object_is_called(m->name, wanted))
		return 1;
	slash = strrchr(object_path(m->object), '/');
	return slash && object_is_called(slash + 1, wanted);
}

/* The module's index, or -1: not there yet. */
static long find_module(
	const struct probe_victim *v, const struct object *o, uint64_t bias)
{
	for (size_t i = 0; i < v->modules.n; i++)
		if (v->modules.at[i]->object == o && v->modules.at[i]->bias == bias)
			return (long)i;
	return -1;
}

/* Remembers why an object has no probes; out of memory forgets it. */
static void skip(struct probe_victim *v, const char *path, const char *why,
	dtproc_addr entry_inside)
{
	const char *slash = strrchr(path, '/');
	struct probe_skipped s = {
		strdup(slash ? slash + 1 : path), strdup(why), entry_inside != 0};

	log_line("probe", 1, "pid %d: %s left out: %s", (int)v->pid, path, why);
	if (s.name && s.why && vec_push(&v->skipped, s) == 0)
		return;
	free(s.name);
	free(s.why);
}

static int open_object(struct probe_victim *v, const struct victim_map *m,
	dtproc_addr entry, struct object **object, uint64_t *bias)
{
	struct object_id id = {m->dev, m->inode};
	struct object *o = NULL;
	int err = object_open_mapped(v->pid, m->start, m->end, m->path, &id, &o);
	pid_t tid = err == DTPROC_ENOSYM ? victim_live_tid(v->pid) : v->pid;

	if (tid != v->pid) /* its first thread has ended, and shows nothing */
		err = object_open_mapped(tid, m->start, m->end, m->path, &id, &o);
	if (!err)
		err = object_bias(o, m->start, m->offset, bias);
	if (err && (m->flags & VICTIM_MAP_DELETED))
		err = err_set(DTPROC_ENOSYM,
			"%s was deleted; only root can read it still", m->path);
	if (err) {
		skip(v, m->path, err_text(), entry);
		object_unref(o);
		return err;
	}
	*object = o;
	return 0;
}

/* The module of an object that was there before, or a new one; takes the reference. */
static struct probe_module *make_module(struct probe_victim *v, struct object *o)
{
	struct probe_module *m;

	for (size_t i = 0; i < v->retired.n; i++) {
		m = v->retired.at[i];
		if (m->object != o)
			continue;
		vec_drop(&v->retired, i);
		object_unref(o);
		return m;
	}
	m = calloc(1, sizeof *m);
	if (!m) {
		object_unref(o);
		return NULL;
	}
	m->object = o;
	m->name = object_name(o);
	return m;
}

static void free_module(struct probe_module *m)
{
	object_unref(m->object);
	free(m);
}

/* The index of an object's module, made if it is not there; takes the reference. */
static long add_module(
	struct probe_table *t, struct probe_victim *v, struct object *o, uint64_t bias)
{
	long at = find_module(v, o, bias);
	struct probe_module *m;

	if (at >= 0) {
		object_unref(o);
		return at;
	}
	m = make_module(v, o);
	if (!m || vec_push(&v->modules, m)) {
		if (m)
			free_module(m);
		return err_nomem("modules");
	}
	m->bias = bias;
	m->role = PROBE_LIBRARY;
	m->epoch = t->epoch;
	return (long)v->modules.n - 1;
}

/* The program comes first. */
static void make_program(struct probe_victim *v, size_t at)
{
	struct probe_module *program = v->modules.at[at];

	program->role = PROBE_PROGRAM;
	v->modules.at[at] = v->modules.at[0];
	v->modules.at[0] = program;
}

/* Adds the module of an executable mapping; one that cannot be read is no error. */
static int add_mapping(struct probe_table *t, struct probe_victim *v,
	const struct victim_map *m, dtproc_addr entry)
{
	int is_entry = entry >= m->start && entry < m->end, err;
	struct object *o;
	uint64_t bias;
	long at;

	if (!(m->flags & VICTIM_MAP_EXEC) || !m->inode || m->path[0] != '/')
		return 0;
	if (v->modules.n >= MAX_MODULES)
		return err_set(DTPROC_ELIMIT, "pid %d: more than %d objects", (int)v->pid,
			MAX_MODULES);
	err = open_object(v, m, is_entry ? entry : 0, &o, &bias);
	if (err)
		return err == DTPROC_ENOMEM ? err : 0;
	at = add_module(t, v, o, bias);
	if (at < 0)
		return (int)at;
	v->modules.at[at]->seen = 1;
	v->modules.at[at]->start = m->start;
	/* An object may have several such mappings: any of them can hold the entry. */
	if (is_entry)
		make_program(v, (size_t)at);
	return 0;
}

/* Those that were not seen have left; their names stay. */
static int retire_unseen(struct probe_victim *v)
{
	for (size_t i = v->modules.n; i-- > 0;) {
		struct probe_module *m = v->modules.at[i];

		if (m->seen)
			continue;
		if (vec_push(&v->retired, m))
			return err_nomem("modules");
		m->epoch = 0;
		vec_drop(&v->modules, i);
	}
	return 0;
}

/* Those in [from, to) are to be seen again. */
static void unsee_in(struct probe_victim *v, dtproc_addr from, dtproc_addr to)
{
	for (size_t i = 0; i < v->modules.n; i++)
		if (v->modules.at[i]->start - from < to - from)
			v->modules.at[i]->seen = 0;
}

static void unsee(struct probe_victim *v)
{
	unsee_in(v, 0, UINT64_MAX);
	for (; v->skipped.n; v->skipped.n--) {
		free(v->skipped.at[v->skipped.n - 1].name);
		free(v->skipped.at[v->skipped.n - 1].why);
	}
}

/* Files were found by the PID's number: if it lives, they were its own (rule A7). */
static int still_there(struct probe_victim *v)
{
	struct dtproc_proc_status st;

	dtproc_proc_status(v->proc, &st);
	if (st.run != DTPROC_EXITED && st.run != DTPROC_KILLED)
		return 0;
	return err_set(DTPROC_ENOPROC, "pid %d has ended", (int)v->pid);
}

static int read_modules(struct probe_table *t, struct probe_victim *v)
{
	CLEAN(victim_maps_free) struct victim_maps maps = {0};
	struct victim_auxv start = {0};
	struct dtproc_proc_status st;
	int err;

	/* What is read behind this may be of a later image, not of an earlier one. */
	dtproc_proc_status(v->proc, &st);
	err = hold_maps(v->proc, &maps);
	if (err)
		return err;
	v->generation = st.generation;
	if (victim_auxv_read(v->pid, &start))
		log_line("probe", 1, "%s", err_text());
	v->entry = start.entry;
	unsee(v);
	for (size_t i = 0; i < maps.n && !err; i++)
		err = add_mapping(t, v, &maps.at[i], start.entry);
	if (!err)
		err = still_there(v);
	return err ? err : retire_unseen(v);
}

/* The same where something has changed, and nowhere else. */
static int read_changes(struct probe_table *t, struct probe_victim *v,
	const struct wire_range *range, size_t n)
{
	const struct victim_maps *code;
	int err = hold_code(v->proc, &code);

	/* What left is another one when it is there again. */
	for (size_t i = 0; i < n && !err; i++)
		if (range[i].left)
			unsee_in(v, range[i].from, range[i].to);
	if (!err)
		err = retire_unseen(v);
	for (size_t i = 0; i < n && !err; i++)
		unsee_in(v, range[i].from, range[i].to);
	for (size_t i = 0; i < n && !err; i++) {
		const struct victim_map *m = victim_maps_behind(code, range[i].from);

		for (; m < code->at + code->n && m->start < range[i].to && !err; m++)
			err = add_mapping(t, v, m, v->entry);
	}
	return err ? err : retire_unseen(v);
}

int probe_victim_read(
	struct probe_table *t, struct probe_victim *v, enum hold_change what)
{
	const struct wire_range *range;
	size_t n = what == HOLD_OBJECTS ? hold_changes(v->proc, &range) : 0;
	int err = 0;

	if (n)
		return read_changes(t, v, range, n);
	if (what == HOLD_EXEC) { /* nothing of it is what it was, at the same place too */
		unsee(v);
		v->epoch = t->epoch;
		err = retire_unseen(v);
	}
	return err ? err : read_modules(t, v);
}

void probe_victim_release(struct probe_victim *v)
{
	if (v->proc)
		dtproc_proc_release(v->proc, DTPROC_RELEASE_DEFAULT);
	v->proc = NULL;
}

void probe_victim_free(struct probe_victim *v)
{
	unsee(v);
	for (size_t i = 0; i < v->modules.n; i++)
		free_module(v->modules.at[i]);
	for (size_t i = 0; i < v->retired.n; i++)
		free_module(v->retired.at[i]);
	vec_free(&v->modules);
	vec_free(&v->skipped);
	vec_free(&v->retired);
	for (size_t i = 0; i < v->usdt.n; i++)
		free(v->usdt.at[i]);
	vec_free(&v->usdt);
	probe_victim_release(v);
	free(v);
}

pid_t probe_pid_behind(const char *provider, const char *prefix)
{
	size_t n = strlen(prefix);
	long pid = 0;

	if (strncmp(provider, prefix, n) || !isdigit((unsigned char)provider[n]))
		return 0;
	for (const char *s = provider + n; *s; s++) {
		if (!isdigit((unsigned char)*s) || pid > INT32_MAX / 10)
			return 0;
		pid = pid * 10 + (*s - '0');
	}
	return pid <= INT32_MAX ? (pid_t)pid : 0;
}

struct search {
	pid_t pid;
	struct dtproc_proc *found;
};

static int is_wanted(struct dtproc_proc *p, void *arg)
{
	struct search *s = arg;

	if (dtproc_proc_pid(p) != s->pid)
		return 0;
	hold_ref(p);
	s->found = p;
	return 1;
}

/* A reference to the handle of this PID; one of our own making if there is none. */
static int take_handle(struct probe_table *t, pid_t pid, struct dtproc_proc **out)
{
	struct search s = {pid, NULL};

	if (hold_each(t->session, is_wanted, &s) < 0)
		return DTPROC_ESYS;
	if (s.found) {
		*out = s.found;
		return 0;
	}
	return hold_grab(t->session, HOLD_FOR_LIBRARY, pid,
		t->purpose == PROBE_TO_LIST ? DTPROC_GRAB_RDONLY : 0, out);
}

static struct probe_victim *new_victim(struct probe_table *t, pid_t pid)
{
	struct probe_victim *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->pid = pid;
	v->first = t->entries.n;
	snprintf(v->provider, sizeof v->provider, "pid%d", (int)pid);
	snprintf(v->rtld, sizeof v->rtld, "rtld%d", (int)pid);
	return v;
}

/* Reads its modules and enters it; gone when that fails. */
static int enter(struct probe_table *t, struct probe_victim *v)
{
	int err = read_modules(t, v);

	if (!err && vec_push(&t->victims, v))
		err = err_nomem("victims");
	if (err)
		probe_victim_free(v);
	return err;
}

static int add_victim(struct probe_table *t, pid_t pid, struct probe_victim **out)
{
	struct probe_victim *v = new_victim(t, pid);
	int err;

	if (!v)
		return err_nomem("a victim");
	err = take_handle(t, pid, &v->proc);
	if (err)
		probe_victim_free(v);
	else
		err = enter(t, v);
	if (!err)
		*out = v;
	return err;
}

/* The last one of this PID; NULL.  It may have ended. */
static const struct probe_victim *last_of(const struct probe_table *t, pid_t pid)
{
	for (size_t i = t->victims.n; i-- > 0;)
		if (t->victims.at[i]->pid == pid)
			return t->victims.at[i];
	return NULL;
}

int probe_victim_follow(struct probe_table *t, struct dtproc_proc *proc)
{
	struct probe_victim *v = new_victim(t, dtproc_proc_pid(proc));

	if (!v)
		return err_nomem("a victim");
	v->parent = last_of(t, hold_parent(proc));
	v->epoch = t->epoch;
	hold_ref(proc);
	v->proc = proc;
	return enter(t, v);
}

int probe_victim_is_meant(const struct probe_victim *v, pid_t pid)
{
	for (; v; v = v->parent)
		if (v->pid == pid)
			return 1;
	return 0;
}

struct probe_victim *probe_victim_of(struct probe_table *t, const struct dtproc_proc *p)
{
	for (size_t i = 0; i < t->victims.n; i++)
		if (t->victims.at[i]->proc == p)
			return t->victims.at[i];
	return NULL;
}

int probe_victim_find(struct probe_table *t, pid_t pid, struct probe_victim **out)
{
	for (size_t i = 0; i < t->victims.n; i++) {
		if (t->victims.at[i]->pid != pid || !t->victims.at[i]->proc)
			continue;
		*out = t->victims.at[i];
		return 0;
	}
	return add_victim(t, pid, out);
}

static int add_pid(struct probe_pids *all, pid_t pid)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->at[i] == pid)
			return 0;
	return vec_push(all, pid) ? err_nomem("processes") : 0;
}

static int note_pid(struct dtproc_proc *p, void *arg)
{
	return add_pid(arg, dtproc_proc_pid(p));
}

int probe_pids_known(struct probe_table *t, struct probe_pids *out)
{
	pid_t target = hold_target(t->session); /* it may be held read-only, for a list */
	int err = hold_each(t->session, note_pid, out);

	if (!err && target && t->purpose == PROBE_TO_LIST)
		err = add_pid(out, target);
	for (size_t i = 0; i < t->victims.n && !err; i++)
		err = add_pid(out, t->victims.at[i]->pid);
	return err;
}

void probe_pids_free(struct probe_pids *all)
{
	vec_free(all);
}
