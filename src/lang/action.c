/* SPDX-License-Identifier: BSD-2-Clause */
/* Checking actions, each by itself and beside the others of a clause. */
#include "parts.h"

#include <runtime/runtime.h>

#define TRACEMEM_MAX 8192

static int check_format(struct unit *u, struct lang_node *call)
{
	if (call->args->kind != LANG_N_STRING)
		return fail(u, call->args->at, "D_PRINTF_ARG_FMT",
			"expected a string constant",
			"%s( ) argument #1 is incompatible with its prototype",
			call->text);
	if (!*call->args->text && call->func->code != LANG_ACT_FREOPEN)
		return fail(u, call->args->at, "D_PRINTF_FMT_EMPTY", "",
			"the format string is empty");
	return format_parse(u, call->args, &call->format);
}

static int check_trace(struct unit *u, struct lang_node *call)
{
	const struct lang_type *t = call->args->type;

	if (t->kind == LANG_T_DYN)
		return fail(u, call->args->at,
			call->func->code == LANG_ACT_PRINT ? "D_PRINT_DYN"
							   : "D_TRACE_DYN",
			"printa() prints it",
			"%s( ) may not be applied to a dynamic expression", call->text);
	if (!lang_type_is_scalar(t) && !lang_type_is_bytes(t) && !lang_type_is_trace(t) &&
		t->kind != LANG_T_STRING)
		return fail(u, call->args->at,
			call->func->code == LANG_ACT_PRINT ? "D_PRINT_VOID"
							   : "D_TRACE_VOID",
			"", "%s( ) may not be applied to a void expression", call->text);
	return 0;
}

/* printa([format,] @a, @b ...) */
static int check_printa(struct unit *u, struct lang_node *call)
{
	const struct lang_node *a = call->args;
	int i = 0;

	if (a->kind == LANG_N_STRING) {
		if (check_format(u, call))
			return DTPROC_ESYNTAX;
		a = a->next;
		i++;
	} else if (a->kind != LANG_N_AGG) {
		return fail(u, a->at, "D_PRINTA_PROTO",
			"expected a format or an aggregation",
			"printa( ) argument #1 is incompatible with its prototype");
	}
	if (!a)
		return fail(u, call->at, "D_PRINTA_AGGARG", "expected an aggregation",
			"printa( ) without an aggregation");
	for (; a; a = a->next, i++)
		if (a->has_keys)
			return fail(u, a->at, "D_PRINTA_AGGKEY", "without its keys",
				"printa( ) argument #%d: an aggregation is named as a whole",
				i + 1);
	return 0;
}

/* tracemem(address, bytes[, how many of them are shown]) */
static int check_tracemem(struct unit *u, struct lang_node *call)
{
	const struct lang_node *size = call->args->next;

	if (size->kind == LANG_N_INT && (int64_t)size->value > 0 &&
		size->value <= TRACEMEM_MAX)
		return 0;
	return fail(u, size->at, "D_TRACEMEM_SIZE", "expected a constant",
		"tracemem( ) argument #2 must be a non-zero positive integral constant "
		"expression of at most %d",
		TRACEMEM_MAX);
}

int check_action(struct unit *u, struct lang_node *call)
{
	if (check_arguments(u, call))
		return DTPROC_ESYNTAX;
	switch ((enum lang_action)call->func->code) {
	case LANG_ACT_TRACE:
	case LANG_ACT_PRINT:
		return check_trace(u, call);
	case LANG_ACT_TRACEMEM:
		return check_tracemem(u, call);
	case LANG_ACT_PRINTF:
	case LANG_ACT_SYSTEM:
	case LANG_ACT_FREOPEN:
		return check_format(u, call) || check_format_args(u, call)
			       ? DTPROC_ESYNTAX
			       : 0;
	case LANG_ACT_PRINTA:
		return check_printa(u, call);
	case LANG_ACT_EXIT:
	case LANG_ACT_RAISE:
		return convert(u, &call->args, &lang_type_int);
	default:
		return 0;
	}
}

/* -------------------------------------------------------------------- speculations */

/* What a clause has done up to a statement. */
struct done {
	int speculates, commits, records;
};

static int is_destructive(uint32_t action)
{
	return action == LANG_ACT_STOP || action == LANG_ACT_RAISE ||
	       action == LANG_ACT_SYSTEM || action == LANG_ACT_FREOPEN;
}

static int refuse(
	struct unit *u, const struct lang_stmt *s, const char *tag, const char *what)
{
	const struct lang_node *n = s->agg ? s->agg : s->expr;

	return fail(u, n->at, tag, "", "%s", what);
}

static int check_speculate(struct unit *u, const struct lang_stmt *s, struct done *done)
{
	if (done->speculates++)
		return refuse(
			u, s, "D_SPEC_SPEC", "speculate( ) may not follow speculate( )");
	if (done->commits)
		return refuse(
			u, s, "D_SPEC_COMM", "speculate( ) may not follow commit( )");
	if (done->records)
		return refuse(u, s, "D_SPEC_DREC",
			"speculate( ) may not follow data-recording actions");
	return 0;
}

static int check_commit(struct unit *u, const struct lang_stmt *s, struct done *done)
{
	if (done->commits++)
		return refuse(u, s, "D_COMM_COMM",
			"commit( ) may not follow commit( ) in one clause");
	if (done->speculates)
		return refuse(
			u, s, "D_COMM_SPEC", "commit( ) may not follow speculate( )");
	if (done->records)
		return refuse(u, s, "D_COMM_DREC",
			"commit( ) may not follow data-recording actions");
	return 0;
}

/* Everything else in a clause with speculate() or commit(). */
static int check_beside(struct unit *u, const struct lang_stmt *s, struct done *done)
{
	uint32_t action = s->is_action ? s->expr->func->code : LANG_ACT_TRACE;
	int is_recording =
		s->is_action && action < LANG_ACT_STOP && action != LANG_ACT_EXIT;

	if (done->commits && s->agg)
		return refuse(u, s, "D_AGG_COMM",
			"aggregating actions may not follow commit( )");
	if (done->speculates && s->agg)
		return refuse(u, s, "D_AGG_SPEC",
			"aggregating actions may not follow speculate( )");
	if (done->speculates && s->is_action && is_destructive(action))
		return refuse(u, s, "D_ACT_SPEC",
			"destructive actions may not follow speculate( )");
	if (done->speculates && s->is_action && action == LANG_ACT_EXIT)
		return refuse(u, s, "D_EXIT_SPEC", "exit( ) may not follow speculate( )");
	if (done->commits && is_recording)
		return refuse(u, s, "D_DREC_COMM",
			"data-recording actions may not follow commit( )");
	done->records |= is_recording || s->agg;
	return 0;
}

int check_speculation(struct unit *u, const struct lang_clause *c)
{
	struct done done = {0, 0, 0};
	int err = 0;

	for (const struct lang_stmt *s = c->stmts; s && !err; s = s->next) {
		uint32_t action = s->is_action ? s->expr->func->code : LANG_ACT_TRACE;

		err = action == LANG_ACT_SPECULATE ? check_speculate(u, s, &done)
		      : action == LANG_ACT_COMMIT  ? check_commit(u, s, &done)
						   : check_beside(u, s, &done);
	}
	return err;
}
