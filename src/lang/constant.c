/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of constants that DTrace's own library defines: registers, signals, errors,
 * faults.  Registers have the numbers of DTrace on amd64.
 */
#include "parts.h"

#include <runtime/runtime.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

struct constant {
	const char *name;
	int64_t value;
};
#define C(name)                                                                          \
	{                                                                                \
#name, name                                                              \
	}
#define FAULT(name)                                                                      \
	{                                                                                \
		"DTRACEFLT_" #name, RT_FAULT_##name                                      \
	}

static const struct constant constants[] = {
	{"NULL", 0}, /* the first */
	{"R_R15", 0},
	{"R_R14", 1},
	{"R_R13", 2},
	{"R_R12", 3},
	{"R_R11", 4},
	{"R_R10", 5},
	{"R_R9", 6},
	{"R_R8", 7},
	{"R_RDI", 8},
	{"R_RSI", 9},
	{"R_RBP", 10},
	{"R_RBX", 11},
	{"R_RDX", 12},
	{"R_RCX", 13},
	{"R_RAX", 14},
	{"R_TRAPNO", 15},
	{"R_ERR", 16},
	{"R_RIP", 17},
	{"R_CS", 18},
	{"R_RFL", 19},
	{"R_RSP", 20},
	{"R_SS", 21},
	{"R_FS", 22},
	{"R_GS", 23},
	{"R_ES", 24},
	{"R_DS", 25},
	{"R_FSBASE", 26},
	{"R_GSBASE", 27},
	{"R_PC", 17},
	{"R_SP", 20},
	{"R_PS", 19},
	{"R_R0", 14},
	{"R_R1", 11},
	{"R_EAX", 14},
	{"R_EBX", 11},
	{"R_ECX", 13},
	{"R_EDX", 12},
	{"R_ESI", 9},
	{"R_EDI", 8},
	{"R_EBP", 10},
	{"R_ESP", 20},
	{"R_EIP", 17},
	{"R_EFL", 19},
	{"R_UESP", 20},
	C(SIGHUP),
	C(SIGINT),
	C(SIGQUIT),
	C(SIGILL),
	C(SIGTRAP),
	C(SIGABRT),
	C(SIGBUS),
	C(SIGFPE),
	C(SIGKILL),
	C(SIGUSR1),
	C(SIGSEGV),
	C(SIGUSR2),
	C(SIGPIPE),
	C(SIGALRM),
	C(SIGTERM),
	C(SIGCHLD),
	C(SIGCONT),
	C(SIGSTOP),
	C(SIGTSTP),
	C(SIGTTIN),
	C(SIGTTOU),
	C(SIGURG),
	C(SIGXCPU),
	C(SIGXFSZ),
	C(SIGVTALRM),
	C(SIGPROF),
	C(SIGWINCH),
	C(SIGIO),
	C(SIGPOLL),
	C(SIGPWR),
	C(SIGSYS),
	C(EPERM),
	C(ENOENT),
	C(ESRCH),
	C(EINTR),
	C(EIO),
	C(ENXIO),
	C(E2BIG),
	C(ENOEXEC),
	C(EBADF),
	C(ECHILD),
	C(EAGAIN),
	C(ENOMEM),
	C(EACCES),
	C(EFAULT),
	C(EBUSY),
	C(EEXIST),
	C(EXDEV),
	C(ENODEV),
	C(ENOTDIR),
	C(EISDIR),
	C(EINVAL),
	C(ENFILE),
	C(EMFILE),
	C(ENOTTY),
	C(ETXTBSY),
	C(EFBIG),
	C(ENOSPC),
	C(ESPIPE),
	C(EROFS),
	C(EMLINK),
	C(EPIPE),
	C(EDOM),
	C(ERANGE),
	C(EDEADLK),
	C(ENAMETOOLONG),
	C(ENOSYS),
	C(ENOTEMPTY),
	C(ELOOP),
	C(EWOULDBLOCK),
	C(ENOTSOCK),
	C(EADDRINUSE),
	C(EADDRNOTAVAIL),
	C(ENETUNREACH),
	C(ECONNABORTED),
	C(ECONNRESET),
	C(ENOTCONN),
	C(ETIMEDOUT),
	C(ECONNREFUSED),
	C(EHOSTUNREACH),
	C(EALREADY),
	C(EINPROGRESS),
	C(AF_UNIX),
	C(AF_INET),
	C(AF_INET6),
	{"DTRACEFLT_UNKNOWN", RT_FAULT_NONE},
	FAULT(BADADDR),
	FAULT(BADALIGN),
	FAULT(ILLOP),
	FAULT(DIVZERO),
	FAULT(NOSCRATCH),
	FAULT(KPRIV),
	FAULT(UPRIV),
	FAULT(TUPOFLOW),
	FAULT(BADSTACK),
};

int constant_read(struct lang_node *n)
{
	static const struct lang_type null = {.kind = LANG_T_POINTER,
		.size = 8,
		.name = "void *",
		.to = &lang_type_void};

	for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
		if (strcmp(constants[i].name, n->text))
			continue;
		n->kind = LANG_N_INT;
		n->type = i ? &lang_type_int : &null;
		n->value = (uint64_t)constants[i].value;
		return 1;
	}
	return 0;
}
