/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * module`name: a variable of the victim.  Its address is asked for when the text is
 * compiled, in $target, and holds there alone: in any other process it is 0, whose load
 * is a fault.
 */
#include "parts.h"

#include <stdio.h>
#include <string.h>

static struct lang_node *number(
	struct unit *u, uint32_t at, const struct lang_type *t, uint64_t value)
{
	struct lang_node *n = node_new(u, LANG_N_INT, at);

	if (n) {
		n->type = t;
		n->value = value;
	}
	return n;
}

/* pid == PID ? address : 0 */
static struct lang_node *address_in(struct unit *u, uint32_t at, pid_t pid, uint64_t addr,
	const struct lang_type *pointer)
{
	struct lang_node *own = node_new(u, LANG_N_BUILTIN, at);
	struct lang_node *is = node_new(u, LANG_N_BINARY, at);
	struct lang_node *cond = node_new(u, LANG_N_COND, at);

	if (!own || !is || !cond)
		return NULL;
	own->builtin = builtin_find("pid", 3);
	own->type = own->builtin->type;
	is->op = LANG_OP_EQ;
	is->type = &lang_type_int;
	is->left = own;
	is->right = number(u, at, own->type, (uint64_t)pid);
	cond->type = pointer;
	cond->left = is;
	cond->right = number(u, at, pointer, addr);
	cond->third = number(u, at, pointer, 0);
	is->height = 2;
	cond->height = 3;
	return is->right && cond->right && cond->third ? cond : NULL;
}

int check_symbol(struct unit *u, struct lang_node **node)
{
	const struct type_source *s = u->src->types;
	struct lang_node *n = *node, *address, *out;
	const char *mark = strchr(n->text, '`');
	char module[LANG_NAME_MAX + 1] = "";
	const struct lang_type *t = NULL, *pointer;
	struct type_ref ref;
	uint64_t addr;
	pid_t pid;

	memcpy(module, n->text, (size_t)(mark - n->text));
	if (!s || s->symbol(s->arg, *module ? module : NULL, mark + 1, &addr, &pid,
			  &ref) <= 0)
		return fail(u, n->at, "D_IDENT_UNDEF",
			"symbols are looked for in the process of -c or -p",
			"failed to resolve %s: unknown symbol name", n->text);
	if (ref.file)
		t = type_import(u, &ref);
	t = t && type_complete(u, t) ? t : &lang_type_void;
	pointer = pointer_to(u, t);
	address = pointer ? address_in(u, n->at, pid, addr, pointer) : NULL;
	out = node_new(u, LANG_N_UNARY, n->at);
	if (!address || !out)
		return DTPROC_ENOMEM;
	out->op = LANG_OP_DEREF;
	out->type = t;
	out->left = address;
	*node = node_grown(u, out);
	return *node ? 0 : DTPROC_ESYNTAX;
}
