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
static const struct lang_type t_stack = {.kind = LANG_T_STACK, .name = "stack"};
static const struct lang_type t_named = {
	.kind = LANG_T_ADDRESS, .name = "address with a name"};
static const struct lang_type t_execname = {
	.kind = LANG_T_STRING, .size = RT_EXECNAME, .name = "string"};

static const struct lang_type t_uint32 = {
	.kind = LANG_T_INT, .size = 4, .rank = 3, .name = "uint32_t"};
static const struct lang_type t_uint16 = {
	.kind = LANG_T_INT, .size = 2, .rank = 2, .name = "uint16_t"};
static const struct lang_type t_address = {
	.kind = LANG_T_POINTER, .size = 8, .name = "void *", .to = &lang_type_void};

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
	{"ucaller", LANG_B_VALUE, RT_VALUE_UCALLER, &t_uint64},
	{"ustackdepth", LANG_B_VALUE, RT_VALUE_USTACKDEPTH, &t_uint32},
	{"execname", LANG_B_EXECNAME, 0, &t_execname},
	{"cwd", LANG_B_TEXT, RT_TEXT_CWD, &lang_type_string},
	{"root", LANG_B_TEXT, RT_TEXT_ROOT, &lang_type_string},
	{"probeprov", LANG_B_PROBE, RT_PART_PROVIDER, &lang_type_string},
	{"probemod", LANG_B_PROBE, RT_PART_MODULE, &lang_type_string},
	{"probefunc", LANG_B_PROBE, RT_PART_FUNCTION, &lang_type_string},
	{"probename", LANG_B_PROBE, RT_PART_NAME, &lang_type_string},
};
#define N_BUILTINS (sizeof builtins / sizeof builtins[0])

