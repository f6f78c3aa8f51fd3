/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of options: each is checked when it is set.  What a bad one is told begins in
 * DTrace's words, and says what would be right.
 */
#include "options.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <base/log.h>
#include <base/number.h>

#define SECOND 1000000000ull

/* Is `word` one of those in a list with blanks around each? */
static int is_in(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; at && len && (at = strstr(at, word)); at++)
		if (at > list && at[-1] == ' ' && at[len] == ' ')
			return 1;
	return 0;
}

static int parse_number(const char *s, uint64_t *out)
{
	const char *rest;

	return number_parse(s, out, &rest) && !*rest;
}

/* "4m", "512", "1gb" */
static int parse_size(const char *s, uint64_t *out)
{
	static const char powers[] = "kmgt";
	const char *unit, *p;
	uint64_t n;

	if (!number_parse(s, &n, &unit))
		return 0;
	if (*unit && (p = strchr(powers, tolower((unsigned char)*unit)))) {
		if (__builtin_mul_overflow(n, 1ull << (10 * (p - powers + 1)), &n))
			return 0;
		unit++;
	}
	if (tolower((unsigned char)*unit) == 'b')
		unit++;
	*out = n;
	return *unit == 0;
}

/* "10hz" or a time; a bare number is a rate, as the guide has it. */
static int parse_rate(const char *s, uint64_t *out)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"ns", 1}, {"nsec", 1}, {"us", 1000}, {"usec", 1000},
		{"ms", 1000000}, {"msec", 1000000}, {"s", SECOND}, {"sec", SECOND},
		{"m", 60 * SECOND}, {"min", 60 * SECOND}, {"h", 3600 * SECOND},
		{"hour", 3600 * SECOND}, {"d", 86400 * SECOND}, {"day", 86400 * SECOND}};
	const char *unit;
	uint64_t n;

	if (!number_parse(s, &n, &unit))
		return 0;
	if (!*unit || strcasecmp(unit, "hz") == 0) {
		*out = n ? SECOND / n : 0;
		return 1;
	}
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcasecmp(unit, units[i].name) == 0)
			return !__builtin_mul_overflow(n, units[i].ns, out);
	return 0;
}

/* Two stabilities and a class: what is checked is only that they are words of DTrace. */
static int parse_attributes(const char *s)
{
	static const char stability[] = " internal private obsolete external unstable "
					"evolving stable standard ";
	static const char class[] = " unknown cpu platform group isa common ";
	char word[3][16] = {"", "", ""};
	int end = 0;

	if (sscanf(s, "%15[A-Za-z]/%15[A-Za-z]/%15[A-Za-z]%n", word[0], word[1], word[2],
		    &end) != 3 ||
		s[end])
		return 0;
	for (unsigned i = 0; i < 3; i++)
		for (char *c = word[i]; *c; c++)
			*c = (char)tolower((unsigned char)*c);
	return is_in(stability, word[0]) && is_in(stability, word[1]) &&
	       is_in(class, word[2]);
}

/* A version of DTrace's D: 1.0 to 1.13, and a micro version. */
static int parse_version(const char *s)
{
	unsigned major, minor, micro = 0;
	int end = 0, more = 0;

	if (sscanf(s, "%2u.%3u%n.%3u%n", &major, &minor, &end, &micro, &more) < 2)
		return 0;
	return !s[more ? more : end] && major == 1 && minor <= 13;
}

static int bad_value(const struct option_row *r, const char *value, const char *expected)
{
	return err_set(DTPROC_EINVAL,
		"Invalid value for specified option: '%.40s' is not %s (%s)", value,
		expected, r->name);
}

static int check_word(const struct option_row *r, const char *value)
{
	char expected[64];

	if (is_in(r->later, value))
		return err_set(
			DTPROC_EINVAL, "option %s: %s is not built yet", r->name, value);
	if (is_in(r->words, value))
		return 0;
	snprintf(expected, sizeof expected, "one of%s", r->words);
	expected[strlen(expected) - 1] = 0;
	return bad_value(r, value, expected);
}

/* Does this value turn a flag off? */
static int is_off(const char *value)
{
	return is_in(" 0 off disable unset ", value);
}

