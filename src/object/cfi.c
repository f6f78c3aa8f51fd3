/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Call frame information (DWARF 5, 6.4): the program of one entry becomes rows.
 *
 * Rows of a whole function are wanted, and in few bytes, which libdw does not give.  A
 * row is an address and the number of a *rule*; a rule says how to find the caller's
 * registers, and most functions share a few: some hundred rules and 8 bytes a row are
 * what a library takes.
 *
 * All of it is hostile: registers that nobody has are ignored, numbers that do not fit
 * are errors, and each list has an end.
 */
#include "cfi.h"

#include <dwarf.h>
#include <string.h>
#include <base/cursor.h>

#define CHUNK 65536u
#define RULE_MAX 4096u
#define ROWS_MAX 65536u /* of one function */
#define REMEMBER_MAX 16

/* One run of a program. */
struct run {
	const struct cfi_common *common;
	struct cfi_rules *rules; /* NULL: the initial instructions; no rows are made */
	const struct cfi_bytes *bytes;
	struct cfi_state state;
	uint64_t start, pc; /* pc: of the present row, from the start */
	size_t first;       /* row */
	struct cfi_state *kept;
	unsigned nkept;
};

/* ------------------------------------------------------------------- rules */

const struct object_rule *cfi_rule(const struct cfi_rules *r, uint32_t rule)
{
	return (const struct object_rule *)(r->chunks.at[rule / (CHUNK / 8)] +
					    rule % (CHUNK / 8) * 8);
}

void cfi_rules_free(struct cfi_rules *r)
{
	for (size_t i = 0; i < r->chunks.n; i++)
		free(r->chunks.at[i]);
	vec_free(&r->chunks);
	vec_free(&r->rows);
	hash_free(&r->by_bytes);
}

/* Where `size` bytes can go that will not move: their number, or ENOMEM. */
static int64_t room_for(struct cfi_rules *r, size_t size)
{
	if (r->chunks.n == 0 || CHUNK - r->used < size) {
		uint8_t *chunk = malloc(CHUNK);

		if (!chunk || vec_push(&r->chunks, chunk)) {
			free(chunk);
			return err_nomem("unwind rules");
		}
		r->used = 0;
	}
	return (int64_t)((r->chunks.n - 1) * (CHUNK / 8) + r->used / 8);
}

/* The number of a rule of these bytes; the same bytes have one number. */
static int64_t intern(struct cfi_rules *r, const struct object_rule *rule)
{
	uint64_t key = hash_bytes(rule, rule->size);
	void *found = hash_get(&r->by_bytes, key);
	uint32_t number = (uint32_t)((uintptr_t)found - 1);
	size_t size = (rule->size + 7u) & ~7u;

	if (found && memcmp(cfi_rule(r, number), rule, rule->size) == 0)
		return number;
	int64_t at = room_for(r, size);

	if (at < 0 || at >= CFI_NO_RULE)
		return at < 0 ? at : err_set(DTPROC_ELIMIT, "too many unwind rules");
	if (!found && hash_put(&r->by_bytes, key, (void *)(uintptr_t)(at + 1)))
		return DTPROC_ENOMEM;
	memcpy(r->chunks.at[r->chunks.n - 1] + r->used, rule, rule->size);
	r->used += size;
	return at;
}

int cfi_bad(const char *what)
{
	return err_set(DTPROC_EELF, "bad call frame information: %s", what);
}

/* Adds a place to the rule that is being made in RULE_MAX bytes; expressions go last. */
static int put_place(
	struct object_rule *rule, struct object_where *to, const struct cfi_place *from)
{
	*to = (struct object_where){from->reg, from->how, from->len, from->at};
	if (from->how != OBJECT_AT_EXPR && from->how != OBJECT_IS_EXPR)
		return 0;
	if (rule->size + (size_t)from->len > RULE_MAX)
		return cfi_bad("long expressions");
	to->at = rule->size;
	memcpy((char *)rule + rule->size, from->expr, from->len);
	rule->size = (uint16_t)(rule->size + from->len);
	return 0;
}

static int64_t make_rule(const struct run *u)
{
	union {
		struct object_rule rule;
		uint8_t bytes[RULE_MAX];
	} room = {.rule = {.ra = (uint8_t)u->common->ra}};
	struct object_rule *rule = &room.rule;
	const struct cfi_place *ra = &u->state.reg[u->common->ra];
	int err;

	for (unsigned i = 0; i < OBJECT_REGS; i++)
		rule->n += u->state.reg[i].how != OBJECT_SAME;
	rule->size = (uint16_t)(sizeof *rule + rule->n * sizeof rule->saved[0]);
	if (u->common->signal)
		rule->flags |= OBJECT_RULE_SIGNAL;
	if (ra->how == OBJECT_UNDEFINED)
		rule->flags |= OBJECT_RULE_LAST;
	err = put_place(rule, &rule->cfa, &u->state.cfa);
	for (unsigned i = 0, k = 0; i < OBJECT_REGS && !err; i++) {
		struct cfi_place p = u->state.reg[i];

		if (p.how == OBJECT_SAME)
			continue;
		if (p.how == OBJECT_REGISTER)
			p.at = p.reg;
		p.reg = (uint8_t)i;
		err = put_place(rule, &rule->saved[k++], &p);
	}
	return err ? err : intern(u->rules, rule);
}

