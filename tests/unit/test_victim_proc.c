/* SPDX-License-Identifier: BSD-2-Clause */
/* Parsing of /proc, reasons of refusals, finding of programs; no process is held. */
#include "hold_unit.h"

#include <victim/maps.h>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static int parse(const char *text, struct victim_maps *m)
{
	return victim_maps_parse(text, strlen(text), m);
}

static void maps_of_every_kind(void **state)
{
	static const char text[] =
		"00400000-00401000 r-xp 00001000 08:02 1234                       /bin/a b\n"
		"00401000-00402000 rw-p 00000000 00:00 0 \n"
		"7f0000000000-7f0000001000 r--s 00000000 00:01 5     /memfd:x (deleted)\n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0       [vsyscall]\n";
	struct victim_maps m;

	assert_ok(parse(text, &m));
	assert_int_equal(m.n, 4);
	assert_string_equal(m.at[0].path, "/bin/a b");
	assert_int_equal(m.at[0].flags, VICTIM_MAP_READ | VICTIM_MAP_EXEC);
	assert_int_equal(m.at[0].offset, 0x1000);
	assert_int_equal(m.at[0].dev, makedev(8, 2));
	assert_int_equal(m.at[0].inode, 1234);
	assert_string_equal(m.at[1].path, "");
	assert_string_equal(m.at[2].path, "/memfd:x");
	assert_int_equal(
		m.at[2].flags, VICTIM_MAP_READ | VICTIM_MAP_SHARED | VICTIM_MAP_DELETED);
	assert_ptr_equal(victim_maps_find(&m, 0x401fff), &m.at[1]);
	assert_null(victim_maps_find(&m, 0x402000));
	assert_ptr_equal(victim_maps_find(&m, 0xffffffffff600000), &m.at[3]);
	victim_maps_free(&m);
}

static void maps_that_lie(void **state)
{
	static const char *const bad[] = {
		"00400000-00401000 r-xp 00001000 08:02 1234 /bin/a", /* no newline */
		"00401000-00400000 r-xp 00001000 08:02 1234 /bin/a\n",
		"00400000-00400000 r-xp 00001000 08:02 1234 /bin/a\n",
		"zz400000-00401000 r-xp 00001000 08:02 1234 /bin/a\n",
		"11111111100400000-22222222200401000 r-xp 0 08:02 1 /a\n",
		"00400000-00401000\n",
		"00400000-00401000 r-xp\n",
		"\n",
		"00500000-00501000 r-xp 00001000 08:02 1 /a\n"
		"00400000-00401000 r-xp 00001000 08:02 1 /a\n",
	};
	struct victim_maps m = {.n = 77};

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(parse(bad[i], &m), DTPROC_EPROTO);
	assert_int_equal(m.n, 77); /* untouched on failure */
}

static void maps_of_ourselves(void **state)
{
	struct victim_maps m;
	const struct victim_map *here;

	assert_ok(victim_maps_read(getpid(), &m));
	here = victim_maps_find(&m, (dtproc_addr)(uintptr_t)maps_of_ourselves);
	assert_non_null(here);
	assert_true(here->flags & VICTIM_MAP_EXEC);
	assert_non_null(strstr(here->path, "test_victim_proc"));
	struct victim_map other = *here;
	int still = victim_maps_still(getpid(), here);
	if (!still)
		print_message("           this kernel has no query of one mapping\n");
	other.offset ^= 4096;
	assert_false(victim_maps_still(getpid(), &other));
	other = *here;
	other.end += 4096;
	assert_false(victim_maps_still(getpid(), &other));
	victim_maps_free(&m);
	assert_int_equal(victim_maps_read(999999999, &m), DTPROC_ENOPROC);
}

