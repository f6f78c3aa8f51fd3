/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run-time library: what a compiled clause does when a probe fires, and the segment
 * that it does it in.
 *
 * Sides.  The *client* formats a segment, names its probes and drains it (struct
 * rt_client).  An *engine* attaches to one lane of it (struct rt_view) and runs programs
 * there, one at a time.  Each executing thread has a lane of its own, so a hit shares
 * no cache line with another thread, and every word of a lane has one writer.
 *
 * Hostile.  A victim may have the segment mapped.  Whoever reads it copies an index
 * once, checks the copy and uses the copy; the geometry is copied when attaching, and
 * every offset follows from it.  A scribbled segment gives wrong values, never a wild
 * access.
 *
 * Freestanding.  This folder calls nothing outside it: no libc, no allocation, no lock,
 * no system call.  Full means drop and count, never wait.  What the program asks of the
 * world (registers, memory, clocks) goes through struct rt_host.
 */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#define RT_LANES_MAX 256u
#define RT_SCRATCH_BYTES 16384u   /* working memory of a run: strings, record, keys */
#define RT_LOCALS_BYTES 4096u     /* this-> variables: they last for a hit */
#define RT_GLOBALS_MAX (1u << 20) /* global variables of a session */
#define RT_RECORD_MAX RT_SCRATCH_BYTES
#define RT_KEY_MAX 4096u      /* bytes of a key tuple */
#define RT_DYN_ROOM_MAX 8192u /* bytes of a dynamic variable: its key and its value */
#define RT_WORDS_MAX 8192u    /* 64-bit words of an aggregation's value */
#define RT_EXECNAME 16u
#define RT_SPECS_MAX 256u
#define RT_SIGNALS 64u
#define RT_STRING_MAX 4096u /* bytes of a string (strsize) */
#define RT_PATH_MAX 4096u
/*
 * Memory that a firing has for itself: alloca(), copyin().  Its addresses are such as no
 * memory of a victim has on any CPU known.
 */
#define RT_OWN_BYTES 32768u
#define RT_OWN_ADDRESS 0xd7c0000000000000ull
/* Register numbers of uregs[], which are DTrace's, for rt_host.reg. */
#define RT_UREG 0x10000u

enum rt_error {
	RT_EINVAL = -1, /* parameters out of range */
	RT_ESIZE = -2,  /* the memory is smaller than its header says */
	RT_EMAGIC = -3, /* not a segment, or of another version */
	RT_EFULL = -4,  /* the table of names is full */
};

/* ------------------------------------------------------------------- the world */

/* Numbers that a program may ask for; hit and host answer. */
enum rt_value {
	RT_VALUE_PID,
	RT_VALUE_TID,
	RT_VALUE_PROBE,   /* `id` */
	RT_VALUE_PROGRAM, /* `epid` */
	RT_VALUE_TIMESTAMP,
	/* From here on the host answers. */
	RT_VALUE_VTIMESTAMP,
	RT_VALUE_WALLTIMESTAMP,
	RT_VALUE_CPU,
	RT_VALUE_PPID,
	RT_VALUE_UID,
	RT_VALUE_GID,
	RT_VALUE_ERRNO,
	RT_VALUE_UCALLER,
	RT_VALUE_USTACKDEPTH,
	RT_VALUE_COUNT,
};

enum rt_text {
	RT_TEXT_CWD,
	RT_TEXT_ROOT,
	RT_TEXTS,
};

/*
 * How a program reaches the thread at the site.  Each returns 0 or a negative number: a
 * fault, which ends the clause.  All are called only when a program asks.  `arg` may be
 * NULL (arguments are 0); any other may be NULL (asking for it is an illegal operation).
 */
struct rt_host {
	int (*reg)(void *cookie, unsigned reg, uint64_t *out);
	int (*arg)(void *cookie, unsigned n, uint64_t *out); /* arg0 ... arg9 */
	int (*load)(void *cookie, uint64_t addr, void *buf, size_t len);
	int (*execname)(void *cookie, char out[RT_EXECNAME]);      /* NUL-terminated */
	int (*value)(void *cookie, uint32_t which, uint64_t *out); /* enum rt_value */
	/* A signal (1 ... RT_SIGNALS) for the thread, sent when its programs have run. */
	int (*raise)(void *cookie, unsigned sig);
	int (*store)(void *cookie, uint64_t addr, const void *buf, size_t len);
	/* A NUL-terminated text of the process. */
	int (*text)(void *cookie, uint32_t which, char *buf, size_t size);
	/* 1: it is, or descends from, process `pid`; 0: no. */
	int (*progeny)(void *cookie, int64_t pid);
	/* PCs of its stack's frames, the innermost first, at most `room`; how many. */
	int (*stack)(void *cookie, uint64_t *pcs, uint32_t room);
};

