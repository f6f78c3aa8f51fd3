/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expressions: precedence climbing over C's table.  Nothing is resolved or typed here.
 *
 * Depth.  Recursion follows nesting and the chains of right-associative operators; both
 * are counted, and so is the height of the tree that left-associative chains build, so
 * that who walks it later may recurse.
 */
#include "parts.h"

#include <string.h>

struct binary {
	const char *mark;
	enum lang_op op;
	int level; /* binds tighter when higher */
};

enum {
	L_ASSIGN = 1,
	L_COND,
	L_LOR,
	L_LXOR,
	L_LAND,
	L_OR,
	L_XOR,
	L_AND,
	L_EQ,
	L_REL,
	L_SHIFT,
	L_ADD,
	L_MUL
};

static const struct binary binaries[] = {
	{"=", LANG_OP_ASSIGN, L_ASSIGN},
	{"+=", LANG_OP_ADD_ASSIGN, L_ASSIGN},
	{"-=", LANG_OP_SUB_ASSIGN, L_ASSIGN},
	{"*=", LANG_OP_MUL_ASSIGN, L_ASSIGN},
	{"/=", LANG_OP_DIV_ASSIGN, L_ASSIGN},
	{"%=", LANG_OP_MOD_ASSIGN, L_ASSIGN},
	{"&=", LANG_OP_AND_ASSIGN, L_ASSIGN},
	{"^=", LANG_OP_XOR_ASSIGN, L_ASSIGN},
	{"|=", LANG_OP_OR_ASSIGN, L_ASSIGN},
	{"<<=", LANG_OP_LSH_ASSIGN, L_ASSIGN},
	{">>=", LANG_OP_RSH_ASSIGN, L_ASSIGN},
	{"?", LANG_OP_COND, L_COND},
	{"||", LANG_OP_LOR, L_LOR},
	{"^^", LANG_OP_LXOR, L_LXOR},
	{"&&", LANG_OP_LAND, L_LAND},
	{"|", LANG_OP_OR, L_OR},
	{"^", LANG_OP_XOR, L_XOR},
	{"&", LANG_OP_AND, L_AND},
	{"==", LANG_OP_EQ, L_EQ},
	{"!=", LANG_OP_NE, L_EQ},
	{"<", LANG_OP_LT, L_REL},
	{"<=", LANG_OP_LE, L_REL},
	{">", LANG_OP_GT, L_REL},
	{">=", LANG_OP_GE, L_REL},
	{"<<", LANG_OP_LSH, L_SHIFT},
	{">>", LANG_OP_RSH, L_SHIFT},
	{"+", LANG_OP_ADD, L_ADD},
	{"-", LANG_OP_SUB, L_ADD},
	{"*", LANG_OP_MUL, L_MUL},
	{"/", LANG_OP_DIV, L_MUL},
	{"%", LANG_OP_MOD, L_MUL},
};

static const struct binary prefixes[] = {
	{"!", LANG_OP_NOT, 0},
	{"~", LANG_OP_CPL, 0},
	{"-", LANG_OP_NEG, 0},
	{"+", LANG_OP_PLUS, 0},
	{"*", LANG_OP_DEREF, 0},
	{"&", LANG_OP_ADDROF, 0},
	{"++", LANG_OP_PREINC, 0},
	{"--", LANG_OP_PREDEC, 0},
};

static struct lang_node *binary(struct unit *u, int level);

struct lang_node *node_new(struct unit *u, enum lang_node_kind kind, uint32_t at)
{
	struct lang_node *n = arena_alloc(u->arena, sizeof *n);

	if (n) {
		n->kind = kind;
		n->at = at;
		n->height = 1;
	}
	return n;
}

static unsigned taller(unsigned height, const struct lang_node *n)
{
	return n && n->height >= height ? n->height + 1 : height;
}

struct lang_node *node_grown(struct unit *u, struct lang_node *n)
{
	n->height = taller(taller(taller(n->height, n->left), n->right), n->third);
	for (const struct lang_node *a = n->args; a; a = a->next)
		n->height = taller(n->height, a);
	if (n->height > LANG_DEPTH_MAX) {
		fail(u, n->at, "D_SYNTAX", "", "expression is nested too deeply");
		return NULL;
	}
	return n;
}

int enter(struct unit *u)
{
	if (++u->depth <= LANG_DEPTH_MAX)
		return 0;
	return fail(u, u->tok.at, "D_SYNTAX", "", "expression is nested too deeply");
}

static const struct binary *find(
	const struct unit *u, const struct binary *table, size_t n)
{
	for (size_t i = 0; u->tok.kind == T_MARK && i < n; i++)
		if (!strcmp(table[i].mark, u->tok.text))
			return &table[i];
	return NULL;
}

