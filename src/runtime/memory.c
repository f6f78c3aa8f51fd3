/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory: the victim's, which is read through the host, and that of alloca() and
 * copyin(), which a firing has for itself.  The latter has addresses that no victim's can
 * be (not canonical ones, on any CPU known), so that a pointer of D may point to either.
 */
#include "own.h"

/* How much is copied at once: a piece never crosses a page. */
#define PIECE 64u

/* The memory of this firing at an address; NULL: it is not there, or less of it. */
static unsigned char *own_at(struct rt_hit *hit, uint64_t addr, uint64_t size)
{
	uint64_t at = addr - RT_OWN_ADDRESS;

	if (at > hit->own || size > hit->own - at)
		return NULL;
	return (unsigned char *)hit->view->own + at;
}

static int is_own(uint64_t addr)
{
	return addr - RT_OWN_ADDRESS <= RT_OWN_BYTES;
}

int rt_load(struct rt_hit *hit, uint64_t addr, void *to, uint64_t size)
{
	const unsigned char *own = is_own(addr) ? own_at(hit, addr, size) : NULL;

	if (own) {
		rt_copy(to, own, size);
		return 0;
	}
	if (!is_own(addr) && hit->host->load &&
		hit->host->load(hit->cookie, addr, to, size) >= 0)
		return 0;
	rt_fault(hit, RT_FAULT_BADADDR, addr);
	return -1;
}

RT_HELPER(rt_do_load)
{
	rt_load(hit, c, (void *)(uintptr_t)a, b);
	return 0;
}

/* Reads a string of at most `max` bytes. */
static void load_string(
	struct rt_hit *hit, struct rt_span to, uint64_t addr, uint64_t max)
{
	uint64_t most = max < to.size - 1 ? max : to.size - 1;

	for (uint64_t at = 0; at < most;) {
		uint64_t n = PIECE - (addr + at) % PIECE;
		uint64_t own = addr + at - RT_OWN_ADDRESS;
		if (n > most - at)
			n = most - at;
		if (is_own(addr + at) && own < hit->own && n > hit->own - own)
			n = hit->own - own;
		if (rt_load(hit, addr + at, to.at + at, n))
			return;
		for (uint64_t end = at + n; at < end; at++) {
			if (!to.at[at]) {
				most = at;
				break;
			}
		}
	}
	rt_zero(to.at + most, to.size - most);
}

RT_HELPER(rt_do_load_string)
{
	load_string(hit, rt_span(a, b), c, UINT64_MAX);
	return 0;
}

RT_HELPER(rt_do_load_string_max)
{
	load_string(hit, rt_span(a, b), c, d);
	return 0;
}

/* The address of fresh memory; 0 with a fault when there is no more. */
RT_HELPER(rt_do_alloca)
{
	uint64_t at = hit->own;

	if (a > RT_OWN_BYTES - at)
		return rt_fault(hit, RT_FAULT_NOSCRATCH, 0);
	hit->own = (uint32_t)(at + a + 7) & ~7u;
	rt_zero((unsigned char *)hit->view->own + at, hit->own - at);
	return RT_OWN_ADDRESS + at;
}

/* a copy of memory at a, b bytes */
RT_HELPER(rt_do_copyin)
{
	uint64_t to = rt_do_alloca(hit, b, 0, 0, 0, 0);

	if (to)
		rt_load(hit, a, own_at(hit, to, b), b);
	return to;
}

/* from a to b, c bytes; only a firing's own memory is written */
RT_HELPER(rt_do_bcopy)
{
	unsigned char *to = is_own(b) ? own_at(hit, b, c) : NULL;

	if (!to)
		return rt_fault(hit, RT_FAULT_BADADDR, b);
	rt_load(hit, a, to, c);
	return 0;
}

/* Writes the victim's memory; 0, or -1 with a fault. */
static int store(struct rt_hit *hit, uint64_t addr, const void *from, uint64_t size)
{
	if (!hit->host->store) {
		rt_fault(hit, RT_FAULT_ILLOP, addr);
		return -1;
	}
	if (!is_own(addr) && hit->host->store(hit->cookie, addr, from, size) >= 0)
		return 0;
	rt_fault(hit, RT_FAULT_BADADDR, addr);
	return -1;
}

/* from a to the victim's b, c bytes */
RT_HELPER(rt_do_copyout)
{
	unsigned char piece[PIECE];

	if (c > RT_OWN_BYTES)
		return rt_fault(hit, RT_FAULT_NOSCRATCH, 0);
	for (uint64_t at = 0; at < c; at += PIECE) {
		uint64_t n = c - at < PIECE ? c - at : PIECE;
		if (rt_load(hit, a + at, piece, n) || store(hit, b + at, piece, n))
			break;
	}
	return 0;
}

/* a string to the victim's c, with its NUL; d bytes at most */
RT_HELPER(rt_do_copyoutstr)
{
	struct rt_span s = rt_span(a, b);
	uint64_t n = rt_length(s) + 1;

	n = n < s.size ? n : s.size;
	store(hit, c, s.at, n < d ? n : d);
	return 0;
}
