/* SPDX-License-Identifier: BSD-2-Clause */
/* What a DWARF entry says of a type, its members and its enumerators. */
#include <dwarf.h>
#include <string.h>
#include "own.h"
#include "types.h"

/* ---------------------------------------------------------------------- description */

static int unsigned_attribute(Dwarf_Die *die, unsigned which, uint64_t *out)
{
	Dwarf_Attribute attr;
	Dwarf_Word v;

	if (!dwarf_attr_integrate(die, which, &attr) || dwarf_formudata(&attr, &v))
		return 0;
	*out = v;
	return 1;
}

/* The dim-th dimension of an array: how many elements; *more: there is another one. */
static uint64_t dimension(Dwarf_Die *array, uint32_t dim, int *more)
{
	uint64_t n = 0, upper;
	Dwarf_Die child;
	uint32_t i = 0;
	int has = dwarf_child(array, &child), budget = 64;

	for (*more = 0; !has && budget--; has = dwarf_siblingof(&child, &child)) {
		if (dwarf_tag(&child) != DW_TAG_subrange_type || i++ < dim)
			continue;
		if (i > dim + 1) {
			*more = 1;
			break;
		}
		if (!unsigned_attribute(&child, DW_AT_count, &n) &&
			unsigned_attribute(&child, DW_AT_upper_bound, &upper))
			n = upper + 1;
	}
	return n;
}

static void describe_base(Dwarf_Die *die, struct type_desc *out)
{
	uint64_t encoding = 0;

	unsigned_attribute(die, DW_AT_encoding, &encoding);
	out->kind = encoding == DW_ATE_float ? TYPE_FLOAT
		    : out->size == 1 || out->size == 2 || out->size == 4 || out->size == 8
			    ? TYPE_INT
			    : TYPE_OTHER;
	if (encoding == DW_ATE_complex_float)
		out->kind = TYPE_OTHER;
	out->is_signed = encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
}

static void describe_entry(
	const struct type_ref *ref, Dwarf_Die *die, struct type_desc *out)
{
	int more;

	out->to = object_die_type(ref->file, die);
	out->is_incomplete = dwarf_hasattr(die, DW_AT_declaration) != 0;
	switch (dwarf_tag(die)) {
	case DW_TAG_base_type:
		describe_base(die, out);
		break;
	case DW_TAG_pointer_type:
	case DW_TAG_reference_type:
	case DW_TAG_rvalue_reference_type:
		out->kind = TYPE_POINTER;
		break;
	case DW_TAG_array_type:
		out->kind = TYPE_ARRAY;
		out->count = dimension(die, ref->dim, &more);
		if (more)
			out->to = (struct type_ref){ref->file, ref->id, ref->dim + 1};
		break;
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
		out->kind = TYPE_STRUCT;
		break;
	case DW_TAG_union_type:
		out->kind = TYPE_UNION;
		break;
	case DW_TAG_enumeration_type:
		out->kind = TYPE_ENUM;
		break;
	case DW_TAG_subroutine_type:
		out->kind = TYPE_FUNCTION;
		break;
	case DW_TAG_typedef:
	case DW_TAG_subrange_type:
	case DW_TAG_const_type:
	case DW_TAG_volatile_type:
	case DW_TAG_restrict_type:
	case DW_TAG_atomic_type:
		out->kind = TYPE_ALIAS;
		break;
	case DW_TAG_unspecified_type:
		out->kind = TYPE_VOID;
		break;
	default:
		out->kind = TYPE_OTHER;
	}
}

int object_type_describe(const struct type_ref *ref, struct type_desc *out)
{
	struct object *o = (struct object *)ref->file;
	const char *name;
	Dwarf_Die die;
	LOCKED(o);

	*out = (struct type_desc){.name = ""};
	if (!object_die_of(ref, &die))
		return 0;
	object_die_complete(o, &die);
	name = dwarf_diename(&die);
	out->name = name ? name : "";
	unsigned_attribute(&die, DW_AT_byte_size, &out->size);
	describe_entry(ref, &die, out);
	return 1;
}

