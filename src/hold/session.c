/* SPDX-License-Identifier: BSD-2-Clause */
/* A session of handles: its tunables, its beginning and its end (rule A8). */
#include "handle.h"

#include <base/clean.h>
#include <base/rule.h>
#include <base/vec.h>

#include <string.h>
#include <unistd.h>

/* Takes over as much of the client's struct as it knows of; zeros mean the default. */
static void set_options(struct dtproc_options *to, const struct dtproc_options *from)
{
	memset(to, 0, sizeof *to);
	if (from)
		memcpy(to, from, from->size < sizeof *to ? from->size : sizeof *to);
	to->size = sizeof *to;
	if (!to->buckets)
		to->buckets = HOLD_BUCKETS;
	if (!to->cache_limit)
		to->cache_limit = HOLD_CACHE_LIMIT;
	if (!to->stop_deadline_ms)
		to->stop_deadline_ms = HOLD_DEADLINE_MS;
	if (!to->react_deadline_ms)
		to->react_deadline_ms = HOLD_REACT_MS;
}

int hold_open(const struct dtproc_options *options, struct hold_session **out)
{
	CLEAN_FREE struct hold_session *s = calloc(1, sizeof *s);
	int rc;

	if (!s)
		return err_nomem("a session");
	set_options(&s->options, options);
	s->client = getpid();
	rc = table_init(s);
	if (rc)
		return rc;
	rc = notice_init(s);
	if (rc) {
		table_fini(s);
		return rc;
	}
	*out = TAKE_PTR(s);
	return 0;
}

int hold_forked(const struct hold_session *s)
{
	return s->client != getpid();
}

void hold_close(struct hold_session *s)
{
	struct dtproc_proc *p;

	if (hold_forked(s)) { /* as in handle_destroy() */
		table_init_locks(s);
		notice_init_lock(s);
	}
	while (RULE(A8, all) && (p = table_pop(s))) {
		p->mode = DTPROC_RELEASE_DEFAULT;
		handle_destroy(p);
	}
	notice_fini(s);
	table_fini(s);
	free(s);
}

void hold_set_hooks(struct hold_session *s, const struct hold_hooks *h)
{
	s->hooks = *h;
}

pid_t hold_target(struct hold_session *s)
{
	pthread_mutex_lock(&s->table_lock);
	pid_t pid = s->target;
	pthread_mutex_unlock(&s->table_lock);
	return pid;
}

/* ------------------------------------------------------------------ walking */

typedef VEC(struct dtproc_proc *) proc_vec;

static int is_controlled(const struct dtproc_proc *p)
{
	return p->kind == HOLD_CONTROL && !p->stale && p->phase == HOLD_READY;
}

/* All that control their victims, each with one more reference. */
static int snapshot(struct hold_session *s, proc_vec *v)
{
	int rc = 0;

	pthread_mutex_lock(&s->table_lock);
	list_each(it, &s->all) {
		struct dtproc_proc *p = list_entry(it, struct dtproc_proc, age);
		if (!is_controlled(p))
			continue;
		rc = vec_push(v, p);
		if (rc)
			break;
		p->refs++;
	}
	pthread_mutex_unlock(&s->table_lock);
	return rc ? err_nomem("a list of handles") : 0;
}

int hold_each(struct hold_session *s, int (*fn)(struct dtproc_proc *, void *), void *arg)
{
	proc_vec v = {0};
	int rc = snapshot(s, &v);

	for (size_t i = 0; i < v.n; i++) {
		if (rc == 0)
			rc = fn(v.at[i], arg);
		handle_unref(v.at[i]);
	}
	vec_free(&v);
	return rc;
}
