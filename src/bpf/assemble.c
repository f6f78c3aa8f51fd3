/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The assembler: two walks over the lines, one for the labels and one for the code.
 * It makes what is written, also what the verifier will refuse: that is what tests want.
 */
#include "name.h"

#include <base/clean.h>
#include <base/err.h>
#include <base/vec.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 256
#define NAME_BYTES 32

struct label {
	char name[NAME_BYTES];
	long pc;
};

struct assembler {
	const char *at; /* in the line */
	unsigned line;
	int labels_only;      /* the first walk */
	struct bpf_blob head; /* what directives say */
	VEC(struct label) labels;
	VEC(struct bpf_code) code;
	VEC(unsigned char) data;
};

static int bad(const struct assembler *a, const char *what)
{
	return err_set(DTPROC_EINVAL, "line %u: %s near \"%.20s\"", a->line, what, a->at);
}

static void space(struct assembler *a)
{
	a->at += strspn(a->at, " \t\r");
}

/* Skips a character if it is ahead. */
static int mark(struct assembler *a, char c)
{
	space(a);
	if (*a->at != c)
		return 0;
	a->at++;
	return 1;
}

static int word(struct assembler *a, char out[NAME_BYTES])
{
	size_t n = 0;

	space(a);
	while (isalnum((unsigned char)a->at[n]) || a->at[n] == '_' || a->at[n] == '.')
		n++;
	if (!n || n >= NAME_BYTES)
		return bad(a, "expected a name");
	memcpy(out, a->at, n);
	out[n] = 0;
	a->at += n;
	return 0;
}

static int number(struct assembler *a, int base, int64_t *out)
{
	char *end;

	space(a);
	*out = *a->at == '-' ? strtoll(a->at, &end, base)
			     : (int64_t)strtoull(a->at, &end, base);
	if (end == a->at)
		return bad(a, "expected a number");
	a->at = end;
	return 0;
}

static int is_register(struct assembler *a)
{
	space(a);
	return *a->at == 'r' && isdigit((unsigned char)a->at[1]);
}

static int reg(struct assembler *a, int *out)
{
	int64_t n;

	if (!is_register(a))
		return bad(a, "expected a register");
	a->at++;
	if (number(a, 10, &n))
		return DTPROC_EINVAL;
	if (n < 0 || n > 15)
		return bad(a, "no such register");
	*out = (int)n;
	return 0;
}

static int comma(struct assembler *a)
{
	return mark(a, ',') ? 0 : bad(a, "expected a comma");
}

/* A register, which sets BPF_X, or a number. */
static int operand(struct assembler *a, struct bpf_code *c)
{
	int64_t n;
	int r;

	if (is_register(a)) {
		if (reg(a, &r))
			return DTPROC_EINVAL;
		c->regs |= (uint8_t)(r << 4);
		c->op |= BPF_X;
		return 0;
	}
	if (number(a, 0, &n))
		return DTPROC_EINVAL;
	c->imm = (int32_t)n;
	return 0;
}

/* [rN+off] */
static int memory(struct assembler *a, int *r, struct bpf_code *c)
{
	int64_t off = 0;

	if (!mark(a, '['))
		return bad(a, "expected [");
	if (reg(a, r))
		return DTPROC_EINVAL;
	if (!mark(a, ']')) {
		mark(a, '+');
		if (number(a, 0, &off))
			return DTPROC_EINVAL;
		if (!mark(a, ']'))
			return bad(a, "expected ]");
	}
	c->off = (int16_t)off;
	return 0;
}

/* @N or a label, as a distance from the instruction behind this one. */
static int target(struct assembler *a, int64_t *out)
{
	char name[NAME_BYTES];
	int64_t pc = 0;

	if (mark(a, '@')) {
		if (number(a, 10, &pc))
			return DTPROC_EINVAL;
		*out = pc - (int64_t)a->code.n - 1;
		return 0;
	}
	if (word(a, name))
		return DTPROC_EINVAL;
	for (size_t i = 0; i < a->labels.n; i++) {
		if (!strcmp(a->labels.at[i].name, name)) {
			*out = a->labels.at[i].pc - (int64_t)a->code.n - 1;
			return 0;
		}
	}
	*out = 0;
	return a->labels_only ? 0 : bad(a, "no such label");
}

