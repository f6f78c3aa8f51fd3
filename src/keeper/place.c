/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a user of a site has besides an address: arguments of its own, and a range that
 * the jump there has to leave.  A plain one, with the arguments of the calling
 * convention, has none of this.
 */
#include "keeper.h"
#include "ptrace.h"

#include <stdlib.h>
#include <string.h>

struct place {
	dtproc_addr from, to, semaphore;
	uint64_t interval;
	uint8_t own_args, n_args;
	struct wire_operand arg[];
};

static int is_plain(const struct wire_site *w)
{
	return !w->to && !w->semaphore && !w->interval &&
	       !(w->flags & WIRE_SITE_OPERANDS);
}

static int is_sound(const struct wire_operand *o)
{
	return o->size == 1 || o->size == 2 || o->size == 4 || o->size == 8 ||
	       o->kind == WIRE_OPERAND_NONE;
}

static int check(const struct wire_site *w, const struct wire_operands *all)
{
	if (w->operands > WIRE_OPERANDS_MAX || w->operand > all->n ||
		w->operands > all->n - w->operand)
		return err_set(DTPROC_EPROTO, "a site's arguments are not there");
	if (w->interval && w->interval < WIRE_INTERVAL_MIN)
		return err_set(DTPROC_EPROTO, "a site's interval is too short");
	for (unsigned i = 0; i < w->operands; i++)
		if (!is_sound(&all->at[w->operand + i]))
			return err_set(DTPROC_EPROTO, "a site's argument has no size");
	return 0;
}

int place_make(struct keeper *k, const struct wire_site *w,
	const struct wire_operands *all, struct place **out)
{
	struct place *p;
	int err;

	*out = NULL;
	if (is_plain(w))
		return 0;
	err = check(w, all);
	if (err)
		return err;
	p = calloc(1, sizeof *p + w->operands * sizeof *p->arg);
	if (!p)
		return err_nomem("a site");
	p->from = w->from;
	p->to = w->to;
	p->own_args = (w->flags & WIRE_SITE_OPERANDS) != 0;
	p->n_args = w->operands;
	if (p->n_args)
		memcpy(p->arg, all->at + w->operand, p->n_args * sizeof *p->arg);
	p->semaphore = w->semaphore;
	p->interval = w->interval;
	if (p->semaphore && (err = semaphore_raise(k, p->semaphore))) {
		free(p);
		return err;
	}
	*out = p;
	return 0;
}

void place_free(struct keeper *k, struct place *p, enum place_memory memory)
{
	if (p && p->semaphore && memory == PLACE_STAYS)
		semaphore_lower(k, p->semaphore);
	else if (p && p->semaphore)
		semaphore_forget(k, p->semaphore);
	free(p);
}

int place_move(const struct place *p, uint64_t by, struct place **out)
{
	size_t size = p ? sizeof *p + p->n_args * sizeof *p->arg : 0;

	*out = NULL;
	if (p && p->semaphore)
		return -1;
	for (unsigned i = 0; p && i < p->n_args; i++)
		if (p->arg[i].kind == WIRE_OPERAND_MEMORY &&
			p->arg[i].base == WIRE_NO_REG && p->arg[i].index == WIRE_NO_REG)
			return -1;
	if (!p)
		return 0;
	*out = malloc(size);
	if (!*out)
		return -1;
	memcpy(*out, p, size);
	if (p->to) {
		(*out)->from += by;
		(*out)->to += by;
	}
	return 0;
}

static int get_reg(struct task *t, unsigned reg, uint64_t *out)
{
	long offset = arch_user_offset(reg);

	return offset < 0 ? -1 : pt_peek_user(t->tid, offset, out);
}

/* Address of an operand in memory. */
static int address_of(struct task *t, const struct wire_operand *o, dtproc_addr *out)
{
	uint64_t base = 0, index = 0;

	if ((o->base != WIRE_NO_REG && get_reg(t, o->base, &base)) ||
		(o->index != WIRE_NO_REG && get_reg(t, o->index, &index)))
		return -1;
	*out = base + index * o->scale + (uint64_t)o->value;
	return 0;
}

/* The value of `size` bytes, wider. */
static uint64_t extend(uint64_t v, unsigned size, int is_signed)
{
	unsigned rest = 64 - 8 * size;

	return is_signed ? (uint64_t)((int64_t)(v << rest) >> rest) : v << rest >> rest;
}

static int get_operand(
	struct keeper *k, struct task *t, const struct wire_operand *o, uint64_t *out)
{
	dtproc_addr addr;
	uint64_t v = 0;

	switch (o->kind) {
	case WIRE_OPERAND_CONST:
		v = (uint64_t)o->value;
		break;
	case WIRE_OPERAND_REG:
		if (get_reg(t, o->base, &v))
			return -1;
		v >>= o->shift & 63;
		break;
	case WIRE_OPERAND_MEMORY:
		if (address_of(t, o, &addr) ||
			sites_read(k, addr, &v, o->size) != o->size)
			return -1;
		break;
	default:
		return -1;
	}
	*out = extend(v, o->size, o->is_signed);
	return 0;
}

int place_has_args(const struct place *p)
{
	return p && p->own_args;
}

int place_arg(struct keeper *k, struct task *t, const struct place *p, unsigned n,
	uint64_t *out)
{
	if (n < p->n_args)
		return get_operand(k, t, &p->arg[n], out);
	*out = 0;
	return 0;
}

static int read_memory(void *cookie, dtproc_addr addr, void *buf, size_t len)
{
	return sites_read(cookie, addr, buf, len) == (long)len ? 0 : -1;
}

uint64_t place_interval(const struct place *p)
{
	return p ? p->interval : 0;
}

int place_fires(
	struct keeper *k, struct task *t, const struct site *s, const struct place *p)
{
	struct user_regs_struct regs;
	dtproc_addr target;

	if (p && p->interval)
		return t->sample_at && t->sample_at % p->interval == 0;
	if (!p || !p->to)
		return 1;
	if (pt_get_regs(t->tid, &regs) ||
		arch_jump_target(s->orig, sizeof s->orig, s->addr, &regs, read_memory, k,
			&target) <= 0)
		return 0;
	return target - p->from >= p->to - p->from;
}
