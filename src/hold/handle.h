/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions and handles as the files of this room share them.
 *
 * A handle's life.  It is entered in the table as OPENING, so that a second grab of the
 * PID waits for the first; becomes READY; and is CLOSING while its last release ends
 * control, so that a new grab waits until the keeper has let go.  A *stale* handle is
 * in no bucket any more: lookups do not find it, holders go on using it.  `refs` counts
 * users.  `pins` counts those who only need the memory of the struct to stay: a notice
 * that is being delivered.
 *
 * Which lock guards what is said at each group of fields.
 */
#ifndef HOLD_HANDLE_H
#define HOLD_HANDLE_H

#include "hold.h"

#include <base/list.h>

#include <pthread.h>

#define HOLD_BUCKETS 16
#define HOLD_CACHE_LIMIT 8
#define HOLD_DEADLINE_MS 2000
#define HOLD_REACT_MS 1000

/*
 * A lock that is given in the order of asking and knows its owner: recursion and
 * strangers are caught (rule I2).
 */
struct hold_lock {
	pthread_mutex_t mutex;
	pthread_cond_t turn;
	uint64_t next, serving; /* tickets: the next to give, and whose turn it is */
	const void *owner;      /* atomic: of the thread that has it; NULL: nobody */
};

enum hold_kind { HOLD_RDONLY, HOLD_CONTROL };
enum hold_phase { HOLD_OPENING, HOLD_READY, HOLD_CLOSING };

struct hold_notice {
	struct list link; /* empty: not queued */
	struct dtproc_proc *proc;
	enum dtproc_notice_kind kind;
	int code;
	int embedded; /* part of its handle: not to be freed by itself */
	char text[ERR_TEXT_MAX];
};

struct hold_session {
	struct dtproc_options options;
	struct hold_hooks hooks;
	pid_t client; /* a forked child must not talk to our keepers */

	/* The table; under table_lock. */
	pthread_mutex_t table_lock;
	pthread_cond_t table_changed; /* a handle left OPENING or CLOSING */
	struct list *buckets;         /* of dtproc_proc.bucket */
	unsigned mask;
	struct list all;    /* dtproc_proc.age, oldest first; stale ones too */
	struct list recent; /* dtproc_proc.recent: cacheable ones, last used first */
	unsigned cached;    /* how many those are */
	pid_t target;

	/* Notices; under notice_lock, a leaf. */
	pthread_mutex_t notice_lock;
	struct list notices;
	dtproc_notice_fn *notice_fn;
	void *notice_arg;
	int delivering;
	int wake; /* eventfd */
};

struct control {
	pthread_t thread;
	int started; /* under the handle's lock: there is a thread to join */
	int quit;    /* atomic */
	int newborn; /* the layer above does not know it yet; under the handle's lock */
	int wake;    /* eventfd: look again; -1: none yet */
};

/* What is open of the present image; under the handle's lock. */
struct image {
	int mem;       /* /proc/PID/mem; -1: not for us */
	int live;      /* read-only handles: tells whether it is the present one */
	int live_maps; /* its maps, to be asked for one; -1: none yet */
	int shared;    /* has its parent's memory (vfork): `live` cannot tell */
	struct victim_maps maps;     /* for symbols: as they were last read; n 0: never */
	struct victim_linker linker; /* that is followed; brk 0: none */
};

/* What HOLD_OBJECTS is about, while the layer above reacts. */
struct changes {
	const struct wire_range *range;
	size_t n;
};

struct goal; /* runto.c */

struct dtproc_proc {
	struct hold_session *session;
	pid_t pid; /* fixed before the handle is READY, as are: */
	enum hold_kind kind;
	int created, pidfd;
	struct {
		pid_t parent; /* of a followed child; 0: it is none */
		const struct dtproc_proc
			*root; /* the first that was not; never followed */
	} from;

	/* Under the session's table_lock. */
	struct list bucket, age, recent;
	unsigned refs;
	enum hold_phase phase;
	int stale;
	int ours; /* a reference is the library's own, of a followed child */
	enum dtproc_release_mode mode; /* of the last release */

	/* Under the session's notice_lock. */
	unsigned pins;
	int defunct; /* destroyed, but pinned: the last pin frees it */
	struct hold_notice end_notice;

	/* Under `lock`. */
	struct hold_lock lock;
	struct image image;
	struct changes changes;
	int wants_linker;      /* it is to be followed in later images too */
	struct victim_ctl ctl; /* HOLD_CONTROL only */
	int hung_up;           /* the ctl is closed, or was never open */
	int let_be;            /* lost to a program that is not ours to end (F4) */
	struct control control;
	struct list bkpts;   /* of dtproc_bkpt.link */
	struct list dropped; /* those that an exec took away */
	uint32_t next_user;
	struct dtproc_bkpt *in_callback;
	uint32_t epoch;    /* hold_epoch() */
	struct goal *goal; /* where it runs to; NULL: nobody waits for that */
	void *user;
	void (*user_destroy)(void *);