/* ----------------------------------------------------------------- programs */

static int push_row(struct run *u, uint64_t pc, uint32_t rule)
{
	struct cfi_rules *r = u->rules;
	size_t n = r->rows.n - u->first;

	if (n && r->rows.at[r->rows.n - 1].rule == rule)
		return 0;
	if (n >= ROWS_MAX)
		return cfi_bad("too many rows");
	const struct cfi_row row = {(uint32_t)pc, rule};

	return vec_push(&r->rows, row) ? err_nomem("unwind rows") : 0;
}

/* Ends the present row; the next begins `delta` bytes behind its start. */
static int advance(struct run *u, uint64_t delta)
{
	int64_t rule;

	if (!u->rules)
		return cfi_bad("an advance in a common entry");
	if (delta == 0)
		return 0;
	if (delta > UINT32_MAX - u->pc)
		return cfi_bad("a far advance");
	if (u->state.cfa.how == OBJECT_SAME)
		return cfi_bad("no rule for the frame's address");
	rule = make_rule(u);
	if (rule < 0)
		return (int)rule;
	int err = push_row(u, u->pc, (uint32_t)rule);

	u->pc += delta;
	return err;
}

static int set_offset(struct cfi_place *p, int64_t offset)
{
	if (offset < INT32_MIN || offset > INT32_MAX)
		return cfi_bad("a far offset");
	p->at = (int32_t)offset;
	return 0;
}

static int64_t times(const struct run *u, uint64_t factored)
{
	return (int64_t)((uint64_t)u->common->data_factor * factored);
}

static int set_expr(struct cfi_place *p, enum object_how how, struct cursor *c)
{
	uint64_t len = cursor_uleb(c);
	const void *expr = len < RULE_MAX ? cursor_get(c, len) : NULL;

	if (!expr)
		return cfi_bad("an expression");
	*p = (struct cfi_place){.how = (uint8_t)how, .len = (uint16_t)len, .expr = expr};
	return 0;
}

/* The place of the register that the program names; one that we do not know is a dummy.
 */
static struct cfi_place *place_of(struct run *u, uint64_t reg)
{
	static _Thread_local struct cfi_place dummy;

	return reg < OBJECT_REGS ? &u->state.reg[reg] : &dummy;
}

static int set_saved(struct run *u, uint64_t reg, enum object_how how, int64_t offset)
{
	struct cfi_place *p = place_of(u, reg);

	*p = (struct cfi_place){.how = (uint8_t)how};
	return set_offset(p, offset);
}

static int set_register(struct run *u, uint64_t reg, uint64_t from)
{
	if (from >= OBJECT_REGS)
		return set_saved(u, reg, OBJECT_UNDEFINED, 0);
	*place_of(u, reg) =
		(struct cfi_place){.how = OBJECT_REGISTER, .reg = (uint8_t)from};
	return 0;
}

static void restore(struct run *u, uint64_t reg)
{
	if (reg < OBJECT_REGS)
		u->state.reg[reg] = u->common->initial.reg[reg];
}

static int def_cfa(struct run *u, uint64_t reg, int64_t offset)
{
	if (reg >= OBJECT_REGS)
		return cfi_bad("a register");
	u->state.cfa = (struct cfi_place){.how = OBJECT_REGISTER, .reg = (uint8_t)reg};
	return set_offset(&u->state.cfa, offset);
}

/* Changes half of a rule that must be register and offset. */
static int def_cfa_part(struct run *u, const uint64_t *reg, const int64_t *offset)
{
	const struct cfi_place *cfa = &u->state.cfa;

	if (cfa->how != OBJECT_REGISTER)
		return cfi_bad("half of a rule");
	return def_cfa(u, reg ? *reg : cfa->reg, offset ? *offset : cfa->at);
}

static int remember(struct run *u)
{
	if (!u->kept)
		u->kept = malloc(REMEMBER_MAX * sizeof *u->kept);
	if (!u->kept)
		return err_nomem("call frame information");
	if (u->nkept == REMEMBER_MAX)
		return cfi_bad("too many states");
	u->kept[u->nkept++] = u->state;
	return 0;
}

static int recall(struct run *u)
{
	if (u->nkept == 0)
		return cfi_bad("no state to restore");
	u->state = u->kept[--u->nkept];
	return 0;
}

