/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A clause to a program: predicate, then statements in order, each value going straight
 * to its place in the record; at the end the record is put into the ring as a whole.  A
 * fault before that leaves no record of the clause (as DTrace has it); what aggregations
 * took stays.
 */
#include "gen.h"

#include <signal.h>
#include <string.h>

/* Is it the bare name of a part of the probe?  Then the probe's id says it all. */
static int is_probe_part(const struct lang_node *n)
{
	return n->kind == LANG_N_BUILTIN && n->builtin->kind == LANG_B_PROBE;
}

struct cg_field gen_field(struct gen *g, const struct lang_node *n, uint32_t *offset)
{
	struct cg_field f = {.kind = CG_INT, .offset = *offset, .size = 8};

	if (is_probe_part(n)) {
		f.kind = CG_PROBE;
		f.part = (uint8_t)n->builtin->code;
	} else if (n->type->kind == LANG_T_STRING) {
		f.kind = CG_STRING;
		f.size = gen_capacity(g, n);
	} else if (lang_type_is_trace(n->type)) {
		gen_address_field(g, n, &f);
	} else if (lang_type_is_bytes(n->type)) {
		f.kind = CG_BYTES;
		f.bytes = n->type->size;
		f.size = (f.bytes + 7) & ~7u;
	} else {
		f.type_size = (uint8_t)n->type->size;
		f.is_signed = n->type->is_signed;
	}
	f.type = n->type;
	*offset += f.size;
	return f;
}

void gen_store(
	struct gen *g, const struct lang_node *n, const struct cg_field *f, uint32_t base)
{
	if (f->kind == CG_STRING) {
		struct place to = {BPF_AREA_SCRATCH, base + f->offset, f->size};
		gen_string_into(g, n, to);
		return;
	}
	if (f->kind == CG_BYTES) {
		gen_bytes(g, n, base + f->offset);
		return;
	}
	if (f->kind == CG_STACK || f->kind == CG_ADDRESS) {
		gen_address_store(g, n, f, base + f->offset);
		return;
	}
	if (f->kind == CG_PROBE) {
		gen_number(g, R1, RT_VALUE_PROBE);
		gen_call(g, RT_HELPER_VALUE);
	} else {
		gen_expression(g, n);
	}
	gen_code(g, BPF_C_STX | BPF_M_MEM | BPF_S_DW, R_SCRATCH, R0,
		(int)(base + f->offset), 0);
}

/* -------------------------------------------------------------------------- layout */

static enum cg_action_kind kind_of(const struct lang_node *call)
{
	static const enum cg_action_kind kinds[] = {
		[LANG_ACT_TRACE] = CG_TRACE,
		[LANG_ACT_PRINTF] = CG_PRINTF,
		[LANG_ACT_EXIT] = CG_EXIT,
		[LANG_ACT_PRINTA] = CG_PRINTA,
		[LANG_ACT_CLEAR] = CG_CLEAR,
		[LANG_ACT_TRUNC] = CG_TRUNC,
		[LANG_ACT_PRINT] = CG_PRINT,
		[LANG_ACT_TRACEMEM] = CG_TRACEMEM,
		[LANG_ACT_SYSTEM] = CG_SYSTEM,
		[LANG_ACT_FREOPEN] = CG_FREOPEN,
		[LANG_ACT_FTRUNCATE] = CG_FTRUNCATE,
		[LANG_ACT_SETOPT] = CG_SETOPT,
		[LANG_ACT_NORMALIZE] = CG_NORMALIZE,
		[LANG_ACT_DENORMALIZE] = CG_DENORMALIZE,
	};
	return kinds[call->func->code];
}

/* Does it leave something in the record? */
static int is_recording(const struct lang_stmt *s)
{
	return s->is_action && s->expr->func->code < LANG_ACT_STOP;
}

static int is_call_of(const struct lang_stmt *s, enum lang_action action)
{
	return s->is_action && s->expr->func->code == action;
}

static int is_destructive(const struct lang_stmt *s)
{
	return is_call_of(s, LANG_ACT_STOP) || is_call_of(s, LANG_ACT_RAISE) ||
	       is_call_of(s, LANG_ACT_SYSTEM) || is_call_of(s, LANG_ACT_FREOPEN);
}

