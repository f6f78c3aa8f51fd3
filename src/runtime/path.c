/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths, and addresses of the network as text. */
#include "own.h"

/* Length of a path without the slashes at its end; of "///" it is 1. */
static uint64_t without_slashes(struct rt_span s)
{
	uint64_t n = rt_length(s);

	while (n > 1 && s.at[n - 1] == '/')
		n--;
	return n;
}

RT_HELPER(rt_do_basename)
{
	struct rt_span s = rt_span(c, d);
	uint64_t end = without_slashes(s), from = end;

	while (from && s.at[from - 1] != '/')
		from--;
	if (!end)
		rt_put_string(rt_span(a, b), ".", 1);
	else if (from == end) /* "/" */
		rt_put_string(rt_span(a, b), "/", 1);
	else
		rt_put_string(rt_span(a, b), s.at + from, end - from);
	return 0;
}

RT_HELPER(rt_do_dirname)
{
	struct rt_span s = rt_span(c, d);
	uint64_t end = without_slashes(s);

	while (end && s.at[end - 1] != '/')
		end--;
	s.size = end;
	if (!end)
		rt_put_string(rt_span(a, b), ".", 1);
	else
		rt_put_string(rt_span(a, b), s.at, without_slashes(s));
	return 0;
}

/* The length that is left when a path's last part is taken away; the slash goes too. */
static uint64_t above(const char *path, uint64_t n)
{
	while (n && path[n - 1] != '/')
		n--;
	return n ? n - 1 : 0;
}

/* Is the last part of a path ".." itself? */
static int ends_above(const char *path, uint64_t n)
{
	return n >= 2 && path[n - 1] == '.' && path[n - 2] == '.' &&
	       (n == 2 || path[n - 3] == '/');
}

/*
 * Appends a part to a path of n bytes; the new length, or n when there is no room.  An
 * absolute path of n = 0 is the root.
 */
static uint64_t append(
	struct rt_span to, uint64_t n, int absolute, const char *part, uint64_t len)
{
	int slash = n || absolute;

	if (n + (uint64_t)slash + len + 1 > to.size)
		return n;
	if (slash)
		to.at[n++] = '/';
	rt_copy(to.at + n, part, len);
	return n + len;
}

/* a = c without empty parts, "." and ".." */
RT_HELPER(rt_do_cleanpath)
{
	struct rt_span to = rt_span(a, b), s = rt_span(c, d);
	uint64_t len = rt_length(s), n = 0, end;
	int absolute = len && s.at[0] == '/';

	for (uint64_t at = 0; at < len; at = end + 1) {
		const char *part = s.at + at;
		uint64_t size;
		for (end = at; end < len && s.at[end] != '/';)
			end++;
		size = end - at;
		if (!size || (size == 1 && part[0] == '.'))
			continue;
		if (size == 2 && part[0] == '.' && part[1] == '.' &&
			(absolute || (n && !ends_above(to.at, n))))
			n = above(to.at, n);
		else
			n = append(to, n, absolute, part, size);
	}
	if (!n && len && to.size > 1)
		to.at[n++] = absolute ? '/' : '.';
	rt_zero(to.at + n, to.size - n);
	return 0;
}

/* ------------------------------------------------------------------------- addresses */

#define INET 2u /* AF_INET, AF_INET6 */
#define INET6 10u

static char *decimal(char *at, unsigned n)
{
	if (n > 99)
		*at++ = (char)('0' + n / 100);
	if (n > 9)
		*at++ = (char)('0' + n / 10 % 10);
	*at++ = (char)('0' + n % 10);
	return at;
}

static char *four(char *at, const unsigned char *bytes)
{
	for (int i = 0; i < 4; i++) {
		at = decimal(at, bytes[i]);
		*at++ = '.';
	}
	return at - 1;
}

static char *hex(char *at, unsigned n)
{
	for (int shift = 12; shift >= 0; shift -= 4)
		if (n >> shift || !shift)
			*at++ = "0123456789abcdef"[n >> shift & 15];
	return at;
}

/* The longest run of two zero words or more, of which the first counts: where, and how
 * long. */
static int zeros(const unsigned char *bytes, int *length)
{
	int best = -1, run = 0;

	*length = 1;
	for (int i = 0; i < 8; i++) {
		run = bytes[2 * i] | bytes[2 * i + 1] ? 0 : run + 1;
		if (run > *length) {
			*length = run;
			best = i - run + 1;
		}
	}
	return best;
}

static char *eight(char *at, const unsigned char *bytes)
{
	int length, gap = zeros(bytes, &length);
	int mapped = gap == 0 && length == 5 && bytes[10] == 0xff && bytes[11] == 0xff;

	for (int i = 0; i < 8; i++) {
		if (i == gap) {
			*at++ = ':';
			*at++ = ':';
			i += length - 1;
			continue;
		}
		if (i == 6 && (mapped || (gap == 0 && length == 6)))
			return four(at, bytes + 12);
		at = hex(at, (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1]);
		if (i < 7 && i + 1 != gap)
			*at++ = ':';
	}
	return at;
}

/* a = the address of family c at d */
RT_HELPER(rt_do_inet_ntop)
{
	unsigned char bytes[16];
	char text[64], *end;

	if (c != INET && c != INET6)
		return rt_fault(hit, RT_FAULT_ILLOP, c);
	if (rt_load(hit, d, bytes, c == INET ? 4 : 16))
		return 0;
	end = c == INET ? four(text, bytes) : eight(text, bytes);
	rt_put_string(rt_span(a, b), text, (uint64_t)(end - text));
	return 0;
}
