/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of options.  Three kinds of rows: options that do something here; DTrace's
 * whose subject does not exist here, so that a script that sets one means nothing else by
 * it (they are checked, and change nothing); and DTrace's that would mean something that
 * cannot be had, which are refused with the reason.
 */
#include <stddef.h>
#include <string.h>
#include <runtime/runtime.h>
#include "options.h"

#define SECOND 1000000000ull
#define DAY (86400 * SECOND)
#define GIGA (1ull << 30)

const struct option_row option_rows[TRACE_OPTIONS] = {
	[TRACE_AGGHIST] = {.name = "agghist", .kind = OPTION_FLAG, .live = 1},
	[TRACE_AGGPACK] = {.name = "aggpack", .kind = OPTION_FLAG, .live = 1},
	[TRACE_AGGRATE] = {.name = "aggrate",
		.kind = OPTION_RATE,
		.initial = "1s",
		.most = DAY,
		.live = 1},
	[TRACE_AGGSIZE] = {.name = "aggsize",
		.kind = OPTION_SIZE,
		.initial = "4m",
		.most = GIGA},
	[TRACE_AGGSORTKEY] = {.name = "aggsortkey", .kind = OPTION_FLAG, .live = 1},
	[TRACE_AGGSORTKEYPOS] = {.name = "aggsortkeypos",
		.kind = OPTION_NUMBER,
		.most = INT32_MAX,
		.live = 1},
	[TRACE_AGGSORTPOS] = {.name = "aggsortpos",
		.kind = OPTION_NUMBER,
		.most = INT32_MAX,
		.live = 1},
	[TRACE_AGGSORTREV] = {.name = "aggsortrev", .kind = OPTION_FLAG, .live = 1},
	[TRACE_AGGZOOM] = {.name = "aggzoom", .kind = OPTION_FLAG, .live = 1},
	[TRACE_ARGREF] = {.name = "argref", .kind = OPTION_FLAG},
	[TRACE_BUFPOLICY] = {.name = "bufpolicy",
		.kind = OPTION_WORD,
		.initial = "switch",
		.words = " switch fill ring "},
	[TRACE_BUFSIZE] = {.name = "bufsize",
		.kind = OPTION_SIZE,
		.initial = "4m",
		.least = 1,
		.most = GIGA},
	[TRACE_CLEANRATE] = {.name = "cleanrate",
		.kind = OPTION_RATE,
		.initial = "101hz",
		.most = DAY},
	[TRACE_DEFAULTARGS] = {.name = "defaultargs", .kind = OPTION_FLAG},
	[TRACE_DESTRUCTIVE] = {.name = "destructive", .kind = OPTION_FLAG},
	[TRACE_DYNVARSIZE] = {.name = "dynvarsize",
		.kind = OPTION_SIZE,
		.initial = "1m",
		.most = GIGA},
	[TRACE_EMPTY] = {.name = "empty", .kind = OPTION_FLAG},
	[TRACE_ENCODING] = {.name = "encoding",
		.kind = OPTION_WORD,
		.words = " ascii utf8 ",
		.live = 1},
	[TRACE_ENGINE] = {.name = "engine",
		.kind = OPTION_WORD,
		.initial = "auto",
		.words = " auto breakpoint ",
		.later = " inline uprobe "},
	[TRACE_EVALTIME] = {.name = "evaltime",
		.kind = OPTION_WORD,
		.initial = "postinit",
		.words = " exec preinit postinit main "},
	[TRACE_FLOWINDENT] = {.name = "flowindent", .kind = OPTION_FLAG, .live = 1},
	[TRACE_FOLLOW] = {.name = "follow", .kind = OPTION_FLAG},
	[TRACE_INTERPRET] = {.name = "interpret", .kind = OPTION_FLAG},
	[TRACE_JSTACKFRAMES] = {.name = "jstackframes",
		.kind = OPTION_NUMBER,
		.initial = "50",
		.most = INT32_MAX},
	[TRACE_JSTACKSTRSIZE] = {.name = "jstackstrsize",
		.kind = OPTION_SIZE,
		.initial = "512",
		.most = GIGA},
	[TRACE_NSPEC] = {.name = "nspec",
		.kind = OPTION_NUMBER,
		.initial = "1",
		.most = RT_SPECS_MAX},
	[TRACE_PSPEC] = {.name = "pspec", .kind = OPTION_FLAG},
	[TRACE_QUIET] = {.name = "quiet", .kind = OPTION_FLAG, .live = 1},
	[TRACE_RAWBYTES] = {.name = "rawbytes", .kind = OPTION_FLAG, .live = 1},
	[TRACE_SPECSIZE] = {.name = "specsize",
		.kind = OPTION_SIZE,
		.initial = "32k",
		.most = GIGA},
	[TRACE_STACKFRAMES] = {.name = "stackframes",
		.kind = OPTION_NUMBER,
		.initial = "20",
		.most = INT32_MAX},
	[TRACE_STACKINDENT] = {.name = "stackindent",
		.kind = OPTION_NUMBER,
		.initial = "14",
		.most = 4096,
		.live = 1},
	[TRACE_STATUSRATE] = {.name = "statusrate",
		.kind = OPTION_RATE,
		.initial = "1s",
		.most = DAY,
		.live = 1},
	[TRACE_STRSIZE] = {.name = "strsize",
		.kind = OPTION_SIZE,
		.initial = "256",
		.least = 8,
		.most = RT_STRING_MAX},
	[TRACE_SWITCHRATE] = {.name = "switchrate",
		.kind = OPTION_RATE,
		.initial = "1s",
		.least = 200000,
		.most = DAY,
		.live = 1},
	[TRACE_TEMPORAL] = {.name = "temporal", .kind = OPTION_FLAG},
	[TRACE_USTACKFRAMES] = {.name = "ustackframes",
		.kind = OPTION_NUMBER,
		.initial = "20",
		.most = INT32_MAX},
	[TRACE_VERBOSE] = {.name = "verbose", .kind = OPTION_FLAG},
	[TRACE_ZDEFS] = {.name = "zdefs", .kind = OPTION_FLAG},
};