/* DTrace's fault codes: what the ERROR probe's arg4 shows. */
enum rt_fault {
	RT_FAULT_NONE,
	RT_FAULT_BADADDR,
	RT_FAULT_BADALIGN,
	RT_FAULT_ILLOP,
	RT_FAULT_DIVZERO,
	RT_FAULT_NOSCRATCH,
	RT_FAULT_KPRIV,
	RT_FAULT_UPRIV,
	RT_FAULT_TUPOFLOW,
	RT_FAULT_BADSTACK,
	RT_FAULT_COUNT,
};
/* DTrace's words for it ("invalid address").  Static. */
const char *rt_fault_text(uint32_t fault);

/* ------------------------------------------------------------------ the segment */

/* Geometry; zero means the default.  Sizes are for each lane. */
struct rt_params {
	uint32_t lanes;      /* [1] at most RT_LANES_MAX */
	uint32_t ring_bytes; /* [1 MiB] rounded up to a power of two, at least 4 KiB */
	uint32_t agg_bytes;  /* [4 MiB] keys and values, at least 4 KiB */
	uint32_t probes;     /* [65536] ids below this can have names */
	uint32_t name_bytes; /* [4 MiB] of all probe names together */
	uint32_t self_bytes; /* [1 MiB] self-> variables, at least 4 KiB */
	uint32_t self_room;  /* [8] bytes of the largest one's key and value */
};

/* What all lanes of a session share; zero means the default. */
struct rt_shared_params {
	uint32_t globals;   /* bytes of global variables */
	uint32_t dyn_bytes; /* [1 MiB] associative arrays */
	uint32_t dyn_room;  /* bytes of their largest key and value; 0: there are none */
	uint32_t specs;     /* speculations at once, at most RT_SPECS_MAX */
};

/* A table of dynamic variables: where it lies, and its sizes, checked. */
struct rt_dyn {
	struct rt_dyn_head *head; /* NULL: there is none */
	uint64_t *words;
	unsigned char *cells;
	uint32_t mask, n_cells, cell_bytes;
	uint32_t is_private; /* no other engine writes there */
};

struct rt_header; /* the segment's own structs: segment.h */
struct rt_lane;
struct rt_dyn_head;

/* An engine's side of one lane.  Private memory; large, so not for a stack. */
struct rt_view {
	struct rt_header *header;
	struct rt_lane *lane;
	unsigned char *ring;
	uint32_t *index;
	unsigned char *heap;
	const uint32_t *names;
	const char *text;
	struct rt_params geo; /* checked copy */
	uint32_t index_mask;
	uint64_t head;        /* of the ring */
	uint64_t heap_used;   /* bytes */
	uint64_t sweep;       /* where in the heap truncated keys are looked for */
	uint32_t busy;        /* a program runs: what comes now is re-entered */
	uint32_t urgent;      /* the client should look now */
	struct rt_dyn self;   /* the lane's self-> variables */
	struct rt_dyn arrays; /* the session's associative arrays */
	uint64_t *specs;      /* the session's speculations */
	uint32_t n_specs;
	unsigned char *globals; /* NULL: none */
	uint32_t globals_bytes;
	uint64_t random; /* of rand(); 0: not begun */
	uint64_t own[RT_OWN_BYTES / 8];
	char token[RT_STRING_MAX]; /* what strtok() works on */
	uint64_t locals[RT_LOCALS_BYTES / 8];
	uint64_t scratch[RT_SCRATCH_BYTES / 8];
};

