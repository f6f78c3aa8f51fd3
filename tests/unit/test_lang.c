/* SPDX-License-Identifier: BSD-2-Clause */
/* Diagnostics: each tag by the mistakes that cause it; and what no text may do. */
#include "unit.h"
#include "dlang.h"

#include <stdio.h>

struct mistake {
	const char *tag, *text, *says; /* `says` stands in the diagnostic */
};

static const struct mistake mistakes[] = {
	{"D_SYNTAX", "BEGIN {", "line 1, column 8: syntax error near end of input"},
	{"D_SYNTAX", "BEGIN { trace(1) trace(2) }", "expected \";\" or \"}\""},
	{"D_SYNTAX", "BEGIN { trace(1; }", "syntax error near \";\""},
	{"D_SYNTAX", "BEGIN { trace(1 +); }", "expected an expression"},
	{"D_SYNTAX", "BEGIN / 1 { }", "expected \"/\" at the end of the predicate"},
	{"D_SYNTAX", "BEGIN { } }", "expected a probe description"},
	{"D_SYNTAX", "BEGIN,", "expected a probe description"},
	{"D_SYNTAX", "BEGIN { trace(1.5); }", "floating-point"},
	{"D_SYNTAX", "BEGIN { trace(12abc); }", "malformed integer constant"},
	{"D_SYNTAX", "BEGIN { trace(\x01); }", "character 0x01 is not part of D"},
	{"D_SYNTAX", "BEGIN { } /* never", "comment does not end"},
	{"D_PRAGCTL_INVAL", "#foo\nBEGIN", "invalid control directive"},
	{"D_SYNTAX", "BEGIN { @[] = count(); }", "without a key"},
	{"D_EMPTY", "", "empty D program"},
	{"D_EMPTY", " /* nothing */ \n", "empty D program"},
	{"D_PDESC_INVAL", "a:b:c:d:e { }", "at most provider:module:function:name"},
	{"D_PDESC_INVAL", "0 { }", "there is no probe 0"},
	{"D_PRED_SCALAR", "BEGIN /execname/ { }", "must be of scalar type"},
	{"D_FUNC_UNDEF", "BEGIN { tracee(1); }", "did you mean 'trace'?"},
	{"D_FUNC_IDKIND", "BEGIN { trace(printf(\"x\")); }", "may not be called from"},
	{"D_FUNC_IDKIND", "BEGIN { x = stop(); }", "may not be called from"},
	{"D_PROTO_LEN", "BEGIN { stop(1); }", "0 expected"},
	{"D_PROTO_ARG", "BEGIN { raise(execname); }", "expected an integer"},
	{"D_FUNC_IDKIND", "BEGIN { trace(count()); }", "assigned to an aggregation"},
	{"D_FUNC_IDKIND", "BEGIN { count(); }", "assigned to an aggregation"},
	{"D_OP_INT", "BEGIN { trace(1 % execname); }", "operands of integral type"},
	{"D_OP_INT", "BEGIN { trace(1 << \"x\"); }", "operands of integral type"},
	{"D_OP_INT", "BEGIN { trace(~execname); }", "operands of integral type"},
	{"D_OP_ARITH", "BEGIN { trace(1 + execname); }", "operator +"},
	{"D_OP_ARITH", "BEGIN { trace(-probefunc); }", "operator -"},
	{"D_OP_SCALAR", "BEGIN { trace(!execname); }", "scalar type"},
	{"D_OP_SCALAR", "BEGIN { trace(1 && execname); }", "scalar type"},
	{"D_OP_SCALAR", "BEGIN { trace(execname ? 1 : 2); }", "scalar type"},
	{"D_OP_INCOMPAT", "BEGIN { trace(execname == 1); }", "\"string\" == \"int\""},
	{"D_OP_INCOMPAT", "BEGIN { trace(arg0 ? 1 : \"x\"); }", "incompatible"},
	{"D_OP_INCOMPAT", "BEGIN { trace((int *)1 + (int *)2); }", "incompatible"},
	{"D_OP_DYN", "BEGIN { @a = count(); trace(1 + @a); }", "aggregation"},
	{"D_OP_WRITE", "BEGIN { pid = 1; }", "writable variable"},
	{"D_OP_WRITE", "inline int N = 1; BEGIN { N = 2; }", "not a writable variable"},
	{"D_OP_LVAL", "BEGIN { 1 = 2; }", "== compares"},
	{"D_OP_LVAL", "BEGIN { *(int *)8 = 2; }", "requires a variable"},
	{"D_OP_INCOMPAT", "BEGIN { x = 1; x = \"a\"; }", "\"int\" = \"string\""},
	{"D_OP_ARITH", "BEGIN { x = \"a\"; x += 1; }", "operator +"},
	{"D_OP_DYN", "BEGIN { @a = count(); x = @a; }", "has no value"},
	{"D_DECL_IDRED", "int x; string x; BEGIN", "redeclared: x"},
	{"D_DECL_IDRED", "int pid; BEGIN", "redeclared: pid"},
	{"D_DECL_VOIDOBJ", "void x; BEGIN", "type void"},
	{"D_IDENT_UNDEF", "BEGIN { trace(self->x); }", "self->x: it has no value yet"},
	{"D_IDENT_UNDEF", "BEGIN { trace(this->x); }", "assign to it first"},
	{"D_SYNTAX", "int x", "expected \";\""},
	{"D_DECL_USELESS", "int; BEGIN", "expected a name"},
	{"D_OP_LVAL", "BEGIN { ++1; }", "requires a variable"},
	{"D_DEREF_NONPTR", "BEGIN { trace(*arg0); }", "cast it to a pointer"},
	{"D_DEREF_VOID", "BEGIN { trace(*(void *)arg0); }", "pointer to void"},
	{"D_ADDROF_VAR", "BEGIN { trace(&pid); }", "of a D variable"},
	{"D_CAST_INVAL", "BEGIN { trace((int)execname); }", "\"string\" to \"int\""},
	{"D_CAST_INVAL", "BEGIN { trace((void)1); }", "\"int\" to \"void\""},
	{"D_DECL_COMBO", "BEGIN { trace((short long)1); }", "type combination"},
	{"D_DECL_COMBO", "BEGIN { trace((unsigned unsigned unsigned)1); }",
		"combination"},
	{"D_SIZEOF_TYPE", "BEGIN { trace(sizeof(void)); }", "sizeof"},
	{"D_DIV_ZERO", "BEGIN { trace(1 / 0); }", "divides by zero"},
	{"D_DIV_ZERO", "BEGIN { trace(arg0 % (3 - 3)); }", "divides by zero"},
	{"D_AGG_REDEF", "BEGIN { @a = count(); @a = sum(1); }",
		"@a has another function"},
	{"D_LQUANT_MATCHLIM",
		"BEGIN { @a = lquantize(1, 0, 9); @a = lquantize(1, 0, 8); }",
		"expected 9, found 8"},
	{"D_AGG_FUNC", "BEGIN { @a = 1; }", "requires an aggregating function"},
	{"D_AGG_FUNC", "BEGIN { @a = trace(1); }", "is not an aggregating function"},
	{"D_AGG_NULL", "BEGIN { @a; }", "@a alone has no effect"},
	{"D_AGG_NULL", "BEGIN { printa(@a); }", "undefined aggregation: @a"},
	{"D_KEY_TYPE", "BEGIN { @a[1] = count(); @a[execname] = count(); }", "key #1"},
	{"D_PROTO_LEN", "BEGIN { @a[1] = count(); @a[1, 2] = count(); }", "1 expected"},
	{"D_PROTO_LEN", "BEGIN { trace(); }", "0 args passed, 1 expected"},
	{"D_PROTO_LEN", "BEGIN { exit(1, 2); }", "2 args passed, 1 expected"},
	{"D_PROTO_LEN", "BEGIN { @ = count(1); }", "1 arg passed, 0 expected"},
	{"D_PROTO_ARG", "BEGIN { exit(\"x\"); }", "expected an integer"},
	{"D_PROTO_ARG", "BEGIN { @ = sum(execname); }", "argument #1"},
	{"D_PROTO_ARG", "BEGIN { trace(strlen(1)); }", "expected a string"},
	{"D_PROTO_ARG", "BEGIN { clear(1); }", "expected an aggregation"},
	{"D_IDENT_UNDEF", "BEGIN { trace(argo); }", "^ did you mean 'arg0'?"},
	{"D_IDENT_UNDEF", "BEGIN\n{\n\ttrace(zzz);\n}", "line 3, column 8"},
	{"D_IDENT_BADREF", "BEGIN { trace(strlen); }", "expected ("},
	{"D_EXPR_NULL", "BEGIN { arg0 == 1; }", "null effect"},
	{"D_CHR_NL", "BEGIN { trace('a\n'); }", "newline encountered"},
	{"D_CHR_NULL", "BEGIN { trace(''); }", "empty character"},
	{"D_CHR_OFLOW", "BEGIN { trace('abcde'); }", "at most four"},
	{"D_STR_NL", "BEGIN { trace(\"a\n\"); }", "newline encountered"},
	{"D_STR_NL", "BEGIN { trace(\"a", "does not end"},
	{"D_INT_OFLOW", "BEGIN { trace(18446744073709551616); }", "1844674407370955161"},
	{"D_INT_OFLOW", "BEGIN { trace(0x1ffffffffffffffff); }", "cannot be represented"},
	{"D_INT_DIGIT", "BEGIN { trace(089); }", "'8' is not an octal digit"},
	{"D_MACRO_UNDEF", "BEGIN { trace($9); }", "$9 is not defined"},
	{"D_MACRO_UNDEF", "BEGIN { trace($nothing); }", "$nothing is not defined"},
	{"D_MACRO_OFLOW", "BEGIN { trace($4); }", "too large"},
	{"D_PRAGMA_INVAL", "#pragma D nonsense\nBEGIN", "invalid pragma \"nonsense\""},
	{"D_PRAGMA_MALFORM", "#pragma D option\nBEGIN", "malformed"},
	{"D_PRAGMA_MALFORM", "#pragma D option quiet x\nBEGIN", "superfluous"},
	{"D_TRACE_DYN", "BEGIN { @a = count(); trace(@a); }", "dynamic expression"},
	{"D_PRINTF_ARG_FMT", "BEGIN { printf(1); }", "expected a string constant"},
	{"D_PRINTF_ARG_PROTO", "BEGIN { printf(\"%d %d\", 1); }", "conversion #2"},
	{"D_PRINTF_ARG_EXTRA", "BEGIN { printf(\"%d\", 1, 2); }", "only 1 argument"},
	{"D_PRINTF_ARG_TYPE", "BEGIN { printf(\"%s\", 1); }", "expected a string"},
	{"D_PRINTF_ARG_TYPE", "BEGIN { printf(\"%d\", execname); }",
		"expected an integer"},
	{"D_PRINTF_DYN_PROTO", "BEGIN { printf(\"%*d\"); }", "missing its argument"},
	{"D_PRINTF_DYN_TYPE", "BEGIN { printf(\"%*d\", execname, 1); }",
		"expected an integer"},
	{"D_PRINTF_FMT", "BEGIN { printf(\"%!\", 1); }", "no such conversion"},
	{"D_PRINTF_FMT", "BEGIN { printf(\"%\"); }", "ends inside"},
	{"D_PRINTF_FMT", "BEGIN { printf(\"%99999d\", 1); }", "too large"},
	{"D_PRINTF_FMT", "BEGIN { printf(\"%1$d\", 1); }", "positional"},
	{"D_PRINTF_FMT", "BEGIN { printf(\"%-%\"); }", "%% has no flags"},
	{"D_PRINTF_FMT", "BEGIN { printf(\"%1.2.3d\", 1); }", "second '.'"},
	{"D_PRINTF_FMT", "BEGIN { printf(\"%**d\", 1, 1); }", "second '*'"},
	{"D_PRINTF_FMT", "BEGIN { printf(\"%llld\", 1); }", "no such conversion"},
	{"D_PRINTF_FMT", "BEGIN { printf(\"%hs\", 1); }", "no such conversion"},
	{"D_PRINTF_FMT", "BEGIN { @a = count(); printa(\"%@\", @a); }", "ends inside"},
	{"D_PRINTF_FMT_EMPTY", "BEGIN { printf(\"\"); }", "is empty"},
	{"D_PRINTF_ARG_TYPE", "BEGIN { printf(\"%x\", (int *)0); }", "an integer"},
	{"D_PRINTF_ARG_TYPE", "BEGIN { printf(\"%hd\", 1); }", "another size"},
	{"D_PRINTF_ARG_TYPE", "BEGIN { printf(\"%lx\", 1); }", "(%lx)"},
	{"D_PRINTF_ARG_TYPE", "BEGIN { printf(\"%llx\", 1); }", "(%llx)"},
	{"D_PRINTF_ARG_TYPE", "BEGIN { printf(\"%c\", arg0); }", "char, short or int"},
	{"D_PRINTF_ARG_TYPE", "BEGIN { printf(\"%Y\", 1); }", "64-bit"},
	{"D_PRINTF_ARG_TYPE", "BEGIN { printf(\"%f\", 1); }", "float"},
	{"D_PRINTF_ARG_TYPE", "BEGIN { printf(\"%k\", 1); }", "a stack"},
	{"D_PRINTF_ARG_TYPE", "BEGIN { printf(\"%ws\", execname); }", "wchar_t"},
	{"D_PRINTF_ARG_TYPE", "BEGIN { @a[\"x\"] = count(); printa(\"%d\", @a); }",
		"key #1"},
	{"D_PRINTF_ARG_TYPE", "BEGIN { @a = count(); printa(\"%@s\", @a); }",
		"the aggregation is incompatible"},
	{"D_PRINTF_ARG_PROTO", "BEGIN { @a[1] = count(); printa(\"%d %d\", @a); }",
		"conversion #2"},
	{"D_PRINTF_DYN_PROTO", "BEGIN { @a[1] = count(); printa(\"%d %*d\", @a); }",
		"missing its key"},
	{"D_PRINTF_DYN_TYPE", "BEGIN { @a[\"x\", 1] = count(); printa(\"%*d\", @a); }",
		"key #1"},
	{"D_PRINTA_AGGKEY", "BEGIN { @a[1] = count(); @b = count(); printa(@a, @b); }",
		"@a has 1 key, @b has 0 keys"},
	{"D_PRINTA_AGGPROTO",
		"BEGIN { @a[1] = count(); @b[\"x\"] = count(); printa(@a, @b); }",
		"key #1 is incompatible"},
	{"D_PRINTF_AGG_CONV", "BEGIN { printf(\"%@d\", 1); }", "only printa"},
	{"D_PRINTA_PROTO", "BEGIN { printa(1); }", "expected a format"},
	{"D_PRINTA_AGGARG", "BEGIN { printa(\"x\"); }", "without an aggregation"},
	{"D_PRINTA_AGGKEY", "BEGIN { @a[1] = count(); printa(@a[1]); }", "as a whole"},
	{"D_LQUANT_MATCHBASE",
		"BEGIN { @a = lquantize(1, 0, 9); @a = lquantize(1, 1, 9); }",
		"expected 0, found 1"},
	{"D_LQUANT_MATCHSTEP",
		"BEGIN { @a = lquantize(1, 0, 9, 3); @a = lquantize(1, 0, 9); }",
		"expected 3, found 1"},
	{"D_LLQUANT_FACTORTYPE", "BEGIN { @ = llquantize(1, pid, 0, 6, 20); }",
		"argument #2"},
	{"D_LLQUANT_FACTORVAL", "BEGIN { @ = llquantize(1, -1, 0, 6, 20); }", "range"},
	{"D_LLQUANT_LOWTYPE", "BEGIN { @ = llquantize(1, 10, pid, 6, 20); }", "#3"},
	{"D_LLQUANT_LOWVAL", "BEGIN { @ = llquantize(1, 10, 65536, 6, 20); }", "#3"},
	{"D_LLQUANT_HIGHTYPE", "BEGIN { @ = llquantize(1, 10, 0, \"x\", 20); }", "#4"},
	{"D_LLQUANT_HIGHVAL", "BEGIN { @ = llquantize(1, 10, 0, -6, 20); }", "#4"},
	{"D_LLQUANT_NSTEPTYPE", "BEGIN { @ = llquantize(1, 10, 0, 6, pid); }", "#5"},
	{"D_LLQUANT_NSTEPVAL", "BEGIN { @ = llquantize(1, 2, 0, 62, 32768); }", "levels"},
	{"D_LLQUANT_FACTORSMALL", "BEGIN { @ = llquantize(1, 1, 0, 6, 20); }", "two"},
	{"D_LLQUANT_MAGRANGE", "BEGIN { @ = llquantize(1, 10, 6, 6, 20); }", "greater"},
	{"D_LLQUANT_FACTORNSTEPS", "BEGIN { @ = llquantize(1, 10, 0, 6, 5); }",
		"at most"},
	{"D_LLQUANT_FACTOREVEN", "BEGIN { @ = llquantize(1, 10, 0, 6, 30); }", "evenly"},
	{"D_LLQUANT_MAGTOOBIG", "BEGIN { @ = llquantize(1, 10, 0, 19, 20); }",
		"overflow"},
	{"D_LLQUANT_FACTORMATCH",
		"BEGIN { @a = llquantize(1, 10, 0, 6, 20); @a = llquantize(1, 2, 0, 6, 2); }",
		"expected 10, found 2"},
	{"D_LLQUANT_LOWMATCH",
		"BEGIN { @a = llquantize(1, 10, 0, 6, 20); @a = llquantize(1, 10, 1, 6, 20); }",
		"expected 0, found 1"},
	{"D_LLQUANT_HIGHMATCH",
		"BEGIN { @a = llquantize(1, 10, 0, 6, 20); @a = llquantize(1, 10, 0, 5, 20); }",
		"expected 6, found 5"},
	{"D_LLQUANT_NSTEPMATCH",
		"BEGIN { @a = llquantize(1, 10, 0, 6, 20); @a = llquantize(1, 10, 0, 6, 10); }",
		"expected 20, found 10"},
	{"D_SPEC_SPEC", "BEGIN { speculate(1); speculate(2); }", "follow speculate"},
	{"D_SPEC_COMM", "BEGIN { commit(1); speculate(2); }", "follow commit"},
	{"D_SPEC_DREC", "BEGIN { trace(1); speculate(2); }", "data-recording"},
	{"D_COMM_COMM", "BEGIN { commit(1); commit(2); }", "follow commit"},
	{"D_COMM_SPEC", "BEGIN { speculate(1); commit(1); }", "follow speculate"},
	{"D_COMM_DREC", "BEGIN { @ = count(); commit(1); }", "data-recording"},
	{"D_DREC_COMM", "BEGIN { commit(1); trace(1); }", "follow commit"},
	{"D_AGG_COMM", "BEGIN { commit(1); @ = count(); }", "aggregating"},
	{"D_AGG_SPEC", "BEGIN { speculate(1); @ = count(); }", "aggregating"},
	{"D_ACT_SPEC", "BEGIN { speculate(1); stop(); }", "destructive"},
	{"D_EXIT_SPEC", "BEGIN { speculate(1); exit(0); }", "exit( )"},
	{"D_TRACEMEM_SIZE", "BEGIN { tracemem(1, pid); }", "positive integral constant"},
	{"D_TRACEMEM_SIZE", "BEGIN { tracemem(1, 0); }", "positive integral constant"},
	{"D_PRINTF_FMT_EMPTY", "BEGIN { system(\"\"); }", "is empty"},
	{"D_PROTO_ARG", "BEGIN { @a = count(); normalize(@a, \"x\"); }", "an integer"},
	{"D_LQUANT_BASETYPE", "BEGIN { @ = lquantize(1, pid, 2); }", "argument #2"},
	{"D_LQUANT_BASEVAL", "BEGIN { @ = lquantize(1, 1L << 40, 2); }", "out of range"},
	{"D_LQUANT_LIMTYPE", "BEGIN { @ = lquantize(1, 2, pid); }", "argument #3"},
	{"D_LQUANT_LIMVAL", "BEGIN { @ = lquantize(1, 2, 1L << 40); }", "out of range"},
	{"D_LQUANT_STEPTYPE", "BEGIN { @ = lquantize(1, 2, 3, \"x\"); }", "argument #4"},
	{"D_LQUANT_STEPVAL", "BEGIN { @ = lquantize(1, 2, 3, 0); }", "out of range"},
	{"D_LQUANT_MISMATCH", "BEGIN { @ = lquantize(1, 3, 2); }", "less than limit"},
	{"D_LQUANT_STEPSMALL", "BEGIN { @ = lquantize(1, 0, 100000); }", "more than"},
	{"D_LQUANT_STEPLARGE", "BEGIN { @ = lquantize(1, 0, 5, 9); }", "no level"},
};

