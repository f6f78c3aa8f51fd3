/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for machine code: written first, executable then, and never both.  Where it
 * cannot be had (SELinux, seccomp, PR_SET_MDWE) the program stays with the interpreter.
 */
#include "machine.h"

#include <base/clean.h>
#include <base/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* No machine code then; 0, as bpf_program_compile() says it. */
static int interpreted(const struct bpf_program *p, const char *what)
{
	log_line("bpf", 1, "program %u is interpreted: %s: %s", p->id, what,
		strerror(errno));
	return 0;
}

/* Executable memory with these bytes; NULL: there is none. */
static void *map(const uint8_t *code, size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	memcpy(at, code, bytes);
	if (mprotect(at, bytes, PROT_READ | PROT_EXEC)) {
		int why = errno;
		munmap(at, bytes);
		errno = why;
		return NULL;
	}
	__builtin___clear_cache((char *)at, (char *)at + bytes);
	return at;
}

int bpf_program_compile(struct bpf_program *p)
{
	CLEAN_FREE uint8_t *code = NULL;
	size_t bytes;

	if (p->code)
		return 1;
	code = malloc(bpf_machine_room(p));
	bytes = code ? bpf_machine_write(p, code) : 0;
	if (!bytes)
		return interpreted(p, "making its code");
	p->code = map(code, bytes);
	if (!p->code)
		return interpreted(p, "executable memory");
	p->code_bytes = bytes;
	return 1;
}

void bpf_program_forget_code(struct bpf_program *p)
{
	if (p->code)
		munmap(p->code, p->code_bytes);
	p->code = NULL;
}