static const struct lang_func funcs[] = {
	{"trace", LANG_F_ACTION, LANG_ACT_TRACE, 1, 1, "*", &lang_type_action},
	{"printf", LANG_F_ACTION, LANG_ACT_PRINTF, 1, LANG_ARGS_MAX, "fv",
		&lang_type_action},
	{"printa", LANG_F_ACTION, LANG_ACT_PRINTA, 1, LANG_ARGS_MAX, "a@",
		&lang_type_action},
	{"print", LANG_F_ACTION, LANG_ACT_PRINT, 1, 1, "*", &lang_type_action},
	{"exit", LANG_F_ACTION, LANG_ACT_EXIT, 1, 1, "i", &lang_type_action},
	{"clear", LANG_F_ACTION, LANG_ACT_CLEAR, 1, 1, "@", &lang_type_action},
	{"trunc", LANG_F_ACTION, LANG_ACT_TRUNC, 1, 2, "@i", &lang_type_action},
	{"tracemem", LANG_F_ACTION, LANG_ACT_TRACEMEM, 2, 3, "pii", &lang_type_action},
	{"system", LANG_F_ACTION, LANG_ACT_SYSTEM, 1, LANG_ARGS_MAX, "f*",
		&lang_type_action},
	{"freopen", LANG_F_ACTION, LANG_ACT_FREOPEN, 1, LANG_ARGS_MAX, "f*",
		&lang_type_action},
	{"ftruncate", LANG_F_ACTION, LANG_ACT_FTRUNCATE, 0, 0, "", &lang_type_action},
	{"setopt", LANG_F_ACTION, LANG_ACT_SETOPT, 1, 2, "ss", &lang_type_action},
	{"normalize", LANG_F_ACTION, LANG_ACT_NORMALIZE, 2, 2, "@i", &lang_type_action},
	{"denormalize", LANG_F_ACTION, LANG_ACT_DENORMALIZE, 1, 1, "@",
		&lang_type_action},
	{"speculate", LANG_F_ACTION, LANG_ACT_SPECULATE, 1, 1, "i", &lang_type_action},
	{"commit", LANG_F_ACTION, LANG_ACT_COMMIT, 1, 1, "i", &lang_type_action},
	{"discard", LANG_F_ACTION, LANG_ACT_DISCARD, 1, 1, "i", &lang_type_action},
	{"stop", LANG_F_ACTION, LANG_ACT_STOP, 0, 0, "", &lang_type_action},
	{"raise", LANG_F_ACTION, LANG_ACT_RAISE, 1, 1, "i", &lang_type_action},
	{"count", LANG_F_AGG, RT_AGG_COUNT, 0, 0, "", &lang_type_dyn},
	{"sum", LANG_F_AGG, RT_AGG_SUM, 1, 1, "i", &lang_type_dyn},
	{"avg", LANG_F_AGG, RT_AGG_AVG, 1, 1, "i", &lang_type_dyn},
	{"min", LANG_F_AGG, RT_AGG_MIN, 1, 1, "i", &lang_type_dyn},
	{"max", LANG_F_AGG, RT_AGG_MAX, 1, 1, "i", &lang_type_dyn},
	{"stddev", LANG_F_AGG, RT_AGG_STDDEV, 1, 1, "i", &lang_type_dyn},
	{"quantize", LANG_F_AGG, RT_AGG_QUANTIZE, 1, 2, "ii", &lang_type_dyn},
	{"lquantize", LANG_F_AGG, RT_AGG_LQUANTIZE, 3, 5, "iccci", &lang_type_dyn},
	{"llquantize", LANG_F_AGG, RT_AGG_LLQUANTIZE, 5, 6, "icccci", &lang_type_dyn},
	{"strlen", LANG_F_FUNCTION, LANG_FN_STRLEN, 1, 1, "s", &t_uint64},
	{"copyinstr", LANG_F_FUNCTION, LANG_FN_COPYINSTR, 1, 2, "pi", &lang_type_string},
	{"stringof", LANG_F_FUNCTION, LANG_FN_STRINGOF, 1, 1, "*", &lang_type_string},
	{"alloca", LANG_F_FUNCTION, LANG_FN_ALLOCA, 1, 1, "i", &t_address},
	{"basename", LANG_F_FUNCTION, LANG_FN_BASENAME, 1, 1, "s", &lang_type_string},
	{"bcopy", LANG_F_FUNCTION, LANG_FN_BCOPY, 3, 3, "ppi", &lang_type_void},
	{"cleanpath", LANG_F_FUNCTION, LANG_FN_CLEANPATH, 1, 1, "s", &lang_type_string},
	{"copyin", LANG_F_FUNCTION, LANG_FN_COPYIN, 2, 2, "pi", &t_address},
	{"copyinto", LANG_F_FUNCTION, LANG_FN_COPYINTO, 3, 3, "pip", &lang_type_void},
	{"copyout", LANG_F_FUNCTION, LANG_FN_COPYOUT, 3, 3, "ppi", &lang_type_void},
	{"copyoutstr", LANG_F_FUNCTION, LANG_FN_COPYOUTSTR, 3, 3, "spi", &lang_type_void},
	{"dirname", LANG_F_FUNCTION, LANG_FN_DIRNAME, 1, 1, "s", &lang_type_string},
	{"getmajor", LANG_F_FUNCTION, LANG_FN_GETMAJOR, 1, 1, "i", &t_uint32},
	{"getminor", LANG_F_FUNCTION, LANG_FN_GETMINOR, 1, 1, "i", &t_uint32},
	{"htonl", LANG_F_FUNCTION, LANG_FN_HTONL, 1, 1, "i", &t_uint32},
	{"htonll", LANG_F_FUNCTION, LANG_FN_HTONLL, 1, 1, "i", &t_uint64},
	{"htons", LANG_F_FUNCTION, LANG_FN_HTONS, 1, 1, "i", &t_uint16},
	{"index", LANG_F_FUNCTION, LANG_FN_INDEX, 2, 3, "ssi", &lang_type_int},
	{"inet_ntoa", LANG_F_FUNCTION, LANG_FN_INET_NTOA, 1, 1, "p", &lang_type_string},
	{"inet_ntoa6", LANG_F_FUNCTION, LANG_FN_INET_NTOA6, 1, 1, "p", &lang_type_string},
	{"inet_ntop", LANG_F_FUNCTION, LANG_FN_INET_NTOP, 2, 2, "ip", &lang_type_string},
	{"json", LANG_F_FUNCTION, LANG_FN_JSON, 2, 2, "ss", &lang_type_string},
	{"lltostr", LANG_F_FUNCTION, LANG_FN_LLTOSTR, 1, 2, "ii", &lang_type_string},
	{"ntohl", LANG_F_FUNCTION, LANG_FN_HTONL, 1, 1, "i", &t_uint32},
	{"ntohll", LANG_F_FUNCTION, LANG_FN_HTONLL, 1, 1, "i", &t_uint64},
	{"ntohs", LANG_F_FUNCTION, LANG_FN_HTONS, 1, 1, "i", &t_uint16},
	{"progenyof", LANG_F_FUNCTION, LANG_FN_PROGENYOF, 1, 1, "i", &lang_type_int},
	{"rand", LANG_F_FUNCTION, LANG_FN_RAND, 0, 0, "", &lang_type_int},
	{"rindex", LANG_F_FUNCTION, LANG_FN_RINDEX, 2, 3, "ssi", &lang_type_int},
	{"speculation", LANG_F_FUNCTION, LANG_FN_SPECULATION, 0, 0, "", &lang_type_int},
	{"strchr", LANG_F_FUNCTION, LANG_FN_STRCHR, 2, 2, "si", &lang_type_string},
	{"strjoin", LANG_F_FUNCTION, LANG_FN_STRJOIN, 2, 2, "ss", &lang_type_string},
	{"strrchr", LANG_F_FUNCTION, LANG_FN_STRRCHR, 2, 2, "si", &lang_type_string},
	{"strstr", LANG_F_FUNCTION, LANG_FN_STRSTR, 2, 2, "ss", &lang_type_string},
	{"strtok", LANG_F_FUNCTION, LANG_FN_STRTOK, 2, 2, "Ss", &lang_type_string},
	{"strtoll", LANG_F_FUNCTION, LANG_FN_STRTOLL, 1, 2, "si", &t_int64},
	{"substr", LANG_F_FUNCTION, LANG_FN_SUBSTR, 2, 3, "sii", &lang_type_string},
	{"tolower", LANG_F_FUNCTION, LANG_FN_TOLOWER, 1, 1, "s", &lang_type_string},
	{"toupper", LANG_F_FUNCTION, LANG_FN_TOUPPER, 1, 1, "s", &lang_type_string},
	{"jstack", LANG_F_FUNCTION, LANG_FN_JSTACK, 0, 2, "cc", &t_stack},
	{"uaddr", LANG_F_FUNCTION, LANG_FN_UADDR, 1, 1, "p", &t_named},
	{"ufunc", LANG_F_FUNCTION, LANG_FN_UFUNC, 1, 1, "p", &t_named},
	{"umod", LANG_F_FUNCTION, LANG_FN_UMOD, 1, 1, "p", &t_named},
	{"ustack", LANG_F_FUNCTION, LANG_FN_USTACK, 0, 2, "cc", &t_stack},
	{"usym", LANG_F_FUNCTION, LANG_FN_USYM, 1, 1, "p", &t_named},
	{"uregs[]", LANG_F_FUNCTION, LANG_FN_UREGS, 1, 1, "i", &t_uint64},
};
#define N_FUNCS (sizeof funcs / sizeof funcs[0])