/* A name is the victim's choice: this one imitates the rest of the line. */
static void stat_with_a_hostile_name(void **state)
{
	struct victim_stat st;

	assert_ok(victim_stat_parse(
		"7 (a) Z 1 (\n) S 42 7 7 0 -1 2097216 0 0 0 0 0 0 0 0 20 0 "
		"1 0 12345 0 0 18446744073709551615 4194304 0",
		&st));
	assert_string_equal(st.comm, "a) Z 1 (\n");
	assert_int_equal(st.state, 'S');
	assert_int_equal(st.ppid, 42);
	assert_int_equal(st.flags, 2097216);
	assert_int_equal(st.start_time, 12345);
	assert_int_equal(st.start_code, 4194304);
	assert_int_equal(victim_stat_parse("7 (a", &st), DTPROC_EPROTO);
	assert_int_equal(victim_stat_parse(")(", &st), DTPROC_EPROTO);
	assert_int_equal(victim_stat_parse("7 (a) S", &st), DTPROC_EPROTO);
}

static void status_of_ourselves(void **state)
{
	struct victim_status st;

	assert_ok(victim_status_read(getpid(), &st));
	assert_int_equal(st.tgid, getpid());
	assert_int_equal(st.uid[0], getuid());
	assert_int_equal(victim_status_parse("Name:\tx\n", &st), DTPROC_EPROTO);
}

/* ------------------------------------------------- C2: by what it is refused */

static const struct victim_status plain = {.uid = {5, 5, 5, 5}, .gid = {6, 6, 6, 6}};

static const char *refusal(struct victim_caller us, struct victim_status it, uid_t owner)
{
	static char buf[ERR_TEXT_MAX];

	return victim_refusal_text(&us, &it, owner, buf, sizeof buf);
}

static void C2_reasons(void **state)
{
	struct victim_caller us = {.uid = 5, .gid = 6};
	struct victim_caller root = {.ptrace_capable = 1, .caps = ~0ull};
	struct victim_status it = plain;

	it.uid[0] = it.uid[1] = it.uid[2] = 4000000;
	assert_non_null(strstr(refusal(us, it, 4000000), "another user (uid 4000000)"));
	it.uid[0] = it.uid[1] = it.uid[2] = 0;
	assert_non_null(strstr(refusal(us, it, 0), "another user (root)"));
	it = plain;
	it.uid[1] = it.uid[2] = 0;
	assert_non_null(strstr(refusal(us, it, 0), "set-id program"));
	it = plain;
	it.gid[1] = 9;
	assert_non_null(strstr(refusal(us, it, 0), "set-id program"));
	it = plain;
	it.caps = 1;
	assert_non_null(strstr(refusal(us, it, 5), "capabilities"));
	assert_non_null(strstr(refusal(us, plain, 0), "not dumpable"));
	us.yama = 1;
	assert_non_null(strstr(refusal(us, plain, 5), "ptrace_scope 1"));
	us.yama = 2;
	assert_non_null(strstr(refusal(us, plain, 5), "ptrace_scope 2"));
	us.yama = 0;
	assert_non_null(
		strstr(refusal(us, plain, 5), "seccomp filter or security module"));
	assert_non_null(
		strstr(refusal(root, it, 0), "seccomp filter or security module"));
	us.filtered = 1;
	assert_non_null(strstr(refusal(us, plain, 5), "--security-opt"));
	us.apart = 1;
	assert_non_null(strstr(refusal(us, plain, 5), "user namespace"));
	root.yama = 3;
	assert_non_null(strstr(refusal(root, it, 0), "ptrace_scope 3"));
}

static void C2_what_cannot_be_held(void **state)
{
	pid_t zombie = fork();

	if (zombie == 0)
		_exit(0);
	/* A sanitizer's thread may outlive the first one for a moment. */
	assert_true(UNTIL(victim_check(zombie, VICTIM_READ) == DTPROC_EZOMBIE));
	waitpid(zombie, NULL, 0);
	assert_int_equal(victim_check(zombie, VICTIM_READ), DTPROC_ENOPROC);
	assert_int_equal(victim_check(0, VICTIM_READ), DTPROC_ENOPROC);
	assert_int_equal(victim_check(getpid(), VICTIM_READ), DTPROC_ESELF);
	if (state_of(2))
		assert_int_equal(victim_check(2, VICTIM_READ), DTPROC_EKTHREAD);
}

