/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bounded cursor over bytes that nobody has vouched for.  A read past the end sets
 * `bad` and gives zero; check `bad` once at the end of a parse.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const unsigned char *at, *end;
	int bad;
};

static inline struct cursor cursor_of(const void *bytes, size_t len)
{
	return (struct cursor){bytes, (const unsigned char *)bytes + len, 0};
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

/* Borrows the next `len` bytes, or NULL when there are fewer. */
static inline const void *cursor_get(struct cursor *c, size_t len)
{
	if (c->bad || cursor_left(c) < len) {
		c->bad = 1;
		return NULL;
	}
	c->at += len;
	return c->at - len;
}

/* Copies the next `len` bytes out; zeros when there are fewer. */
static inline void cursor_copy(struct cursor *c, void *out, size_t len)
{
	const void *p = cursor_get(c, len);

	if (p)
		memcpy(out, p, len);
	else
		memset(out, 0, len);
}

static inline uint64_t cursor_u64(struct cursor *c)
{
	uint64_t v;
	cursor_copy(c, &v, sizeof v);
	return v;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	uint32_t v;
	cursor_copy(c, &v, sizeof v);
	return v;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	uint8_t v;
	cursor_copy(c, &v, sizeof v);
	return v;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
	uint16_t v;
	cursor_copy(c, &v, sizeof v);
	return v;
}

/* LEB128; bits beyond 64 are dropped. */
static inline uint64_t cursor_uleb(struct cursor *c)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = cursor_u8(c);
		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return v;
}

static inline int64_t cursor_sleb(struct cursor *c)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = cursor_u8(c);
		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (shift < 64 && (byte & 0x40))
		v |= ~0ull << shift;
	return (int64_t)v;
}

/* Borrows a NUL-terminated string, or NULL when there is no NUL. */
static inline const char *cursor_str(struct cursor *c)
{
	const void *nul = c->bad ? NULL : memchr(c->at, 0, cursor_left(c));

	if (!nul) {
		c->bad = 1;
		return NULL;
	}
	return cursor_get(c, (size_t)((const unsigned char *)nul - c->at) + 1);
}

#endif
