/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients of the library: the dtproc command, forked functions, a session in a test. */
#include "lib.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int temp(char *path)
{
	int fd;

	strcpy(path, "/tmp/dtproc-test-XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	NEED(fd >= 0, "%s: %s", path, strerror(errno));
	return fd;
}

const char *t_dtproc(void)
{
	const char *given = getenv("DTPROC");

	return given ? given : t_built("dtproc");
}

static void become_command(const char *const argv[], int out, int err)
{
	const char *args[64];
	int n = 0;

	args[n++] = "dtproc";
	for (int i = 0; argv[i] && n < 63; i++)
		args[n++] = argv[i];
	args[n] = NULL;
	dup2(out, 1);
	dup2(err, 2);
	execv(t_dtproc(), (char *const *)args);
	perror("dtproc");
	_exit(127);
}

void cmd_start(struct cmd *c, const char *const argv[])
{
	int out = temp(c->out), err = temp(c->err);

	fflush(stdout);
	c->pid = fork();
	if (c->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		become_command(argv, out, err);
	}
	close(out);
	close(err);
	NEED(c->pid > 0, "fork: %s", strerror(errno));
}

int cmd_wait(struct cmd *c, int timeout_ms)
{
	int status = wait_status(c->pid, timeout_ms);

	if (status != -1)
		c->pid = 0;
	return status;
}

const char *cmd_text(const char *file)
{
	static char text[65536];
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

bool cmd_wait_text(struct cmd *c, const char *text, int timeout_ms)
{
	bool seen = WITHIN(timeout_ms,
		strstr(cmd_text(c->out), text) != NULL || proc_state(c->pid) == 'Z');

	if (seen && strstr(cmd_text(c->out), text))
		return true;
	t_note("dtproc said: %s", cmd_text(c->err));
	return false;
}

bool cmd_trace(struct cmd *c, pid_t pid, const char *clause)
{
	char number[16];
	const char *argv[] = {"-q", "-x", "switchrate=100hz", "-p", number, "-n",
		"BEGIN { printf(\"armed\\n\"); }", "-n", clause, NULL};

	snprintf(number, sizeof number, "%d", pid);
	cmd_start(c, argv);
	return cmd_wait_text(c, "armed", 10000);
}

int cmd_interrupt(struct cmd *c)
{
	kill(c->pid, SIGINT);
	return cmd_wait(c, 10000);
}

void cmd_forget(struct cmd *c)
{
	if (c->pid) {
		kill(c->pid, SIGKILL);
		wait_status(c->pid, 1000);
	}
	unlink(c->out);
	unlink(c->err);
}

pid_t client_fork(void (*fn)(void *), void *arg)
{
	pid_t pid = t_fork();

	if (pid == 0) {
		fn(arg);
		t_leave();
	}
	return pid;
}

char *session_run(struct dtproc *dt, int ms)
{
	uint64_t end = page_clock() + (uint64_t)ms * 1000000;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int rc = DTPROC_WORK_OK;

	while (rc == DTPROC_WORK_OK && page_clock() < end)
		rc = dtproc_work(dt, out);
	CHECK(rc >= 0, "work: %s", dtproc_error_text());
	OK(dtproc_stop(dt, out));
	fclose(out);
	return text;
}

long long text_count(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = text; (at = strstr(at, key)); at += len) {
		const char *behind = at + len + strspn(at + len, " \t");
		char *end;
		long long n = strtoll(behind, &end, 10);

		if ((at == text || strchr(" \t\n", at[-1])) && end != behind &&
			behind != at + len)
			return n;
	}
	return -1;
}

void no_callback(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
	(void)p;
	(void)b;
	(void)tid;
	(void)arg;
}

void create_once(struct dtproc *dt)
{
	char *argv[] = {"/bin/sh", "-c", "exit 7", NULL};
	struct dtproc_proc_status st;
	struct dtproc_proc *p;

	OK(dtproc_proc_create(dt, argv[0], argv, NULL, &p));
	OK(dtproc_proc_continue(p));
	OK(dtproc_proc_wait(p, 5000 * (int)t_slack()));
	dtproc_proc_status(p, &st);
	CHECK(st.run == DTPROC_EXITED && st.code == 7, "run %d code %d: %s", st.run,
		st.code, st.why);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
}

void grab_once(struct dtproc *dt, struct vic *v)
{
	struct dtproc_proc *p;
	struct dtproc_bkpt *b;
	dtproc_addr at;

	OK(dtproc_proc_grab(dt, v->pid, 0, &p));
	OK(dtproc_proc_symbol(p, "a.out", "victim_target", &at, NULL));
	OK(dtproc_bkpt_add(p, at, no_callback, NULL, &b));
	OK(dtproc_proc_continue(p));
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
}

void check_quick(uint64_t from, const char *what)
{
	uint64_t ms = (page_clock() - from) / 1000000;

	CHECK(ms < 1100 * t_slack(), "%s took %llu ms", what, (unsigned long long)ms);
}
