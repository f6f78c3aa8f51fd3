/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int failures;
static _Atomic unsigned seed;

void t_fail(const char *file, int line, const char *what, const char *fmt, ...)
{
	const char *slash = strrchr(file, '/');
	va_list ap;

	failures++;
	printf("  %s:%d: %s: ", slash ? slash + 1 : file, line, what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	if (failures > 12) /* the rest would say the same */
		_exit(1);
}

void t_note(const char *fmt, ...)
{
	va_list ap;

	printf("  ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

int t_failures(void)
{
	return failures;
}

pid_t t_fork(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		failures = 0;
	}
	return pid;
}

void t_leave(void)
{
	fflush(stdout);
	_exit(failures ? 1 : 0);
}

bool t_soak(void)
{
	const char *soak = getenv("DTPROC_SOAK");

	return soak && *soak == '1';
}

int t_times(int check, int soak)
{
	return t_soak() ? soak : check;
}

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define AT_BEST 6 /* the end of a keeper, say, is a search for leaks */
#else
#define AT_BEST 4
#endif
#define AT_WORST 16

unsigned t_slack(void)
{
	double load = 0, share;

	if (getloadavg(&load, 1) != 1)
		return AT_BEST;
	share = load / (double)sysconf(_SC_NPROCESSORS_ONLN);
	return share < AT_BEST    ? AT_BEST
	       : share > AT_WORST ? AT_WORST
				  : (unsigned)(share + 0.5);
}

unsigned t_random(unsigned below)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % (below ? below : 1);
}

void t_pause(unsigned us)
{
	page_nap((long)t_random(us + 1) * 1000);
}

const char *t_built(const char *name)
{
	static char paths[8][512];
	static unsigned turn;
	static char root[256];
	char *path = paths[turn++ % 8];

	if (!*root) {
		ssize_t n = readlink("/proc/self/exe", root, sizeof root - 1);

		root[n > 0 ? n : 0] = '\0';
		for (int up = 0; up < 3; up++) {
			char *slash = strrchr(root, '/');

			if (slash)
				*slash = '\0';
		}
	}
	snprintf(path, sizeof paths[0], "%s/%s", root, name);
	return path;
}

void t_open_house(char *dir)
{
	char line[2000], keeper[128];

	NEED(mkdtemp(dir) && chmod(dir, 0755) == 0, "%s: %s", dir, strerror(errno));
	snprintf(line, sizeof line, "cp %s %s %s", getenv("DTPROC_KEEPER"),
		t_built("tests/victims/hammer"), dir);
	NEED(system(line) == 0, "%s", line);
	snprintf(keeper, sizeof keeper, "%s/dtproc-keeper", dir);
	setenv("DTPROC_KEEPER", keeper, 1);
	setenv("VICTIMS", dir, 1);
}

/* ---------------------------------------------------------------------- cases */

static int run_case(const struct t_case *c)
{
	int limit = t_soak() && c->soak_seconds ? c->soak_seconds
		    : c->seconds                ? c->seconds
						: 30;
	uint64_t begin = page_clock();
	pid_t pid;
	int status;

	pid = t_fork();
	if (pid == 0) {
		c->run();
		t_leave();
	}
	status = wait_status(pid, limit * 1000 / 2);
	if (status == -1) {
		printf("  no end after %d s\n", limit);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	} else if (WIFSIGNALED(status))
		printf("  killed by signal %d\n", WTERMSIG(status));
	printf("%s %s (%.1f s)\n", status ? "NOT OK" : "ok", c->name,
		(double)(page_clock() - begin) / 1e9);
	return status != 0;
}

static bool chosen(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc < 2;
}

int t_main(int argc, char **argv, const struct t_case *cases, size_t n)
{
	const char *given = getenv("DTPROC_SEED");
	int wrong = 0, ran = 0;

	seed = given ? (unsigned)strtoul(given, NULL, 10)
		     : (unsigned)(page_clock() / 1000 % 1000000);
	printf("DTPROC_SEED=%u\n", seed);
	setenv("DTPROC_KEEPER", t_built("src/keeper/dtproc-keeper"), 0);
	for (size_t i = 0; i < n; i++)
		if (chosen(argc, argv, cases[i].name)) {
			wrong += run_case(&cases[i]);
			ran++;
		}
	if (!ran)
		printf("no such case\n");
	return wrong || !ran;
}

int wait_status(pid_t pid, int timeout_ms)
{
	int status = -1;

	return WITHIN(timeout_ms, waitpid(pid, &status, WNOHANG) == pid) ? status : -1;
}

/* -------------------------------------------------------------------- victims */

void vic_page(struct vic *v)
{
	int fd;
	void *at;

	snprintf(v->file, sizeof v->file, "/tmp/dtproc-test-XXXXXX");
	fd = mkostemp(v->file, O_CLOEXEC);
	NEED(fd >= 0 && ftruncate(fd, sizeof *v->page) == 0 && fchmod(fd, 0666) == 0,
		"%s: %s", v->file, strerror(errno));
	at = mmap(NULL, sizeof *v->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	NEED(at != MAP_FAILED, "%s", strerror(errno));
	close(fd);
	v->page = at;
	v->page->sender = getpid();
	v->pid = 0;
}

static void become_victim(struct vic *v, const char *line)
{
	char copy[256], path[512], *argv[10], *save = NULL;
	int n = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0); /* ours may be orphaned, which job control leaves alone */
	setenv("VICTIM_PAGE", v->file, 1);
	snprintf(copy, sizeof copy, "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w && n < 9;
		w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	argv[n] = NULL;
	snprintf(path, sizeof path, "%s/%s",
		getenv("VICTIMS") ? getenv("VICTIMS") : t_built("tests/victims"),
		argv[0]);
	execv(path, argv);
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	_exit(127);
}

void vic_start(struct vic *v, const char *line)
{
	vic_page(v);
	fflush(stdout);
	v->pid = fork();
	if (v->pid == 0)
		become_victim(v, line);
	NEED(WITHIN(5000, v->page->ready), "victim %s is not ready", line);
}

void vic_go(struct vic *v)
{
	v->page->go = 1;
}

void vic_poke(struct vic *v)
{
	atomic_fetch_add(&v->page->poke, 1);
	syscall(SYS_futex, &v->page->poke, 1 /* FUTEX_WAKE */, INT_MAX, NULL, NULL, 0);
}

static void vic_close(struct vic *v)
{
	munmap(v->page, sizeof *v->page);
	unlink(v->file);
	v->page = NULL;
}

void vic_wait(struct vic *v, int timeout_ms)
{
	int status = wait_status(v->pid, timeout_ms);

	CHECK(v->page->bad == 0, "%llu wrong: %s", (unsigned long long)v->page->bad,
		v->page->text);
	CHECK(status != -1, "victim %d has not ended", v->pid);
	CHECK(status == -1 || status == 0, "victim %d ended with %#x", v->pid, status);
	if (status == -1) {
		kill(v->pid, SIGKILL);
		wait_status(v->pid, 1000);
	}
	vic_close(v);
}

void vic_end(struct vic *v)
{
	v->page->quit = 1;
	v->page->go = 1;
	vic_poke(v);
	kill(v->pid, SIGCONT);
	vic_wait(v, 5000);
}

void vic_kill(struct vic *v)
{
	kill(v->pid, SIGKILL);
	wait_status(v->pid, 2000);
	vic_close(v);
}

uint64_t vic_progress(const struct vic *v)
{
	uint64_t sum = v->page->calls + v->page->rounds;

	for (int i = 0; i < PAGE_SLOTS; i++)
		sum += v->page->slot[i];
	return sum;
}

void vic_check_free(struct vic *v, const char *when)
{
	uint64_t before = vic_progress(v);
	long differs;

	if (!proc_alive(v->pid)) {
		siginfo_t how = {0};

		waitid(P_PID, (id_t)v->pid, &how, WEXITED | WNOHANG | WNOWAIT);
		t_fail(__FILE__, __LINE__, "alive",
			"%s: the victim has ended, code %d status %d", when, how.si_code,
			how.si_status);
		return;
	}
	CHECK(WITHIN(1000, proc_status(v->pid, "TracerPid") == 0), "%s: traced by %ld",
		when, proc_status(v->pid, "TracerPid"));
	CHECK(WITHIN(1000, proc_threads_in(v->pid, "tT") == 0),
		"%s: %d threads are stopped", when, proc_threads_in(v->pid, "tT"));
	/* Not at once: the program may have moved a page away for a moment. */
	CHECK(WITHIN(50, (differs = proc_text_differs(v->pid)) == 0),
		"%s: %ld bytes of text differ", when, differs);
	vic_poke(v);
	CHECK(WITHIN(2000, vic_progress(v) != before), "%s: it does not compute", when);
	CHECK(v->page->bad == 0, "%s: %llu wrong: %s", when,
		(unsigned long long)v->page->bad, v->page->text);
}
