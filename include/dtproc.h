/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dtproc: hold live processes and trace them, without a kernel module or root.
 *
 * Words.  A *victim* is a process under control, a *handle* (struct dtproc_proc) a
 * counted reference to one, a *session* (struct dtproc) what owns handles and a script.
 * The *keeper* is the separate process that traces one victim; a *control thread* of
 * this process receives the victim's events.  docs/process-control.md has the rules.
 *
 * Errors.  Calls return 0 (or a count) or a negative code of enum dtproc_error;
 * dtproc_error_text() then tells the thing, the reason and what to do.  Outputs are
 * untouched on failure.  The library never exits, aborts (but for its own broken
 * invariants) or prints.
 *
 * Threads.  Unless a call says otherwise any thread may make it; calls on one handle
 * take turns under the handle's lock, calls on different handles do not wait for each
 * other.  "May block" names what a call waits for; all such waits are bounded.
 */
#ifndef DTPROC_H
#define DTPROC_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DTPROC_API __attribute__((visibility("default")))
#define DTPROC_MUST_USE __attribute__((warn_unused_result))

/* An address in a victim.  Never a pointer here. */
typedef uint64_t dtproc_addr;

struct dtproc;      /* a session */
struct dtproc_proc; /* a handle */
struct dtproc_bkpt; /* a breakpoint */

enum dtproc_error {
	DTPROC_ENOMEM = -1,
	DTPROC_EINVAL = -2,
	DTPROC_ESYS = -3,    /* a system call failed; the text says which and why */
	DTPROC_ENOPROC = -4, /* no such process */
	DTPROC_EPERM = -5,   /* permission denied; the text says by what */
	DTPROC_ETRACED = -6, /* already traced; the text says by whom */
	DTPROC_EKTHREAD = -7,
	DTPROC_EZOMBIE = -8,
	DTPROC_ESELF = -9, /* oneself, or one's keeper */
	DTPROC_EEXITED = -10,
	DTPROC_EKILLED = -11,
	DTPROC_EUNOBSERVABLE = -12, /* runs a program that cannot be observed */
	DTPROC_ELOST = -13,         /* the keeper died */
	DTPROC_ESTALE = -14,        /* the PID belongs to another process now */
	DTPROC_EIMAGE = -15,        /* the victim executed another program meanwhile */
	DTPROC_ETIMEOUT = -16,      /* a thread could not be stopped in time */
	DTPROC_ESTATE = -17,        /* not possible in the victim's present state */
	DTPROC_ENOEXEC = -18,       /* the program cannot be executed */
	DTPROC_EKEEPER = -19, /* the keeper cannot be started or is another version */
	DTPROC_EPROTO = -20,
	DTPROC_ERANGE = -21, /* the victim has no memory there */
	DTPROC_ESITE = -22,  /* no breakpoint may be set there; the text says why */
	DTPROC_ELIMIT = -23,
	DTPROC_ELOCK = -24, /* locked twice by one thread, or unlocked by a stranger */
	DTPROC_ENOSYM = -25,
	DTPROC_ENOPROBE = -26,
	DTPROC_ESYNTAX = -27, /* a script does not compile; the text is the diagnostic */
	DTPROC_EELF = -28,
	DTPROC_EVERIFY = -29,
};

/* Text of the calling thread's last error.  Borrowed until its next error. */
DTPROC_API const char *dtproc_error_text(void);
/* The library's version, "0.1.0".  Static. */
DTPROC_API const char *dtproc_version(void);

/* ------------------------------------------------------------------ sessions */

/* Tunables of a session; zero means the default.  `size` is sizeof of this struct. */
struct dtproc_options {
	size_t size;
	unsigned buckets;     /* of the handle table; rounded up to a power of two [16] */
	unsigned cache_limit; /* cached handles kept before eviction [8] */
	unsigned stop_deadline_ms; /* for stopping all threads of a victim [2000] */
	/*
	 * How long a victim waits, when it has executed another program or loaded an
	 * object, for this process to arm probes there; then it runs on, and a notice
	 * tells (rule E5) [1000].
	 */
	unsigned react_deadline_ms;
};

