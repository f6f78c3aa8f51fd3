/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction zoo: what every kind of instruction does under a breakpoint is what it
 * does without (rules D2, D5); and hostile victims that are not in the table of
 * victims.c.
 */
#include "lib.h"

#include <string.h>

#define ONE "pid$target:a.out:victim_target:entry { @calls[probefunc] = count(); }"

/* Clients come, trace, and end by SIGINT or SIGKILL. */
static void comers(const char *line)
{
	struct vic v;

	vic_start(&v, line);
	vic_go(&v);
	for (int i = 0; i < t_times(4, 60) && !v.page->bad; i++) {
		struct cmd c;

		NEED(cmd_trace(&c, v.pid, ONE), "no trace of %s", line);
		t_pause(20000);
		kill(c.pid, i % 2 ? SIGKILL : SIGINT);
		CHECK(cmd_wait(&c, 5000) != -1, "dtproc stays");
		vic_check_free(&v, line);
		cmd_forget(&c);
	}
	vic_end(&v);
	check_no_keeper(line);
}

/* Its count cannot be known from outside: it must go on, and come out right. */
static void jump(void)
{
	comers("hostile jump 0");
}

/* D6: a hit whose instruction faults and is made again is one hit. */
static void fault(void)
{
	struct vic v;
	struct cmd c;

	vic_start(&v, "hostile fault 300");
	NEED(cmd_trace(&c, v.pid,
		     "pid$target:a.out:fault_target:entry { @[probefunc] = count(); }"),
		"no trace");
	vic_go(&v);
	vic_wait(&v, 10000);
	CHECK(cmd_wait(&c, 5000) == 0, "%s", cmd_text(c.err));
	CHECK(text_count(cmd_text(c.out), "fault_target") == 300, "%s", cmd_text(c.out));
	cmd_forget(&c);
}

/* ------------------------------------------------------------------------ zoo */

static const char *zoo_list(void)
{
	static char text[8192];
	char line[600];
	FILE *in;
	size_t n;

	snprintf(line, sizeof line, "%s list", t_built("tests/victims/zoo"));
	in = popen(line, "re");
	NEED(in, "%s", line);
	n = fread(text, 1, sizeof text - 1, in);
	text[n] = '\0';
	pclose(in);
	return text;
}

/* What one round makes of function `name`: it may be listed more than once. */
static long long zoo_hits(const char *list, const char *name)
{
	long long hits = 0;
	char want[80];

	snprintf(want, sizeof want, "\n%s ", name);
	if (!strncmp(list, want + 1, strlen(want + 1)))
		hits += strtoll(list + strlen(want + 1), NULL, 10);
	for (const char *at = list; (at = strstr(at, want)); at++)
		hits += strtoll(at + strlen(want), NULL, 10);
	return hits;
}

static void zoo_compare(const char *out, int rounds)
{
	const char *list = zoo_list();
	char name[64], key[80];
	int seen = 0;

	for (const char *at = list; sscanf(at, "%63s", name) == 1;
		at = strchr(at, '\n') + 1) {
		long long n, want = zoo_hits(list, name) * rounds;

		snprintf(key, sizeof key, "zoo_%s", name);
		n = text_count(out, key);
		CHECK(n == want, "%s: counted %lld, not %lld", key, n, want);
		seen++;
	}
	CHECK(seen > 50, "%d functions only", seen);
}

/* D2: entries of every kind. */
static void zoo(void)
{
	int rounds = t_times(20, 2000);
	char line[32];
	struct vic v;
	struct cmd c;

	snprintf(line, sizeof line, "zoo %d", rounds);
	vic_start(&v, line);
	NEED(cmd_trace(&c, v.pid,
		     "pid$target:a.out:zoo_*:entry { @[probefunc] = count(); }"),
		"no trace");
	CHECK(!strstr(cmd_text(c.err), "zoo_"), "sites were refused: %s",
		cmd_text(c.err));
	vic_go(&v);
	vic_wait(&v, 30000);
	CHECK(cmd_wait(&c, 5000) == 0, "%s", cmd_text(c.err));
	zoo_compare(cmd_text(c.out), rounds);
	cmd_forget(&c);
}

/* D2, D6: a breakpoint on every instruction of every function. */
static void zoo_everywhere(void)
{
	int rounds = t_times(10, 1000);
	char line[32];
	struct vic v;
	struct cmd c;

	snprintf(line, sizeof line, "zoo %d", rounds);
	vic_start(&v, line);
	NEED(cmd_trace(&c, v.pid,
		     "pid$target:a.out:zoo_*:entry { @[probefunc] = count(); }"
		     "pid$target:a.out:zoo_*:* { @all = count(); }"
		     "pid$target:a.out:flag_*:* { @all = count(); }"),
		"no trace");
	vic_go(&v);
	vic_wait(&v, 30000);
	CHECK(cmd_wait(&c, 5000) == 0, "%s", cmd_text(c.err));
	zoo_compare(cmd_text(c.out), rounds);
	cmd_forget(&c);
}

/* D5: breakpoints are taken out while threads are in the middle of everything. */
static void zoo_comers(void)
{
	struct vic v;

	vic_start(&v, "zoo 1000000");
	vic_go(&v);
	for (int i = 0; i < t_times(10, 200) && !v.page->bad; i++) {
		struct cmd c;

		NEED(cmd_trace(
			     &c, v.pid, "pid$target:a.out:zoo_*:entry { @ = count(); }"),
			"no trace");
		t_pause(30000);
		kill(c.pid, i % 2 ? SIGKILL : SIGINT);
		CHECK(cmd_wait(&c, 5000) != -1, "dtproc stays");
		vic_check_free(&v, "zoo");
		cmd_forget(&c);
	}
	vic_end(&v);
}

static void nothing(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	(void)p, (void)b, (void)tid, (void)arg;
}

/* D7: no breakpoint in a restartable sequence; behind it is fine. */
static void rseq(void)
{
	struct vic v;
	struct dtproc *dt;
	struct dtproc_proc *p;
	struct dtproc_bkpt *b;
	dtproc_addr begin, end;

	vic_start(&v, "rseq");
	vic_go(&v);
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_grab(dt, v.pid, 0, &p));
	OK(dtproc_proc_symbol(p, "a.out", "rseq_begin", &begin, NULL));
	OK(dtproc_proc_symbol(p, "a.out", "rseq_end", &end, NULL));
	for (dtproc_addr at = begin; at < end; at++) {
		CHECK(dtproc_bkpt_add(p, at, nothing, NULL, &b) == DTPROC_ESITE, "+%d",
			(int)(at - begin));
		CHECK(strstr(dtproc_error_text(), "restartable"), "%s",
			dtproc_error_text());
	}
	OK(dtproc_bkpt_add(p, end, nothing, NULL, &b));
	dtproc_close(dt);
	vic_check_free(&v, "let go");
	vic_end(&v);
}

static const struct t_case cases[] = {
	{"jump", jump, 30, 60},
	{"fault", fault, 30, 0},
	{"zoo", zoo, 30, 120},
	{"zoo-everywhere", zoo_everywhere, 30, 200},
	{"zoo-comers", zoo_comers, 60, 200},
	{"rseq", rseq, 30, 0},
};

T_MAIN(cases)
