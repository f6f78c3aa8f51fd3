/* SPDX-License-Identifier: BSD-2-Clause */
#include "code.h"

#include <base/clean.h>

/* Bytes of a function longer than this are not decoded. */
#define MAX_FUNCTION (4u << 20)

static int read_bytes(
	struct probe_victim *v, dtproc_addr start, size_t len, uint8_t **out)
{
	CLEAN_FREE uint8_t *bytes = malloc(len ? len : 1);
	ssize_t got;

	if (!bytes)
		return err_nomem("a function");
	got = dtproc_proc_read(v->proc, start, bytes, len);
	if (got < 0)
		return (int)got;
	if ((size_t)got < len)
		return err_set(DTPROC_ERANGE, "the function at %#llx is not mapped whole",
			(unsigned long long)start);
	*out = TAKE_PTR(bytes);
	return 0;
}

static int decode(struct code *c, const uint8_t *bytes)
{
	for (size_t at = 0; at < c->len;) {
		struct code_insn i = {.at = (uint32_t)at};

		i.len = (uint8_t)arch_insn_lead(
			bytes + at, c->len - at, c->start + at, &i.lead);
		if (!i.len) {
			c->unsure = "it holds bytes that are no instruction";
			return 0;
		}
		if (vec_push(&c->insns, i))
			return err_nomem("a function's instructions");
		at += i.len;
	}
	return 0;
}

/* Does an instruction begin there, or the part behind a lock prefix that is skipped? */
static int is_boundary(const struct code *c, size_t at)
{
	size_t low = 0, high = c->insns.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (c->insns.at[mid].at <= at)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return 0;
	const struct code_insn *i = &c->insns.at[low - 1];

	return i->at == at || (i->at + 1 == at && i->lead.is_lock);
}

static void check_targets(struct code *c)
{
	for (size_t i = 0; i < c->insns.n && !c->unsure; i++) {
		const struct arch_lead *l = &c->insns.at[i].lead;

		if ((l->flow == ARCH_FLOW_JUMP || l->flow == ARCH_FLOW_BRANCH) &&
			l->target - c->start < c->len &&
			!is_boundary(c, (size_t)(l->target - c->start)))
			c->unsure = "it may hold data: a jump leads into the middle of "
				    "what looks like an instruction";
	}
}

int code_read(struct probe_victim *v, dtproc_addr start, size_t len, struct code *out)
{
	CLEAN(code_free) struct code c = {.start = start, .len = len};
	CLEAN_FREE uint8_t *bytes = NULL;
	int err;

	if (len > MAX_FUNCTION) {
		*out = (struct code){.unsure = "it is longer than 4 MiB"};
		return 0;
	}
	err = read_bytes(v, start, len, &bytes);
	if (!err)
		err = decode(&c, bytes);
	if (err)
		return err;
	check_targets(&c);
	*out = c;
	c.insns.at = NULL;
	return 0;
}

void code_free(struct code *c)
{
	vec_free(&c->insns);
}
