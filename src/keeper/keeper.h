/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keeper: one small single-threaded process for each victim and the children of it
 * that are followed, the only one that traces and waits for them.  docs/protocol.md has
 * its states; this header is shared by the files of this room and by nobody else.
 *
 * A *task* is a traced thread: one of the victim, or of a process that shares the
 * victim's memory (a vfork child, CLONE_VM), here called a *sharer*.  Each stop of a task
 * is dealt with once, when it is reported, and leaves in the task what it takes to set it
 * going again (listen, sig, skip).  While `held` is set tasks are left stopped; otherwise
 * they are resumed at once.
 */
#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include "chain.h"

#include <arch/arch.h>
#include <base/clean.h>
#include <base/err.h>
#include <base/hash.h>
#include <base/log.h>
#include <base/retry.h>
#include <base/rule.h>
#include <base/step.h>
#include <base/vec.h>
#include <bpf/bpf.h>
#include <runtime/runtime.h>
#include <wire/proto.h>

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum task_run {
	TASK_RUNS,
	TASK_STOPPED, /* in a ptrace stop, reported and dealt with */
	TASK_LISTENS, /* stopped by others; PTRACE_LISTEN */
};

/* How much of the time it is ready to run a thread runs: profile.c. */
struct task_share {
	uint64_t run, wait;             /* ns of late */
	uint64_t run_until, wait_until; /* as the kernel had them */
	uint32_t carry;
	uint8_t known;
};

struct task {
	pid_t tid, tgid;
	enum task_run run;
	uint8_t sharer;   /* of another process with the victim's memory */
	uint8_t at_event; /* stopped in PTRACE_EVENT_STOP: system calls may be injected */
	uint8_t vforking; /* waits for its vfork child: as good as stopped */
	uint8_t listen;   /* a group stop is in effect: resume by PTRACE_LISTEN */
	uint8_t mask_known; /* `mask` was read at a stop that changed nothing */
	uint8_t stepping;   /* a step's trap is to come; then `mask` is put back */
	uint8_t owed_stop;  /* a SIGSTOP came while nothing could be delivered */
	uint8_t waits;      /* kind of the held event that it caused: it is not resumed */
	uint32_t waits_for; /* ... until this event is acknowledged; 0: not told yet */
	uint64_t waits_until; /* ... or this is over, in ns */
	int sig;              /* to deliver when resumed */
	dtproc_addr skip; /* it has hit the trap here already: go past it, uncounted */
	/* A hit that the program will repeat for reasons of its own (a restarted call,
	   a fault that its handler mends): at this PC with this SP it is not counted. */
	dtproc_addr repeat_pc, repeat_sp;
	/* A call cut short by us and rewound: its number, and the PC it was rewound to.
	 */
	uint64_t rewound_nr;
	dtproc_addr rewound_pc;
	uint64_t mask;      /* blocked signals */
	uint64_t sample_at; /* the tick that it was interrupted for; 0: for none */
	struct task_share share;
	uint64_t stop_epoch; /* of the last INTERRUPT sent; 0: none */
};

/* A user of a site: an event breakpoint of the client, or a probe's program. */
struct site_user {
	uint32_t user, kind, program, probe;
	struct place *place; /* its own; NULL: a plain one */
	uint8_t late;        /* it comes behind those that are not */
	uint32_t asked;      /* by which request */
	uint8_t recalled;    /* by recall.c; the client does not know yet */
};

/* The operands of a request's sites. */
struct wire_operands {
	const struct wire_operand *at;
	size_t n;
};

struct site {
	dtproc_addr addr;
	uint8_t planted; /* the trap is in the text now */
	uint8_t ready;   /* decoded, and has its slot if it needs one */
	uint8_t way;     /* enum arch_way */
	uint8_t len;
	uint8_t syscall;
	uint8_t writable; /* so is the text there */
	uint8_t refused;  /* enum wire_refusal of the last preparation */
	uint8_t doomed;   /* refused: it goes when its users have been told */
	uint8_t events;   /* users that are event breakpoints */
	uint8_t orig[ARCH_INSN_MAX];
	uint8_t seen; /* valid bytes of orig: the instruction and some behind it */
	uint64_t inode, offset; /* where in which file; inode 0: in none */
	dtproc_addr slot;
	uint32_t trap; /* index in the ledger + 1; 0: none */
	VEC(struct site_user) users;
};

