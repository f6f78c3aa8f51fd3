/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Victims in a cgroup of their own that is frozen, by either freezer, and one that dies
 * there for want of memory (rules A10, B7, H5, H6).  Where no cgroup can be made the case
 * says so and is skipped.
 */
#include "lib.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ONE "pid$target:a.out:victim_target:entry { @calls[probefunc] = count(); }"

static char group[256];

static bool put(const char *file, const char *text)
{
	char path[300];
	int fd;
	ssize_t n;

	snprintf(path, sizeof path, "%s/%s", group, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : write(fd, text, strlen(text));
	if (fd >= 0)
		close(fd);
	return n > 0;
}

static bool put_number(const char *file, long n)
{
	char text[24];

	snprintf(text, sizeof text, "%ld", n);
	return put(file, text);
}

static void leave_group(void)
{
	rmdir(group);
}

/* A new group where `type` is mounted with `option`; has it this file? */
static bool make_group(const char *type, const char *option, const char *file)
{
	FILE *mounts = fopen("/proc/mounts", "re");
	char line[512], at[128], kind[32], options[256], path[300];
	bool made = false;

	while (mounts && !made && fgets(line, sizeof line, mounts)) {
		if (sscanf(line, "%*s %127s %31s %255s", at, kind, options) != 3 ||
			strcmp(kind, type) || !strstr(options, option))
			continue;
		snprintf(group, sizeof group, "%s/dtproc-test-%d", at, getpid());
		snprintf(path, sizeof path, "%s/%s", group, file);
		made = mkdir(group, 0755) == 0;
		if (made && access(path, W_OK)) {
			rmdir(group);
			made = false;
		}
	}
	if (mounts)
		fclose(mounts);
	if (!made)
		t_note("skipped: no cgroup with %s can be made here", file);
	return made;
}

static bool says(const char *file, const char *what)
{
	char path[300];

	snprintf(path, sizeof path, "%s/%s", group, file);
	return strstr(cmd_text(path), what) != NULL;
}

static void freeze(void)
{
	if (!put("cgroup.freeze", "1"))
		CHECK(put("freezer.state", "FROZEN"), "%s", strerror(errno));
	CHECK(WITHIN(2000, says("cgroup.events", "frozen 1") ||
				   says("freezer.state", "FROZEN")),
		"it does not freeze");
}

static void thaw(void)
{
	if (!put("cgroup.freeze", "0"))
		CHECK(put("freezer.state", "THAWED"), "%s", strerror(errno));
}

static void end_frozen(struct vic *v, struct cmd *c)
{
	thaw();
	CHECK(cmd_wait(c, 10000) != -1, "dtproc stays");
	cmd_forget(c);
	vic_check_free(v, "thawed");
	check_no_keeper("thawed");
}

/* Frozen while it is traced; the client ends by SIGINT or SIGKILL meanwhile, or later. */
static void frozen(int sig, bool meanwhile)
{
	struct vic v;
	struct cmd c;

	vic_start(&v, "hammer 2 0");
	vic_go(&v);
	NEED(put_number("cgroup.procs", v.pid), "%s", strerror(errno));
	NEED(cmd_trace(&c, v.pid, ONE), "no trace");
	t_pause(20000);
	freeze();
	if (meanwhile) {
		kill(c.pid, sig);
		page_nap(100000000);
		end_frozen(&v, &c);
	} else {
		thaw();
		t_pause(20000);
		kill(c.pid, sig);
		end_frozen(&v, &c);
	}
	vic_end(&v);
}

static void frozen_in_turn(void)
{
	for (int i = 0; i < t_times(1, 20); i++) {
		frozen(SIGINT, false);
		frozen(SIGKILL, false);
		frozen(SIGINT, true);
		frozen(SIGKILL, true);
	}
}

/* The new freezer's tasks still answer a tracer: holding one that is frozen works. */
static void freezer2(void)
{
	struct vic v;
	struct cmd c;

	if (!make_group("cgroup2", "", "cgroup.freeze"))
		return;
	atexit(leave_group);
	frozen_in_turn();
	vic_start(&v, "hammer 2 0");
	vic_go(&v);
	NEED(put_number("cgroup.procs", v.pid), "%s", strerror(errno));
	freeze();
	NEED(cmd_trace(&c, v.pid, ONE), "no trace of a frozen victim");
	kill(c.pid, SIGINT);
	end_frozen(&v, &c);
	vic_end(&v);
	leave_group();
}

/* The old one's do not: that is told, and nothing is left behind. */
static void freezer1(void)
{
	struct vic v;
	struct cmd c;

	if (!make_group("cgroup", "freezer", "freezer.state"))
		return;
	frozen_in_turn();
	vic_start(&v, "hammer 2 0");
	vic_go(&v);
	NEED(put_number("cgroup.procs", v.pid), "%s", strerror(errno));
	freeze();
	CHECK(!cmd_trace(&c, v.pid, ONE), "a frozen victim was stopped");
	CHECK(strstr(cmd_text(c.err), "could not be stopped"), "%s", cmd_text(c.err));
	end_frozen(&v, &c);
	vic_end(&v);
	leave_group();
}

/* Killed by the kernel in the middle of a hit or anywhere. */
static void oom(void)
{
	struct vic v;
	struct cmd c;
	long long n, calls;
	bool two = make_group("cgroup2", "", "memory.max");

	if (!two && !make_group("cgroup", "memory", "memory.limit_in_bytes"))
		return;
	vic_start(&v, "world greedy 0");
	NEED(put(two ? "memory.max" : "memory.limit_in_bytes", "16M"), "%s",
		strerror(errno));
	NEED(put_number("cgroup.procs", v.pid), "%s", strerror(errno));
	NEED(cmd_trace(&c, v.pid, ONE), "no trace");
	vic_go(&v);
	CHECK(cmd_wait(&c, 8000) == 0, "%s", cmd_text(c.err));
	CHECK(wait_status(v.pid, 1000) == SIGKILL, "it was not killed");
	n = text_count(cmd_text(c.out), "victim_target");
	calls = (long long)v.page->calls;
	CHECK(n == calls || n + 1 == calls, "counted %lld of %lld", n, calls);
	CHECK(!v.page->bad, "%s", v.page->text);
	cmd_forget(&c);
	munmap(v.page, sizeof *v.page);
	unlink(v.file);
	check_no_keeper("out of memory");
	leave_group();
}

static const struct t_case cases[] = {
	{"freezer2", freezer2, 60, 300},
	{"freezer1", freezer1, 60, 300},
	{"oom", oom, 30, 0},
};

T_MAIN(cases)
