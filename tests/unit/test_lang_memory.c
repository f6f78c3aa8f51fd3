/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each allocation of compiling and loading a script fails in turn (the linker sends calls
 * here): an error with a text of its own, nothing kept, and the session goes on.
 */
#include "unit.h"
#include "failing.h"
#include "dlang.h"

static const char text[] =
	"#pragma D option quiet\n"
	"int n; self string s; inline int N = 3;\n"
	"pid$target::a*:entry, x:y:z: /arg0 > N && execname != \"x\"/\n"
	"{ n += *(char *)arg1; self->s = copyinstr(arg0); this->x = n++ ? 1 : 2;\n"
	"  @a[probefunc, self->s] = lquantize(arg0, 0, 10, 2); @ = avg(n);\n"
	"  printf(\"%*s %d\\n\", 5, self->s, this->x); printa(\"%@d\", @a); exit(0); }\n";

static int load(const struct cg_script *script)
{
	struct bpf_program *p;
	int err = bpf_program_load(script->clauses[0].blob, script->clauses[0].bytes, &p);

	if (!err)
		bpf_program_free(p);
	return err;
}

static void test_each_allocation_fails(void **state)
{
	struct lang_source source = {.text = text, .target = 7};
	long n, failed = 0;

	for (n = 0; n < 1000; n++) {
		struct cg_script *script = NULL;
		struct cg *cg = NULL;
		int err;

		err_set(DTPROC_EINVAL, "nothing");
		fail_nth(n);
		err = cg_open(&cg);
		if (!err)
			err = cg_compile(cg, &source, &script);
		if (!err)
			err = load(script);
		if (fail_none()) { /* there were not so many */
			assert_int_equal(err, 0);
			cg_script_free(script);
			cg_close(cg);
			break;
		}
		failed++;
		if (err != DTPROC_ENOMEM || !strstr(err_text(), "out of memory"))
			fail_msg("allocation %ld: %d: %s", n, err, err_text());
		/* What did not compile left the session as it was: now it does. */
		if (cg && !script && cg_compile(cg, &source, &script))
			fail_msg("allocation %ld: then: %s", n, err_text());
		if (script)
			assert_int_equal(load(script), 0);
		cg_script_free(script);
		cg_close(cg);
	}
	assert_in_range(failed, 20, 999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation_fails)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
