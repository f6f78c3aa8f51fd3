/* SPDX-License-Identifier: BSD-2-Clause */
/* Stop points (rule C4) of each kind of program, with symbols and without. */
#include "hold_unit.h"

#include <object/object.h>

#include <elf.h>
#include <fcntl.h>

/* tests/victims/begins.c, as these builds make it. */
static const char *const kinds[] = {"begins", "begins-nopie", "begins-static",
	"begins-static-pie", "begins-musl", "begins-musl-static"};

static int is_static(const char *kind)
{
	return strstr(kind, "static") != NULL;
}

static int is_musl(const char *kind)
{
	return strstr(kind, "musl") != NULL;
}

static struct dtproc_proc *create(struct hold_session *s, const char *name)
{
	char *argv[] = {built(name), NULL};
	struct dtproc_proc *p = NULL;

	assert_ok(hold_create(s, HOLD_FOR_CLIENT, argv[0], argv, NULL, &p));
	return p;
}

/* PC of an idle victim's only thread. */
static dtproc_addr pc_of(struct dtproc_proc *p)
{
	struct wire_request req = {.op = WIRE_THREADS};
	struct wire_reply reply;
	struct wire_thread t;
	struct hold_guard g = hold_enter(p);

	assert_ok(request_call(p, &req, NULL, 0, &reply));
	assert_int_equal(reply.count, 1);
	assert_ok(victim_ctl_get(&p->ctl, &t, sizeof t));
	hold_leave(&g);
	assert_true(t.stopped);
	return t.pc;
}

/* Where it stands, as an address of the program's file. */
static uint64_t value_of_pc(struct dtproc_proc *p)
{
	dtproc_addr pc = pc_of(p);
	struct victim_map m;
	struct object *o;
	uint64_t bias;

	assert_ok(victim_maps_code(p->pid, pc, pc + 1, &m));
	assert_ok(object_open(m.path, NULL, &o));
	assert_ok(object_bias(o, m.start, m.offset, &bias));
	object_unref(o);
	victim_map_free(&m);
	return pc - bias;
}

static uint64_t main_of(const char *name)
{
	struct object *o;
	uint64_t value;
	uint32_t size;

	assert_ok(object_open(built(name), NULL, &o));
	assert_ok(object_lookup(o, "main", &value, &size));
	object_unref(o);
	return value;
}

static uint64_t entry_of(const char *name)
{
	Elf64_Ehdr eh;
	int fd = open(built(name), O_RDONLY);

	assert_int_equal(read(fd, &eh, sizeof eh), sizeof eh);
	close(fd);
	return eh.e_entry;
}

static int is_built(const char *name)
{
	return access(built(name), X_OK) == 0;
}

/* Runs `name` to a point, sees that it is at `value` of its file, and to its end. */
static void stops_at(const char *name, enum hold_point point, uint64_t value)
{
	struct hold_session *s = session();
	struct dtproc_proc *p = create(s, name);

	assert_true(run_to_point(p, point) >= point);
	assert_int_equal(value_of_pc(p), value);
	assert_int_equal(run_out(p), 0);
	dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	hold_close(s);
}

static void C4_main_of_each_kind(void **state)
{
	char stripped[64];

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (!is_built(kinds[i]))
			continue;
		snprintf(stripped, sizeof stripped, "%s-stripped", kinds[i]);
		stops_at(kinds[i], HOLD_AT_MAIN, main_of(kinds[i]));
		stops_at(stripped, HOLD_AT_MAIN, main_of(kinds[i]));
	}
}

/* musl's linker leaves the constructors to what runs before main(). */
static void C4_postinit_of_each_kind(void **state)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (is_built(kinds[i]))
			stops_at(kinds[i], HOLD_AT_POSTINIT,
				is_musl(kinds[i]) && !is_static(kinds[i])
					? main_of(kinds[i])
					: entry_of(kinds[i]));
}

