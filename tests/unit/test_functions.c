/* SPDX-License-Identifier: BSD-2-Clause */
/* D's functions: compiled, verified and run. */
#include "unit.h"
#include "dlang.h"
#include "values.h"

struct number {
	const char *expression;
	int64_t value;
};

struct text {
	const char *expression, *value;
};

static const struct number numbers[] = {
	{"strlen(copyinstr(0x1000))", 5},
	{"strlen(copyinstr(0x1000, 3))", 3},
	{"index(\"hello\", \"l\")", 2},
	{"index(\"hello\", \"l\", 3)", 3},
	{"index(\"hello\", \"l\", -7)", 2},
	{"index(\"hello\", \"x\")", -1},
	{"index(\"hello\", \"\")", 0},
	{"index(\"hello\", \"\", 99)", 5},
	{"index(\"hello\", \"hello!\")", -1},
	{"index(execname, \"tim\")", 3},
	{"rindex(\"hello\", \"l\")", 3},
	{"rindex(\"hello\", \"l\", 2)", 2},
	{"rindex(\"hello\", \"l\", 1)", -1},
	{"rindex(\"hello\", \"l\", -1)", -1},
	{"rindex(\"hello\", \"\")", 5},
	{"rindex(\"hello\", \"\", -1)", 0},
	{"rindex(\"hello\", \"hello!\")", -1},
	{"rindex(\"aaa\", \"aaa\")", 0},
	{"strtoll(\"123\")", 123},
	{"strtoll(\"  -0x1fz\", 16)", -31},
	{"strtoll(\"z\", 36)", 35},
	{"strtoll(\"12\", 2)", 1},
	{"strtoll(\"+8\", arg0 + 1)", 0},
	{"strtoll(\"\")", 0},
	{"strtoll(\"-9223372036854775808\") < 0", 1},
	{"rand() >= 0 && rand() < 0x80000000", 1},
	{"rand() != rand()", 1},
	{"progenyof(1) * 10 + progenyof(7)", 10},
	{"htons(0x1234)", 0x3412},
	{"ntohs(0x11112222) == 0x2222", 1},
	{"htonl(0x12345678)", 0x78563412},
	{"ntohl(htonl(0xfedcba98)) == 0xfedcba98", 1},
	{"htonll(0x0102030405060708)", 0x0807060504030201},
	{"ntohll(1)", 1ll << 56},
	{"getmajor(0x12300045678)", 0x456},
	{"getmajor(0x123000045678)", 0x1456},
	{"getminor(0x12300045678)", 0x12300078},
	{"*(char *)copyin(0x1000, 5)", 'h'},
	{"((char *)copyin(0x1001, 4))[3]", 'o'},
	{"copyin(0x1000, 1) != copyin(0x1000, 1)", 1},
	{"strlen(stringof(copyin(0x1000, 6)))", 5},
	{"uregs[R_RAX]", 0x10000 + 14},
	{"uregs[arg0 + R_RIP]", 0x10000 + 24},
	{"uregs[3]", 0x10003},
	{"SIGKILL + EINTR + DTRACEFLT_NOSCRATCH + AF_INET6", 9 + 4 + 5 + 10},
	{"strstr(\"hello\", \"x\") == NULL", 1},
	{"strstr(\"hello\", \"l\") != NULL", 1},
	{"0 == strchr(execname, 'c')", 0},
	{"(char *)arg0 == NULL", 0},
	{"inet_ntoa((char *)0x1000) == \"104.101.108.108\"", 1},
};

