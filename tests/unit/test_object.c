/* SPDX-License-Identifier: BSD-2-Clause */
/* src/object: names, symbols, preferences, bias; files that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <lzma.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <object/object.h>

__attribute__((noinline, used, visibility("default"))) int test_target(int a)
{
	__asm__ volatile("" : "+r"(a));
	return a;
}
extern __typeof__(test_target) _test_alias
	__attribute__((alias("test_target"), visibility("default"), used));

static struct object *open_self(void)
{
	struct object *o = NULL;

	assert_int_equal(object_open("/proc/self/exe", NULL, &o), 0);
	return o;
}

static void names_of_objects(void **state)
{
	static const struct {
		const char *name, *wanted;
		int yes;
	} rows[] = {
		{"libc.so.6", "libc.so.6", 1},
		{"libc.so.6", "libc.so", 1},
		{"libc.so.6", "libc", 1},
		{"libc.so.6", "lib", 0},
		{"libc.so.6", "libc.s", 0},
		{"libc.so.6", "libc.so.", 0},
		{"libc.so.6", "libc*", 1},
		{"libc.so.6", "", 1},
		{"libc.so.6", "*", 1},
		{"libc.so.6", "libm", 0},
		{"libcrypt.so.1", "libc", 0},
		{"libpython3.11.so.1.0", "libpython3.11", 1},
		{"libpython3.11.so.1.0", "libpython3.11.so", 1},
		{"libpython3.11.so.1.0", "libpython3.11.so.1", 1},
		{"libpython3.11.so.1.0", "libpython3", 0},
		{"python3.11", "python3", 0},
		{"ld-linux-x86-64.so.2", "ld-linux-x86-64", 1},
		{"ls", "ls", 1},
		{"a.solid.so.1", "a.solid", 1},
		{"a.solid", "a", 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (object_is_called(rows[i].name, rows[i].wanted) != rows[i].yes)
			fail_msg("%s as %s", rows[i].name, rows[i].wanted);
}

static void symbols_of_self(void **state)
{
	const struct object_symbol *at, *s;
	struct object *o = open_self();
	size_t n;
	uint64_t bias;
	struct link_map *map = dlopen(NULL, RTLD_NOW);

	assert_int_equal(object_symbols(o, &at, &n), 0);
	s = object_find(o, "test_target", NULL);
	assert_non_null(s);
	assert_int_equal(s->kind, OBJECT_FUNCTION);
	assert_true(object_executable(o, s->value));
	assert_true(s->size > 0 && s->size < 64);
	bias = map->l_addr;
	assert_int_equal(s->value + bias, (uintptr_t)test_target);
	/* Both names of the address are there; the one without underscore leads. */
	const struct object_symbol *alias = object_find(o, "_test_alias", NULL);

	assert_non_null(alias);
	assert_int_equal(alias->value, s->value);
	assert_ptr_equal(object_at(o, s->value), s);
	assert_ptr_equal(object_at(o, s->value + s->size - 1), s);
	assert_null(object_find(o, "test_target", s));
	assert_null(object_find(o, "no_such_function", NULL));
	for (size_t i = 1; i < n; i++)
		assert_true(at[i - 1].value <= at[i].value);
	object_unref(o);
}

/* At an entry the frame is right behind the return address. */
static void frame_at_an_entry(void **state)
{
	struct object *o = open_self();
	uint64_t value = 0;
	int64_t offset = 0;
	uint32_t size;
	unsigned reg = 0;

	assert_int_equal(object_lookup(o, "test_target", &value, &size), 0);
	assert_int_equal(object_frame(o, value, &reg, &offset), 1);
	assert_int_equal(reg, 7);
	assert_int_equal(offset, 8);
	assert_int_equal(object_frame(o, 0x10, &reg, &offset), 0);
	object_unref(o);
}

/* What a scan for one name gives is what the table gives. */
static void lookup_is_find(void **state)
{
	struct object *o = open_self();
	const struct object_symbol *at;
	uint64_t scanned[3], value = 0;
	const char *names[3] = {"test_target", "_test_alias", "main"};
	uint32_t size = 0;
	size_t n;

	for (int i = 0; i < 3; i++)
		assert_int_equal(object_lookup(o, names[i], &scanned[i], &size), 0);
	assert_int_equal(
		object_lookup(o, "no_such_function", &value, &size), DTPROC_ENOSYM);
	assert_int_equal(object_symbols(o, &at, &n), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(object_find(o, names[i], NULL)->value, scanned[i]);
		assert_int_equal(object_lookup(o, names[i], &value, &size), 0);
		assert_int_equal(value, scanned[i]);
	}
	assert_int_equal(
		object_lookup(o, "no_such_function", &value, &size), DTPROC_ENOSYM);
	object_unref(o);
}