/* A list of expressions up to the closing mark, which is skipped. */
static int arguments(struct unit *u, const char *close, struct lang_node *call)
{
	struct lang_node **last = &call->args;

	if (next(u))
		return DTPROC_ESYNTAX;
	while (!is_mark(u, close)) {
		if (call->n_args && expect(u, ","))
			return DTPROC_ESYNTAX;
		if (call->n_args >= LANG_ARGS_MAX)
			return fail(u, u->tok.at, "D_SYNTAX", "", "more than %d values",
				LANG_ARGS_MAX);
		*last = binary(u, L_ASSIGN);
		if (!*last)
			return DTPROC_ESYNTAX;
		last = &(*last)->next;
		call->n_args++;
	}
	return next(u) || !node_grown(u, call) ? DTPROC_ESYNTAX : 0;
}

static struct lang_node *named(struct unit *u, enum lang_node_kind kind)
{
	struct lang_node *n = node_new(u, kind, u->tok.at);

	if (!n)
		return NULL;
	n->text = arena_copy(u->arena, u->tok.text, u->tok.len);
	n->len = u->tok.len;
	n->value = u->tok.value;
	n->type = u->tok.type;
	return n->text && !next(u) ? n : NULL;
}

static struct lang_node *aggregation(struct unit *u)
{
	struct lang_node *n = named(u, LANG_N_AGG);

	if (!n || !is_mark(u, "["))
		return n;
	n->has_keys = 1;
	return arguments(u, "]", n) ? NULL : n;
}

static struct lang_node *word(struct unit *u)
{
	struct lang_node *n = named(u, LANG_N_IDENT);

	if (!n || !is_mark(u, "("))
		return n;
	n->kind = LANG_N_CALL;
	return arguments(u, ")", n) ? NULL : n;
}

static struct lang_node *unary(struct unit *u);

/* Does a type follow the parenthesis that is ahead?  1, 0, or the diagnostic. */
static int type_follows(struct unit *u)
{
	struct unit ahead = *u;

	if (!is_mark(u, "("))
		return 0;
	if (next(&ahead)) {
		u->failed = ahead.failed;
		return DTPROC_ESYNTAX;
	}
	return ahead.tok.kind == T_NAME && is_type_word(u, ahead.tok.text, ahead.tok.len);
}

/* sizeof (type) is a constant; of sizeof operand the checker knows the type. */
static struct lang_node *size_of(struct unit *u)
{
	struct lang_node *n = node_new(u, LANG_N_UNARY, u->tok.at);
	int is_type;

	if (!n || next(u))
		return NULL;
	n->op = LANG_OP_SIZEOF;
	is_type = type_follows(u);
	if (is_type < 0)
		return NULL;
	if (!is_type) {
		n->left = unary(u);
		return n->left ? node_grown(u, n) : NULL;
	}
	return next(u) || parse_type(u, &n->type) || expect(u, ")") ? NULL : n;
}

/* stringof operand */
static struct lang_node *string_of(struct unit *u)
{
	struct lang_node *n = named(u, LANG_N_CALL);

	if (!n)
		return NULL;
	n->args = unary(u);
	n->n_args = 1;
	return n->args ? node_grown(u, n) : NULL;
}

/* xlate <type> (expression) */
static struct lang_node *translated(struct unit *u)
{
	struct lang_node *n = node_new(u, LANG_N_XLATE, u->tok.at);

	if (!n || next(u) || expect(u, "<") || parse_type(u, &n->type))
		return NULL;
	if (!n->type) {
		fail_syntax(u, "a type");
		return NULL;
	}
	if (expect(u, ">") || expect(u, "("))
		return NULL;
	n->left = parse_expression(u);
	return n->left && !expect(u, ")") ? node_grown(u, n) : NULL;
}

/* `(type) operand` or `(expression)`; the parenthesis is ahead. */
static struct lang_node *parenthesis(
	struct unit *u, struct lang_node *(*operand)(struct unit *))
{
	const struct lang_type *type;
	struct lang_node *n;
	uint32_t at = u->tok.at;

	if (next(u) || parse_type(u, &type))
		return NULL;
	if (!type) {
		n = parse_expression(u);
		return n && !expect(u, ")") ? n : NULL;
	}
	n = node_new(u, LANG_N_CAST, at);
	if (!n || expect(u, ")"))
		return NULL;
	n->type = type;
	n->left = operand(u);
	return n->left ? node_grown(u, n) : NULL;
}

static struct lang_node *primary(struct unit *u)
{
	switch (u->tok.kind) {
	case T_INT:
		return named(u, LANG_N_INT);
	case T_STRING:
		return named(u, LANG_N_STRING);
	case T_AGG:
		return aggregation(u);
	case T_NAME:
		return is_word(u, "sizeof")     ? size_of(u)
		       : is_word(u, "stringof") ? string_of(u)
		       : is_word(u, "offsetof") ? parse_offsetof(u)
		       : is_word(u, "xlate")    ? translated(u)
						: word(u);
	case T_MARK:
		if (is_mark(u, "("))
			return parenthesis(u, unary);
		break;
	default:
		break;
	}
	fail_syntax(u, "an expression");
	return NULL;
}