static const struct text texts[] = {
	{"strjoin(\"abc\", execname)", "abcvictim"},
	{"strjoin(strjoin(\"a\", \"b\"), strjoin(\"c\", \"\"))", "abc"},
	{"substr(\"hello\", 1)", "ello"},
	{"substr(\"hello\", 1, 3)", "ell"},
	{"substr(\"hello\", -3)", "llo"},
	{"substr(\"hello\", -3, 2)", "ll"},
	{"substr(\"hello\", -9, 6)", "he"},
	{"substr(\"hello\", -9, 2)", ""},
	{"substr(\"hello\", 9)", ""},
	{"substr(\"hello\", 1, -1)", "ell"},
	{"substr(\"hello\", 1, -9)", ""},
	{"substr(\"hello\", arg0 - 7, arg0 - 4)", "hel"},
	{"strchr(\"hello\", 'l')", "llo"},
	{"strchr(\"hello\", 'x')", ""},
	{"strrchr(\"hello\", 'l')", "lo"},
	{"strrchr(\"hello\", 'h')", "hello"},
	{"strstr(execname, \"ct\")", "ctim"},
	{"strstr(\"hello\", \"hello\")", "hello"},
	{"strstr(\"hello\", \"x\")", ""},
	{"toupper(execname)", "VICTIM"},
	{"tolower(\"AbC-[Z]\")", "abc-[z]"},
	{"lltostr(-12)", "-12"},
	{"lltostr(arg0 - 7)", "0"},
	{"lltostr(-1, 16)", "0xffffffffffffffff"},
	{"lltostr(8, 8)", "010"},
	{"lltostr(0, 16)", "0"},
	{"lltostr(5, 2)", "101"},
	{"lltostr(-9223372036854775807 - 1)", "-9223372036854775808"},
	{"lltostr(35, 36)", "z"},
	{"basename(\"/usr/lib/libc.so\")", "libc.so"},
	{"basename(\"/usr/lib/\")", "lib"},
	{"basename(\"plain\")", "plain"},
	{"basename(\"///\")", "/"},
	{"basename(\"\")", "."},
	{"dirname(\"/usr/lib/libc.so\")", "/usr/lib"},
	{"dirname(\"/usr\")", "/"},
	{"dirname(\"/usr/lib//\")", "/usr"},
	{"dirname(\"a//b\")", "a"},
	{"dirname(\"plain\")", "."},
	{"dirname(\"\")", "."},
	{"cleanpath(\"/usr//lib/./x/../libc.so\")", "/usr/lib/libc.so"},
	{"cleanpath(\"/../../x\")", "/x"},
	{"cleanpath(\"a/../../b\")", "../b"},
	{"cleanpath(\"../../a\")", "../../a"},
	{"cleanpath(\"/\")", "/"},
	{"cleanpath(\"/a/..\")", "/"},
	{"cleanpath(\"./a/\")", "a"},
	{"cleanpath(\"a/..\")", "."},
	{"cwd", "/tmp/victim"},
	{"root", "/"},
	{"inet_ntoa(copyin(0x1000, 4))", "104.101.108.108"},
	{"inet_ntop(AF_INET, copyin(0x1000, 4))", "104.101.108.108"},
	{"inet_ntoa6(0x1000)", "6865:6c6c:6f00::"},
	{"json(\"{\\\"a\\\": 1, \\\"b\\\" : [true, {\\\"c\\\": \\\"x,]y\\\"}]}\", \"b[1].c\")",
		"x,]y"},
	{"json(\"{\\\"a\\\": 1, \\\"b\\\" : [true, {\\\"c\\\": 2.5e3}]}\", \"b[1].c\")",
		"2.5e3"},
	{"json(\"{\\\"a\\\": {\\\"b\\\": [1, 2]}}\", \"a\")", "{\"b\": [1, 2]}"},
	{"json(\"[10, [20, 21], 30]\", \"[1][1]\")", "21"},
	{"json(\"[10, 20]\", \"[2]\")", ""},
	{"json(\"{\\\"a\\\": 1\", \"b\")", ""},
	{"json(\"{\\\"a\\\": \", \"a\")", ""},
	{"json(\"nothing\", \"a\")", ""},
	{"json(\"{}\", \"\")", ""},
};

static void test_numbers(void **state)
{
	char text[512];

	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		snprintf(
			text, sizeof text, "BEGIN { trace(%s); }", numbers[i].expression);
		int64_t got = last_value(text);
		if (got != numbers[i].value)
			fail_msg("%s is %#llx, not %#llx", numbers[i].expression,
				(long long)got, (long long)numbers[i].value);
	}
}

static void test_texts(void **state)
{
	char text[512];

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		snprintf(text, sizeof text, "BEGIN { trace(%s); }", texts[i].expression);
		last_value(text);
		if (strcmp((char *)payload, texts[i].value))
			fail_msg("%s is \"%s\", not \"%s\"", texts[i].expression,
				(char *)payload, texts[i].value);
	}
}

/* What can be a key has nothing behind its end, whatever lay there before. */
static void test_zeros_behind(void **state)
{
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		char text[512];
		uint32_t n = strlen(texts[i].value), size;

		snprintf(text, sizeof text,
			"BEGIN { trace(\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\");"
			" trace(%s); }",
			texts[i].expression);
		memset(bench.view.scratch, 0x55, sizeof bench.view.scratch);
		last_value(text);
		const struct cg_field *f = &bench.script->clauses[0].actions[1].fields[0];
		for (size = n; size < f->size; size++)
			if (((char *)payload)[f->offset + size])
				fail_msg("%s", texts[i].expression);
	}
}

static void test_tokens(void **state)
{
	last_value(
		"BEGIN { this->a = strtok(\",a,,bc;d\", \",;\");"
		" this->b = strtok(NULL, \",;\"); this->c = strtok(0, \",;\");"
		" this->d = strtok(NULL, \",;\");"
		" trace(strjoin(strjoin(this->a, \"-\"), strjoin(this->b, strjoin(this->c,"
		" this->d == NULL ? \".\" : this->d)))); }");
	assert_string_equal((char *)payload, "a-bcd.");
	bench.hit.token = 0;
	last_value("BEGIN { trace(strtok(NULL, \",\")); }");
	assert_string_equal((char *)payload, "");
	last_value("BEGIN { this->a = strtok(\",,,\", \",\"); trace(this->a); }");
	assert_string_equal((char *)payload, "");
}

