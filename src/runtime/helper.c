/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The helpers that programs call.  The verifier has made sure that pointers and sizes
 * fit together and lie in the program's own memory; whatever else can be wrong with an
 * argument is checked here.
 */
#include "segment.h"

static uint64_t fault(struct rt_hit *hit, enum rt_fault code, uint64_t value)
{
	hit->fault = code;
	hit->fault_value = value;
	return 0;
}

uint64_t rt_value_get(struct rt_hit *hit, uint32_t which)
{
	uint64_t v;

	switch (which) {
	case RT_VALUE_PID:
		return (uint64_t)(int64_t)hit->pid;
	case RT_VALUE_TID:
		return (uint64_t)(int64_t)hit->tid;
	case RT_VALUE_PROBE:
		return hit->probe;
	case RT_VALUE_PROGRAM:
		return hit->program;
	case RT_VALUE_TIMESTAMP:
		if (hit->timestamp)
			return hit->timestamp;
		break;
	}
	if (which >= RT_VALUE_COUNT || !hit->host->value ||
		hit->host->value(hit->cookie, which, &v) < 0)
		return fault(hit, RT_FAULT_ILLOP, which);
	if (which == RT_VALUE_TIMESTAMP)
		hit->timestamp = v;
	return v;
}

static uint64_t value(struct rt_hit *hit, uint64_t which, uint64_t b, uint64_t c,
	uint64_t d, uint64_t e)
{
	return rt_value_get(hit, (uint32_t)which);
}

static uint64_t arg(
	struct rt_hit *hit, uint64_t n, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	uint64_t v;

	if (!hit->host->arg)
		return 0;
	if (hit->host->arg(hit->cookie, (unsigned)n, &v) < 0)
		return fault(hit, RT_FAULT_BADADDR, n);
	return v;
}

static uint64_t reg(
	struct rt_hit *hit, uint64_t n, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	uint64_t v;

	if (!hit->host->reg || hit->host->reg(hit->cookie, (unsigned)n, &v) < 0)
		return fault(hit, RT_FAULT_ILLOP, n);
	return v;
}

/* Copies a string of at most `from_size` bytes; the rest of `to` becomes zeros. */
static void copy_string(char *to, uint64_t to_size, const char *from, uint64_t from_size)
{
	uint64_t n = 0;

	while (n + 1 < to_size && n < from_size && from[n]) {
		to[n] = from[n];
		n++;
	}
	rt_zero(to + n, to_size - n);
}

static uint64_t execname(struct rt_hit *hit, uint64_t to, uint64_t size, uint64_t c,
	uint64_t d, uint64_t e)
{
	char name[RT_EXECNAME] = {0};

	if (!hit->host->execname || hit->host->execname(hit->cookie, name) < 0)
		return fault(hit, RT_FAULT_ILLOP, 0);
	copy_string((char *)(uintptr_t)to, size, name, sizeof name);
	return 0;
}

static uint64_t probe_text(struct rt_hit *hit, uint64_t part, uint64_t to, uint64_t size,
	uint64_t d, uint64_t e)
{
	const struct rt_view *view = hit->view;
	uint32_t offset = 0;

	if (hit->probe < view->geo.probes && part < RT_PARTS)
		offset = RT_READ(&view->names[hit->probe * RT_PARTS + part]);
	if (offset >= view->geo.name_bytes)
		offset = 0;
	copy_string((char *)(uintptr_t)to, size, view->text + offset,
		view->geo.name_bytes - offset);
	return 0;
}

/* -1, 0 or 1; a string ends at its NUL or its size. */
static uint64_t compare(struct rt_hit *hit, uint64_t a, uint64_t a_size, uint64_t b,
	uint64_t b_size, uint64_t e)
{
	const unsigned char *x = (void *)(uintptr_t)a, *y = (void *)(uintptr_t)b;

	for (uint64_t i = 0;; i++) {
		int cx = i < a_size ? x[i] : 0, cy = i < b_size ? y[i] : 0;
		if (cx != cy)
			return cx < cy ? (uint64_t)-1 : 1;
		if (!cx)
			return 0;
	}
}

static uint64_t copy(struct rt_hit *hit, uint64_t to, uint64_t to_size, uint64_t from,
	uint64_t from_size, uint64_t e)
{
	copy_string(
		(char *)(uintptr_t)to, to_size, (const char *)(uintptr_t)from, from_size);
	return 0;
}

static uint64_t load(struct rt_hit *hit, uint64_t to, uint64_t size, uint64_t addr,
	uint64_t d, uint64_t e)
{
	if (!hit->host->load ||
		hit->host->load(hit->cookie, addr, (void *)(uintptr_t)to, size) < 0)
		return fault(hit, RT_FAULT_BADADDR, addr);
	return 0;
}

/* How much of a string is asked for at once: a piece never crosses a page. */
#define PIECE 64u

