/* SPDX-License-Identifier: BSD-2-Clause */
/* A circular doubly linked list whose links live in its members. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stddef.h>

struct list {
	struct list *next, *prev;
};

/* clang-format off */
#define LIST_INIT(name) {&(name), &(name)}
/* clang-format on */
#define list_entry(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))
/* Walks `head`; the current member may be removed. */
#define list_each(it, head)                                                              \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head);        \
		it = it##_next, it##_next = it->next)

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline int list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add(struct list *head, struct list *l)
{
	l->next = head->next;
	l->prev = head;
	head->next->prev = l;
	head->next = l;
}

static inline void list_append(struct list *head, struct list *l)
{
	list_add(head->prev, l);
}

/* Removes `l` and leaves it an empty list, so that removing it again is harmless. */
static inline void list_remove(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

#endif