/* ---------------------------------------------------------------- programs */

static void C1_a_program_is_found_as_by_a_shell(void **state)
{
	char dir[] = "/tmp/victim-XXXXXX", file[64], path[128], *found = NULL;
	char *old = strdup(getenv("PATH"));

	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/prog", dir);
	close(open(file, O_CREAT | O_WRONLY, 0644));
	snprintf(path, sizeof path, "/nonesuch:%s:/bin", dir);
	setenv("PATH", path, 1);
	assert_int_equal(victim_program_find("prog", &found), DTPROC_ENOEXEC);
	assert_text("cannot execute 'prog': Permission denied");
	assert_int_equal(victim_program_find("nonesuch", &found), DTPROC_ENOEXEC);
	assert_text("cannot execute 'nonesuch': No such file or directory");
	assert_int_equal(victim_program_find("", &found), DTPROC_ENOEXEC);
	assert_int_equal(victim_program_find(dir, &found), DTPROC_ENOEXEC);
	assert_null(found);
	chmod(file, 0755);
	assert_ok(victim_program_find("prog", &found));
	assert_string_equal(found, file);
	free(found);
	setenv("PATH", old, 1);
	free(old);
	unlink(file);
	rmdir(dir);
}

static int try_set_id(void)
{
	char *found = NULL;

	if (setgid(65534) || setuid(65534))
		return 0;
	if (victim_program_find("/tmp/victim-setid", &found) != DTPROC_EUNOBSERVABLE)
		return 1;
	return strstr(err_text(), "'/tmp/victim-setid' is a set-id program") ? 0 : 2;
}

static void C3_a_set_id_program_is_refused_before_it_starts(void **state)
{
	int status;

	if (geteuid() != 0)
		skip(); /* only root can make one */
	close(open("/tmp/victim-setid", O_CREAT | O_WRONLY, 0755));
	assert_int_equal(chmod("/tmp/victim-setid", 04755), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(try_set_id());
	waitpid(pid, &status, 0);
	unlink("/tmp/victim-setid");
	assert_int_equal(status, 0);
}

static void words_as_a_shell_quotes_them(void **state)
{
	static const char *const want[] = {
		"a b", "", "c\\d\"e", "f'g", "\"h\"", "$x*", "ij", NULL};
	char **w = NULL;

	assert_ok(words_split(" 'a b' '' \"c\\d\\\"e\"  f\\'g '\"h\"' $x* i\"\"j ", &w));
	for (size_t i = 0; i < COUNT_OF(want); i++) {
		if (!want[i])
			assert_null(w[i]);
		else
			assert_string_equal(w[i], want[i]);
	}
	free(w[0]);
	free(w);
	w = NULL;
	assert_int_equal(words_split("  ", &w), DTPROC_EINVAL);
	assert_int_equal(words_split("a 'b", &w), DTPROC_EINVAL);
	assert_text("' that is not closed");
	assert_int_equal(words_split("a \"b\\\"", &w), DTPROC_EINVAL);
	assert_null(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_of_every_kind),
		cmocka_unit_test(maps_that_lie),
		cmocka_unit_test(maps_of_ourselves),
		cmocka_unit_test(stat_with_a_hostile_name),
		cmocka_unit_test(status_of_ourselves),
		cmocka_unit_test(C2_reasons),
		cmocka_unit_test(C2_what_cannot_be_held),
		cmocka_unit_test(C1_a_program_is_found_as_by_a_shell),
		cmocka_unit_test(C3_a_set_id_program_is_refused_before_it_starts),
		cmocka_unit_test(words_as_a_shell_quotes_them),
	};

	return cmocka_run_group_tests(tests, shared_make, NULL);
}
