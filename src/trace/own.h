/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share: the session. */
#ifndef TRACE_OWN_H
#define TRACE_OWN_H

#include <pthread.h>
#include <base/err.h>
#include <base/hash.h>
#include <base/vec.h>
#include <codegen/codegen.h>
#include <engine/engine.h>
#include <hold/hold.h>
#include <probe/probe.h>

/* ------------------------------------------------------------------- options */

enum trace_option {
	TRACE_AGGSIZE,
	TRACE_AGGSORTKEY,
	TRACE_AGGSORTREV,
	TRACE_ARGREF,
	TRACE_BUFSIZE,
	TRACE_DEFAULTARGS,
	TRACE_DESTRUCTIVE,
	TRACE_DYNVARSIZE,
	TRACE_EMPTY,
	TRACE_ENGINE,
	TRACE_EVALTIME,
	TRACE_INTERPRET,
	TRACE_QUIET,
	TRACE_STRSIZE,
	TRACE_SWITCHRATE,
	TRACE_VERBOSE,
	TRACE_ZDEFS,
	TRACE_OPTIONS,
};

struct trace_option_value {
	char text[32];   /* as dtproc_getopt() tells it */
	uint64_t number; /* bytes or nanoseconds */
	enum { TRACE_UNSET, TRACE_DEFAULT, TRACE_SET } state;
};

struct trace_options {
	struct trace_option_value at[TRACE_OPTIONS];
};

void trace_options_init(struct trace_options *);
/* Sets one; `value` may be NULL.  DTPROC_EINVAL, with what would be right. */
int trace_options_set(
	struct trace_options *, const char *name, const char *value) MUST_USE;
/* The value's text; NULL: unset or unknown. */
const char *trace_options_get(const struct trace_options *, const char *name);
/* Was it set, or has it a default? */
int trace_option_on(const struct trace_options *, enum trace_option);

/* ------------------------------------------------------------------- session */

struct trace_script {
	struct cg_script *code;
	char *what;  /* "description 'x'" or "script 'x'" */
	char *blame; /* "invalid probe specifier x" or "failed to compile script x" */
	int is_text; /* -n: its lines need no number */
	unsigned matched;
};

struct trace_pair {
	const struct probe *probe;
	uint32_t program; /* position */
};

struct trace_timer {
	const struct probe *probe;
	uint64_t due_ns; /* CLOCK_MONOTONIC */
};

enum trace_phase { TRACE_COMPILING, TRACE_MATCHED, TRACE_GOING, TRACE_STOPPED };

struct trace_table; /* aggregate.h */
struct trace_drain; /* drain.c: what was taken from the rings and not printed yet */

struct dtproc {
	struct hold_session *hold;
	struct cg *cg;
	struct trace_options options;
	struct probe_table *probes;
	struct probe_table *typing; /* types.c: keeps objects open that types are of */
	VEC(uint64_t) args_of;      /* by clause: what its args[] are; 0: not known */
	struct probe_table *seen;   /* by dtproc_each_probe(): keeps objects open */
	struct engine_set *engines;
	pthread_mutex_t lock; /* refresh.c; recursive */
	enum trace_phase phase;
	unsigned missed; /* 1 << enum hold_change: what came before tracing went on */
	VEC(struct trace_script) scripts;
	VEC(struct engine_program) programs; /* of all clauses; parallel to: */
	VEC(const struct cg_clause *) clauses;
	struct hash clause_by_id;
	VEC(struct trace_pair) pairs;
	VEC(struct trace_timer) timers;
	VEC(pid_t) targets;           /* whose end ends tracing: what the client holds */
	pthread_mutex_t targets_lock; /* any thread may create and grab (rule I1) */
	struct trace_drain *drain;
	struct trace_table *bases; /* what clear() and trunc() forgot; NULL: nothing */
	VEC(uint32_t) printed;     /* groups of aggregations that printa() has shown */
	int heading_due;
	int exit_called, exit_status;
	uint64_t drained_ns; /* when rings were drained last */
	int epoll, timer_fd, wake_fd;
	unsigned ends_told; /* notices of ends that were delivered */
	dtproc_notice_fn *notice;
	void *notice_arg;
	dtproc_warn_fn *warn;
	void *warn_arg;
};

