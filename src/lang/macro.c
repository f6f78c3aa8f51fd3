/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Macros: $target, $pid and their like are numbers; $1, $2 ... stand for the script's
 * arguments, as a number or a name; $$1 is the same as a string.
 */
#include "parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int64_t own(const char *name, size_t len, int *known)
{
	static const struct {
		const char *name;
		int (*get)(void);
	} own_ids[] = {{"pid", getpid}, {"ppid", getppid}, {"uid", (int (*)(void))getuid},
		{"euid", (int (*)(void))geteuid}, {"gid", (int (*)(void))getgid},
		{"egid", (int (*)(void))getegid}, {"pgid", getpgrp}};

	*known = 1;
	for (size_t i = 0; i < sizeof own_ids / sizeof own_ids[0]; i++)
		if (strlen(own_ids[i].name) == len && !memcmp(own_ids[i].name, name, len))
			return own_ids[i].get();
	if (len == 3 && !memcmp(name, "sid", 3))
		return getsid(0);
	*known = 0;
	return 0;
}

static int number(struct unit *u, int64_t v, struct macro *out)
{
	char buf[24];
	int n = snprintf(buf, sizeof buf, "%lld", (long long)v);

	*out = (struct macro){arena_copy(u->arena, buf, (size_t)n), 0, 1, (uint64_t)v};
	return out->text ? 0 : DTPROC_ENOMEM;
}

static int named(struct unit *u, uint32_t at, uint32_t end, struct macro *out)
{
	const char *name = u->text + at + 1;
	size_t len = end - at - 1;
	int known;
	int64_t v = own(name, len, &known);

	if (known)
		return number(u, v, out);
	if (len != 6 || memcmp(name, "target", 6))
		return fail(u, at, "D_MACRO_UNDEF", "",
			"macro variable $%.*s is not defined", len > 40 ? 40 : (int)len,
			name);
	if (!u->src->target)
		return fail(u, at, "D_MACRO_UNDEF", "use -c or -p",
			"$target is not defined: no process is held");
	return number(u, u->src->target, out);
}

/* An argument by number; `text` is what stands in the script's text. */
static int argument(struct unit *u, uint32_t at, unsigned long n, struct macro *out)
{
	const char *text;
	char *end;
	long long v;

	if (n < 64)
		u->args_used |= 1ull << n;
	if (n < (unsigned long)u->src->argc) {
		text = u->src->argv[n];
	} else if (u->flags & LANG_DEFAULT_ARGS) {
		text = out->quoted ? "" : "0";
	} else {
		return fail(u, at, "D_MACRO_UNDEF", "give it behind the options",
			"macro argument $%s%lu is not defined", out->quoted ? "$" : "",
			n);
	}
	out->text = arena_copy(u->arena, text, strlen(text));
	if (!out->text)
		return DTPROC_ENOMEM;
	if (out->quoted)
		return 0;
	errno = 0;
	v = strtoll(text, &end, 0);
	out->number = end != text && !*end;
	out->value = (uint64_t)v;
	if (out->number && errno)
		return fail(u, at, "D_MACRO_OFLOW", "",
			"macro argument %.40s is too large", text);
	for (const char *c = text; !out->number && *c; c++)
		if (!is_name(*c) && !strchr(":*?[]!-._`+~", *c))
			return fail(u, at, "D_SYNTAX", "write $$ for a string",
				"macro argument '%.40s' is not a number or a name", text);
	return 0;
}

int macro_read(struct unit *u, uint32_t *at, struct macro *out)
{
	uint32_t start = *at, end = start + 1;
	unsigned long n = 0;
	int digits = 0, err;

	*out = (struct macro){0};
	if (end < u->len && u->text[end] == '$') {
		out->quoted = 1;
		end++;
	}
	for (; end < u->len && u->text[end] >= '0' && u->text[end] <= '9'; end++) {
		digits++;
		n = n < 100000 ? n * 10 + (unsigned long)(u->text[end] - '0') : n;
	}
	if (digits) {
		err = argument(u, start, n, out);
	} else {
		while (end < u->len && is_name(u->text[end]))
			end++;
		if (out->quoted || end == start + 1)
			return fail(u, start, "D_SYNTAX", "expected a name or a number",
				"malformed macro");
		err = named(u, start, end, out);
	}
	if (!err)
		*at = end;
	return err;
}

int macro_unused(struct unit *u)
{
	if (u->flags & LANG_ARGREF)
		return 0;
	for (int i = 1; i < u->src->argc && i < 64; i++)
		if (!(u->args_used >> i & 1))
			return fail(u, u->len, "D_MACRO_UNUSED", "",
				"extraneous argument '%.60s' ($%d is not referenced)",
				u->src->argv[i], i);
	return 0;
}
