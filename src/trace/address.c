/* SPDX-License-Identifier: BSD-2-Clause */
/* An address of a process as text. */
#include <unistd.h>
#include <base/log.h>
#include "own.h"

struct question {
	pid_t pid;
	dtproc_addr addr;
	uint64_t when;
	char *buf;
	size_t size;
	enum { OPEN, ANSWERED, UNKNOWN } state;
};

static void write_name(const struct question *q, const struct dtproc_symbol *s)
{
	unsigned long long addr = q->addr, offset = q->addr - s->start;

	if (!s->symbol)
		snprintf(q->buf, q->size, "%s`0x%llx", s->object, addr);
	else if (offset)
		snprintf(q->buf, q->size, "%s`%s+0x%llx", s->object, s->symbol, offset);
	else
		snprintf(q->buf, q->size, "%s`%s", s->object, s->symbol);
}

/* A handle that is held knows its objects behind the victim's end, too. */
static int ask(struct dtproc_proc *p, void *arg)
{
	struct question *q = arg;
	struct dtproc_symbol s;

	if (dtproc_proc_pid(p) != q->pid)
		return 0;
	q->state = UNKNOWN;
	if (dtproc_proc_symbols_at(p, &q->addr, 1, q->when, &s) != 1 &&
		dtproc_proc_symbols_at(p, &q->addr, 1, 0, &s) != 1)
		return 1;
	q->state = ANSWERED;
	write_name(q, &s);
	return 1;
}

static void ask_new(struct dtproc *d, struct question *q)
{
	struct dtproc_proc *p;

	if (hold_grab(d->hold, HOLD_FOR_LIBRARY, q->pid, DTPROC_GRAB_RDONLY, &p))
		return;
	ask(p, q);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
}

void trace_address_text(
	struct dtproc *d, pid_t pid, uint64_t when, uint64_t addr, char *buf, size_t size)
{
	struct question q = {
		.pid = pid, .addr = addr, .when = when, .buf = buf, .size = size};

	/* What the command's own clauses (BEGIN, tick) print is an address of $target. */
	if (!pid || pid == getpid())
		q.pid = hold_target(d->hold);
	if (q.pid && hold_each(d->hold, ask, &q) == 0 && q.state == OPEN)
		ask_new(d, &q);
	if (q.state != ANSWERED)
		snprintf(buf, size, "0x%llx", (unsigned long long)addr);
}

static int has_addresses(const struct lang_format *f)
{
	for (unsigned i = 0; f && i < f->n; i++)
		if (f->convs[i].conv == 'a' || f->convs[i].conv == 'A')
			return 1;
	return 0;
}

/* Will any clause print the name of an address? */
static int wants_names(const struct dtproc *d)
{
	for (size_t i = 0; i < d->clauses.n; i++)
		for (unsigned k = 0; k < d->clauses.at[i]->n_actions; k++)
			if (has_addresses(d->clauses.at[i]->actions[k].format))
				return 1;
	return 0;
}

void trace_look(struct dtproc *d, struct dtproc_proc *p)
{
	/* What is not seen now has no name later: that is no error. */
	if (wants_names(d) && dtproc_proc_symbols_at(p, NULL, 0, 0, NULL) < 0)
		log_line("trace", 1, "pid %d: %s", (int)dtproc_proc_pid(p), err_text());
}
