/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hold layer, as the rooms above it see it: sessions, handles, and what can be done
 * with the victim behind a handle.
 *
 * The public calls on a handle (dtproc_proc_read, _write, _continue, _stop, _lock,
 * _release, _status, _wait, _symbol; dtproc_bkpt_*) are defined here; those on a struct
 * dtproc are forwarded to a hold_session by the tracing layer.
 *
 * Locks, in the order in which they are taken: a handle's lock (hold_guard), then the
 * session's table lock, then leaves (a handle's state, the notice queue).  No function
 * here is called back with the table lock held.
 */
#ifndef HOLD_HOLD_H
#define HOLD_HOLD_H

#include <base/err.h>
#include <victim/victim.h>
#include <wire/proto.h>

#include <sys/user.h>

struct hold_session;

/* ------------------------------------------------------------------ session */

/* What is new in a victim; the thread concerned waits until that was reacted to (E5). */
enum hold_change {
	HOLD_EXEC,    /* another image: all sites are gone; programs and segment stay */
	HOLD_OBJECTS, /* objects came or went */
	HOLD_CHILD,   /* a child that is followed */
};

/*
 * Called by the library for the layer above.  Any member may be NULL.  They run in the
 * thread that reacts (the control thread), with the handle locked.
 */
struct hold_hooks {
	void *arg;
	void (*changed)(struct dtproc_proc *, enum hold_change, void *arg);
	/* It exited, was killed or lost; dtproc_proc_status() tells. */
	void (*end)(struct dtproc_proc *, void *arg);
};

/* Opens a session (NULL: default options); hold_close() releases every handle (A8). */
int hold_open(const struct dtproc_options *, struct hold_session **out) MUST_USE;
void hold_close(struct hold_session *);
/* Is this a child that the client forked?  It has no say, and may only give back. */
int hold_forked(const struct hold_session *);
/* Before the first handle. */
void hold_set_hooks(struct hold_session *, const struct hold_hooks *);

/* Whose grab it is: the client's own sets $target, the library's does not (A12). */
enum hold_for { HOLD_FOR_CLIENT, HOLD_FOR_LIBRARY };

/* As dtproc_proc_create(), dtproc_proc_create_command(), dtproc_proc_grab(). */
int hold_create(struct hold_session *, enum hold_for, const char *file,
	char *const argv[], char *const envp[], struct dtproc_proc **out) MUST_USE;
int hold_create_command(struct hold_session *, enum hold_for, const char *command,
	struct dtproc_proc **out) MUST_USE;
int hold_grab(struct hold_session *, enum hold_for, pid_t pid, unsigned flags,
	struct dtproc_proc **out) MUST_USE;

/* The PID of $target; 0: none yet. */
pid_t hold_target(struct hold_session *);
/*
 * Calls fn for each handle that controls its victim (created or grabbed, not read-only,
 * not stale), oldest first; each holds a reference of ours meanwhile and no lock.  Ends
 * at the first result that is not 0, and returns it.
 */
int hold_each(struct hold_session *, int (*fn)(struct dtproc_proc *, void *), void *arg);

/* ------------------------------------------------------------------- handle */

/* One more reference; dtproc_proc_release() gives it back. */
void hold_ref(struct dtproc_proc *);
struct hold_session *hold_session_of(const struct dtproc_proc *);
/* Did we create it? */
int hold_created(const struct dtproc_proc *);
/* A pointer of the layer above; `destroy` is called when the handle ends. */
void hold_set_user(struct dtproc_proc *, void *user, void (*destroy)(void *user));
void *hold_user(struct dtproc_proc *);
/* The keeper's counters, mapped; NULL for a read-only handle.  Borrowed. */
const struct wire_ledger *hold_ledger(const struct dtproc_proc *);

/*
 * A scope with the handle locked: { CLEAN(hold_leave) struct hold_guard g =
 * hold_enter(p); ... }.  Unlike dtproc_proc_lock() it nests, in a callback too.
 */
struct hold_guard {
	struct dtproc_proc *proc; /* NULL: the thread had it already */
};
struct hold_guard hold_enter(struct dtproc_proc *);
void hold_leave(struct hold_guard *);

/* A fresh copy of the victim's mappings; the caller frees it (victim_maps_free). */
int hold_maps(struct dtproc_proc *, struct victim_maps *out) MUST_USE;

/* Its threads, stopped for the moment; the caller frees the list. */
int hold_threads(struct dtproc_proc *, struct wire_thread **out, size_t *n) MUST_USE;
/* Registers of a thread while all are stopped.  ESTATE: it runs; ENOPROC: no such one. */
int hold_regs(struct dtproc_proc *, pid_t tid, struct user_regs_struct *out) MUST_USE;

/* Copies of the registers and the tops of stacks of all threads, of one instant. */
struct hold_stacks {
	struct wire_stack *at; /* the bytes of each, which are there, are at `offset` */
	size_t n;
	const unsigned char *bytes;
};
/* Stops a victim that runs for that moment.  The caller frees out->at, which is all. */
int hold_stacks(struct dtproc_proc *, struct hold_stacks *out) MUST_USE;

