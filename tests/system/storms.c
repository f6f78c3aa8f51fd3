/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Storms: loads and unloads, children, execs, and all of them at once, each by eight
 * threads, with probes in what comes and goes (sections E and F).  Each twice: to its end
 * with a count that is the victim's own, and with clients that are killed at any moment.
 */
#include "lib.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLAUSES                                                                          \
	"pid$target:a.out:victim_target:entry,"                                          \
	"pid$target:libplug*:plug_target:entry { @calls[\"calls\"] = count(); }"         \
	"pid$target:a.out:victim_other:entry { self->n++; }"

static char house[] = "/tmp/dtproc-storms-XXXXXX";

static void make_files(void)
{
	char line[700];

	NEED(mkdtemp(house), "no directory");
	snprintf(line, sizeof line, "for i in $(seq 8); do cp %s %s/$i.so; done",
		t_built("tests/victims/libplug.so"), house);
	NEED(system(line) == 0, "%s", line);
}

static void remove_files(void)
{
	char line[100];

	snprintf(line, sizeof line, "rm -r %s", house);
	CHECK(system(line) == 0, "%s", line);
}

/* The victim of a storm that goes on until it is told to quit. */
static const char *line_of(const char *storm)
{
	static char line[100];

	if (!strcmp(storm, "loads"))
		snprintf(line, sizeof line, "loads 8 0 %s 8", house);
	else if (!strcmp(storm, "forks"))
		snprintf(line, sizeof line, "forks 8 1000000000");
	else if (!strcmp(storm, "execs"))
		snprintf(line, sizeof line, "execs 0");
	else
		snprintf(line, sizeof line, "storm 8 3 %s 8", house);
	return line;
}

static bool trace(struct cmd *c, pid_t pid)
{
	char number[16];
	const char *argv[] = {"-q", "-Z", "-p", number, "-n",
		"BEGIN { printf(\"armed\\n\"); }", "-n", CLAUSES, NULL};

	snprintf(number, sizeof number, "%d", pid);
	cmd_start(c, argv);
	return cmd_wait_text(c, "armed", 20000);
}

/* How far it is, whatever the storm. */
static uint64_t progress(const struct vic *v)
{
	return v->page->calls + v->page->rounds + vic_progress(v);
}

static void counted(const char *storm)
{
	struct vic v;
	struct cmd c;

	make_files();
	vic_start(&v, line_of(storm));
	NEED(trace(&c, v.pid), "no trace: %s", cmd_text(c.err));
	vic_go(&v);
	page_nap(t_times(2, 600) * 1000000000L);
	v.page->quit = 1;
	CHECK(WITHIN(20000, !proc_alive(v.pid)), "it does not end");
	CHECK(cmd_wait(&c, 10000) == 0, "%s", cmd_text(c.err));
	CHECK(v.page->calls > 0 && !v.page->bad, "%s", v.page->text);
	CHECK(text_count(cmd_text(c.out), "calls") == (long long)v.page->calls,
		"counted %lld of %llu: %s", text_count(cmd_text(c.out), "calls"),
		(unsigned long long)v.page->calls, cmd_text(c.err));
	t_note("%llu calls, image %llu, %llu children", (unsigned long long)v.page->calls,
		(unsigned long long)v.page->rounds, (unsigned long long)v.page->children);
	vic_wait(&v, 1000);
	cmd_forget(&c);
	remove_files();
	check_no_keeper("behind the storm");
}

static void killed(const char *storm)
{
	struct vic v;
	struct cmd c;
	uint64_t end;
	int n = 0;

	make_files();
	vic_start(&v, line_of(storm));
	vic_go(&v);
	for (end = page_clock() + (uint64_t)t_times(2, 600) * 1000000000;
		page_clock() < end && !v.page->bad && t_failures() < 3; n++) {
		uint64_t before = progress(&v);

		NEED(trace(&c, v.pid), "no trace: %s", cmd_text(c.err));
		t_pause(50000);
		kill(c.pid, SIGKILL);
		cmd_wait(&c, 5000);
		cmd_forget(&c);
		vic_check_free(&v, storm);
		CHECK(WITHIN(5000, progress(&v) > before), "it stands still");
	}
	t_note("%d clients were killed", n);
	vic_end(&v);
	remove_files();
	check_no_keeper("behind the last client");
}

#define STORM(name)                                                                      \
	static void name##_counted(void)                                                 \
	{                                                                                \
		counted(#name);                                                          \
	}                                                                                \
	static void name##_killed(void)                                                  \
	{                                                                                \
		killed(#name);                                                           \
	}
STORM(loads)
STORM(forks)
STORM(execs)
STORM(all)

static const struct t_case cases[] = {
	{"loads", loads_counted, 60, 1200},
	{"loads-killed", loads_killed, 60, 1200},
	{"forks", forks_counted, 60, 1200},
	{"forks-killed", forks_killed, 60, 1200},
	{"execs", execs_counted, 60, 1200},
	{"execs-killed", execs_killed, 60, 1200},
	{"all", all_counted, 60, 1200},
	{"all-killed", all_killed, 60, 1200},
};

T_MAIN(cases)
