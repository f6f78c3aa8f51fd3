/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Semaphores of static probes: 16-bit counters in the victim's data, which its code looks
 * at before it makes a probe's arguments.  One is raised by one while a site that names
 * it is armed, whatever the number of these.  The ledger knows them, and what stood there
 * before, so that the successor of a dead keeper can take that back.
 */
#include "keeper.h"

#include <stdlib.h>

struct semaphore {
	unsigned users;
	uint32_t entry; /* in the ledger + 1; 0: there was no room */
};

static int change(int mem, dtproc_addr addr, int by, uint16_t *was)
{
	uint16_t v;

	if (text_read(mem, addr, &v, sizeof v) != sizeof v)
		return -1;
	*was = v;
	if ((by < 0 && v == 0) || (by > 0 && v == UINT16_MAX))
		return 0;
	v = (uint16_t)(v + by);
	return text_write(mem, addr, &v, sizeof v) == sizeof v ? 0 : -1;
}

static uint32_t enter(struct keeper *k, dtproc_addr addr)
{
	uint16_t was = 0;

	text_read(k->mem, addr, &was, sizeof was);
	for (uint32_t i = 0; i < WIRE_LEDGER_SEMAPHORES; i++) {
		struct wire_semaphore *e = &k->ledger->semaphore[i];

		if (e->addr)
			continue;
		e->was = was;
		__atomic_store_n(&e->addr, addr, __ATOMIC_RELEASE);
		return i + 1;
	}
	return 0;
}

int semaphore_raise(struct keeper *k, dtproc_addr addr)
{
	struct semaphore *s = hash_get(&k->semaphores, addr);
	uint16_t was;

	if (s) {
		s->users++;
		return 0;
	}
	s = calloc(1, sizeof *s);
	if (!s || hash_put(&k->semaphores, addr, s)) {
		free(s);
		return err_nomem("a semaphore");
	}
	s->users = 1;
	s->entry = enter(k, addr);
	if (!s->entry) {
		semaphore_forget(k, addr);
		return err_set(DTPROC_ELIMIT, "pid %d: too many semaphores", k->pid);
	}
	if (change(k->mem, addr, 1, &was))
		log_line("keeper", 1, "pid %d: no semaphore at %#lx", k->pid,
			(unsigned long)addr);
	return 0;
}

static void leave(struct keeper *k, const struct semaphore *s)
{
	if (s->entry)
		k->ledger->semaphore[s->entry - 1].addr = 0;
}

void semaphore_lower(struct keeper *k, dtproc_addr addr)
{
	struct semaphore *s = hash_get(&k->semaphores, addr);
	uint16_t was;

	if (!s || --s->users)
		return;
	hash_take(&k->semaphores, addr);
	change(k->mem, addr, -1, &was);
	leave(k, s);
	free(s);
}

void semaphore_forget(struct keeper *k, dtproc_addr addr)
{
	struct semaphore *s = hash_get(&k->semaphores, addr);

	if (!s || --s->users)
		return;
	hash_take(&k->semaphores, addr);
	leave(k, s);
	free(s);
}

void semaphores_forget(struct keeper *k)
{
	hash_each(&k->semaphores, i) {
		struct semaphore *s = k->semaphores.slots[i].value;

		leave(k, s);
		free(s);
	}
	hash_free(&k->semaphores);
}

void semaphores_clean_copy(struct keeper *k, int mem)
{
	uint16_t was;

	hash_each(&k->semaphores, i)
		change(mem, k->semaphores.slots[i].key, -1, &was);
}

void semaphores_lower(struct keeper *k)
{
	for (uint32_t i = 0; i < WIRE_LEDGER_SEMAPHORES; i++) {
		struct wire_semaphore *e = &k->ledger->semaphore[i];
		uint16_t now = 0;

		if (!e->addr)
			continue;
		/* A keeper that died may have entered it and not raised it. */
		if (text_read(k->mem, e->addr, &now, sizeof now) == sizeof now &&
			now != e->was)
			change(k->mem, e->addr, -1, &now);
		e->addr = 0;
	}
}
