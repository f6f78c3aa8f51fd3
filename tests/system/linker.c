/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a victim loads and unloads (section E).  Victims are tests/victims/loads: threads
 * that load libraries at ever other places, call a function of theirs, in constructor and
 * destructor too, and unload them.
 */
#include "lib.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLAUSE "pid$target:libplug*:plug_target:entry { @calls[probefunc] = count(); }"

/* Copies of the library, for the line of a victim. */
static char house[] = "/tmp/dtproc-linker-XXXXXX";

static void make_files(int n)
{
	char line[700];

	NEED(mkdtemp(house), "no directory");
	snprintf(line, sizeof line, "for i in $(seq %d); do cp %s %s/$i.so; done", n,
		t_built("tests/victims/libplug.so"), house);
	NEED(system(line) == 0, "%s", line);
}

static void remove_files(void)
{
	char line[100];

	snprintf(line, sizeof line, "rm -r %s", house);
	CHECK(system(line) == 0, "%s", line);
}

static const char *line_of(const char *what, int n)
{
	static char line[100];

	snprintf(line, sizeof line, "loads %s %s %d", what, house, n);
	return line;
}

/* Nothing matches before it is loaded: -Z. */
static bool trace(struct cmd *c, pid_t pid, const char *clause)
{
	char number[16];
	const char *argv[] = {"-q", "-Z", "-p", number, "-n",
		"BEGIN { printf(\"armed\\n\"); }", "-n", clause, NULL};

	snprintf(number, sizeof number, "%d", pid);
	cmd_start(c, argv);
	return cmd_wait_text(c, "armed", 20000);
}

static void check_count(struct cmd *c, struct vic *v)
{
	long long n = text_count(cmd_text(c->out), "plug_target");

	CHECK(n == (long long)v->page->calls && !v->page->bad,
		"counted %lld of %llu: %s %s", n, (unsigned long long)v->page->calls,
		v->page->text, cmd_text(c->err));
}

/* E1, E2: constructors and destructors too, and all that other threads do meanwhile. */
static void counted(const char *what, int files)
{
	struct vic v;
	struct cmd c;

	make_files(files);
	vic_start(&v, line_of(what, files));
	NEED(trace(&c, v.pid, CLAUSE), "no trace: %s", cmd_text(c.err));
	vic_go(&v);
	CHECK(WITHIN(120000, !proc_alive(v.pid)), "it does not end");
	CHECK(cmd_wait(&c, 10000) == 0, "%s", cmd_text(c.err));
	check_count(&c, &v);
	vic_wait(&v, 1000);
	cmd_forget(&c);
	remove_files();
	check_no_keeper("behind the last library");
}

static void one(void)
{
	counted(t_soak() ? "1 5000" : "1 200", 1);
}

static void threads(void)
{
	counted(t_soak() ? "8 20000" : "8 60", 8);
}

/* E1: each in a namespace of its own. */
static void apart(void)
{
	counted("apart", 2);
}

/* Its build-id becomes another: no debug file of this machine is for it. */
static void change_id(char *bytes, size_t n)
{
	static const char note[] = "\4\0\0\0\24\0\0\0\3\0\0\0GNU";
	char *at = memmem(bytes, n, note, sizeof note);

	if (at && at + sizeof note < bytes + n)
		at[sizeof note]++;
}

/* Copies a file, with one string in it for another that is not longer. */
static void change(const char *from, const char *to, const char *was, const char *is)
{
	static char bytes[4 << 20];
	FILE *f = fopen(from, "rb");
	size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;

	if (f)
		fclose(f);
	for (char *at = bytes;
		(at = memmem(at, n - (size_t)(at - bytes), was, strlen(was) + 1)); at++)
		memset(strcpy(at, is) + strlen(is), 0, strlen(was) - strlen(is));
	change_id(bytes, n);
	NEED(n && (f = fopen(to, "wb")), "%s to %s", from, to);
	CHECK(fwrite(bytes, 1, n, f) == n && !fclose(f) && !chmod(to, 0755), "%s", to);
}

/* Exchanges two names of a file where it stands. */
static void swap_names(const char *path, const char *a, const char *b)
{
	static char bytes[4 << 20];
	FILE *f = fopen(path, "r+b");
	size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0, len = strlen(a) + 1;

	for (size_t i = 0; i + len <= n; i++)
		if (!memcmp(bytes + i, a, len) || !memcmp(bytes + i, b, len))
			memcpy(bytes + i, memcmp(bytes + i, a, len) ? a : b, len);
	NEED(n && !fseek(f, 0, SEEK_SET) && fwrite(bytes, 1, n, f) == n && !fclose(f),
		"%s", path);
}

