/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Actions that the consumer carries out when it comes to their record: system(),
 * freopen(), ftruncate(), setopt(), tracemem().
 *
 * freopen() makes the client's stream write elsewhere by its descriptor, so that whoever
 * holds the stream need not know; what was there before comes back with freopen(""), or
 * when tracing ends.
 */
#include <base/clean.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <victim/victim.h>
#include "own.h"

/* What a command prints comes behind what was printed before it. */
static void run(struct dtproc *d, const char *command, FILE *out)
{
	fflush(out);
	if (system(command) == -1)
		trace_warn(d, "system(\"%.80s\"): %s", command, strerror(errno));
}

void trace_output_back(struct dtproc *d, FILE *out)
{
	if (d->saved_out < 0)
		return;
	fflush(out);
	dup2(d->saved_out, fileno(out));
	close(d->saved_out);
	d->saved_out = -1;
}

static int open_output(struct dtproc *d, const char *path, FILE *out)
{
	int to = fileno(out), fd;

	if (to < 0)
		return err_set(
			DTPROC_EINVAL, "freopen(): the output is no file of the system");
	fd = victim_lift(
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666));
	if (fd < 0)
		return err_errno(DTPROC_ESYS, errno, "freopen(\"%.80s\")", path);
	if (d->saved_out < 0)
		d->saved_out = victim_lift(fcntl(to, F_DUPFD_CLOEXEC, 0));
	if (d->saved_out < 0 || fflush(out) || dup2(fd, to) < 0) {
		close(fd);
		return err_errno(DTPROC_ESYS, errno, "freopen(\"%.80s\")", path);
	}
	close(fd);
	return 0;
}

static void reopen(struct dtproc *d, const char *path, FILE *out)
{
	if (!*path)
		trace_output_back(d, out);
	else if (open_output(d, path, out))
		trace_warn(d, "%s", err_text());
}

static void truncate_output(struct dtproc *d, FILE *out)
{
	fflush(out);
	if (fileno(out) < 0 || ftruncate(fileno(out), 0))
		trace_warn(d, "ftruncate(): the output is no file that can be cut: %s",
			strerror(errno));
	else
		lseek(fileno(out), 0, SEEK_SET);
}

static void set_option(
	struct dtproc *d, const struct cg_action *a, const void *payload, size_t len)
{
	char name[64], value[256] = "";

	/* A literal lies in the room that it takes, a value of a run in strsize. */
	snprintf(name, sizeof name, "%s",
		trace_field_text(d, &a->fields[0], payload, len, value, sizeof value));
	value[0] = 0;
	if (dtproc_setopt(d, name,
		    a->n_fields < 2 ? NULL
				    : trace_field_text(d, &a->fields[1], payload, len,
					      value, sizeof value)))
		trace_warn(d, "setopt(\"%s\"): %s", name, err_text());
}

static void print_memory(
	const struct cg_action *a, const void *payload, size_t len, FILE *out)
{
	const struct cg_field *f = &a->fields[0];
	int64_t shown = f->bytes;

	if (a->n_fields > 1)
		shown = (int64_t)trace_field_number(&a->fields[1], payload, len);
	if (shown < 0 || shown > f->bytes)
		shown = f->bytes;
	if (f->offset <= len && len - f->offset >= f->bytes)
		trace_print_bytes((const char *)payload + f->offset, (size_t)shown,
			TRACE_BYTES_RAW, out);
}

/* What printf() would print, as a string that the caller frees; NULL: no memory. */
static char *formatted(struct dtproc *d, const struct rt_record *r,
	const struct cg_action *a, const void *payload, size_t len)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	trace_print_format(d, r, a, payload, len, f);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

static void with_text(struct dtproc *d, const struct rt_record *r,
	const struct cg_action *a, const void *payload, size_t len, FILE *out)
{
	CLEAN_FREE char *text = formatted(d, r, a, payload, len);

	if (!text)
		trace_warn(d, "out of memory for a command or a path");
	else if (a->kind == CG_SYSTEM)
		run(d, text, out);
	else
		reopen(d, text, out);
}

void trace_action(struct dtproc *d, const struct rt_record *r, const struct cg_action *a,
	const void *payload, size_t len, FILE *out)
{
	switch (a->kind) {
	case CG_SYSTEM:
	case CG_FREOPEN:
		with_text(d, r, a, payload, len, out);
		break;
	case CG_FTRUNCATE:
		truncate_output(d, out);
		break;
	case CG_SETOPT:
		set_option(d, a, payload, len);
		break;
	case CG_TRACEMEM:
		print_memory(a, payload, len, out);
		break;
	default:
		trace_aggregation_action(d, a, payload, len, out);
	}
}
