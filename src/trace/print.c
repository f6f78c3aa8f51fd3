/* SPDX-License-Identifier: BSD-2-Clause */
/* One record as text, in DTrace's layout. */
#include <string.h>
#include "own.h"

/* The bytes of a field, or NULL: it lies outside what there is. */
static const void *bytes_of(
	const struct cg_field *f, const void *base, size_t len, size_t need)
{
	if (f->offset > len || len - f->offset < need)
		return NULL;
	return (const char *)base + f->offset;
}

uint64_t trace_field_number(const struct cg_field *f, const void *base, size_t len)
{
	const void *p = bytes_of(f, base, len, 8);
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, sizeof v);
	return v;
}

static const char *part_of(const struct probe *p, unsigned part)
{
	const char *const parts[RT_PARTS] = {[RT_PART_PROVIDER] = p->provider,
		[RT_PART_MODULE] = p->module,
		[RT_PART_FUNCTION] = p->function,
		[RT_PART_NAME] = p->name};

	return part < RT_PARTS ? parts[part] : "";
}

const char *trace_field_text(struct dtproc *d, const struct cg_field *f, const void *base,
	size_t len, char *buf, size_t size)
{
	if (f->kind == CG_PROBE) {
		uint64_t id = trace_field_number(f, base, len);
		const struct probe *p =
			id <= UINT32_MAX ? trace_probe(d, (uint32_t)id) : NULL;

		return p ? part_of(p, f->part) : "";
	}
	size_t room = f->size < size ? f->size : size;
	const void *p = bytes_of(f, base, len, 0);
	size_t have = p ? len - f->offset : 0;

	if (have < room)
		room = have;
	if (!room || !size)
		return "";
	/* Cut at the end of the field, of the record or of the room, or at its NUL. */
	memcpy(buf, p, room);
	buf[room < size ? room : size - 1] = 0;
	return buf;
}

/* A field as a value; a string lies in `buf`. */
static struct trace_value value_of(struct dtproc *d, const struct cg_field *f,
	const void *base, size_t len, char *buf, size_t size)
{
	struct trace_value v = {.size = f->type_size, .is_signed = f->is_signed};

	if (f->kind == CG_INT) {
		v.number = trace_field_number(f, base, len);
	} else if (f->kind == CG_STACK || f->kind == CG_ADDRESS) {
		trace_value_named(f, bytes_of(f, base, len, f->size), &v);
	} else if (f->kind == CG_BYTES) {
		v.bytes = bytes_of(f, base, len, f->bytes);
		v.n_bytes = v.bytes ? f->bytes : 0;
	} else {
		v.text = trace_field_text(d, f, base, len, buf, size);
	}
	return v;
}

/* Memory, or with option rawbytes all of a string's room; 1: it was printed. */
static int print_bytes(struct dtproc *d, const struct cg_field *f, const void *payload,
	size_t len, FILE *out)
{
	int raw = trace_option_on(&d->options, TRACE_RAWBYTES);
	uint32_t n = f->kind == CG_BYTES ? f->bytes : f->size;
	const void *p = bytes_of(f, payload, len, n);
	int quiet = trace_option_on(&d->options, TRACE_QUIET);

	if (f->kind != CG_BYTES && !(f->kind == CG_STRING && raw))
		return 0;
	if (p && n)
		trace_print_bytes(p, n,
			raw     ? TRACE_BYTES_RAW
			: quiet ? TRACE_BYTES_QUIET
				: TRACE_BYTES_COLUMN,
			out);
	return 1;
}

static void print_trace(struct dtproc *d, const struct cg_action *a, const void *payload,
	size_t len, FILE *out)
{
	char buf[RT_RECORD_MAX];
	struct trace_value v = value_of(d, &a->fields[0], payload, len, buf, sizeof buf);
	int quiet = trace_option_on(&d->options, TRACE_QUIET);

	if (print_bytes(d, &a->fields[0], payload, len, out))
		return;
	if (v.is_stack) {
		trace_print_stack(d, &v, 0, out);
		return;
	}
	if (v.words) {
		trace_named_text(d, &v, buf, sizeof buf);
		fprintf(out, "  %-50s", buf);
		return;
	}
	if (v.text)
		fprintf(out, quiet ? "%s" : "  %-33s", v.text);
	else if (quiet && v.is_signed)
		fprintf(out, "%lld", (long long)v.number);
	else if (quiet)
		fprintf(out, "%llu", (unsigned long long)v.number);
	else
		trace_print_number(&v, out);
}

