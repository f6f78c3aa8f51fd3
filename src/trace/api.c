/* SPDX-License-Identifier: BSD-2-Clause */
/* The session, and the public calls on it that other rooms serve. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <victim/victim.h>
#include "own.h"

const char *dtproc_version(void)
{
	return DTPROC_VERSION;
}

const char *dtproc_error_text(void)
{
	return err_text();
}

void trace_warn(struct dtproc *d, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (d->warn)
		d->warn(text, d->warn_arg);
	else
		fprintf(stderr, "dtproc: %s\n", text);
}

void dtproc_on_warning(struct dtproc *d, dtproc_warn_fn *fn, void *arg)
{
	d->warn = fn;
	d->warn_arg = arg;
}

static int watch(struct dtproc *d, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &e)
		       ? err_errno(DTPROC_ESYS, errno, "epoll_ctl")
		       : 0;
}

static int open_descriptors(struct dtproc *d)
{
	d->timer_fd =
		victim_lift(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
	d->epoll = victim_lift(epoll_create1(EPOLL_CLOEXEC));
	d->wake_fd = victim_lift(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (d->timer_fd < 0 || d->epoll < 0 || d->wake_fd < 0)
		return err_errno(DTPROC_ESYS, errno, "a session's descriptors");
	return watch(d, d->timer_fd) ?: watch(d, d->wake_fd) ?: watch(d, hold_fd(d->hold));
}

/*
 * Passes a notice on to the client; the end of tracing waits for those of victims.  That
 * a followed child has come to its end is its own affair.
 */
static void pass_on(const struct dtproc_notice *n, void *arg)
{
	struct dtproc *d = arg;
	int ended = n->kind != DTPROC_NOTICE_ERROR;
	int target = trace_is_target(d, n->pid);

	d->ends_told += (unsigned)(ended && target);
	if (d->notice && (!ended || target || !hold_parent(n->proc) ||
				 n->kind == DTPROC_NOTICE_LOST))
		d->notice(n, d->notice_arg);
	if (ended && hold_parent(n->proc))
		trace_forget(d, n->proc);
}

void dtproc_on_notice(struct dtproc *d, dtproc_notice_fn *fn, void *arg)
{
	d->notice = fn;
	d->notice_arg = arg;
}

static void on_change(struct dtproc_proc *p, enum hold_change what, void *arg)
{
	trace_refresh(arg, p, what);
}

static void make_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

