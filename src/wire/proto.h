/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What client and keeper say to each other.
 *
 * Two seqpacket sockets for each victim.  REQUESTS: the client sends a wire_request, the
 * keeper answers each with one wire_reply, in order; at most one is outstanding (it is
 * used under the handle's lock).  EVENTS: the keeper sends a wire_event, of which at
 * most one is outstanding; the control thread alone reads it and answers with a
 * wire_ack.  Requests are served while an event awaits its ack.  Neither side ever
 * blocks in send: both sockets hold at least one message of each kind.  Behind a *held*
 * event the thread that caused it waits for the ack, wire_request.react_ms at most.
 *
 * Bulk.  Arrays too long for a message lie in the *bulk* memfd, made by the client and
 * passed with WIRE_START: the client writes from offset 0, sends the request with
 * `count`, the keeper reads, and writes results over it before it replies.
 *
 * Ledger.  A second memfd, mapped by the keeper and readable by the client, tells state
 * and counters and lists each breakpoint *before* it is planted, so that a successor can
 * repair the text when a keeper was killed (rule H4).
 *
 * Descriptors of a new keeper: WIRE_FD_* below; all others are closed.
 */
#ifndef WIRE_PROTO_H
#define WIRE_PROTO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#define WIRE_VERSION 6u
#define WIRE_MAGIC 0x64747077u /* "dtpw" */
#define WIRE_TEXT_MAX 400

enum wire_fd {
	WIRE_FD_REQUESTS = 3,
	WIRE_FD_EVENTS = 4,
	WIRE_FD_CLIENT = 5, /* pidfd of the client */
	WIRE_FD_BULK = 6,
	WIRE_FD_LEDGER = 7,
	WIRE_FD_STUB = 8, /* create: stream socket to the stub; grab: closed */
	WIRE_FD_FIRST_FREE = 9,
};

/*
 * Requests.  The fields of wire_request that each uses are given behind it; `->` names
 * those of the reply.
 */
enum wire_op {
	WIRE_OP_NONE,
	WIRE_START,    /* pid (create: the stub's), flags, arg = deadline ms,
			  fd 0 (not with create): its pidfd -> fd: mem;
			  value = created pid, or the errno with DTPROC_ENOEXEC;
			  DTPROC_ESTALE: a number went to another process, ask anew */
	WIRE_CONTINUE, /* -> value = 1: ran now, 0: did not idle */
	WIRE_STOP,     /* -> value = 1: stopped now, 0: idled already */
	WIRE_PROGRAMS, /* count = bytes in bulk: wire_program headers, each followed by
			  its code; replaces all programs; flags */
	WIRE_SEGMENT,  /* fd 0: segment memfd, fd 1: doorbell eventfd,
			   fd 2, if there are any: memfd of the session's variables */
	WIRE_ARM,      /* count = wire_site in bulk, arg = wire_operand behind them
			  -> their `result`; value = armed */
	WIRE_DISARM,   /* count = wire_site in bulk (addr, user) */
	WIRE_WRITE,    /* addr, count = bytes in bulk -> value = written */
	WIRE_THREADS,  /* -> count = wire_thread in bulk */
	WIRE_REGS,   /* pid = tid -> count = bytes of the arch's register block in bulk */
	WIRE_DETACH, /* arg = enum wire_end; the keeper replies when it has let go */
	WIRE_FINISH, /* arg: drop what remains and exit (also at hang-up) */
	WIRE_LINKER, /* addr = r_brk, arg = r_debug, or 0: follows the run-time linker,
			from how its lists are now */
	WIRE_STACKS, /* arg = bytes of stack wanted of each thread
			-> count = wire_stack in bulk, and value = bytes behind them */
	WIRE_FOLLOW, /* children made from now on are followed: WIRE_EV_CHILD */
	WIRE_OP_COUNT,
};

/* How control ends (rules A9, A10). */
enum wire_end { WIRE_END_DEFAULT, WIRE_END_KILL, WIRE_END_RUN, WIRE_END_STOPPED };

/* wire_request.flags of WIRE_START */
enum wire_start_flags {
	WIRE_CREATE = 1 << 0, /* the stub on WIRE_FD_STUB is the victim */
	WIRE_REPAIR = 1 << 1, /* successor of a dead keeper: repair from ledger, let go */
};

/* wire_request.flags of WIRE_PROGRAMS */
enum wire_programs_flags {
	WIRE_INTERPRET = 1 << 0, /* no machine code */
};

enum wire_event_kind {
	WIRE_EV_NONE,
	WIRE_EV_BREAKPOINT, /* tid, addr: all stopped; ack lets it run */
	WIRE_EV_STOPPED,    /* by somebody else; code = signal */
	WIRE_EV_CONTINUED,  /* runs again after that */
	WIRE_EV_EXEC,       /* generation; carries the new mem descriptor; held */
	WIRE_EV_EXITED,     /* code = status */
	WIRE_EV_KILLED,     /* code = signal, and 128 when it left a core */
	WIRE_EV_LOST,       /* text = why */
	WIRE_EV_ERROR,      /* text; the victim lives on */
	WIRE_EV_OBJECTS,    /* objects came or went: code = number of ranges in range,
			       -1: anywhere; held when any came */
	WIRE_EV_CHILD, /* tid = PID of a child that is followed, code = enum wire_state of
			  it, generation = its own; carries enum wire_child_fd.  It idles,
			  and waits for the client as after a held event */
	WIRE_EV_COUNT,
};

/* The client's ends of a wire of its own, and the child. */
enum wire_child_fd {
	WIRE_CHILD_REQUESTS,
	WIRE_CHILD_EVENTS,
	WIRE_CHILD_BULK,
	WIRE_CHILD_LEDGER,
	WIRE_CHILD_MEM,
	WIRE_CHILD_PIDFD,
	WIRE_CHILD_FDS
};

/* What the keeper knows of the victim; rows of the table in state.c. */
enum wire_state {
	WIRE_ST_START,   /* not held yet */
	WIRE_ST_IDLE,    /* all threads stopped at a stop point, text clean */
	WIRE_ST_RUN,     /* breakpoints planted, threads run */
	WIRE_ST_EVENT,   /* all stopped, WIRE_EV_BREAKPOINT awaits its ack */
	WIRE_ST_STOPPED, /* would run, but somebody else stopped it */
	WIRE_ST_GONE,    /* exited, killed, lost or let go */
	WIRE_ST_COUNT,
};

struct wire_request {
	uint32_t magic, version;
	uint32_t op, seq;
	int32_t pid;
	uint32_t flags;
	uint64_t addr, count, arg;
	uint32_t generation; /* ARM, DISARM, WRITE: for that image alone; 0: any */
	uint32_t react_ms;   /* for how long the victim waits, from now on, for the
				reaction to a held event (E5); 0: nobody reacts */
};

struct wire_reply {
	uint32_t magic, version;
	uint32_t op, seq;
	int32_t code;   /* 0 or enum dtproc_error */
	uint32_t state; /* enum wire_state after the request */
	uint32_t generation, pad;
	uint64_t count, value;
	char text[WIRE_TEXT_MAX]; /* of the error; NUL-terminated */
};

/* Addresses at which an object came or has left, and its sites with it. */
struct wire_range {
	uint64_t from, to;
	uint32_t left, pad;
};
#define WIRE_RANGES_MAX (WIRE_TEXT_MAX / sizeof(struct wire_range))

struct wire_event {
	uint32_t magic, version;
	uint32_t kind, seq;
	int32_t tid, code;
	uint32_t state, generation;
	uint32_t epoch, pad; /* of what is mapped: grows when something has left */
	uint64_t addr;
	union {
		char text[WIRE_TEXT_MAX];
		struct wire_range range[WIRE_RANGES_MAX];
	};
};

struct wire_ack {
	uint32_t magic, seq;
};

/* A breakpoint wanted by `user`; the keeper merges those at one address (rule D1). */
struct wire_site {
	uint64_t addr;
	uint32_t user;    /* chosen by the client, with addr the key for WIRE_DISARM */
	uint32_t kind;    /* enum wire_site_kind */
	uint32_t program; /* probe: index into the programs */
	uint32_t probe;   /* probe: id for the record */
	int32_t result;   /* 0 or enum dtproc_error; not 0 in a request: leave it out */
	uint32_t reason;  /* enum wire_refusal, when result is DTPROC_ESITE */
	/* probe: it fires when the jump at addr leaves [from, to); to 0: always */
	uint64_t from, to;
	uint64_t semaphore; /* probe: a 16-bit counter, raised while it is armed; 0 */
	uint64_t interval;  /* WIRE_MOMENT_PROFILE: ns between two ticks */
	uint32_t operand;   /* index of arg0's; the others follow */
	uint8_t operands;   /* how many of them, WIRE_OPERANDS_MAX at the most */
	uint8_t flags;      /* enum wire_site_flags */
	uint16_t pad;
};

#define WIRE_INTERVAL_MIN 200000u /* ns */

enum wire_site_flags {
	WIRE_SITE_OPERANDS = 1, /* its arguments are operands, and 0 behind the last one;
				   else those of the calling convention */
	WIRE_SITE_LATE = 2,     /* its program runs behind those that are not late */
};

/*
 * Where an argument is.  Registers are numbered as by arch_user_offset(); memory is at
 * base + index * scale + value.
 */
#define WIRE_OPERANDS_MAX 10u
#define WIRE_NO_REG 0xff

struct wire_operand {
	int64_t value;     /* offset, or the constant */
	uint8_t kind;      /* enum wire_operand_kind */
	uint8_t size;      /* bytes: 1, 2, 4 or 8 */
	uint8_t is_signed; /* it is extended by its sign */
	uint8_t base, index, scale;
	uint8_t shift; /* register: bits below it */
	uint8_t pad;
};

enum wire_operand_kind {
	WIRE_OPERAND_NONE, /* it cannot be had: asking for it is a fault */
	WIRE_OPERAND_CONST,
	WIRE_OPERAND_REG, /* base */
	WIRE_OPERAND_MEMORY,
};

enum wire_site_kind {
	WIRE_SITE_EVENT,
	WIRE_SITE_PROBE,
	WIRE_SITE_SIGACTION, /* libc's sigaction(): for the keeper's own knowledge */
	WIRE_SITE_LINKER,    /* r_brk: the keeper's own; never in a request */
};

/*
 * Sites that are no place but a moment of the victim: enum wire_moment for an address in
 * a page where no program has memory.  Their programs run in the context of the thread
 * concerned; a text among the arguments is read at WIRE_MOMENT_TEXT.
 */
#define WIRE_MOMENT_TEXT 0xffffffffffffe000u
#define WIRE_MOMENTS 0xfffffffffffff000u

enum wire_moment {
	WIRE_MOMENT_LOAD,    /* arg0: name of an object, arg1: where it is */
	WIRE_MOMENT_UNLOAD,  /* the same; nothing of it is there any more */
	WIRE_MOMENT_PREINIT, /* all that the program begins with is there */
	WIRE_MOMENT_CREATE,  /* arg0: PID of a child */
	WIRE_MOMENT_EXEC_SUCCESS,
	WIRE_MOMENT_EXIT,  /* arg0: CLD_EXITED, KILLED, DUMPED, arg1: status or signal */
	WIRE_MOMENT_FAULT, /* arg0: signal, arg1: address */
	WIRE_MOMENT_LWP_CREATE, /* arg0: TID of a thread, arg1: PID */
	WIRE_MOMENT_LWP_EXIT,
	WIRE_MOMENT_LWP_START,
	WIRE_MOMENT_SIGNAL_DISCARD, /* arg0: TID, arg1: PID, arg2: signal */
	WIRE_MOMENT_SIGNAL_HANDLE,  /* arg0: signal, arg1: PID of the sender or 0 */
	WIRE_MOMENT_START,          /* a process begins */
	WIRE_MOMENT_PROFILE,        /* a thread runs at a tick: arg1: its PC */
	WIRE_MOMENT_COUNT,
};

/* Why a site was refused. */
enum wire_refusal {
	WIRE_REFUSED_NOT,
	WIRE_REFUSED_UNMAPPED, /* kept, tried again (D1): result stays 0 */
	WIRE_REFUSED_NOEXEC,   /* not executable memory */
	WIRE_REFUSED_SHARED,   /* shared writable mapping: others would execute it */
	WIRE_REFUSED_DECODE,   /* no valid instruction */
	WIRE_REFUSED_OWN_TRAP, /* the program's own breakpoint instruction */
	WIRE_REFUSED_RSEQ,     /* inside a restartable sequence */
	WIRE_REFUSED_RELOCATE, /* cannot run elsewhere, nor be stepped safely */
	WIRE_REFUSED_NOSLOT,   /* no memory for its slot */
	WIRE_REFUSED_WRITE,    /* text cannot be written */
	WIRE_REFUSED_OVERLAP,  /* inside an instruction that has a breakpoint */
	WIRE_REFUSED_PROGRAM,  /* no such program, or it does not verify */
	WIRE_REFUSED_COUNT,
};
/* One line about a refusal, for an error text.  Static. */
const char *wire_refusal_text(uint32_t reason);

struct wire_program {
	uint32_t bytes; /* of code behind this header; a multiple of 8 */
	uint32_t pad;
};

struct wire_thread {
	int32_t tid;
	uint32_t stopped; /* 1: pc and sp are valid */
	uint64_t pc, sp;  /* as the program would see them (rule D6) */
};

/* A thread's registers, as the program would see them, and the top of its stack. */
struct wire_stack {
	int32_t tid;
	uint32_t stopped; /* 1: what follows is valid */
	uint64_t at, len; /* of the memory that was copied; len 0: none */
	uint64_t offset;  /* of the copy, in the bytes behind the array */
	struct user_regs_struct regs;
};
#define WIRE_STACK_BYTES (1u << 20)    /* of a thread, at the most */
#define WIRE_STACKS_BYTES (192u << 20) /* of all */

/* ------------------------------------------------------------------- ledger */

#define WIRE_LEDGER_MAGIC 0x6474706cu
#define WIRE_LEDGER_TRAPS 131072u

/* A trap that is, or is about to be, in the text.  addr 0: free. */
struct wire_trap {
	uint64_t addr;
	uint64_t slot; /* where the displaced instruction lies; 0: none */
	uint8_t len;   /* of the displaced instruction */
	uint8_t orig;  /* the byte under the trap */
	uint8_t pad[6];
};

/* A semaphore that is, or is about to be, raised by one.  addr 0: free. */
#define WIRE_LEDGER_SEMAPHORES 16384u
struct wire_semaphore {
	uint64_t addr;
	uint16_t was, pad[3];
};

struct wire_ledger {
	uint32_t magic, version;
	int32_t pid; /* of the victim; 0: none yet */
	uint32_t state, generation;
	uint32_t traps;    /* entries in use, free ones among them */
	uint64_t hits;     /* of probe breakpoints */
	uint64_t events;   /* of event breakpoints */
	uint64_t passed;   /* by children that share memory: not counted above */
	uint64_t stepped;  /* hits that needed a single step */
	uint64_t pause_ns; /* how long the last stop of all threads lasted */
	uint64_t pauses;
	/* The guard in the victim (keeper/guard.c): its code; 0: there is none. */
	uint64_t guard;
	/* A thread whose signals are held off for one step, and its own mask. */
	int32_t masked_tid, pad;
	uint64_t mask;
	struct wire_semaphore semaphore[WIRE_LEDGER_SEMAPHORES];
	struct wire_trap trap[];
};

#define WIRE_LEDGER_BYTES                                                                \
	(sizeof(struct wire_ledger) + WIRE_LEDGER_TRAPS * sizeof(struct wire_trap))

/* ------------------------------------------- checks; all of hostile messages */

/* Each returns 0, DTPROC_EPROTO, or DTPROC_EKEEPER: the other is of another version. */
int wire_check_request(const void *msg, size_t len, uint32_t seq_after);
int wire_check_reply(const void *msg, size_t len, uint32_t op, uint32_t seq);
int wire_check_event(const void *msg, size_t len);
int wire_check_ack(const void *msg, size_t len, uint32_t seq);

/* -------------------------------------------------------------- state table */

enum wire_rule {
	WIRE_DO,   /* serve it */
	WIRE_NOP,  /* succeed, nothing to do */
	WIRE_BAD,  /* DTPROC_ESTATE */
	WIRE_ENDED /* DTPROC_EEXITED, EKILLED or ELOST, as it ended */
};
/* What the keeper does with a request in a state. */
enum wire_rule wire_request_rule(enum wire_state, enum wire_op);
/* State behind an event in a state; WIRE_ST_COUNT: it cannot happen there. */
enum wire_state wire_event_next(enum wire_state, enum wire_event_kind);
const char *wire_state_name(uint32_t state);
const char *wire_op_name(uint32_t op);
const char *wire_event_name(uint32_t kind);

/* Message with up to `nfds` descriptors (SCM_RIGHTS).  Never SIGPIPE; EINTR retried. */
int wire_send(int sock, const void *msg, size_t len, const int *fds, int nfds, int flags);
/*
 * Receives one message; *nfds: room in, received out.  Returns its length, 0 at
 * hang-up, or DTPROC_ESYS; DTPROC_ETIMEOUT when `flags` has MSG_DONTWAIT and nothing is
 * there; DTPROC_EPROTO when it is longer than `len`.  Descriptors beyond the room are
 * closed, and all that come with an empty message, which is taken for a hang-up.
 */
long wire_recv(int sock, void *msg, size_t len, int *fds, int *nfds, int flags);

#endif
