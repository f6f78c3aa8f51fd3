/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Somebody dies at each step of the protocol (base/step.h): the client, the keeper, the
 * victim, or two of them.  Behind it the victim that was grabbed lives, untraced, not
 * stopped, with its own text and right results; one that was created is gone; nothing
 * that we started is left; and a client that lives has been told within a second
 * (rules A10, C3, H4, H5, H6).  A step that is never reached is a failure.
 *
 * Client and keeper are built with DTPROC_STEPS; orphans become the case's children.
 */
#include "lib.h"

#include <base/step.h>
#include <errno.h>
#include <hold/hold.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const struct {
	const char *name, *text;
} steps[] = {
#define STEP_NAMES(name, text) {#name, text},
	STEPS(STEP_NAMES)
#undef STEP_NAMES
};

enum { CLIENT = 1, KEEPER = 2, VICTIM = 4 };
static const struct {
	int who;
	const char *name;
} kills[] = {{CLIENT, "client"}, {KEEPER, "keeper"}, {VICTIM, "victim"},
	{CLIENT | KEEPER, "client+keeper"}, {CLIENT | VICTIM, "client+victim"},
	{KEEPER | VICTIM, "keeper+victim"}};
#define KILLS (sizeof kills / sizeof *kills)

/* What a client does, and with which victim; when that is poked before somebody dies. */
enum pokes { ALWAYS, ARMED, NEVER };
static const struct scene {
	const char *name, *victim;
	enum pokes pokes;
	int hits, created, kills_keeper, follows;
} scenes[] = {{"grab", "steps poked", ALWAYS, 4, 0, 0, 0},
	{"follow", "steps poked", ALWAYS, 4, 0, 0, 1},
	{"exec", "steps exec", ARMED, 2, 0, 0, 0},
	{"create", "steps poked", ALWAYS, 4, 1, 0, 0},
	{"repair", "steps poked", NEVER, 0, 0, 1, 0}};
#define SCENES (sizeof scenes / sizeof *scenes)

/* Exit status of a client that was told of an end, or got an error. */
#define TOLD 10

/* ---------------------------------------------------------------- the step page */

static struct step_page *page_of_steps;
static char steps_file[64];

