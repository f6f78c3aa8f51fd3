/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stacks PID [SECONDS]: stops a process, walks the stack of its first thread again and
 * again, and prints frames a second.  With elfutils' dwfl and libunwind (remote, cached)
 * beside it, where they are there: name, frames of the stack, frames a second.  Without
 * SECONDS: our frames, one a line.
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

static struct victim_maps maps;
static struct stack_code *codes;
static int mem;
static struct stack_walker *walker;
static struct stack_regs regs;
static struct stack_frame frames[ROOM];
static enum stack_end end;

static ssize_t read_victim(void *arg, dtproc_addr at, void *buf, size_t len)
{
	return pread(mem, buf, len, (off_t)at);
}

static int code_of(void *arg, dtproc_addr at, struct stack_code *out)
{
	const struct victim_map *m = victim_maps_find(&maps, at);

	if (!m || !(m->flags & VICTIM_MAP_EXEC))
		return 0;
	struct stack_code *code = &codes[m - maps.at];
	const struct object_id id = {m->dev, m->inode};

	if (!code->object && m->inode) {
		if (object_open_mapped(
			    pid, m->start, m->end, m->path, &id, &code->object))
			code->object = NULL;
		else if (object_bias(code->object, m->start, m->offset, &code->bias))
			code->bias = 0;
	}
	*out = *code;
	return 1;
}

static unsigned ours(void)
{
	return (unsigned)stack_walk(walker, &regs, frames, ROOM, &end);
}

static int prepare(void)
{
	const struct stack_source source = {NULL, read_victim, code_of};
	struct user_regs_struct user;

	if (ptrace(PTRACE_GETREGS, pid, 0, &user) || victim_maps_read(pid, &maps) ||
		victim_mem_open(pid, &mem))
		return -1;
	codes = calloc(maps.n, sizeof *codes);
	stack_regs_from(&user, &regs);
	return codes ? stack_walker_create(&source, &walker) : -1;
}

static void print(void)
{
	static const char *const vias[] = {"given", "cfi", "signal", "pointer", "scan"};
	static const char *const ends[] = {"bottom", "full", "cut", "lost"};
	unsigned n = ours();

	for (unsigned i = 0; i < n; i++)
		printf("%016" PRIx64 " %s\n", frames[i].pc, vias[frames[i].via]);
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

int main(int argc, char **argv)
{
	int status;

	pid = argc > 1 ? atoi(argv[1]) : 0;
	seconds = argc > 2 ? atof(argv[2]) : 0;
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
