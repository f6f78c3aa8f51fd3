/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots: small pieces of executable memory in the victim, near its text, in which
 * displaced instructions run.  They lie in areas mapped by a call that the victim is
 * made to execute, and stay mapped when control ends: nothing can tell whether a thread
 * is still on its way through one.
 */
#include "keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ULL
#define AREA_MIN (16 * PAGE)
/* Distance kept from what lies above, where the program may want to grow downwards. */
#define MARGIN (1ULL << 20)
#define LOWEST (16 * PAGE)

static int in_reach(dtproc_addr a, dtproc_addr b)
{
	return (a > b ? a - b : b - a) < ARCH_REACH;
}

static dtproc_addr take_from(struct slot_area *a)
{
	uint32_t i;

	if (a->vacant.n)
		i = a->vacant.at[--a->vacant.n];
	else if (a->next < a->slots)
		i = a->next++;
	else
		return 0;
	return a->base + (dtproc_addr)i * ARCH_SLOT_MAX;
}

/* Slots that cannot be written: their sites are stepped, or tried again. */
static void slots_lost(struct keeper *k, dtproc_addr at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct site *s = hash_take(&k->slots, at + i * ARCH_SLOT_MAX);
		if (!s)
			continue;
		s->slot = 0;
		s->way = ARCH_STEP;
		s->ready = !s->syscall;
	}
}

struct gap_search {
	dtproc_addr near, size, best;
};

/* Considers the gap [from, to): the place in it that is nearest to `near`. */
static void consider(struct gap_search *s, dtproc_addr from, dtproc_addr to)
{
	dtproc_addr room = to - from, at;

	if (from < LOWEST)
		from = LOWEST;
	if (to <= from || to - from < s->size)
		return;
	at = to - s->size;
	if (room > 4 * MARGIN + s->size)
		at -= MARGIN;
	if (from > s->near && room > 64 * MARGIN) /* above: as low as the heap allows */
		at = from + 32 * MARGIN < at ? from + 32 * MARGIN : at;
	if (!in_reach(at, s->near) || !in_reach(at + s->size, s->near))
		return;
	if (!s->best ||
		(at > s->near ? at - s->near : s->near - at) <
			(s->best > s->near ? s->best - s->near : s->near - s->best))
		s->best = at & ~(PAGE - 1);
}

static dtproc_addr find_gap(struct keeper *k, dtproc_addr near, size_t size)
{
	struct gap_search s = {.near = near, .size = size};
	char line[512];
	unsigned long from, to, end = 0;
	FILE *f = proc_open("/proc/%d/maps", live_tid(k));

	if (!f)
		return 0;
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		if (!strstr(line, "[stack]")) /* it grows downwards */
			consider(&s, end, from);
		end = to;
	}
	fclose(f);
	return s.best;
}

static struct slot_area *make_area(struct keeper *k, dtproc_addr near, size_t want)
{
	/* One is left out, and the guard lies among them. */
	uint64_t size =
		((want + 1) * ARCH_SLOT_MAX + ARCH_GUARD_BYTES + PAGE - 1) & ~(PAGE - 1);
	struct slot_area a = {0};

	if (size < AREA_MIN)
		size = AREA_MIN;
	dtproc_addr at = find_gap(k, near, size);
	if (!at)
		return NULL;
	const uint64_t args[6] = {at, size, PROT_READ | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, (uint64_t)-1, 0};
	long got = inject_call(k, SYS_mmap, args);
	if (got < 0 && got > -4096) {
		log_line("slots", 1, "pid %d: no slots at %#lx: %s", k->pid,
			(unsigned long)at, strerror((int)-got));
		return NULL;
	}
	a.base = (dtproc_addr)got;
	a.slots = (uint32_t)(size / ARCH_SLOT_MAX);
	a.next = 1; /* the guard looks at the byte before a slot */
	return vec_push(&k->areas, a) ? NULL : &k->areas.at[k->areas.n - 1];
}

dtproc_addr slot_take(struct keeper *k, dtproc_addr near, size_t want)
{
	for (size_t i = 0; i < k->areas.n; i++) {
		struct slot_area *a = &k->areas.at[i];
		dtproc_addr slot = in_reach(a->base, near) ? take_from(a) : 0;
		if (slot)
			return slot;
	}
	struct slot_area *a = k->no_inject ? NULL : make_area(k, near, want);
	return a ? take_from(a) : 0;
}

int slot_fill(struct keeper *k, dtproc_addr slot, const uint8_t code[ARCH_SLOT_MAX])
{
	if (k->staged.n && slot != k->staged_at + k->staged.n * ARCH_SLOT_MAX)
		slots_flush(k);
	if (!k->staged.n)
		k->staged_at = slot;
	struct slot_code c;
	memcpy(c.bytes, code, sizeof c.bytes);
	return vec_push(&k->staged, c);
}

void slots_flush(struct keeper *k)
{
	size_t len = k->staged.n * sizeof *k->staged.at;

	if (len && text_write(k->mem, k->staged_at, k->staged.at, len) != (long)len)
		slots_lost(k, k->staged_at, k->staged.n);
	k->staged.n = 0;
}

dtproc_addr slots_take_room(struct keeper *k, size_t len)
{
	uint32_t n = (uint32_t)((len + ARCH_SLOT_MAX - 1) / ARCH_SLOT_MAX);

	for (size_t i = 0; i < k->areas.n; i++) {
		struct slot_area *a = &k->areas.at[i];
		if (a->slots - a->next < n)
			continue;
		a->next += n;
		return a->base + (dtproc_addr)(a->next - n) * ARCH_SLOT_MAX;
	}
	return 0;
}

void slot_give(struct keeper *k, dtproc_addr slot)
{
	for (size_t i = 0; i < k->areas.n; i++) {
		struct slot_area *a = &k->areas.at[i];
		if (slot - a->base < (dtproc_addr)a->slots * ARCH_SLOT_MAX) {
			uint32_t n = (uint32_t)((slot - a->base) / ARCH_SLOT_MAX);
			if (vec_push(&a->vacant, n))
				log_line("slots", 1, "a slot is not used again");
			return;
		}
	}
}
