/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as an ELF file: its names and symbols, or an error. */
#include <arch/arch.h>
#include <object/object.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void promise(int held)
{
	if (!held)
		abort();
}

/* Each rule is whole, wherever it is for. */
static void look_at_rules(struct object *o, uint64_t from)
{
	const struct object_rule *rule;

	for (uint64_t value = from & ~0xfffull, i = 0; i < 256; i++, value += 17) {
		if (object_rule_at(o, value, &rule) != 1)
			continue;
		promise(rule->ra < OBJECT_REGS && rule->n <= OBJECT_REGS);
		promise(rule->size >= sizeof *rule + rule->n * sizeof rule->saved[0]);
	}
}

static void look_at_probes(struct object *o)
{
	const struct object_sdt *s;
	struct arch_operand operand;
	size_t n;

	if (object_sdts(o, &s, &n))
		return;
	for (size_t i = 0; i < n; i++) {
		promise(strlen(s[i].provider) > 0 && strlen(s[i].name) > 0);
		for (const char *a = s[i].args; *a; a += strspn(a, " ")) {
			size_t len = strcspn(a, " ");

			if (arch_sdt_operand(a, len, &operand))
				promise(operand.size <= 8 && operand.symbol_len <= len);
			a += len;
		}
	}
}

static int see_enumerator(const char *name, int64_t value, void *arg)
{
	return *name == 1;
}

/* What is described inside of a type, not too deep. */
struct inside {
	int depth;
	unsigned *budget;
};

static void look_at_type(const struct type_ref *ref, struct inside at);

static int see_member(const struct type_member *m, void *arg)
{
	struct inside at = *(struct inside *)arg;

	promise(m->bits <= 64 && m->bit < INT32_MAX);
	at.depth++;
	look_at_type(&m->type, at);
	return !*at.budget;
}

static void look_at_type(const struct type_ref *ref, struct inside at)
{
	struct type_desc t;

	if (!ref->file || at.depth > 6 || !*at.budget || !(*at.budget)--)
		return;
	if (object_type_describe(ref, &t) <= 0)
		return;
	promise(strlen(t.name) < 1u << 20);
	object_type_members(ref, see_member, &at);
	object_type_enums(ref, see_enumerator, NULL);
	at.depth++;
	look_at_type(&t.to, at);
}

static void look_at_types(struct object *o)
{
	static const char *const names[] = {"int", "struct part", "whole_t", "enum mode",
		"struct whole", "struct big", "char", "N::C"};
	static struct type_params params;
	unsigned budget = 2000;
	struct inside at = {0, &budget};
	struct type_ref ref;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (object_type_find(o, names[i], &ref) > 0)
			look_at_type(&ref, at);
	if (object_variable_type(o, "config", &ref) > 0)
		look_at_type(&ref, at);
	for (uint64_t value = 0x1000; value < 0x1100; value++)
		if (object_function_params(o, value, &params))
			promise(params.n <= TYPE_PARAMS_MAX);
}

static void look_around(struct object *o)
{
	const struct object_symbol *at;
	struct object_named named;
	uint64_t bias = 0;
	int64_t offset;
	unsigned reg;
	size_t n;

	promise(strlen(object_name(o)) > 0 && strlen(object_soname(o)) < 4096);
	if (object_bias(o, 0x10000, 0, &bias) == 0)
		(void)object_executable(o, bias);
	look_at_rules(o, bias);
	look_at_probes(o);
	look_at_types(o);
	if (object_symbols(o, &at, &n))
		return;
	for (size_t i = 0; i < n; i++) {
		promise(object_find(o, object_name_of(o, &at[i]), NULL) != NULL);
		promise(i == 0 || at[i - 1].value <= at[i].value);
		(void)object_at(o, at[i].value + 1);
		promise(object_name_at(o, at[i].value, &named) == 1);
		if (i < 64)
			(void)object_frame(o, at[i].value, &reg, &offset);
	}
}

/* The same bytes as an image in memory. */
struct memory {
	const uint8_t *data;
	size_t size;
};

static ssize_t read_memory(void *arg, uint64_t at, void *buf, size_t len)
{
	const struct memory *m = arg;

	if (at < 0x10000 || at - 0x10000 >= m->size)
		return 0;
	at -= 0x10000;
	len = len < m->size - at ? len : m->size - at;
	memcpy(buf, m->data + at, len);
	return (ssize_t)len;
}

static void look_at_image(const uint8_t *data, size_t size)
{
	struct memory m = {data, size};
	struct object *o;
	uint64_t bias;

	if (object_open_image("fuzz", 0x10000, read_memory, &m, &o, &bias))
		return;
	look_around(o);
	object_unref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct object *o;
	char path[32];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (object_open(path, NULL, &o) == 0) {
		look_around(o);
		object_unref(o);
	}
	close(fd);
	look_at_image(data, size);
	return 0;
}
