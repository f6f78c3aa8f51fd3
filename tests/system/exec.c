/* SPDX-License-Identifier: BSD-2-Clause */
/* What a victim executes: probes and counts go on in the new image (rules F1, E5). */
#include "lib.h"

#include <string.h>

#define COUNT "pid$target:a.out:victim_target:entry { @calls[probefunc] = count(); }"

static long long counted(struct cmd *c)
{
	return text_count(cmd_text(c->out), "victim_target");
}

/* F1: exec after exec, by a thread that is not the first, in midst of another's hits. */
static void times(void)
{
	struct vic v;
	struct cmd c;
	char line[32];

	snprintf(line, sizeof line, "execs %d", t_times(100, 5000));
	vic_start(&v, line);
	NEED(cmd_trace(&c, v.pid,
		     COUNT "pid$target:a.out:victim_other:entry { self->n++; }"),
		"no trace: %s", cmd_text(c.err));
	vic_go(&v);
	CHECK(WITHIN(600000, !proc_alive(v.pid) || v.page->bad), "it does not end");
	CHECK(cmd_wait(&c, 10000) == 0, "%s", cmd_text(c.err));
	CHECK(counted(&c) == (long long)v.page->calls && !v.page->bad,
		"counted %lld of %llu: %s %s", counted(&c),
		(unsigned long long)v.page->calls, v.page->text, cmd_text(c.err));
	CHECK(v.page->rounds == (uint64_t)t_times(100, 5000), "image %llu",
		(unsigned long long)v.page->rounds);
	vic_wait(&v, 5000);
	cmd_forget(&c);
	check_no_keeper("after the last image");
}

/* E5: a client that is stopped costs one deadline, and is told when it goes on. */
static void late(void)
{
	struct vic v;
	struct cmd c;

	vic_start(&v, "execs 0");
	NEED(cmd_trace(&c, v.pid, COUNT), "no trace: %s", cmd_text(c.err));
	kill(c.pid, SIGSTOP);
	NEED(WITHIN(2000, proc_state(c.pid) == 'T'), "dtproc is not stopped");
	vic_go(&v);
	CHECK(WITHIN(5000, v.page->rounds >= 5), "image %llu after 5 s",
		(unsigned long long)v.page->rounds);
	kill(c.pid, SIGCONT);
	CHECK(WITHIN(5000,
		      strstr(cmd_text(c.err), "no reaction to its exec within 1000")),
		"it is not told: %s", cmd_text(c.err));
	uint64_t then = v.page->calls;
	CHECK(WITHIN(5000, v.page->calls > then + 50), "it stands still");
	v.page->quit = 1;
	CHECK(WITHIN(5000, !proc_alive(v.pid)), "it does not end");
	CHECK(cmd_wait(&c, 5000) == 0, "%s", cmd_text(c.err));
	CHECK(counted(&c) >= 30 && counted(&c) <= (long long)v.page->calls,
		"counted %lld of %llu", counted(&c), (unsigned long long)v.page->calls);
	vic_wait(&v, 5000);
	cmd_forget(&c);
	check_no_keeper("after a late reaction");
}

static const struct t_case cases[] = {
	{"times", times, 60, 600},
	{"late", late, 0, 0},
};

T_MAIN(cases)
