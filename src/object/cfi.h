/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Call frame information of one file: frames.c finds an entry, entry.c takes it apart,
 * cfi.c runs its program.
 */
#ifndef OBJECT_CFI_H
#define OBJECT_CFI_H

#include <base/cursor.h>
#include <base/hash.h>
#include <base/vec.h>
#include "object.h"

/* A place in the table: from `pc` on, counted from the function's start. */
struct cfi_row {
	uint32_t pc;
	uint32_t rule; /* cfi_rule(); CFI_NO_RULE: behind the end */
};
#define CFI_NO_RULE UINT32_MAX

/* How to find one register, or the CFA; the expression lies in the entry's bytes. */
struct cfi_place {
	uint8_t how; /* enum object_how */
	uint8_t reg;
	uint16_t len;
	int32_t at;
	const uint8_t *expr;
};

struct cfi_state {
	struct cfi_place cfa, reg[OBJECT_REGS];
};

/* A common information entry, decoded, with its bytes. */
struct cfi_common {
	uint64_t position; /* its address; in .debug_frame its offset */
	uint8_t *bytes;
	uint64_t code_factor;
	int64_t data_factor;
	unsigned ra, encoding; /* of the entries' addresses: DW_EH_PE_* */
	int sized, signal;
	struct cfi_state initial;
};

/* Rules and rows that were made so far.  Rules are shared, and never move. */
struct cfi_rules {
	VEC(uint8_t *) chunks;
	size_t used; /* of the last chunk */
	struct hash by_bytes;
	VEC(struct cfi_row) rows;
};

/* The bytes of an entry, and where they lie in the file's addresses. */
struct cfi_bytes {
	const uint8_t *at;
	size_t n;
	uint64_t position;
	int eh; /* of .eh_frame, else .debug_frame */
};

enum cfi_kind { CFI_END, CFI_COMMON, CFI_FUNCTION };
/* What the entry is; *common: where its common entry lies.  CFI_END: nothing of use. */
enum cfi_kind cfi_entry_kind(const struct cfi_bytes *, uint64_t *common);
/* Decodes a common entry; takes the bytes when it succeeds.  EELF. */
int cfi_common_read(
	const struct cfi_bytes *, uint8_t **bytes, struct cfi_common *) MUST_USE;
/* The addresses that an entry is about.  EELF. */
int cfi_function_range(const struct cfi_bytes *, const struct cfi_common *,
	uint64_t *start, uint64_t *size) MUST_USE;
/*
 * Appends the rows of an entry: by address, the first for offset 0, the last one without
 * a rule at the function's size.  EELF: it makes no sense; ENOMEM.
 */
int cfi_function_rows(
	const struct cfi_bytes *, const struct cfi_common *, struct cfi_rules *) MUST_USE;
/* The programs of both kinds, with the cursor at their beginning. */
int cfi_initial(const struct cfi_bytes *, struct cfi_common *, struct cursor *) MUST_USE;
int cfi_rows(const struct cfi_bytes *, const struct cfi_common *, uint64_t start,
	uint64_t size, struct cursor *, struct cfi_rules *) MUST_USE;
/* EELF, with a text. */
int cfi_bad(const char *what);
/* The rule of a row that has one. */
const struct object_rule *cfi_rule(const struct cfi_rules *, uint32_t rule);
void cfi_rules_free(struct cfi_rules *);

/*
 * A pointer of DW_EH_PE_ form `encoding`; `position`: of the cursor's first byte, `data`
 * what datarel is relative to.  Sets `bad` for a form that nobody uses.
 */
uint64_t cfi_pointer(struct cursor *, unsigned encoding, const uint8_t *begin,
	uint64_t position, uint64_t data);

#endif
