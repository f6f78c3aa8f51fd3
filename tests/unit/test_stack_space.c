/* SPDX-License-Identifier: BSD-2-Clause */
/* src/stack: names of what is and was mapped, generated code, core files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <stack/stack.h>

#define MAPS_MAX 512

static struct stack_map maps[MAPS_MAX];
static char paths[MAPS_MAX][256];
static size_t nmaps;

static ssize_t read_self(void *arg, dtproc_addr at, void *buf, size_t len)
{
	struct iovec to = {buf, len}, from = {(void *)(uintptr_t)at, len};

	(void)arg;
	return process_vm_readv(getpid(), &to, 1, &from, 1, 0);
}

static void read_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[1024];

	nmaps = 0;
	while (fgets(line, sizeof line, f) && nmaps < MAPS_MAX) {
		unsigned long long start, end, offset, inode;
		unsigned major, minor;
		char perms[8];
		int path = 0;

		if (sscanf(line, "%llx-%llx %7s %llx %x:%x %llu %n", &start, &end, perms,
			    &offset, &major, &minor, &inode, &path) < 7)
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(
			paths[nmaps], sizeof paths[0], "%.255s", path ? line + path : "");
		maps[nmaps] = (struct stack_map){start, end, offset,
			(uint64_t)major << 8 | minor, inode, perms[2] == 'x',
			paths[nmaps]};
		nmaps++;
	}
	fclose(f);
}

static struct stack_space *space_of_self(void)
{
	const struct stack_space_options options = {.pid = getpid(), .read = read_self};
	struct stack_space *s;

	read_maps();
	assert_int_equal(stack_space_create(&options, &s), 0);
	assert_int_equal(stack_space_update(s, maps, nmaps, 1), 0);
	return s;
}

__attribute__((noinline, used, visibility("default"))) int known_function(int a)
{
	__asm__ volatile("" : "+r"(a));
	return a;
}
__attribute__((used, visibility("default"))) int known_datum = 4;
__attribute__((used, visibility("default"))) char known_bss[65536];

static void assert_name(struct stack_space *s, const void *at, uint64_t when,
	const char *object, const char *symbol, uint64_t offset)
{
	const dtproc_addr addr = (uintptr_t)at;
	struct stack_name name;

	assert_int_equal(stack_space_name(s, addr, when, &name), 1);
	if (object)
		assert_string_equal(name.object, object);
	assert_non_null(name.symbol);
	assert_string_equal(name.symbol, symbol);
	assert_int_equal(addr - name.start, offset);
}

static void names_of_self(void **state)
{
	struct stack_space *s = space_of_self();
	struct stack_name name;

	assert_name(s, (char *)known_function + 2, STACK_NOW, NULL, "known_function", 2);
	assert_name(s, &known_datum, STACK_NOW, NULL, "known_datum", 0);
	assert_name(s, known_bss + 40000, STACK_NOW, NULL, "known_bss", 40000);
	assert_name(s, (void *)getppid, STACK_NOW, "libc.so.6", "getppid", 0);
	assert_int_equal(stack_space_name(s, 16, STACK_NOW, &name), 0);
	assert_string_equal(name.object, "");
	assert_null(name.symbol);
	stack_space_destroy(s);
}

static void the_vdso_is_one_object(void **state)
{
	struct stack_space *one = space_of_self(), *two = space_of_self();
	const struct stack_view v1 = {one, STACK_NOW}, v2 = {two, STACK_NOW};
	const struct stack_source s1 = stack_view_source(&v1),
				  s2 = stack_view_source(&v2);
	struct stack_code c1 = {0}, c2 = {0};
	const dtproc_addr at = getauxval(AT_SYSINFO_EHDR);
	const struct object_rule *rule;
	const struct object_symbol *symbols;
	size_t n;

	if (!at)
		skip();
	assert_int_equal(s1.code(s1.arg, at, &c1), 1);
	assert_int_equal(s2.code(s2.arg, at, &c2), 1);
	assert_non_null(c1.object);
	assert_ptr_equal(c1.object, c2.object);
	assert_int_equal(c1.bias, at);
	assert_int_equal(object_symbols(c1.object, &symbols, &n), 0);
	assert_non_null(object_find(c1.object, "__vdso_clock_gettime", NULL));
	assert_int_equal(
		object_rule_at(c1.object,
			object_find(c1.object, "__vdso_clock_gettime", NULL)->value,
			&rule),
		1);
	stack_space_destroy(one);
	stack_space_destroy(two);
}

/* Rule E2: a name is there when its library has gone, for what was recorded before. */
static void names_survive_a_dlclose(void **state)
{
	struct stack_space *s;
	void *lib = dlopen(PLUG, RTLD_NOW);
	void *at;

	assert_non_null(lib);
	at = dlsym(lib, "plug_idle");
	s = space_of_self();
	stack_space_keep(s);
	assert_name(s, at, STACK_NOW, "libplug.so", "plug_idle", 0);
	assert_int_equal(dlclose(lib), 0);
	read_maps();
	assert_int_equal(stack_space_update(s, maps, nmaps, 100), 0);
	assert_int_equal(stack_space_changes(s), 1);
	assert_name(s, at, 50, "libplug.so", "plug_idle", 0);
	assert_name(s, at, STACK_NOW, "libplug.so", "plug_idle", 0);
	stack_space_destroy(s);
}