/* Accepted; what they are about is not here. */
static const struct option_row mute[] = {
	{.name = "aggpercpu", .kind = OPTION_FLAG},
	{.name = "amin", .kind = OPTION_ATTRIBUTES},
	{.name = "bufresize", .kind = OPTION_WORD, .words = " auto manual "},
	{.name = "errtags", .kind = OPTION_FLAG},
	{.name = "iregs", .kind = OPTION_NUMBER, .least = 1, .most = INT32_MAX},
	{.name = "kdefs", .kind = OPTION_FLAG},
	{.name = "knodefs", .kind = OPTION_FLAG},
	{.name = "lazyload", .kind = OPTION_FLAG},
	{.name = "linkmode",
		.kind = OPTION_WORD,
		.words = " kernel primary dynamic static "},
	{.name = "nolibs", .kind = OPTION_FLAG},
	{.name = "pgmax", .kind = OPTION_NUMBER, .most = INT32_MAX},
	{.name = "preallocate", .kind = OPTION_SIZE, .most = UINT64_MAX},
	{.name = "tregs", .kind = OPTION_NUMBER, .least = 1, .most = INT32_MAX},
	{.name = "udefs", .kind = OPTION_FLAG},
	{.name = "unodefs", .kind = OPTION_FLAG},
	{.name = "version", .kind = OPTION_VERSION},
};

static const struct {
	const char *name, *why;
} refused[] = {
	{"cpp", "the command does it before D is compiled: -C"},
	{"cpphdrs", "the command does it before D is compiled: -H"},
	{"cpppath", "the preprocessor is the cpp that PATH finds"},
	{"core", "dtproc does not dump core at its end; gcore(1) does"},
	{"cpu", "threads move between CPUs; a predicate /cpu == N/ does what it can"},
	{"ctypes", "there are no C type containers to write; types come from DWARF"},
	{"define", "the command does it before D is compiled: -D"},
	{"debug", "the variable DTPROC_DEBUG does it (see CONTRIBUTING.md)"},
	{"dtypes", "there are no D type containers to write"},
	{"grabanon", "anonymous tracing, before processes run, is a kernel's"},
	{"incdir", "the command does it before D is compiled: -I"},
	{"ldpath", "there is no -G, which would link"},
	{"libdir", "the command reads libraries before scripts: -L"},
	{"linktype", "there is no -G, which would link"},
	{"stdc", "the preprocessor has one mode"},
	{"strip", "there is no -G, which would link"},
	{"syslibdir", "there is no library but those of -L"},
	{"tree", "-S prints the bytecode; trees are not printed"},
	{"undef", "the command does it before D is compiled: -U"},
};

const struct option_row *option_find(const char *name)
{
	for (size_t i = 0; i < TRACE_OPTIONS; i++)
		if (strcmp(option_rows[i].name, name) == 0)
			return &option_rows[i];
	for (size_t i = 0; i < sizeof mute / sizeof *mute; i++)
		if (strcmp(mute[i].name, name) == 0)
			return &mute[i];
	return NULL;
}

const char *option_why_refused(const char *name)
{
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (strcmp(refused[i].name, name) == 0)
			return refused[i].why;
	return NULL;
}

const char *option_name(unsigned i)
{
	size_t n_mute = sizeof mute / sizeof *mute;

	if (i < TRACE_OPTIONS)
		return option_rows[i].name;
	i -= TRACE_OPTIONS;
	if (i < n_mute)
		return mute[i].name;
	i -= (unsigned)n_mute;
	return i < sizeof refused / sizeof *refused ? refused[i].name : NULL;
}