void trace_print_format(struct dtproc *d, const struct rt_record *r,
	const struct cg_action *a, const void *payload, size_t len, FILE *out)
{
	char room[RT_RECORD_MAX + LANG_ARGS_MAX], *buf = room;
	struct trace_value values[LANG_ARGS_MAX];
	struct trace_values v = {.at = values, .session = d, .pid = r->pid};

	v.n = a->n_fields < LANG_ARGS_MAX ? a->n_fields : LANG_ARGS_MAX;
	for (unsigned i = 0; i < v.n; i++) {
		const struct cg_field *f = &a->fields[i];
		size_t left = (size_t)(room + sizeof room - buf);
		size_t size = f->size + 1 < left ? f->size + 1 : left;

		values[i] = value_of(d, f, payload, len, buf, size);
		if (f->kind == CG_STRING)
			buf += size;
	}
	trace_format(a->format, &v, out);
}

static void print_print(struct dtproc *d, const struct cg_action *a, const void *payload,
	size_t len, FILE *out)
{
	const struct cg_field *f = &a->fields[0];
	char buf[RT_STRING_MAX];
	const void *p = bytes_of(f, payload, len, f->size);

	if (f->kind == CG_PROBE) {
		fprintf(out, "string \"%s\"\n",
			trace_field_text(d, f, payload, len, buf, sizeof buf));
	} else if (p) {
		trace_print_typed(
			f->type, p, f->kind == CG_BYTES ? f->bytes : f->size, out);
	}
}

static void print_action(struct dtproc *d, const struct rt_record *r,
	const struct cg_action *a, const void *payload, size_t len, FILE *out)
{
	switch (a->kind) {
	case CG_TRACE:
		print_trace(d, a, payload, len, out);
		break;
	case CG_PRINT:
		print_print(d, a, payload, len, out);
		break;
	case CG_PRINTF:
		trace_print_format(d, r, a, payload, len, out);
		break;
	case CG_EXIT:
		d->exit_status = (int)trace_field_number(&a->fields[0], payload, len);
		d->exit_called = 1;
		break;
	default:
		trace_action(d, r, a, payload, len, out);
	}
}

static void print_heading(struct dtproc *d, FILE *out)
{
	d->heading_due = 0;
	if (trace_option_on(&d->options, TRACE_FLOWINDENT))
		fprintf(out, "%3s %-41s\n", "CPU", "FUNCTION");
	else if (!trace_option_on(&d->options, TRACE_QUIET))
		fprintf(out, "%3s %6s %32s\n", "CPU", "ID", "FUNCTION:NAME");
}

static void print_prefix(struct dtproc *d, const struct rt_record *r,
	const struct rt_record *next, FILE *out)
{
	const struct probe *p = trace_probe(d, r->probe);
	char name[LANG_NAME_MAX + 300];

	if (d->heading_due)
		print_heading(d, out);
	if (trace_option_on(&d->options, TRACE_FLOWINDENT)) {
		trace_print_flow(d, r, p, next, out);
		return;
	}
	if (trace_option_on(&d->options, TRACE_QUIET))
		return;
	snprintf(name, sizeof name, "%s:%s", p ? p->function : "", p ? p->name : "");
	fprintf(out, "%3u %6u %32s ", r->cpu, r->probe, name);
}

void trace_print_record(struct dtproc *d, const struct rt_record *r, const void *payload,
	const struct rt_record *next, FILE *out)
{
	const struct cg_clause *c = hash_get(&d->clause_by_id, r->program);
	size_t len = r->size > sizeof *r ? r->size - sizeof *r : 0;

	if (!c)
		return;
	print_prefix(d, r, next, out);
	for (unsigned i = 0; i < c->n_actions; i++)
		print_action(d, r, &c->actions[i], payload, len, out);
	if (!trace_option_on(
		    &d->options, TRACE_QUIET)) /* it may have been set just now */
		fputc('\n', out);
}