static void steps_page(void)
{
	int fd;

	snprintf(steps_file, sizeof steps_file, "/tmp/dtproc-steps-XXXXXX");
	fd = mkostemp(steps_file, O_CLOEXEC);
	NEED(fd >= 0 && !ftruncate(fd, sizeof *page_of_steps), "%s", strerror(errno));
	page_of_steps = mmap(
		NULL, sizeof *page_of_steps, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	NEED(page_of_steps != MAP_FAILED, "%s", strerror(errno));
	close(fd);
	setenv("DTPROC_STEPS", steps_file, 1);
}

static void steps_go(void)
{
	page_of_steps->go = 1;
	syscall(SYS_futex, &page_of_steps->go, FUTEX_WAKE, 1000, NULL, NULL, 0);
}

/* ------------------------------------------------------------------- the client */

static const struct scene *scene;
static struct vic vic;
static pid_t client;
static int client_status; /* -1: it lives */

static void look_at_client(void)
{
	if (client_status == -1)
		waitpid(client, &client_status, WNOHANG);
}

static pid_t pid_of(int who)
{
	volatile int32_t *pid = page_of_steps->pid;

	if (who == CLIENT)
		return client_status == -1 ? client : 0;
	if (who == VICTIM)
		return scene->created ? pid[STEP_STUB_BORN] : vic.pid;
	return pid[STEP_KEEPER_RUNS]   ? pid[STEP_KEEPER_RUNS]
	       : pid[STEP_KEEPER_BORN] ? pid[STEP_KEEPER_BORN]
				       : pid[STEP_BETWEEN];
}

static atomic_int hits, told;

static void on_hit(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	(void)p;
	(void)b;
	(void)tid;
	(void)arg;
	hits++;
}

static void on_notice(const struct dtproc_notice *n, void *arg)
{
	(void)arg;
	if (n->kind != DTPROC_NOTICE_ERROR)
		told++;
	if (getenv("VERBOSE"))
		t_note("client: %s", n->text);
}

/* Ends the client when a call fails: it has been told. */
#define TRY(call)                                                                        \
	do {                                                                             \
		if ((long)(call) < 0) {                                                  \
			if (getenv("VERBOSE"))                                           \
				t_note("%s: %s", #call, dtproc_error_text());            \
			return TOLD;                                                     \
		}                                                                        \
	} while (0)

static int take_hold(struct dtproc *dt, struct dtproc_proc **p)
{
	static char path[512];
	char *argv[] = {path, (char *)"poked", NULL};

	if (!scene->created)
		return dtproc_proc_grab(dt, vic.pid, 0, p);
	snprintf(path, sizeof path, "%s", t_built("tests/victims/steps"));
	setenv("VICTIM_PAGE", vic.file, 1);
	return dtproc_proc_create(dt, path, argv, NULL, p);
}

static int await_hits(struct dtproc *dt, int n)
{
	for (int i = 0; i < 3000 && hits < n && !told; i++)
		TRY(dtproc_sleep(dt, 10));
	return told ? TOLD : 0;
}

/* Steps at which a client has let go already: it need not be told. */
static bool is_late(enum step step)
{
	return step == STEP_CLIENT_HANGS_UP || step >= STEP_END_HELD;
}

/* For a while, and until the test lets everybody go, however busy the machine is. */
static int linger(struct dtproc *dt)
{
	for (unsigned left = 5; left && !told; left--) {
		TRY(dtproc_sleep(dt, 10));
		if (!page_of_steps->go && !is_late((enum step)page_of_steps->target))
			left = 5 * t_slack();
	}
	return told ? TOLD : 0;
}

static int work(struct dtproc *dt, struct dtproc_proc *p)
{
	struct dtproc_bkpt *b[2];
	dtproc_addr at;
	int rc;

	TRY(dtproc_proc_symbol(p, "a.out", "victim_target", &at, NULL));
	TRY(dtproc_bkpt_add(p, at, on_hit, NULL, &b[0]));
	TRY(dtproc_proc_symbol(p, "a.out", "steps_stepped", &at, NULL));
	TRY(dtproc_bkpt_add(p, at, on_hit, NULL, &b[1]));
	if (scene->follows)
		TRY(hold_follow(p));
	TRY(dtproc_proc_continue(p));
	vic.page->poked = 1;
	if (scene->kills_keeper) {
		kill(pid_of(KEEPER), SIGKILL);
		return dtproc_proc_wait(p, 20000) < 0 ? 0 : TOLD;
	}
	rc = await_hits(dt, scene->hits);
	if (rc)
		return rc;
	TRY(dtproc_proc_stop(p));
	TRY(dtproc_bkpt_remove(p, b[0]));
	TRY(dtproc_proc_continue(p));
	return linger(dt);
}

static int run_client(void)
{
	struct dtproc *dt;
	struct dtproc_proc *p;
	int rc;

	TRY(dtproc_open(NULL, &dt));
	dtproc_on_notice(dt, on_notice, NULL);
	rc = take_hold(dt, &p) < 0 ? TOLD : 0;
	if (rc == 0) {
		rc = work(dt, p);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	} else if (getenv("VERBOSE"))
		t_note("%s", dtproc_error_text());
	dtproc_close(dt);
	return rc;
}

static pid_t start_client(void)
{
	fflush(stdout);
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_CHILD_SUBREAPER, 0);
		step_open(steps_file);
		_exit(run_client());
	}
	return pid;
}

/* ---------------------------------------------------------------------- one run */

/* Pokes the victim until somebody stays at the step, or the client has ended. */
static bool drive(void)
{
	uint64_t end = page_clock() + 1000000000ul * t_slack();

	while (!page_of_steps->stay && client_status == -1 && page_clock() < end) {
		if (scene->pokes == ALWAYS || (scene->pokes == ARMED && vic.page->poked))
			vic_poke(&vic);
		page_nap(500000);
		look_at_client();
	}
	return page_of_steps->stay != 0;
}

static void begin(enum step step, unsigned nth)
{
	memset(page_of_steps, 0, sizeof *page_of_steps);
	page_of_steps->target = step;
	page_of_steps->nth = nth;
	client_status = -1;
	if (scene->created) {
		vic_page(&vic);
		vic.page->go = 1;
	} else {
		vic_start(&vic, scene->victim);
		vic_go(&vic);
	}
	client = start_client();
}

static bool all_there(int who)
{
	for (int one = CLIENT; one <= VICTIM; one *= 2)
		if (who & one && pid_of(one) <= 0)
			return false;
	return true;
}

static void kill_them(int who)
{
	for (int one = CLIENT; one <= VICTIM; one *= 2) {
		pid_t pid = who & one ? pid_of(one) : 0;
		if (pid > 0)
			kill(pid, SIGKILL);
	}
}

