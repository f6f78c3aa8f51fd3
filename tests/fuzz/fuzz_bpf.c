/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs.  The input is code, to which a good header is added (and, for the header's
 * own sake, taken as a whole blob too).  What verifies runs in both forms with the same
 * outcome, prints, and assembles again.
 */
#include "../unit/bpf_both.h"

static void text_again(const void *blob, size_t bytes)
{
	char *text = NULL;
	size_t len, again_bytes;
	FILE *f = open_memstream(&text, &len);
	void *again;

	if (!f)
		return;
	if (bpf_disassemble(blob, bytes, f))
		abort();
	fclose(f);
	if (bpf_assemble(text, &again, &again_bytes) || again_bytes != bytes ||
		memcmp(again, blob, bytes)) {
		fprintf(stderr, "%s", text);
		abort();
	}
	free(again);
	free(text);
}

static void run(const void *blob, size_t bytes)
{
	static struct both both;
	const char *what;

	if (!both.compiled.mem && both_open(&both))
		abort();
	what = both_run(&both, blob, bytes);
	if (what) {
		fprintf(stderr, "interpreter and machine code differ: %s\n", what);
		bpf_disassemble(blob, bytes, stderr);
		abort();
	}
}

static void try_blob(const void *blob, size_t bytes, int whole)
{
	struct bpf_program *p;

	if (bpf_program_load(blob, bytes, &p) == 0) {
		bpf_program_free(p);
		run(blob, bytes);
		whole = 1;
	}
	if (whole)
		text_again(blob, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bpf_blob head = {.magic = BPF_BLOB_MAGIC,
		.version = BPF_BLOB_VERSION,
		.codes = (uint32_t)(size / 8),
		.rodata = 16,
		.scratch = 64};
	unsigned char *blob;

	try_blob(data, size, 0);
	if (size < 8 || size / 8 > BPF_CODES_MAX)
		return 0;
	head.bytes = (uint32_t)sizeof head + head.codes * 8 + head.rodata;
	blob = calloc(1, head.bytes);
	if (!blob)
		return 0;
	memcpy(blob, &head, sizeof head);
	memcpy(blob + sizeof head, data, head.codes * 8);
	memcpy(blob + head.bytes - 16, "constant", 8);
	try_blob(blob, head.bytes, 1);
	free(blob);
	return 0;
}
