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
#include "options.h"

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

/* What the values of an aggregation are divided by. */
struct trace_normal {
	uint32_t group;
	uint64_t normal;
};

struct trace_timer {
	const struct probe *probe;
	uint64_t due_ns; /* CLOCK_MONOTONIC */
};

enum trace_phase { TRACE_COMPILING, TRACE_MATCHED, TRACE_GOING, TRACE_STOPPED };

struct trace_table; /* aggregate.h */
struct trace_space; /* names.c: what is and was mapped in a victim */
struct trace_drain; /* drain.c: what was taken from the rings and not printed yet */

struct dtproc {
	struct hold_session *hold;
	struct cg *cg;
	struct trace_options options;
	struct probe_table *probes;
	struct probe_table *typing; /* types.c: keeps objects open that types are of */
	VEC(uint64_t) args_of;      /* by clause: what its args[] are; 0: not known */
	pthread_mutex_t names_lock; /* names.c; it comes last */
	VEC(struct trace_space *) spaces;
	struct probe_table *seen; /* by dtproc_each_probe(): keeps objects open */
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
	struct hash flows;  /* flow.c: by thread */
	uint64_t status_ns; /* when drops were looked at last that belong to no lane */
	struct trace_spec *specs; /* speculate.c; NULL: none was used */
	uint64_t spec_drops;      /* records that went beyond specsize */
	int saved_out;            /* what freopen() took the place of; -1: nothing */
	VEC(struct trace_normal) normals;
	VEC(uint32_t) printed; /* groups of aggregations that printa() has shown */
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
/* A followed child has ended: gives back what is held of it. */
void trace_forget(struct dtproc *, struct dtproc_proc *);
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
/* bufpolicy=ring: takes what is there, and keeps the newest for trace_drain(). */
int trace_keep_newest(struct dtproc *) MUST_USE;
/* bufpolicy=fill: has a buffer been filled? */
int trace_is_filled(struct dtproc *);
/* Warns of what was dropped since it was last called. */
void trace_warn_drops(struct dtproc *);

/* print.c: one record; `next` is the one behind it in its ring, or NULL. */
void trace_print_record(struct dtproc *, const struct rt_record *, const void *payload,
	const struct rt_record *next, FILE *out);
/* flow.c: the beginning of a record's line with option flowindent. */
void trace_print_flow(struct dtproc *, const struct rt_record *, const struct probe *,
	const struct rt_record *next, FILE *out);
void trace_forget_flows(struct dtproc *);
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

/* speculate.c: a record that has a tag. */
void trace_speculation(
	struct dtproc *, const struct rt_record *, const void *payload, FILE *out);
void trace_speculations_free(struct dtproc *);

/* action.c: what is done when its record is printed. */
void trace_action(struct dtproc *, const struct rt_record *, const struct cg_action *,
	const void *payload, size_t len, FILE *out);
/* Undoes freopen(). */
void trace_output_back(struct dtproc *, FILE *out);
/* print.c: as printf() prints it. */
void trace_print_format(struct dtproc *, const struct rt_record *,
	const struct cg_action *, const void *payload, size_t len, FILE *out);

/* stacks.c: enum dtproc_frame_flags of a frame that was walked. */
struct stack_frame;
unsigned trace_frame_flags(const struct stack_frame *);

/* format.c: printf. */
struct trace_value {
	uint64_t number;
	const char *text;  /* NULL: a number, or */
	const void *bytes; /* memory of `n_bytes`: an array or a float */
	uint32_t n_bytes;
	uint8_t size, is_signed;
	/* A stack (RT_WHOSE, then PCs) or an address with a name; not aligned.  NULL:
	 * none. */
	const void *words;
	uint32_t n_words;
	uint8_t is_stack, form; /* enum cg_address */
	/* For %@ of what is no number: prints it; NULL: a number. */
	void (*print)(const void *arg, FILE *out);
	const void *arg;
};
/* What a format prints: the arguments, or a key and the values of aggregations (%@). */
struct trace_values {
	const struct trace_value *at, *aggs;
	unsigned n, n_aggs;
	struct dtproc *session; /* for %a; NULL: no names */
	pid_t pid;              /* whose addresses they are; 0: $target's */
};
void trace_format(const struct lang_format *, const struct trace_values *, FILE *out);
/* stacks.c: what is mapped from `when` on; a process's number where it lives. */
struct stack_space;
int trace_space_update(
	struct stack_space *, const struct victim_maps *, uint64_t when) MUST_USE;
pid_t trace_inner_pid(pid_t);
/* names.c: what is mapped in a victim now; its handle is locked. */
int trace_names_update(struct dtproc *, struct dtproc_proc *) MUST_USE;
void trace_names_free(struct dtproc *);
/* Makes words of one field equal where their names are. */
void trace_names_canonical(
	struct dtproc *, const struct cg_field *, uint64_t *words, size_t n);
/* "libc.so.6`malloc+0x10" or "0x7f..."; pid 0: $target. */
void trace_address_text(
	struct dtproc *, pid_t pid, uint64_t addr, char *buf, size_t size);
/* An address with a name as text; a stack, a frame a line. */
void trace_named_text(
	struct dtproc *, const struct trace_value *, char *buf, size_t size);
#define TRACE_NAME_MAX 1024
/* A field of such a kind at `p` (NULL: it is not sound) as a value; 0: another kind. */
int trace_value_named(const struct cg_field *, const void *p, struct trace_value *);
/* Bytes of a field in a row's key (aggregate.h), which lies at `k`. */
size_t trace_key_bytes(const struct cg_field *, const void *k);
/* `indent` 0: as option stackindent says. */
void trace_print_stack(
	struct dtproc *, const struct trace_value *, int indent, FILE *out);
/* A number as trace() and keys show it: in a column for its type. */
void trace_print_number(const struct trace_value *, FILE *out);
/* How wide that is. */
int trace_column(unsigned type_size);

/* aggregate.c, aggprint.c */
/* printa(), clear(), trunc() */
void trace_aggregation_action(struct dtproc *, const struct cg_action *,
	const void *payload, size_t len, FILE *out);
int trace_print_aggregations(struct dtproc *, FILE *out) MUST_USE;

#endif
