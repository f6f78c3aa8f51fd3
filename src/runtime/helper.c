/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The helpers that programs call.  The verifier has made sure that pointers and sizes
 * fit together and lie in the program's own memory; whatever else can be wrong with an
 * argument is checked here.
 */
#include "own.h"

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
		return rt_fault(hit, RT_FAULT_ILLOP, which);
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
		return rt_fault(hit, RT_FAULT_BADADDR, n);
	return v;
}

static uint64_t reg(
	struct rt_hit *hit, uint64_t n, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	uint64_t v;

	if (!hit->host->reg || hit->host->reg(hit->cookie, (unsigned)n, &v) < 0)
		return rt_fault(hit, RT_FAULT_ILLOP, n);
	return v;
}

static uint64_t execname(struct rt_hit *hit, uint64_t to, uint64_t size, uint64_t c,
	uint64_t d, uint64_t e)
{
	char name[RT_EXECNAME] = {0};

	if (!hit->host->execname || hit->host->execname(hit->cookie, name) < 0)
		return rt_fault(hit, RT_FAULT_ILLOP, 0);
	rt_put_string(rt_span(to, size), name, sizeof name);
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
	rt_put_string(
		rt_span(to, size), view->text + offset, view->geo.name_bytes - offset);
	return 0;
}

RT_HELPER(text)
{
	char *to = (char *)(uintptr_t)b;

	if (a >= RT_TEXTS || !hit->host->text ||
		hit->host->text(hit->cookie, (uint32_t)a, to, c) < 0)
		return rt_fault(hit, RT_FAULT_ILLOP, a);
	rt_put_string(rt_span(b, c), to, c);
	return 0;
}

RT_HELPER(ureg)
{
	uint64_t v;

	if (a >= RT_UREG || !hit->host->reg ||
		hit->host->reg(hit->cookie, RT_UREG | (unsigned)a, &v) < 0)
		return rt_fault(hit, RT_FAULT_ILLOP, a);
	return v;
}

RT_HELPER(progenyof)
{
	int is = hit->host->progeny ? hit->host->progeny(hit->cookie, (int64_t)a) : -1;

	return is < 0 ? rt_fault(hit, RT_FAULT_ILLOP, a) : (uint64_t)is;
}

/* 31 bits of a generator (xorshift*) that begins with the time. */
RT_HELPER(random_number)
{
	struct rt_view *view = hit->view;
	uint64_t x = view->random;

	if (!x)
		x = (rt_value_get(hit, RT_VALUE_TIMESTAMP) ^ (uint64_t)hit->tid << 32) |
		    1;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	view->random = x;
	return x * 0x2545f4914f6cdd1dull >> 33;
}

/* what = id | function << 32, key, key size, value, parameter of the function */
static uint64_t agg(struct rt_hit *hit, uint64_t what, uint64_t key, uint64_t size,
	uint64_t value, uint64_t param)
{
	enum rt_agg_func func = (enum rt_agg_func)(what >> 32);

	if (size % 8 || size > RT_KEY_MAX || what >> 32 >= RT_AGG_FUNCS ||
		!rt_agg_words(func, param))
		return rt_fault(hit, RT_FAULT_ILLOP, what);
	rt_agg_update(hit->view, (uint32_t)what, func, param, (void *)(uintptr_t)key,
		(uint32_t)size, (int64_t)value, 1);
	return 0;
}

/* The same with an increment: value, parameter and increment are in memory, d. */
RT_HELPER(agg_by)
{
	enum rt_agg_func func = (enum rt_agg_func)(a >> 32);
	struct rt_agg_by by;

	if (c % 8 || c > RT_KEY_MAX || a >> 32 >= RT_AGG_FUNCS || e < sizeof by)
		return rt_fault(hit, RT_FAULT_ILLOP, a);
	rt_copy(&by, (void *)(uintptr_t)d, sizeof by);
	if (!rt_agg_words(func, by.param))
		return rt_fault(hit, RT_FAULT_ILLOP, a);
	rt_agg_update(hit->view, (uint32_t)a, func, by.param, (void *)(uintptr_t)b,
		(uint32_t)c, (int64_t)by.value, by.by);
	return 0;
}