struct slot_area {
	dtproc_addr base;
	uint32_t slots, next;
	VEC(uint32_t) vacant;
};

struct slot_code {
	uint8_t bytes[ARCH_SLOT_MAX];
};

/* An event breakpoint that was hit and is still to be told. */
struct pending_hit {
	pid_t tid;
	dtproc_addr addr;
};

struct keeper {
	pid_t pid;
	int requests, events; /* our ends of the sockets; -1 */
	int bulk;             /* memfd */
	enum wire_state state;
	uint32_t generation;
	uint8_t created;
	uint8_t followed; /* it is a child of another victim of ours */
	uint8_t follow;   /* its children are to be */
	uint8_t started;  /* WIRE_MOMENT_START has come */
	uint8_t held;     /* tasks are left stopped; 2: a stop of all is wanted */
	uint8_t hot;      /* the last stop was a hit: the next one is near */
	uint8_t finished; /* it is over */
	uint8_t client_gone;
	uint8_t stopped_by; /* signal that somebody else stopped the victim with; 0 */
	int deadline_ms;
	int mem;    /* /proc/PID/mem, or -1 */
	int maps;   /* /proc/PID/maps of this image, once asked; or -1 */
	int victim; /* while it starts: pidfd of the process that is meant; -1 */

	struct hash tasks;      /* by tid: struct task */
	struct hash sites;      /* by address: struct site */
	struct hash slots;      /* by slot address: struct site */
	struct hash semaphores; /* by address: struct semaphore */
	struct hash births;     /* by tid: told by the parent or seen, not both yet */
	unsigned unborn;        /* told, not seen: their memory has our traps still */
	struct hash former;     /* by address: the byte under a trap, once set */
	VEC(struct slot_area) areas;
	VEC(struct slot_code) staged; /* slots filled, not written to the victim yet */
	dtproc_addr staged_at;
	VEC(struct pending_hit) hits;
	struct output *out; /* kin.h */

	struct wire_ledger *ledger;
	VEC(uint32_t) vacant_traps;

	/* One event of each of these kinds can wait to be told. */
	struct {
		uint8_t outstanding; /* kind of what was told and not acknowledged; 0 */
		uint8_t want_job;    /* WIRE_EV_STOPPED or CONTINUED is to be told */
		uint8_t want_exec;
		uint8_t want_objects;
		uint8_t want_end;
		uint32_t seq;
		uint32_t end_kind;
		int end_code;
		char end_text[WIRE_TEXT_MAX];
		VEC(char *) errors;
		VEC(struct birth) births; /* followed children: kin.h */
	} ev;

	uint32_t react_ms;   /* for how long a held event waits; 0: it does not */
	uint64_t wait_until; /* ns; the first of the tasks' waits_until; 0: none waits */
	uint8_t late; /* a reaction was waited for in vain: no more until it comes */

	uint64_t born_until; /* ns; until then it idles for a client that has not reacted
				to its birth; 0: it has */

	uint32_t request_seq;
	uint64_t pause_from; /* ns; when the stop of all threads began */

	struct {
		int fd;            /* of its timer; -1: none yet */
		uint64_t tick;     /* when it goes off, ns; 0: it is not set */
		uint64_t interval; /* the shortest of any program */
		uint64_t looked;   /* when threads were last looked at; 0: never */
	} profile;

	dtproc_addr syscall_pc; /* a system call instruction in the victim's vDSO */
	uint8_t no_inject;      /* no call can be injected: no place for it, or seccomp */
	uint8_t trap_handled;   /* the victim has a SIGTRAP disposition of its own */
	uint8_t trap_noted;     /* its handler alone is known as yet */
	struct arch_action trap_action; /* it, as rt_sigaction gives it */
	dtproc_addr scratch;            /* a writable page in the victim, once needed */
	dtproc_addr call_at; /* room for arch_call_code() in the vDSO; 0: none */

