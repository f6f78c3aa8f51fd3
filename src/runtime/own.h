/* SPDX-License-Identifier: BSD-2-Clause */
/* The helpers of the other files, for the table in helper.c; and what they share. */
#ifndef RUNTIME_OWN_H
#define RUNTIME_OWN_H

#include "segment.h"

#define RT_HELPER(name)                                                                  \
	uint64_t name(struct rt_hit *hit, uint64_t a, uint64_t b, uint64_t c,            \
		uint64_t d, uint64_t e)

/* Ends the run with a fault; 0. */
static inline uint64_t rt_fault(struct rt_hit *hit, enum rt_fault code, uint64_t value)
{
	hit->fault = code;
	hit->fault_value = value;
	return 0;
}

/* A pair of arguments, pointer and size. */
struct rt_span {
	char *at;
	uint64_t size;
};

static inline struct rt_span rt_span(uint64_t at, uint64_t size)
{
	return (struct rt_span){(char *)(uintptr_t)at, size};
}

/* Length of a string, which ends at its NUL or its size. */
static inline uint64_t rt_length(struct rt_span s)
{
	uint64_t n = 0;

	while (n < s.size && s.at[n])
		n++;
	return n;
}

/* Makes `n` bytes a string, cut at its room; what is behind it becomes zeros. */
static inline void rt_put_string(struct rt_span to, const char *from, uint64_t n)
{
	uint64_t i = 0;

	for (; i + 1 < to.size && i < n && from[i]; i++)
		to.at[i] = from[i];
	rt_zero(to.at + i, to.size - i);
}

/* aggfunc.c: an aggregating function. */
struct rt_func {
	uint32_t words; /* 0: depends on the parameter */
	void (*update)(uint64_t *words, uint64_t param, int64_t value, uint64_t by);
	void (*merge)(uint32_t n, uint64_t *to, const uint64_t *from);
	uint64_t first;  /* the first word of a new value */
	uint32_t copies; /* of the words: 2 when they belong together */
};
extern const struct rt_func rt_funcs[RT_AGG_FUNCS];

/* memory.c: reads a victim's memory, or that of alloca(); 0, or a fault is set. */
int rt_load(struct rt_hit *, uint64_t addr, void *to, uint64_t size);
RT_HELPER(rt_do_load);
RT_HELPER(rt_do_load_string);
RT_HELPER(rt_do_load_string_max);
RT_HELPER(rt_do_alloca);
RT_HELPER(rt_do_copyin);
RT_HELPER(rt_do_bcopy);
RT_HELPER(rt_do_copyout);
RT_HELPER(rt_do_copyoutstr);

/* text.c */
RT_HELPER(rt_do_strcmp);
RT_HELPER(rt_do_strcpy);
RT_HELPER(rt_do_strcat);
RT_HELPER(rt_do_strlen);
RT_HELPER(rt_do_index);
RT_HELPER(rt_do_rindex);
RT_HELPER(rt_do_strchr);
RT_HELPER(rt_do_strrchr);
RT_HELPER(rt_do_tail);
RT_HELPER(rt_do_substr);
RT_HELPER(rt_do_token_begin);
RT_HELPER(rt_do_token_next);
RT_HELPER(rt_do_toupper);
RT_HELPER(rt_do_tolower);
RT_HELPER(rt_do_lltostr);
RT_HELPER(rt_do_strtoll);

/* path.c */
RT_HELPER(rt_do_basename);
RT_HELPER(rt_do_dirname);
RT_HELPER(rt_do_cleanpath);
RT_HELPER(rt_do_inet_ntop);

/* speculate.c */
RT_HELPER(rt_do_speculation);
RT_HELPER(rt_do_speculate);
RT_HELPER(rt_do_emit_tagged);
RT_HELPER(rt_do_commit);
RT_HELPER(rt_do_discard);

/* json.c */
RT_HELPER(rt_do_json);

#endif