/* E2: a file that was changed in its place is not taken for what it was. */
static void changed(void)
{
	char file[100];
	struct vic v;
	struct cmd c;

	make_files(1);
	snprintf(file, sizeof file, "%s/1.so", house);
	vic_start(&v, line_of("1 0", 1));
	NEED(trace(&c, v.pid,
		     "pid$target:libplug*:plug_ping:entry { @[probefunc] = count(); }"),
		"no trace: %s", cmd_text(c.err));
	vic_go(&v);
	NEED(WITHIN(20000, v.page->slot[0] > 50), "it stands still");
	swap_names(file, "plug_ping", "plug_pong");
	uint64_t then = v.page->slot[0];
	NEED(WITHIN(20000, v.page->slot[0] > then + 200), "it stands still");
	v.page->quit = 1;
	CHECK(cmd_wait(&c, 10000) == 0, "%s", cmd_text(c.err));
	long long n = text_count(cmd_text(c.out), "plug_ping");
	CHECK(n >= 50 && n < (long long)then + 100,
		"counted %lld, %llu before the change", n, (unsigned long long)then);
	vic_end(&v);
	cmd_forget(&c);
	remove_files();
}

/* E1: a linker that nobody can ask for its names is found at the entry point. */
static void nameless(void)
{
	static const char linker[] = "/lib64/ld-linux-x86-64.so.2";
	char ld[64], program[64], line[300];
	const char *argv[] = {"-q", "-c", line, "-n",
		"pid$target:libplug:plug_target:entry { @[probefunc] = count(); }", NULL};
	struct cmd c;

	if (access(linker, X_OK)) {
		t_note("no %s", linker);
		return;
	}
	make_files(1);
	snprintf(ld, sizeof ld, "%s/l", house); /* as long as what it replaces */
	snprintf(program, sizeof program, "%s/loads", house);
	change(linker, ld, "_dl_debug_state", "_xl_debug_state");
	change(ld, ld, "_r_debug", "_x_debug");
	change(t_built("tests/victims/loads"), program, linker, ld);
	snprintf(line, sizeof line, "sh -c 'exec %s 1 5 %s 1'", program, house);
	cmd_start(&c, argv);
	CHECK(cmd_wait(&c, 30000) == 0, "%s", cmd_text(c.err));
	CHECK(text_count(cmd_text(c.out), "plug_target") == 20, "%s%s", cmd_text(c.out),
		cmd_text(c.err));
	CHECK(strstr(cmd_text(c.err), "linker has no symbols"), "%s", cmd_text(c.err));
	cmd_forget(&c);
	remove_files();
}

/* Created: from the first object on. */
static void created(void)
{
	struct vic v;
	struct cmd c;
	char line[600];
	const char *argv[] = {"-q", "-c", line, "-n",
		"pid$target:libplug:plug_target:entry { @[probefunc] = count(); }", NULL};

	make_files(2);
	vic_page(&v);
	v.page->go = 1;
	setenv("VICTIM_PAGE", v.file, 1);
	snprintf(line, sizeof line, "%s%s", t_built("tests/victims/loads"),
		strchr(line_of("2 50", 2), ' '));
	cmd_start(&c, argv);
	CHECK(cmd_wait(&c, 60000) == 0, "%s", cmd_text(c.err));
	check_count(&c, &v);
	cmd_forget(&c);
	unlink(v.file);
	remove_files();
}

/* The client is killed at any moment; the victim's sums are right, and it runs on. */
static void killed(void)
{
	struct vic v;
	struct cmd c;

	make_files(8);
	vic_start(&v, line_of("8 0", 8));
	vic_go(&v);
	for (int i = 0; i < t_times(6, 400); i++) {
		uint64_t rounds = vic_progress(&v);
		NEED(trace(&c, v.pid, CLAUSE), "no trace: %s", cmd_text(c.err));
		t_pause(50000);
		kill(c.pid, SIGKILL);
		cmd_wait(&c, 5000);
		cmd_forget(&c);
		vic_check_free(&v, "its client was killed");
		NEED(WITHIN(5000, vic_progress(&v) > rounds + 8), "it stands still");
	}
	vic_end(&v);
	remove_files();
	check_no_keeper("behind a killed client");
}

