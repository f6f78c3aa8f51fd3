/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a victim's program begins: its entry point, and main().
 *
 * The kernel tells the entry point of what it has executed.  For `ld.so PROGRAM` that is
 * the linker's; the program's is in the header of the first object of the linker's list.
 */
#include "handle.h"

#include <arch/arch.h>
#include <base/clean.h>
#include <base/linkmap.h>
#include <object/object.h>

#include <elf.h>
#include <string.h>

static int read_image(void *proc, dtproc_addr addr, void *buf, size_t len)
{
	struct dtproc_proc *p = proc;

	return victim_mem_read(p->image.mem, addr, buf, len) == (ssize_t)len ? 0 : -1;
}

/* The first mapping of the file that is mapped at `addr`, if it begins with the file. */
static const struct victim_map *begin_of_file(
	const struct victim_maps *maps, dtproc_addr addr)
{
	const struct victim_map *at = victim_maps_find(maps, addr), *m;

	if (!at || !at->inode)
		return NULL;
	for (m = at; m > maps->at && m[-1].dev == at->dev && m[-1].inode == at->inode;)
		m--;
	return m->offset == 0 ? m : NULL;
}

int entry_behind_linker(struct dtproc_proc *p, dtproc_addr debug, dtproc_addr *out)
{
	struct link_debug d;
	struct link_entry program;
	Elf64_Ehdr eh;
	const struct victim_map *m;
	int rc = image_maps_read(p);

	if (rc)
		return rc;
	if (read_image(p, debug, &d, offsetof(struct link_debug, base)) ||
		read_image(p, d.map, &program, sizeof program) ||
		!(m = begin_of_file(&p->image.maps, program.dynamic)) ||
		read_image(p, m->start, &eh, sizeof eh) ||
		memcmp(eh.e_ident, ELFMAG, SELFMAG) || !eh.e_entry)
		return err_set(DTPROC_ENOSYM,
			"pid %d: the program that its linker runs is not found",
			(int)p->pid);
	*out = eh.e_entry + program.bias;
	return 0;
}

static void unref(struct object **o)
{
	object_unref(*o);
}

/* The program's file, and how far it lies from its addresses; NULL: not to be read. */
static struct object *open_program(pid_t pid, dtproc_addr entry, uint64_t *bias)
{
	CLEAN(unref) struct object *o = NULL;
	struct victim_map m;
	int rc;

	if (victim_maps_code(pid, entry, entry + 1, &m))
		return NULL;
	struct object_id id = {m.dev, m.inode};
	rc = object_open_mapped(victim_live_tid(pid), m.start, m.end, m.path, &id, &o);
	if (rc == 0)
		rc = object_bias(o, m.start, m.offset, bias);
	victim_map_free(&m);
	return rc ? NULL : TAKE_PTR(o);
}

dtproc_addr entry_main(struct dtproc_proc *p, dtproc_addr entry)
{
	uint64_t bias = 0, value;
	uint32_t size;
	CLEAN(unref) struct object *o = open_program(p->pid, entry, &bias);
	dtproc_addr at;

	if (o && !object_lookup(o, "main", &value, &size) && object_executable(o, value))
		return value + bias;
	at = arch_start_main(read_image, p, entry);
	return at && o && object_executable(o, at - bias) ? at : 0;
}