static void test_memory(void **state)
{
	assert_int_equal(
		last_value("BEGIN { this->p = (char *)alloca(8); bcopy((void *)0x1000,"
			   " this->p, 5); copyinto(0x1000, 1, this->p + 4);"
			   " trace(this->p[4] * 1000 + this->p[1]); }"),
		'h' * 1000 + 'e');
	assert_int_equal(last_value("BEGIN { copyout(copyin(0x1001, 4), 0x1010, 4);"
				    " copyoutstr(execname, 0x1020, 99);"
				    " copyoutstr(\"cut\", 0x1030, 2); trace(0); }"),
		0);
	assert_memory_equal(bench.stored + 16, "ello\0", 5);
	assert_memory_equal(bench.stored + 32, "victim\0\0", 8);
	assert_memory_equal(bench.stored + 48, "cu\0", 3);
	assert_int_equal(bench.script->clauses[0].is_destructive, 1);
	last_value("BEGIN { trace(strlen(execname)); }");
	assert_int_equal(bench.script->clauses[0].is_destructive, 0);
}

struct fault {
	const char *statement;
	uint32_t fault;
	uint64_t value;
};

static const struct fault faults[] = {
	{"copyin(0x1, 4)", RT_FAULT_BADADDR, 1},
	{"alloca(100000)", RT_FAULT_NOSCRATCH, 0},
	{"alloca(-1)", RT_FAULT_NOSCRATCH, 0},
	{"copyin(0x1000, 1L << 40)", RT_FAULT_NOSCRATCH, 0},
	{"*((char *)alloca(8) + 8)", RT_FAULT_BADADDR, RT_OWN_ADDRESS + 8},
	{"*((long *)((char *)alloca(8) + 1))", RT_FAULT_BADADDR, RT_OWN_ADDRESS + 1},
	{"*((char *)alloca(8) - 1)", RT_FAULT_BADADDR, RT_OWN_ADDRESS - 1},
	{"strlen(lltostr(1, 1))", RT_FAULT_ILLOP, 1},
	{"strtoll(\"1\", 37)", RT_FAULT_ILLOP, 37},
	{"strlen(inet_ntop(3, 0x1000))", RT_FAULT_ILLOP, 3},
	{"strlen(inet_ntoa6(0x1039))", RT_FAULT_BADADDR, 0x1039},
	{"uregs[28]", RT_FAULT_ILLOP, 28},
	{"uregs[-1]", RT_FAULT_ILLOP, UINT64_MAX},
};

static void test_faults(void **state)
{
	struct rt_fault_record *f = (struct rt_fault_record *)payload;
	char text[256];

	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		snprintf(text, sizeof text, "BEGIN { trace(%s); }", faults[i].statement);
		bench.hit.own = 0;
		assert_int_equal(record_of(text).kind, RT_RECORD_FAULT);
		if (f->fault != faults[i].fault || f->value != faults[i].value)
			fail_msg("%s: fault %u, value %#lx", text, f->fault, f->value);
	}
	bench.hit.own = 0;
	assert_int_equal(
		record_of("BEGIN { bcopy((void *)0x1000, (void *)0x1008, 1); }").kind,
		RT_RECORD_FAULT);
	assert_int_equal(f->fault, RT_FAULT_BADADDR);
	assert_int_equal(record_of("BEGIN { copyout(alloca(4), 0x2000, 4); }").kind,
		RT_RECORD_FAULT);
	assert_int_equal(f->value, 0x2000);
}

/* Memory of alloca() is a firing's own: the next one has all of it again. */
static void test_own_memory_ends(void **state)
{
	for (int i = 0; i < 100; i++) {
		rt_hit_probe(&bench.hit, 3);
		last_value("BEGIN { trace(*(char *)alloca(20000)); }");
	}
}

static void test_refused(void **state)
{
	static const char *const names[] = {"mutex_owned(0)", "curthread", "errno",
		"stack()", "panic()", "chill(1)", "curpsinfo->pr_pid", "zonename"};
	char text[128];

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		snprintf(text, sizeof text, "BEGIN { trace(%s); }", names[i]);
		assert_int_equal(bench_compile(&bench, text), DTPROC_ESYNTAX);
		if (!strstr(err_text(), "is not available: "))
			fail_msg("%s: %s", text, err_text());
	}
	assert_int_equal(
		bench_compile(&bench, "BEGIN { breakpoint(); }"), DTPROC_ESYNTAX);
	assert_int_equal(bench_compile(&bench, "BEGIN { uregs = 1; }"), 0);
	assert_int_equal(
		bench_compile(&bench, "BEGIN { strlen(\"x\"); }"), DTPROC_ESYNTAX);
	assert_int_equal(bench_compile(&bench, "BEGIN { trace(strtok(1, \"x\")); }"),
		DTPROC_ESYNTAX);
	assert_int_equal(
		bench_compile(&bench, "inline int NULL = 5; BEGIN { trace(NULL); }"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_numbers),
		BENCH_TEST(test_texts),
		BENCH_TEST(test_zeros_behind),
		BENCH_TEST(test_tokens),
		BENCH_TEST(test_memory),
		BENCH_TEST(test_faults),
		BENCH_TEST(test_own_memory_ends),
		BENCH_TEST(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