/* Opens a session; the caller owns it.  May block: no. */
DTPROC_API DTPROC_MUST_USE int dtproc_open(
	const struct dtproc_options *options, struct dtproc **out);
/*
 * Closes the session: every handle is released whatever its count (rule A8), created
 * victims are killed, grabbed ones run.  Must not be called from a notification
 * handler or a breakpoint callback, nor while another thread uses the session.  In a
 * child that the client forked a session is its parent's: this does nothing there.
 */
DTPROC_API void dtproc_close(struct dtproc *);

/* ------------------------------------------------------------------- handles */

/*
 * With option `follow` (dtproc_setopt) children of the victims are held too while tracing
 * goes on, by handles of the library's own: a grab of such a PID returns that handle.
 * Their ends cause no notice but when they are lost, and dtproc_work() is done when they
 * have ended too.
 */

enum dtproc_grab_flags {
	DTPROC_GRAB_RDONLY = 1 << 0,      /* never stops the victim; cached (rule A4) */
	DTPROC_GRAB_UNMONITORED = 1 << 1, /* no control thread (rule A11) */
};

/* What happens to the victim when its last reference is released (rule A9). */
enum dtproc_release_mode {
	DTPROC_RELEASE_DEFAULT, /* created: kill; grabbed: run */
	DTPROC_RELEASE_KILL,
	DTPROC_RELEASE_RUN,
	DTPROC_RELEASE_STOPPED, /* SIGSTOP is queued before control ends */
};

/*
 * Starts `file` (found along PATH) with `argv` and `envp` (NULL: the client's
 * environment), stopped at the point that option `evaltime` names (postinit: objects
 * are mapped and the libraries' constructors have run) or the next one that its program
 * has, which is a warning (dtproc_on_warning), and returns its handle with one reference.
 * It inherits what a child of a shell would.  May block: until the program is loaded.
 * Errors: ENOEXEC (file and reason), EEXITED, EKILLED, EUNOBSERVABLE, EKEEPER; a failed
 * create leaves nothing behind.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_proc_create(struct dtproc *, const char *file,
	char *const argv[], char *const envp[], struct dtproc_proc **out);
/*
 * The same from one string of words quoted as for a shell ('..', "..", \); no shell is
 * run, so no variables, globs or pipes.  EINVAL: empty, or a quote is not closed.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_proc_create_command(
	struct dtproc *, const char *command, struct dtproc_proc **out);
/*
 * Takes hold of a running process (flags: enum dtproc_grab_flags) and returns its
 * handle with one more reference (rules A3, A6, C2).  A control grab returns with the
 * victim stopped; arm, then dtproc_proc_continue().  May block: until all threads have
 * stopped, at most options.stop_deadline_ms.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_proc_grab(
	struct dtproc *, pid_t pid, unsigned flags, struct dtproc_proc **out);
/*
 * Gives one reference back; the last one ends control as `mode` says.  When several
 * releases ask, the last one's mode counts.  May block: until the keeper has let go.
 * Must not be called from a breakpoint callback of the same handle.  In a child that
 * the client forked it gives memory and descriptors back, and the victim stays held;
 * there this and dtproc_close() are all that may be called.
 */