/* E5: a client that does not react costs one deadline, and is told. */
static void late(void)
{
	struct vic v;
	struct cmd c;

	make_files(1);
	vic_start(&v, line_of("1 0", 1));
	NEED(trace(&c, v.pid, CLAUSE), "no trace: %s", cmd_text(c.err));
	kill(c.pid, SIGSTOP);
	NEED(WITHIN(2000, proc_state(c.pid) == 'T'), "dtproc is not stopped");
	uint64_t begin = page_clock();
	vic_go(&v);
	CHECK(WITHIN(5000, v.page->slot[0] >= 20), "round %llu after 5 s",
		(unsigned long long)v.page->slot[0]);
	CHECK(page_clock() - begin >= 900000000, "it has not waited");
	kill(c.pid, SIGCONT);
	CHECK(WITHIN(5000,
		      strstr(cmd_text(c.err), "no reaction to its objects within 1000")),
		"it is not told: %s", cmd_text(c.err));
	uint64_t then = v.page->slot[0];
	CHECK(WITHIN(5000, v.page->slot[0] > then + 20), "it stands still");
	v.page->quit = 1;
	CHECK(cmd_wait(&c, 5000) == 0, "%s", cmd_text(c.err));
	long long n = text_count(cmd_text(c.out), "plug_target");
	CHECK(n >= 60 && n <= (long long)v.page->calls, "counted %lld of %llu", n,
		(unsigned long long)v.page->calls);
	vic_end(&v);
	cmd_forget(&c);
	remove_files();
}

/* E3: what cannot be armed is a message; everything else goes on. */
static void refused(void)
{
	struct vic v;
	struct cmd c;

	make_files(1);
	vic_start(&v, line_of("1 5", 1));
	NEED(trace(&c, v.pid,
		     CLAUSE "pid$target:libplug*:plug_trap:entry { @x = count(); }"),
		"no trace: %s", cmd_text(c.err));
	vic_go(&v);
	CHECK(WITHIN(20000, !proc_alive(v.pid)), "it does not end");
	CHECK(cmd_wait(&c, 10000) == 0, "%s", cmd_text(c.err));
	CHECK(strstr(cmd_text(c.err), "1 probe could not be armed (the program has a "
				      "breakpoint of its own there)"),
		"%s", cmd_text(c.err));
	check_count(&c, &v);
	vic_wait(&v, 1000);
	cmd_forget(&c);
	remove_files();
}

/* E4: a list that runs in a circle is told, and hurts nobody. */
static void lies(void)
{
	struct vic v;
	struct cmd c;

	make_files(1);
	vic_start(&v, line_of("lie", 1));
	NEED(trace(&c, v.pid, CLAUSE), "no trace: %s", cmd_text(c.err));
	vic_go(&v);
	vic_wait(&v, 60000);
	CHECK(cmd_wait(&c, 10000) == 0, "%s", cmd_text(c.err));
	CHECK(strstr(cmd_text(c.err), "list does not hold together"), "%s",
		cmd_text(c.err));
	cmd_forget(&c);
	remove_files();
}

/* A real program: python3 imports what there is. */
static void python(void)
{
	static const char script[] =
		"import sys, pkgutil, os\n"
		"n = 0\n"
		"for m in ('_bz2 _lzma _hashlib _json _ssl _sqlite3 _ctypes _curses "
		"_decimal mmap readline _multiprocessing _asyncio _queue _uuid "
		"_contextvars termios resource').split():\n"
		"    try:\n"
		"        __import__(m)\n"
		"    except ImportError:\n"
		"        pass\n"
		"so = set(l.split()[-1] for l in open('/proc/self/maps') "
		"if 'lib-dynload' in l)\n"
		"print('loaded', len(so))\n";
	struct cmd c;
	char file[] = "/tmp/dtproc-python-XXXXXX", line[100];
	const char *argv[] = {"-c", line, "-Z", "-q", "-n",
		"pid$target::PyInit_*:entry { @inits = count(); }", "-n",
		"END { printa(\"inits %@d\\n\", @inits); }", NULL};
	int fd = mkstemp(file);

	NEED(write(fd, script, sizeof script - 1) > 0, "no script");
	snprintf(line, sizeof line, "python3 %s", file);
	cmd_start(&c, argv);
	CHECK(cmd_wait(&c, 60000) == 0, "%s", cmd_text(c.err));
	long long loaded = text_count(cmd_text(c.out), "loaded");
	long long inits = text_count(cmd_text(c.out), "inits");
	CHECK(loaded >= 0 && inits >= loaded, "%lld loaded, %lld inits: %s", loaded,
		inits, cmd_text(c.err));
	t_note("python3 loaded %lld, %lld inits", loaded, inits);
	cmd_forget(&c);
	close(fd);
	unlink(file);
}

static const struct t_case cases[] = {
	{"one", one, 60, 600},
	{"threads", threads, 60, 900},
	{"apart", apart, 60, 60},
	{"changed", changed, 0, 0},
	{"nameless", nameless, 60, 60},
	{"created", created, 60, 60},
	{"killed", killed, 60, 900},
	{"late", late, 0, 0},
	{"refused", refused, 0, 0},
	{"lies", lies, 0, 0},
	{"python", python, 60, 60},
};

T_MAIN(cases)