/* Whose file nobody reaches any more: what is in memory tells. */
static void a_deleted_library(void **state)
{
	const struct stack_space_options by_memory = {.read = read_self};
	char path[] = "/tmp/dtproc-plug-XXXXXX", command[512];
	struct stack_space *s;
	const struct object_rule *rule;
	struct stack_code code = {0};
	void *lib, *at;

	close(mkstemp(path));
	snprintf(command, sizeof command, "cp %s %s", PLUG, path);
	assert_int_equal(system(command), 0);
	lib = dlopen(path, RTLD_NOW);
	assert_non_null(lib);
	unlink(path);
	at = dlsym(lib, "plug_idle");
	read_maps();
	assert_int_equal(stack_space_create(&by_memory, &s), 0);
	assert_int_equal(stack_space_update(s, maps, nmaps, 1), 0);
	const struct stack_view view = {s, STACK_NOW};
	const struct stack_source source = stack_view_source(&view);

	assert_name(s, at, STACK_NOW, "libplug.so", "plug_idle", 0);
	assert_int_equal(source.code(source.arg, (uintptr_t)at, &code), 1);
	assert_int_equal(
		object_rule_at(code.object, (uintptr_t)at - code.bias, &rule), 1);
	assert_int_equal(rule->cfa.how, OBJECT_REGISTER);
	stack_space_destroy(s);
	dlclose(lib);
}

/* Two that lay at one address, one after the other: the time tells. */
static void the_time_tells_which(void **state)
{
	const struct stack_space_options nobody = {.pid = 0};
	struct stack_map m[2] = {{0x1000, 0x2000, 0, 0, 1, 1, "/no/one"},
		{0x1000, 0x2000, 0, 0, 2, 1, "/no/two"}};
	struct stack_space *s;
	struct stack_name name;

	assert_int_equal(stack_space_create(&nobody, &s), 0);
	assert_int_equal(stack_space_update(s, &m[0], 1, 10), 0);
	assert_int_equal(stack_space_update(s, &m[1], 1, 20), 0);
	assert_int_equal(stack_space_update(s, NULL, 0, 30), 0);
	for (uint64_t when = 0; when < 40; when++) {
		assert_int_equal(stack_space_name(s, 0x1500, when, &name), 1);
		assert_string_equal(name.object, when >= 10 && when < 20 ? "one" : "two");
	}
	stack_space_destroy(s);
}

static void only_so_many_are_kept(void **state)
{
	const struct stack_space_options nobody = {.pid = 0};
	struct stack_map m = {0, 0, 0, 0, 1, 1, "/no/where"};
	struct stack_space *s;
	struct stack_name name;

	assert_int_equal(stack_space_create(&nobody, &s), 0);
	for (uint64_t i = 1; i <= 1100; i++) {
		m.start = i * 0x1000;
		m.end = m.start + 0x1000;
		assert_int_equal(stack_space_update(s, &m, 1, i), 0);
	}
	assert_int_equal(stack_space_name(s, 0x1000, STACK_NOW, &name), 0);
	assert_int_equal(stack_space_name(s, 1000 * 0x1000, STACK_NOW, &name), 1);
	stack_space_destroy(s);
}

/* ----------------------------------------------------------------------- JITs */

