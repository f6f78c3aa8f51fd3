/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a function returns: at each ret, and at each jump that leaves it as a tail call.
 * These instructions get the traps; the return address is never touched, so exceptions,
 * longjmp(), backtraces and coroutines are what they are.
 *
 * PARTS.  Compilers move unlikely code out of a function, to a part of its own (symbol
 * name.cold).  A jump there is none out of the function, and what returns there returns
 * from it.
 *
 * TAIL CALLS.  A direct jump that leaves all parts is one, unless unwind tables say that
 * the stack is not as at the function's entry there: then it goes to a part without a
 * symbol.  For a conditional jump and one through a register or memory (a switch, a
 * pointer to a function) it is looked at each time whether it leaves; most switches need
 * no trap, by the unwind tables again.
 *
 * VALUES.  arg0 is the offset of the instruction from the function's entry, arg1 and arg2
 * the registers of a result, which at a tail call hold nothing yet.
 */
#include <stdio.h>
#include <string.h>
#include <base/clean.h>
#include "code.h"

#define MAX_PARTS 16

struct part {
	dtproc_addr start;
	size_t len;
};

struct search {
	struct probe_victim *victim;
	const struct probe_module *module;
	const struct object_symbol *function;
	struct part part[MAX_PARTS];
	size_t parts;
	VEC(struct probe_place) places;
	const char *unsure;
};

static int is_inside(const struct search *s, dtproc_addr at)
{
	for (size_t i = 0; i < s->parts; i++)
		if (at - s->part[i].start < s->part[i].len)
			return 1;
	return 0;
}

/* Is `name` the cold part of `function`: function.cold, function.cold.3? */
static int is_cold_of(const char *name, const char *function)
{
	size_t n = strlen(function);

	return strncmp(name, function, n) == 0 && strncmp(name + n, ".cold", 5) == 0 &&
	       (name[n + 5] == 0 || name[n + 5] == '.');
}

/* A part that the compiler moved away begins there, or is jumped into; it is noted. */
static int is_moved_part(struct search *s, dtproc_addr at)
{
	const struct object *o = s->module->object;
	const struct object_symbol *sym = object_at(o, at - s->module->bias);

	if (!sym || !sym->size || s->parts == MAX_PARTS ||
		!is_cold_of(object_name_of(o, sym), object_name_of(o, s->function)))
		return 0;
	s->part[s->parts++] = (struct part){sym->value + s->module->bias, sym->size};
	return 1;
}

/* Is the stack there as at the function's entry?  1, 0; -1: nobody tells. */
static int is_bare(const struct search *s, dtproc_addr at)
{
	unsigned reg;
	int64_t offset;

	if (object_frame(s->module->object, at - s->module->bias, &reg, &offset) <= 0)
		return -1;
	return reg == ARCH_ENTRY_CFA_REG && offset == ARCH_ENTRY_CFA_OFFSET;
}

/* Does a function with a name of its own begin there? */
static int is_function(const struct search *s, dtproc_addr at)
{
	const struct object *o = s->module->object;
	const struct object_symbol *sym = object_at(o, at - s->module->bias);

	return sym && sym->value == at - s->module->bias &&
	       sym->kind == OBJECT_FUNCTION && !strstr(object_name_of(o, sym), ".cold");
}

/* Does the instruction leave the function, or may it? */
static int may_leave(struct search *s, dtproc_addr at, const struct arch_lead *lead)
{
	switch (lead->flow) {
	case ARCH_FLOW_RETURN:
		return 1;
	case ARCH_FLOW_JUMP:
	case ARCH_FLOW_BRANCH:
		if (is_inside(s, lead->target) || is_moved_part(s, lead->target))
			return 0;
		return is_function(s, lead->target) || is_bare(s, at);
	case ARCH_FLOW_INDIRECT:
		return is_bare(s, at);
	default:
		return 0;
	}
}

static int add_place(struct search *s, dtproc_addr at, const struct arch_lead *lead)
{
	struct probe_place p = {.addr = at, .late = 1};

	if (lead->flow == ARCH_FLOW_BRANCH || lead->flow == ARCH_FLOW_INDIRECT) {
		p.from = s->part[0].start;
		p.to = p.from + s->part[0].len;
	}
	return vec_push(&s->places, p) ? err_nomem("a function's returns") : 0;
}

static int search_part(struct search *s, const struct part *part)
{
	CLEAN(code_free) struct code c = {0};
	int err = code_read(s->victim, part->start, part->len, &c);

	s->unsure = c.unsure;
	if (c.unsure)
		return err;
	for (size_t i = 0; i < c.insns.n && !err; i++) {
		dtproc_addr at = part->start + c.insns.at[i].at;
		const struct arch_lead *lead = &c.insns.at[i].lead;

		if (may_leave(s, at, lead))
			err = add_place(s, at, lead);
	}
	return err;
}

#define ARGS 3

/* Places and their arguments in one block. */
static int give_args(const struct search *s, struct code_returns *out)
{
	size_t n = s->places.n;
	struct probe_place *to =
		calloc(n ? n : 1, sizeof *to + ARGS * sizeof(struct wire_operand));
	struct wire_operand *args = (struct wire_operand *)(to + n);

	if (!to)
		return err_nomem("a function's returns");
	for (size_t i = 0; i < n; i++, args += ARGS) {
		to[i] = s->places.at[i];
		to[i].args = args;
		to[i].n_args = ARGS;
		args[0] = (struct wire_operand){.kind = WIRE_OPERAND_CONST,
			.size = 8,
			.value = (int64_t)(to[i].addr - s->part[0].start)};
		for (unsigned k = 0; k < 2; k++)
			args[k + 1] = (struct wire_operand){.kind = WIRE_OPERAND_REG,
				.size = 8,
				.base = (uint8_t)arch_result_reg(k)};
	}
	out->places = to;
	out->n = n;
	return 0;
}

int code_returns(struct probe_victim *v, const struct probe_module *m,
	const struct object_symbol *f, struct code_returns *out)
{
	struct search s = {.victim = v, .module = m, .function = f};
	int err = 0;

	s.part[s.parts++] = (struct part){f->value + m->bias, f->size};
	for (size_t i = 0; i < s.parts && !err && !s.unsure; i++)
		err = search_part(&s, &s.part[i]);
	*out = (struct code_returns){.unsure = s.unsure};
	if (!err && !s.unsure)
		err = give_args(&s, out);
	vec_free(&s.places);
	return err;
}