int dtproc_open(const struct dtproc_options *options, struct dtproc **out)
{
	struct dtproc *d = calloc(1, sizeof *d);
	int err;

	if (!d)
		return err_nomem("a session");
	d->epoll = d->timer_fd = d->wake_fd = d->saved_out = -1;
	pthread_mutex_init(&d->targets_lock, NULL);
	pthread_mutex_init(&d->names_lock, NULL);
	make_lock(&d->lock);
	d->heading_due = 1;
	trace_options_init(&d->options);
	err = hold_open(options, &d->hold);
	if (!err) {
		hold_on_notice(d->hold, pass_on, d);
		hold_set_hooks(
			d->hold, &(struct hold_hooks){.arg = d, .changed = on_change});
		err = cg_open(&d->cg);
	}
	if (!err)
		err = open_descriptors(d);
	if (err) {
		dtproc_close(d);
		return err;
	}
	*out = d;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void dtproc_close(struct dtproc *d)
{
	if (!d)
		return;
	if (d->engines && d->phase == TRACE_GOING && !hold_forked(d->hold)) {
		trace_end(d);
		engine_disarm(d->engines);
	}
	trace_drain_close(d);
	engine_close(d->engines);
	probe_table_close(d->probes);
	probe_table_close(d->seen);
	probe_table_close(d->typing);
	vec_free(&d->args_of);
	if (d->hold)
		hold_close(d->hold);
	trace_scripts_free(d);
	if (d->cg)
		cg_close(d->cg);
	trace_speculations_free(d);
	close_fd(d->saved_out);
	vec_free(&d->printed);
	vec_free(&d->normals);
	trace_forget_flows(d);
	vec_free(&d->pairs);
	vec_free(&d->timers);
	vec_free(&d->targets);
	trace_names_free(d);
	pthread_mutex_destroy(&d->names_lock);
	pthread_mutex_destroy(&d->targets_lock);
	pthread_mutex_destroy(&d->lock);
	close_fd(d->epoll);
	close_fd(d->timer_fd);
	close_fd(d->wake_fd);
	free(d);
}

static int has_target(const struct dtproc *d, pid_t pid)
{
	for (size_t i = 0; i < d->targets.n; i++)
		if (d->targets.at[i] == pid)
			return 1;
	return 0;
}

/* The end of this victim counts for the end of tracing. */
static int add_target(struct dtproc *d, struct dtproc_proc *p)
{
	pid_t pid = dtproc_proc_pid(p);
	int err = 0;

	pthread_mutex_lock(&d->targets_lock);
	if (!has_target(d, pid))
		err = vec_push(&d->targets, pid);
	pthread_mutex_unlock(&d->targets_lock);
	return err ? err_nomem("targets") : 0;
}

int trace_has_targets(struct dtproc *d)
{
	pthread_mutex_lock(&d->targets_lock);
	int yes = d->targets.n > 0;
	pthread_mutex_unlock(&d->targets_lock);
	return yes;
}

int trace_is_target(struct dtproc *d, pid_t pid)
{
	pthread_mutex_lock(&d->targets_lock);
	int yes = has_target(d, pid);
	pthread_mutex_unlock(&d->targets_lock);
	return yes;
}

/* Lets a created victim run to the stop point of option evaltime. */
static int run_to_stop_point(struct dtproc *d, struct dtproc_proc *p)
{
	static const char *const names[] = {[HOLD_AT_EXEC] = "exec",
		[HOLD_AT_PREINIT] = "preinit",
		[HOLD_AT_POSTINIT] = "postinit",
		[HOLD_AT_MAIN] = "main"};
	const char *wanted = d->options.at[TRACE_EVALTIME].text;
	struct hold_reached at;
	unsigned point = HOLD_AT_EXEC;
	int err;

	while (point < HOLD_AT_MAIN && strcmp(names[point], wanted))
		point++;
	err = hold_run_to_point(p, (enum hold_point)point, -1, &at);
	if (!err && *at.why)
		trace_warn(d, "pid %d is stopped at %s, not at %s: %s",
			(int)dtproc_proc_pid(p), names[at.point], wanted, at.why);
	return err;
}

static int finish_create(
	struct dtproc *d, struct dtproc_proc *p, struct dtproc_proc **out)
{
	int err = run_to_stop_point(d, p);

	if (!err)
		err = add_target(d, p);
	if (err) {
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		return err;
	}
	*out = p;
	return 0;
}

int dtproc_proc_create(struct dtproc *d, const char *file, char *const argv[],
	char *const envp[], struct dtproc_proc **out)
{
	struct dtproc_proc *p;
	int err = hold_create(d->hold, HOLD_FOR_CLIENT, file, argv, envp, &p);

	return err ? err : finish_create(d, p, out);
}

int dtproc_proc_create_command(
	struct dtproc *d, const char *command, struct dtproc_proc **out)
{
	struct dtproc_proc *p;
	int err = hold_create_command(d->hold, HOLD_FOR_CLIENT, command, &p);

	return err ? err : finish_create(d, p, out);
}

int dtproc_proc_grab(
	struct dtproc *d, pid_t pid, unsigned flags, struct dtproc_proc **out)
{
	struct dtproc_proc *p;
	int err = hold_grab(d->hold, HOLD_FOR_CLIENT, pid, flags, &p);

	if (err)
		return err;
	if (!(flags & DTPROC_GRAB_RDONLY)) {
		err = add_target(d, p);
		if (err) {
			dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
			return err;
		}
	}
	*out = p;
	return 0;
}

int dtproc_fd(const struct dtproc *d)
{
	return d->epoll;
}

void dtproc_wake(struct dtproc *d)
{
	uint64_t one = 1;

	/* Full means that it is awake already. */
	if (write(d->wake_fd, &one, sizeof one) < 0)
		return;
}

int dtproc_setopt(struct dtproc *d, const char *name, const char *value)
{
	if (d->phase >= TRACE_GOING && option_find(name) && !trace_option_is_live(name))
		return err_set(DTPROC_ESTATE,
			"Operation illegal when tracing is active: "
			"%s is set before",
			name);
	return trace_options_set(&d->options, name, value);
}

const char *dtproc_getopt(const struct dtproc *d, const char *name)
{
	return trace_options_get(&d->options, name);
}

const char *dtproc_option_name(unsigned i)
{
	return i < TRACE_OPTIONS ? option_name(i) : NULL;
}

int dtproc_go(struct dtproc *d, dtproc_match_fn *matched, void *arg)
{
	int err;

	if (d->phase >= TRACE_GOING)
		return err_set(DTPROC_ESTATE, "tracing has begun already");
	err = dtproc_match(d, matched, arg);
	if (!err)
		err = trace_go(d);
	return err ? err : watch(d, engine_doorbell(d->engines));
}