DTPROC_API void dtproc_proc_release(struct dtproc_proc *, enum dtproc_release_mode mode);
/*
 * Lets a victim that idles at a stop point run; otherwise does nothing (rule C6).  Locks
 * the handle.  May block: for the keeper's answer.  ELOST: the keeper died; ESTATE: the
 * handle is read-only.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_proc_continue(struct dtproc_proc *);
/*
 * Stops all threads and takes our breakpoints out of the text until continue.  Locks the
 * handle.  May block: until they have stopped, at most options.stop_deadline_ms; then
 * ETIMEOUT, and the victim runs on.  EEXITED, EKILLED, ELOST: it is at its end; ESTATE:
 * the handle is read-only.  In a breakpoint's callback: the victim idles behind it.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_proc_stop(struct dtproc_proc *);

enum dtproc_proc_run {
	DTPROC_IDLE,    /* at a stop point, text clean */
	DTPROC_RUNNING, /* as far as anyone knows */
	DTPROC_EVENT,   /* stopped for an event breakpoint's callback */
	DTPROC_STOPPED, /* by somebody else (SIGSTOP, job control) */
	DTPROC_EXITED,  /* `code` is the exit status */
	DTPROC_KILLED,  /* `code` is the signal */
	DTPROC_LOST,    /* the text says why */
};

struct dtproc_proc_status {
	enum dtproc_proc_run run;
	int code;
	uint32_t generation; /* grows by one with each exec seen */
	char why[128];       /* of DTPROC_LOST; of DTPROC_KILLED "core dumped" or "" */
};

/* The victim's PID, also behind its end.  Does not block. */
DTPROC_API pid_t dtproc_proc_pid(const struct dtproc_proc *);
/* What is known now; locks nothing that a running victim holds; does not block. */
DTPROC_API void dtproc_proc_status(struct dtproc_proc *, struct dtproc_proc_status *out);
/*
 * Waits until the victim is at an end (EXITED, KILLED, LOST); -1: for ever.  ETIMEOUT;
 * ELOCK: this thread has the handle locked, so the end could not be reacted to.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_proc_wait(struct dtproc_proc *, int timeout_ms);

/*
 * Holds the handle for a sequence of operations of the calling thread and holds back
 * the reaction to events meanwhile (rule I2).  ELOCK: already held by this thread, or
 * (unlock) not held by it.  May block: for another thread's sequence, or a callback.
 * The calls below take the same lock for themselves, and nest in it.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_proc_lock(struct dtproc_proc *);
DTPROC_API DTPROC_MUST_USE int dtproc_proc_unlock(struct dtproc_proc *);

/* -------------------------------------------------------- memory, breakpoints */

/*
 * Copies memory of the victim out or in; running or stopped.  Returns the bytes copied,
 * which are fewer when the range ends; ERANGE when there are none.  Reads show the
 * program's own text, never our breakpoints; what is written under one takes effect
 * when it is removed.  EIMAGE: the victim executed another program meanwhile.  EPERM: a
 * read-only handle on memory that is not for us; ESTATE (write): a read-only handle;
 * EEXITED, EKILLED, ELOST: the victim is at its end.  Lock the handle.  May block: for
 * the keeper's answer (write).
 */
DTPROC_API DTPROC_MUST_USE ssize_t dtproc_proc_read(
	struct dtproc_proc *, dtproc_addr addr, void *buf, size_t len);
DTPROC_API DTPROC_MUST_USE ssize_t dtproc_proc_write(
	struct dtproc_proc *, dtproc_addr addr, const void *buf, size_t len);

/*
 * Called by the control thread with all threads of the victim stopped and the handle
 * locked by it.  It may read and write memory, look up symbols, add and remove
 * breakpoints; it must not continue, release, lock or wait.
 */
typedef void dtproc_bkpt_fn(
	struct dtproc_proc *, struct dtproc_bkpt *, pid_t tid, void *arg);

/*
 * Sets an event breakpoint (rule D2); several may share an address.  The handle owns
 * the result until dtproc_bkpt_remove() or the handle's end; an exec takes it out of
 * the victim and leaves the struct.  ESITE: no breakpoint may be there, with the reason.
 * ESTATE: the handle is read-only or has no control thread.  Memory not mapped yet is
 * tried again.  Locks the handle.  May block: as dtproc_proc_stop().
 */
DTPROC_API DTPROC_MUST_USE int dtproc_bkpt_add(struct dtproc_proc *, dtproc_addr addr,
	dtproc_bkpt_fn *fn, void *arg, struct dtproc_bkpt **out);
