/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walking.  A step goes from a frame's registers to its caller's: by the object's rule
 * for that address; without one by guess.c.
 *
 * ADDRESSES.  A return address stands behind its call and may be in the next function,
 * or behind the end of the last one when the call does not return: rules and names are
 * looked up one byte before.  Not so for the first frame, and for one that a signal
 * interrupted: there the PC is exact.
 *
 * THE END.  Each step has to lead to a higher address of the stack, so that a walk over
 * whatever memory ends.  A signal's frame may lead anywhere, since its handler may have
 * had a stack of its own: SIGNALS_MAX times.
 */
#include "own.h"

#include <stdlib.h>
#include <string.h>
#include <base/hash.h>

#define SIGNALS_MAX 16

int stack_walker_create(const struct stack_source *source, struct stack_walker **out)
{
	struct stack_walker *w = malloc(sizeof *w);

	if (!w)
		return err_nomem("a walk of a stack");
	stack_walker_reset(w, source);
	*out = w;
	return 0;
}

void stack_walker_destroy(struct stack_walker *w)
{
	free(w);
}

void stack_walker_reset(struct stack_walker *w, const struct stack_source *source)
{
	w->source = *source;
	w->window_len = 0;
	memset(w->slots, 0, sizeof w->slots);
}

void stack_regs_from(const struct user_regs_struct *from, struct stack_regs *out)
{
	for (unsigned i = 0; i < ARCH_DWARF_REGS; i++)
		out->value[i] = arch_get(from, (enum arch_reg)(ARCH_REG_FIRST + i));
	out->known = (1u << ARCH_DWARF_REGS) - 1;
}

/* ------------------------------------------------------------------ memory */

int walk_word(struct stack_walker *w, dtproc_addr at, uint64_t *out)
{
	if (at - w->window_at >= w->window_len ||
		w->window_len - (at - w->window_at) < sizeof *out) {
		ssize_t got =
			w->source.read(w->source.arg, at, w->window, sizeof w->window);

		w->window_at = at;
		w->window_len = got < 0 ? 0 : (size_t)got;
		if (w->window_len < sizeof *out)
			return 0;
	}
	memcpy(out, w->window + (at - w->window_at), sizeof *out);
	return 1;
}

size_t walk_text(struct stack_walker *w, dtproc_addr at, void *buf, size_t len)
{
	struct stack_code code = {0};
	size_t got = 0;

	if (w->source.code(w->source.arg, at, &code) && code.object)
		got = object_read(code.object, at - code.bias, buf, len);
	if (got == 0) {
		ssize_t n = w->source.read(w->source.arg, at, buf, len);

		got = n < 0 ? 0 : (size_t)n;
	}
	return got;
}

const struct slot *walk_slot(struct stack_walker *w, dtproc_addr pc)
{
	struct slot *s = &w->slots[hash_mix(pc) & (CACHE_SLOTS - 1)];
	struct stack_code code = {0};

	if (s->pc == pc && pc)
		return s;
	*s = (struct slot){0};
	s->code = w->source.code(w->source.arg, pc, &code) == 1;
	if (s->code) /* code may come where there is none now */
		s->pc = pc;
	if (s->code && code.object &&
		object_rule_at(code.object, pc - code.bias, &s->rule) != 1)
		s->rule = NULL;
	return s;
}

static ssize_t copy_read(void *arg, dtproc_addr at, void *buf, size_t len)
{
	const struct stack_copy *c = arg;
	uint64_t skip = at - c->at;

	if (skip < c->len) {
		len = len < c->len - skip ? len : c->len - skip;
		memcpy(buf, (const char *)c->bytes + skip, len);
		return (ssize_t)len;
	}
	return c->beneath->read ? c->beneath->read(c->beneath->arg, at, buf, len) : 0;
}

static int copy_code(void *arg, dtproc_addr at, struct stack_code *out)
{
	const struct stack_copy *c = arg;

	return c->beneath->code(c->beneath->arg, at, out);
}

struct stack_source stack_copy_source(const struct stack_copy *copy)
{
	return (struct stack_source){(void *)copy, copy_read, copy_code};
}

/* ------------------------------------------------------------------- rules */

static const uint8_t *expression(
	const struct object_rule *rule, const struct object_where *where)
{
	return (const uint8_t *)rule + where->at;
}

static enum step find_cfa(struct stack_walker *w, const struct object_rule *rule,
	const struct stack_regs *regs, uint64_t *cfa)
{
	const struct object_where *where = &rule->cfa;

	if (where->how == OBJECT_IS_EXPR)
		return expr_run(w, regs, expression(rule, where), where->len, NULL, cfa);
	if (!regs_know(regs, where->reg))
		return STEP_NO;
	*cfa = regs->value[where->reg] + (uint64_t)(int64_t)where->at;
	return STEP_DONE;
}