static int lddw(struct assembler *a, struct bpf_code *c, struct bpf_code *second)
{
	int64_t n;

	space(a);
	for (int i = 0; i < BPF_AREAS; i++) {
		size_t len = strlen(bpf_area_names[i]);
		if (strncmp(a->at, bpf_area_names[i], len))
			continue;
		a->at += len;
		if (!mark(a, '+'))
			return bad(a, "expected +");
		if (number(a, 0, &n))
			return DTPROC_EINVAL;
		c->regs |= BPF_LDDW_AREA << 4;
		c->imm = i;
		second->imm = (int32_t)n;
		return 0;
	}
	if (number(a, 0, &n))
		return DTPROC_EINVAL;
	c->imm = (int32_t)n;
	second->imm = (int32_t)(n >> 32);
	return 0;
}

static int helper(struct assembler *a, struct bpf_code *c)
{
	char name[NAME_BYTES];

	space(a);
	if (isdigit((unsigned char)*a->at) || *a->at == '-')
		return operand(a, c);
	if (word(a, name))
		return DTPROC_EINVAL;
	for (int i = 1; i < RT_HELPERS; i++) {
		if (rt_helpers[i].name && !strcmp(rt_helpers[i].name, name)) {
			c->imm = i;
			return 0;
		}
	}
	return bad(a, "no such helper");
}

/* "dst," of the forms that have it. */
static int destination(struct assembler *a, struct bpf_code *c)
{
	int r;

	if (reg(a, &r))
		return DTPROC_EINVAL;
	c->regs = (uint8_t)r;
	return 0;
}

static int store(struct assembler *a, const struct bpf_name *n, struct bpf_code *c)
{
	int dst, src;

	if (memory(a, &dst, c) || comma(a))
		return DTPROC_EINVAL;
	if (n->form == BPF_F_STORE)
		return (c->regs = (uint8_t)dst, operand(a, c));
	if (reg(a, &src))
		return DTPROC_EINVAL;
	c->regs = (uint8_t)(dst | src << 4);
	return 0;
}

static int jump(struct assembler *a, struct bpf_code *c)
{
	int64_t off;

	if (target(a, &off))
		return DTPROC_EINVAL;
	if (c->op == (BPF_C_JMP32 | BPF_J_A))
		c->imm = (int32_t)off;
	else
		c->off = (int16_t)off;
	return 0;
}

static int load(struct assembler *a, struct bpf_code *c)
{
	int src;

	if (destination(a, c) || comma(a) || memory(a, &src, c))
		return DTPROC_EINVAL;
	c->regs |= (uint8_t)(src << 4);
	return 0;
}

static int operands(struct assembler *a, const struct bpf_name *n, struct bpf_code *c,
	struct bpf_code *second)
{
	switch (n->form) {
	case BPF_F_ALU:
	case BPF_F_MOVE:
		return destination(a, c) || comma(a) ? DTPROC_EINVAL : operand(a, c);
	case BPF_F_UNARY:
		return destination(a, c);
	case BPF_F_LDDW:
		return destination(a, c) || comma(a) ? DTPROC_EINVAL : lddw(a, c, second);
	case BPF_F_LOAD:
		return load(a, c);
	case BPF_F_STORE:
	case BPF_F_STOREX:
		return store(a, n, c);
	case BPF_F_BRANCH:
		return destination(a, c) || comma(a) || operand(a, c) || comma(a)
			       ? DTPROC_EINVAL
			       : jump(a, c);
	case BPF_F_JUMP:
		return jump(a, c);
	case BPF_F_CALL:
		return helper(a, c);
	case BPF_F_EXIT:
		return 0;
	}
	return 0;
}

static int raw(struct assembler *a, struct bpf_code *c)
{
	int64_t v[4];

	for (int i = 0; i < 4; i++)
		if (number(a, 16, &v[i]))
			return DTPROC_EINVAL;
	*c = (struct bpf_code){
		(uint8_t)v[0], (uint8_t)v[1], (int16_t)v[2], (int32_t)v[3]};
	return 0;
}

static int data(struct assembler *a)
{
	int64_t byte;

	for (int i = 0; i < 8; i++) {
		if (number(a, 16, &byte))
			return DTPROC_EINVAL;
		if (!a->labels_only && vec_push(&a->data, (unsigned char)byte))
			return err_nomem("a program");
	}
	return 0;
}

