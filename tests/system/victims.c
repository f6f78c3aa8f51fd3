/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile victims: one table of victims, and each in every way.
 *   alone    not held at all: what it does is right without us
 *   whole    grabbed before its first call, traced to its last: the count is exact
 *   created  the same by `dtproc -c`; and killed with its client
 *   comers   clients come while it runs, and end by SIGINT or SIGKILL; it runs on
 * and the last three again as a user without privileges (rules A10, D2 to D7, F2, H5).
 */
#include "lib.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/wait.h>

#define NOBODY 65534
#define ONE "pid$target:a.out:victim_target:entry { @calls[probefunc] = count(); }"

enum {
	ROOT = 1,      /* the victim needs root */
	LOST = 2,      /* it destroys probes: hits may be lost, which is told */
	OWN_TEXT = 4,  /* its text need not be the file's */
	NO_CREATE = 8, /* what it does behind its start is more than we can follow */
	HIDES = 16,    /* it refuses those that come later and are not root */
};

struct row {
	const char *victim; /* a program and its kind */
	int calls, soak_calls;
	unsigned flags;
};

/* clang-format off */
#define ROWS(X) \
	X(blocked,        "hostile blocked",        500, 20000, 0) \
	X(owntrap,        "hostile owntrap",        500, 20000, 0) \
	X(ignored,        "hostile ignored",        500, 20000, 0) \
	X(both,           "hostile both",           300, 3000,  0) \
	X(raised,         "hostile raised",         500, 20000, 0) \
	X(altstack,       "hostile altstack",       500, 20000, 0) \
	X(tiny,           "hostile tiny",           500, 20000, 0) \
	X(timer,          "hostile timer",          500, 20000, 0) \
	X(dumpable,       "changes dumpable",       300, 5000,  HIDES | OWN_TEXT) \
	X(setuid,         "changes setuid",         300, 5000,  ROOT) \
	X(seccomp_errno,  "changes seccomp-errno",  100, 5000,  0) \
	X(seccomp_kill,   "changes seccomp-kill",   100, 5000,  0) \
	X(seccomp_late,   "changes seccomp-late",   100, 5000,  0) \
	X(brief,          "changes brief",          800, 20000, 0) \
	X(leader,         "changes leader",         300, 5000,  OWN_TEXT) \
	X(unmap,          "changes unmap",          300, 5000,  0) \
	X(chroot,         "world chroot",           300, 5000,  ROOT) \
	X(uids,           "world uids",             300, 5000,  ROOT) \
	X(unshare_mount,  "world unshare-mount",    300, 5000,  ROOT) \
	X(unshare_pid,    "world unshare-pid",      300, 5000,  ROOT) \
	X(unshare_user,   "world unshare-user",     300, 5000,  0) \
	X(unshare_net,    "world unshare-net",      300, 5000,  ROOT) \
	X(seccomp_strict, "world seccomp-strict",   100, 5000,  0) \
	X(seccomp_trap,   "world seccomp-trap",     100, 5000,  0) \
	X(traceme,        "world traceme",          200, 5000,  0) \
	X(tracer,         "world tracer",           200, 5000,  0) \
	X(debugged,       "world debugged",         200, 5000,  0) \
	X(closed,         "world closed",           200, 5000,  0) \
	X(limits,         "world limits",           200, 5000,  0) \
	X(limits_early,   "world limits-early",     200, 5000,  0) \
	X(reaper,         "world reaper",           200, 5000,  0) \
	X(vforks,         "world vforks",           100, 5000,  0) \
	X(untraced,       "world untraced",         200, 5000,  NO_CREATE) \
	X(gs,             "world gs",               300, 5000,  0) \
	X(patch,          "text patch",             200, 5000,  OWN_TEXT) \
	X(overwrite,      "text overwrite",         200, 5000,  OWN_TEXT | LOST) \
	X(protect,        "text protect",           200, 5000,  0) \
	X(forget,         "text forget",            200, 5000,  LOST) \
	X(copy,           "text copy",              200, 5000,  0) \
	X(move,           "text move",              200, 5000,  LOST) \
	X(replace,        "text replace",           200, 5000,  LOST) \
	X(execs,          "execs",                  20,  500,   OWN_TEXT)
/* clang-format on */

static void start(struct vic *v, const struct row *r, int endless)
{
	char line[64];

	snprintf(line, sizeof line, "%s %d", r->victim,
		endless ? 0 : t_times(r->calls, r->soak_calls));
	vic_start(v, line);
}

static void check_count(const struct row *r, struct vic *v, struct cmd *c)
{
	long long n = text_count(cmd_text(c->out), "victim_target");
	long long calls = (long long)v->page->calls;

	CHECK(n == calls || (r->flags & LOST && n <= calls),
		"%s: counted %lld of %lld: %s", r->victim, n, calls, cmd_text(c->err));
}

static void alone(const struct row *r)
{
	struct vic v;

	start(&v, r, 0);
	vic_go(&v);
	vic_wait(&v, 20000);
}

