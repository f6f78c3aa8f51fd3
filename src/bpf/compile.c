/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for machine code: written first, executable then, and never both.  Where it
 * cannot be had (SELinux, seccomp, PR_SET_MDWE) the program stays with the interpreter.
 */
#include "machine.h"

#include <base/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Where the code of programs that were compiled together lies. */
struct bpf_text {
	void *at;
	size_t bytes;
	size_t users; /* programs */
};

/* Code that has been made, one program's behind the other's. */
struct made {
	uint8_t *at;
	size_t bytes;
};

#define ALIGNED(bytes) (((bytes) + 15) & ~(size_t)15)

static int needs_code(const struct bpf_program *p)
{
	return p && !p->code;
}

static int make(struct bpf_program *p, struct made *made)
{
	uint8_t *grown = realloc(made->at, made->bytes + bpf_machine_room(p) + 16);
	size_t bytes;

	if (!grown)
		return -1;
	made->at = grown;
	bytes = bpf_machine_write(p, grown + made->bytes);
	if (!bytes)
		return -1;
	p->code_at = made->bytes;
	p->code_bytes = bytes;
	made->bytes = ALIGNED(made->bytes + bytes);
	memset(grown + p->code_at + bytes, 0, made->bytes - p->code_at - bytes);
	return 0;
}

static int make_all(struct bpf_program *const programs[], size_t n, struct made *made)
{
	for (size_t i = 0; i < n; i++)
		if (needs_code(programs[i]) && make(programs[i], made))
			return -1;
	return 0;
}

/* Executable memory with that code; NULL: there is none. */
static struct bpf_text *map(const struct made *made)
{
	struct bpf_text *text = malloc(sizeof *text);
	void *at = mmap(NULL, made->bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (text && at != MAP_FAILED) {
		memcpy(at, made->at, made->bytes);
		if (!mprotect(at, made->bytes, PROT_READ | PROT_EXEC)) {
			__builtin___clear_cache((char *)at, (char *)at + made->bytes);
			*text = (struct bpf_text){at, made->bytes, 0};
			return text;
		}
	}
	log_line("bpf", 1, "programs are interpreted: executable memory: %s",
		strerror(errno));
	if (at != MAP_FAILED)
		munmap(at, made->bytes);
	free(text);
	return NULL;
}

int bpf_programs_compile(struct bpf_program *const programs[], size_t n)
{
	struct made made = {NULL, 0};
	struct bpf_text *text = NULL;

	if (make_all(programs, n, &made))
		log_line("bpf", 1, "programs are interpreted: no memory for code");
	else if (made.bytes)
		text = map(&made);
	for (size_t i = 0; text && i < n; i++) {
		if (!needs_code(programs[i]))
			continue;
		programs[i]->code = (uint8_t *)text->at + programs[i]->code_at;
		programs[i]->text = text;
		text->users++;
	}
	free(made.at);
	return text != NULL || !made.bytes;
}

void bpf_program_forget_code(struct bpf_program *p)
{
	struct bpf_text *text = p->text;

	p->code = NULL;
	p->text = NULL;
	if (!text || --text->users)
		return;
	munmap(text->at, text->bytes);
	free(text);
}