static void bias_of_mapping(void **state)
{
	struct object *o = open_self();
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512], path[512];
	unsigned long long start, end, offset;
	uint64_t none = 1;
	struct link_map *map = dlopen(NULL, RTLD_NOW);
	ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
	int lines = 0;

	assert_true(len > 0);
	path[len] = 0;
	while (fgets(line, sizeof line, f)) {
		uint64_t bias = 1;

		if (!strstr(line, path) ||
			sscanf(line, "%llx-%llx r-xp %llx", &start, &end, &offset) != 3)
			continue;
		assert_int_equal(object_bias(o, start, offset, &bias), 0);
		assert_int_equal(bias, map->l_addr);
		lines++;
	}
	assert_true(lines >= 1);
	assert_int_equal(object_bias(o, 0, 1ull << 40, &none), DTPROC_EELF);
	fclose(f);
	object_unref(o);
}

static void sharing(void **state)
{
	struct object *a = open_self(), *b = open_self();

	assert_ptr_equal(a, b);
	object_unref(b);
	object_unref(a);
}

static void libc_by_soname(void **state)
{
	const struct object_symbol *at;
	struct object *o;
	Dl_info info;
	size_t n;

	/* Of those functions that no sanitizer replaces by its own. */
	assert_true(dladdr((void *)insque, &info));
	assert_int_equal(object_open(info.dli_fname, NULL, &o), 0);
	assert_string_equal(object_soname(o), "libc.so.6");
	assert_int_equal(object_symbols(o, &at, &n), 0);
	const struct object_symbol *s = object_find(o, "insque", NULL);

	assert_non_null(s);
	assert_int_equal((uintptr_t)info.dli_fbase + s->value, (uintptr_t)insque);
	object_unref(o);
}

static void bad_files(void **state)
{
	struct object *o = NULL;
	struct object_id other = {1, 1};

	assert_int_equal(object_open("/no/such/file", NULL, &o), DTPROC_ENOSYM);
	assert_non_null(strstr(err_text(), "/no/such/file"));
	assert_int_equal(object_open("/etc/passwd", NULL, &o), DTPROC_EELF);
	assert_int_equal(object_open("/", NULL, &o), DTPROC_ENOSYM);
	assert_int_equal(object_open("/proc/self/exe", &other, &o), DTPROC_ENOSYM);
	assert_int_equal(
		object_open_mapped(getpid(), 0, 4096, "[vdso]", NULL, &o), DTPROC_ENOSYM);
	assert_null(o);
}

/* Each prefix, and each of many single bytes turned over, costs at most an error. */
static void corrupt_files(void **state)
{
	char path[] = "/tmp/dtproc-object-XXXXXX";
	static unsigned char whole[1 << 20], bad[1 << 20];
	int in = open("/proc/self/exe", O_RDONLY), fd = mkstemp(path);
	ssize_t len = read(in, whole, sizeof whole);
	unsigned seed = 1;

	assert_true(len > 4096 && fd >= 0);
	for (int round = 0; round < 300; round++) {
		struct object *o = NULL;
		const struct object_symbol *at;
		size_t n, cut = (size_t)len;

		memcpy(bad, whole, (size_t)len);
		if (round % 3 == 0)
			cut = (size_t)rand_r(&seed) % (size_t)len;
		for (int i = 0; i < 1 + round % 8; i++)
			bad[(size_t)rand_r(&seed) % (i % 2 ? 1024 : (size_t)len)] ^=
				(unsigned char)(1 + rand_r(&seed) % 255);
		assert_int_equal(pwrite(fd, bad, cut, 0), cut);
		assert_int_equal(ftruncate(fd, (off_t)cut), 0);
		if (object_open(path, NULL, &o))
			continue;
		if (object_symbols(o, &at, &n) == 0)
			for (size_t i = 0; i < n; i++)
				assert_non_null(
					object_find(o, object_name_of(o, &at[i]), NULL));
		object_unref(o);
	}
	close(in);
	close(fd);
	unlink(path);
}

/* ------------------------------------------------------- what else has a name */

/* Calls by way of a PLT find their stub by its name. */
static void stubs_have_names(void **state)
{
	struct object *o = open_self();
	struct object_named named;
	int stubs = 0, fopens = 0;

	for (uint64_t value = 0; value < (1 << 20); value += 8) {
		if (object_name_at(o, value, &named) != 1 || named.kind != OBJECT_STUB)
			continue;
		stubs++;
		fopens += !strncmp(named.name, "fopen", 5);
		assert_true(value - named.value < named.size);
		assert_non_null(strstr(named.name, "@plt"));
	}
	assert_true(stubs > 10);
	assert_true(fopens > 0);
	object_unref(o);
}

/* Names of single addresses, and those of the whole table once that was read. */
static void names_are_those_of_the_table(void **state)
{
	enum { MOST = 4000 };
	static char before[MOST][64];
	struct object *o = open_self();
	struct object_named named;
	const struct object_symbol *at;
	size_t n;

	for (uint64_t i = 0; i < MOST; i++)
		if (object_name_at(o, i * 37, &named) == 1)
			snprintf(before[i], sizeof before[i], "%.50s+%u", named.name,
				(unsigned)(i * 37 - named.value));
	assert_int_equal(object_symbols(o, &at, &n), 0);
	for (uint64_t i = 0; i < MOST; i++) {
		char after[64] = "";

		if (object_name_at(o, i * 37, &named) == 1)
			snprintf(after, sizeof after, "%.50s+%u", named.name,
				(unsigned)(i * 37 - named.value));
		assert_string_equal(after, before[i]);
	}
	object_unref(o);
}

