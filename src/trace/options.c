/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options, by -x, pragma or dtproc_setopt().  One table; a value is checked when it is
 * set.  DTrace's options that are not built yet are known by name and refused, so that a
 * script does not quietly do something else.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <base/log.h>
#include <base/number.h>
#include "own.h"

#define SECOND 1000000000ull

enum kind { FLAG, SIZE, RATE, WORD };

static const struct row {
	const char *name;
	enum kind kind;
	const char *initial;  /* NULL: unset */
	uint64_t least, most; /* of SIZE and RATE */
	const char *words;    /* of WORD, with blanks around each */
	const char *later;    /* words that are not built yet, likewise */
} table[TRACE_OPTIONS] = {
	[TRACE_AGGSIZE] = {"aggsize", SIZE, "4m", 4096, 1u << 30, NULL, NULL},
	[TRACE_AGGSORTKEY] = {"aggsortkey", FLAG, NULL, 0, 0, NULL, NULL},
	[TRACE_AGGSORTREV] = {"aggsortrev", FLAG, NULL, 0, 0, NULL, NULL},
	[TRACE_ARGREF] = {"argref", FLAG, NULL, 0, 0, NULL, NULL},
	[TRACE_BUFSIZE] = {"bufsize", SIZE, "4m", 4096, 1u << 30, NULL, NULL},
	[TRACE_DEFAULTARGS] = {"defaultargs", FLAG, NULL, 0, 0, NULL, NULL},
	[TRACE_DESTRUCTIVE] = {"destructive", FLAG, NULL, 0, 0, NULL, NULL},
	[TRACE_DYNVARSIZE] = {"dynvarsize", SIZE, "1m", 4096, 1u << 30, NULL, NULL},
	[TRACE_EMPTY] = {"empty", FLAG, NULL, 0, 0, NULL, NULL},
	[TRACE_ENGINE] = {"engine", WORD, "auto", 0, 0, " auto breakpoint ",
		" inline uprobe "},
	[TRACE_EVALTIME] = {"evaltime", WORD, "postinit", 0, 0, " exec postinit ",
		" preinit main "},
	[TRACE_INTERPRET] = {"interpret", FLAG, NULL, 0, 0, NULL, NULL},
	[TRACE_QUIET] = {"quiet", FLAG, NULL, 0, 0, NULL, NULL},
	[TRACE_STRSIZE] = {"strsize", SIZE, "256", 8, 4096, NULL, NULL},
	[TRACE_SWITCHRATE] = {"switchrate", RATE, "1s", 1000000, 3600 * SECOND, NULL,
		NULL},
	[TRACE_VERBOSE] = {"verbose", FLAG, NULL, 0, 0, NULL, NULL},
	[TRACE_ZDEFS] = {"zdefs", FLAG, NULL, 0, 0, NULL, NULL},
};

/* DTrace's, that mean nothing yet. */
static const char later[] =
	" aggrate aggsortkeypos aggsortpos aggpack agghist aggzoom bufpolicy bufresize "
	"cleanrate cpu cpp cpphdrs define flowindent grabanon incdir iregs "
	"jstackframes jstackstrsize libdir nspec rawbytes specsize stackframes statusrate "
	"stackindent temporal undef unodefs ustackframes ";

/* Is `word` one of those in a list with blanks around each? */
static int is_in(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; at && len && (at = strstr(at, word)); at++)
		if (at > list && at[-1] == ' ' && at[len] == ' ')
			return 1;
	return 0;
}

static const struct row *find(const char *name)
{
	for (size_t i = 0; i < TRACE_OPTIONS; i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
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

/* "10hz" or a time; a bare number is a rate, as in DTrace. */
static int parse_rate(const char *s, uint64_t *out)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"ns", 1}, {"nsec", 1}, {"us", 1000}, {"usec", 1000},
		{"ms", 1000000}, {"msec", 1000000}, {"s", SECOND}, {"sec", SECOND},
		{"m", 60 * SECOND}, {"min", 60 * SECOND}, {"h", 3600 * SECOND},
		{"hour", 3600 * SECOND}};
	const char *unit;
	uint64_t n;

	if (!number_parse(s, &n, &unit) || !n)
		return 0;
	if (!*unit || strcasecmp(unit, "hz") == 0) {
		*out = SECOND / n;
		return 1;
	}
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcasecmp(unit, units[i].name) == 0)
			return !__builtin_mul_overflow(n, units[i].ns, out);
	return 0;
}

static int bad_value(const struct row *r, const char *value, const char *expected)
{
	return err_set(
		DTPROC_EINVAL, "option %s: '%s' is not %s", r->name, value, expected);
}

static int check(const struct row *r, const char *value, uint64_t *number)
{
	int ok;

	switch (r->kind) {
	case FLAG:
		return 0;
	case WORD:
		if (is_in(r->later, value))
			return err_set(DTPROC_EINVAL, "option %s: %s is not built yet",
				r->name, value);
		return is_in(r->words, value) ? 0 : bad_value(r, value, r->words + 1);
	case SIZE:
		ok = parse_size(value, number);
		if (ok && r == &table[TRACE_STRSIZE] && *number != LANG_STRSIZE)
			return err_set(DTPROC_EINVAL,
				"option strsize: strings of other than %d bytes are not "
				"built yet",
				LANG_STRSIZE);
		break;
	default:
		ok = parse_rate(value, number);
	}
	if (!ok)
		return bad_value(r, value,
			r->kind == SIZE ? "a size (4m)" : "a rate (10hz, 100ms)");
	if (*number < r->least || *number > r->most)
		return err_set(
			DTPROC_EINVAL, "option %s: %s is out of range", r->name, value);
	return 0;
}

/* Does this value turn a flag off? */
static int is_off(const char *value)
{
	return strcmp(value, "0") == 0 || strcasecmp(value, "off") == 0 ||
	       strcasecmp(value, "disable") == 0 || strcasecmp(value, "unset") == 0;
}

static int store(struct trace_option_value *v, const struct row *r, const char *value)
{
	uint64_t number = 0;
	int err = check(r, value, &number);

	if (err)
		return err;
	if (strlen(value) >= sizeof v->text)
		return bad_value(r, value, "short enough");
	snprintf(v->text, sizeof v->text, "%s", value);
	v->number = number;
	v->state = r->kind == FLAG && is_off(value) ? TRACE_UNSET : TRACE_SET;
	return 0;
}

int trace_options_set(struct trace_options *o, const char *name, const char *value)
{
	const struct row *r = find(name);

	if (!r && is_in(later, name))
		return err_set(DTPROC_EINVAL, "option %s is not built yet", name);
	if (!r)
		return err_set(DTPROC_EINVAL, "no such option: %s", name);
	if ((!value || !*value) && r->kind != FLAG)
		return err_set(DTPROC_EINVAL, "option %s needs a value", name);
	return store(&o->at[r - table], r, value ? value : "");
}

void trace_options_init(struct trace_options *o)
{
	memset(o, 0, sizeof *o);
	for (size_t i = 0; i < TRACE_OPTIONS; i++) {
		if (!table[i].initial)
			continue;
		CHECK(store(&o->at[i], &table[i], table[i].initial) == 0, "%s",
			table[i].name);
		o->at[i].state = TRACE_DEFAULT;
	}
}

int trace_option_on(const struct trace_options *o, enum trace_option which)
{
	return o->at[which].state != TRACE_UNSET;
}

const char *trace_options_get(const struct trace_options *o, const char *name)
{
	const struct row *r = find(name);

	return r && trace_option_on(o, (enum trace_option)(r - table))
		       ? o->at[r - table].text
		       : NULL;
}