/* One firing; several programs may run with the same one.  Private memory. */
struct rt_hit {
	struct rt_view *view;
	const struct rt_host *host;
	void *cookie;   /* for the host */
	uint32_t probe; /* id, for the record and the names */
	uint32_t flags; /* enum rt_hit_flags */
	int32_t pid, tid;
	uint32_t epoch;     /* of what is mapped in the victim, for names of addresses */
	uint64_t timestamp; /* 0: taken from the host when first needed */
	/* Set by the run: */
	uint32_t program; /* id of the program that runs */
	uint32_t fault;   /* enum rt_fault of the last run */
	uint64_t fault_value;
	uint32_t fault_pc; /* instruction that faulted */
	/* What lasts for a firing, rt_hit_probe() begins: */
	uint32_t locals; /* bytes of this-> variables that were made zero */
	uint32_t own;    /* bytes of alloca() */
	uint32_t token;  /* where strtok() goes on, from 1; 0: it has no string */
};

enum rt_hit_flags {
	RT_HIT_ALWAYS = 1 << 0, /* runs although tracing is over: END */
};

/* Bytes that a segment of this geometry takes (a multiple of 4096); 0: impossible. */
size_t rt_segment_size(const struct rt_params *);
/*
 * Attaches an engine to `lane` of a segment; everything is checked.  The view borrows
 * `mem`.  A lane has at most one view at a time; a later one goes on where it ended.
 */
int rt_segment_attach(void *mem, size_t size, uint32_t lane, struct rt_view *out);
/*
 * Global variables and associative arrays of a session: bytes that they take (0:
 * impossible), formatting zeroed memory, and giving them to a view, which borrows the
 * memory.  Everything is checked.
 */
size_t rt_shared_size(const struct rt_shared_params *);
int rt_shared_format(void *mem, size_t size, const struct rt_shared_params *);
int rt_view_shared(struct rt_view *, void *mem, size_t size);
/* After a run: 1 when the engine should write to the doorbell's descriptor now. */
int rt_view_bell(struct rt_view *);

/* Another probe fires for the same thread at the same moment. */
void rt_hit_probe(struct rt_hit *, uint32_t probe);
/* Makes the first `bytes` of this-> variables zero, once for each hit. */
void rt_run_locals(struct rt_hit *, uint32_t bytes);
/* Brackets of a run, for who executes programs.  0: run it; else why not. */
enum rt_skip { RT_RUN, RT_SKIP_STOPPED, RT_SKIP_BUSY };
enum rt_skip rt_run_begin(struct rt_hit *, uint32_t program);
/* Ends it; a fault is counted and recorded. */
void rt_run_end(struct rt_hit *);

/* ------------------------------------------------------------------- the client */

/* A private copy of one entry of a hostile heap; too large for a thread's stack. */
struct rt_agg_copy {
	uint64_t key[RT_KEY_MAX / 8];
	uint64_t words[RT_WORDS_MAX];
};

struct rt_client {
	unsigned char *mem;
	struct rt_params geo;
	uint32_t name_used;
	uint64_t tail[RT_LANES_MAX]; /* private copies of what this side consumed */
	struct rt_agg_copy copy;     /* what rt_agg_each() shows */
};

enum rt_part {
	RT_PART_PROVIDER,
	RT_PART_MODULE,
	RT_PART_FUNCTION,
	RT_PART_NAME,
	RT_PARTS
};

/* Formats zeroed memory (a fresh memfd) as a segment. */
int rt_segment_format(
	void *mem, size_t size, const struct rt_params *, struct rt_client *out);
/*
 * Names probe `id`, before it is armed.  Names never change: of one that has a name
 * already it stays.  RT_EFULL, RT_EINVAL.
 */
int rt_client_name(struct rt_client *, uint32_t id, const char *const parts[RT_PARTS]);
/* Tracing is over: programs do not run any more (also set by the exit action). */
void rt_client_stop(struct rt_client *);
int rt_client_stopped(const struct rt_client *);
/* To call before draining: the next record may ring the doorbell again. */
void rt_client_answer(struct rt_client *);

enum rt_record_kind {
	RT_RECORD_DATA = 1,        /* payload laid out by the program's layout */
	RT_RECORD_FAULT = 2,       /* payload is a struct rt_fault_record */
	RT_RECORD_SPECULATIVE = 3, /* as DATA; begins with a struct rt_tag */
	RT_RECORD_COMMIT = 4,      /* payload is a struct rt_tag: print what has it */
	RT_RECORD_DISCARD = 5,     /* likewise: forget it */
};

