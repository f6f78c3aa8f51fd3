/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strings.  One lies in so many bytes and ends at its NUL or at their end; what is made
 * has a NUL and zeros behind it.  Positions are those of Perl's index, rindex and substr,
 * as in DTrace.
 */
#include "own.h"

/* -1, 0 or 1 */
RT_HELPER(rt_do_strcmp)
{
	const unsigned char *x = (void *)(uintptr_t)a, *y = (void *)(uintptr_t)c;

	for (uint64_t i = 0;; i++) {
		int cx = i < b ? x[i] : 0, cy = i < d ? y[i] : 0;
		if (cx != cy)
			return cx < cy ? (uint64_t)-1 : 1;
		if (!cx)
			return 0;
	}
}

RT_HELPER(rt_do_strcpy)
{
	rt_put_string(rt_span(a, b), (const char *)(uintptr_t)c, d);
	return 0;
}

RT_HELPER(rt_do_strcat)
{
	struct rt_span to = rt_span(a, b);
	uint64_t n = rt_length(to);

	if (n == to.size) /* what is there has no end */
		n--;
	rt_put_string(rt_span(a + n, b - n), (const char *)(uintptr_t)c, d);
	return 0;
}

RT_HELPER(rt_do_strlen)
{
	return rt_length(rt_span(a, b));
}

/* ----------------------------------------------------------------------- searching */

static int is_at(const char *s, const char *sub, uint64_t n)
{
	uint64_t i = 0;

	while (i < n && s[i] == sub[i])
		i++;
	return i == n;
}

/* Where c begins in a, from e on; -1: nowhere. */
RT_HELPER(rt_do_index)
{
	struct rt_span s = rt_span(a, b), sub = rt_span(c, d);
	uint64_t len = rt_length(s), n = rt_length(sub), from = 0;

	if ((int64_t)e > 0)
		from = e < len ? e : len;
	for (; from + n <= len; from++)
		if (is_at(s.at + from, sub.at, n))
			return from;
	return (uint64_t)-1;
}

/* Likewise the last one, at e or before. */
RT_HELPER(rt_do_rindex)
{
	struct rt_span s = rt_span(a, b), sub = rt_span(c, d);
	uint64_t len = rt_length(s), n = rt_length(sub), at;

	if ((int64_t)e < 0)
		return n ? (uint64_t)-1 : 0;
	if (n > len)
		return (uint64_t)-1;
	for (at = e < len - n ? e : len - n;; at--) {
		if (is_at(s.at + at, sub.at, n))
			return at;
		if (!at)
			return (uint64_t)-1;
	}
}

/* Where the byte c is in a; a NUL is at the end. */
RT_HELPER(rt_do_strchr)
{
	struct rt_span s = rt_span(a, b);
	uint64_t len = rt_length(s);

	for (uint64_t i = 0; i < len; i++)
		if (s.at[i] == (char)c)
			return i;
	return (char)c ? (uint64_t)-1 : len;
}

RT_HELPER(rt_do_strrchr)
{
	struct rt_span s = rt_span(a, b);
	uint64_t len = rt_length(s);

	if (!(char)c)
		return len;
	for (uint64_t i = len; i-- > 0;)
		if (s.at[i] == (char)c)
			return i;
	return (uint64_t)-1;
}

/* a = c from byte e on; -1: "" */
RT_HELPER(rt_do_tail)
{
	struct rt_span s = rt_span(c, d);
	uint64_t len = rt_length(s), from = e < len ? e : len;

	rt_put_string(rt_span(a, b), s.at + from, len - from);
	return 0;
}

/* a = the part of c that e says: index << 32 | length, both signed */
RT_HELPER(rt_do_substr)
{
	struct rt_span s = rt_span(c, d);
	int64_t len = (int64_t)rt_length(s), index = (int64_t)e >> 32, want = (int32_t)e;

	if (index < 0) {
		index += len;
		if (index < 0 && want >= 0)
			want = index + want > 0 ? index + want : 0;
		index = index < 0 ? 0 : index;
	}
	index = index < len ? index : len;
	if (want < 0)
		want += len - index;
	if (want > len - index)
		want = len - index;
	rt_put_string(rt_span(a, b), s.at + index, want > 0 ? (uint64_t)want : 0);
	return 0;
}