static uint64_t emit(struct rt_hit *hit, uint64_t payload, uint64_t size, uint64_t c,
	uint64_t d, uint64_t e)
{
	if (size > RT_RECORD_MAX)
		return rt_fault(hit, RT_FAULT_ILLOP, size);
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

/*
 * To a memory of words: whose addresses (RT_WHOSE), and the PCs of its stack, with zeros
 * behind the last.  Where there is no thread (BEGIN), or nobody can walk, there are none.
 */
static uint64_t stack(struct rt_hit *hit, uint64_t to, uint64_t size, uint64_t c,
	uint64_t d, uint64_t e)
{
	uint64_t *words = (uint64_t *)(uintptr_t)to, room = size / 8 - 1;
	int n = 0;

	if (size % 8 || to % 8 || size < 8)
		return rt_fault(hit, RT_FAULT_ILLOP, size);
	rt_zero(words, size);
	words[0] = RT_WHOSE(hit->pid, hit->epoch);
	if (hit->host->stack && room)
		n = hit->host->stack(hit->cookie, words + 1, (uint32_t)room);
	return n > 0 ? (uint64_t)n : 0;
}

static uint64_t raise_fault(struct rt_hit *hit, uint64_t code, uint64_t value, uint64_t c,
	uint64_t d, uint64_t e)
{
	return rt_fault(hit,
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
		rt_fault(hit, RT_FAULT_ILLOP, var);
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
		return rt_fault(hit, RT_FAULT_ILLOP, sig);
	return 0;
}

#define IN RT_ARG_IN, RT_ARG_SIZE
#define OUT RT_ARG_OUT, RT_ARG_SIZE
#define NUMBER RT_ARG_SCALAR

const struct rt_helper rt_helpers[RT_HELPERS] = {
	[RT_HELPER_VALUE] = {"value", value, {RT_ARG_CONST}},
	[RT_HELPER_ARG] = {"arg", arg, {RT_ARG_CONST}},
	[RT_HELPER_REG] = {"reg", reg, {RT_ARG_CONST}},
	[RT_HELPER_EXECNAME] = {"execname", execname, {OUT}},
	[RT_HELPER_PROBE_TEXT] = {"probe_text", probe_text, {RT_ARG_CONST, OUT}},
	[RT_HELPER_STRCMP] = {"strcmp", rt_do_strcmp, {IN, IN}},
	[RT_HELPER_STRCPY] = {"strcpy", rt_do_strcpy, {OUT, IN}},
	[RT_HELPER_LOAD] = {"load", rt_do_load, {OUT, RT_ARG_SCALAR}},
	[RT_HELPER_LOAD_STRING] = {"load_string", rt_do_load_string,
		{OUT, RT_ARG_SCALAR}},
	[RT_HELPER_STRLEN] = {"strlen", rt_do_strlen, {IN}},
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
	[RT_HELPER_LOAD_STRING_MAX] = {"load_string_max", rt_do_load_string_max,
		{OUT, NUMBER, NUMBER}},
	[RT_HELPER_ALLOCA] = {"alloca", rt_do_alloca, {NUMBER}},
	[RT_HELPER_COPYIN] = {"copyin", rt_do_copyin, {NUMBER, NUMBER}},
	[RT_HELPER_BCOPY] = {"bcopy", rt_do_bcopy, {NUMBER, NUMBER, NUMBER}},
	[RT_HELPER_COPYOUT] = {"copyout", rt_do_copyout, {NUMBER, NUMBER, NUMBER}},
	[RT_HELPER_COPYOUTSTR] = {"copyoutstr", rt_do_copyoutstr, {IN, NUMBER, NUMBER}},
	[RT_HELPER_STRCAT] = {"strcat", rt_do_strcat, {OUT, IN}},
	[RT_HELPER_INDEX] = {"index", rt_do_index, {IN, IN, NUMBER}},
	[RT_HELPER_RINDEX] = {"rindex", rt_do_rindex, {IN, IN, NUMBER}},
	[RT_HELPER_STRCHR] = {"strchr", rt_do_strchr, {IN, NUMBER}},
	[RT_HELPER_STRRCHR] = {"strrchr", rt_do_strrchr, {IN, NUMBER}},
	[RT_HELPER_TAIL] = {"tail", rt_do_tail, {OUT, IN, NUMBER}},
	[RT_HELPER_SUBSTR] = {"substr", rt_do_substr, {OUT, IN, NUMBER}},
	[RT_HELPER_TOKEN_BEGIN] = {"token_begin", rt_do_token_begin, {IN}},
	[RT_HELPER_TOKEN_NEXT] = {"token_next", rt_do_token_next, {OUT, IN}},
	[RT_HELPER_TOUPPER] = {"toupper", rt_do_toupper, {OUT, IN}},
	[RT_HELPER_TOLOWER] = {"tolower", rt_do_tolower, {OUT, IN}},
	[RT_HELPER_LLTOSTR] = {"lltostr", rt_do_lltostr, {OUT, NUMBER, NUMBER}},
	[RT_HELPER_STRTOLL] = {"strtoll", rt_do_strtoll, {IN, NUMBER}},
	[RT_HELPER_BASENAME] = {"basename", rt_do_basename, {OUT, IN}},
	[RT_HELPER_DIRNAME] = {"dirname", rt_do_dirname, {OUT, IN}},
	[RT_HELPER_CLEANPATH] = {"cleanpath", rt_do_cleanpath, {OUT, IN}},
	[RT_HELPER_INET_NTOP] = {"inet_ntop", rt_do_inet_ntop, {OUT, NUMBER, NUMBER}},
	[RT_HELPER_JSON] = {"json", rt_do_json, {IN, IN}},
	[RT_HELPER_RAND] = {"rand", random_number, {RT_ARG_NONE}},
	[RT_HELPER_PROGENYOF] = {"progenyof", progenyof, {NUMBER}},
	[RT_HELPER_TEXT] = {"text", text, {RT_ARG_CONST, OUT}},
	[RT_HELPER_SPECULATION] = {"speculation", rt_do_speculation, {RT_ARG_NONE}},
	[RT_HELPER_SPECULATE] = {"speculate", rt_do_speculate, {NUMBER, OUT}},
	[RT_HELPER_EMIT_TAGGED] = {"emit_tagged", rt_do_emit_tagged, {IN}},
	[RT_HELPER_COMMIT] = {"commit", rt_do_commit, {NUMBER}},
	[RT_HELPER_DISCARD] = {"discard", rt_do_discard, {NUMBER}},
	[RT_HELPER_AGG_BY] = {"agg_by", agg_by, {RT_ARG_CONST, IN, IN}},
	[RT_HELPER_UREG] = {"ureg", ureg, {NUMBER}},
	[RT_HELPER_STACK] = {"stack", stack, {OUT}},
};