static int is_flag_value(const char *value)
{
	uint64_t n;

	return !*value || is_off(value) || is_in(" on enable set ", value) ||
	       parse_number(value, &n);
}

static int check_number(const struct option_row *r, const char *value, uint64_t *number)
{
	int ok = r->kind == OPTION_NUMBER ? parse_number(value, number)
		 : r->kind == OPTION_SIZE ? parse_size(value, number)
					  : parse_rate(value, number);

	if (!ok)
		return bad_value(r, value,
			r->kind == OPTION_NUMBER ? "a number"
			: r->kind == OPTION_SIZE ? "a size, such as 4m"
						 : "a rate, such as 10hz or 100ms");
	if (*number < r->least || *number > r->most)
		return err_set(DTPROC_EINVAL,
			"Invalid value for specified option: %s=%s is out of range",
			r->name, value);
	return 0;
}

static int check(const struct option_row *r, const char *value, uint64_t *number)
{
	switch (r->kind) {
	case OPTION_FLAG:
		return is_flag_value(value) ? 0 : bad_value(r, value, "for a switch");
	case OPTION_WORD:
		return check_word(r, value);
	case OPTION_ATTRIBUTES:
		return parse_attributes(value)
			       ? 0
			       : bad_value(r, value, "attributes, as Stable/Stable/ISA");
	case OPTION_VERSION:
		return parse_version(value) ? 0 : bad_value(r, value, "a version of D");
	default:
		return check_number(r, value, number);
	}
}

static int store(
	struct trace_option_value *v, const struct option_row *r, const char *value)
{
	uint64_t number = 0;
	int err = check(r, value, &number);

	if (err)
		return err;
	if (strlen(value) >= sizeof v->text)
		return bad_value(r, value, "short enough");
	snprintf(v->text, sizeof v->text, "%s", value);
	v->number = number;
	v->state = r->kind == OPTION_FLAG && is_off(value) ? TRACE_UNSET : TRACE_SET;
	return 0;
}

/* Where the value of an option lies that does something here; NULL: it does nothing. */
static struct trace_option_value *value_of(struct trace_options *o, const char *name)
{
	for (size_t i = 0; i < TRACE_OPTIONS; i++)
		if (strcmp(option_rows[i].name, name) == 0)
			return &o->at[i];
	return NULL;
}

int trace_options_set(struct trace_options *o, const char *name, const char *value)
{
	const struct option_row *r = option_find(name);
	const char *why = r ? NULL : option_why_refused(name);
	struct trace_option_value unused, *v = value_of(o, name);

	if (why)
		return err_set(DTPROC_EINVAL, "%s: %s", name, why);
	if (!r)
		return err_set(DTPROC_EINVAL, "Invalid option name: %.40s", name);
	if ((!value || !*value) && r->kind != OPTION_FLAG)
		return err_set(DTPROC_EINVAL,
			"Invalid value for specified option: %s needs one", name);
	value = value ? value : "";
	return store(v ? v : &unused, r, value);
}

void trace_options_init(struct trace_options *o)
{
	memset(o, 0, sizeof *o);
	for (size_t i = 0; i < TRACE_OPTIONS; i++) {
		const struct option_row *r = &option_rows[i];

		if (!r->initial)
			continue;
		CHECK(store(&o->at[i], r, r->initial) == 0, "%s", r->name);
		o->at[i].state = TRACE_DEFAULT;
	}
}

int trace_option_on(const struct trace_options *o, enum trace_option which)
{
	return o->at[which].state != TRACE_UNSET;
}

uint64_t trace_option_number(
	const struct trace_options *o, enum trace_option which, uint64_t otherwise)
{
	return trace_option_on(o, which) ? o->at[which].number : otherwise;
}

int trace_option_is(
	const struct trace_options *o, enum trace_option which, const char *word)
{
	return trace_option_on(o, which) && strcmp(o->at[which].text, word) == 0;
}

int trace_option_is_live(const char *name)
{
	const struct option_row *r = option_find(name);

	return r && r->live;
}

const char *trace_options_get(const struct trace_options *o, const char *name)
{
	const struct trace_option_value *v = value_of((struct trace_options *)o, name);

	return v && v->state != TRACE_UNSET ? v->text : NULL;
}