/*
 * Removes it; from a callback too, the running one included.  EINVAL: the handle has no
 * such breakpoint.  Locks the handle.  May block: as dtproc_proc_stop().
 */
DTPROC_API DTPROC_MUST_USE int dtproc_bkpt_remove(
	struct dtproc_proc *, struct dtproc_bkpt *);
/* Where it is.  Does not block. */
DTPROC_API dtproc_addr dtproc_bkpt_addr(const struct dtproc_bkpt *);
/* How often it was hit so far. */
DTPROC_API uint64_t dtproc_bkpt_hits(const struct dtproc_bkpt *);

/*
 * Address of a function or object by name.  `object`: "a.out" (the program), a soname
 * ("libc.so.6"), it without version, or its stem ("libc"); NULL: any.  ENOSYM; EIMAGE,
 * EEXITED, EKILLED, ELOST as dtproc_proc_read().  Locks the handle.  May block: for
 * the files that are read.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_proc_symbol(struct dtproc_proc *,
	const char *object, const char *name, dtproc_addr *addr, size_t *size);

/* ---------------------------------------------------------- names and stacks */

/* What an address is called.  The texts stay until the next such call on the handle. */
struct dtproc_symbol {
	const char *object; /* short name: "libc.so.6"; "": nothing is known */
	const char *path;   /* of its file; "": none, as for a JIT's code */
	const char *symbol; /* "malloc"; "malloc@plt" for a stub; NULL: no name */
	dtproc_addr start;  /* of the symbol, or without one of the object */
	uint64_t size;      /* of the symbol; 0: not known */
};

/*
 * Names `n` addresses; returns how many of them belong to something.  `when`: 0 for now,
 * or a time of CLOCK_MONOTONIC in nanoseconds, for an address that was recorded then:
 * what has left by dlclose, exec or exit since keeps its names, as far as this call (or
 * dtproc_proc_stack) saw it.  Mappings are looked at once a call, so ask for many at
 * once. Nobody is stopped; any handle, also of a victim at its end.  Locks the handle.
 * May block: for the files that are read.
 */
DTPROC_API DTPROC_MUST_USE long dtproc_proc_symbols_at(struct dtproc_proc *,
	const dtproc_addr *at, size_t n, uint64_t when, struct dtproc_symbol *out);
/*
 * The name as its programmer wrote it (C++, Rust), with the types of arguments or, by
 * `brief` not 0, without; the caller frees it.  NULL: it is not mangled.
 */
DTPROC_API char *dtproc_demangle(const char *symbol, int brief);

enum dtproc_frame_flags {
	DTPROC_FRAME_EXACT = 1 << 0,  /* pc is the next instruction, not a return address:
					 look names up at pc, else at pc - 1 */
	DTPROC_FRAME_SIGNAL = 1 << 1, /* the kernel made this frame, for a signal */
	DTPROC_FRAME_POINTER = 1 << 2, /* found by a frame pointer */
	DTPROC_FRAME_GUESS = 1 << 3,   /* by a look at the stack: it may be wrong */
	DTPROC_FRAME_CUT =
		1 << 4, /* in a snapshot, the last: what called it is not known */
};

struct dtproc_frame {
	dtproc_addr pc;
	dtproc_addr cfa; /* the caller's stack pointer; 0: not known */
	unsigned flags;  /* enum dtproc_frame_flags */
};

/* The IDs of all threads, at most `room` of them; returns how many there are.  Locks the
 * handle.  May block: as dtproc_proc_stop().  ESTATE: the handle is read-only. */
DTPROC_API DTPROC_MUST_USE long dtproc_proc_threads(
	struct dtproc_proc *, pid_t *tids, size_t room);
/*
 * The stack of a thread while the victim idles or is stopped, innermost frame first, at
 * most `room` frames; returns how many.  No frame pointers are needed.  ESTATE: it runs,
 * or the handle is read-only; ENOPROC: it has no such thread.  Locks the handle.  May
 * block: for the files that are read.
 */