static int directive(
	struct assembler *a, const char *name, struct bpf_code *c, int *is_code)
{
	const struct {
		const char *name;
		uint32_t *value;
	} numbers[] = {{".program", &a->head.program}, {".scratch", &a->head.scratch},
		{".locals", &a->head.locals}, {".globals", &a->head.globals},
		{".self_room", &a->head.self_room}, {".array_room", &a->head.array_room}};
	int64_t n;
	int err;

	*is_code = !strcmp(name, ".raw");
	if (*is_code)
		return raw(a, c);
	if (!strcmp(name, ".data"))
		return data(a);
	err = number(a, 0, &n);
	for (size_t i = 0; !err && i < sizeof numbers / sizeof *numbers; i++) {
		if (!strcmp(name, numbers[i].name)) {
			*numbers[i].value = (uint32_t)n;
			return 0;
		}
	}
	return err ? err : bad(a, "no such directive");
}

static int label(struct assembler *a, const char *name)
{
	struct label l = {.pc = (long)a->code.n};

	a->at++;
	if (!a->labels_only || isdigit((unsigned char)*name))
		return 0; /* a line number of the disassembler says nothing */
	strcpy(l.name, name);
	return vec_push(&a->labels, l) ? err_nomem("a label") : 0;
}

static int instruction(struct assembler *a, const char *name)
{
	struct bpf_code c = {0}, second = {0};
	int is_code = 1, err = -1;

	if (*name == '.') {
		err = directive(a, name, &c, &is_code);
	} else {
		for (size_t i = 0; i < bpf_names_count; i++) {
			const struct bpf_name *n = &bpf_names[i];
			if (strcmp(n->name, name))
				continue;
			c = (struct bpf_code){.op = n->op, .off = n->off, .imm = n->imm};
			err = operands(a, n, &c, &second);
			break;
		}
		if (err == -1)
			return bad(a, "no such instruction");
	}
	if (err || !is_code)
		return err;
	if (vec_push(&a->code, c) ||
		(*name != '.' && c.op == BPF_LDDW && vec_push(&a->code, second)))
		return err_nomem("a program");
	return 0;
}

static int statement(struct assembler *a)
{
	char name[NAME_BYTES];
	int err;

	for (space(a); *a->at && *a->at != ';' && *a->at != '#'; space(a)) {
		err = word(a, name);
		if (!err)
			err = *a->at == ':' ? label(a, name) : instruction(a, name);
		if (err)
			return err;
	}
	return 0;
}

static int walk(struct assembler *a, const char *text)
{
	char line[LINE_MAX_BYTES];
	int err = 0;

	for (a->line = 1; *text && !err; a->line++) {
		size_t n = strcspn(text, "\n");
		a->at = line;
		line[0] = 0;
		if (n >= sizeof line)
			return bad(a, "line is too long");
		memcpy(line, text, n);
		line[n] = 0;
		err = statement(a);
		text += n + (text[n] == '\n');
	}
	return err;
}

static int pack(const struct assembler *a, void **blob, size_t *bytes)
{
	size_t code = a->code.n * sizeof *a->code.at,
	       size = sizeof(struct bpf_blob) + code + a->data.n;
	struct bpf_blob head = a->head;
	unsigned char *out = malloc(size);

	if (!out)
		return err_nomem("a program");
	head.magic = BPF_BLOB_MAGIC;
	head.version = BPF_BLOB_VERSION;
	head.bytes = (uint32_t)size;
	head.codes = (uint32_t)a->code.n;
	head.rodata = (uint32_t)a->data.n;
	memcpy(out, &head, sizeof head);
	if (code)
		memcpy(out + sizeof head, a->code.at, code);
	if (a->data.n)
		memcpy(out + sizeof head + code, a->data.at, a->data.n);
	*blob = out;
	*bytes = size;
	return 0;
}

int bpf_assemble(const char *text, void **blob, size_t *bytes)
{
	struct assembler a = {.labels_only = 1};
	int err = walk(&a, text);

	a.labels_only = 0;
	a.code.n = 0;
	if (!err)
		err = walk(&a, text);
	if (!err)
		err = pack(&a, blob, bytes);
	vec_free(&a.labels);
	vec_free(&a.code);
	vec_free(&a.data);
	return err;
}
