/* SPDX-License-Identifier: BSD-2-Clause */
/* Stacks, and addresses that are printed by name. */
#include "gen.h"

#define FRAMES_MAX 512u

static uint32_t frames(const struct gen *g, const struct lang_node *n)
{
	uint64_t wanted = n->args ? n->args->value : 0;

	if (!n->args)
		wanted = n->func->code == LANG_FN_JSTACK ? g->cg->jstack_frames
							 : g->cg->ustack_frames;
	return wanted < FRAMES_MAX ? (uint32_t)wanted : FRAMES_MAX;
}

static enum cg_address form(const struct lang_node *n)
{
	switch (n->func->code) {
	case LANG_FN_USYM:
		return CG_USYM;
	case LANG_FN_UFUNC:
		return CG_UFUNC;
	case LANG_FN_UMOD:
		return CG_UMOD;
	default:
		return CG_UADDR;
	}
}

void gen_address_field(struct gen *g, const struct lang_node *n, struct cg_field *f)
{
	g->cg->names_addresses = 1;
	f->kind = n->type->kind == LANG_T_STACK ? CG_STACK : CG_ADDRESS;
	f->part = (uint8_t)form(n);
	f->size = 8 + 8 * (f->kind == CG_STACK ? frames(g, n) : 1);
}

/* The helper fills in whose it is, and a stack's PCs. */
void gen_address_store(
	struct gen *g, const struct lang_node *n, const struct cg_field *f, uint32_t at)
{
	gen_address(g, R1, BPF_AREA_SCRATCH, at);
	gen_number(g, R2, f->kind == CG_STACK ? f->size : 8);
	gen_call(g, RT_HELPER_STACK);
	if (f->kind == CG_STACK)
		return;
	gen_expression(g, n->args);
	gen_code(g, BPF_C_STX | BPF_M_MEM | BPF_S_DW, R_SCRATCH, R0, (int)at + 8, 0);
}

/* Does it print names of addresses? */
void gen_address_format(struct gen *g, const struct lang_format *f)
{
	for (unsigned i = 0; f && i < f->n; i++)
		if (f->convs[i].conv == 'a' || f->convs[i].conv == 'A')
			g->cg->names_addresses = 1;
}