/* Reaps whoever was orphaned; how many live beside the victim. */
static int each_left_over(void (*fn)(pid_t))
{
	char path[64], text[1024] = "", *at = text, *end;
	int fd, n = 0;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
		return -1;
	close(fd);
	for (long pid; (pid = strtol(at, &end, 10)) > 0; at = end) {
		if (pid == vic.pid || pid == client ||
			waitpid((pid_t)pid, NULL, WNOHANG | __WALL) != 0)
			continue;
		n++;
		if (fn)
			fn((pid_t)pid);
	}
	return n;
}

static int left_over(void)
{
	return each_left_over(NULL);
}

/* Says what can be seen of a process that should not be there, and ends it. */
static void tell_and_kill(pid_t pid)
{
	char path[64], line[128];

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, "Name", 4) || !strncmp(line, "Sig", 3) ||
			!strncmp(line, "State", 5) || !strncmp(line, "Tracer", 6) ||
			!strncmp(line, "VmRSS", 5) || !strncmp(line, "PPid", 4))
			t_note("    left over %d: %.*s", pid, (int)strcspn(line, "\n"),
				line);
	if (f)
		fclose(f);
	kill(pid, SIGKILL);
}

/* Has it an action for SIGTRAP? */
static bool handles_trap(pid_t pid)
{
	char path[64], line[128];
	unsigned long caught = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "SigCgt: %lx", &caught) == 1)
			break;
	if (f)
		fclose(f);
	return caught & 1ul << (SIGTRAP - 1);
}

static const char *victim_wrong(int who)
{
	static char text[128];
	uint64_t before = vic_progress(&vic);
	siginfo_t how = {0};
	bool moved =
		WITHIN(500, (vic_poke(&vic), !proc_alive(vic.pid) ||
						     vic_progress(&vic) > before + 6));

	if (!proc_alive(vic.pid)) {
		waitid(P_PID, (id_t)vic.pid, &how, WEXITED | WNOHANG | WNOWAIT);
		snprintf(text, sizeof text, "died: %s",
			how.si_code == CLD_EXITED ? "exit" : sigabbrev_np(how.si_status));
		return text;
	}
	if (proc_status(vic.pid, "TracerPid") != 0)
		return "traced";
	if (proc_threads_in(vic.pid, "tT"))
		return "stopped";
	if (!moved)
		return "hangs";
	if (vic.page->bad) {
		snprintf(text, sizeof text, "wrong: %.100s", vic.page->text);
		return text;
	}
	if (who != (CLIENT | KEEPER) && !scene->kills_keeper && handles_trap(vic.pid))
		return "guard left";
	return proc_text_differs(vic.pid) ? "text" : NULL;
}

/* What is wrong behind a run; NULL: nothing. */
static const char *judge(enum step step, int who)
{
	bool ended =
		WITHIN(1000, (vic_poke(&vic), look_at_client(), client_status != -1));

	if (!ended)
		return "client hangs";
	if (!(who & CLIENT) && WIFSIGNALED(client_status))
		return "client crashes";
	if (!(who & CLIENT) && !is_late(step) && client_status != TOLD << 8)
		return "not told";
	if (!WITHIN(1500, left_over() == 0))
		return "left over";
	if (scene->created)
		return vic.page->pid && proc_alive(vic.page->pid) ? "victim left" : NULL;
	if (who & VICTIM)
		return WITHIN(1000, !proc_alive(vic.pid)) ? NULL : "victim lives";
	return victim_wrong(who);
}

static void clean_up(void)
{
	pid_t keeper = page_of_steps->pid[STEP_KEEPER_RUNS];

	if (client_status == -1)
		kill(client, SIGKILL);
	if (keeper > 0 && proc_alive(keeper) && left_over() > 0)
		kill(keeper, SIGKILL);
	if (scene->created && vic.page->pid && left_over() > 0)
		kill(vic.page->pid, SIGKILL);
	if (vic.pid > 0)
		kill(vic.pid, SIGKILL);
	WITHIN(500, left_over() == 0);
	if (vic.pid > 0)
		wait_status(vic.pid, 500);
	if (client_status == -1)
		wait_status(client, 500);
	munmap(vic.page, sizeof *vic.page);
	unlink(vic.file);
}

/* Returns what is wrong, "" for a step that was not reached; NULL: all is right. */
static const char *run(const struct scene *s, enum step step, unsigned nth, int who)
{
	const char *wrong = "";

	scene = s;
	begin(step, nth);
	if (drive() && all_there(who)) {
		kill_them(who);
		steps_go();
		wrong = judge(step, who);
	} else
		steps_go();
	clean_up();
	return wrong;
}

/* -------------------------------------------------------------------- the table */