	struct {
		dtproc_addr brk, debug; /* 0: not followed; not known yet */
		struct chain chain;
		uint8_t came;   /* something did, by the look just taken */
		uint8_t asks;   /* ... and the client has to be asked about it */
		uint8_t broken; /* the lists are corrupt */
		uint8_t begins; /* the program's own objects are still to come */
		/* Where something changed that is to be told. */
		uint8_t all; /* anywhere */
		uint32_t ranges;
		struct wire_range range[WIRE_RANGES_MAX];
		uint64_t tell_at; /* ns; 0: at once */
	} linker;

	uint32_t epoch; /* of what is mapped: it grows when something has left */
	struct unwinder *unwinder; /* unwind.c; NULL: nobody has asked for a stack */

	struct {
		struct hash here;      /* by address: struct recall_object */
		struct hash files;     /* by inode: struct recall_file */
		VEC(dtproc_addr) news; /* those that the client has not reacted to yet */
		size_t told;           /* so many of them it has been told */
	} recall;

	struct {
		dtproc_addr code, data; /* in the victim; 0: not there yet */
		uint32_t room;          /* entries that fit into data */
		uint8_t set;            /* it is the victim's SIGTRAP action */
		uint8_t current;        /* its table has all sites */
	} guard;
};

/* ------------------------------------------------------------- tasks, wait */

struct wait_event {
	pid_t tid;
	int status;
	int taken; /* an end: it was waited for already */
};

/* wait.c: the next stop or end of any task; 1, 0: none now, -1: no children left. */
int wait_any(struct wait_event *out);
/* Takes an end that was dealt with: until then /proc has the task's name and more. */
void wait_reap(const struct wait_event *);
/* Takes the stop of a task that is left stopped. */
void wait_take(pid_t tid);
/*
 * The next of task `tid` alone; 1, 0: none within `timeout` ns, -1: it is gone.  Time in
 * which the machine stood still does not count: much hangs on a 0.
 */
int wait_one(pid_t tid, uint64_t timeout, struct wait_event *out);
/* Blocks until something is to be waited for or until `deadline` (CLOCK_MONOTONIC ns). */
void wait_sleep(uint64_t deadline);
/* Is it a child of ours that was not waited for yet?  Then its PID is its own. */
int wait_is_child(pid_t pid);
/* Descriptor that is readable when SIGCHLD came; -1 before wait_init(). */
int wait_init(void);
void wait_drain_signal(void);
/* Lets a signal handler take what is reported, for wait_any() and wait_one() later. */
enum wait_early { WAIT_LATER, WAIT_EARLY };
void wait_early(enum wait_early);
uint64_t now_ns(void);

struct task *task_add(struct keeper *, pid_t tid, pid_t tgid);
struct task *task_get(struct keeper *, pid_t tid);
void task_drop(struct keeper *, pid_t tid);
/* A file of /proc; what is short of memory or descriptors is asked again.  NULL. */
__attribute__((format(printf, 1, 2))) FILE *proc_open(const char *fmt, ...);
/* State letter of a thread in /proc; 'X': it is gone. */
char task_state(pid_t tid);
/*
 * How long it was on a CPU, and waited for one, in ns; 0 or -1.  Exact for one that is
 * stopped.  (Its CPU clock is for its own process alone.)
 */
int task_times(pid_t tid, uint64_t *run, uint64_t *wait);
/* A number of /proc/TID/status ("Seccomp:"); -1: not there. */
long task_status(pid_t tid, const char *field);
/* A mask there ("SigIgn:"); 0 when it cannot be read. */
uint64_t task_mask(pid_t tid, const char *field);
/* What the kernel told its program at the start (AT_EXECFN); 0: nothing of that kind. */
dtproc_addr task_auxv(pid_t tid, uint64_t type);
/* Has the victim itself a task left? */
int tasks_left(struct keeper *);
/* Any task of the victim itself that is stopped; NULL. */
struct task *task_stopped(struct keeper *);

/* ------------------------------------------------------------------ seize.c */

/*
 * Takes hold of all threads of k->pid and of processes that share its memory.  When a
 * number turns out to be another process's, ENOPROC or ESTALE, and the keeper ends: see
 * the file.
 */
int seize_all(struct keeper *);
/* The error of a PTRACE_SEIZE that failed with `code` (-errno). */
int seize_refused(struct keeper *, pid_t tid, int code);
/* Does process `pid` share the memory of the thread `live`? */
int shares_memory(pid_t live, pid_t pid);
/* A thread under whose TID /proc shows the victim's memory: a zombie leader has none. */
pid_t live_tid(struct keeper *);
pid_t tgid_of(pid_t tid);
int open_mem(struct keeper *, pid_t pid, const char *what);

