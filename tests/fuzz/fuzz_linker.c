/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a run-time linker claims to have loaded (rule E4).  The input is a victim's
 * memory; its lists are looked at, then some bytes change, and they are looked at again.
 */
#include <keeper/chain.h>
#include <victim/victim.h>

#include <stdlib.h>
#include <string.h>

#define BASE 0x400000u
#define LOOKS 4
/* A list costs a few reads for each object, however it is made. */
#define READS_MAX (LOOKS * CHAIN_SPACES_MAX * (CHAIN_OBJECTS_MAX * 4ul + 64))

struct memory {
	unsigned char *bytes;
	size_t size;
	unsigned long reads;
};

static long read_bytes(void *arg, dtproc_addr addr, void *buf, size_t len)
{
	struct memory *m = arg;
	uint64_t at = addr - BASE;

	if (++m->reads > READS_MAX)
		abort();
	if (at >= m->size)
		return -1;
	len = len < m->size - at ? len : m->size - at;
	memcpy(buf, m->bytes + at, len);
	return (long)len;
}

static size_t read_entries(
	void *arg, const dtproc_addr *at, size_t n, struct link_entry *out)
{
	size_t i = 0;

	while (i < n && read_bytes(arg, at[i], &out[i], sizeof *out) == sizeof *out)
		i++;
	return i;
}

static void told(void *arg, const struct chain_object *o, enum chain_change change)
{
	long *n = arg;

	(void)change;
	if (!memchr(o->name, 0, sizeof o->name) || (o->to && o->from >= o->to))
		abort();
	++*n;
}

static void check(const struct chain *c)
{
	if (c->spaces.n > CHAIN_SPACES_MAX)
		abort();
	for (size_t i = 0; i < c->spaces.n; i++)
		if (c->spaces.at[i].objects.n > CHAIN_OBJECTS_MAX)
			abort();
}

static void look(struct memory *m)
{
	const struct chain_reader r = {read_bytes, read_entries, m};
	struct chain c = {0};

	for (size_t i = 0; i < LOOKS; i++) {
		long n = 0, got = chain_look(&c, BASE, &r, told, &n);
		if (got > 0 && got != n)
			abort();
		check(&c);
		for (size_t k = i + 1; k < m->size; k += 97 + i)
			m->bytes[k] ^= m->bytes[0];
	}
	chain_free(&c);
}

static ssize_t read_some(void *arg, dtproc_addr addr, void *buf, size_t len)
{
	return read_bytes(arg, addr, buf, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory m = {.bytes = malloc(size + 1), .size = size};
	struct victim_auxv a = {.entry = BASE, .phdr = BASE, .phnum = size};
	struct victim_linker l;

	if (!m.bytes)
		return 0;
	memcpy(m.bytes, data, size);
	victim_linker_parse(&a, read_some, &m, &l);
	look(&m);
	free(m.bytes);
	return 0;
}