/* ------------------------------------------------------------------------- strtok() */

RT_HELPER(rt_do_token_begin)
{
	rt_put_string((struct rt_span){hit->view->token, sizeof hit->view->token},
		(const char *)(uintptr_t)a, b);
	hit->token = 1;
	return 0;
}

static int is_one_of(char c, struct rt_span set)
{
	for (uint64_t i = 0; i < set.size && set.at[i]; i++)
		if (set.at[i] == c)
			return 1;
	return 0;
}

/* a = the next token, between any of c; "": there is none */
RT_HELPER(rt_do_token_next)
{
	const char *text = hit->view->token;
	struct rt_span set = rt_span(c, d);
	uint32_t from, to, room = sizeof hit->view->token;

	if (!hit->token || hit->token > room) {
		rt_zero((void *)(uintptr_t)a, b);
		return 0;
	}
	from = hit->token - 1;
	while (from < room && text[from] && is_one_of(text[from], set))
		from++;
	to = from;
	while (to < room && text[to] && !is_one_of(text[to], set))
		to++;
	rt_put_string(rt_span(a, b), text + from, to - from);
	hit->token = to + (to < room && text[to] ? 2 : 1);
	return 0;
}

/* ------------------------------------------------------------------------ characters */

RT_HELPER(rt_do_toupper)
{
	char *to = (char *)(uintptr_t)a;

	rt_put_string(rt_span(a, b), (const char *)(uintptr_t)c, d);
	for (; *to; to++)
		*to = (char)(*to >= 'a' && *to <= 'z' ? *to - 'a' + 'A' : *to);
	return 0;
}

RT_HELPER(rt_do_tolower)
{
	char *to = (char *)(uintptr_t)a;

	rt_put_string(rt_span(a, b), (const char *)(uintptr_t)c, d);
	for (; *to; to++)
		*to = (char)(*to >= 'A' && *to <= 'Z' ? *to - 'A' + 'a' : *to);
	return 0;
}

/* --------------------------------------------------------------------------- numbers */

/* a = c in base d: with a sign in base 10, with 0 and 0x before it in 8 and 16 */
RT_HELPER(rt_do_lltostr)
{
	char text[72], *at = text + sizeof text;
	int minus = d == 10 && (int64_t)c < 0;
	uint64_t n = minus ? -c : c;

	if (d < 2 || d > 36)
		return rt_fault(hit, RT_FAULT_ILLOP, d);
	do {
		*--at = "0123456789abcdefghijklmnopqrstuvwxyz"[n % d];
	} while (n /= d);
	if (c && d == 16)
		*--at = 'x';
	if (c && (d == 16 || d == 8))
		*--at = '0';
	if (minus)
		*--at = '-';
	rt_put_string(rt_span(a, b), at, (uint64_t)(text + sizeof text - at));
	return 0;
}

static unsigned digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a' + 10);
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A' + 10);
	return 99;
}

static int is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The number that a begins with, in base c. */
RT_HELPER(rt_do_strtoll)
{
	struct rt_span s = rt_span(a, b);
	uint64_t len = rt_length(s), i = 0, n = 0;
	int minus;

	if (c < 2 || c > 36)
		return rt_fault(hit, RT_FAULT_ILLOP, c);
	while (i < len && is_space(s.at[i]))
		i++;
	minus = i < len && s.at[i] == '-';
	i += i < len && (s.at[i] == '-' || s.at[i] == '+');
	if (c == 16 && i + 1 < len && s.at[i] == '0' && (s.at[i + 1] | 32) == 'x')
		i += 2;
	for (; i < len && digit(s.at[i]) < c; i++)
		n = n * c + digit(s.at[i]);
	return minus ? -n : n;
}
