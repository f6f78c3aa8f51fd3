/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A function's parameters, and where each is when the function is entered: by the x86-64
 * ABI ("System V Application Binary Interface", 3.2.3).  Integers and pointers take six
 * registers, then 8 bytes of stack each: that is argN.  What travels in vector registers
 * or as bytes on the stack cannot be had, and what stands behind such bytes is not looked
 * for.
 */
#include <dwarf.h>
#include <string.h>
#include "own.h"
#include "types.h"

#define REGISTERS 6
#define VECTORS 8
#define UNITS_MAX 1000000u

/* What the parameters so far have used. */
struct used {
	int integers, vectors;
	int stack_unknown; /* bytes of unknown layout lie on the stack */
};

/* ------------------------------------------------------------------- classification */

/* Bits of the 8-byte words that hold an integer or a pointer. */
struct words {
	unsigned integers;
	uint64_t base;
	unsigned budget;
};

static void classify(const struct type_ref *ref, struct words *w);

static int classify_member(const struct type_member *m, void *arg)
{
	struct words *w = arg, inside = *w;

	inside.base += m->bit / 8;
	if (m->bits)
		inside.integers |= 1u << (inside.base / 8 & 7);
	else
		classify(&m->type, &inside);
	w->integers |= inside.integers;
	w->budget = inside.budget;
	return 0;
}

static void classify(const struct type_ref *ref, struct words *w)
{
	struct type_desc t;

	if (!w->budget || !w->budget-- || object_type_describe(ref, &t) <= 0)
		return;
	switch (t.kind) {
	case TYPE_ALIAS:
		classify(&t.to, w);
		break;
	case TYPE_ARRAY:
		for (uint64_t i = 0; i < t.count && i < 16; i++) {
			struct words one = *w;
			struct type_desc e;
			one.base += object_type_describe(&t.to, &e) > 0 ? e.size * i : 0;
			classify(&t.to, &one);
			w->integers |= one.integers;
			w->budget = one.budget;
		}
		break;
	case TYPE_STRUCT:
	case TYPE_UNION:
		object_type_members(ref, classify_member, w);
		break;
	case TYPE_FLOAT:
		break;
	default:
		w->integers |= 1u << (w->base / 8 & 7);
	}
}

/* A struct or union by value. */
static const char *by_value(const struct type_ref *ref, uint64_t size, struct used *used)
{
	struct words w = {.budget = 1000};
	int n_words = (int)(size + 7) / 8, integers;

	classify(ref, &w);
	integers = __builtin_popcount(w.integers & ((1u << n_words) - 1));
	if (size > 16 || used->integers + integers > REGISTERS ||
		used->vectors + n_words - integers > VECTORS) {
		used->stack_unknown |= size != 0;
	} else {
		used->integers += integers;
		used->vectors += n_words - integers;
	}
	return "it is passed by value";
}

/* Qualifiers and typedefs taken off. */
static int bare(struct type_ref *ref, struct type_desc *out)
{
	for (int i = 0; i < 64; i++) {
		if (!ref->file) {
			*out = (struct type_desc){.name = ""};
			return 1;
		}
		if (object_type_describe(ref, out) <= 0)
			return 0;
		if (out->kind != TYPE_ALIAS)
			return 1;
		*ref = out->to;
	}
	return 0;
}

/* C++ passes an object that is not trivial by its address. */
static int is_by_reference(const struct object *o, const struct type_ref *ref)
{
	Dwarf *dw = object_dwarf((struct object *)o);
	Dwarf_Attribute attr;
	Dwarf_Die die;
	Dwarf_Word v;

	return dw && dwarf_die_addr_die(dw, (void *)ref->id, &die) &&
	       dwarf_attr(&die, DW_AT_calling_convention, &attr) &&
	       !dwarf_formudata(&attr, &v) && v == DW_CC_pass_by_reference;
}

static int take_integer(struct used *used, const char **why)
{
	if (used->integers < REGISTERS)
		return used->integers++;
	if (used->stack_unknown) {
		*why = "it lies on the stack behind another of unknown size";
		return -1;
	}
	*why = "there are only arg0 to arg9";
	return used->integers < 10 ? used->integers++ : -1;
}

