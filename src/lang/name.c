/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names of a scope's types: typedefs, tags, enumerators.  A hash table whose entries
 * stand in the order in which they came, so that a text that fails takes its own back.
 */
#include "parts.h"

#include <base/hash.h>

#include <string.h>

static uint64_t hash_of(enum name_kind kind, const char *text, size_t len)
{
	return hash_mix(hash_bytes(text, len) + kind);
}

static uint32_t *bucket_of(struct lang_scope *s, uint64_t hash)
{
	return &s->buckets[hash % NAME_BUCKETS];
}

struct name *name_find(struct unit *u, enum name_kind kind, const char *text, size_t len)
{
	struct lang_scope *s = u->scope;
	uint64_t hash = hash_of(kind, text, len);

	for (uint32_t i = *bucket_of(s, hash); i; i = s->names.at[i - 1].next) {
		struct name *n = &s->names.at[i - 1];
		if (n->hash == hash && n->kind == kind && !strncmp(n->text, text, len) &&
			!n->text[len])
			return n;
	}
	return NULL;
}

struct name *name_add(struct unit *u, enum name_kind kind, const char *text, size_t len,
	struct lang_type *type)
{
	struct lang_scope *s = u->scope;
	struct name n = {.text = arena_copy(s->arena, text, len),
		.hash = hash_of(kind, text, len),
		.kind = kind,
		.type = type};
	uint32_t *bucket = bucket_of(s, n.hash);

	n.next = *bucket;
	if (!n.text)
		return NULL;
	if (vec_push(&s->names, n)) {
		err_nomem("a name");
		return NULL;
	}
	*bucket = (uint32_t)s->names.n;
	return &s->names.at[s->names.n - 1];
}

void names_cut(struct lang_scope *s, size_t n)
{
	while (s->names.n > n) {
		const struct name *last = &s->names.at[--s->names.n];
		*bucket_of(s, last->hash) = last->next;
	}
}
