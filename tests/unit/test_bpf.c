/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs tests/unit/bpf/: one file a group, each case through assembler, disassembler and
 * back, verifier, interpreter and machine code.
 *
 *	== name
 *	program, which leaves its result in r0 (the end is added)
 *	-- 0x2a			or: -- fault CODE
 *
 *	== name
 *	whole program
 *	-- refuse TEXT of the verifier
 */
#include "unit.h"
#include "dlang.h"

#include "../../src/bpf/name.h"

#include <Zydis/Zydis.h>
#include <dirent.h>
#include <stdio.h>

static const char result[] = "stxdw [r10-512], r0\nmov r1, r10\nadd r1, -512\n"
			     "mov r2, 8\ncall emit\nmov r0, 0\nexit\n";
static unsigned char *used_names, used_helpers[RT_HELPERS];
static unsigned cases;

/* Remembers which instructions and helpers a program has. */
static void note(const char *text)
{
	char word[32];

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%31[a-z0-9_]", word) != 1)
			continue;
		for (size_t i = 0; i < bpf_names_count; i++)
			used_names[i] |= !strcmp(bpf_names[i].name, word);
		if (sscanf(line, "call %31[a-z_]", word) != 1)
			continue;
		for (int i = 1; i < RT_HELPERS; i++)
			used_helpers[i] |= !strcmp(rt_helpers[i].name, word);
	}
}

/* What the disassembler prints assembles to the same bytes. */
static void round_trip(const char *name, const void *blob, size_t bytes)
{
	char *text = NULL;
	size_t len, again_bytes;
	void *again;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(bpf_disassemble(blob, bytes, f), 0);
	fclose(f);
	if (bpf_assemble(text, &again, &again_bytes))
		fail_msg("%s: disassembled: %s\n%s", name, err_text(), text);
	if (again_bytes != bytes || memcmp(again, blob, bytes))
		fail_msg("%s: the disassembled text is another program:\n%s", name, text);
	free(again);
	free(text);
}

static void run_case(const char *name, const struct bpf_program *p, const char *want)
{
	struct rt_params params = {.ring_bytes = 4096,
		.agg_bytes = 4096,
		.probes = 8,
		.name_bytes = 4096,
		.self_bytes = 4096};
	static uint64_t payload[RT_RECORD_MAX / 8];
	static struct dbench bench;
	struct rt_record record = {0};
	unsigned fault = 0;

	assert_int_equal(bench_open(&bench, &params), 0);
	bpf_program_run(p, &bench.hit);
	if (sscanf(want, "fault %u", &fault) == 1) {
		if (bench.hit.fault != fault)
			fail_msg("%s: fault %u", name, bench.hit.fault);
	} else {
		if (bench.hit.fault)
			fail_msg("%s: fault %u", name, bench.hit.fault);
		while (rt_ring_next(&bench.client, 0, &record, payload))
			;
		if (payload[0] != strtoull(want, NULL, 16))
			fail_msg("%s: 0x%llx, expected %s", name,
				(unsigned long long)payload[0], want);
	}
	bench_close(&bench);
}

static int is_general(ZydisRegister reg)
{
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR8:
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
	case ZYDIS_REGCLASS_FLAGS:
	case ZYDIS_REGCLASS_IP:
		return 1;
	default:
		return 0;
	}
}

/* All of the code decodes, and has general registers alone. */
static void general_only(const char *name, const struct bpf_program *p)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (size_t at = 0; at < p->code_bytes; at += insn.length) {
		const uint8_t *code = (const uint8_t *)p->code + at;
		if (ZYAN_FAILED(ZydisDecoderDecodeFull(
			    &decoder, code, p->code_bytes - at, &insn, operands)))
			fail_msg("%s: no instruction at byte %zu of the code", name, at);
		for (int i = 0; i < insn.operand_count; i++)
			if (operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
				!is_general(operands[i].reg.value))
				fail_msg("%s: %s in the code", name,
					ZydisRegisterGetString(operands[i].reg.value));
	}
}

