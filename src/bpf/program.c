/* SPDX-License-Identifier: BSD-2-Clause */
/* Blobs: taking them apart, and making a verified program of one. */
#include "program.h"

#include <base/err.h>

#include <stdlib.h>
#include <string.h>

int bpf_blob_parts(const void *blob, size_t bytes, struct bpf_parts *out)
{
	struct bpf_parts p;
	const unsigned char *at = blob;

	if (bytes < sizeof p.head)
		return err_set(DTPROC_EVERIFY, "program: %zu bytes are too few", bytes);
	memcpy(&p.head, at, sizeof p.head);
	if (p.head.magic != BPF_BLOB_MAGIC || p.head.version != BPF_BLOB_VERSION)
		return err_set(DTPROC_EVERIFY, "program: not one, or of another version");
	if (!p.head.codes || p.head.codes > BPF_CODES_MAX || p.head.rodata % 8 ||
		p.head.rodata > BPF_RODATA_MAX || p.head.scratch > RT_SCRATCH_BYTES ||
		p.head.flags || p.head.locals > RT_LOCALS_BYTES ||
		p.head.globals > RT_GLOBALS_MAX || p.head.self_room > RT_DYN_ROOM_MAX ||
		p.head.array_room > RT_DYN_ROOM_MAX || p.head.bytes != bytes ||
		bytes != sizeof p.head + p.head.codes * 8ul + p.head.rodata)
		return err_set(DTPROC_EVERIFY, "program %u: its sizes make no sense",
			p.head.program);
	p.codes = at + sizeof p.head;
	p.rodata = p.codes + p.head.codes * 8ul;
	*out = p;
	return 0;
}

struct bpf_code bpf_parts_code(const struct bpf_parts *p, uint32_t i)
{
	struct bpf_code code;

	memcpy(&code, p->codes + i * sizeof code, sizeof code);
	return code;
}

/* Makes step i ready; 1 when the instruction takes two words. */
static int prepare(const struct bpf_parts *p, uint32_t i, struct bpf_step *step)
{
	struct bpf_code code = bpf_parts_code(p, i), second;

	*step = (struct bpf_step){.op = code.op,
		.dst = BPF_DST(&code),
		.src = BPF_SRC(&code),
		.off = code.off,
		.imm = code.imm};
	if (code.op != BPF_LDDW)
		return 0;
	second = bpf_parts_code(p, i + 1);
	if (step->src == BPF_LDDW_AREA) {
		step->area = (uint8_t)code.imm;
		step->imm = second.imm;
	} else {
		step->imm = (int64_t)((uint64_t)(uint32_t)second.imm << 32 |
				      (uint32_t)code.imm);
	}
	return 1;
}

int bpf_program_load(const void *blob, size_t bytes, struct bpf_program **out)
{
	struct bpf_program *program;
	struct bpf_parts p;
	int err = bpf_blob_parts(blob, bytes, &p);

	if (err || (err = bpf_verify(&p)))
		return err;
	program = calloc(1, sizeof *program);
	if (!program)
		return err_nomem("a program");
	program->id = p.head.program;
	program->n = p.head.codes;
	program->rodata_bytes = p.head.rodata;
	program->locals = p.head.locals;
	program->globals = p.head.globals;
	program->steps = calloc(p.head.codes, sizeof *program->steps);
	program->rodata = malloc(p.head.rodata + 8ul);
	if (!program->steps || !program->rodata) {
		bpf_program_free(program);
		return err_nomem("a program");
	}
	memcpy(program->rodata, p.rodata, p.head.rodata);
	for (uint32_t i = 0; i < p.head.codes; i++)
		i += (uint32_t)prepare(&p, i, &program->steps[i]);
	*out = program;
	return 0;
}

void bpf_program_free(struct bpf_program *program)
{
	if (!program)
		return;
	bpf_program_forget_code(program);
	free(program->steps);
	free(program->rodata);
	free(program);
}

uint32_t bpf_program_id(const struct bpf_program *program)
{
	return program->id;
}
