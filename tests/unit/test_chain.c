/* SPDX-License-Identifier: BSD-2-Clause */
/* The run-time linker's lists in a made-up victim: what came, what left, what lies. */
#include "unit.h"

#include <keeper/chain.h>

#include <elf.h>
#include <stdio.h>
#include <string.h>

#define BASE 0x10000000u
#define OBJECTS 20000
#define SPACES 3
#define CODE_AT(i) (BASE + 0x4000000u + (uint64_t)(i)*0x10000u)

/* Lists of a victim.  Entry i describes an object of 0x3000 bytes at CODE_AT(i). */
static struct {
	struct link_debug debug[SPACES];
	struct link_entry entry[OBJECTS];
} mem;
static unsigned long reads;
static char told[512];

static dtproc_addr addr_of(const void *p)
{
	return BASE + (uint64_t)((const char *)p - (const char *)&mem);
}

static long read_code(uint64_t at, void *buf, size_t len)
{
	struct {
		Elf64_Ehdr eh;
		Elf64_Phdr ph[2];
		char pad[2048];
	} code = {.eh = {.e_ident = ELFMAG, .e_phoff = sizeof(Elf64_Ehdr), .e_phnum = 2},
		.ph = {{.p_type = PT_LOAD, .p_memsz = 0x1000},
			{.p_type = PT_LOAD, .p_vaddr = 0x2000, .p_memsz = 0x800}}};

	at &= 0xffff;
	if (at >= sizeof code)
		return -1;
	len = len < sizeof code - at ? len : sizeof code - at;
	memcpy(buf, (char *)&code + at, len);
	return (long)len;
}

static long read_mem(void *arg, dtproc_addr addr, void *buf, size_t len)
{
	uint64_t at = addr - BASE;

	reads++;
	if (addr >= CODE_AT(0) && addr < CODE_AT(OBJECTS))
		return read_code(addr - CODE_AT(0), buf, len);
	if (addr >= 1 && addr <= OBJECTS) /* a name */
		return snprintf(buf, len, "/lib/x/o%u", (unsigned)addr - 1) + 1;
	if (at >= sizeof mem)
		return -1;
	len = len < sizeof mem - at ? len : sizeof mem - at;
	memcpy(buf, (char *)&mem + at, len);
	return (long)len;
}

static size_t read_entries(
	void *arg, const dtproc_addr *at, size_t n, struct link_entry *out)
{
	size_t i = 0;

	while (i < n && read_mem(arg, at[i], &out[i], sizeof *out) == sizeof *out)
		i++;
	reads -= i;
	reads++; /* one call */
	return i;
}

static const struct chain_reader reader = {read_mem, read_entries, NULL};

static void on_change(void *arg, const struct chain_object *o, enum chain_change change)
{
	size_t at = strlen(told);

	assert_int_equal(o->to - o->from, 0x3000);
	if (at < sizeof told - 32)
		snprintf(told + at, sizeof told - at, "%c%s ",
			change == CHAIN_CAME ? '+' : '-', o->name);
}

/* Makes namespace `s` list the entries of `list`, which ends with -1. */
static void set_list(int s, const int *list)
{
	uint64_t prev = 0, *link = &mem.debug[s].map;

	for (; *list >= 0; list++) {
		struct link_entry *e = &mem.entry[*list];
		*link = addr_of(e);
		*e = (struct link_entry){.bias = CODE_AT(*list),
			.name = (uint64_t)*list + 1,
			.dynamic = CODE_AT(*list) + 0x2000,
			.prev = prev};
		prev = *link;
		link = &e->next;
	}
	*link = 0;
}
#define SET(s, ...) set_list(s, (const int[]){__VA_ARGS__, -1})

static long look(struct chain *c)
{
	told[0] = 0;
	reads = 0;
	return chain_look(c, addr_of(&mem.debug[0]), &reader, on_change, NULL);
}

/* As the linker does it: through RT_DELETE. */
static void removal(struct chain *c)
{
	mem.debug[0].state = LINK_DELETE;
	assert_int_equal(look(c), 0);
	mem.debug[0].state = LINK_CONSISTENT;
}

static void begin(struct chain *c)
{
	memset(&mem, 0, sizeof mem);
	memset(c, 0, sizeof *c);
	mem.debug[0].version = 1;
	SET(0, 0, 1, 2);
	assert_int_equal(look(c), 3);
	assert_string_equal(told, "+o0 +o1 +o2 ");
}

