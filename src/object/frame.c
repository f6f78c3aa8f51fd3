/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a function's frame is, by the unwind tables (.eh_frame).  They are read into
 * memory when first asked for; the file is not kept open.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <base/clean.h>
#include "own.h"

struct object_frames {
	Elf *elf;
	Dwarf_CFI *cfi;
};

/* The file of the object, if its path still names that. */
static int reopen(const struct object *o)
{
	CLEAN_FD int fd = open(o->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_ino != o->ino ||
		st.st_dev != o->dev)
		return -1;
	return TAKE_FD(fd);
}

static struct object_frames *read_frames(const struct object *o)
{
	struct object_frames *f = calloc(1, sizeof *f);
	CLEAN_FD int fd = reopen(o);

	if (!f || fd < 0)
		return f;
	elf_version(EV_CURRENT);
	f->elf = elf_begin(fd, ELF_C_READ, NULL);
	f->cfi = f->elf ? dwarf_getcfi_elf(f->elf) : NULL;
	if (f->elf)
		elf_cntl(f->elf, ELF_C_FDDONE);
	return f;
}

void object_frames_free(struct object_frames *f)
{
	if (!f)
		return;
	if (f->cfi)
		dwarf_cfi_end(f->cfi);
	if (f->elf)
		elf_end(f->elf);
	free(f);
}

static int look_up(Dwarf_CFI *cfi, uint64_t value, unsigned *reg, int64_t *offset)
{
	Dwarf_Frame *frame = NULL;
	Dwarf_Op *ops = NULL;
	size_t n = 0;
	int known = dwarf_cfi_addrframe(cfi, value, &frame) == 0 &&
		    dwarf_frame_cfa(frame, &ops, &n) == 0 && n == 1 &&
		    ops[0].atom == DW_OP_bregx;

	if (known) {
		*reg = (unsigned)ops[0].number;
		*offset = (int64_t)ops[0].number2;
	}
	free(frame);
	return known;
}

int object_frame(struct object *o, uint64_t value, unsigned *reg, int64_t *offset)
{
	int known = 0;

	pthread_mutex_lock(&o->lock);
	if (!o->frames)
		o->frames = read_frames(o);
	if (o->frames && o->frames->cfi)
		known = look_up(o->frames->cfi, value, reg, offset);
	pthread_mutex_unlock(&o->lock);
	return known;
}
