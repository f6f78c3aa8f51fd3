/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words of a command as a shell quotes them: '...' as it is, "..." where a backslash
 * escapes " \ $ ` and newline, and a backslash that takes the next character as it is.
 * Nothing is expanded.
 */
#include "handle.h"

#include <base/clean.h>
#include <base/vec.h>

#include <string.h>

typedef VEC(char *) word_vec;

static int is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* Copies what stands in quotes `q` from *s on, up to behind the closing one. */
static int quoted(const char **s, char q, char **to)
{
	for (++*s; **s && **s != q; ++*s) {
		if (q == '"' && **s == '\\' && (*s)[1] && strchr("\"\\$`\n", (*s)[1])) {
			++*s;
			if (**s == '\n')
				continue;
		}
		*(*to)++ = **s;
	}
	if (!**s)
		return err_set(
			DTPROC_EINVAL, "the command has a %c that is not closed", q);
	++*s;
	return 0;
}

/* Copies one word with its quotes removed. */
static int word(const char **s, char **to)
{
	while (**s && !is_blank(**s)) {
		if (**s == '\'' || **s == '"') {
			int rc = quoted(s, **s, to);
			if (rc)
				return rc;
			continue;
		}
		if (**s == '\\' && (*s)[1]) {
			++*s;
			if (**s == '\n') {
				++*s;
				continue;
			}
		}
		*(*to)++ = *(*s)++;
	}
	*(*to)++ = 0;
	return 0;
}

static int split(const char *s, char *to, word_vec *v)
{
	for (;;) {
		while (is_blank(*s))
			s++;
		if (!*s)
			break;
		if (vec_push(v, to))
			return err_nomem("a command");
		int rc = word(&s, &to);
		if (rc)
			return rc;
	}
	if (v->n == 0)
		return err_set(DTPROC_EINVAL, "the command is empty");
	return vec_push(v, NULL) ? err_nomem("a command") : 0;
}

int words_split(const char *command, char ***words)
{
	CLEAN_FREE char *text = malloc(strlen(command) + 1);
	word_vec v = {0};
	int rc;

	if (!text)
		return err_nomem("a command");
	rc = split(command, text, &v);
	if (rc) {
		vec_free(&v);
		return rc;
	}
	(void)TAKE_PTR(text); /* it is v.at[0] */
	*words = v.at;
	return 0;
}