/* tracemem(): so many bytes, and how many of them are shown. */
static void lay_memory(struct gen *g, const struct lang_node *call,
	struct cg_field *fields, uint32_t *offset)
{
	const struct lang_node *size = call->args->next;

	fields[0] = (struct cg_field){.kind = CG_BYTES,
		.offset = *offset,
		.bytes = (uint32_t)size->value,
		.size = ((uint32_t)size->value + 7) & ~7u};
	*offset += fields[0].size;
	if (size->next)
		fields[1] = gen_field(g, size->next, offset);
}

/* Where the arguments of an action lie in the record; the format takes no room. */
static int lay_action(struct gen *g, const struct lang_node *call, struct cg_action *out,
	uint32_t *offset)
{
	struct cg_field *fields = gen_own(g, call->n_args * sizeof *fields);
	const struct lang_agg **aggs = gen_own(g, call->n_args * sizeof *aggs);
	const struct lang_node *a = call->args;

	if (!fields || !aggs)
		return DTPROC_ENOMEM;
	out->kind = kind_of(call);
	out->format = call->format;
	gen_address_format(g, call->format);
	out->fields = fields;
	out->aggs = aggs;
	if (out->kind == CG_TRACEMEM) {
		lay_memory(g, call, fields, offset);
		out->n_fields = call->n_args - 1;
		return 0;
	}
	for (a = call->format ? a->next : a; a; a = a->next) {
		if (a->kind == LANG_N_AGG)
			aggs[out->n_aggs++] = a->agg;
		else
			fields[out->n_fields++] = gen_field(g, a, offset);
	}
	return 0;
}

static int lay_record(
	struct gen *g, const struct lang_clause *clause, struct cg_clause *out)
{
	struct cg_action *actions;
	uint32_t offset = 0;
	unsigned n = 0;

	for (const struct lang_stmt *s = clause->stmts; s; s = s->next) {
		n += is_recording(s) != 0;
		out->is_destructive |= is_destructive(s);
		out->is_speculative |= is_call_of(s, LANG_ACT_SPECULATE);
	}
	if (out->is_speculative)
		offset = sizeof(struct rt_tag);
	actions = gen_own(g, n * sizeof *actions);
	if (!actions)
		return DTPROC_ENOMEM;
	out->actions = actions;
	for (const struct lang_stmt *s = clause->stmts; s; s = s->next)
		if (is_recording(s) &&
			lay_action(g, s->expr, &actions[out->n_actions++], &offset))
			return DTPROC_ENOMEM;
	out->has_record = n || !clause->stmts || out->is_speculative;
	out->record_bytes = !out->has_record ? 0 : offset ? offset : 8;
	if (!offset && out->has_record)
		offset = 8;
	gen_scratch(g, offset);
	return g->err;
}

/* ---------------------------------------------------------------------- statements */

static void action(struct gen *g, const struct lang_node *call, struct cg_action *out)
{
	const struct lang_node *a = call->format ? call->args->next : call->args;
	const struct cg_field *f = out->fields;

	out->pc = (uint32_t)g->code.n;
	if (out->kind == CG_TRACEMEM) {
		gen_load(g, a, f->bytes, f->offset);
		a = a->next->next;
		f++;
	}
	for (; a; a = a->next)
		if (a->kind != LANG_N_AGG)
			gen_store(g, a, f++, 0);
	if (out->kind == CG_EXIT)
		gen_call(g, RT_HELPER_EXIT);
}

/* The clause's record begins with what speculate() says. */
static void speculate(struct gen *g, const struct lang_node *call)
{
	struct place tag = {BPF_AREA_SCRATCH, 0, sizeof(struct rt_tag)};

	gen_expression(g, call->args);
	gen_move(g, R1, R0);
	gen_span(g, R2, tag);
	gen_call(g, RT_HELPER_SPECULATE);
}