static void whole(const struct row *r)
{
	struct vic v;
	struct cmd c;
	struct page seen;

	start(&v, r, 0);
	NEED(cmd_trace(&c, v.pid, ONE), "no trace of %s", r->victim);
	vic_go(&v);
	/* In the middle of an exec it looks as if it had ended: dtproc knows better. */
	CHECK(cmd_wait(&c, 20000) == 0, "%s: %s", r->victim, cmd_text(c.err));
	CHECK(WITHIN(20000, proc_threads_in(v.pid, "RSDtT") == 0), "%s does not end",
		r->victim);
	memcpy(&seen, v.page, sizeof seen);
	vic_wait(&v, 5000);
	v.page = &seen;
	check_count(r, &v, &c);
	cmd_forget(&c);
	check_no_keeper(r->victim);
}

/* The command line of a victim of this build, its page in the environment. */
static void create(struct vic *v, struct cmd *c, const struct row *r, int endless)
{
	char line[600];
	const char *argv[] = {"-q", "-c", line, "-n", ONE, NULL};

	vic_page(v);
	v->page->go = 1;
	setenv("VICTIM_PAGE", v->file, 1);
	snprintf(line, sizeof line, "%s/%s %d",
		getenv("VICTIMS") ? getenv("VICTIMS") : t_built("tests/victims"),
		r->victim, endless ? 0 : t_times(r->calls, r->soak_calls));
	cmd_start(c, argv);
}

static void created(const struct row *r)
{
	struct vic v;
	struct cmd c;

	create(&v, &c, r, 0);
	CHECK(cmd_wait(&c, 25000) == 0, "%s: %s", r->victim, cmd_text(c.err));
	CHECK(!v.page->bad, "%s: %s", r->victim, v.page->text);
	check_count(r, &v, &c);
	munmap(v.page, sizeof *v.page);
	unlink(v.file);
	cmd_forget(&c);
	check_no_keeper(r->victim);
}

static void created_killed(const struct row *r)
{
	struct vic v;
	struct cmd c;

	create(&v, &c, r, 1);
	NEED(WITHIN(5000, vic_progress(&v) > 20), "%s does not start: %s", r->victim,
		cmd_text(c.err));
	kill(c.pid, SIGKILL);
	cmd_wait(&c, 5000);
	CHECK(WITHIN(2000, !proc_alive(v.page->pid)), "%s outlives its client",
		r->victim);
	CHECK(!v.page->bad, "%s: %s", r->victim, v.page->text);
	munmap(v.page, sizeof *v.page);
	unlink(v.file);
	cmd_forget(&c);
	check_no_keeper(r->victim);
}

static void check_free(const struct row *r, struct vic *v)
{
	uint64_t before = vic_progress(v);

	if (!(r->flags & OWN_TEXT)) {
		vic_check_free(v, r->victim);
		return;
	}
	/* In the middle of an exec its first thread is a zombie. */
	NEED(WITHIN(1000, proc_alive(v->pid)), "%s has ended", r->victim);
	CHECK(WITHIN(1000, proc_status(v->pid, "TracerPid") == 0), "%s is traced",
		r->victim);
	CHECK(WITHIN(2000, vic_progress(v) != before), "%s stands still", r->victim);
}

static void come(const struct row *r, struct vic *v, int sig)
{
	struct cmd c;
	bool traced = cmd_trace(&c, v->pid, ONE);

	if (!traced && r->flags & HIDES && getuid()) {
		CHECK(strstr(cmd_text(c.err), "not dumpable"), "%s", cmd_text(c.err));
	} else {
		NEED(traced, "no trace of %s", r->victim);
		t_pause(20000);
		kill(c.pid, sig);
		bool ended = cmd_wait(&c, 5000) != -1;

		CHECK(ended, "dtproc stays");
		if (!ended) {
			proc_tell(c.pid);
			proc_tell((pid_t)proc_status(v->pid, "TracerPid"));
			proc_tell(v->pid);
		}
	}
	check_free(r, v);
	cmd_forget(&c);
}

static void comers(const struct row *r)
{
	struct vic v;

	start(&v, r, 1);
	vic_go(&v);
	for (int i = 0; i < t_times(getuid() ? 2 : 4, 60) && !v.page->bad; i++)
		come(r, &v, i % 2 ? SIGKILL : SIGINT);
	vic_end(&v);
	check_no_keeper(r->victim);
}

static void held(const struct row *r)
{
	whole(r);
	if (!(r->flags & NO_CREATE)) {
		created(r);
		created_killed(r);
	}
	comers(r);
}

static void as_nobody(void *arg)
{
	NEED(!setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) &&
			!setresuid(NOBODY, NOBODY, NOBODY),
		"%s", strerror(errno));
	held(arg);
}

static void every_way(struct row r)
{
	if ((r.flags & ROOT) && getuid()) {
		t_note("not root: skipped");
		return;
	}
	alone(&r);
	held(&r);
	if (!getuid() && !(r.flags & ROOT)) {
		int status = wait_status(client_fork(as_nobody, &r), 60000);

		CHECK(status == 0, "%s as another user: %#x", r.victim, status);
	}
}

#define RUN(id, ...)                                                                     \
	static void run_##id(void)                                                       \
	{                                                                                \
		every_way((struct row){__VA_ARGS__});                                    \
	}
ROWS(RUN)

#define CASE(id, ...) {#id, run_##id, 120, 600},
static const struct t_case cases[] = {ROWS(CASE)};

T_MAIN(cases)