/* -------------------------------------------------------------------------- members */

/* Where a member is, in bytes; 0: that is not a constant. */
static int member_location(Dwarf_Die *die, uint64_t *out)
{
	Dwarf_Attribute attr;
	Dwarf_Word v;
	Dwarf_Op *op;
	size_t n;

	*out = 0;
	if (!dwarf_attr_integrate(die, DW_AT_data_member_location, &attr))
		return 1;
	if (!dwarf_formudata(&attr, &v)) {
		*out = v;
		return 1;
	}
	if (dwarf_getlocation(&attr, &op, &n) || n != 1 ||
		(op->atom != DW_OP_plus_uconst && op->atom != DW_OP_constu))
		return 0;
	*out = op->number;
	return 1;
}

static int describe_member(struct object *o, Dwarf_Die *die, struct type_member *out)
{
	uint64_t at, bits = 0, from_top, size = 0, bit;
	const char *name = dwarf_diename(die);

	if (dwarf_hasattr(die, DW_AT_external) || dwarf_hasattr(die, DW_AT_declaration) ||
		!member_location(die, &at) || at > INT32_MAX)
		return 0;
	*out = (struct type_member){
		.name = name ? name : "", .type = object_die_type(o, die), .bit = at * 8};
	if (dwarf_tag(die) == DW_TAG_inheritance)
		out->name = "";
	unsigned_attribute(die, DW_AT_bit_size, &bits);
	if (!bits || bits > 64)
		return !bits;
	out->bits = (uint32_t)bits;
	if (unsigned_attribute(die, DW_AT_data_bit_offset, &bit)) {
		out->bit += bit;
	} else if (unsigned_attribute(die, DW_AT_bit_offset, &from_top)) {
		Dwarf_Die of;
		Dwarf_Attribute attr;

		if (!unsigned_attribute(die, DW_AT_byte_size, &size) &&
			dwarf_attr_integrate(die, DW_AT_type, &attr) &&
			dwarf_formref_die(&attr, &of))
			dwarf_aggregate_size(&of, &size);
		out->bit += size * 8 - from_top - bits;
	}
	return out->bit < INT32_MAX;
}

int object_type_members(const struct type_ref *ref, type_member_fn *fn, void *arg)
{
	struct object *o = (struct object *)ref->file;
	Dwarf_Die die, child;
	int budget = 100000, more, err = 0;
	LOCKED(o);

	if (!object_die_of(ref, &die))
		return 0;
	object_die_complete(o, &die);
	for (more = dwarf_child(&die, &child); !more && !err && budget--;
		more = dwarf_siblingof(&child, &child)) {
		int tag = dwarf_tag(&child);
		struct type_member m;

		if ((tag == DW_TAG_member || tag == DW_TAG_inheritance) &&
			describe_member(o, &child, &m))
			err = fn(&m, arg);
	}
	return err;
}

int object_type_enums(const struct type_ref *ref, type_enum_fn *fn, void *arg)
{
	struct object *o = (struct object *)ref->file;
	Dwarf_Die die, child;
	int budget = 100000, more, err = 0;
	LOCKED(o);

	if (!object_die_of(ref, &die))
		return 0;
	object_die_complete(o, &die);
	for (more = dwarf_child(&die, &child); !more && !err && budget--;
		more = dwarf_siblingof(&child, &child)) {
		const char *name = dwarf_diename(&child);
		Dwarf_Attribute attr;
		Dwarf_Sword v;

		if (dwarf_tag(&child) == DW_TAG_enumerator && name &&
			dwarf_attr(&child, DW_AT_const_value, &attr) &&
			!dwarf_formsdata(&attr, &v))
			err = fn(name, v, arg);
	}
	return err;
}
