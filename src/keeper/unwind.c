/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacks for programs: the unwinder is a module (base/unwind.h), loaded when a program
 * first asks for one, by the thread's hit that runs it.
 */
#include "unwind.h"
#include "ptrace.h"

#include <base/unwind.h>

#include <dlfcn.h>
#include <stdlib.h>

static const struct unwind_module *load(void)
{
	void *so = dlopen(UNWIND_FILE, RTLD_NOW | RTLD_LOCAL);
	const struct unwind_module *m = so ? dlsym(so, UNWIND_SYMBOL) : NULL;

	if (!m)
		err_set(DTPROC_EKEEPER, "stacks cannot be walked: %s", dlerror());
	else if (m->version != UNWIND_VERSION)
		err_set(DTPROC_EKEEPER,
			"stacks cannot be walked: %s is of version %u, not %u",
			UNWIND_FILE, m->version, UNWIND_VERSION);
	else
		return m;
	return NULL;
}

static long read_victim(void *arg, uint64_t addr, void *buf, size_t len)
{
	return sites_read(arg, addr, buf, len);
}

static pid_t live_of(void *arg)
{
	return live_tid(arg);
}

struct unwinder {
	const struct unwind_module *module;
	struct unwind *state; /* NULL: stacks cannot be walked */
};

/* That there is none is told once. */
static struct unwinder *unwinder_of(struct keeper *k)
{
	const struct unwind_host host = {k, read_victim, live_of};

	if (k->unwinder)
		return k->unwinder;
	k->unwinder = calloc(1, sizeof *k->unwinder);
	if (!k->unwinder)
		return NULL;
	k->unwinder->module = load();
	if (k->unwinder->module)
		k->unwinder->state = k->unwinder->module->open(&host);
	if (!k->unwinder->state) {
		if (k->unwinder->module)
			err_nomem("an unwinder");
		events_error(k);
	}
	return k->unwinder;
}

/* The registers of a stopped task, with the PC that the program would have. */
static int task_regs(struct keeper *k, struct task *t, const struct site *s,
	struct user_regs_struct *out)
{
	dtproc_addr pc;

	if (pt_get_regs(t->tid, out))
		return -1;
	if (s)
		arch_set(out, ARCH_PC, s->addr);
	else if (site_of_slot(k, arch_get(out, ARCH_PC), &pc))
		arch_set(out, ARCH_PC, pc);
	return 0;
}

int unwind_task(struct keeper *k, struct task *t, const struct site *s, uint64_t *pcs,
	size_t room)
{
	const struct unwinder *u = unwinder_of(k);
	struct user_regs_struct regs;

	if (!u || !u->state || task_regs(k, t, s, &regs))
		return -1;
	return (int)u->module->walk(u->state, &regs, pcs, room);
}

void unwind_forget(struct keeper *k)
{
	k->epoch++;
	if (k->unwinder && k->unwinder->state)
		k->unwinder->module->forget(k->unwinder->state);
}

void unwind_close(struct keeper *k)
{
	if (k->unwinder && k->unwinder->state)
		k->unwinder->module->close(k->unwinder->state);
	free(k->unwinder);
	k->unwinder = NULL;
}
