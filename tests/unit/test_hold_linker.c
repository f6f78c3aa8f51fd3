/* SPDX-License-Identifier: BSD-2-Clause */
/* The run-time linker of a victim: finding it, preinit (C4, E1), and what it loads (E).
 */
#include "hold_unit.h"

#include <base/linkmap.h>

#include <elf.h>

static struct dtproc_proc *create(struct hold_session *s, char *const argv[])
{
	struct dtproc_proc *p = NULL;

	assert_ok(hold_create(s, HOLD_FOR_CLIENT, argv[0], argv, NULL, &p));
	return p;
}

/* ------------------------------------------------------------------ preinit (C4) */

static uint64_t value_of(struct dtproc_proc *p, const char *object, const char *name)
{
	uint64_t value = 99;
	dtproc_addr at;

	assert_ok(dtproc_proc_symbol(p, object, name, &at, NULL));
	assert_int_equal(dtproc_proc_read(p, at, &value, sizeof value), sizeof value);
	return value;
}

/* Everything is mapped, relocated, and no constructor has run. */
static void preinit_of(char *const argv[], const char *plug, const char *libc)
{
	struct hold_session *s = session();
	struct dtproc_proc *p = create(s, argv);
	struct victim_linker l;
	dtproc_addr at;

	assert_int_equal(run_to_point(p, HOLD_AT_PREINIT), HOLD_AT_PREINIT);
	assert_int_equal(value_of(p, plug, "plug_calls"), 0);
	assert_ok(dtproc_proc_symbol(p, libc, "malloc", &at, NULL));
	assert_ok(victim_linker_find(p->pid, p->image.mem, &l));
	assert_true(l.debug && l.brk);
	assert_int_equal(run_out(p), 0);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
}

static void C4_preinit(void **state)
{
	preinit_of((char *[]){built("linked"), NULL}, "libplug", "libc");
}

static void C4_preinit_musl(void **state)
{
	if (access(built("linked-musl"), X_OK))
		skip();
	preinit_of((char *[]){built("linked-musl"), NULL}, "libplug-musl", "libc");
}

/* E1: the linker was started by name, and is the program that the kernel knows. */
static void E1_started_by_the_linker(void **state)
{
	static const char *const linkers[] = {
		"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-x86-64.so.2"};

	for (size_t i = 0; i < COUNT_OF(linkers); i++) {
		if (access(linkers[i], X_OK))
			continue;
		preinit_of((char *[]){(char *)linkers[i], built("linked"), NULL},
			"libplug", "libc");
		return;
	}
	skip();
}

static void E1_a_static_program_has_none(void **state)
{
	static const char *const programs[] = {"hammer-static", "hammer-static-pie"};
	struct hold_session *s = session();

	for (size_t i = 0; i < COUNT_OF(programs); i++) {
		struct dtproc_proc *p = create(s, (char *[]){built(programs[i]), NULL});
		assert_int_equal(run_to_point(p, HOLD_AT_PREINIT), HOLD_AT_POSTINIT);
		assert_int_equal(run_out(p), 0);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	}
	hold_close(s);
}

/* A program that ends before it gets there. */
static void C4_an_end_before_preinit(void **state)
{
	struct hold_session *s = session();
	char *argv[] = {built("linked"), NULL},
	     *envp[] = {"LD_TRACE_LOADED_OBJECTS=1", NULL};
	struct dtproc_proc *p = NULL;
	struct hold_reached at;

	assert_ok(hold_create(s, HOLD_FOR_CLIENT, argv[0], argv, envp, &p));
	assert_int_equal(
		hold_run_to_point(p, HOLD_AT_PREINIT, 10000, &at), DTPROC_EEXITED);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
}

/* ------------------------------------------------------- what it loads (E1, E2) */

/* What the hook was told: ranges, and whether plug.so was in the list of code. */
static struct {
	volatile unsigned changes, ranges, all;
	volatile int plug;
} seen;

static void on_change(struct dtproc_proc *p, enum hold_change what, void *arg)
{
	const struct victim_maps *code;
	const struct wire_range *range;
	int plug = 0;

	if (what != HOLD_OBJECTS || hold_code(p, &code))
		return;
	for (size_t i = 0; i < code->n; i++)
		plug |= strstr(code->at[i].path, "libplug.so") != NULL;
	size_t n = hold_changes(p, &range);
	seen.all += n == 0;
	seen.ranges += (unsigned)n;
	seen.plug |= plug;
	seen.changes++;
}

/* A shell that executes `loads`, in another image. */
static struct dtproc_proc *create_loads(struct hold_session *s, const char *dir)
{
	char line[1000];

	snprintf(line, sizeof line, "exec %s keep %s 1", built("loads"), dir);
	return create_sh(s, line);
}

