/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line, as dtrace(8) takes it: short options that may be combined, arguments
 * of scripts anywhere between them.  Options that are not built yet are refused by name,
 * so that a script does not quietly do something else.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cmd.h"

/* "+": stop at the first argument; the loop below goes on behind it, as DTrace does. */
static const char letters[] = "+3:6:aAb:Bc:CD:ef:FGhHi:I:lL:m:n:o:p:P:qs:SU:vVwW:x:X:Z";
static const struct option words[] = {{"name", required_argument, NULL, 'W'}, {0}};

void cmd_error(const char *fmt, ...)
{
	FILE *err = cmd_stream(stderr);
	va_list ap;

	fputs("dtproc: ", err);
	va_start(ap, fmt);
	vfprintf(err, fmt, ap);
	va_end(ap);
	fputc('\n', err);
}

/* Their names, in lines. */
static void usage_options(FILE *f)
{
	const char *name;
	int at = 0;

	for (unsigned i = 0; (name = dtproc_option_name(i)); i++) {
		if (at + (int)strlen(name) > 72) {
			fputc('\n', f);
			at = 0;
		}
		at += fprintf(f, "%s%s", at ? " " : "\t    ", name);
	}
	fputc('\n', f);
}

void cmd_usage(FILE *f)
{
	static const char act[] = "[[ predicate ] action ]";

	fprintf(f,
		"Usage: dtproc [-64] [-CeFhHlqSvVwZ] [-b bufsz] [-c cmd] [-o output] [-p pid]\n"
		"\t[-s script] [-x opt[=val]]\n\n"
		"\t[-P provider %s]\n"
		"\t[-m [ provider: ] module %s]\n"
		"\t[-f [[ provider: ] module: ] func %s]\n"
		"\t[-n [[[ provider: ] module: ] func: ] name %s]\n"
		"\t[-i probe-id %s] [ args ... ]\n"
		"       dtproc stop | run | wait [-v] pid...\n"
		"       dtproc stack [--format text|json|folded] pid|core...\n"
		"       dtproc maps | threads | files pid...\n"
		"       dtproc tree [pid...]\n\n",
		act, act, act, act, act);
	fputs("\tpredicate -> '/' D-expression '/'\n"
	      "\t   action -> '{' D-statements '}'\n\n"
	      "\t-b  set trace buffer size\n"
	      "\t-c  run specified command and exit upon its completion (repeatable)\n"
	      "\t-C  run cpp(1) preprocessor on script files\n"
	      "\t-D  define symbol when invoking preprocessor\n"
	      "\t-e  exit after compiling request but prior to enabling probes\n"
	      "\t-f  enable or list probes matching the specified function name\n"
	      "\t-F  coalesce trace output by function\n"
	      "\t-h  print this text\n"
	      "\t-H  print included files when invoking preprocessor\n"
	      "\t-i  enable or list probes matching the specified probe id\n"
	      "\t-I  add include directory to preprocessor search path\n"
	      "\t-L  add library directory to library search path\n"
	      "\t-l  list probes matching specified criteria\n"
	      "\t-m  enable or list probes matching the specified module name\n"
	      "\t-n  enable or list probes matching the specified probe name\n"
	      "\t-o  set output file\n"
	      "\t-p  grab specified process-ID (repeatable)\n"
	      "\t-P  enable or list probes matching the specified provider name\n"
	      "\t-q  set quiet mode (only output explicitly traced data)\n"
	      "\t-s  enable or list probes according to the specified D script\n"
	      "\t-S  print D compiler intermediate code\n"
	      "\t-v  set verbose mode (tell what could not be armed, and why)\n"
	      "\t-V  report the version\n"
	      "\t-w  permit destructive actions\n"
	      "\t-W, --name exe  wait for a process of that name to begin, and grab it\n"
	      "\t-x  enable or modify compiler and tracing options\n"
	      "\t-Z  permit probe descriptions that match zero probes\n\n"
	      "\toptions of -x, see dtproc(1):\n",
		f);
	usage_options(f);
}

static int add_item(struct cmd_line *l, int letter, const char *arg)
{
	struct cmd_item *more = realloc(l->items, (l->n + 1) * sizeof *more);

	if (!more) {
		cmd_error("out of memory");
		return CMD_FATAL;
	}
	l->items = more;
	l->items[l->n++] = (struct cmd_item){letter, arg};
	return -1;
}

static int set_mode(struct cmd_line *l, enum cmd_mode mode)
{
	if (l->mode != CMD_TRACE && l->mode != mode) {
		cmd_error("only one of the [-elV] options can be specified at a time");
		return CMD_USAGE;
	}
	l->mode = mode;
	return -1;
}

