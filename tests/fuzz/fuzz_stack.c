/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stack that its victim scribbled on, in code whose call frame information lies.  The
 * input is .eh_frame of an ELF file made here, and the victim's memory, too.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <stdio.h>
#include <stack/stack.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT 0x1000
#define FRAMES 0x2000
#define ROOM 64

static const char names[] = "\0.eh_frame\0.names";

struct memory {
	const uint8_t *data;
	size_t size;
	struct object *object;
};

static void promise(int held)
{
	if (!held)
		abort();
}

static void put(int fd, const void *bytes, size_t len, off_t at)
{
	promise(pwrite(fd, bytes, len, at) == (ssize_t)len);
}

static struct object *make_object(int fd, const uint8_t *data, size_t size)
{
	Elf64_Ehdr head = {.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof head,
		.e_ehsize = sizeof head,
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 3,
		.e_shstrndx = 2};
	const Elf64_Phdr load = {.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_filesz = FRAMES + size,
		.p_memsz = FRAMES + size};
	Elf64_Shdr sections[3] = {{0}};
	struct object *o = NULL;
	char path[32];

	memcpy(head.e_ident, "\177ELF\2\1\1", 7);
	head.e_shoff = (FRAMES + size + sizeof names + 7) & ~7ull;
	sections[1] = (Elf64_Shdr){.sh_name = 1,
		.sh_type = SHT_PROGBITS,
		.sh_addr = FRAMES,
		.sh_offset = FRAMES,
		.sh_size = size,
		.sh_addralign = 8};
	sections[2] = (Elf64_Shdr){.sh_name = 11,
		.sh_type = SHT_STRTAB,
		.sh_offset = FRAMES + size,
		.sh_size = sizeof names};
	put(fd, &head, sizeof head, 0);
	put(fd, &load, sizeof load, sizeof head);
	put(fd, data, size, FRAMES);
	put(fd, names, sizeof names, (off_t)(FRAMES + size));
	put(fd, sections, sizeof sections, (off_t)head.e_shoff);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	promise(object_open(path, NULL, &o) == 0);
	return o;
}

static ssize_t read_memory(void *arg, dtproc_addr at, void *buf, size_t len)
{
	const struct memory *m = arg;

	if (at >= m->size)
		return 0;
	len = len < m->size - at ? len : m->size - at;
	memcpy(buf, m->data + at, len);
	return (ssize_t)len;
}

static int code_at(void *arg, dtproc_addr at, struct stack_code *out)
{
	const struct memory *m = arg;

	out->object = at < FRAMES ? m->object : NULL;
	out->bias = 0;
	return at < 0x10000;
}

static void walk(struct stack_walker *walker, dtproc_addr pc)
{
	struct stack_frame frames[ROOM];
	struct stack_regs regs = {.known = UINT32_MAX};
	enum stack_end end = STACK_FULL;

	for (unsigned i = 0; i < ARCH_DWARF_REGS; i++)
		regs.value[i] = i * 8;
	regs.value[ARCH_DWARF_PC] = pc;
	size_t n = stack_walk(walker, &regs, frames, ROOM, &end);

	promise(n >= 1 && n <= ROOM && end <= STACK_LOST);
	promise(end != STACK_FULL || n == ROOM);
	promise(frames[0].pc == pc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct memory m = {data, size, NULL};
	const struct stack_source source = {&m, read_memory, code_at};
	static struct stack_walker *walker;

	promise(fd >= 0);
	m.object = make_object(fd, data, size);
	promise(walker || stack_walker_create(&source, &walker) == 0);
	stack_walker_reset(walker, &source);
	for (dtproc_addr pc = TEXT; pc < TEXT + 0x100; pc += 5)
		walk(walker, pc);
	object_unref(m.object);
	close(fd);
	return 0;
}
