/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Option flowindent (-F): lines indented by the calls that they are in.  Each thread has
 * an indentation of its own; where DTrace has one for each CPU, two threads of a process
 * would share it here.
 */
#include <base/hash.h>
#include <string.h>
#include "own.h"

#define THREADS_MAX 65536 /* the record may be hostile: then all begin anew */

struct flow {
	unsigned indent;
	uint32_t program, probe; /* of the thread's last record; 0: none */
};

enum kind { PLAIN, ENTRY, RETURN };

/* Is it called so, or does its name end in "-entry"? */
static int is_called(const char *name, const char *kind)
{
	size_t len = strlen(name), n = strlen(kind);

	if (len < n || strcmp(name + len - n, kind))
		return 0;
	return len == n || name[len - n - 1] == '-';
}

static enum kind kind_of(const char *name)
{
	return is_called(name, "entry")    ? ENTRY
	       : is_called(name, "return") ? RETURN
					   : PLAIN;
}

void trace_forget_flows(struct dtproc *d)
{
	hash_each(&d->flows, i)
		free(d->flows.slots[i].value);
	hash_free(&d->flows);
}

/* NULL: no memory. */
static struct flow *flow_of(struct dtproc *d, int32_t tid)
{
	struct flow *f = hash_get(&d->flows, (uint32_t)tid);

	if (f)
		return f;
	if (d->flows.n >= THREADS_MAX)
		trace_forget_flows(d);
	f = calloc(1, sizeof *f);
	if (f && hash_put(&d->flows, (uint32_t)tid, f)) {
		free(f);
		return NULL;
	}
	return f;
}

/* Is the other record of the same firing, from another clause? */
static int is_same_firing(const struct rt_record *r, uint32_t probe, uint32_t program)
{
	return program && probe == r->probe && program != r->program;
}

/* A function that has several clauses is entered by the first and left by the last. */
static enum kind kind_of_record(const struct rt_record *r, const struct probe *p,
	const struct rt_record *next, const struct flow *f)
{
	enum kind kind = kind_of(p->name);

	if (kind == ENTRY && is_same_firing(r, f->probe, f->program))
		return PLAIN;
	if (kind == RETURN && next && next->tid == r->tid &&
		is_same_firing(r, next->probe, next->program))
		return PLAIN;
	return kind;
}

static void write_name(
	enum kind kind, const struct probe *p, unsigned indent, char *buf, size_t size)
{
	int is_syscall = strcmp(p->provider, "syscall") == 0;

	if (kind == PLAIN)
		snprintf(buf, size, "%*s| %s:%s", (int)indent, "", p->function, p->name);
	else
		snprintf(buf, size, "%*s %s %s", (int)indent, "",
			kind == ENTRY ? is_syscall ? "=>" : "->"
			: is_syscall  ? "<="
				      : "<-",
			p->function);
}

void trace_print_flow(struct dtproc *d, const struct rt_record *r, const struct probe *p,
	const struct rt_record *next, FILE *out)
{
	static const struct probe nobody = {
		.provider = "", .module = "", .function = "", .name = ""};
	struct flow nothing = {0}, *f = flow_of(d, r->tid) ?: &nothing;
	char name[LANG_NAME_MAX + 1024];
	enum kind kind;

	p = p ? p : &nobody;
	kind = kind_of_record(r, p, next, f);
	if (kind == RETURN && f->indent)
		f->indent -= 2;
	write_name(kind, p, f->indent < 512 ? f->indent : 512, name, sizeof name);
	fprintf(out, "%3u %-41s ", r->cpu, name);
	if (kind == ENTRY)
		f->indent += 2;
	f->program = r->program;
	f->probe = r->probe;
}