/* The caller's value of one register.  STEP_NO: it is lost. */
static enum step find_saved(struct stack_walker *w, const struct object_rule *rule,
	const struct object_where *where, const struct stack_regs *regs, uint64_t cfa,
	uint64_t *value)
{
	uint64_t at = cfa + (uint64_t)(int64_t)where->at;
	enum step step = STEP_DONE;

	switch (where->how) {
	case OBJECT_IS_CFA:
		*value = at;
		return STEP_DONE;
	case OBJECT_REGISTER:
		if (!regs_know(regs, (unsigned)where->at))
			return STEP_NO;
		*value = regs->value[where->at];
		return STEP_DONE;
	case OBJECT_AT_EXPR:
	case OBJECT_IS_EXPR:
		step = expr_run(w, regs, expression(rule, where), where->len, &cfa, &at);
		if (step != STEP_DONE || where->how == OBJECT_IS_EXPR)
			break;
		/* fall through */
	case OBJECT_AT_CFA:
		return walk_word(w, at, value) ? STEP_DONE : STEP_CUT;
	default:
		return STEP_NO;
	}
	*value = at;
	return step;
}

enum step step_rule(struct stack_walker *w, const struct object_rule *rule,
	const struct walk_frame *f, struct walk_frame *caller)
{
	uint64_t cfa, value;
	uint32_t kept = rule->flags & OBJECT_RULE_SIGNAL ? UINT32_MAX : ARCH_DWARF_KEPT;
	enum step step = find_cfa(w, rule, &f->regs, &cfa);

	if (step != STEP_DONE)
		return step;
	caller->regs = f->regs;
	caller->regs.known &= kept & ~(1u << ARCH_DWARF_PC);
	regs_set(&caller->regs, ARCH_DWARF_SP, cfa);
	for (unsigned i = 0; i < rule->n; i++) {
		const struct object_where *where = &rule->saved[i];

		if (where->reg >= ARCH_DWARF_REGS)
			continue;
		step = find_saved(w, rule, where, &f->regs, cfa, &value);
		if (step == STEP_DONE)
			regs_set(&caller->regs, where->reg, value);
		else if (where->reg == rule->ra)
			return step;
		else
			caller->regs.known &= ~(1u << where->reg);
	}
	if (!regs_know(&caller->regs, rule->ra))
		return STEP_NO;
	regs_set(&caller->regs, ARCH_DWARF_PC, caller->regs.value[rule->ra]);
	caller->cfa = cfa;
	caller->exact = (rule->flags & OBJECT_RULE_SIGNAL) != 0;
	caller->via = STACK_CFI;
	return STEP_DONE;
}

/* ------------------------------------------------------------------- walks */

static uint64_t pc_of(const struct walk_frame *f)
{
	return f->regs.value[ARCH_DWARF_PC];
}

static uint64_t sp_of(const struct walk_frame *f)
{
	return f->regs.value[ARCH_DWARF_SP];
}

/* Does the step lead on?  A signal's frame may lead anywhere, some times. */
static int leads_on(
	const struct walk_frame *f, const struct walk_frame *caller, unsigned *signals)
{
	if (!regs_know(&caller->regs, ARCH_DWARF_SP))
		return 0;
	if (caller->exact)
		return ++*signals <= SIGNALS_MAX;
	return sp_of(caller) > sp_of(f);
}

/* One step, by whatever way works. */
static enum step step(struct stack_walker *w, const struct walk_frame *f,
	struct walk_frame *caller, unsigned *signals)
{
	const struct object_rule *rule = f->rule;
	enum step way = STEP_NO;

	if (rule) {
		if (rule->flags & OBJECT_RULE_LAST)
			return STEP_BOTTOM;
		way = step_rule(w, rule, f, caller);
		if (way == STEP_DONE && leads_on(f, caller, signals))
			return pc_of(caller) ? STEP_DONE : STEP_BOTTOM;
		if (way == STEP_CUT)
			return way;
	}
	way = step_guess(w, f, caller);
	if (way == STEP_DONE && !leads_on(f, caller, signals))
		return STEP_NO;
	return way;
}

/* The same, to code alone. */
static enum step step_to_code(struct stack_walker *w, const struct walk_frame *f,
	struct walk_frame *caller, unsigned *signals)
{
	enum step way = step(w, f, caller, signals);

	if (way != STEP_DONE)
		return way;
	const struct slot *slot = walk_slot(w, pc_of(caller) - !caller->exact);

	caller->rule = slot->rule;
	return slot->code ? STEP_DONE : STEP_NO;
}

static enum stack_end end_of(enum step way)
{
	return way == STEP_BOTTOM ? STACK_BOTTOM
	       : way == STEP_CUT  ? STACK_CUT
				  : STACK_LOST;
}

size_t stack_walk(struct stack_walker *w, const struct stack_regs *regs,
	struct stack_frame *frames, size_t room, enum stack_end *end)
{
	struct walk_frame two[2] = {{.regs = *regs, .exact = 1, .via = STACK_GIVEN}};
	unsigned signals = 0;

	w->window_len = 0;
	*end = STACK_FULL;
	two[0].rule = walk_slot(w, pc_of(&two[0]))->rule;
	for (size_t n = 0; n < room; n++) {
		const struct walk_frame *f = &two[n & 1];
		struct walk_frame *caller = &two[~n & 1];

		frames[n] = (struct stack_frame){
			pc_of(f), 0, (uint8_t)f->via, (uint8_t)f->exact, 0};
		enum step way = step_to_code(w, f, caller, &signals);

		if (way != STEP_DONE) {
			*end = end_of(way);
			return n + 1;
		}
		frames[n].cfa = caller->cfa;
		frames[n].signal = (uint8_t)caller->exact;
	}
	return room;
}
