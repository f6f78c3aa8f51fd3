/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of the language.  To add a built-in variable or a function, add a line; what
 * it does is in codegen, by its kind and code.
 */
#include "parts.h"

#include <runtime/runtime.h>

#include <string.h>

static const struct lang_type t_int64 = {
	.kind = LANG_T_INT, .size = 8, .is_signed = 1, .rank = 4, .name = "int64_t"};
static const struct lang_type t_uint64 = {
	.kind = LANG_T_INT, .size = 8, .rank = 4, .name = "uint64_t"};
static const struct lang_type t_pid = {
	.kind = LANG_T_INT, .size = 4, .is_signed = 1, .rank = 3, .name = "pid_t"};
static const struct lang_type t_uid = {
	.kind = LANG_T_INT, .size = 4, .rank = 3, .name = "uid_t"};
static const struct lang_type t_execname = {
	.kind = LANG_T_STRING, .size = RT_EXECNAME, .name = "string"};

static const struct lang_builtin builtins[] = {
	{"arg0", LANG_B_ARG, 0, &t_int64},
	{"arg1", LANG_B_ARG, 1, &t_int64},
	{"arg2", LANG_B_ARG, 2, &t_int64},
	{"arg3", LANG_B_ARG, 3, &t_int64},
	{"arg4", LANG_B_ARG, 4, &t_int64},
	{"arg5", LANG_B_ARG, 5, &t_int64},
	{"arg6", LANG_B_ARG, 6, &t_int64},
	{"arg7", LANG_B_ARG, 7, &t_int64},
	{"arg8", LANG_B_ARG, 8, &t_int64},
	{"arg9", LANG_B_ARG, 9, &t_int64},
	{"pid", LANG_B_VALUE, RT_VALUE_PID, &t_pid},
	{"tid", LANG_B_VALUE, RT_VALUE_TID, &t_pid},
	{"ppid", LANG_B_VALUE, RT_VALUE_PPID, &t_pid},
	{"uid", LANG_B_VALUE, RT_VALUE_UID, &t_uid},
	{"gid", LANG_B_VALUE, RT_VALUE_GID, &t_uid},
	{"cpu", LANG_B_VALUE, RT_VALUE_CPU, &lang_type_int},
	{"id", LANG_B_VALUE, RT_VALUE_PROBE, &lang_type_uint},
	{"epid", LANG_B_VALUE, RT_VALUE_PROGRAM, &lang_type_uint},
	{"timestamp", LANG_B_VALUE, RT_VALUE_TIMESTAMP, &t_uint64},
	{"vtimestamp", LANG_B_VALUE, RT_VALUE_VTIMESTAMP, &t_uint64},
	{"walltimestamp", LANG_B_VALUE, RT_VALUE_WALLTIMESTAMP, &t_int64},
	{"execname", LANG_B_EXECNAME, 0, &t_execname},
	{"probeprov", LANG_B_PROBE, RT_PART_PROVIDER, &lang_type_string},
	{"probemod", LANG_B_PROBE, RT_PART_MODULE, &lang_type_string},
	{"probefunc", LANG_B_PROBE, RT_PART_FUNCTION, &lang_type_string},
	{"probename", LANG_B_PROBE, RT_PART_NAME, &lang_type_string},
};
#define N_BUILTINS (sizeof builtins / sizeof builtins[0])

static const struct lang_func funcs[] = {
	{"trace", LANG_F_ACTION, LANG_ACT_TRACE, 1, 1, "*", &lang_type_action},
	{"printf", LANG_F_ACTION, LANG_ACT_PRINTF, 1, LANG_ARGS_MAX, "f*",
		&lang_type_action},
	{"printa", LANG_F_ACTION, LANG_ACT_PRINTA, 1, LANG_ARGS_MAX, "a@",
		&lang_type_action},
	{"exit", LANG_F_ACTION, LANG_ACT_EXIT, 1, 1, "i", &lang_type_action},
	{"clear", LANG_F_ACTION, LANG_ACT_CLEAR, 1, 1, "@", &lang_type_action},
	{"trunc", LANG_F_ACTION, LANG_ACT_TRUNC, 1, 2, "@i", &lang_type_action},
	{"stop", LANG_F_ACTION, LANG_ACT_STOP, 0, 0, "", &lang_type_action},
	{"raise", LANG_F_ACTION, LANG_ACT_RAISE, 1, 1, "i", &lang_type_action},
	{"count", LANG_F_AGG, RT_AGG_COUNT, 0, 0, "", &lang_type_dyn},
	{"sum", LANG_F_AGG, RT_AGG_SUM, 1, 1, "i", &lang_type_dyn},
	{"avg", LANG_F_AGG, RT_AGG_AVG, 1, 1, "i", &lang_type_dyn},
	{"min", LANG_F_AGG, RT_AGG_MIN, 1, 1, "i", &lang_type_dyn},
	{"max", LANG_F_AGG, RT_AGG_MAX, 1, 1, "i", &lang_type_dyn},
	{"stddev", LANG_F_AGG, RT_AGG_STDDEV, 1, 1, "i", &lang_type_dyn},
	{"quantize", LANG_F_AGG, RT_AGG_QUANTIZE, 1, 1, "i", &lang_type_dyn},
	{"lquantize", LANG_F_AGG, RT_AGG_LQUANTIZE, 3, 4, "iccc", &lang_type_dyn},
	{"strlen", LANG_F_FUNCTION, LANG_FN_STRLEN, 1, 1, "s", &t_uint64},
	{"copyinstr", LANG_F_FUNCTION, LANG_FN_COPYINSTR, 1, 1, "p", &lang_type_string},
	{"stringof", LANG_F_FUNCTION, LANG_FN_STRINGOF, 1, 1, "*", &lang_type_string},
};
#define N_FUNCS (sizeof funcs / sizeof funcs[0])

static int same(const char *name, const char *text, size_t len)
{
	return strlen(name) == len && !memcmp(name, text, len);
}

const struct lang_builtin *builtin_find(const char *name, size_t len)
{
	for (size_t i = 0; i < N_BUILTINS; i++)
		if (same(builtins[i].name, name, len))
			return &builtins[i];
	return NULL;
}

const char *builtin_name(unsigned i)
{
	return i < N_BUILTINS ? builtins[i].name : NULL;
}

const struct lang_func *func_find(const char *name, size_t len)
{
	for (size_t i = 0; i < N_FUNCS; i++)
		if (same(funcs[i].name, name, len))
			return &funcs[i];
	return NULL;
}

const char *func_name(unsigned i)
{
	return i < N_FUNCS ? funcs[i].name : NULL;
}

const char *op_text(enum lang_op op)
{
	static const char *const texts[LANG_OPS] = {"", ",", "=",
		"+=", "-=", "*=", "/=", "%=", "&=", "^=", "|=", "<<=", ">>=", "?:", "||",
		"^^", "&&", "|", "^", "&", "==", "!=", "<", "<=", ">", ">=", "<<", ">>",
		"+", "-", "*", "/", "%", "!", "~", "-", "+", "*", "&", "sizeof", "bits",
		"++", "--", "++", "--"};

	return texts[op];
}