static void E2_what_is_loaded(void **state)
{
	struct hold_session *s = session();
	char dir[] = "/tmp/hold-linker-XXXXXX", link[64];
	struct hold_hooks hooks = {.changed = on_change};
	struct dtproc_proc *p;
	dtproc_addr at;

	assert_non_null(mkdtemp(dir));
	snprintf(link, sizeof link, "%s/1.so", dir);
	assert_int_equal(symlink(built("libplug.so"), link), 0);
	memset((void *)&seen, 0, sizeof seen);
	hold_set_hooks(s, &hooks);
	p = create_loads(s, dir);
	assert_int_equal(hold_follow_linker(p), 1);
	assert_int_equal(hold_follow_linker(p), 1);
	assert_int_equal(run_out(p), 0);
	/* What shell and program begin with, and plug.so; of its leaving an end may be
	 * told. */
	assert_true(seen.changes >= 3 && seen.ranges > seen.changes && seen.plug);
	assert_true(dtproc_proc_symbol(p, NULL, "plug_target", &at, NULL) < 0);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
	unlink(link);
	rmdir(dir);
}

/* A victim that was grabbed: what is there already is no change. */
static void E1_grabbed(void **state)
{
	pid_t pid = child_run(body_beat);
	struct hold_session *s = session();
	struct hold_hooks hooks = {.changed = on_change};
	struct dtproc_proc *p;
	long before = shared->count;

	memset((void *)&seen, 0, sizeof seen);
	hold_set_hooks(s, &hooks);
	p = grab_control(s, pid);
	assert_int_equal(hold_follow_linker(p), 1);
	assert_true(p->image.linker.debug && p->image.linker.brk);
	assert_ok(dtproc_proc_continue(p));
	assert_true(UNTIL(shared->count > before + 5));
	assert_int_equal(seen.changes, 0);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
	child_end(pid);
}

/* ----------------------------------------------------- hostile programs (E4) */

/* A victim's memory made up: one page of program headers, dynamic section, r_debug. */
struct made {
	unsigned char bytes[1024];
};

#define MADE_AT 0x400000u
#define PHDR_AT 64u
#define DYNAMIC_AT 256u
#define DEBUG_AT 768u

static ssize_t read_made(void *arg, dtproc_addr addr, void *buf, size_t len)
{
	const struct made *m = arg;
	uint64_t at = addr - MADE_AT;

	if (at >= sizeof m->bytes)
		return -1;
	len = len < sizeof m->bytes - at ? len : sizeof m->bytes - at;
	memcpy(buf, m->bytes + at, len);
	return (ssize_t)len;
}

static struct victim_auxv make(struct made *m, uint64_t dynamic, uint64_t size)
{
	Elf64_Phdr ph[2] = {{.p_type = PT_PHDR, .p_vaddr = PHDR_AT},
		{.p_type = PT_DYNAMIC, .p_vaddr = dynamic, .p_memsz = size}};
	Elf64_Dyn dyn[2] = {{.d_tag = DT_DEBUG, .d_un.d_ptr = MADE_AT + DEBUG_AT}};
	struct link_debug d = {.version = 1, .map = 1, .brk = 0x1234};

	memset(m, 0, sizeof *m);
	memcpy(m->bytes + PHDR_AT, ph, sizeof ph);
	memcpy(m->bytes + DYNAMIC_AT, dyn, sizeof dyn);
	memcpy(m->bytes + DEBUG_AT, &d, sizeof d);
	return (struct victim_auxv){
		.entry = MADE_AT, .phdr = MADE_AT + PHDR_AT, .phnum = COUNT_OF(ph)};
}

static struct victim_linker parse(const struct victim_auxv *a, struct made *m)
{
	struct victim_linker l = {.debug = 99, .brk = 99};

	victim_linker_parse(a, read_made, m, &l);
	return l;
}

static void E4_a_program_that_lies(void **state)
{
	struct made m;
	struct victim_auxv a = make(&m, DYNAMIC_AT, 32);

	assert_int_equal(parse(&a, &m).debug, MADE_AT + DEBUG_AT);
	assert_int_equal(parse(&a, &m).brk, 0x1234);
	a.phnum = 1ull << 60;
	assert_int_equal(parse(&a, &m).debug, 0);
	a = make(&m, ~0ull << 12, 32); /* outside */
	assert_int_equal(parse(&a, &m).debug, 0);
	a = make(&m, DYNAMIC_AT, 1ull << 62);
	assert_int_equal(parse(&a, &m).debug, MADE_AT + DEBUG_AT);
	a = make(&m, DYNAMIC_AT, 15); /* not one entry */
	assert_int_equal(parse(&a, &m).debug, 0);
	a = make(&m, DYNAMIC_AT, 32);
	a.phdr = 0;
	assert_int_equal(parse(&a, &m).debug, 0);
	assert_int_equal(parse(&a, &m).brk, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(C4_preinit),
		cmocka_unit_test(C4_preinit_musl),
		cmocka_unit_test(C4_an_end_before_preinit),
		cmocka_unit_test(E1_started_by_the_linker),
		cmocka_unit_test(E1_a_static_program_has_none),
		cmocka_unit_test(E2_what_is_loaded),
		cmocka_unit_test(E1_grabbed),
		cmocka_unit_test(E4_a_program_that_lies),
	};

	return cmocka_run_group_tests(tests, shared_make, NULL);
}
