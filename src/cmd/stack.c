/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dtproc stack PID|CORE...: what pstack is elsewhere.  All threads of one instant: the
 * process stands while registers and stacks are copied, and runs again before anything is
 * looked up.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cmd.h"

#define FRAMES_MAX 4096

enum format { TEXT, JSON, FOLDED };

/* One process, or core file. */
struct subject {
	struct dtproc_snapshot *snap;
	struct cmd_task *tasks; /* as they were just before; NULL: a core file */
	size_t n_tasks;
	char command[200];
};

struct frame {
	const struct dtproc_frame *at;
	char *demangled; /* NULL: as it is */
	struct dtproc_symbol name;
	uint64_t offset; /* from the symbol, or the object */
};

/* ------------------------------------------------------------------- frames */

/* Its names; behind it free(f->demangled). */
static void name_frame(struct subject *s, const struct dtproc_frame *at, struct frame *f)
{
	dtproc_addr in = at->flags & DTPROC_FRAME_EXACT ? at->pc : at->pc - 1;

	*f = (struct frame){.at = at};
	if (!dtproc_snapshot_symbol(s->snap, in, &f->name))
		f->name.object = "";
	if (f->name.symbol)
		f->demangled = dtproc_demangle(f->name.symbol, 0);
	f->offset = at->pc - f->name.start;
}

static const char *symbol_of(const struct frame *f)
{
	return f->demangled ? f->demangled : f->name.symbol;
}

static const struct cmd_task *task_of(const struct subject *s, pid_t tid)
{
	for (size_t i = 0; i < s->n_tasks; i++)
		if (s->tasks[i].tid == tid)
			return &s->tasks[i];
	return NULL;
}

/* ------------------------------------------------------------------ formats */

static void text_frame(const struct frame *f)
{
	printf("  %016" PRIx64 " ", f->at->pc);
	if (!f->name.object[0])
		printf("0x%" PRIx64, f->at->pc);
	else if (symbol_of(f))
		printf("%s`%s+0x%" PRIx64, f->name.object, symbol_of(f), f->offset);
	else
		printf("%s`0x%" PRIx64, f->name.object, f->offset);
	printf("%s%s\n", f->at->flags & DTPROC_FRAME_SIGNAL ? " <signal>" : "",
		f->at->flags & DTPROC_FRAME_GUESS ? " (guess)" : "");
	if (f->at->flags & DTPROC_FRAME_CUT)
		printf("  ...\n");
}

static void text_head(const struct subject *s, size_t i)
{
	pid_t tid = dtproc_snapshot_tid(s->snap, i);
	const struct cmd_task *t = task_of(s, tid);

	printf("thread %d", (int)tid);
	if (t)
		printf(" %s, %s", t->name, cmd_state_word(t->state));
	putchar('\n');
}

static void json_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c == 127)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void json_frame(const struct frame *f)
{
	printf("{\"pc\":\"0x%" PRIx64 "\"", f->at->pc);
	if (f->name.object[0]) {
		printf(",\"object\":");
		json_text(f->name.object);
		printf(",\"offset\":%" PRIu64, f->offset);
	}
	if (symbol_of(f)) {
		printf(",\"symbol\":");
		json_text(symbol_of(f));
	}
	printf("%s%s%s}", f->at->flags & DTPROC_FRAME_SIGNAL ? ",\"signal\":true" : "",
		f->at->flags & DTPROC_FRAME_GUESS ? ",\"guess\":true" : "",
		f->at->flags & DTPROC_FRAME_CUT ? ",\"cut\":true" : "");
}

static void json_head(const struct subject *s, size_t i)
{
	pid_t tid = dtproc_snapshot_tid(s->snap, i);
	const struct cmd_task *t = task_of(s, tid);

	printf("%s{\"tid\":%d", i ? "," : "", (int)tid);
	if (t) {
		printf(",\"name\":");
		json_text(t->name);
		printf(",\"state\":\"%s\"", cmd_state_word(t->state));
	}
	printf(",\"frames\":[");
}

/* A name must not look like the end of one. */
static void folded_text(const char *text)
{
	for (; *text; text++)
		putchar(*text == ';' ? ':' : *text == '\n' ? ' ' : *text);
}

static void folded_frame(const struct frame *f)
{
	putchar(';');
	if (f->name.object[0]) {
		folded_text(f->name.object);
		putchar('`');
	}
	if (symbol_of(f))
		folded_text(symbol_of(f));
	else
		printf("0x%" PRIx64, f->offset);
}

/* ----------------------------------------------------------------- a thread */