static void try_case(const char *name, char *program, const char *want)
{
	int refuse = !strncmp(want, "refuse ", 7), err;
	struct bpf_program *p;
	void *blob;
	size_t bytes;

	cases++;
	note(program);
	if (!refuse)
		strcat(program, result);
	if (bpf_assemble(program, &blob, &bytes))
		fail_msg("%s: %s", name, err_text());
	round_trip(name, blob, bytes);
	err = bpf_program_load(blob, bytes, &p);
	if (refuse) {
		if (!err || !strstr(err_text(), want + 7))
			fail_msg(
				"%s: verifier says: %s", name, err ? err_text() : "fine");
	} else if (err) {
		fail_msg("%s: %s", name, err_text());
	} else {
		run_case(name, p, want);
		assert_int_equal(bpf_programs_compile(&p, 1), 1);
		general_only(name, p);
		run_case(name, p, want);
	}
	if (!err)
		bpf_program_free(p);
	free(blob);
}

static void run_file(const char *path)
{
	char line[256], name[256] = "", program[8192] = "";
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "== ", 3)) {
			strcpy(name, line + 3);
			program[0] = 0;
		} else if (!strncmp(line, "-- ", 3)) {
			try_case(name, program, line + 3);
		} else if (line[0] != '#') {
			strcat(strcat(program, line), "\n");
		}
	}
	fclose(f);
}

static void test_cases(void **state)
{
	DIR *d = opendir(BPF_CASES);
	char path[512];

	assert_non_null(d);
	used_names = calloc(1, bpf_names_count);
	for (struct dirent *e; (e = readdir(d));) {
		if (!strstr(e->d_name, ".txt"))
			continue;
		snprintf(path, sizeof path, "%s/%s", BPF_CASES, e->d_name);
		run_file(path);
	}
	closedir(d);
	assert_true(cases > 500);
	for (size_t i = 0; i < bpf_names_count; i++)
		if (!used_names[i])
			fail_msg("no case has %s", bpf_names[i].name);
	for (int i = 1; i < RT_HELPERS; i++)
		if (!used_helpers[i])
			fail_msg("no case calls %s", rt_helpers[i].name);
	free(used_names);
}

/* A blob whose header or length is wrong is refused, whatever is cut off. */
static void test_blobs(void **state)
{
	unsigned char *bytes;
	struct bpf_program *p;
	void *blob;
	size_t n;

	assert_int_equal(
		bpf_assemble(".data 1 2 3 4 5 6 7 8\nmov r0, 0\nexit", &blob, &n), 0);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(bpf_program_load(blob, cut, &p), DTPROC_EVERIFY);
	bytes = blob;
	for (size_t i = 0; i < sizeof(struct bpf_blob); i++) {
		if (i / 4 == 3) /* the program's id may be anything */
			continue;
		bytes[i] ^= 0x40;
		if (!bpf_program_load(blob, n, &p)) {
			/* scratch, this-> and globals may be larger */
			assert_true(i / 4 == 6 || i / 4 >= 8);
			bpf_program_free(p);
		}
		bytes[i] ^= 0x40;
	}
	free(blob);
}

/* The work of helpers is bounded, for the thread at the probe waits: here 32 MiB. */
static void test_too_long(void **state)
{
	static const char call[] = "lddw r1, globals+0\nmov r2, 1048576\ncall strlen\n";
	char text[40 * sizeof call] = ".globals 1048576\n";
	struct bpf_program *p;
	size_t bytes, end;
	void *blob;

	for (int i = 1; i <= 33; i++) {
		strcat(text, call);
		end = strlen(text);
		strcat(text, "exit\n");
		assert_int_equal(bpf_assemble(text, &blob, &bytes), 0);
		text[end] = 0;
		assert_int_equal(
			bpf_program_load(blob, bytes, &p), i <= 32 ? 0 : DTPROC_EVERIFY);
		free(blob);
		if (i <= 32)
			bpf_program_free(p);
	}
	assert_non_null(strstr(err_text(), "instruction 131: it would take too long"));
}

static void test_assembler_errors(void **state)
{
	static const char *const texts[][2] = {{"mov r0 1", "line 1: expected a comma"},
		{"\nfoo r0", "line 2: no such instruction"},
		{"mov r99, 0", "line 1: no such register"},
		{"ja nowhere", "line 1: no such label"},
		{"call nothing", "line 1: no such helper"},
		{"ldxb r0, r1", "line 1: expected ["},
		{"stb [r1+x], 1", "line 1: expected a number"},
		{".foo 1", "no such directive"}};
	void *blob;
	size_t n;

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		assert_int_equal(bpf_assemble(texts[i][0], &blob, &n), DTPROC_EINVAL);
		if (!strstr(err_text(), texts[i][1]))
			fail_msg("%s: %s", texts[i][0], err_text());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_blobs),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_assembler_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