static uint64_t load_string(struct rt_hit *hit, uint64_t to, uint64_t size, uint64_t addr,
	uint64_t d, uint64_t e)
{
	char *s = (char *)(uintptr_t)to;

	for (uint64_t at = 0; at + 1 < size;) {
		uint64_t n = PIECE - (addr + at) % PIECE;
		if (n > size - 1 - at)
			n = size - 1 - at;
		if (!hit->host->load ||
			hit->host->load(hit->cookie, addr + at, s + at, n) < 0)
			return fault(hit, RT_FAULT_BADADDR, addr + at);
		for (uint64_t end = at + n; at < end; at++) {
			if (!s[at]) {
				rt_zero(s + at, size - at);
				return 0;
			}
		}
	}
	s[size - 1] = 0;
	return 0;
}

static uint64_t length(
	struct rt_hit *hit, uint64_t s, uint64_t size, uint64_t c, uint64_t d, uint64_t e)
{
	const char *p = (const char *)(uintptr_t)s;
	uint64_t n = 0;

	while (n < size && p[n])
		n++;
	return n;
}

/* what = id | function << 32, key, key size, value, parameter of the function */
static uint64_t agg(struct rt_hit *hit, uint64_t what, uint64_t key, uint64_t size,
	uint64_t value, uint64_t param)
{
	enum rt_agg_func func = (enum rt_agg_func)(what >> 32);

	if (size % 8 || size > RT_KEY_MAX || what >> 32 >= RT_AGG_FUNCS ||
		!rt_agg_words(func, param))
		return fault(hit, RT_FAULT_ILLOP, what);
	rt_agg_update(hit->view, (uint32_t)what, func, param, (void *)(uintptr_t)key,
		(uint32_t)size, (int64_t)value);
	return 0;
}

static uint64_t emit(struct rt_hit *hit, uint64_t payload, uint64_t size, uint64_t c,
	uint64_t d, uint64_t e)
{
	if (size > RT_RECORD_MAX)
		return fault(hit, RT_FAULT_ILLOP, size);
	rt_ring_put(hit, RT_RECORD_DATA, (void *)(uintptr_t)payload, (uint32_t)size);
	return 0;
}

/* The status travels in the record; here tracing ends. */
static uint64_t end(
	struct rt_hit *hit, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	RT_PUBLISH(&hit->view->header->stop, 1);
	hit->view->urgent = 1;
	return 0;
}

static uint64_t raise_fault(struct rt_hit *hit, uint64_t code, uint64_t value, uint64_t c,
	uint64_t d, uint64_t e)
{
	return fault(hit,
		code && code < RT_FAULT_COUNT ? (enum rt_fault)code : RT_FAULT_ILLOP,
		value);
}

/* ------------------------------------------------------------ dynamic variables */

/* The table and the key; NULL, with a fault, when they make no sense. */
static const struct rt_dyn *dynamic(struct rt_hit *hit, uint64_t var, const void *key,
	uint64_t key_bytes, uint64_t value_bytes, struct rt_dyn_key *out)
{
	int is_self = (var & RT_DYN_SELF) != 0;
	const struct rt_dyn *t = is_self ? &hit->view->self : &hit->view->arrays;
	uint64_t room = rt_dyn_room(t);

	if (!(uint32_t)var || !t->head || key_bytes > room ||
		value_bytes > room - key_bytes || (key_bytes | value_bytes) % 8) {
		fault(hit, RT_FAULT_ILLOP, var);
		return NULL;
	}
	*out = (struct rt_dyn_key){(uint32_t)var, is_self ? (uint32_t)hit->tid : 0, key,
		(uint32_t)key_bytes};
	return t;
}

/* What is zero gives its room back; a string is when it is empty. */
static uint64_t set(struct rt_hit *hit, uint64_t var, const void *key, uint64_t key_bytes,
	const void *value, uint64_t bytes)
{
	struct rt_dyn_key k;
	const struct rt_dyn *t = dynamic(hit, var, key, key_bytes, bytes, &k);
	const unsigned char *b = value;
	uint64_t any = 0;

	if (!t)
		return 0;
	for (uint64_t i = 0; i < bytes && !any; i++)
		any = b[i];
	if (!any)
		rt_dyn_remove(t, &k);
	else if (!rt_dyn_set(t, &k, value, (uint32_t)bytes))
		rt_count(&hit->view->lane->dyn_drops);
	return 0;
}

static uint64_t get(struct rt_hit *hit, uint64_t var, const void *key, uint64_t key_bytes,
	void *out, uint64_t bytes)
{
	struct rt_dyn_key k;
	const struct rt_dyn *t = dynamic(hit, var, key, key_bytes, bytes, &k);

	return t ? (uint64_t)rt_dyn_get(t, &k, out, (uint32_t)bytes) : 0;
}

static uint64_t dyn_get(struct rt_hit *hit, uint64_t var, uint64_t key, uint64_t size,
	uint64_t d, uint64_t e)
{
	uint64_t v = 0;

	get(hit, var, (void *)(uintptr_t)key, size, &v, sizeof v);
	return v;
}

