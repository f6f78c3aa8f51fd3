/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of victim state x request and event.  docs/protocol.md explains it; the
 * keeper asks it before it serves, and the tests walk every cell.
 */
#include "proto.h"

#define D WIRE_DO
#define N WIRE_NOP
#define B WIRE_BAD
#define E WIRE_ENDED

/* clang-format off */
static const uint8_t requests[WIRE_ST_COUNT][WIRE_OP_COUNT] = {
	/*                  none start cont stop progs seg arm disarm write thr regs det fin link stk fol */
	[WIRE_ST_START] =   {B,   D,    B,   B,   D,    D,  B,  B,     B,    B,  B,   D,  D,  B,  B,  B},
	[WIRE_ST_IDLE] =    {B,   B,    D,   N,   D,    D,  D,  D,     D,    D,  D,   D,  D,  D,  D,  D},
	[WIRE_ST_RUN] =     {B,   B,    N,   D,   D,    D,  D,  D,     D,    D,  B,   D,  D,  D,  D,  D},
	[WIRE_ST_EVENT] =   {B,   B,    N,   D,   D,    D,  D,  D,     D,    D,  D,   D,  D,  D,  D,  D},
	[WIRE_ST_STOPPED] = {B,   B,    N,   D,   D,    D,  D,  D,     D,    D,  D,   D,  D,  D,  D,  D},
	[WIRE_ST_GONE] =    {B,   B,    N,   E,   E,    E,  E,  N,     E,    E,  E,   N,  D,  E,  E,  E},
};
/* clang-format on */

#undef D
#undef N
#undef B
#undef E

#define X WIRE_ST_COUNT

static const uint8_t events[WIRE_ST_COUNT][WIRE_EV_COUNT] = {
	[WIRE_ST_START] = {X, X, X, X, X, WIRE_ST_GONE, WIRE_ST_GONE, WIRE_ST_GONE,
		WIRE_ST_START, X, X},
	/* An idle victim may be stopped by others too; that shows when it continues. */
	[WIRE_ST_IDLE] = {X, X, WIRE_ST_IDLE, WIRE_ST_IDLE, WIRE_ST_IDLE, WIRE_ST_GONE,
		WIRE_ST_GONE, WIRE_ST_GONE, WIRE_ST_IDLE, WIRE_ST_IDLE, WIRE_ST_IDLE},
	[WIRE_ST_RUN] = {X, WIRE_ST_EVENT, WIRE_ST_STOPPED, WIRE_ST_RUN, WIRE_ST_RUN,
		WIRE_ST_GONE, WIRE_ST_GONE, WIRE_ST_GONE, WIRE_ST_RUN, WIRE_ST_RUN,
		WIRE_ST_RUN},
	[WIRE_ST_EVENT] = {X, WIRE_ST_EVENT, WIRE_ST_EVENT, WIRE_ST_EVENT, X,
		WIRE_ST_GONE, WIRE_ST_GONE, WIRE_ST_GONE, WIRE_ST_EVENT, WIRE_ST_EVENT,
		WIRE_ST_EVENT},
	[WIRE_ST_STOPPED] = {X, WIRE_ST_EVENT, WIRE_ST_STOPPED, WIRE_ST_RUN,
		WIRE_ST_STOPPED, WIRE_ST_GONE, WIRE_ST_GONE, WIRE_ST_GONE,
		WIRE_ST_STOPPED, WIRE_ST_STOPPED, WIRE_ST_STOPPED},
	[WIRE_ST_GONE] = {X, X, X, X, X, X, X, X, WIRE_ST_GONE, X, WIRE_ST_GONE},
};

#undef X

enum wire_rule wire_request_rule(enum wire_state state, enum wire_op op)
{
	if ((unsigned)state >= WIRE_ST_COUNT || (unsigned)op >= WIRE_OP_COUNT)
		return WIRE_BAD;
	return (enum wire_rule)requests[state][op];
}

enum wire_state wire_event_next(enum wire_state state, enum wire_event_kind kind)
{
	if ((unsigned)state >= WIRE_ST_COUNT || (unsigned)kind >= WIRE_EV_COUNT)
		return WIRE_ST_COUNT;
	return kind == WIRE_EV_NONE ? WIRE_ST_COUNT
				    : (enum wire_state)events[state][kind];
}

const char *wire_state_name(uint32_t state)
{
	static const char *const names[] = {
		"start", "idle", "run", "event", "stopped", "gone"};

	return state < WIRE_ST_COUNT ? names[state] : "?";
}

const char *wire_op_name(uint32_t op)
{
	static const char *const names[] = {"none", "start", "continue", "stop",
		"programs", "segment", "arm", "disarm", "write", "threads", "regs",
		"detach", "finish", "linker", "stacks", "follow"};

	return op < WIRE_OP_COUNT ? names[op] : "?";
}

const char *wire_event_name(uint32_t kind)
{
	static const char *const names[] = {"none", "breakpoint", "stopped", "continued",
		"exec", "exited", "killed", "lost", "error", "objects", "child"};

	return kind < WIRE_EV_COUNT ? names[kind] : "?";
}

const char *wire_refusal_text(uint32_t reason)
{
	static const char *const texts[WIRE_REFUSED_COUNT] = {
		[WIRE_REFUSED_NOT] = "not refused",
		[WIRE_REFUSED_UNMAPPED] = "no memory is mapped there yet",
		[WIRE_REFUSED_NOEXEC] = "the memory is not executable",
		[WIRE_REFUSED_SHARED] = "the memory is shared and writable by others",
		[WIRE_REFUSED_DECODE] = "there is no valid instruction",
		[WIRE_REFUSED_OWN_TRAP] = "the program has a breakpoint of its own there",
		[WIRE_REFUSED_RSEQ] = "it lies in a restartable sequence (rseq)",
		[WIRE_REFUSED_RELOCATE] = "the instruction cannot run out of line",
		[WIRE_REFUSED_NOSLOT] = "no memory for a slot within reach",
		[WIRE_REFUSED_WRITE] = "the text cannot be written",
		[WIRE_REFUSED_OVERLAP] =
			"it lies inside an instruction that has a breakpoint",
		[WIRE_REFUSED_PROGRAM] = "its program does not verify",
	};
	return reason < WIRE_REFUSED_COUNT ? texts[reason] : "unknown reason";
}
