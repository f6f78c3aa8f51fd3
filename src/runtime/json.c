/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json(): the element of a JSON text that a path names ("a.b[2].c").  One walk over the
 * text, without recursion: what is not on the path is skipped by counting brackets.  A
 * text that is not JSON has no element; nothing is read behind its end.
 */
#include "own.h"

struct json {
	const char *at, *end; /* of the text */
	const char *path, *path_end;
};

static void space(struct json *j)
{
	while (j->at < j->end && (*j->at == ' ' || (*j->at >= '\t' && *j->at <= '\r')))
		j->at++;
}

/* Skips the character ahead if it is c; was it? */
static int took(struct json *j, char c)
{
	space(j);
	if (j->at == j->end || *j->at != c)
		return 0;
	j->at++;
	return 1;
}

/* Skips a string, whose quote is ahead; 1, or 0: it has no end. */
static int skip_string(struct json *j)
{
	for (j->at++; j->at < j->end && *j->at != '"'; j->at++)
		if (*j->at == '\\' && j->at + 1 < j->end)
			j->at++;
	if (j->at == j->end)
		return 0;
	j->at++;
	return 1;
}

static int is_end_of_word(char c)
{
	return c == ',' || c == ']' || c == '}' || c == ':' || c == ' ' ||
	       (c >= '\t' && c <= '\r');
}

/* Skips a value, whatever it holds; 1, or 0: it has no end. */
static int skip_value(struct json *j)
{
	int depth = 0;

	do {
		space(j);
		if (j->at == j->end)
			return 0;
		if (*j->at == '"') {
			if (!skip_string(j))
				return 0;
		} else if (*j->at == '{' || *j->at == '[') {
			depth++;
			j->at++;
		} else if (*j->at == '}' || *j->at == ']') {
			if (!depth--)
				return 0;
			j->at++;
		} else if (*j->at == ',' || *j->at == ':') {
			if (!depth)
				return 0;
			j->at++;
		} else {
			while (j->at < j->end && !is_end_of_word(*j->at))
				j->at++;
		}
	} while (depth);
	return 1;
}

/* The next part of the path: a name up to . or [, or a number in brackets. */
static int next_part(struct json *j, const char **name, uint64_t *len, uint64_t *number)
{
	if (j->path < j->path_end && *j->path == '[') {
		*number = 0;
		*name = NULL;
		for (j->path++; j->path < j->path_end && *j->path >= '0' &&
				*j->path <= '9' && *number < 1u << 20;
			j->path++)
			*number = *number * 10 + (uint64_t)(*j->path - '0');
		if (j->path == j->path_end || *j->path++ != ']')
			return 0;
	} else {
		*name = j->path;
		while (j->path < j->path_end && *j->path != '.' && *j->path != '[')
			j->path++;
		*len = (uint64_t)(j->path - *name);
		if (!*len)
			return 0;
	}
	if (j->path < j->path_end && *j->path == '.')
		j->path++;
	return 1;
}

/* Goes to the member of that name of the object ahead; 1, or 0. */
static int enter_object(struct json *j, const char *name, uint64_t len)
{
	if (!took(j, '{'))
		return 0;
	do {
		const char *key;
		int same = 1;
		space(j);
		if (j->at == j->end || *j->at != '"')
			return 0;
		key = j->at + 1;
		if (!skip_string(j) || (uint64_t)(j->at - 1 - key) != len)
			same = 0;
		for (uint64_t i = 0; same && i < len; i++)
			same = key[i] == name[i];
		if (!took(j, ':'))
			return 0;
		if (same)
			return 1;
		if (!skip_value(j))
			return 0;
	} while (took(j, ','));
	return 0;
}

/* Goes to the element of that number of the array ahead. */
static int enter_array(struct json *j, uint64_t number)
{
	if (!took(j, '['))
		return 0;
	while (number--)
		if (!skip_value(j) || !took(j, ','))
			return 0;
	space(j);
	return j->at < j->end && *j->at != ']';
}

/* Where the element of a that c names lies: first byte << 32 | length; 0: nowhere. */
RT_HELPER(rt_do_json)
{
	struct rt_span text = rt_span(a, b), path = rt_span(c, d);
	struct json j = {
		text.at, text.at + rt_length(text), path.at, path.at + rt_length(path)};
	const char *name, *from;
	uint64_t len = 0, number = 0;

	do {
		if (!next_part(&j, &name, &len, &number) ||
			!(name ? enter_object(&j, name, len) : enter_array(&j, number)))
			return 0;
	} while (j.path < j.path_end);
	space(&j);
	from = j.at;
	if (!skip_value(&j))
		return 0;
	len = (uint64_t)(j.at - from);
	if (*from == '"') {
		from++;
		len -= 2;
	}
	return (uint64_t)(from - text.at) << 32 | len;
}