/*
 * Follows the run-time linker from now on, over every exec: what it loads or unloads is a
 * change (HOLD_OBJECTS).  1; 0: the program is static, or its linker is not found yet (it
 * is looked for again at the entry point).  ESITE and others: it cannot be followed.
 */
int hold_follow_linker(struct dtproc_proc *) MUST_USE;
/*
 * The code that is mapped now, by address, for whoever has the handle locked; until the
 * lock is left.
 */
int hold_code(struct dtproc_proc *, const struct victim_maps **out) MUST_USE;
/* While HOLD_OBJECTS is reacted to: where something changed.  0: anywhere. */
size_t hold_changes(struct dtproc_proc *, const struct wire_range **out);
/*
 * A number that grows when something that was mapped has left (by the linker or an exec),
 * as last told; programs put it beside addresses (RT_WHOSE).  For whoever has the handle
 * locked.
 */
uint32_t hold_epoch(const struct dtproc_proc *);

/*
 * Follows the children that a victim makes from now on, and theirs (F3): each gets a
 * handle with a control thread, which tells the layer above (HOLD_CHILD) before the child
 * has executed anything, and then lets it run.  Output that was set up in the victim is
 * theirs too.  The handle's one reference is the library's own.  ESTATE: the victim has
 * no control thread.
 */
int hold_follow(struct dtproc_proc *) MUST_USE;
/* The PID of the parent of a followed child; 0: it is none. */
pid_t hold_parent(const struct dtproc_proc *);
/* The ancestor that is not followed, or itself; to compare with, it may be gone. */
const struct dtproc_proc *hold_root(const struct dtproc_proc *);
/* Gives the library's own reference back, once; without others the child is let go. */
void hold_unfollow(struct dtproc_proc *);
void hold_unfollow_all(struct hold_session *);

/* Sites that a layer above arms have users below this; event breakpoints above. */
#define HOLD_USER_MAX 0x80000000u

/*
 * Replaces all programs: wire_program headers, each followed by its code; `flags` of
 * enum wire_programs_flags.
 */
int hold_programs(
	struct dtproc_proc *, unsigned flags, const void *bytes, size_t len) MUST_USE;
/*
 * Hands the segment, its doorbell (an eventfd) and the memory of the session's
 * variables (-1: there are none) to the keeper.
 */
int hold_segment(struct dtproc_proc *, int segment, int doorbell, int shared) MUST_USE;
/*
 * Arms `n` sites in one request and fills in their results (behind them lie so many
 * wire_operands, which their arguments are made of); returns how many were
 * armed (those on memory not mapped yet among them), or a negative code when the
 * request as a whole failed: EIMAGE, when the victim's image is not the one of this
 * generation (0: the present one) any more.
 */
long hold_arm(struct dtproc_proc *, uint32_t generation, struct wire_site *sites,
	size_t n, size_t operands) MUST_USE;
/* Disarms those sites (addr and user tell which). */
int hold_disarm(struct dtproc_proc *, const struct wire_site *sites, size_t n) MUST_USE;

/*
 * Lets a victim that idles run to `addr` and returns when it idles there, its text
 * clean.  EEXITED, EKILLED, ELOST: it came to its end first (the text says which);
 * ETIMEOUT after `timeout_ms` (-1: none), and the victim runs.
 */
int hold_run_to(struct dtproc_proc *, dtproc_addr addr, int timeout_ms) MUST_USE;

/* Stop points of an image, in the order in which it comes to them (C4). */
enum hold_point {
	HOLD_AT_EXEC,     /* its first instruction */
	HOLD_AT_PREINIT,  /* all is mapped and relocated, no constructor has run */
	HOLD_AT_POSTINIT, /* the libraries' constructors have run */
	HOLD_AT_MAIN,     /* the first instruction of main() */
};
struct hold_reached {
	enum hold_point point;
	char why[160]; /* it is not the one that was asked for; "": it is, or as good */
};
/*
 * Lets a victim that idles where the kernel started it run to that stop point, and
 * returns when it idles there, or at the next one where this does not exist (*out says
 * why; for want of main(): at the entry point).  When it executes another program first,
 * the point is that program's.  Else as hold_run_to().
 */
int hold_run_to_point(struct dtproc_proc *, enum hold_point, int timeout_ms,
	struct hold_reached *out) MUST_USE;

/* ------------------------------------------------------------------ notices */

/* An eventfd that is readable while notices wait. */
int hold_fd(const struct hold_session *);
/* Marks the session's descriptor readable (the layer above has something to do). */
void hold_wake(struct hold_session *);
void hold_on_notice(struct hold_session *, dtproc_notice_fn *fn, void *arg);
/* Queues an error message that concerns this victim (E3). */
void hold_notice_error(struct dtproc_proc *, const char *text);
/*
 * Calls the handler for every notice queued, with no lock held; returns how many.
 * Called by the thread that sleeps or works, never by a control thread.
 */
int hold_deliver(struct hold_session *);

#endif
