/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses by name, through the objects that the victim has mapped. */
#include "handle.h"

#include <base/clean.h>
#include <object/object.h>

#include <stdio.h>
#include <string.h>

/* One executable mapping of a file that is asked for the name. */
struct query {
	pid_t pid, tid; /* tid: victim_live_tid() */
	const char *object, *name;
	uint64_t program_dev, program_ino; /* the program itself, for "a.out" */
};

static void unref(struct object **o)
{
	object_unref(*o);
}

static int is_wanted(
	const struct query *q, const struct object *o, const struct victim_map *m)
{
	if (!q->object || !*q->object)
		return 1;
	if (!strcmp(q->object, "a.out"))
		return m->dev == q->program_dev && m->inode == q->program_ino;
	return object_is_called(object_name(o), q->object);
}

/* 0: found; else not here. */
static int look(const struct query *q, const struct victim_map *m, dtproc_addr *addr,
	size_t *size)
{
	CLEAN(unref) struct object *o = NULL;
	struct object_id id = {m->dev, m->inode};
	uint64_t value, bias;
	uint32_t len;

	if (object_open_mapped(q->tid, m->start, m->end, m->path, &id, &o))
		return -1;
	if (!is_wanted(q, o, m) || object_lookup(o, q->name, &value, &len) ||
		object_bias(o, m->start, m->offset, &bias))
		return -1;
	*addr = value + bias;
	if (size)
		*size = len;
	return 0;
}

/* Index of the mapping that gave the answer, or ENOSYM. */
static int search(const struct query *q, const struct victim_maps *maps,
	dtproc_addr *addr, size_t *size)
{
	for (size_t i = 0; i < maps->n; i++) {
		const struct victim_map *m = &maps->at[i];
		if (m->inode && (m->flags & VICTIM_MAP_EXEC) && !look(q, m, addr, size))
			return (int)i;
	}
	return err_set(DTPROC_ENOSYM, "pid %d has no symbol '%s'%s%s", (int)q->pid,
		q->name, q->object ? " in " : "", q->object ? q->object : "");
}

/* Device and inode of the program, from the mapping that holds its code. */
static void find_program(struct query *q, const struct victim_maps *maps)
{
	struct victim_stat st;
	const struct victim_map *m;

	if (victim_stat_read(q->tid, &st))
		return;
	m = victim_maps_find(maps, st.start_code);
	if (!m)
		return;
	q->program_dev = m->dev;
	q->program_ino = m->inode;
}

/* Tries the maps as they were last seen; what gave the answer must still be there. */
static int search_known(
	struct dtproc_proc *p, struct query *q, dtproc_addr *addr, size_t *size)
{
	const struct victim_maps *maps = &p->image.maps;
	dtproc_addr at;
	size_t len;
	int i;

	if (maps->n == 0 || (p->kind == HOLD_RDONLY && image_refresh(p)))
		return 0;
	find_program(q, maps);
	i = search(q, maps, &at, &len);
	if (i < 0 || !image_maps_still(p, &maps->at[i]))
		return 0;
	*addr = at;
	if (size)
		*size = len;
	return 1;
}

int dtproc_proc_symbol(struct dtproc_proc *p, const char *object, const char *name,
	dtproc_addr *addr, size_t *size)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	struct query q = {.pid = p->pid,
		.tid = victim_live_tid(p->pid),
		.object = object,
		.name = name};
	const struct victim_maps *maps = &p->image.maps;
	int rc;

	if (search_known(p, &q, addr, size))
		return 0;
	rc = image_maps_read(p);
	if (rc)
		return rc;
	find_program(&q, maps);
	rc = search(&q, maps, addr, size);
	return rc < 0 ? rc : 0;
}
