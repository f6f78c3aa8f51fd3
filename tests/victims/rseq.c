/* SPDX-License-Identifier: BSD-2-Clause */
/* rseq: describes a restartable sequence, rseq_begin to rseq_end, and waits (D7). */
#include "page.h"

#include <linux/rseq.h>

void rseq_begin(void);
void rseq_end(void);

__asm__(".text\n"
	".globl rseq_begin, rseq_end\n"
	".type rseq_begin, @function; .type rseq_end, @function\n"
	"rseq_begin: nop; nop; nop; nop\n"
	"rseq_end: ret\n"
	".pushsection __rseq_cs, \"aw\"\n"
	".balign 32\n"
	".long 0, 0\n"
	".quad rseq_begin, rseq_end - rseq_begin, rseq_end\n"
	".popsection\n");

int main(void)
{
	page_open();
	page_ready();
	while (!page->quit) {
		page->slot[0]++;
		page_nap(1000000);
	}
	return page_end("rseq");
}