	/* Under state_lock, a leaf. */
	pthread_mutex_t state_lock;
	pthread_cond_t state_changed;
	struct dtproc_proc_status status;
};

struct dtproc_bkpt {
	struct list link;
	dtproc_addr addr;
	uint32_t user; /* the keeper's key, with addr */
	dtproc_bkpt_fn *fn;
	void *arg;
	uint64_t hits; /* atomic */
	int removed;   /* by a callback; freed when dispatch is over */
};

/* ------------------------------------------------------------------- lock.c */

int lock_init(struct hold_lock *) MUST_USE;
void lock_fini(struct hold_lock *);
int lock_is_mine(const struct hold_lock *);
/* Gives up a lock that the thread has; nothing when it has not. */
void lock_drop(struct hold_lock *);

/* ------------------------------------------------------------------ table.c */

int table_init(struct hold_session *) MUST_USE;
void table_init_locks(struct hold_session *);
void table_fini(struct hold_session *);

/*
 * The handle of a PID that serves such a grab, with one more reference, waiting for one
 * that opens or closes; NULL: none.
 */
struct dtproc_proc *table_find(struct hold_session *, pid_t pid, enum hold_kind);

/*
 * For a read-only handle: the one that controls the same process now, with one more
 * reference; NULL.  Does not wait.
 */
struct dtproc_proc *table_peer(struct dtproc_proc *);

enum table_found {
	TABLE_HELD = 1,    /* *out is READY and has one more reference */
	TABLE_CLAIMED = 2, /* *out is `fresh`, OPENING, with one reference */
};
/*
 * The same for fresh->pid and its kind, or else enters `fresh`.  A read-only one makes
 * way for control (A6).  Those that are to be closed now are put on `doomed`.
 */
enum table_found table_claim(struct hold_session *, struct dtproc_proc *fresh,
	struct list *doomed, struct dtproc_proc **out);
/*
 * Enters a handle that is READY (create, follow).  One of that PID, whose process must be
 * gone, or is held read-only, becomes stale.
 */
void table_enter(struct dtproc_proc *, struct list *doomed);
/* Takes the library's own reference; 0: there is none (any more). */
int table_take_ours(struct dtproc_proc *);
/* A claimed handle has opened. */
void table_opened(struct dtproc_proc *);
/* Its process is gone or another: lookups shall not find it. */
void table_stale(struct dtproc_proc *, struct list *doomed);
/* Gives a reference back; 1: it was the last, the handle is CLOSING and the caller's. */
int table_unref(struct dtproc_proc *, struct list *doomed);
/* A CLOSING handle is out of the table; who waits for its PID goes on. */
void table_closed(struct dtproc_proc *);
/* Takes any handle out for closing; NULL: none left. */
struct dtproc_proc *table_pop(struct hold_session *);

/* ------------------------------------------------------------------ cache.c */
/* Under the table lock.  Those that must go are taken out of the table onto `doomed`. */

void cache_enter(struct dtproc_proc *);
void cache_leave(struct dtproc_proc *);
void cache_use(struct dtproc_proc *);
/* Evicts until `room` more fit, or all that remain are in use (A5). */
void cache_evict(struct hold_session *, unsigned room, struct list *doomed);
/* Takes a handle out of all lists of the table. */
void table_unlink(struct dtproc_proc *);

/* ----------------------------------------------------------------- handle.c */

struct dtproc_proc *handle_new(struct hold_session *, pid_t pid, enum hold_kind);
/* Ends control as its mode says and frees everything; no lock is held. */
void handle_destroy(struct dtproc_proc *);
/* Destroys those on `doomed` (linked by .recent). */
void handle_destroy_all(struct list *doomed);
/* Frees the memory: after handle_destroy, or of a handle that was never READY. */
void handle_free(struct dtproc_proc *);
/* Gives back a reference of the library's own: the release mode stays. */
void handle_unref(struct dtproc_proc *);

/* ------------------------------------------------------------------ image.c */
/* All with the handle locked; of read-only handles, but where said. */

int image_open(struct dtproc_proc *) MUST_USE;
void image_close(struct image *);
/* Makes sure that it is the present image, opening it anew if not; counts those. */
int image_refresh(struct dtproc_proc *) MUST_USE;
/* Of any handle: reads image.maps anew; is one of them as it was read? */
int image_maps_read(struct dtproc_proc *) MUST_USE;
int image_maps_still(const struct dtproc_proc *, const struct victim_map *);