/* ------------------------------------------------------------------ stops.c */

/*
 * Deals with one reported event, of whichever victim of this process, and resumes its
 * task unless that one is `held`.
 */
void stops_dispatch(struct keeper *, const struct wait_event *);
/* The same for a task that is this victim's. */
void stops_deal(struct keeper *, const struct wait_event *);
/*
 * Stops all tasks, with every PC at the program's own text.  0; DTPROC_ETIMEOUT with
 * all running again when one cannot be stopped before the deadline.
 */
int stops_hold(struct keeper *);
/* The same, but those that did stop are left stopped when it fails. */
int stops_try_hold(struct keeper *);
/* Plants what is to be planted and lets all tasks go, as each was left. */
void stops_release(struct keeper *);
void task_resume(struct keeper *, struct task *);
/* An EVENT_STOP with `sig`: is a group stop in effect? */
void stops_group(struct keeper *, struct task *, int sig);
/* Moves the PC of a stopped task out of our slots. */
void stops_normalize(struct keeper *, struct task *);

/* -------------------------------------------------------------------- step.c */

/* Sends a SIGSTOP again that came at a moment when it could not be let through. */
void stops_pay(struct task *);
/*
 * Single-steps one stopped task with asynchronous signals held off; 0: done; -1: it has
 * ended, or is still at it (a fault that somebody else has to serve).
 */
int stops_step(struct keeper *, struct task *);
/* Steps those that stand on a site without a slot past it. */
void step_all(struct keeper *);
/* A SIGTRAP of a task that was still at its step: 1 when it is the step's. */
int step_ended(struct keeper *, struct task *);

/* ------------------------------------------------------------------- sites.c */

struct site *site_get(struct keeper *, dtproc_addr addr);
/* Adds a user at a site; the result is put into `w`. */
void site_want(struct keeper *, struct wire_site *w, const struct wire_operands *);
void site_unwant(struct keeper *, dtproc_addr addr, uint32_t user);
/*
 * Decodes what is not ready yet and gets slots; all tasks are stopped.  An error: some
 * were left as they are, and are tried again by the next call.
 */
int sites_prepare(struct keeper *);
/* Does that with some of them, in the order of their addresses. */
int sites_prepare_these(struct keeper *, struct site **, size_t n);
/* Tells how each site of a request fared, and forgets what was refused; how many were
 * armed. */
uint64_t sites_judge(struct keeper *, struct wire_site *, size_t n);
/* Forgets all sites without touching memory (exec). */
void sites_forget(struct keeper *);
/* Forgets a trap whose text has gone; who waits for memory to be there goes on waiting.
 */
void site_forget(struct keeper *, struct site *);
/* Puts the original bytes into the memory of a child that has a copy. */
int sites_clean_copy(struct keeper *, int mem);
/* The sites that are `wanted`, by address; the caller frees *out. */
int sites_sorted(struct keeper *, int (*wanted)(const struct site *), struct site ***out,
	size_t *n);
/* Site whose slot holds this PC; *at: PC of the program for it. */
struct site *site_of_slot(struct keeper *, dtproc_addr pc, dtproc_addr *at);
/* Copies victim memory with the original bytes; bytes read, or -1. */
long sites_read(struct keeper *, dtproc_addr, void *buf, size_t len);
long sites_write(struct keeper *, dtproc_addr, const void *buf, size_t len);

/* ------------------------------------------------------------------- place.c */

/* What a site of a request has besides its address; *out may be NULL. */
int place_make(struct keeper *, const struct wire_site *, const struct wire_operands *,
	struct place **out) MUST_USE;
/* Is its memory there still? */
enum place_memory { PLACE_STAYS, PLACE_GONE };
void place_free(struct keeper *, struct place *, enum place_memory);
/* A copy for where all is `by` higher, *out: free(3); -1: it is of one place alone. */
int place_move(const struct place *, uint64_t by, struct place **out) MUST_USE;
/* Has it arguments of its own?  Argument n of such a one; 0 or -1. */
int place_has_args(const struct place *);
int place_arg(
	struct keeper *, struct task *, const struct place *, unsigned n, uint64_t *out);