/* this->name and self->name are variables; others members.  The mark is ahead. */
static struct lang_node *member(struct unit *u, struct lang_node *base)
{
	int is_arrow = is_mark(u, "->");
	int scope = base->kind != LANG_N_IDENT || base->value || !is_arrow ? 0
		    : !strcmp(base->text, "this")                          ? LANG_V_THIS
		    : !strcmp(base->text, "self")                          ? LANG_V_SELF
									   : 0;
	uint32_t at = base->at;
	struct lang_node *n;

	if (next(u))
		return NULL;
	if (u->tok.kind != T_NAME) {
		fail_syntax(u, scope ? "a variable's name" : "a member's name");
		return NULL;
	}
	if (!scope)
		at = u->tok.at;
	n = named(u, scope ? LANG_N_IDENT : LANG_N_MEMBER);
	if (!n)
		return NULL;
	n->at = at;
	n->value = scope ? (uint64_t)scope : (uint64_t)is_arrow;
	n->left = scope ? NULL : base;
	return node_grown(u, n);
}

/* a[b], a[b, c]: what it means depends on what `a` is. */
static struct lang_node *indexed(struct unit *u, struct lang_node *base)
{
	struct lang_node *n = node_new(u, LANG_N_INDEX, base->at);

	if (!n)
		return NULL;
	n->left = base;
	return arguments(u, "]", n) ? NULL : node_grown(u, n);
}

static struct lang_node *stepped(struct unit *u, struct lang_node *operand)
{
	struct lang_node *n = node_new(u, LANG_N_UNARY, u->tok.at);

	if (!n)
		return NULL;
	n->op = is_mark(u, "++") ? LANG_OP_POSTINC : LANG_OP_POSTDEC;
	n->left = operand;
	return next(u) ? NULL : node_grown(u, n);
}

/* What may follow a primary: a[b], a->b, a.b, a++, a--. */
static struct lang_node *postfix(struct unit *u)
{
	struct lang_node *n = primary(u);

	while (n && u->tok.kind == T_MARK) {
		if (is_mark(u, "[")) {
			n = indexed(u, n);
		} else if (is_mark(u, "->") || is_mark(u, ".")) {
			n = member(u, n);
		} else if (is_mark(u, "++") || is_mark(u, "--")) {
			n = stepped(u, n);
		} else {
			break;
		}
	}
	return n;
}

static struct lang_node *prefixed(struct unit *u, const struct binary *op)
{
	struct lang_node *n = node_new(u, LANG_N_UNARY, u->tok.at);

	if (!n || next(u))
		return NULL;
	n->op = op->op;
	n->left = unary(u);
	return n->left ? node_grown(u, n) : NULL;
}

static struct lang_node *unary(struct unit *u)
{
	const struct binary *op = find(u, prefixes, sizeof prefixes / sizeof prefixes[0]);
	struct lang_node *n = NULL;

	if (!enter(u))
		n = op ? prefixed(u, op) : postfix(u);
	u->depth--;
	return n;
}

/* The rest of a conditional, whose `?` has been skipped. */
static struct lang_node *conditional(struct unit *u, struct lang_node *n)
{
	n->kind = LANG_N_COND;
	n->right = parse_expression(u);
	if (!n->right || expect(u, ":"))
		return NULL;
	n->third = binary(u, L_COND);
	return n->third ? node_grown(u, n) : NULL;
}

/* The operator ahead and its right side, with `left` on its left. */
static struct lang_node *operation(
	struct unit *u, const struct binary *op, struct lang_node *left)
{
	struct lang_node *n = node_new(u, LANG_N_BINARY, u->tok.at);

	if (!n || next(u))
		return NULL;
	n->op = op->op;
	n->left = left;
	if (op->level == L_COND)
		return conditional(u, n);
	n->right = binary(u, op->level == L_ASSIGN ? L_ASSIGN : op->level + 1);
	return n->right ? node_grown(u, n) : NULL;
}

/* Operators that bind at least as tight as `level`. */
static struct lang_node *binary(struct unit *u, int level)
{
	const struct binary *op;
	struct lang_node *n;

	if (enter(u))
		return NULL;
	n = unary(u);
	while (n && (op = find(u, binaries, sizeof binaries / sizeof binaries[0])) &&
		op->level >= level)
		n = operation(u, op, n);
	u->depth--;
	return n;
}

struct lang_node *parse_assignment(struct unit *u)
{
	return binary(u, L_ASSIGN);
}

struct lang_node *parse_expression(struct unit *u)
{
	struct lang_node *n = binary(u, L_ASSIGN), *list;

	while (n && is_mark(u, ",")) {
		list = node_new(u, LANG_N_BINARY, u->tok.at);
		if (!list || next(u))
			return NULL;
		list->op = LANG_OP_COMMA;
		list->left = n;
		list->right = binary(u, L_ASSIGN);
		n = list->right ? node_grown(u, list) : NULL;
	}
	return n;
}