/* Instructions about addresses.  1: not one of them. */
static int run_location(struct run *u, unsigned op, struct cursor *c)
{
	uint64_t factor = u->common->code_factor;

	switch (op) {
	case DW_CFA_set_loc: {
		uint64_t to = cfi_pointer(
			c, u->common->encoding, u->bytes->at, u->bytes->position, 0);
		return advance(u, to - u->start - u->pc);
	}
	case DW_CFA_advance_loc1:
		return advance(u, cursor_u8(c) * factor);
	case DW_CFA_advance_loc2:
		return advance(u, cursor_u16(c) * factor);
	case DW_CFA_advance_loc4:
		return advance(u, cursor_u32(c) * factor);
	case DW_CFA_remember_state:
		return remember(u);
	case DW_CFA_restore_state:
		return recall(u);
	case DW_CFA_GNU_args_size:
		cursor_uleb(c);
		return 0;
	case DW_CFA_nop:
		return 0;
	}
	return 1;
}

/* Those about the frame's address. */
static int run_cfa(struct run *u, unsigned op, struct cursor *c)
{
	uint64_t reg = 0;
	int64_t offset = 0;

	switch (op) {
	case DW_CFA_def_cfa:
		reg = cursor_uleb(c);
		return def_cfa(u, reg, (int64_t)cursor_uleb(c));
	case DW_CFA_def_cfa_sf:
		reg = cursor_uleb(c);
		return def_cfa(u, reg, times(u, (uint64_t)cursor_sleb(c)));
	case DW_CFA_def_cfa_register:
		reg = cursor_uleb(c);
		return def_cfa_part(u, &reg, NULL);
	case DW_CFA_def_cfa_offset:
		offset = (int64_t)cursor_uleb(c);
		return def_cfa_part(u, NULL, &offset);
	case DW_CFA_def_cfa_offset_sf:
		offset = times(u, (uint64_t)cursor_sleb(c));
		return def_cfa_part(u, NULL, &offset);
	case DW_CFA_def_cfa_expression:
		return set_expr(&u->state.cfa, OBJECT_IS_EXPR, c);
	}
	return 1;
}

/* Those about one register, which comes first. */
static int run_register(struct run *u, unsigned op, struct cursor *c)
{
	uint64_t reg = cursor_uleb(c);

	switch (op) {
	case DW_CFA_offset_extended:
		return set_saved(u, reg, OBJECT_AT_CFA, times(u, cursor_uleb(c)));
	case DW_CFA_offset_extended_sf:
		return set_saved(
			u, reg, OBJECT_AT_CFA, times(u, (uint64_t)cursor_sleb(c)));
	case DW_CFA_GNU_negative_offset_extended:
		return set_saved(u, reg, OBJECT_AT_CFA, -times(u, cursor_uleb(c)));
	case DW_CFA_val_offset:
		return set_saved(u, reg, OBJECT_IS_CFA, times(u, cursor_uleb(c)));
	case DW_CFA_val_offset_sf:
		return set_saved(
			u, reg, OBJECT_IS_CFA, times(u, (uint64_t)cursor_sleb(c)));
	case DW_CFA_restore_extended:
		restore(u, reg);
		return 0;
	case DW_CFA_undefined:
		return set_saved(u, reg, OBJECT_UNDEFINED, 0);
	case DW_CFA_same_value:
		return set_saved(u, reg, OBJECT_SAME, 0);
	case DW_CFA_register:
		return set_register(u, reg, cursor_uleb(c));
	case DW_CFA_expression:
		return set_expr(place_of(u, reg), OBJECT_AT_EXPR, c);
	case DW_CFA_val_expression:
		return set_expr(place_of(u, reg), OBJECT_IS_EXPR, c);
	}
	return cfi_bad("an unknown instruction");
}

static int run_one(struct run *u, struct cursor *c)
{
	unsigned byte = cursor_u8(c), low = byte & 0x3f;
	int err;

	switch (byte & 0xc0) {
	case DW_CFA_advance_loc:
		return advance(u, low * u->common->code_factor);
	case DW_CFA_offset:
		return set_saved(u, low, OBJECT_AT_CFA, times(u, cursor_uleb(c)));
	case DW_CFA_restore:
		restore(u, low);
		return 0;
	}
	err = run_location(u, byte, c);
	if (err == 1)
		err = run_cfa(u, byte, c);
	return err == 1 ? run_register(u, byte, c) : err;
}

static int run_all(struct run *u, struct cursor *c)
{
	int err = 0;

	while (!err && cursor_left(c) && !c->bad)
		err = run_one(u, c);
	free(u->kept);
	return err ? err : c->bad ? cfi_bad("cut off") : 0;
}

int cfi_initial(
	const struct cfi_bytes *b, struct cfi_common *common, struct cursor *program)
{
	struct run u = {.common = common, .bytes = b};
	int err = run_all(&u, program);

	if (!err)
		common->initial = u.state;
	return err;
}

int cfi_rows(const struct cfi_bytes *b, const struct cfi_common *common, uint64_t start,
	uint64_t size, struct cursor *program, struct cfi_rules *rules)
{
	struct run u = {.common = common,
		.rules = rules,
		.bytes = b,
		.state = common->initial,
		.start = start,
		.first = rules->rows.n};
	int err = run_all(&u, program);

	if (!err && u.pc < size)
		err = advance(&u, size - u.pc);
	if (!err)
		err = push_row(&u, size, CFI_NO_RULE);
	if (err)
		rules->rows.n = u.first;
	return err;
}
