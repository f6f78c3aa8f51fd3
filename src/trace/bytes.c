/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes without a better form: a string if they look like one, else a dump, as DTrace's.
 */
#include <ctype.h>
#include <string.h>
#include "own.h"

#define MARGIN 5
#define ROW 16

/* Length of the text that the bytes are, ended by zeros or by nothing; -1: they are none.
 */
static long text_length(const unsigned char *b, size_t n)
{
	size_t len = 0;

	while (len < n &&
		(isprint(b[len]) || isspace(b[len]) || b[len] == '\a' || b[len] == '\b'))
		len++;
	for (size_t i = len; i < n; i++)
		if (b[i])
			return -1;
	return len ? (long)len : -1;
}

static void row(const unsigned char *b, size_t n, FILE *out)
{
	for (size_t i = 0; i < ROW; i++)
		if (i < n)
			fprintf(out, " %02x", b[i]);
		else
			fputs("   ", out);
	fputs("  ", out);
	for (size_t i = 0; i < n; i++)
		fputc(isprint(b[i]) ? b[i] : '.', out);
	fputc('\n', out);
}

static void dump(const unsigned char *b, size_t n, FILE *out)
{
	fprintf(out, "\n%*s      ", MARGIN, "");
	for (int i = 0; i < ROW; i++)
		fprintf(out, "  %x", i);
	fputs("  0123456789abcdef\n", out);
	for (size_t i = 0; i < n; i += ROW) {
		fprintf(out, "%*s%5zx:", MARGIN, "", i);
		row(b + i, n - i < ROW ? n - i : ROW, out);
	}
}

void trace_print_bytes(const void *bytes, size_t n, enum trace_bytes_form form, FILE *out)
{
	long len = form == TRACE_BYTES_RAW ? -1 : text_length(bytes, n);

	if (len < 0)
		dump(bytes, n, out);
	else
		fprintf(out, form == TRACE_BYTES_QUIET ? "%.*s" : "  %-33.*s", (int)len,
			(const char *)bytes);
}
