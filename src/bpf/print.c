/* SPDX-License-Identifier: BSD-2-Clause */
/* The disassembler.  What it prints the assembler turns into the same blob. */
#include "name.h"

#include <base/err.h>

#include <inttypes.h>

static int matches(const struct bpf_name *n, const struct bpf_code *c)
{
	switch (n->form) {
	case BPF_F_ALU:
		return n->op == (c->op & ~BPF_X) && n->off == c->off;
	case BPF_F_BRANCH:
		return n->op == (c->op & ~BPF_X);
	case BPF_F_MOVE:
		return n->op == c->op && n->off == c->off;
	case BPF_F_UNARY:
		return n->op == c->op && n->imm == c->imm;
	default:
		return n->op == c->op;
	}
}

static const struct bpf_name *find(const struct bpf_code *c)
{
	for (size_t i = 0; i < bpf_names_count; i++)
		if (matches(&bpf_names[i], c))
			return &bpf_names[i];
	return NULL;
}

static void operand(const struct bpf_code *c, FILE *out)
{
	if (c->op & BPF_X)
		fprintf(out, "r%d", BPF_SRC(c));
	else
		fprintf(out, "%" PRId32, c->imm);
}

static void lddw(const struct bpf_code *c, const struct bpf_code *second, FILE *out)
{
	if (BPF_SRC(c) == BPF_LDDW_AREA)
		fprintf(out, "r%d, %s+%" PRId32, BPF_DST(c), bpf_area_names[c->imm],
			second->imm);
	else
		fprintf(out, "r%d, 0x%" PRIx64, BPF_DST(c),
			(uint64_t)(uint32_t)second->imm << 32 | (uint32_t)c->imm);
}

static void target(const struct bpf_code *c, uint32_t pc, FILE *out)
{
	int64_t off = c->op == (BPF_C_JMP32 | BPF_J_A) ? c->imm : c->off;

	fprintf(out, "@%" PRId64, pc + 1 + off);
}

static void operands(
	const struct bpf_name *n, const struct bpf_parts *p, uint32_t pc, FILE *out)
{
	struct bpf_code c = bpf_parts_code(p, pc), second = {0};

	switch (n->form) {
	case BPF_F_ALU:
	case BPF_F_MOVE:
		fprintf(out, "r%d, ", BPF_DST(&c));
		operand(&c, out);
		break;
	case BPF_F_UNARY:
		fprintf(out, "r%d", BPF_DST(&c));
		break;
	case BPF_F_LDDW:
		if (pc + 1 < p->head.codes)
			second = bpf_parts_code(p, pc + 1);
		lddw(&c, &second, out);
		break;
	case BPF_F_LOAD:
		fprintf(out, "r%d, [r%d%+d]", BPF_DST(&c), BPF_SRC(&c), c.off);
		break;
	case BPF_F_STORE:
		fprintf(out, "[r%d%+d], %" PRId32, BPF_DST(&c), c.off, c.imm);
		break;
	case BPF_F_STOREX:
		fprintf(out, "[r%d%+d], r%d", BPF_DST(&c), c.off, BPF_SRC(&c));
		break;
	case BPF_F_BRANCH:
		fprintf(out, "r%d, ", BPF_DST(&c));
		operand(&c, out);
		fputs(", ", out);
		target(&c, pc, out);
		break;
	case BPF_F_JUMP:
		target(&c, pc, out);
		break;
	case BPF_F_CALL:
		if (c.imm > 0 && c.imm < RT_HELPERS && rt_helpers[c.imm].name)
			fputs(rt_helpers[c.imm].name, out);
		else
			fprintf(out, "%" PRId32, c.imm);
		break;
	case BPF_F_EXIT:
		break;
	}
}

/* Not malformed: those are printed as the words they are. */
static int whole(const struct bpf_parts *p, uint32_t pc, const struct bpf_code *c)
{
	struct bpf_code second;

	if (bpf_code_flaw(c))
		return 0;
	if (c->op != BPF_LDDW)
		return 1;
	if (pc + 1 >= p->head.codes)
		return 0;
	second = bpf_parts_code(p, pc + 1);
	return !second.op && !second.regs && !second.off &&
	       (!BPF_SRC(c) || (c->imm >= 0 && c->imm < BPF_AREAS));
}

static void line(const struct bpf_parts *p, uint32_t pc, FILE *out)
{
	struct bpf_code c = bpf_parts_code(p, pc);
	const struct bpf_name *n = whole(p, pc, &c) ? find(&c) : NULL;

	fprintf(out, "%4" PRIu32 ":\t", pc);
	if (!n) {
		fprintf(out, ".raw %02x %02x %04x %08x\n", c.op, c.regs, (uint16_t)c.off,
			(uint32_t)c.imm);
		return;
	}
	fputs(n->name, out);
	if (n->form != BPF_F_EXIT)
		fputc(' ', out);
	operands(n, p, pc, out);
	fputc('\n', out);
}

/* The constants, 8 bytes a line. */
static void rodata(const struct bpf_parts *p, FILE *out)
{
	for (uint32_t i = 0; i < p->head.rodata; i += 8) {
		fputs(".data", out);
		for (int j = 0; j < 8; j++)
			fprintf(out, " %02x", p->rodata[i + j]);
		fputs("\t; ", out);
		for (int j = 0; j < 8; j++) {
			int c = p->rodata[i + j];
			fputc(c >= 32 && c < 127 ? c : '.', out);
		}
		fputc('\n', out);
	}
}

int bpf_disassemble(const void *blob, size_t bytes, FILE *out)
{
	struct bpf_parts p;
	int err = bpf_blob_parts(blob, bytes, &p);

	if (err)
		return err;
	fprintf(out,
		".program %" PRIu32 "\n.scratch %" PRIu32 "\n.locals %" PRIu32
		"\n.globals %" PRIu32 "\n",
		p.head.program, p.head.scratch, p.head.locals, p.head.globals);
	if (p.head.self_room)
		fprintf(out, ".self_room %" PRIu32 "\n", p.head.self_room);
	if (p.head.array_room)
		fprintf(out, ".array_room %" PRIu32 "\n", p.head.array_room);
	rodata(&p, out);
	for (uint32_t pc = 0; pc < p.head.codes; pc++) {
		line(&p, pc, out);
		struct bpf_code c = bpf_parts_code(&p, pc);
		pc += c.op == BPF_LDDW && whole(&p, pc, &c);
	}
	return 0;
}