DTPROC_API DTPROC_MUST_USE long dtproc_proc_stack(
	struct dtproc_proc *, pid_t tid, struct dtproc_frame *frames, size_t room);

/*
 * The stacks of all threads of one instant: copied in one stop, to be walked behind it. A
 * snapshot belongs to one thread at a time, and needs no handle.
 */
struct dtproc_snapshot;
/*
 * Of a process.  A victim that idles stays so; one that runs is stopped for the copying
 * alone.  Of each thread at most the innermost MiB is copied, and less with more than 32
 * threads (32 KiB with 1,000).  Locks the handle.  May block: as dtproc_proc_stop().
 * ESTATE: the handle is read-only.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_proc_snapshot(
	struct dtproc_proc *, struct dtproc_snapshot **out);
/* Of a core file.  EELF: it is none of this CPU; ENOSYM: it cannot be opened. */
DTPROC_API DTPROC_MUST_USE int dtproc_core_snapshot(
	const char *path, struct dtproc_snapshot **out);
DTPROC_API void dtproc_snapshot_free(struct dtproc_snapshot *); /* NULL: nothing */
/* The process's number and name; 0 and "" where a core file does not tell. */
DTPROC_API pid_t dtproc_snapshot_pid(const struct dtproc_snapshot *);
DTPROC_API const char *dtproc_snapshot_name(const struct dtproc_snapshot *);
/* How many threads there are, and the ID of each: by ID, or the one that died first. */
DTPROC_API size_t dtproc_snapshot_threads(const struct dtproc_snapshot *);
DTPROC_API pid_t dtproc_snapshot_tid(const struct dtproc_snapshot *, size_t i);
/*
 * The stack of the i-th, as dtproc_proc_stack(); 0: it could not be stopped.  May block:
 * for the files that are read.
 */
DTPROC_API DTPROC_MUST_USE long dtproc_snapshot_stack(
	struct dtproc_snapshot *, size_t i, struct dtproc_frame *frames, size_t room);
/* Names an address: 1; 0: nothing is known of it.  The texts stay as long as it does. */
DTPROC_API int dtproc_snapshot_symbol(
	struct dtproc_snapshot *, dtproc_addr, struct dtproc_symbol *out);

/* ------------------------------------------------------------- notifications */

enum dtproc_notice_kind {
	DTPROC_NOTICE_EXITED, /* code: exit status */
	DTPROC_NOTICE_KILLED, /* code: signal */
	DTPROC_NOTICE_LOST,
	DTPROC_NOTICE_ERROR, /* something concerning this victim failed; it lives on */
};

struct dtproc_notice {
	enum dtproc_notice_kind kind;
	struct dtproc_proc *proc; /* borrowed for the call; may be released in it */
	pid_t pid;
	int code;
	const char *text; /* "pid 4711 exited with status 3"; borrowed for the call */
};

typedef void dtproc_notice_fn(const struct dtproc_notice *, void *arg);

/*
 * Registers the session's handler (NULL: none).  It is called from dtproc_sleep() and
 * dtproc_work() alone, in order for each victim, with no lock held.
 */
DTPROC_API void dtproc_on_notice(struct dtproc *, dtproc_notice_fn *fn, void *arg);
/* Ends the sleep or work that another thread is in.  A signal handler may call it. */
DTPROC_API void dtproc_wake(struct dtproc *);
/* One descriptor to poll for reading: ready when a notice or records wait. */
DTPROC_API int dtproc_fd(const struct dtproc *);
/*
 * Waits until a notice or records are there, or the time is over (-1: for ever), and
 * calls the handler for what is queued.  Returns the number of notices delivered.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_sleep(struct dtproc *, int timeout_ms);

/* ------------------------------------------------------------------- tracing */

/*
 * Sets an option as -x does ("quiet", NULL or "bufsize", "1m").  Before dtproc_go();
 * later ESTATE, but for options of printing (aggsort*, flowindent, quiet, switchrate and
 * so on), which the thread that calls dtproc_work() may set.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_setopt(
	struct dtproc *, const char *name, const char *value);
/*
 * The value of an option that was set here or by a pragma, or its default ("" for one
 * without a value); NULL: not set, or unknown.  Borrowed until it is set again.
 */