/* Where a parameter of that type is. */
static int place(
	const struct object *o, struct type_ref ref, struct used *used, const char **why)
{
	struct type_desc t;

	*why = "its type is not known";
	used->stack_unknown |= used->integers > 10;
	if (!bare(&ref, &t)) {
		used->stack_unknown = 1;
		used->integers = used->integers < REGISTERS ? REGISTERS : used->integers;
		return -1;
	}
	switch (t.kind) {
	case TYPE_STRUCT:
	case TYPE_UNION:
		if (is_by_reference(o, &ref)) {
			take_integer(used, why);
			*why = "it is passed by reference";
			return -1;
		}
		*why = by_value(&ref, t.size, used);
		return -1;
	case TYPE_FLOAT:
		*why = "it is in a vector register";
		if (t.size > 8 || ++used->vectors > VECTORS)
			used->stack_unknown = 1;
		return -1;
	case TYPE_OTHER:
		*why = "it takes more than one register";
		used->stack_unknown = 1;
		used->integers = REGISTERS;
		return -1;
	default:
		return take_integer(used, why);
	}
}

/* Does the caller pass the address of the result, before the parameters? */
static int has_hidden_result(const struct object *o, Dwarf_Die *function)
{
	struct type_ref ref = object_die_type(o, function);
	struct type_desc t;

	return ref.file && bare(&ref, &t) &&
	       (t.kind == TYPE_STRUCT || t.kind == TYPE_UNION) &&
	       (t.size > 16 || is_by_reference(o, &ref));
}

/* ------------------------------------------------------------------------ functions */

static int read_params(struct object *o, Dwarf_Die *function, struct type_params *out)
{
	struct used used = {.integers = has_hidden_result(o, function)};
	Dwarf_Die child;
	int more, budget = 100000;

	for (more = dwarf_child(function, &child); !more && budget--;
		more = dwarf_siblingof(&child, &child)) {
		unsigned i = out->n;

		if (dwarf_tag(&child) != DW_TAG_formal_parameter)
			continue;
		if (i >= TYPE_PARAMS_MAX)
			break;
		out->at[i].type = object_die_type(o, &child);
		out->at[i].slot = place(o, out->at[i].type, &used, &out->at[i].why);
		out->n++;
	}
	return 1;
}

static int find_function(
	Dwarf_Die *die, uint64_t value, int depth, unsigned *budget, Dwarf_Die *out)
{
	Dwarf_Die child;
	Dwarf_Addr entry;
	int more;

	for (more = dwarf_child(die, &child); !more && *budget;
		more = dwarf_siblingof(&child, &child), (*budget)--) {
		int tag = dwarf_tag(&child);

		if (tag == DW_TAG_subprogram && !dwarf_entrypc(&child, &entry) &&
			entry == value) {
			*out = child;
			return 1;
		}
		if ((tag == DW_TAG_namespace || tag == DW_TAG_class_type ||
			    tag == DW_TAG_structure_type) &&
			depth < 8 && find_function(&child, value, depth + 1, budget, out))
			return 1;
	}
	return 0;
}

/* The unit whose code has the address. */
static int find_unit(Dwarf *dw, uint64_t value, Dwarf_Die *out)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die unit, sub;
	unsigned budget = UNITS_MAX;
	uint8_t type;

	if (dwarf_addrdie(dw, value, out)) { /* by .debug_aranges, where there are any */
		unit = *out;
		if (!dwarf_cu_info(unit.cu, NULL, &type, NULL, &sub, NULL, NULL, NULL) &&
			type == DW_UT_skeleton && sub.addr)
			*out = sub;
		return 1;
	}
	while (budget-- && !dwarf_get_units(dw, cu, &cu, NULL, &type, &unit, &sub)) {
		if (dwarf_haspc(&unit, value) <= 0)
			continue;
		*out = type == DW_UT_skeleton && sub.addr ? sub : unit;
		return 1;
	}
	return 0;
}

int object_function_params(struct object *o, uint64_t value, struct type_params *out)
{
	unsigned budget = UNITS_MAX;
	Dwarf_Die unit, function;
	Dwarf *dw;
	int found;

	memset(out, 0, sizeof *out);
	pthread_mutex_lock(&o->types_lock);
	dw = object_dwarf(o);
	found = dw && find_unit(dw, value, &unit) &&
		find_function(&unit, value, 0, &budget, &function) &&
		read_params(o, &function, out);
	pthread_mutex_unlock(&o->types_lock);
	return found;
}
