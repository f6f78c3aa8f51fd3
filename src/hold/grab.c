/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Create and grab (section C): either a handle comes out whose victim is stopped and
 * whose control thread is ready, or nothing is left of the attempt.
 */
#include "handle.h"

#include <base/clean.h>
#include <base/rule.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* How long a keeper that holds a victim may take to let go of it. */
#define LETTING_GO_MS 1000

/* ------------------------------------------------------------------- grab */

static int open_rdonly(struct dtproc_proc *p)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	int rc = victim_check(p->pid, VICTIM_READ);

	if (rc == 0)
		rc = victim_pidfd_open(p->pid, &p->pidfd);
	return rc ? rc : image_open(p);
}

static int monitor(struct dtproc_proc *p, unsigned flags)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);

	return flags & DTPROC_GRAB_UNMONITORED ? 0 : control_start(p);
}

static int try_control(struct dtproc_proc *p)
{
	int rc = victim_check(p->pid, VICTIM_CONTROL);

	if (rc == 0 && p->pidfd < 0)
		rc = victim_pidfd_open(p->pid, &p->pidfd);
	return rc ? rc : request_start(p, NULL);
}

/*
 * The keeper of a client that has just been killed, or releases the victim at this
 * moment, is given time to let go.
 */
static int open_control(struct dtproc_proc *p)
{
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	char text[ERR_TEXT_MAX];
	int rc = try_control(p);

	if (rc != DTPROC_ETRACED && rc != DTPROC_EPERM)
		return rc;
	snprintf(text, sizeof text, "%s", err_text());
	if (victim_await_keeper(p->pid, LETTING_GO_MS))
		return try_control(p);
	return err_set(rc, "%s", text);
}

/* Opens the handle that this thread has claimed; gone when that fails. */
static int open_claimed(struct dtproc_proc *p, unsigned flags)
{
	int rc = p->kind == HOLD_RDONLY ? open_rdonly(p) : open_control(p);

	if (rc == 0 && p->kind == HOLD_CONTROL)
		rc = monitor(p, flags);
	if (rc == 0) {
		table_opened(p);
		return 0;
	}
	/* Reasons are looked for by number, which may be another process's by now. */
	if (rc == DTPROC_EPERM && p->pidfd >= 0 && victim_ended(p->pidfd))
		rc = err_set(DTPROC_ENOPROC, "no such process");
	char text[ERR_TEXT_MAX];
	snprintf(text, sizeof text, "%s", err_text());
	p->mode = DTPROC_RELEASE_DEFAULT;
	handle_destroy(p);
	return err_set(rc, "%s", text);
}

/* Is a handle that was found still one of this process, and its image the present? */
static int still_holds(struct dtproc_proc *p, int *rc)
{
	*rc = 0;
	if (RULE(A7, process) ? victim_ended(p->pidfd) : kill(p->pid, 0))
		return 0;
	if (p->kind == HOLD_CONTROL)
		return !state_ended(p);
	CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
	*rc = RULE(A7, image) ? image_refresh(p) : 0;
	return 1;
}

/* What a second grab asks of a handle that is held already. */
static int join_held(struct dtproc_proc *p, unsigned flags)
{
	if (p->kind == HOLD_RDONLY || flags & DTPROC_GRAB_RDONLY)
		return 0;
	return RULE(A11, monitor) ? monitor(p, flags) : 0;
}

/* A handle was found; 1: it was of a process that is gone, look again. */
static int join(struct dtproc_proc *p, unsigned flags, struct dtproc_proc **out)
{
	struct list doomed = LIST_INIT(doomed);
	int rc;

	if (!still_holds(p, &rc)) {
		table_stale(p, &doomed);
		handle_unref(p);
		return 1;
	}
	if (rc == 0)
		rc = join_held(p, flags);
	if (rc)
		handle_unref(p);
	else
		*out = p;
	return rc;
}

/* One look at the table for a handle that is held; 1: there is none. */
static int grab_held(struct hold_session *s, pid_t pid, enum hold_kind kind,
	unsigned flags, struct dtproc_proc **out)
{
	struct dtproc_proc *p = table_find(s, pid, kind);

	return p ? join(p, flags, out) : 1;
}

/* Claims the PID with a new handle, or finds one after all; 1: look again. */
static int grab_new(struct hold_session *s, pid_t pid, enum hold_kind kind,
	unsigned flags, struct dtproc_proc **out)
{
	struct list doomed = LIST_INIT(doomed);
	struct dtproc_proc *p, *fresh = handle_new(s, pid, kind);
	enum table_found found;
	int rc;

	if (!fresh)
		return DTPROC_ENOMEM;
	found = table_claim(s, fresh, &doomed, &p);
	handle_destroy_all(&doomed);
	if (found == TABLE_HELD) {
		handle_free(fresh);
		return join(p, flags, out);
	}
	rc = open_claimed(fresh, flags);
	if (rc == 0)
		*out = fresh;
	return rc;
}

