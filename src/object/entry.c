/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entries of .eh_frame and .debug_frame (DWARF 5, 6.4.1; LSB 5, 10.6).  libdw takes
 * common entries apart.
 */
#include "cfi.h"

#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <string.h>

static uint64_t fixed_pointer(struct cursor *c, unsigned format)
{
	switch (format) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		return cursor_u64(c);
	case DW_EH_PE_udata2:
		return cursor_u16(c);
	case DW_EH_PE_sdata2:
		return (uint64_t)(int16_t)cursor_u16(c);
	case DW_EH_PE_udata4:
		return cursor_u32(c);
	case DW_EH_PE_sdata4:
		return (uint64_t)(int32_t)cursor_u32(c);
	case DW_EH_PE_uleb128:
		return cursor_uleb(c);
	case DW_EH_PE_sleb128:
		return (uint64_t)cursor_sleb(c);
	}
	c->bad = 1;
	return 0;
}

uint64_t cfi_pointer(struct cursor *c, unsigned encoding, const uint8_t *begin,
	uint64_t position, uint64_t data)
{
	uint64_t here = position + (uint64_t)(c->at - begin);
	uint64_t value = fixed_pointer(c, encoding & 0xf);

	switch (encoding & 0xf0) {
	case DW_EH_PE_absptr:
		return value;
	case DW_EH_PE_pcrel:
		return value + here;
	case DW_EH_PE_datarel:
		return value + data;
	}
	c->bad = 1;
	return 0;
}

static const unsigned char ident[EI_NIDENT] = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
	ELFCLASS64, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB,
	EV_CURRENT};

/* Lets libdw take a common entry apart. */
static int split(const struct cfi_bytes *b, Dwarf_CFI_Entry *entry)
{
	Elf_Data data = {.d_buf = (void *)b->at, .d_size = b->n, .d_type = ELF_T_BYTE};
	Dwarf_Off next;

	return dwarf_next_cfi(ident, &data, b->eh != 0, 0, &next, entry);
}

/*
 * The head of an entry, up to what differs by kind; *common: where its common entry lies.
 * libdw would do it, but for entries alone that cannot be far from their common one.
 */
static enum cfi_kind read_kind(
	const struct cfi_bytes *b, struct cursor *c, uint64_t *common)
{
	*c = cursor_of(b->at, b->n);
	const int wide = cursor_u32(c) == UINT32_MAX;

	if (wide)
		cursor_u64(c);
	const uint64_t here = b->position + (uint64_t)(c->at - b->at);
	const uint64_t id = wide && !b->eh ? cursor_u64(c) : cursor_u32(c);
	const uint64_t none = b->eh ? 0 : wide ? UINT64_MAX : UINT32_MAX;

	if (c->bad)
		return CFI_END;
	*common = b->eh ? here - id : id;
	return id == none ? CFI_COMMON : CFI_FUNCTION;
}

enum cfi_kind cfi_entry_kind(const struct cfi_bytes *b, uint64_t *common)
{
	struct cursor c;

	return read_kind(b, &c, common);
}

/* Reads what the letters of the augmentation announce. */
static void read_augmentation(
	struct cfi_common *out, const Dwarf_CIE *cie, const struct cfi_bytes *b)
{
	struct cursor c = cursor_of(cie->augmentation_data, cie->augmentation_data_size);
	const char *letter = cie->augmentation;

	out->sized = *letter == 'z';
	letter += out->sized;
	for (; *letter && !c.bad; letter++) {
		if (*letter == 'R')
			out->encoding = cursor_u8(&c);
		else if (*letter == 'S')
			out->signal = 1;
		else if (*letter == 'L')
			cursor_u8(&c);
		else if (*letter == 'P')
			cfi_pointer(&c, cursor_u8(&c) & 0xf, b->at, 0, 0);
		else if (*letter != 'B')
			break;
	}
}

int cfi_common_read(const struct cfi_bytes *b, uint8_t **bytes, struct cfi_common *out)
{
	Dwarf_CFI_Entry entry;
	struct cfi_common common = {.position = b->position};

	if (split(b, &entry) || !dwarf_cfi_cie_p(&entry))
		return cfi_bad("no common entry");
	const Dwarf_CIE *cie = &entry.cie;

	if (cie->return_address_register >= OBJECT_REGS)
		return cfi_bad("no return address");
	common.code_factor = cie->code_alignment_factor;
	common.data_factor = cie->data_alignment_factor;
	common.ra = (unsigned)cie->return_address_register;
	common.encoding = DW_EH_PE_absptr;
	read_augmentation(&common, cie, b);
	struct cursor c = cursor_of(cie->initial_instructions,
		(size_t)(cie->initial_instructions_end - cie->initial_instructions));
	int err = cfi_initial(b, &common, &c);

	if (err)
		return err;
	common.bytes = *bytes;
	*bytes = NULL;
	*out = common;
	return 0;
}

/* Reads the head of an entry; the cursor is then at its program. */
static int read_head(const struct cfi_bytes *b, const struct cfi_common *common,
	struct cursor *c, uint64_t *start, uint64_t *size)
{
	uint64_t at;

	if (read_kind(b, c, &at) != CFI_FUNCTION)
		return cfi_bad("no entry of a function");
	*start = cfi_pointer(c, common->encoding, b->at, b->position, 0);
	*size = fixed_pointer(c, common->encoding & 0xf);
	if (common->sized)
		cursor_get(c, cursor_uleb(c));
	if (c->bad || *size == 0 || *size > UINT32_MAX || *start + *size < *start)
		return cfi_bad("a function's addresses");
	return 0;
}

int cfi_function_range(const struct cfi_bytes *b, const struct cfi_common *common,
	uint64_t *start, uint64_t *size)
{
	struct cursor c;

	return read_head(b, common, &c, start, size);
}

int cfi_function_rows(const struct cfi_bytes *b, const struct cfi_common *common,
	struct cfi_rules *rules)
{
	struct cursor c;
	uint64_t start, size;
	int err = read_head(b, common, &c, &start, &size);

	return err ? err : cfi_rows(b, common, start, size, &c, rules);
}
