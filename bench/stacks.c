/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stacks PID [SECONDS]: stops a process, walks the stack of its first thread again and
 * again, and prints frames a second.  With elfutils' dwfl and libunwind (remote, cached)
 * beside it, where they are there: name, frames of the stack, frames a second.  Without
 * SECONDS: our frames, one a line.  Of a core file, too (a path with a slash).
 */
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <stack/stack.h>
#include <victim/victim.h>
#ifdef HAVE_LIBUNWIND
#include <libunwind-ptrace.h>
#endif

#define ROOM 1024

static pid_t pid;
static double seconds;

/* The time of a CPU that was ours: the machine may have other work. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Runs `walk` for the time and prints how fast it was. */
static void measure(const char *name, unsigned (*walk)(void))
{
	unsigned frames = walk();
	double begin = now(), took;
	uint64_t sum = 0;

	do
		for (int i = 0; i < 32; i++)
			sum += walk();
	while ((took = now() - begin) < seconds);
	printf("%s %u %.0f\n", name, frames, (double)sum / took);
}

/* -------------------------------------------------------------------- ours */

static int mem;
static struct stack_view view = {.when = STACK_NOW};
static struct stack_source source;
static struct stack_walker *walker;
static struct stack_regs regs;
static struct stack_frame frames[ROOM];
static enum stack_end end;

static ssize_t read_victim(void *arg, dtproc_addr at, void *buf, size_t len)
{
	return pread(mem, buf, len, (off_t)at);
}

static unsigned ours(void)
{
	return (unsigned)stack_walk(walker, &regs, frames, ROOM, &end);
}

static int read_space(void)
{
	const struct stack_space_options options = {.pid = pid, .read = read_victim};
	struct victim_maps maps;

	if (victim_maps_read(pid, &maps) || stack_space_create(&options, &view.space))
		return -1;
	struct stack_map *m = calloc(maps.n, sizeof *m);

	for (size_t i = 0; m && i < maps.n; i++)
		m[i] = (struct stack_map){maps.at[i].start, maps.at[i].end,
			maps.at[i].offset, maps.at[i].dev, maps.at[i].inode,
			(maps.at[i].flags & VICTIM_MAP_EXEC) != 0, maps.at[i].path};
	return m ? stack_space_update(view.space, m, maps.n, 0) : -1;
}

static int prepare(void)
{
	struct user_regs_struct user;

	if (ptrace(PTRACE_GETREGS, pid, 0, &user) || victim_mem_open(pid, &mem) ||
		read_space())
		return -1;
	stack_regs_from(&user, &regs);
	source = stack_view_source(&view);
	return stack_walker_create(&source, &walker);
}

static void print(void)
{
	static const char *const vias[] = {"given", "cfi", "signal", "pointer", "scan"};
	static const char *const ends[] = {"bottom", "full", "cut", "lost"};
	unsigned n = ours();

	for (unsigned i = 0; i < n; i++) {
		dtproc_addr at = stack_frame_at(&frames[i]);
		struct stack_name name;

		(void)stack_space_name(view.space, at, STACK_NOW, &name);
		printf("%016" PRIx64 " %s %s`%s+%#" PRIx64 "\n", frames[i].pc,
			vias[frames[i].via], name.object, name.symbol ? name.symbol : "",
			at - name.start);
	}
	printf("%s\n", ends[end]);
}

/* ---------------------------------------------------------------- elfutils */

static Dwfl *dwfl;

static int count_frame(Dwfl_Frame *state, void *arg)
{
	Dwarf_Addr pc;
	bool exact;

	if (!dwfl_frame_pc(state, &pc, &exact))
		return DWARF_CB_ABORT;
	return ++*(unsigned *)arg < ROOM ? DWARF_CB_OK : DWARF_CB_ABORT;
}

static unsigned by_dwfl(void)
{
	unsigned n = 0;

	dwfl_getthread_frames(dwfl, pid, count_frame, &n);
	return n;
}

static void measure_dwfl(void)
{
	static char *debuginfo_path;
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_linux_proc_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.debuginfo_path = &debuginfo_path,
	};

	dwfl = dwfl_begin(&callbacks);
	if (!dwfl || dwfl_linux_proc_report(dwfl, pid) ||
		dwfl_report_end(dwfl, NULL, NULL) ||
		dwfl_linux_proc_attach(dwfl, pid, true))
		return;
	measure("dwfl", by_dwfl);
	dwfl_end(dwfl);
}

/* --------------------------------------------------------------- libunwind */

#ifdef HAVE_LIBUNWIND
static unw_addr_space_t space;
static void *context;

static unsigned by_libunwind(void)
{
	unw_cursor_t cursor;
	unw_word_t pc;
	unsigned n = 0;

	if (unw_init_remote(&cursor, space, context))
		return 0;
	do {
		unw_get_reg(&cursor, UNW_REG_IP, &pc);
		n++;
	} while (n < ROOM && unw_step(&cursor) > 0);
	return n;
}

static void measure_libunwind(void)
{
	space = unw_create_addr_space(&_UPT_accessors, 0);
	context = _UPT_create(pid);
	unw_set_caching_policy(space, UNW_CACHE_GLOBAL);
	measure("libunwind", by_libunwind);
}
#else
static void measure_libunwind(void)
{
}
#endif

/* ------------------------------------------------------------------- cores */

static void measure_core_by_dwfl(const char *path)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
	};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ_MMAP, NULL);

	dwfl = dwfl_begin(&callbacks);
	if (!elf || !dwfl || dwfl_core_file_report(dwfl, elf, NULL) < 0 ||
		dwfl_report_end(dwfl, NULL, NULL) || dwfl_core_file_attach(dwfl, elf) < 0)
		return;
	measure("dwfl", by_dwfl);
	dwfl_end(dwfl);
	elf_end(elf);
	close(fd);
}

/* A core's first thread is measured, or all are printed. */
static int look_at_core(const char *path)
{
	struct stack_core *core;
	size_t n;

	if (stack_core_open(path, &core)) {
		fprintf(stderr, "stacks: %s\n", err_text());
		return 1;
	}
	const struct stack_core_thread *threads = stack_core_threads(core, &n);

	view.space = stack_core_space(core);
	source = stack_view_source(&view);
	if (stack_walker_create(&source, &walker))
		return 1;
	pid = threads[0].tid;
	stack_regs_from(&threads[0].regs, &regs);
	if (seconds > 0) {
		measure("dtproc", ours);
		measure_core_by_dwfl(path);
	}
	for (size_t i = 0; i < n && seconds == 0; i++) {
		stack_regs_from(&threads[i].regs, &regs);
		printf("thread %d\n", (int)threads[i].tid);
		print();
	}
	stack_walker_destroy(walker);
	stack_core_close(core);
	return 0;
}

int main(int argc, char **argv)
{
	int status;

	seconds = argc > 2 ? atof(argv[2]) : 0;
	if (argc > 1 && strchr(argv[1], '/'))
		return look_at_core(argv[1]);
	pid = argc > 1 ? atoi(argv[1]) : 0;
	if (pid <= 0 || ptrace(PTRACE_ATTACH, pid, 0, 0) ||
		waitpid(pid, &status, __WALL) != pid) {
		fprintf(stderr, "stacks PID [SECONDS]: %s\n", strerror(errno));
		return 1;
	}
	if (prepare()) {
		fprintf(stderr, "stacks: %s\n", err_text());
		return 1;
	}
	if (seconds > 0) {
		measure("dtproc", ours);
		measure_dwfl();
		measure_libunwind();
	} else {
		print();
	}
	ptrace(PTRACE_DETACH, pid, 0, 0);
	return 0;
}