static void write_file(const char *path, const void *bytes, size_t len, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void names_of_a_perf_map(void **state)
{
	static const char first[] =
		"7000 100 LazyCompile:~f x.js:1\nnonsense\n0x8000 0x10 g\n7";
	static const char then[] = "100 20 h\n7000 10 newer\n";
	const struct stack_space_options self = {.pid = getpid()};
	struct stack_map m = {0x7000, 0x9000, 0, 0, 0, 1, ""};
	struct stack_space *s;
	struct stack_name name;
	char path[64];

	snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)getpid());
	write_file(path, first, sizeof first - 1, O_TRUNC);
	assert_int_equal(stack_space_create(&self, &s), 0);
	assert_int_equal(stack_space_update(s, &m, 1, 1), 0);
	assert_name(s, (void *)0x7004, STACK_NOW, "", "LazyCompile:~f x.js:1", 4);
	assert_name(s, (void *)0x800f, STACK_NOW, "", "g", 15);
	assert_int_equal(stack_space_name(s, 0x8010, STACK_NOW, &name), 0);
	assert_int_equal(stack_space_name(s, 0x7100, STACK_NOW, &name), 0);
	write_file(path, then, sizeof then - 1, O_APPEND);
	assert_name(s, (void *)0x7105, STACK_NOW, "", "h", 5);
	assert_name(s, (void *)0x7004, STACK_NOW, "", "newer", 4);
	assert_name(s, (void *)0x7014, STACK_NOW, "", "LazyCompile:~f x.js:1", 20);
	unlink(path);
	stack_space_destroy(s);
}

static void names_of_a_jitdump(void **state)
{
	struct __attribute__((packed)) {
		uint32_t magic, version, size, machine, pad, pid;
		uint64_t time, flags;
		uint32_t id, total;
		uint64_t at;
		uint32_t tid, pid2;
		uint64_t vma, start, len, index;
		char name[8];
		uint8_t code[4];
		uint32_t id2, total2;
		uint64_t at2;
		uint32_t tid3, pid3;
		uint64_t vma2, from, to, len2, index2;
	} dump = {0x4a695444, 1, 40, EM_X86_64, 0, 1, 0, 0, 0, 16 + 40 + 8 + 4, 5, 1, 1,
		0x5000, 0x5000, 4, 0, "compute", {0x90}, 1, 16 + 48, 6, 1, 1, 0x6000,
		0x5000, 0x6000, 4, 0};
	char path[] = "/tmp/dtproc-jit-XXXXXX";
	struct object_jit *j;
	uint64_t start = 0, size = 0;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, &dump, sizeof dump), sizeof dump);
	assert_int_equal(object_jit_create(&j), 0);
	assert_int_equal(object_jit_read(j, fd, OBJECT_JIT_DUMP), 0);
	assert_string_equal(object_jit_at(j, 0x5003, &start, &size), "compute");
	assert_int_equal(start, 0x5000);
	assert_string_equal(object_jit_at(j, 0x6000, &start, &size), "compute");
	assert_int_equal(start, 0x6000);
	assert_null(object_jit_at(j, 0x6004, &start, &size));
	object_jit_destroy(j);
	close(fd);
}

/* ---------------------------------------------------------------------- cores */

/* Writes a core of this process by hand: registers, mappings, and its stack. */
static void put_note(FILE *f, uint32_t type, const void *desc, size_t len)
{
	const uint32_t head[3] = {5, (uint32_t)len, type};

	fwrite(head, sizeof head, 1, f);
	fwrite("CORE\0\0\0", 8, 1, f);
	fwrite(desc, len, 1, f);
	fwrite("\0\0\0", (4 - len % 4) % 4, 1, f);
}

static void put_files(FILE *f)
{
	char *text = NULL;
	size_t len, n = 0;
	FILE *note = open_memstream(&text, &len);
	uint64_t two[2];

	for (size_t i = 0; i < nmaps; i++)
		n += maps[i].inode != 0;
	two[0] = n;
	two[1] = 1;
	fwrite(two, sizeof two, 1, note);
	for (size_t i = 0; i < nmaps; i++) {
		const uint64_t file[3] = {maps[i].start, maps[i].end, maps[i].offset};

		if (maps[i].inode)
			fwrite(file, sizeof file, 1, note);
	}
	for (size_t i = 0; i < nmaps; i++)
		if (maps[i].inode)
			fwrite(maps[i].path, strlen(maps[i].path) + 1, 1, note);
	fclose(note);
	put_note(f, NT_FILE, text, len);
	free(text);
}

static const struct stack_map *map_holding(const void *at)
{
	for (size_t i = 0; i < nmaps; i++)
		if ((uintptr_t)at >= maps[i].start && (uintptr_t)at < maps[i].end)
			return &maps[i];
	return NULL;
}

