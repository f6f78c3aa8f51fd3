/* SPDX-License-Identifier: BSD-2-Clause */
/* Options, by -x, pragma, setopt() or dtproc_setopt(): their table and their values. */
#ifndef TRACE_OPTIONS_H
#define TRACE_OPTIONS_H

#include <stdint.h>
#include <base/err.h>

enum trace_option {
	TRACE_AGGHIST,
	TRACE_AGGPACK,
	TRACE_AGGRATE,
	TRACE_AGGSIZE,
	TRACE_AGGSORTKEY,
	TRACE_AGGSORTKEYPOS,
	TRACE_AGGSORTPOS,
	TRACE_AGGSORTREV,
	TRACE_AGGZOOM,
	TRACE_ARGREF,
	TRACE_BUFPOLICY,
	TRACE_BUFSIZE,
	TRACE_CLEANRATE,
	TRACE_DEFAULTARGS,
	TRACE_DESTRUCTIVE,
	TRACE_DYNVARSIZE,
	TRACE_EMPTY,
	TRACE_ENCODING,
	TRACE_ENGINE,
	TRACE_EVALTIME,
	TRACE_FLOWINDENT,
	TRACE_FOLLOW,
	TRACE_INTERPRET,
	TRACE_JSTACKFRAMES,
	TRACE_JSTACKSTRSIZE,
	TRACE_NSPEC,
	TRACE_PSPEC,
	TRACE_QUIET,
	TRACE_RAWBYTES,
	TRACE_SPECSIZE,
	TRACE_STACKFRAMES,
	TRACE_STACKINDENT,
	TRACE_STATUSRATE,
	TRACE_STRSIZE,
	TRACE_SWITCHRATE,
	TRACE_TEMPORAL,
	TRACE_USTACKFRAMES,
	TRACE_VERBOSE,
	TRACE_ZDEFS,
	TRACE_OPTIONS,
};

struct trace_option_value {
	char text[32];   /* as dtproc_getopt() tells it */
	uint64_t number; /* NUMBER; bytes or nanoseconds */
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
/* Its number; `otherwise` when it is not set. */
uint64_t trace_option_number(
	const struct trace_options *, enum trace_option, uint64_t otherwise);
/* Is it the option of a WORD with this value? */
int trace_option_is(const struct trace_options *, enum trace_option, const char *word);
/* May it be set while tracing goes on? */
int trace_option_is_live(const char *name);

/* ------------------------------------------------------------------------- table */

enum option_kind {
	OPTION_FLAG,
	OPTION_NUMBER,
	OPTION_SIZE,
	OPTION_RATE,
	OPTION_WORD,
	OPTION_ATTRIBUTES, /* Stable/Stable/Common */
	OPTION_VERSION,    /* 1.6.3 */
};

struct option_row {
	const char *name;
	enum option_kind kind;
	const char *initial;  /* NULL: unset */
	uint64_t least, most; /* of NUMBER, SIZE and RATE */
	const char *words;    /* of WORD, with blanks around each */
	const char *later;    /* words that are not built yet, likewise */
	int live;             /* it may be set while tracing goes on */
};

extern const struct option_row option_rows[TRACE_OPTIONS];
/* The row, perhaps one that does nothing; NULL: it is refused, or unknown. */
const struct option_row *option_find(const char *name);
/* Why an option of DTrace is not there; NULL: it is none of DTrace's. */
const char *option_why_refused(const char *name);
/* Every name of the table in turn, refused ones too; NULL behind the last. */
const char *option_name(unsigned i);

#endif