/* DTrace's flags that are not here, each with the reason. */
static int refuse(int letter)
{
	static const struct {
		int letter;
		const char *why;
	} reasons[] = {
		{'3', "programs of D have 64 bits"},
		{'a', "anonymous tracing, before processes run, is a kernel's"},
		{'A', "anonymous tracing, before processes run, is a kernel's"},
		{'B', "buffers are not dumped"},
		{'X', "the preprocessor has one mode"},
		{'G', "programs with probes of sys/sdt.h need no object of ours"},
	};

	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].letter == letter) {
			cmd_error("there is no option -%c: %s", letter, reasons[i].why);
			return CMD_USAGE;
		}
	cmd_error("option -%c is not built yet", letter);
	return CMD_USAGE;
}

static int take_option(struct cmd_line *l, int letter, const char *arg);

/* -x, and DTrace's options that are flags of the command here. */
static int take_x(struct cmd_line *l, const char *arg)
{
	static const struct {
		const char *name;
		int letter;
	} flags[] = {{"cpp", 'C'}, {"cpphdrs", 'H'}, {"define=", 'D'}, {"incdir=", 'I'},
		{"libdir=", 'L'}, {"undef=", 'U'}};

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		size_t len = strlen(flags[i].name);
		int takes = flags[i].name[len - 1] == '=';

		if (takes ? !strncmp(arg, flags[i].name, len)
			  : !strcmp(arg, flags[i].name))
			return take_option(l, flags[i].letter, arg + len);
	}
	return add_item(l, 'x', arg);
}

/* The option that a flag sets. */
static const char *option_of(int letter)
{
	return letter == 'F'   ? "flowindent"
	       : letter == 'q' ? "quiet"
	       : letter == 'w' ? "destructive"
			       : "zdefs";
}

/* -64 is what there is. */
static int take_bits(const char *arg)
{
	if (strcmp(arg, "4") == 0)
		return -1;
	cmd_error("illegal option -- 6%s", arg);
	cmd_usage(stderr);
	return CMD_USAGE;
}

/* A status to end with, or -1. */
static int take_option(struct cmd_line *l, int letter, const char *arg)
{
	switch (letter) {
	case 'e':
		return set_mode(l, CMD_COMPILE);
	case 'h':
		l->mode = CMD_HELP;
		return -1;
	case 'l':
		return set_mode(l, CMD_LIST);
	case 'V':
		return set_mode(l, CMD_VERSION);
	case 'o':
		l->output = arg;
		return -1;
	case 'W':
		if (l->name) {
			cmd_error("only one process can be waited for by its name");
			return CMD_USAGE;
		}
		l->name = arg;
		return -1;
	case 'S':
		l->bytecode++;
		return -1;
	case 'C':
		l->cpp++;
		return -1;
	case 'H':
		return add_item(l, letter, "");
	case 'v':
		l->verbose++;
		return add_item(l, 'x', "verbose");
	case 'F':
	case 'q':
	case 'w':
	case 'Z':
		return add_item(l, 'x', option_of(letter));
	case 'b':
	case 'c':
	case 'f':
	case 'i':
	case 'm':
	case 'n':
	case 'p':
	case 'P':
	case 's':
	case 'D':
	case 'U':
	case 'I':
	case 'L':
		return add_item(l, letter, arg);
	case 'x':
		return take_x(l, arg);
	case '6':
		return take_bits(arg);
	case '?':
		cmd_usage(stderr);
		return CMD_USAGE;
	}
	return refuse(letter);
}

int cmd_parse(int argc, char **argv, struct cmd_line *l)
{
	*l = (struct cmd_line){.args = calloc((size_t)argc + 1, sizeof *l->args)};
	if (!l->args) {
		cmd_error("out of memory");
		return CMD_FATAL;
	}
	if (argc <= 1) {
		cmd_usage(stderr);
		return CMD_USAGE;
	}
	for (optind = 1; optind < argc; optind++) {
		int letter, end;

		while ((letter = getopt_long(argc, argv, letters, words, NULL)) != -1) {
			end = take_option(l, letter, optarg);
			if (end >= 0)
				return end;
		}
		if (optind < argc)
			l->args[l->n_args++] = argv[optind];
	}
	return -1;
}

void cmd_free(struct cmd_line *l)
{
	free(l->items);
	free(l->args);
}

/* Length of the description that a specifier begins with, its trailing blanks off. */
static size_t description_len(const char *arg)
{
	size_t len = strcspn(arg, "{/;");

	while (len && strchr(" \t\n", arg[len - 1]))
		len--;
	return len;
}

char *cmd_specifier(int letter, const char *arg)
{
	const char *colons = letter == 'P'   ? ":::"
			     : letter == 'm' ? "::"
			     : letter == 'f' ? ":"
					     : "";
	size_t len = description_len(arg);
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (arg[i] == ',')
			fputs(colons, f);
		fputc(arg[i], f);
	}
	fputs(colons, f);
	fputs(arg + len, f);
	if (fclose(f)) {
		free(out);
		return NULL;
	}
	return out;
}