static void write_core(const char *path, const struct elf_prstatus *status)
{
	const struct stack_map *stack = map_holding(&status);
	Elf64_Ehdr head = {.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof head,
		.e_ehsize = sizeof head,
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2};
	Elf64_Phdr ph[2] = {{.p_type = PT_NOTE, .p_offset = 4096},
		{.p_type = PT_LOAD,
			.p_flags = PF_R | PF_W,
			.p_vaddr = stack->start,
			.p_memsz = stack->end - stack->start,
			.p_filesz = stack->end - stack->start}};
	FILE *f = fopen(path, "wb");
	void *bytes;

	assert_non_null(f);
	memcpy(head.e_ident, "\177ELF\2\1\1", 7);
	fseek(f, 4096, SEEK_SET);
	put_note(f, NT_PRSTATUS, status, sizeof *status);
	put_files(f);
	ph[0].p_filesz = (uint64_t)ftell(f) - 4096;
	ph[1].p_offset = ((uint64_t)ftell(f) + 4095) & ~4095ull;
	fseek(f, (long)ph[1].p_offset, SEEK_SET);
	bytes = malloc(ph[1].p_filesz); /* by the kernel: ASan has marked some of it */
	assert_true(read_self(NULL, stack->start, bytes, ph[1].p_filesz) > 0);
	fwrite(bytes, 1, ph[1].p_filesz, f);
	free(bytes);
	fseek(f, 0, SEEK_SET);
	fwrite(&head, sizeof head, 1, f);
	fwrite(ph, sizeof ph, 1, f);
	fclose(f);
}

/* Registers as a core has them, of here. */
static void fill_status(struct elf_prstatus *status)
{
	ucontext_t u;
	const greg_t *g = u.uc_mcontext.gregs;
	struct user_regs_struct r = {0};

	memset(status, 0, sizeof *status);
	getcontext(&u);
	r.rip = (unsigned long long)g[REG_RIP];
	r.rsp = (unsigned long long)g[REG_RSP];
	r.rbp = (unsigned long long)g[REG_RBP];
	r.rbx = (unsigned long long)g[REG_RBX];
	r.r12 = (unsigned long long)g[REG_R12];
	r.r13 = (unsigned long long)g[REG_R13];
	r.r14 = (unsigned long long)g[REG_R14];
	r.r15 = (unsigned long long)g[REG_R15];
	memcpy(&status->pr_reg, &r, sizeof r);
	status->pr_pid = 4711;
}

__attribute__((noinline, used, visibility("default"))) void dumps_core(const char *path)
{
	struct elf_prstatus status;

	fill_status(&status);
	write_core(path, &status);
	__asm__ volatile("" ::: "memory");
}

static size_t walk_core(const char *path, struct stack_frame *frames, size_t room,
	struct stack_core **core)
{
	const struct stack_core_thread *threads;
	struct stack_walker *w;
	struct stack_regs regs;
	enum stack_end end;
	size_t n;

	if (stack_core_open(path, core))
		return 0;
	threads = stack_core_threads(*core, &n);
	assert_int_equal(n, 1);
	assert_int_equal(threads[0].tid, 4711);
	const struct stack_view view = {stack_core_space(*core), STACK_NOW};
	const struct stack_source source = stack_view_source(&view);

	assert_int_equal(stack_walker_create(&source, &w), 0);
	stack_regs_from(&threads[0].regs, &regs);
	n = stack_walk(w, &regs, frames, room, &end);
	stack_walker_destroy(w);
	return n;
}

static void a_core_file(void **state)
{
	char path[] = "/tmp/dtproc-core-XXXXXX";
	struct stack_frame frames[64];
	struct stack_core *core;
	struct stat st;

	close(mkstemp(path));
	read_maps();
	dumps_core(path);
	size_t n = walk_core(path, frames, 64, &core);

	assert_true(n > 4);
	assert_name(stack_core_space(core), (void *)(uintptr_t)frames[0].pc, STACK_NOW,
		NULL, "fill_status", frames[0].pc - (uintptr_t)fill_status);
	assert_name(stack_core_space(core), (void *)(uintptr_t)(frames[1].pc - 1),
		STACK_NOW, NULL, "dumps_core", frames[1].pc - 1 - (uintptr_t)dumps_core);
	stack_core_close(core);
	/* Cut off anywhere it gives what is there, or an error. */
	assert_int_equal(stat(path, &st), 0);
	for (off_t len = st.st_size; len > 0; len = len * 9 / 10) {
		assert_int_equal(truncate(path, len), 0);
		if (walk_core(path, frames, 64, &core))
			stack_core_close(core);
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_self),
		cmocka_unit_test(the_vdso_is_one_object),
		cmocka_unit_test(names_survive_a_dlclose),
		cmocka_unit_test(a_deleted_library),
		cmocka_unit_test(the_time_tells_which),
		cmocka_unit_test(only_so_many_are_kept),
		cmocka_unit_test(names_of_a_perf_map),
		cmocka_unit_test(names_of_a_jitdump),
		cmocka_unit_test(a_core_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