static int grab(
	struct hold_session *s, pid_t pid, unsigned flags, struct dtproc_proc **out)
{
	enum hold_kind kind = flags & DTPROC_GRAB_RDONLY ? HOLD_RDONLY : HOLD_CONTROL;
	int rc;

	do {
		rc = grab_held(s, pid, kind, flags, out);
		if (rc == 1)
			rc = grab_new(s, pid, kind, flags, out);
	} while (rc == 1);
	return rc;
}

static void set_target(struct hold_session *s, enum hold_for whose, pid_t pid)
{
	pthread_mutex_lock(&s->table_lock);
	if ((whose == HOLD_FOR_CLIENT || !RULE(A12, library)) &&
		(s->target == 0 || !RULE(A12, first)))
		s->target = pid;
	pthread_mutex_unlock(&s->table_lock);
}

static int forked_error(void)
{
	return err_set(DTPROC_ESTATE,
		"this session was opened by another process, which forked this one");
}

int hold_grab(struct hold_session *s, enum hold_for whose, pid_t pid, unsigned flags,
	struct dtproc_proc **out)
{
	int rc;

	if (flags & ~(unsigned)(DTPROC_GRAB_RDONLY | DTPROC_GRAB_UNMONITORED))
		return err_set(DTPROC_EINVAL, "grab has no flags %#x", flags);
	if (hold_forked(s))
		return forked_error();
	rc = grab(s, pid, flags, out);
	if (rc)
		return err_set(rc, "failed to grab pid %d: %s", (int)pid, err_text());
	set_target(s, whose, pid);
	return 0;
}

/* ----------------------------------------------------------------- create */

static int cannot_execute(const char *file, int rc)
{
	char text[ERR_TEXT_MAX];

	snprintf(text, sizeof text, "%s", err_text());
	if (rc == DTPROC_ENOEXEC) {
		/* "cannot execute: No such file ...", as the keeper words it */
		const char *why = strstr(text, ": ");
		return err_set(rc, "cannot execute '%s': %s", file, why ? why + 2 : text);
	}
	return err_set(rc, "failed to start '%s': %s", file, text);
}

static int open_created(struct dtproc_proc *p, const struct victim_program *program)
{
	int rc;

	p->created = 1;
	{
		CLEAN(hold_leave) struct hold_guard g = hold_enter(p);
		rc = request_start(p, program);
	}
	return rc ? rc : monitor(p, 0);
}

static int create(struct hold_session *s, const struct victim_program *program,
	const char *file, struct dtproc_proc **out)
{
	struct dtproc_proc *p = handle_new(s, 0, HOLD_CONTROL);
	struct list doomed = LIST_INIT(doomed);
	int rc;

	if (!p)
		return DTPROC_ENOMEM;
	rc = open_created(p, program);
	if (rc) {
		rc = cannot_execute(file, rc);
		char text[ERR_TEXT_MAX];
		snprintf(text, sizeof text, "%s", err_text());
		p->mode = DTPROC_RELEASE_KILL;
		if (RULE(C3, undo))
			handle_destroy(p);
		return err_set(rc, "%s", text);
	}
	table_enter(p, &doomed);
	handle_destroy_all(&doomed);
	*out = p;
	return 0;
}

int hold_create(struct hold_session *s, enum hold_for whose, const char *file,
	char *const argv[], char *const envp[], struct dtproc_proc **out)
{
	CLEAN_FREE char *path = NULL;
	struct dtproc_proc *p = NULL;
	int rc = hold_forked(s) ? forked_error() : victim_program_find(file, &path);

	if (rc == 0)
		rc = victim_check_proc();
	if (rc)
		return rc;
	struct victim_program program = {path, argv, envp ? envp : environ};
	rc = create(s, &program, file, &p);
	if (rc)
		return rc;
	set_target(s, whose, p->pid);
	*out = p;
	return 0;
}

int hold_create_command(struct hold_session *s, enum hold_for whose, const char *command,
	struct dtproc_proc **out)
{
	char **words;
	int rc = words_split(command, &words);

	if (rc)
		return rc;
	rc = hold_create(s, whose, words[0], words, NULL, out);
	free(words[0]);
	free(words);
	return rc;
}