/* A program without a linker has no preinit: the entry point is next. */
static void C4_preinit_of_each_kind(void **state)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct hold_session *s = session();
		struct hold_reached at;
		struct dtproc_proc *p;

		if (is_built(kinds[i])) {
			p = create(s, kinds[i]);
			assert_ok(hold_run_to_point(p, HOLD_AT_PREINIT, 10000, &at));
			assert_int_equal(at.point,
				is_static(kinds[i]) ? HOLD_AT_POSTINIT : HOLD_AT_PREINIT);
			assert_int_equal(
				strstr(at.why, "static") != NULL, is_static(kinds[i]));
			if (is_static(kinds[i]))
				assert_int_equal(value_of_pc(p), entry_of(kinds[i]));
			assert_int_equal(run_out(p), 0);
		}
		hold_close(s);
	}
}

static void C4_a_program_without_main(void **state)
{
	struct hold_session *s = session();
	struct dtproc_proc *p = create(s, "nomain");
	struct hold_reached at;

	assert_ok(hold_run_to_point(p, HOLD_AT_MAIN, 10000, &at));
	assert_int_equal(at.point, HOLD_AT_POSTINIT);
	assert_non_null(strstr(at.why, "no main()"));
	assert_int_equal(run_of(p), DTPROC_IDLE);
	assert_int_equal(run_out(p), 7);
	hold_close(s);
}

/* `ld.so program`: what the kernel calls the program is the linker. */
static void C4_started_by_the_linker(void **state)
{
	static const char linker[] = "/lib64/ld-linux-x86-64.so.2";
	static const enum hold_point points[] = {
		HOLD_AT_PREINIT, HOLD_AT_POSTINIT, HOLD_AT_MAIN};
	static const char *const programs[] = {"begins", "begins-nopie-stripped"};

	if (access(linker, X_OK))
		skip();
	for (size_t i = 0; i < COUNT_OF(points) * COUNT_OF(programs); i++) {
		const char *name = programs[i / COUNT_OF(points)];
		enum hold_point point = points[i % COUNT_OF(points)];
		struct hold_session *s = session();
		char *argv[] = {(char *)linker, strdup(built(name)), NULL};
		struct dtproc_proc *p = NULL;

		assert_ok(hold_create(s, HOLD_FOR_CLIENT, linker, argv, NULL, &p));
		assert_int_equal(run_to_point(p, point), point);
		if (point == HOLD_AT_POSTINIT)
			assert_int_equal(value_of_pc(p), entry_of(name));
		if (point == HOLD_AT_MAIN)
			assert_int_equal(value_of_pc(p),
				main_of(i < COUNT_OF(points) ? "begins"
							     : "begins-nopie"));
		assert_int_equal(run_out(p), 0);
		free(argv[1]);
		hold_close(s);
	}
}

/* A constructor executes another program: the point is that one's, and comes once. */
static void carries_over(const char *next, enum hold_point point)
{
	struct hold_session *s = session();
	char *argv[] = {strdup(built("begins")), NULL}, *envp[2] = {NULL};
	struct dtproc_proc *p = NULL;

	assert_true(asprintf(&envp[0], "BEGINS_EXEC=%s", built(next)) > 0);
	assert_ok(hold_create(s, HOLD_FOR_CLIENT, argv[0], argv, envp, &p));
	assert_int_equal(run_to_point(p, point), point);
	assert_int_equal(
		value_of_pc(p), point == HOLD_AT_MAIN ? main_of(next) : entry_of(next));
	assert_int_equal(run_out(p), 0);
	free(argv[0]);
	free(envp[0]);
	hold_close(s);
}

static void C4_carries_over_an_exec(void **state)
{
	/* Its own constructor, behind postinit on glibc: what is asked for is main. */
	carries_over("begins-nopie", HOLD_AT_MAIN);
	carries_over("begins-static", HOLD_AT_MAIN);
	carries_over("begins-static-pie", HOLD_AT_MAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(C4_main_of_each_kind),
		cmocka_unit_test(C4_postinit_of_each_kind),
		cmocka_unit_test(C4_preinit_of_each_kind),
		cmocka_unit_test(C4_a_program_without_main),
		cmocka_unit_test(C4_started_by_the_linker),
		cmocka_unit_test(C4_carries_over_an_exec),
	};

	return cmocka_run_group_tests(tests, shared_make, NULL);
}