struct rt_record {
	uint32_t size; /* of header and payload, a multiple of 8 */
	uint16_t kind;
	uint16_t cpu;
	uint32_t program;
	uint32_t probe;
	int32_t pid, tid;
	uint64_t timestamp;
};

/* A speculation, and the how many-eth use of it. */
struct rt_tag {
	uint32_t id, turn;
};

struct rt_fault_record {
	uint32_t fault, pc;
	uint64_t value;
};

/*
 * Takes the oldest record of a lane: its header, and its payload into `payload`, which
 * must have room for RT_RECORD_MAX bytes.  1, or 0 when there is none.  A ring that was
 * scribbled on is skipped, and counted as drops.
 */
int rt_ring_next(struct rt_client *, uint32_t lane, struct rt_record *, void *payload);

/* Cumulative counters of a lane. */
struct rt_drops {
	uint64_t ring;    /* records that found the ring full */
	uint64_t agg;     /* updates that found no room for a new key */
	uint64_t busy;    /* hits inside a running program */
	uint64_t dyn;     /* dynamic variables that found no room */
	uint64_t spec;    /* speculation() when all were in use */
	uint64_t corrupt; /* times a ring had to be skipped */
	uint64_t faults;  /* clauses ended by a fault */
};
void rt_client_drops(const struct rt_client *, uint32_t lane, struct rt_drops *out);

/* ----------------------------------------------------------------- aggregations */

enum rt_agg_func {
	RT_AGG_COUNT,      /* value: n */
	RT_AGG_SUM,        /* sum */
	RT_AGG_AVG,        /* n, sum */
	RT_AGG_MIN,        /* min (signed) */
	RT_AGG_MAX,        /* max (signed) */
	RT_AGG_STDDEV,     /* n, sum, sum of squares (low, high) */
	RT_AGG_QUANTIZE,   /* RT_QUANTIZE_BUCKETS counts, value 0 in the middle */
	RT_AGG_LQUANTIZE,  /* below, the levels, above: see RT_LQUANTIZE */
	RT_AGG_LLQUANTIZE, /* below, steps of each order, above: RT_LLQUANTIZE */
	RT_AGG_FUNCS,
};

#define RT_QUANTIZE_BUCKETS 127u
#define RT_QUANTIZE_ZERO 63u
/* The lower bound of quantize's bucket. */
int64_t rt_quantize_bound(uint32_t bucket);
/* lquantize(x, base, base + step * levels, step) packed into the parameter. */
#define RT_LQUANTIZE(base, levels, step)                                                 \
	((uint64_t)(uint32_t)(base) | (uint64_t)(uint16_t)(levels) << 32 |               \
		(uint64_t)(uint16_t)(step) << 48)

/* llquantize(x, factor, low, high, nsteps), and the lower bound of what a word counts. */
#define RT_LLQUANTIZE(factor, low, high, nsteps)                                         \
	((uint64_t)(uint16_t)(factor) | (uint64_t)(uint16_t)(low) << 16 |                \
		(uint64_t)(uint16_t)(high) << 32 | (uint64_t)(uint16_t)(nsteps) << 48)
int64_t rt_llquantize_bound(uint64_t param, uint32_t word);

/* Words of a value; 0: no such function, or a parameter out of range. */
uint32_t rt_agg_words(enum rt_agg_func, uint64_t param);
/* Adds value `from` to `to`, both of `words` words, as the function merges. */
void rt_agg_merge(enum rt_agg_func, uint32_t words, uint64_t *to, const uint64_t *from);

/*
 * One key of one lane.  A cleared one that did not count since has the words of a new
 * one; a truncated one is not shown until it counts.  `key` is cut at its last byte that
 * is not zero (rounded up to words): what is missing up to the layout's key size is
 * zeros.
 */
struct rt_agg_entry {
	uint32_t id;
	enum rt_agg_func func;
	const void *key;
	uint32_t key_bytes;
	const uint64_t *words;
	uint32_t n_words;
	uint32_t *wanted; /* for rt_agg_forget() */
};
/* From now on this key counts anew: from nothing, or (truncated) as a key that is not
 * there. */