static struct dbench bench;

static int setup(void **state)
{
	struct rt_params params = {
		.ring_bytes = 4096, .agg_bytes = 4096, .probes = 8, .name_bytes = 4096};

	return bench_open(&bench, &params);
}

static int teardown(void **state)
{
	bench_close(&bench);
	return 0;
}

static void test_mistakes(void **state)
{
	char tag[64];

	for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
		const struct mistake *m = &mistakes[i];

		setup(state);
		snprintf(tag, sizeof tag, "[%s] line ", m->tag);
		if (bench_compile(&bench, m->text) != DTPROC_ESYNTAX)
			fail_msg("%s: compiles: %s", m->tag, m->text);
		if (strncmp(err_text(), tag, strlen(tag)) || !strstr(err_text(), m->says))
			fail_msg("%s: %s\nsays %s", m->tag, m->text, err_text());
		if (!strstr(err_text(), "\n    ") ||
			!strchr(strchr(err_text(), '\n'), '^'))
			fail_msg("%s: no caret: %s", m->tag, err_text());
		teardown(state);
	}
}

static int compile_with(const struct lang_source *source)
{
	struct cg_script *script;
	int err = cg_compile(bench.cg, source, &script);

	if (!err)
		cg_script_free(script);
	return err;
}

/* What depends on more than the text. */
static void test_circumstances(void **state)
{
	char *argv[] = {"x.d", "a", "b"};
	struct lang_source source = {.text = "BEGIN", .argc = 1, .argv = argv};

	assert_int_equal(compile_with(&source), 0);
	source.input = LANG_INPUT_FILE; /* a file's clause needs a body */
	assert_int_equal(compile_with(&source), DTPROC_ESYNTAX);
	source.text = "BEGIN { trace($target); }";
	assert_int_equal(compile_with(&source), DTPROC_ESYNTAX);
	assert_non_null(strstr(err_text(), "[D_MACRO_UNDEF]"));
	assert_non_null(strstr(err_text(), "use -c or -p"));
	source.target = 5;
	assert_int_equal(compile_with(&source), 0);
	source.argc = 3;
	source.text = "BEGIN { trace($$1); }";
	assert_int_equal(compile_with(&source), DTPROC_ESYNTAX);
	assert_non_null(strstr(err_text(), "[D_MACRO_UNUSED]"));
	assert_non_null(strstr(err_text(), "'b' ($2 is not referenced)"));
	source.flags = LANG_ARGREF;
	assert_int_equal(compile_with(&source), 0);
	source.flags = LANG_DEFAULT_ARGS | LANG_ARGREF;
	source.text = "BEGIN { trace($7); trace($$8); }";
	assert_int_equal(compile_with(&source), 0);
	source.text = "";
	source.flags = LANG_EMPTY | LANG_ARGREF;
	assert_int_equal(compile_with(&source), 0);
}