/* How often it fires, ns; 0: at a place, or at a moment. */
uint64_t place_interval(const struct place *);
/* Does a task that has hit the trap make it fire? */
int place_fires(
	struct keeper *, struct task *, const struct site *, const struct place *);

/* ----------------------------------------------------------------- profile.c */

/* Sets the timer if it is not, and there is a use for it. */
void profile_set(struct keeper *);
/* It went off. */
void profile_tick(struct keeper *);
/* A task has stopped, maybe for a sample. */
void profile_sample(struct keeper *, struct task *);

/* --------------------------------------------------------------- semaphore.c */

/* One more, or one less, that wants it raised. */
int semaphore_raise(struct keeper *, dtproc_addr) MUST_USE;
void semaphore_lower(struct keeper *, dtproc_addr);
/* As semaphore_lower() where its memory has gone. */
void semaphore_forget(struct keeper *, dtproc_addr);
/* Lowers them in the memory of a child that has a copy. */
void semaphores_clean_copy(struct keeper *, int mem);
/* All memory has gone (exec). */
void semaphores_forget(struct keeper *);
/* Lowers all that the ledger has, a dead keeper's too. */
void semaphores_lower(struct keeper *);

/* -------------------------------------------------------------------- home.c */

/* Forgets traps whose text is not there any more, and finds those that moved with it. */
void sites_verify(struct keeper *);
/* The same for those that were in [from, to), where an object has left; others run on. */
void sites_left(struct keeper *, dtproc_addr from, dtproc_addr to);

/* -------------------------------------------------------------------- text.c */

/*
 * pread and pwrite of a victim's memory.  The kernel says EIO for what is not mapped, and
 * when it is short of memory too: it is asked again before that is believed.
 */
long text_read(int mem, dtproc_addr, void *buf, size_t len);
long text_write(int mem, dtproc_addr, const void *buf, size_t len);

/* Put the traps of all sites that are ready into the text; take all out. */
void sites_plant(struct keeper *);
/* The same for some that are ready, in the order of their addresses. */
void sites_plant_these(struct keeper *, struct site **, size_t n);
void sites_lift(struct keeper *);
int site_lift(struct keeper *, struct site *);
/* Are there traps at all of these addresses already? */
int sites_planted(struct keeper *, const struct wire_site *, size_t n);
int site_plant(struct keeper *, struct site *);
void ledger_leave(struct keeper *, struct site *);

/* ------------------------------------------------------------------- slots.c */

/* A slot within reach of `near`; 0: none.  `want`: how many more will follow. */
dtproc_addr slot_take(struct keeper *, dtproc_addr near, size_t want);
void slot_give(struct keeper *, dtproc_addr slot);
/* Fills a slot; it is in the victim after slots_flush(). */
int slot_fill(struct keeper *, dtproc_addr slot, const uint8_t code[ARCH_SLOT_MAX]);
void slots_flush(struct keeper *);
/* Room for `len` bytes of code among the slots; 0: none. */
dtproc_addr slots_take_room(struct keeper *, size_t len);

/* ------------------------------------------------------------------ linker.c */

/* Follows it by a trap at `brk`; `debug`: its r_debug, or 0.  All tasks are stopped. */
int linker_follow(struct keeper *, dtproc_addr brk, dtproc_addr debug) MUST_USE;
/* A task has hit that trap, and is past it. */
void linker_hit(struct keeper *, struct task *);
/* What has changed, as an event. */
void linker_tell(struct keeper *, struct wire_event *);
/* Is that to be told now?  Else the ms until it is, or until `wait_ms` are over. */
int linker_is_due(struct keeper *);
int linker_wait(struct keeper *, int wait_ms);
void linker_forget(struct keeper *);

/* ------------------------------------------------------------------ inject.c */

/* Makes a system call in the victim; all tasks are stopped.  Result or -errno. */
long inject_call(struct keeper *, long nr, const uint64_t args[6]);
/* The same by a task of one's choice. */
long inject_call_by(struct keeper *, struct task *, long nr, const uint64_t args[6]);
/* Learns whether calls can be injected, and where. */
void inject_probe(struct keeper *);
/* The task of the victim itself that is the best for that; NULL: none. */
struct task *inject_task(struct keeper *);