/* Warns the client; the text has no newline at its end. */
void trace_warn(struct dtproc *, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
uint64_t trace_now(void);

/* refresh.c: what is new in a victim.  The lock's scope: { CLEAN(trace_unlock) ... } */
struct dtproc *trace_lock(struct dtproc *);
void trace_unlock(struct dtproc **);
/* A handle's hook: matches and arms what is new there. */
void trace_refresh(struct dtproc *, struct dtproc_proc *, enum hold_change);
/* The scripts' descriptions have been matched. */
void trace_matched(struct dtproc *);
/* From now on changes are followed; what changed before is caught up with. */
int trace_catch_up(struct dtproc *) MUST_USE;
/* From now on nothing is refreshed. */
void trace_end(struct dtproc *);
/* As probe_by_id(). */
const struct probe *trace_probe(struct dtproc *, uint32_t id);

/* types.c: where the compiler gets types of the victim from. */
struct type_source trace_types(struct dtproc *);
/* May the clause run at this probe, as far as args[] are concerned?  Warns. */
int trace_args_fit(struct dtproc *, uint32_t program, const struct probe *);

/* script.c */
void trace_scripts_free(struct dtproc *);
/* match.c: descriptions to pairs. */
int trace_match(struct dtproc *) MUST_USE;
/* go.c: arms, and lets run. */
int trace_go(struct dtproc *) MUST_USE;
int trace_exit_called(struct dtproc *);
/* Does the client hold victims whose end ends tracing?  Is this one of them? */
int trace_has_targets(struct dtproc *);
int trace_is_target(struct dtproc *, pid_t pid);
int trace_fire_kind(struct dtproc *, enum probe_kind, enum engine_when);
/* As engine_fire(). */
void trace_fire(
	struct dtproc *, const struct probe *, enum engine_when, const uint64_t args[10]);
/* Each unit's rings may ring the bell again; or none runs a program any more. */
void trace_each_client(struct dtproc *, void (*fn)(struct rt_client *));

/* drain.c: records in time order, to text. */
int trace_drain_open(struct dtproc *) MUST_USE;
/* Makes room for units that came since. */
int trace_drain_grow(struct dtproc *) MUST_USE;
void trace_drain_close(struct dtproc *);
/* Prints the records made until `until_ns`; then those that ERROR made. */
void trace_drain(struct dtproc *, uint64_t until_ns, FILE *out);
/* Warns of what was dropped since it was last called. */
void trace_warn_drops(struct dtproc *);

/* print.c: one record. */
void trace_print_record(
	struct dtproc *, const struct rt_record *, const void *payload, FILE *out);
/* A field as text: its string, or the probe's part.  "" when a hostile one is not sound.
 */
const char *trace_field_text(struct dtproc *, const struct cg_field *, const void *base,
	size_t len, char *buf, size_t size);
uint64_t trace_field_number(const struct cg_field *, const void *base, size_t len);

/* bytes.c */
enum trace_bytes_form {
	TRACE_BYTES_COLUMN, /* as text where they look like it, in trace()'s column */
	TRACE_BYTES_QUIET,  /* likewise, without the column */
	TRACE_BYTES_RAW,    /* always as a dump */
};
void trace_print_bytes(const void *bytes, size_t n, enum trace_bytes_form, FILE *out);

/* typed.c: print() */
void trace_print_typed(
	const struct lang_type *type, const void *bytes, size_t n, FILE *out);

/* format.c: printf. */
struct trace_value {
	uint64_t number;
	const char *text; /* NULL: a number */
	uint8_t size, is_signed;
	/* For %@ of what is no number: prints it; NULL: a number. */
	void (*print)(const void *arg, FILE *out);
	const void *arg;
};
void trace_format(const struct lang_format *, const struct trace_value *values,
	unsigned n, FILE *out);
/* A number as trace() and keys show it: in a column for its type. */
void trace_print_number(const struct trace_value *, FILE *out);

/* aggregate.c, aggprint.c, histogram.c */
void trace_forget_bases(struct dtproc *);
/* printa(), clear(), trunc() */
void trace_aggregation_action(struct dtproc *, const struct cg_action *,
	const void *payload, size_t len, FILE *out);
int trace_print_aggregations(struct dtproc *, FILE *out) MUST_USE;
void trace_print_quantize(const uint64_t *words, unsigned n, FILE *out);
void trace_print_lquantize(const uint64_t *words, unsigned n, uint64_t param, FILE *out);

#endif
