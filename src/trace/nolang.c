/* SPDX-License-Identifier: BSD-2-Clause */
/* Stands in for the compiler while it is not part of the build: every text is refused. */
#include <base/err.h>
#include <bpf/bpf.h>
#include <codegen/codegen.h>

int cg_open(struct cg **out)
{
	*out = NULL;
	return 0;
}

void cg_close(struct cg *c)
{
}

int cg_compile(struct cg *c, const struct lang_source *s, struct cg_script **out)
{
	return err_set(DTPROC_ESYNTAX, "this build has no D compiler");
}

void cg_script_free(struct cg_script *s)
{
}

const struct cg_agg *cg_agg_by_id(const struct cg *c, uint32_t id)
{
	return NULL;
}

unsigned cg_clause_action_at(const struct cg_clause *c, uint32_t pc)
{
	return 0;
}

int bpf_disassemble(const void *blob, size_t bytes, FILE *out)
{
	return err_set(DTPROC_EVERIFY, "this build has no disassembler");
}