static uint64_t dyn_set(struct rt_hit *hit, uint64_t var, uint64_t key, uint64_t size,
	uint64_t v, uint64_t e)
{
	return set(hit, var, (void *)(uintptr_t)key, size, &v, sizeof v);
}

static uint64_t dyn_load(struct rt_hit *hit, uint64_t var, uint64_t key,
	uint64_t key_size, uint64_t to, uint64_t size)
{
	return get(
		hit, var, (void *)(uintptr_t)key, key_size, (void *)(uintptr_t)to, size);
}

static uint64_t dyn_store(struct rt_hit *hit, uint64_t var, uint64_t key,
	uint64_t key_size, uint64_t from, uint64_t size)
{
	return set(hit, var, (void *)(uintptr_t)key, key_size, (void *)(uintptr_t)from,
		size);
}

/* The same without a key. */

static uint64_t self_get(
	struct rt_hit *hit, uint64_t var, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	uint64_t v = 0;

	get(hit, var | RT_DYN_SELF, NULL, 0, &v, sizeof v);
	return v;
}

static uint64_t self_set(
	struct rt_hit *hit, uint64_t var, uint64_t v, uint64_t c, uint64_t d, uint64_t e)
{
	return set(hit, var | RT_DYN_SELF, NULL, 0, &v, sizeof v);
}

static uint64_t self_load(struct rt_hit *hit, uint64_t var, uint64_t to, uint64_t size,
	uint64_t d, uint64_t e)
{
	return get(hit, var | RT_DYN_SELF, NULL, 0, (void *)(uintptr_t)to, size);
}

static uint64_t self_store(struct rt_hit *hit, uint64_t var, uint64_t from, uint64_t size,
	uint64_t d, uint64_t e)
{
	return set(hit, var | RT_DYN_SELF, NULL, 0, (void *)(uintptr_t)from, size);
}

/* ---------------------------------------------------------------- destructive ones */

static uint64_t send_signal(
	struct rt_hit *hit, uint64_t sig, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	if (!hit->host->raise || sig - 1 >= RT_SIGNALS ||
		hit->host->raise(hit->cookie, (unsigned)sig) < 0)
		return fault(hit, RT_FAULT_ILLOP, sig);
	return 0;
}

#define IN RT_ARG_IN, RT_ARG_SIZE
#define OUT RT_ARG_OUT, RT_ARG_SIZE

const struct rt_helper rt_helpers[RT_HELPERS] = {
	[RT_HELPER_VALUE] = {"value", value, {RT_ARG_CONST}},
	[RT_HELPER_ARG] = {"arg", arg, {RT_ARG_CONST}},
	[RT_HELPER_REG] = {"reg", reg, {RT_ARG_CONST}},
	[RT_HELPER_EXECNAME] = {"execname", execname, {OUT}},
	[RT_HELPER_PROBE_TEXT] = {"probe_text", probe_text, {RT_ARG_CONST, OUT}},
	[RT_HELPER_STRCMP] = {"strcmp", compare, {IN, IN}},
	[RT_HELPER_STRCPY] = {"strcpy", copy, {OUT, IN}},
	[RT_HELPER_LOAD] = {"load", load, {OUT, RT_ARG_SCALAR}},
	[RT_HELPER_LOAD_STRING] = {"load_string", load_string, {OUT, RT_ARG_SCALAR}},
	[RT_HELPER_STRLEN] = {"strlen", length, {IN}},
	[RT_HELPER_AGG] = {"agg", agg, {RT_ARG_CONST, IN, RT_ARG_SCALAR, RT_ARG_CONST}},
	[RT_HELPER_EMIT] = {"emit", emit, {IN}},
	[RT_HELPER_EXIT] = {"exit", end, {RT_ARG_NONE}},
	[RT_HELPER_FAULT] = {"fault", raise_fault, {RT_ARG_CONST, RT_ARG_SCALAR}},
	[RT_HELPER_SELF_GET] = {"self_get", self_get, {RT_ARG_CONST}},
	[RT_HELPER_SELF_SET] = {"self_set", self_set, {RT_ARG_CONST, RT_ARG_SCALAR}},
	[RT_HELPER_SELF_LOAD] = {"self_load", self_load, {RT_ARG_CONST, OUT}},
	[RT_HELPER_SELF_STORE] = {"self_store", self_store, {RT_ARG_CONST, IN}},
	[RT_HELPER_RAISE] = {"raise", send_signal, {RT_ARG_SCALAR}},
	[RT_HELPER_DYN_GET] = {"dyn_get", dyn_get, {RT_ARG_CONST, IN}},
	[RT_HELPER_DYN_SET] = {"dyn_set", dyn_set, {RT_ARG_CONST, IN, RT_ARG_SCALAR}},
	[RT_HELPER_DYN_LOAD] = {"dyn_load", dyn_load, {RT_ARG_CONST, IN, OUT}},
	[RT_HELPER_DYN_STORE] = {"dyn_store", dyn_store, {RT_ARG_CONST, IN, IN}},
};