DTPROC_API const char *dtproc_getopt(const struct dtproc *, const char *name);
/* The name of option `i` of all that are known; NULL behind the last.  Static. */
DTPROC_API const char *dtproc_option_name(unsigned i);
/*
 * Compiles a text of declarations alone (types, inline definitions, translators,
 * variables) for all scripts that come later; `name` stands in its diagnostics.  ESYNTAX,
 * and EINVAL: it has clauses; nothing is left of it.  Called before dtproc_match(), by
 * the thread that works with the session.  May block: for objects of $target that are
 * read.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_library(
	struct dtproc *, const char *name, const char *text);
/*
 * Compiles D text and adds its clauses.  `name` is what diagnostics call the text
 * ("-n", a file); argv are $1 and on ($0 is `name`).  ESYNTAX: the text of the error is
 * the whole diagnostic, with line and caret.  Nothing is armed yet.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_script(struct dtproc *, const char *name,
	const char *text, int argc, char *const argv[]);
/* What one may rely on, in DTrace's words ("Stable", "Evolving", "ISA"); static. */
struct dtproc_stability {
	const char *names, *data, *dependency;
};
struct dtproc_probe_info {
	uint32_t id;
	const char *provider, *module, *function, *name;
	struct dtproc_stability of_name, of_args;
	unsigned n_args; /* that have a type of their own, as a static probe's */
};
typedef int dtproc_probe_fn(const struct dtproc_probe_info *, void *arg);
/*
 * Calls fn for each probe that the scripts' descriptions match (dtproc -l).  It stops
 * nobody: victims are looked at read-only.  What it reads of files is there for
 * dtproc_go(), so who grabs behind it pauses the victim for a shorter time.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_each_probe(
	struct dtproc *, dtproc_probe_fn *fn, void *arg);
/*
 * How many probes each script matched; `what` is "description 'x'" for the name "-n",
 * else "script 'name'".
 */
typedef void dtproc_match_fn(const char *what, unsigned matched, void *arg);
/*
 * Makes the probes that the scripts ask for; arms nothing.  ENOPROBE: a description
 * matches nothing (and `zdefs` is not set).
 */
DTPROC_API DTPROC_MUST_USE int dtproc_match(
	struct dtproc *, dtproc_match_fn *matched, void *arg);
/* Prints the bytecode of the scripts so far. */
DTPROC_API DTPROC_MUST_USE int dtproc_print_programs(struct dtproc *, FILE *out);
/*
 * Makes probes for every handle of the session, arms them, fires BEGIN, and lets the
 * victims run.  dtproc_match() comes first, here if it did not before.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_go(
	struct dtproc *, dtproc_match_fn *matched, void *arg);

enum dtproc_work_status {
	DTPROC_WORK_OK = 0,
	DTPROC_WORK_DONE = 1, /* exit() was called, or every victim is at its end, and
				 every followed child */
};
/*
 * Sleeps until something is to do (at most one switch interval), delivers notices, and
 * prints waiting records to `out`.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_work(struct dtproc *, FILE *out);
/*
 * Ends tracing: probes are disarmed, END fires, the rest and aggregations are printed.
 * The session's own references to victims are given back.
 */
DTPROC_API DTPROC_MUST_USE int dtproc_stop(struct dtproc *, FILE *out);
/* The status that exit() gave; 0 without one. */
DTPROC_API int dtproc_exit_status(const struct dtproc *);
/* Receives warnings such as "5 drops on lane 0" (NULL: standard error). */
typedef void dtproc_warn_fn(const char *text, void *arg);
DTPROC_API void dtproc_on_warning(struct dtproc *, dtproc_warn_fn *fn, void *arg);

#ifdef __cplusplus
}
#endif
#endif