/* stop() and raise() are carried out when the run is over. */
static void unrecorded(struct gen *g, const struct lang_node *call)
{
	enum rt_helper_id helper = call->func->code == LANG_ACT_COMMIT ? RT_HELPER_COMMIT
				   : call->func->code == LANG_ACT_DISCARD
					   ? RT_HELPER_DISCARD
					   : RT_HELPER_RAISE;

	if (call->func->code == LANG_ACT_SPECULATE) {
		speculate(g, call);
		return;
	}
	if (call->args)
		gen_expression(g, call->args);
	else
		gen_number(g, R0, SIGSTOP);
	gen_move(g, R1, R0);
	gen_call(g, helper);
}

static void statements(
	struct gen *g, const struct lang_clause *clause, struct cg_clause *out)
{
	struct cg_action *next = (struct cg_action *)out->actions;
	uint32_t base = g->scratch;

	for (const struct lang_stmt *s = clause->stmts; s && !g->err; s = s->next) {
		g->at = s->expr->at;
		g->scratch = base;
		g->keys.n = 0;
		if (s->agg)
			gen_agg(g, s->agg, s->call);
		else if (is_recording(s))
			action(g, s->expr, next++);
		else if (s->is_action)
			unrecorded(g, s->expr);
		else
			gen_discard(g, s->expr);
	}
}

static int has_fields(const struct cg_clause *out)
{
	for (unsigned i = 0; i < out->n_actions; i++)
		if (out->actions[i].n_fields)
			return 1;
	return 0;
}

static void record(struct gen *g, const struct cg_clause *out)
{
	if (!out->has_record)
		return;
	if (!has_fields(out) && !out->is_speculative)
		gen_code(g, BPF_C_ST | BPF_M_MEM | BPF_S_DW, R_SCRATCH, 0, 0, 0);
	gen_move(g, R1, R_SCRATCH);
	gen_number(g, R2, out->record_bytes);
	gen_call(g, out->is_speculative ? RT_HELPER_EMIT_TAGGED : RT_HELPER_EMIT);
}

/* ---------------------------------------------------------------------------- blob */

static int blob(struct gen *g, struct cg_clause *out)
{
	size_t code = g->code.n * sizeof *g->code.at;
	struct bpf_blob head = {.magic = BPF_BLOB_MAGIC,
		.version = BPF_BLOB_VERSION,
		.program = out->program,
		.codes = (uint32_t)g->code.n,
		.rodata = (uint32_t)g->rodata.n,
		.scratch = g->scratch_high,
		.locals = lang_scope_bytes(g->cg->scope, LANG_V_THIS),
		.globals = lang_scope_bytes(g->cg->scope, LANG_V_GLOBAL),
		.self_room = lang_scope_room(g->cg->scope, LANG_V_SELF),
		.array_room = lang_scope_room(g->cg->scope, LANG_V_GLOBAL)};
	unsigned char *bytes;

	head.bytes = (uint32_t)(sizeof head + code + g->rodata.n);
	bytes = gen_own(g, head.bytes);
	if (!bytes)
		return DTPROC_ENOMEM;
	memcpy(bytes, &head, sizeof head);
	memcpy(bytes + sizeof head, g->code.at, code);
	if (g->rodata.n)
		memcpy(bytes + sizeof head + code, g->rodata.at, g->rodata.n);
	out->blob = bytes;
	out->bytes = head.bytes;
	return 0;
}

int gen_clause(struct gen *g, const struct lang_clause *clause, struct cg_clause *out)
{
	uint32_t end = gen_label(g);

	g->at = clause->at;
	if (g->err || lay_record(g, clause, out))
		return g->err;
	gen_code(g, BPF_LDDW, R_SCRATCH, BPF_LDDW_AREA, 0, BPF_AREA_SCRATCH);
	gen_code(g, 0, 0, 0, 0, 0);
	if (clause->predicate)
		gen_branch(g, clause->predicate, 0, end);
	statements(g, clause, out);
	out->is_destructive |= g->destructive;
	out->speculates |= g->speculates;
	record(g, out);
	gen_place(g, end);
	gen_number(g, R0, 0);
	gen_code(g, BPF_C_JMP | BPF_J_EXIT, 0, 0, 0, 0);
	gen_finish(g);
	return g->err ? g->err : blob(g, out);
}