/* ---------------------------------------------------------------- control.c */

/* Starts the control thread unless there is one; the handle is locked. */
int control_start(struct dtproc_proc *) MUST_USE;
/* Tells it to quit, wakes it, joins it; the handle is not locked. */
void control_end(struct dtproc_proc *);
void control_poke(struct dtproc_proc *);
/* Reacts to what is there now when nobody else does; the handle is locked. */
void control_pump(struct dtproc_proc *);

/* ------------------------------------------------------------------- state.c */

void state_set(struct dtproc_proc *, enum dtproc_proc_run run);
/* Takes over what a reply or an event says about the victim. */
void state_from_wire(struct dtproc_proc *, uint32_t wire_state);
int state_ended(struct dtproc_proc *);
/* The error of operations on a victim that is at its end. */
int state_error(struct dtproc_proc *);
/*
 * Waits until status.run is one of the set bits, or at an end.  ETIMEOUT.  There must be
 * a control thread.
 */
int state_wait(struct dtproc_proc *, unsigned runs, int timeout_ms) MUST_USE;
/* The victim is at its end: tells everybody, once.  The handle is locked. */
void state_end(struct dtproc_proc *, enum dtproc_proc_run how, int code, const char *why);
/* The same by a signal; `status` is waitpid(2)'s. */
void state_killed(struct dtproc_proc *, int status);

/* ---------------------------------------------------------------- request.c */

/*
 * One request under the handle's lock; a keeper that dies over it is replaced (H4).
 * Arguments as victim_ctl_call().
 */
int request_call(struct dtproc_proc *, struct wire_request *, const int *fds, int nfds,
	struct wire_reply *) MUST_USE;
/* Opens the wire and starts control: the victim is stopped when this returns. */
int request_start(struct dtproc_proc *, const struct victim_program *) MUST_USE;
/* Ends control and the keeper, however things stand; no control thread any more. */
void request_end(struct dtproc_proc *, enum dtproc_release_mode mode);
/* The keeper is dead: repairs the victim, then tells that it is lost (H4). */
void request_lost(struct dtproc_proc *, const char *why);

/* ------------------------------------------------------------------- bkpt.c */

/* All with the handle locked. */
void bkpt_dispatch(struct dtproc_proc *, dtproc_addr addr, pid_t tid);
void bkpt_drop_all(struct dtproc_proc *); /* exec: they stay as memory alone */
void bkpt_free_all(struct dtproc_proc *);

/* ----------------------------------------------------------------- follow.c */

/* A child that is followed, with the descriptors of its event; the parent is locked. */
void follow_child(
	struct dtproc_proc *parent, const struct wire_event *, int fds[WIRE_CHILD_FDS]);
/* The first thing that its control thread does, the handle locked: it is armed and runs.
 */
void follow_begin(struct dtproc_proc *);

/* ----------------------------------------------------------------- linker.c */

/* Objects came or went; the handle is locked. */
void linker_react(struct dtproc_proc *, const struct wire_event *);
/* Another image was executed: follows its linker, if that is wanted. */
void linker_exec(struct dtproc_proc *);

/* ---------------------------------------------------------- runto.c, entry.c */
/* All with the handle locked. */

/* Another image was executed: a stop point that was not reached is to be in this one. */
void runto_exec(struct dtproc_proc *);
/* The entry point of the program that a linker runs which was started by name. */
int entry_behind_linker(
	struct dtproc_proc *, dtproc_addr debug, dtproc_addr *out) MUST_USE;
/* main() of the program with this entry point; 0: not found. */
dtproc_addr entry_main(struct dtproc_proc *, dtproc_addr entry);

/* ------------------------------------------------------------------- rseq.c */

/* Refuses (in `result`) the sites that lie in restartable sequences (D7). */
void rseq_refuse(struct dtproc_proc *, struct wire_site *sites, size_t n);

/* ----------------------------------------------------------------- notice.c */

int notice_init(struct hold_session *) MUST_USE;
void notice_init_lock(struct hold_session *);
void notice_fini(struct hold_session *);
/* The end of a victim; always succeeds. */
void notice_end(
	struct dtproc_proc *, enum dtproc_notice_kind, int code, const char *text);
/* Removes what is queued for a handle (H3); 1: nobody pins it, free it now. */
int notice_purge(struct dtproc_proc *);

/* ------------------------------------------------------------------ words.c */

/* Splits shell-style words; the caller frees *words and (*words)[0]. */
int words_split(const char *command, char ***words) MUST_USE;

#endif