/* How often each step is passed when nobody dies. */
static void rehearse(const struct scene *s, uint32_t passes[STEP_COUNT])
{
	scene = s;
	begin(STEP_COUNT, 0);
	drive();
	CHECK(client_status == (s->kills_keeper ? TOLD << 8 : 0),
		"%s: the client ended with %#x", s->name, client_status);
	CHECK(WITHIN(1500, left_over() == 0), "%s: somebody is left", s->name);
	for (int i = 0; i < STEP_COUNT; i++)
		passes[i] = page_of_steps->passes[i];
	if (!s->created)
		vic_end(&vic);
	vic.pid = 0;
}

static int wrong_cells, odd_cells;

/*
 * A signal that a keeper has in its hands while all threads are stopped, or that it holds
 * off for a step, is lost or late when the keeper is killed then.
 */
static bool is_known(const struct scene *s, int who, const char *wrong)
{
	return ((who & KEEPER) || s->kills_keeper) && strstr(wrong, "0 signals for one");
}

/*
 * One cell.  What goes wrong is tried once more, behind what was left: a cell that is
 * wrong each time is a mistake at that step, one that is so once in a table is told.
 */
static const char *cell(const struct scene *s, enum step step, unsigned nth, int who)
{
	const char *wrong = run(s, step, nth, who), *again;

	if (!wrong || !*wrong || is_known(s, who, wrong))
		return wrong;
	each_left_over(tell_and_kill);
	WITHIN(500, left_over() == 0);
	again = run(s, step, nth, who);
	if (again && *again && !is_known(s, who, again)) {
		wrong_cells++;
		return again;
	}
	odd_cells++;
	t_note("  once at %s: %s", steps[step].name, wrong);
	return NULL;
}

static void row(const struct scene *s, enum step step, unsigned nth)
{
	char line[256];
	int n = snprintf(
		line, sizeof line, "%-6s %-15s %2u", s->name, steps[step].name, nth);

	for (size_t i = 0; i < KILLS; i++) {
		const char *wrong = cell(s, step, nth, kills[i].who);

		n += snprintf(line + n, sizeof line - (size_t)n, " %-13s",
			wrong == NULL ? "."
			: *wrong      ? wrong
				      : "-");
	}
	t_note("%s", line);
}

static void all_steps(void)
{
	uint32_t passes[SCENES][STEP_COUNT];
	const char *only = getenv("STEP");

	setenv("DTPROC_KEEPER", t_built("tests/system/dtproc-keeper-steps"), 1);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	steps_page();
	for (size_t s = 0; s < SCENES; s++)
		rehearse(&scenes[s], passes[s]);
	for (int step = 0; step < STEP_COUNT; step++) {
		bool reached = false;

		for (size_t s = 0; s < SCENES; s++) {
			if (!passes[s][step] || (reached && !t_soak()) ||
				(only && strcmp(only, steps[step].name)))
				continue;
			for (unsigned nth = 1; nth <= passes[s][step] && nth <= 8; nth++)
				if (nth == 1 || t_soak())
					row(&scenes[s], (enum step)step, nth);
			reached = true;
		}
		CHECK(reached || only, "step %s is never reached", steps[step].name);
	}
	CHECK(wrong_cells == 0, "%d are wrong", wrong_cells);
	CHECK(odd_cells <= (t_soak() ? 5 : 1), "%d were wrong once", odd_cells);
	unlink(steps_file);
}

/* A program that SIGTRAP is to end is ended by it, with the guard too (D3). */
static void one_trap(const char *victim, int sends)
{
	struct dtproc *dt;
	struct dtproc_proc *p;
	struct dtproc_bkpt *b;
	dtproc_addr at;
	int status;

	vic_start(&vic, victim);
	vic_go(&vic);
	OK(dtproc_open(NULL, &dt));
	OK(dtproc_proc_grab(dt, vic.pid, 0, &p));
	OK(dtproc_proc_symbol(p, "a.out", "victim_target", &at, NULL));
	OK(dtproc_bkpt_add(p, at, on_hit, NULL, &b));
	OK(dtproc_proc_continue(p));
	CHECK(handles_trap(vic.pid), "%s: there is no guard", victim);
	vic_poke(&vic);
	if (sends)
		kill(vic.pid, SIGTRAP);
	status = wait_status(vic.pid, 2000);
	CHECK(status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP,
		"%s: ended with %#x", victim, status);
	dtproc_close(dt);
}

static void traps(void)
{
	one_trap("steps poked", 1);
	one_trap("steps trap", 0);
}

static const struct t_case cases[] = {
	{"steps", all_steps, 120, 1800}, {"traps", traps, 0, 0}};

T_MAIN(cases)
