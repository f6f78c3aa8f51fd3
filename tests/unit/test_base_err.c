/* SPDX-License-Identifier: BSD-2-Clause */
/* src/base: error texts and the debug log. */
#include "unit.h"

#include <base/err.h>
#include <base/log.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void code_and_text(void **state)
{
	assert_int_equal(err_set(DTPROC_EPERM, "pid %d: %s", 42, "no"), DTPROC_EPERM);
	assert_string_equal(err_text(), "pid 42: no");
	assert_int_equal(err_nomem("a map"), DTPROC_ENOMEM);
	assert_string_equal(err_text(), "out of memory for a map");
}

static void errno_behind_the_text(void **state)
{
	assert_int_equal(err_errno(DTPROC_ESYS, ENOENT, "open %s", "/x"), DTPROC_ESYS);
	assert_string_equal(err_text(), "open /x: No such file or directory");
}

/* A text may be made from the text before it. */
static void own_text_as_argument(void **state)
{
	err_set(DTPROC_EELF, "bad header");
	err_set(DTPROC_EELF, "libx.so: %s", err_text());
	assert_string_equal(err_text(), "libx.so: bad header");
}

static void long_text_is_cut(void **state)
{
	char big[4 * ERR_TEXT_MAX];

	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = 0;
	err_set(DTPROC_EINVAL, "%s", big);
	assert_int_equal(strlen(err_text()), ERR_TEXT_MAX - 1);
	err_errno(DTPROC_EINVAL, EIO, "%s", big);
	assert_int_equal(strlen(err_text()), ERR_TEXT_MAX - 1);
}

static void *other_thread(void *seen)
{
	strcpy(seen, err_text());
	err_set(DTPROC_EINVAL, "of the other thread");
	return NULL;
}

static void text_is_of_the_thread(void **state)
{
	char seen[ERR_TEXT_MAX] = "?";
	pthread_t t;

	err_set(DTPROC_EPERM, "mine");
	assert_int_equal(pthread_create(&t, NULL, other_thread, seen), 0);
	pthread_join(t, NULL);
	assert_string_equal(seen, "");
	assert_string_equal(err_text(), "mine");
}

static void every_code_has_a_name(void **state)
{
	for (int code = 0; code >= DTPROC_EVERIFY; code--)
		assert_string_not_equal(err_name(code), "unknown error");
	assert_string_equal(err_name(DTPROC_EVERIFY - 1), "unknown error");
	assert_string_equal(err_name(1), "unknown error");
	assert_string_equal(err_name(INT32_MIN), "unknown error");
}

/* All that comes out of a pipe until its writers are gone. */
static void read_all(int fd, char *text, size_t room)
{
	size_t n = 0;

	for (ssize_t got; (got = read(fd, text + n, room - 1 - n)) > 0;)
		n += (size_t)got;
	text[n] = 0;
	close(fd);
}

/* What the ring holds now. */
static void read_log(char *text, size_t room)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	fcntl(ends[1], F_SETPIPE_SZ, 1 << 17);
	log_dump(ends[1]);
	close(ends[1]);
	read_all(ends[0], text, room);
}

/* Areas and levels as main() set them: base:2,wire. */
static void log_areas_and_levels(void **state)
{
	static char text[1 << 17];

	log_line("base", 2, "yes %d", 1);
	log_line("base", 3, "no %d", 2);
	log_line("wire", 1, "yes %d", 3);
	log_line("wire", 2, "no %d", 4);
	log_line("bas", 1, "no %d", 5);
	read_log(text, sizeof text);
	assert_non_null(strstr(text, "base: yes 1\n"));
	assert_non_null(strstr(text, "wire: yes 3\n"));
	assert_null(strstr(text, "no "));
}

static void log_keeps_the_newest(void **state)
{
	static char text[1 << 17], big[400];

	memset(big, 'y', sizeof big - 1);
	for (int i = 0; i < 1000; i++)
		log_line("base", 1, "line %d %s", i, i == 999 ? big : "");
	read_log(text, sizeof text);
	assert_null(strstr(text, "line 700 "));
	assert_non_null(strstr(text, "line 800 "));
	const char *last = strstr(text, "line 999 yyy");
	assert_non_null(last);
	assert_non_null(strchr(last, '\n'));
	assert_true(strlen(last) < 160);
}

/* A failed assertion says what failed, dumps the log and aborts. */
static void check_aborts(void **state)
{
	static char text[1 << 17];
	int ends[2], status;

	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		int refs = 0;
		CHECK(refs == 1, "pid %d", 4711);
		_exit(0);
	}
	close(ends[1]);
	read_all(ends[0], text, sizeof text);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, "assertion 'refs == 1' failed: pid 4711"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_and_text),
		cmocka_unit_test(errno_behind_the_text),
		cmocka_unit_test(own_text_as_argument),
		cmocka_unit_test(long_text_is_cut),
		cmocka_unit_test(text_is_of_the_thread),
		cmocka_unit_test(every_code_has_a_name),
		cmocka_unit_test(log_areas_and_levels),
		cmocka_unit_test(log_keeps_the_newest),
		cmocka_unit_test(check_aborts),
	};

	setenv("DTPROC_DEBUG", "base:2,wire", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
