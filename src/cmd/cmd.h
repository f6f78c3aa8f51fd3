/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the command share.  It uses nothing of the library but dtproc.h. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <dtproc.h>

/* Exit statuses, DTrace's. */
enum cmd_exit { CMD_OK = 0, CMD_FATAL = 1, CMD_USAGE = 2 };

enum cmd_mode { CMD_TRACE, CMD_LIST, CMD_COMPILE, CMD_VERSION, CMD_HELP };

/* One option that is carried out in the order of the command line. */
struct cmd_item {
	int letter; /* 'n', 's', 'P', 'm', 'f', 'i': a program; 'c', 'p': a victim; 'x' */
	const char *arg;
};

struct cmd_line {
	enum cmd_mode mode;
	unsigned verbose;   /* -v */
	unsigned bytecode;  /* -S */
	unsigned cpp;       /* -C */
	const char *output; /* -o */
	const char *name;   /* -W, --name */
	struct cmd_item *items;
	size_t n;
	char **args; /* $1 and on */
	int n_args;
};

/* Parses argv; a status to end with, or -1: go on.  The result is the caller's. */
int cmd_parse(int argc, char **argv, struct cmd_line *out);
void cmd_free(struct cmd_line *);
/* Prints the usage. */
void cmd_usage(FILE *);

/*
 * The D text that -n, -P, -m and -f stand for: the description filled up with colons.
 * The caller frees; NULL: no memory.
 */
char *cmd_specifier(int letter, const char *arg);

/* The whole of a file, NUL-terminated; the caller frees.  NULL: errno tells. */
char *cmd_read_all(FILE *);
/* A script's text through the C preprocessor, likewise; NULL: it was told why not. */
char *cmd_preprocess(const struct cmd_line *, const char *path, const char *text);
/* Compiles the libraries in the folders of -L; -1: it was told why not. */
int cmd_libraries(struct dtproc *, const struct cmd_line *);

/* Prints "dtproc: " and a message on standard error. */
void cmd_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Waits until a process of that name begins: its PID, and when it began or
 * (CLOCK_MONOTONIC ns) at the earliest; -1: it was told why not.
 */
pid_t cmd_await(const char *name, uint64_t *since);
/* How long ago that is. */
double cmd_late_ms(uint64_t since);

/* `dtproc stop PID` and its like: the status to end with; -1: it is none of them. */
int cmd_tool(int argc, char **argv);

/* Such an argument: a number that a process may have; -1: it is none. */
int cmd_parse_pid(const char *arg, pid_t *pid);
/* "cannot VERB WHAT: WHY"; -1. */
int cmd_failed(const char *verb, const char *what, const char *why);
/* `dtproc stack`: the arguments behind the word. */
int cmd_stack(char **args);
/* `dtproc maps`, `threads`, `files`, `tree` (proctools.c). */
int cmd_look(const char *tool, char **args);

/* A file of /proc/PID, or /proc/PID/task/TID for `tid` not 0: NULL, with errno. */
FILE *cmd_proc_open(pid_t pid, pid_t tid, const char *file);
/* What the kernel tells of a thread. */
struct cmd_task {
	pid_t pid, tid;
	char name[64]; /* what may not be printed is a dot */
	char state;    /* R, S, D, T, t, Z ...; '?': it is gone */
	double cpu;    /* seconds, user and system */
	pid_t parent;
};
int cmd_task_read(pid_t pid, pid_t tid, struct cmd_task *out);
/* All of a process, by ID; the caller frees.  NULL: errno tells. */
struct cmd_task *cmd_tasks(pid_t pid, size_t *n);
const char *cmd_state_word(char state);
/* The command line, at most `room` bytes of it; the name in brackets without one. */
void cmd_command(pid_t pid, char *out, size_t room);

/* ---------------------------------------------------------------- stopped.c */

/* From now on victims may be stopped: output is kept, Ctrl-Z waits. */
void cmd_stopped(void);
/* They run, or are let go of: says what was kept, and obeys. */
void cmd_running(void);
/* Where to write now what goes to `to`.  Borrowed until cmd_running(). */
FILE *cmd_stream(FILE *to);

#endif