/* ------------------------------------------------------------------- guard.c */

/* The victim is to survive our death: before traps are planted, all tasks stopped. */
void guard_set(struct keeper *);
/* Tells it of a step of a thread whose mask that is; 0: of none. */
void guard_step(struct keeper *, pid_t tid, uint64_t mask);
/* Has its table room for all sites, or is none wanted? */
int guard_fits(struct keeper *);
/* Takes the guard out, all tasks stopped. */
void guard_remove(struct keeper *);
/* Is this action that of a guard, ours or of a keeper that died? */
int guard_is(struct keeper *, const struct arch_action *);

/* --------------------------------------------------------------- hit.c, &c. */

/* Field `n` (from 1) of proc(5)'s stat of a thread; 0 or -1. */
int task_stat(struct task *, int n, uint64_t *out);
/* A trap of ours was hit by a stopped task whose PC is behind it. */
void hit_dispatch(struct keeper *, struct task *, struct site *);
/* What programs are told of a moment: arg0 and on, and what lies at WIRE_MOMENT_TEXT. */
struct moment {
	uint64_t args[10];
	const char *text; /* NULL: none */
};
/* Does anybody want to know of it? */
int moment_wanted(struct keeper *, enum wire_moment);
/* A moment has come for a stopped task, or one that has ended; a sharer has none. */
void moment_fire(struct keeper *, struct task *, enum wire_moment, const struct moment *);
/* signals.c: a signal-delivery stop that is not a hit. */
void signal_dispatch(struct keeper *, struct task *, int sig);
/* A stop that may have cut a system call short. */
void signal_mend_call(struct keeper *, struct task *);
/* After a hit: puts a blocked mask and a lost SIGTRAP disposition back. */
void signal_mend_trap(struct keeper *, struct task *);
/* Reads the victim's SIGTRAP disposition; all tasks are stopped. */
void signal_learn_trap(struct keeper *);
/* A task calls sigaction(): it may be about SIGTRAP. */
void signal_note_trap(struct keeper *, struct task *);
/* family.c: fork, vfork, clone, exec. */
void family_dispatch(struct keeper *, struct task *, int event);
void family_newborn(struct keeper *, pid_t tid, int status);
/*
 * A child's birth shows twice, in its parent's event and in its own first stop (or end),
 * in either order.  Until both have, a stop of all is not complete: it is traced, and its
 * copy of the text is not cleaned.
 */
enum family_side { FAMILY_TOLD = 1, FAMILY_SEEN };
void family_birth(struct keeper *, pid_t tid, enum family_side);
/* setid.c: 1 when the task was let go to execute its set-id file anew. */
int setid_reexec(struct keeper *, struct task *);

/* ------------------------------------------------------ events, requests, end */

void events_error(struct keeper *); /* queues err_text() */
void events_end(struct keeper *, uint32_t kind, int code, const char *text);
/*
 * A held event: the task that caused it, stopped, waits until the client has reacted to
 * the next event of that kind, or react_ms are over (E5).  Who calls this has the event
 * told.
 */
void events_hold(struct keeper *, struct task *, enum wire_event_kind);
/* The same for the event that is told and not acknowledged yet. */
void events_hold_now(struct keeper *, struct task *);
/* Lets those go on that have waited long enough; ms until the next is due, or -1. */
int events_expire(struct keeper *);
void events_flush(struct keeper *);
void events_ack(struct keeper *);
void keeper_state(struct keeper *, enum wire_state);
void serve_request(struct keeper *);
/* Lets an idle victim run, as WIRE_CONTINUE does. */
void serve_continue(struct keeper *);
/* Lets go of everything; the victim is left as `mode` says. */
void end_let_go(struct keeper *, enum wire_end mode);
/* The client is gone: what A10, G1 and H5 ask for. */
void end_client_gone(struct keeper *);
/* Successor of a dead keeper: takes its traps out and lets go (H4). */
int end_repair(struct keeper *);
/* start.c: WIRE_START; fills in the reply's value.  `pidfd`: not with create. */
int start_victim(
	struct keeper *, const struct wire_request *, int pidfd, uint64_t *value);

#endif