static int same(const char *name, const char *text, size_t len)
{
	return strlen(name) == len && !memcmp(name, text, len);
}

/* What DTrace has and dtproc has not, and why. */
static const struct {
	const char *name, *why;
} refused[] = {
	{"breakpoint", "there is no kernel debugger"},
	{"caller", "it is the kernel's; ucaller is the user's"},
	{"chill", "it delays the kernel"},
	{"curcpu", "what the kernel knows of a CPU cannot be seen"},
	{"curlwpsinfo", "it is a structure of Solaris; pid, tid and execname are there"},
	{"curpsinfo",
		"it is a structure of Solaris; pid, ppid, uid and execname are there"},
	{"curthread", "structures of the kernel cannot be seen"},
	{"ddi_pathname", "devices of the kernel cannot be seen"},
	{"errno", "results of system calls cannot be seen"},
	{"fds", "files of a process are not seen through structures of Solaris"},
	{"getf", "files of the kernel cannot be seen"},
	{"ipl", "there is no interrupt level outside of the kernel"},
	{"msgdsize", "messages of the kernel's STREAMS are of Solaris"},
	{"msgsize", "messages of the kernel's STREAMS are of Solaris"},
	{"mutex_owned", "locks of the kernel cannot be seen"},
	{"mutex_owner", "locks of the kernel cannot be seen"},
	{"mutex_type_adaptive", "locks of the kernel cannot be seen"},
	{"mutex_type_spin", "locks of the kernel cannot be seen"},
	{"panic", "it stops the whole machine"},
	{"rw_iswriter", "locks of the kernel cannot be seen"},
	{"rw_read_held", "locks of the kernel cannot be seen"},
	{"rw_write_held", "locks of the kernel cannot be seen"},
	{"stack", "it is the kernel's; ustack() is the user's"},
	{"stackdepth", "it is the kernel's; ustackdepth is the user's"},
	{"toxic", "it is of the kernel"},
	{"vmregs", "registers of a virtual machine cannot be seen"},
	{"zonename", "zones are of Solaris"},
};

const char *refused_why(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		if (strlen(refused[i].name) == len && !memcmp(refused[i].name, name, len))
			return refused[i].why;
	return NULL;
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
