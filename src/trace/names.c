/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of addresses that programs recorded.  Beside each lies whose it is: a process,
 * and the epoch of what was mapped in it (RT_WHOSE), which is the clock of that process'
 * stack_space; so what left before the record is printed still has its name.
 *
 * LOCK.  `names_lock` comes last.  Updates come from control threads, with their handle
 * locked; memory is read then alone.
 */
#include <base/clean.h>
#include <stack/stack.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "own.h"

struct trace_space {
	pid_t pid;
	uint32_t epoch;
	uint64_t read_ns;         /* when its maps were last read in vain */
	struct dtproc_proc *proc; /* amid an update; NULL */
	struct stack_space *space;
};

#define READ_AGAIN_NS 100000000u

static void unlock(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}

static pthread_mutex_t *lock(struct dtproc *d)
{
	pthread_mutex_lock(&d->names_lock);
	return &d->names_lock;
}

static ssize_t read_memory(void *arg, dtproc_addr at, void *buf, size_t len)
{
	struct trace_space *s = arg;

	return s->proc ? dtproc_proc_read(s->proc, at, buf, len) : 0;
}

static struct trace_space *find(struct dtproc *d, pid_t pid)
{
	for (size_t i = 0; i < d->spaces.n; i++)
		if (d->spaces.at[i]->pid == pid)
			return d->spaces.at[i];
	return NULL;
}

static struct trace_space *make(struct dtproc *d, pid_t pid)
{
	struct trace_space *s = calloc(1, sizeof *s);
	struct stack_space_options o = {
		.pid = pid, .inner = trace_inner_pid(pid), .arg = s, .read = read_memory};

	if (!s)
		return NULL;
	s->pid = pid;
	if (stack_space_create(&o, &s->space) || vec_push(&d->spaces, s)) {
		stack_space_destroy(s->space);
		free(s);
		return NULL;
	}
	return s;
}

int trace_names_update(struct dtproc *d, struct dtproc_proc *p)
{
	CLEAN(victim_maps_free) struct victim_maps maps = {0};
	pid_t pid = dtproc_proc_pid(p);
	int err = hold_maps(p, &maps);

	if (err)
		return err;
	CLEAN(unlock) pthread_mutex_t *locked = lock(d);
	struct trace_space *s = find(d, pid) ?: make(d, pid);

	if (!s)
		return err_nomem("the map of a process");
	s->epoch = hold_epoch(p);
	err = trace_space_update(s->space, &maps, s->epoch);
	s->proc = p;
	stack_space_keep(s->space);
	s->proc = NULL;
	return err;
}

void trace_names_free(struct dtproc *d)
{
	for (size_t i = 0; i < d->spaces.n; i++) {
		stack_space_destroy(d->spaces.at[i]->space);
		free(d->spaces.at[i]);
	}
	vec_free(&d->spaces);
}

/* What nobody told of (a JIT's code) may be there now. */
static int read_again(struct trace_space *s)
{
	CLEAN(victim_maps_free) struct victim_maps maps = {0};
	uint64_t now = trace_now();

	if (now - s->read_ns < READ_AGAIN_NS)
		return 0;
	s->read_ns = now;
	return !victim_maps_read(s->pid, &maps) &&
	       !trace_space_update(s->space, &maps, s->epoch);
}

static int name_of(
	struct dtproc *d, uint64_t whose, dtproc_addr at, struct stack_name *out)
{
	struct trace_space *s = find(d, (pid_t)(uint32_t)whose);

	*out = (struct stack_name){.object = "", .path = ""};
	if (!s)
		return 0;
	return stack_space_name(s->space, at, whose >> 32, out) ||
	       (read_again(s) && stack_space_name(s->space, at, whose >> 32, out));
}