/* How a description of fewer than four parts is read. */
static void test_descriptions(void **state)
{
	static const struct {
		enum lang_spec spec;
		const char *text, *part[LANG_PARTS];
	} descs[] = {
		{LANG_SPEC_NAME, "entry", {"", "", "", "entry"}},
		{LANG_SPEC_NAME, "malloc:entry", {"", "", "malloc", "entry"}},
		{LANG_SPEC_NAME, "pid$target:libc*:[mc]*:entry",
			{"pid77", "libc*", "[mc]*", "entry"}},
		{LANG_SPEC_NAME, "pid$1::f:", {"pid9", "", "f", ""}},
		{LANG_SPEC_NAME, "pid$target:a.out:foo(int, char):entry",
			{"pid77", "a.out", "foo(int, char)", "entry"}},
		{LANG_SPEC_FUNCTION, "libc:malloc", {"", "libc", "malloc", ""}},
		{LANG_SPEC_MODULE, "libc", {"", "libc", "", ""}},
		{LANG_SPEC_PROVIDER, "pid$$1", {"pid9", "", "", ""}},
	};
	char *argv[] = {"x", "9"};

	for (size_t i = 0; i < COUNT_OF(descs); i++) {
		struct lang_source source = {.text = descs[i].text,
			.spec = descs[i].spec,
			.target = 77,
			.argc = 2,
			.argv = argv,
			.flags = LANG_ARGREF};
		struct cg_script *script;

		if (cg_compile(bench.cg, &source, &script))
			fail_msg("%s: %s", descs[i].text, err_text());
		for (int p = 0; p < LANG_PARTS; p++)
			assert_string_equal(
				script->clauses[0].descs[0].part[p], descs[i].part[p]);
		cg_script_free(script);
	}
}

