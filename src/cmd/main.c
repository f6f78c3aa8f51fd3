/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The dtproc command: reads its command line, holds the victims that it names, compiles,
 * arms, prints until it is time to end.  The order is DTrace's: options, victims,
 * programs; so that $target is known to the programs and evaltime to the victims.
 *
 * SIGNALS.  The first SIGINT, SIGTERM or SIGHUP ends tracing: END fires and aggregations
 * are printed.  The second ends the command at once; keepers see to the victims.  SIGPIPE
 * is caught and not ignored, since a created victim inherits what is ignored.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cmd.h"

static struct dtproc *session; /* for the signal handler */
static volatile sig_atomic_t interrupted, newline_due;

static void on_signal(int sig)
{
	int saved = errno;

	if (interrupted++)
		_exit(CMD_FATAL);
	newline_due = sig == SIGINT;
	dtproc_wake(session);
	errno = saved;
}

static void on_pipe(int sig)
{
}

static void catch (int sig, void (*fn)(int))
{
	struct sigaction sa = {.sa_handler = fn, .sa_flags = SA_RESTART};

	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

static int is_ignored(int sig)
{
	struct sigaction sa;

	return sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

static void catch_signals(void)
{
	catch (SIGINT, on_signal);
	catch (SIGTERM, on_signal);
	if (!is_ignored(SIGHUP))
		catch (SIGHUP, on_signal);
}

static int is_quiet(void)
{
	return dtproc_getopt(session, "quiet") != NULL;
}

static void on_notice(const struct dtproc_notice *n, void *arg)
{
	if (n->kind == DTPROC_NOTICE_ERROR || n->kind == DTPROC_NOTICE_LOST ||
		!is_quiet())
		cmd_error("%s", n->text);
}

static void on_warning(const char *text, void *arg)
{
	cmd_error("%s", text);
}

static void on_matched(const char *what, unsigned matched, void *arg)
{
	unsigned *scripts = arg;

	(*scripts)++;
	if (!is_quiet())
		cmd_error(
			"%s matched %u probe%s", what, matched, matched == 1 ? "" : "s");
}

static int fail(void)
{
	cmd_error("%s", dtproc_error_text());
	return -1;
}

static int set_option(const char *arg)
{
	char name[64];
	size_t len = strcspn(arg, "=");

	if (len >= sizeof name) {
		cmd_error("failed to set -x %s: no such option", arg);
		return -1;
	}
	memcpy(name, arg, len);
	name[len] = 0;
	if (dtproc_setopt(session, name, arg[len] ? arg + len + 1 : NULL) == 0)
		return 0;
	cmd_error("failed to set -x %s: %s", name, dtproc_error_text());
	return -1;
}

static int set_buffer_size(const char *arg)
{
	if (dtproc_setopt(session, "bufsize", arg) == 0)
		return 0;
	cmd_error("failed to set -b %s: %s", arg, dtproc_error_text());
	return -1;
}

/* Read-only with `flags` so: names it for $target, and finds mistakes without harm. */
static int grab(const char *arg, unsigned flags)
{
	struct dtproc_proc *p;
	char *end;
	long pid;

	errno = 0;
	pid = strtol(arg, &end, 10);
	if (errno || end == arg || *end || pid <= 0 || pid != (pid_t)pid) {
		cmd_error("invalid pid: %s", arg);
		return -1;
	}
	return dtproc_proc_grab(session, (pid_t)pid, flags, &p) ? fail() : 0;
}

static int create(const char *arg)
{
	struct dtproc_proc *p;

	return dtproc_proc_create_command(session, arg, &p) ? fail() : 0;
}

static int compile_text(const struct cmd_line *l, const struct cmd_item *i)
{
	char *text = cmd_specifier(i->letter, i->arg);
	int err;

	if (!text) {
		cmd_error("out of memory");
		return -1;
	}
	err = dtproc_script(session, "-n", text, l->n_args, l->args);
	free(text);
	return err ? fail() : 0;
}

static int compile_file(const struct cmd_line *l, const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char *text = f ? cmd_read_all(f) : NULL, *raw = text;
	int err;

	if (!text)
		cmd_error("failed to open %s: %s", path, strerror(errno));
	if (f && f != stdin)
		fclose(f);
	if (text && l->cpp) {
		text = cmd_preprocess(l, path, raw);
		free(raw);
	}
	if (!text)
		return -1;
	err = dtproc_script(session, path, text, l->n_args, l->args);
	free(text);
	return err ? fail() : 0;
}

/* Carries out the items whose letter is in `letters`. */
static int each_item(const struct cmd_line *l, const char *letters)
{
	int err = 0;

	for (size_t k = 0; k < l->n && !err; k++) {
		const struct cmd_item *i = &l->items[k];

		if (!strchr(letters, i->letter))
			continue;
		switch (i->letter) {
		case 'b':
			err = set_buffer_size(i->arg);
			break;
		case 'x':
			err = set_option(i->arg);
			break;
		case 'c':
			err = create(i->arg);
			break;
		case 'p':
			err = grab(i->arg, DTPROC_GRAB_RDONLY);
			break;
		case 's':
			err = compile_file(l, i->arg);
			break;
		default:
			err = compile_text(l, i);
		}
	}
	return err;
}

static int see_probe(const struct dtproc_probe_info *p, void *arg)
{
	(void)p;
	(void)arg;
	return 0;
}

/*
 * Takes hold of the victims of -p at last.  All that can be read of them, was: the less
 * is left to do, the shorter they are paused.
 */
static int grab_all(const struct cmd_line *l)
{
	int seen = 0;

	for (size_t k = 0; k < l->n; k++) {
		if (l->items[k].letter != 'p')
			continue;
		if (!seen++ && dtproc_each_probe(session, see_probe, NULL) < 0)
			return fail();
		if (grab(l->items[k].arg, 0))
			return -1;
	}
	return 0;
}

static void print_stability(const char *what, const struct dtproc_stability *s, FILE *out)
{
	fprintf(out, "\n\t%s Attributes\n", what);
	fprintf(out, "\t\tIdentifier Names: %s\n", s->names);
	fprintf(out, "\t\tData Semantics:   %s\n", s->data);
	fprintf(out, "\t\tDependency Class: %s\n", s->dependency);
}

/* -lv */
static void print_details(const struct dtproc_probe_info *p, FILE *out)
{
	print_stability("Probe Description", &p->of_name, out);
	print_stability("Argument", &p->of_args, out);
	fputs("\n\tArgument Types\n", out);
	for (unsigned i = 0; i < p->n_args; i++)
		fprintf(out, "\t\targs[%u]: (unknown)\n", i);
	if (!p->n_args)
		fputs("\t\tNone\n", out);
	fputc('\n', out);
}

static int print_probe(const struct dtproc_probe_info *p, void *arg)
{
	FILE *out = arg;

	fprintf(out, "%5u %10s %17s %33s %s\n", p->id, p->provider, p->module,
		p->function, p->name);
	if (dtproc_getopt(session, "verbose"))
		print_details(p, out);
	return 0;
}

static int list(FILE *out)
{
	out = cmd_stream(out);
	fprintf(out, "%5s %10s %17s %33s %s\n", "ID", "PROVIDER", "MODULE", "FUNCTION",
		"NAME");
	return dtproc_each_probe(session, print_probe, out) < 0 ? fail() : 0;
}

/* Prints a newline behind the ^C that the terminal showed. */
static void pay_newline(FILE *out)
{
	if (!newline_due)
		return;
	newline_due = 0;
	fputc('\n', out);
}

static int trace(FILE *out)
{
	int status = DTPROC_WORK_OK;

	catch_signals();
	if (dtproc_go(session, NULL, NULL))
		return fail();
	cmd_running();
	if (dtproc_getopt(session, "destructive") && !is_quiet())
		cmd_error("allowing destructive actions");
	while (status == DTPROC_WORK_OK && !interrupted && !ferror(out)) {
		status = dtproc_work(session, out);
		fflush(out);
	}
	if (status < 0)
		fail();
	pay_newline(out);
	if (dtproc_stop(session, out) < 0)
		return fail();
	return status < 0 ? -1 : 0;
}

static int match_and_trace(const struct cmd_line *l, FILE *out)
{
	unsigned scripts = 0;

	if (dtproc_match(session, on_matched, &scripts))
		return fail();
	if (l->mode == CMD_COMPILE)
		return 0;
	if (!scripts && !dtproc_getopt(session, "zdefs")) {
		cmd_error("no probes specified");
		return -1;
	}
	return trace(out);
}

/* Holds a process that has just begun: 1; 0: it has ended already; -1. */
static int hold_begun(const char *name, pid_t pid, uint64_t since)
{
	struct dtproc_proc *p;
	int err;

	cmd_stopped();
	err = dtproc_proc_grab(session, pid, 0, &p);
	if (!err && !is_quiet())
		cmd_error("pid %d is %s, held %.1f ms or less after it began", (int)pid,
			name, cmd_late_ms(since));
	if (!err)
		return 1;
	if (err != DTPROC_ENOPROC && err != DTPROC_EZOMBIE && err != DTPROC_EEXITED &&
		err != DTPROC_EKILLED)
		return fail();
	cmd_running();
	cmd_error("pid %d has ended already", (int)pid);
	return 0;
}

/*
 * Waits for a process of that name and holds it at once; its objects may be to come, so
 * descriptions may match nothing yet.
 */
static int hold_named(const char *name)
{
	uint64_t since = 0;
	int got = dtproc_setopt(session, "zdefs", NULL);

	while (!got) {
		pid_t pid = cmd_await(name, &since);

		got = pid < 0 ? -1 : hold_begun(name, pid, since);
	}
	return got < 0 ? -1 : 0;
}

static int run(const struct cmd_line *l, FILE *out)
{
	if (each_item(l, "xb") || (l->name && hold_named(l->name)))
		return -1;
	cmd_stopped();
	if (each_item(l, "cp") || cmd_libraries(session, l) || each_item(l, "nsPmfi"))
		return -1;
	if (l->bytecode && dtproc_print_programs(session, cmd_stream(out)))
		return fail();
	if (l->mode == CMD_LIST)
		return list(out);
	return grab_all(l) ? -1 : match_and_trace(l, out);
}

static FILE *open_output(const char *path)
{
	FILE *f = path ? fopen(path, "ae") : stdout;

	if (!f)
		cmd_error("failed to open output file '%s': %s", path, strerror(errno));
	return f;
}

static int with_session(const struct cmd_line *l)
{
	FILE *out;
	int err, status;

	catch (SIGPIPE, on_pipe);
	if (dtproc_open(NULL, &session)) {
		fail();
		return CMD_FATAL;
	}
	dtproc_on_notice(session, on_notice, NULL);
	dtproc_on_warning(session, on_warning, NULL);
	out = open_output(l->output);
	err = out ? run(l, out) : -1;
	status = err ? CMD_FATAL : dtproc_exit_status(session);
	/* A signal from now on finds no session to wake. */
	interrupted++;
	dtproc_close(session);
	cmd_running();
	if (out && fflush(out) && errno != EPIPE && !err) {
		cmd_error("failed to write to %s: %s", l->output ? l->output : "<stdout>",
			strerror(errno));
		status = CMD_FATAL;
	}
	return status;
}

/*
 * Nothing that is opened later shall take the place of a standard file that is closed.
 * These fail when they are used, as a closed one would, and are closed for victims.
 */
static void fill_gaps(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
			open("/dev/null", (fd ? O_RDONLY : O_WRONLY) | O_CLOEXEC) < 0)
			return;
}

int main(int argc, char **argv)
{
	struct cmd_line line;
	int status;

	fill_gaps();
	status = cmd_tool(argc, argv);
	if (status >= 0)
		return status;
	status = cmd_parse(argc, argv, &line);

	if (status < 0 && line.mode == CMD_VERSION) {
		printf("dtproc: %s\n", dtproc_version());
		status = CMD_OK;
	} else if (status < 0 && line.mode == CMD_HELP) {
		cmd_usage(stdout);
		status = CMD_OK;
	} else if (status < 0) {
		status = with_session(&line);
	}
	cmd_free(&line);
	return status;
}