static void demangled(void **state)
{
	static const struct {
		const char *name, *full, *brief;
	} rows[] = {
		{"_ZN5shape4areaEiPKc", "shape::area(int, char const*)", "shape::area"},
		{"_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write",
			"core::fmt::write"},
		{"_RNvC3foo3bar", "foo::bar", "foo::bar"},
		{"main", NULL, NULL},
		{"_start", NULL, NULL},
		{"_Z", NULL, NULL},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (int flags = 0; flags < 2; flags++) {
			char *text = object_demangle(rows[i].name, flags);
			const char *wanted = flags ? rows[i].brief : rows[i].full;

			assert_int_equal(!text, !wanted);
			if (text)
				assert_string_equal(text, wanted);
			free(text);
		}
}

__attribute__((noinline, used)) static int stripped_off(int a)
{
	__asm__ volatile("" : "+r"(a));
	return a;
}

static char folder[] = "/tmp/dtproc-object-XXXXXX";

static int command(const char *fmt, ...)
{
	char line[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	return system(line);
}

/* The stripped file `name` knows the function again. */
static void assert_knows(const char *name)
{
	char path[256];
	struct object *o = NULL;
	uint64_t value = 0;
	uint32_t size = 0;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	assert_int_equal(object_open(path, NULL, &o), 0);
	if (object_lookup(o, "stripped_off", &value, &size))
		fail_msg("%s: %s", name, err_text());
	assert_true(size > 0);
	object_unref(o);
}

static void make_debugdata(const char *from, const char *to)
{
	static uint8_t plain[4 << 20], packed[4 << 20];
	size_t n = 0;
	FILE *f = fopen(from, "rb");
	size_t len = fread(plain, 1, sizeof plain, f);

	fclose(f);
	assert_true(len > 0 && len < sizeof plain);
	assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, plain, len,
				 packed, &n, sizeof packed),
		LZMA_OK);
	f = fopen(to, "wb");
	fwrite(packed, 1, n, f);
	fclose(f);
}

/* What was stripped off is found again: by .gnu_debuglink, and in .gnu_debugdata. */
static void stripped_files(void **state)
{
	char from[256], to[256];
	uint64_t value;
	uint32_t size;
	struct object *o = NULL;

	if (command("command -v objcopy >/dev/null 2>&1"))
		skip();
	assert_non_null(mkdtemp(folder));
	assert_int_equal(command("cp /proc/%d/exe %s/whole && cd %s && "
				 "strip -o bare whole && mkdir .debug && "
				 "objcopy --only-keep-debug whole .debug/whole.debug && "
				 "cp bare linked && cd .debug && "
				 "objcopy --add-gnu-debuglink=whole.debug ../linked",
				 (int)getpid(), folder, folder),
		0);
	snprintf(from, sizeof from, "%s/bare", folder);
	assert_int_equal(object_open(from, NULL, &o), 0);
	assert_int_equal(object_lookup(o, "stripped_off", &value, &size), DTPROC_ENOSYM);
	object_unref(o);
	assert_knows("linked");
	snprintf(from, sizeof from, "%s/.debug/whole.debug", folder);
	snprintf(to, sizeof to, "%s/packed", folder);
	make_debugdata(from, to);
	assert_int_equal(command("cd %s && objcopy --add-section .gnu_debugdata=packed "
				 "bare mini",
				 folder),
		0);
	assert_knows("mini");
	/* One that is damaged is none. */
	assert_int_equal(command("cd %s && head -c 1000 packed >cut && objcopy "
				 "--add-section .gnu_debugdata=cut bare bad",
				 folder),
		0);
	snprintf(from, sizeof from, "%s/bad", folder);
	assert_int_equal(object_open(from, NULL, &o), 0);
	assert_int_equal(object_lookup(o, "stripped_off", &value, &size), DTPROC_ENOSYM);
	object_unref(o);
	(void)command("rm -r %s", folder);
	assert_int_equal(stripped_off(1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_objects),
		cmocka_unit_test(symbols_of_self),
		cmocka_unit_test(lookup_is_find),
		cmocka_unit_test(frame_at_an_entry),
		cmocka_unit_test(stubs_have_names),
		cmocka_unit_test(names_are_those_of_the_table),
		cmocka_unit_test(demangled),
		cmocka_unit_test(stripped_files),
		cmocka_unit_test(bias_of_mapping),
		cmocka_unit_test(sharing),
		cmocka_unit_test(libc_by_soname),
		cmocka_unit_test(bad_files),
		cmocka_unit_test(corrupt_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