/* A script that does not compile leaves the session as it was. */
static void test_failed_leaves_nothing(void **state)
{
	assert_int_equal(bench_compile(&bench, "BEGIN { @x = count(); trace(nope); }"),
		DTPROC_ESYNTAX);
	assert_int_equal(bench_compile(&bench, "BEGIN { @x = sum(1); }"), 0);
}

/* ------------------------------------------------------- nothing crashes or hangs it */

static char *repeated(const char *head, const char *part, size_t n, const char *tail)
{
	size_t len = strlen(part);
	char *text = malloc(strlen(head) + n * len + strlen(tail) + 1), *at = text;

	at = stpcpy(at, head);
	for (size_t i = 0; i < n; i++)
		at = stpcpy(at, part);
	strcpy(at, tail);
	return text;
}

static void test_limits(void **state)
{
	static const struct {
		const char *head, *part;
		size_t n;
		const char *tail, *says; /* NULL: it compiles */
	} texts[] = {
		{"BEGIN { trace(", "(", 100000, "1); }", "nested too deeply"},
		{"BEGIN { trace(1", "+1", 100000, "); }", NULL},
		{"BEGIN { trace(arg0", "+arg0", 100000, "); }", "nested too deeply"},
		{"BEGIN { trace(", "-", 100000, "1); }", NULL},
		{"BEGIN { trace(", "1?", 100000, "1); }", NULL},
		{"BEGIN { trace(1", "?2:3", 100000, "); }", NULL},
		{"BEGIN { trace((int", "*", 100000, ")1); }", "nested too deeply"},
		{"BEGIN { trace(arg0", "[1]", 100000, "); }", NULL},
		{"BEGIN { @[1", ",1", 100000, "] = count(); }", "more than"},
		{"BEGIN { @[1", ",1", 40, "] = count(); }", "more than 32 keys"},
		{"BEGIN { ", "trace(probefunc == \"x\");", 20000, "}", "too large"},
		{"BEGIN { ", "printf(\"%s\", copyinstr(arg0));", 100, "}", "too large"},
		{"BEGIN { printf(\"", "%d", 1000, "\"); }", "more than 256 conversions"},
		{"BEGIN ", ", x", 20000, "", NULL},
		{"", "x{}", 20000, "", NULL},
		{"BEGIN { trace(\"", "x", 100000, "\"); }", NULL},
		{"BEGIN { trace(", "x", 100000, "); }", "longer than"},
		{"", "x", 100000, "", "description is too long"},
		{"", "x,", 1000000, "", "longer than"},
		{"", "x{}\n", 250000, "", NULL},
		{"BEGIN { ", "@a[1]=count();", 5000, "}", "too large"},
	};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		char *text =
			repeated(texts[i].head, texts[i].part, texts[i].n, texts[i].tail);
		int err = bench_compile(&bench, text);

		if (err == DTPROC_ESYNTAX && !texts[i].says)
			assert_non_null(strstr(err_text(), "[D_"));
		else if (texts[i].says && (!err || !strstr(err_text(), texts[i].says)))
			fail_msg("%.30s: %s", text, err ? err_text() : "compiles");
		free(text);
	}
}

/* Every prefix of a script, and the script with each byte missing, ends in good order. */
static void test_cut_anywhere(void **state)
{
	static const char script[] =
		"#!/usr/sbin/dtproc -s\n#pragma D option quiet\n"
		"pid$target:libc:*alloc*:entry, tick-1s /arg0 > 0x10 && execname != \"a\\n\"/\n"
		"{ /* all */ printf(\"%-5d %s\\n\", (int)arg1 ? 1 : 'x', probefunc);\n"
		"\t@a[pid, probefunc] = lquantize(arg0, 0, 100, 10); exit(-$1 << 2); }\n";
	char text[sizeof script];

	for (size_t i = 0; i < sizeof script - 1; i++) {
		memcpy(text, script, i);
		text[i] = 0;
		(void)bench_compile(&bench, text);
		memcpy(text + i, script + i + 1, sizeof script - i - 1);
		(void)bench_compile(&bench, text);
	}
	assert_int_equal(bench_compile(&bench, script), 0);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mistakes),
		BENCH_TEST(test_circumstances),
		BENCH_TEST(test_descriptions),
		BENCH_TEST(test_failed_leaves_nothing),
		BENCH_TEST(test_limits),
		BENCH_TEST(test_cut_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