static void say_frames(struct subject *s, enum format format,
	const struct dtproc_frame *frames, size_t n)
{
	struct frame f;

	for (size_t k = 0; k < n; k++) {
		name_frame(s, &frames[format == FOLDED ? n - 1 - k : k], &f);
		if (format == TEXT)
			text_frame(&f);
		else if (format == FOLDED)
			folded_frame(&f);
		else if (k)
			putchar(',');
		if (format == JSON)
			json_frame(&f);
		free(f.demangled);
	}
}

static int say_thread(struct subject *s, enum format format, size_t i)
{
	static struct dtproc_frame frames[FRAMES_MAX];
	long n = dtproc_snapshot_stack(s->snap, i, frames, FRAMES_MAX);

	if (format == TEXT)
		text_head(s, i);
	else if (format == JSON)
		json_head(s, i);
	else
		folded_text(dtproc_snapshot_name(s->snap));
	if (n <= 0 && format == TEXT)
		printf("  %s\n", n ? dtproc_error_text() : "it could not be stopped");
	say_frames(s, format, frames, n < 0 ? 0 : (size_t)n);
	if (format == JSON)
		printf("]}");
	else if (format == FOLDED)
		printf(" 1\n");
	return n < 0 ? -1 : 0;
}

static int say(struct subject *s, enum format format)
{
	size_t n = dtproc_snapshot_threads(s->snap);
	int bad = 0;

	if (format == TEXT)
		printf("%d:\t%s\n", (int)dtproc_snapshot_pid(s->snap), s->command);
	if (format == JSON) {
		printf("{\"pid\":%d,\"command\":", (int)dtproc_snapshot_pid(s->snap));
		json_text(s->command);
		printf(",\"threads\":[");
	}
	for (size_t i = 0; i < n; i++)
		bad |= say_thread(s, format, i);
	if (format == JSON)
		printf("]}\n");
	fflush(stdout);
	return bad;
}

/* ---------------------------------------------------------------- a process */

static int take_process(struct dtproc *dt, pid_t pid, struct subject *s)
{
	struct dtproc_proc *p;
	int err;

	s->tasks = cmd_tasks(pid, &s->n_tasks);
	cmd_command(pid, s->command, sizeof s->command);
	cmd_stopped();
	err = dtproc_proc_grab(dt, pid, DTPROC_GRAB_UNMONITORED, &p);
	if (!err) {
		err = dtproc_proc_snapshot(p, &s->snap);
		dtproc_proc_release(p, DTPROC_RELEASE_RUN);
	}
	cmd_running();
	return err;
}

static int take_core(const char *path, struct subject *s)
{
	int err = dtproc_core_snapshot(path, &s->snap);

	if (!err)
		snprintf(s->command, sizeof s->command, "%s (core file %s)",
			dtproc_snapshot_name(s->snap), path);
	return err;
}

static int do_one(struct dtproc *dt, const char *arg, enum format format)
{
	struct subject s = {0};
	pid_t pid;
	int err =
		cmd_parse_pid(arg, &pid) ? take_core(arg, &s) : take_process(dt, pid, &s);

	if (err)
		cmd_failed("show the stacks of", arg, dtproc_error_text());
	else
		err = say(&s, format);
	dtproc_snapshot_free(s.snap);
	free(s.tasks);
	return err;
}

/* ----------------------------------------------------------------- options */

static int usage(void)
{
	fprintf(stderr, "Usage: dtproc stack [--format text|json|folded] pid|core...\n");
	return CMD_USAGE;
}

static int parse_format(const char *word, enum format *out)
{
	static const char *const words[] = {"text", "json", "folded"};

	for (unsigned i = 0; word && i < sizeof words / sizeof words[0]; i++)
		if (strcmp(word, words[i]) == 0) {
			*out = (enum format)i;
			return 0;
		}
	return -1;
}

/* Takes the options off the arguments; -1: they are wrong. */
static int parse_options(char ***args, enum format *format)
{
	for (; **args && ***args == '-'; ++*args) {
		const char *arg = **args;

		if (strcmp(arg, "--") == 0) {
			++*args;
			return 0;
		}
		if (strncmp(arg, "--format=", 9) == 0)
			arg += 9;
		else if (strcmp(arg, "--format") == 0)
			arg = *++*args;
		else
			return -1;
		if (parse_format(arg, format))
			return -1;
	}
	return 0;
}

int cmd_stack(char **args)
{
	enum format format = TEXT;
	struct dtproc *dt;
	int bad = 0;

	if (parse_options(&args, &format) || !*args)
		return usage();
	if (dtproc_open(NULL, &dt)) {
		cmd_error("%s", dtproc_error_text());
		return CMD_FATAL;
	}
	for (; *args; args++)
		bad |= do_one(dt, *args, format) != 0;
	dtproc_close(dt);
	return bad ? CMD_FATAL : CMD_OK;
}