enum rt_forget { RT_CLEAR, RT_TRUNCATE };
void rt_agg_forget(const struct rt_agg_entry *, enum rt_forget);
/* Calls fn for private copies of a lane's entries until it returns other than 0. */
typedef int rt_agg_fn(const struct rt_agg_entry *, void *arg);
int rt_agg_each(struct rt_client *, uint32_t lane, rt_agg_fn *fn, void *arg);

/* --------------------------------------------------------------------- helpers */

/*
 * What a program can call.  Verifier, disassembler, assembler, interpreter and code
 * generator share this table.  A helper that cannot do its work sets hit->fault, and
 * the run ends behind it.
 */
enum rt_helper_arg {
	RT_ARG_NONE,
	RT_ARG_CONST,  /* a number known when the program is verified */
	RT_ARG_SCALAR, /* any number */
	RT_ARG_IN,     /* memory to read; its size, a constant, is the next argument */
	RT_ARG_OUT,    /* memory to write; likewise */
	RT_ARG_SIZE,   /* that size, at least 1 */
};

enum rt_helper_id {
	RT_HELPER_VALUE = 1,
	RT_HELPER_ARG,
	RT_HELPER_REG,
	RT_HELPER_EXECNAME,
	RT_HELPER_PROBE_TEXT,
	RT_HELPER_STRCMP,
	RT_HELPER_STRCPY,
	RT_HELPER_LOAD,
	RT_HELPER_LOAD_STRING,
	RT_HELPER_STRLEN,
	RT_HELPER_AGG,
	RT_HELPER_EMIT,
	RT_HELPER_EXIT,
	RT_HELPER_FAULT,
	RT_HELPER_SELF_GET,
	RT_HELPER_SELF_SET,
	RT_HELPER_SELF_LOAD,
	RT_HELPER_SELF_STORE,
	RT_HELPER_RAISE,
	RT_HELPER_DYN_GET,
	RT_HELPER_DYN_SET,
	RT_HELPER_DYN_LOAD,
	RT_HELPER_DYN_STORE,
	RT_HELPER_LOAD_STRING_MAX,
	RT_HELPER_ALLOCA,
	RT_HELPER_COPYIN,
	RT_HELPER_BCOPY,
	RT_HELPER_COPYOUT,
	RT_HELPER_COPYOUTSTR,
	RT_HELPER_STRCAT,
	RT_HELPER_INDEX,
	RT_HELPER_RINDEX,
	RT_HELPER_STRCHR,
	RT_HELPER_STRRCHR,
	RT_HELPER_TAIL,
	RT_HELPER_SUBSTR,
	RT_HELPER_TOKEN_BEGIN,
	RT_HELPER_TOKEN_NEXT,
	RT_HELPER_TOUPPER,
	RT_HELPER_TOLOWER,
	RT_HELPER_LLTOSTR,
	RT_HELPER_STRTOLL,
	RT_HELPER_BASENAME,
	RT_HELPER_DIRNAME,
	RT_HELPER_CLEANPATH,
	RT_HELPER_INET_NTOP,
	RT_HELPER_JSON,
	RT_HELPER_RAND,
	RT_HELPER_PROGENYOF,
	RT_HELPER_TEXT,
	RT_HELPER_UREG,
	RT_HELPER_STACK,
	RT_HELPER_AGG_BY,
	RT_HELPER_SPECULATION,
	RT_HELPER_SPECULATE,
	RT_HELPER_EMIT_TAGGED,
	RT_HELPER_COMMIT,
	RT_HELPER_DISCARD,
	RT_HELPERS,
};

/* What agg_by takes beside its key. */
struct rt_agg_by {
	uint64_t value, param, by;
};

/* A variable of the dyn_ helpers: its id; or'd with this it is of the thread. */
#define RT_DYN_SELF (1ull << 32)

/* Whose an address is: a process, at an epoch of what is mapped in it. */
#define RT_WHOSE(pid, epoch) ((uint64_t)(uint32_t)(pid) | (uint64_t)(epoch) << 32)

typedef uint64_t rt_helper_fn(
	struct rt_hit *, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

struct rt_helper {
	const char *name; /* NULL: no such helper */
	rt_helper_fn *fn;
	uint8_t args[5]; /* enum rt_helper_arg */
};
extern const struct rt_helper rt_helpers[RT_HELPERS];

#endif