/* E1, E2: what came and what left, and nothing else. */
static void E2_changes_alone_are_told(void **state)
{
	struct chain c;

	begin(&c);
	assert_int_equal(look(&c), 0);
	SET(0, 0, 1, 2, 3, 4);
	assert_int_equal(look(&c), 2);
	assert_string_equal(told, "+o3 +o4 ");
	removal(&c);
	SET(0, 0, 1, 3, 4);
	assert_int_equal(look(&c), 1);
	assert_string_equal(told, "-o2 ");
	removal(&c);
	SET(0, 0, 4, 7, 8);
	look(&c);
	assert_string_equal(told, "-o1 -o3 +o7 +o8 ");
	removal(&c);
	SET(0, 9);
	look(&c);
	assert_string_equal(told, "+o9 -o0 -o4 -o7 -o8 ");
	chain_free(&c);
}

/* While the linker is at it nothing is believed. */
static void E1_only_what_is_consistent(void **state)
{
	struct chain c;

	begin(&c);
	mem.debug[0].state = LINK_ADD;
	SET(0, 0, 1, 2, 3);
	assert_int_equal(look(&c), 0);
	mem.debug[0].state = LINK_CONSISTENT;
	assert_int_equal(look(&c), 1);
	chain_free(&c);
}

/* dlmopen(): another namespace, with an entry for an object of the first. */
static void E1_namespaces(void **state)
{
	struct chain c;

	begin(&c);
	SET(1, 10, 11);
	mem.entry[11].dynamic = mem.entry[2].dynamic;
	mem.entry[11].bias = mem.entry[2].bias;
	mem.debug[0].next = addr_of(&mem.debug[1]); /* of version 1: not there */
	assert_int_equal(look(&c), 0);
	mem.debug[0].version = mem.debug[1].version = 2;
	assert_int_equal(look(&c), 1);
	assert_string_equal(told, "+o10 ");
	mem.debug[1].state = LINK_DELETE;
	assert_int_equal(look(&c), 0);
	mem.debug[1].state = LINK_CONSISTENT;
	mem.debug[1].map = 0;
	assert_int_equal(look(&c), 1);
	assert_string_equal(told, "-o10 ");
	chain_free(&c);
}

/* E2: one object costs work for one, however many there are. */
static void E2_one_costs_one(void **state)
{
	static int list[12001];
	struct chain c;
	unsigned long few;

	for (int i = 0; i < 12000; i++)
		list[i] = i;
	begin(&c);
	list[10] = -1;
	set_list(0, list);
	look(&c);
	list[10] = 10;
	list[11] = -1;
	set_list(0, list);
	assert_int_equal(look(&c), 1);
	few = reads;
	list[11] = 11;
	list[11999] = -1;
	set_list(0, list);
	assert_int_equal(look(&c), 11988);
	list[11999] = 11999;
	list[12000] = -1;
	set_list(0, list);
	assert_int_equal(look(&c), 1);
	assert_string_equal(told, "+o11999 ");
	assert_int_equal(reads, few);
	removal(&c);
	list[11999] = -1;
	set_list(0, list);
	assert_int_equal(look(&c), 1);
	assert_string_equal(told, "-o11999 ");
	assert_true(reads < 100);
	chain_free(&c);
}

/* E4 */
static void E4_cyclic_endless_and_broken_lists(void **state)
{
	static int list[OBJECTS + 1];
	struct chain c;

	begin(&c);
	mem.entry[2].next = addr_of(&mem.entry[0]); /* a circle */
	assert_int_equal(look(&c), DTPROC_EPROTO);
	mem.entry[2].next = addr_of(&mem.entry[2]);
	assert_int_equal(look(&c), DTPROC_EPROTO);
	mem.entry[2].next = 0x1234567; /* nowhere */
	assert_int_equal(look(&c), DTPROC_ERANGE);
	mem.entry[2].next = 0;
	assert_int_equal(look(&c), 0);
	for (int i = 0; i < OBJECTS; i++)
		list[i] = i;
	list[OBJECTS] = -1;
	set_list(0, list);
	assert_int_equal(look(&c), DTPROC_ELIMIT);
	assert_int_equal(c.spaces.at[0].objects.n, 3);
	SET(0, 0, 1, 2);
	mem.debug[0].version = 2; /* namespaces without end */
	mem.debug[0].next = addr_of(&mem.debug[0]);
	assert_int_equal(look(&c), DTPROC_EPROTO);
	chain_free(&c);
	assert_int_equal(chain_look(&c, 0x77, &reader, on_change, NULL), DTPROC_ERANGE);
	chain_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(E2_changes_alone_are_told),
		cmocka_unit_test(E1_only_what_is_consistent),
		cmocka_unit_test(E1_namespaces),
		cmocka_unit_test(E2_one_costs_one),
		cmocka_unit_test(E4_cyclic_endless_and_broken_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