static void form(const struct stack_name *n, dtproc_addr at, enum cg_address what,
	char *buf, size_t size)
{
	uint64_t off = at - n->start;

	if (!n->object[0] && !n->symbol)
		snprintf(buf, size, "0x%llx", (unsigned long long)at);
	else if (what == CG_UMOD)
		snprintf(buf, size, "%s", n->object[0] ? n->object : n->symbol);
	else if (!n->symbol)
		snprintf(buf, size, "%s`0x%llx", n->object, (unsigned long long)at);
	else if (what == CG_UADDR && off)
		snprintf(buf, size, "%s%s%s+0x%llx", n->object, n->object[0] ? "`" : "",
			n->symbol, (unsigned long long)off);
	else
		snprintf(buf, size, "%s%s%s", n->object, n->object[0] ? "`" : "",
			n->symbol);
}

static void trace_name(struct dtproc *d, uint64_t whose, dtproc_addr at,
	enum cg_address what, char *buf, size_t size)
{
	CLEAN(unlock) pthread_mutex_t *locked = lock(d);
	struct stack_name n;

	name_of(d, whose, at, &n);
	form(&n, at, what, buf, size);
}

/* The epoch since when all these addresses are what they are: it makes keys equal. */
static uint64_t since(struct dtproc *d, uint64_t whose, const uint64_t *at, size_t n)
{
	const struct trace_space *s = find(d, (pid_t)(uint32_t)whose);
	uint64_t epoch = 0;

	for (size_t i = 0; s && i < n && at[i]; i++) {
		uint64_t born = stack_space_since(s->space, at[i], whose >> 32);

		epoch = born > epoch ? born : epoch;
	}
	return RT_WHOSE(whose, epoch);
}

void trace_names_canonical(
	struct dtproc *d, const struct cg_field *f, uint64_t *words, size_t n)
{
	CLEAN(unlock) pthread_mutex_t *locked = lock(d);
	struct stack_name name;

	if (n < 2)
		return;
	if (f->kind == CG_ADDRESS && f->part != CG_UADDR &&
		name_of(d, words[0], words[1], &name))
		words[1] = f->part == CG_UMOD ? words[1] - name.value : name.start;
	words[0] = since(d, words[0], words + 1, n - 1);
}

int trace_value_named(const struct cg_field *f, const void *p, struct trace_value *v)
{
	if (f->kind != CG_STACK && f->kind != CG_ADDRESS)
		return 0;
	v->words = p;
	v->n_words = p ? f->size / 8 : 0;
	v->is_stack = f->kind == CG_STACK;
	v->form = f->part;
	return 1;
}

size_t trace_key_bytes(const struct cg_field *f, const void *k)
{
	if (f->kind == CG_INT)
		return sizeof(uint64_t);
	return f->kind == CG_STACK || f->kind == CG_ADDRESS ? f->size : strlen(k) + 1;
}

static uint64_t word(const struct trace_value *v, uint32_t i)
{
	uint64_t w = 0;

	if (i < v->n_words)
		memcpy(&w, (const char *)v->words + 8 * i, sizeof w);
	return w;
}

void trace_named_text(
	struct dtproc *d, const struct trace_value *v, char *buf, size_t size)
{
	trace_name(d, word(v, 0), word(v, 1), (enum cg_address)v->form, buf, size);
}

void trace_print_stack(
	struct dtproc *d, const struct trace_value *v, int indent, FILE *out)
{
	char buf[TRACE_NAME_MAX];

	if (indent <= 0)
		indent = (int)d->options.at[TRACE_STACKINDENT].number;
	fputc('\n', out);
	for (uint32_t i = 1; i < v->n_words && word(v, i); i++) {
		trace_name(d, word(v, 0), word(v, i), CG_UADDR, buf, sizeof buf);
		fprintf(out, "%*s%s\n", indent, "", buf);
	}
}

/* As of now: the epoch that the victim is in. */
void trace_address_text(
	struct dtproc *d, pid_t pid, uint64_t addr, char *buf, size_t size)
{
	uint64_t epoch = UINT32_MAX;

	/* What the command's own clauses (BEGIN, tick) print is an address of $target. */
	if (!pid || pid == getpid())
		pid = hold_target(d->hold);
	trace_name(d, RT_WHOSE(pid, epoch), addr, CG_UADDR, buf, size);
}
