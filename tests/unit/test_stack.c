/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * src/stack on the stack of this test itself: what the unwinder of the compiler sees, a
 * walk must see, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>
#include <stack/stack.h>

#define ROOM 128

/* ------------------------------------------------------- this very process */

static struct {
	uint64_t start, end, bias;
	struct object *object;
} maps[256];
static size_t nmaps;
static int blind; /* no object is given: as for a JIT's code */

static ssize_t read_self(void *arg, dtproc_addr at, void *buf, size_t len)
{
	struct iovec to = {buf, len}, from = {(void *)(uintptr_t)at, len};
	ssize_t got = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

	return got < 0 ? read_self(arg, at, buf, len / 2) : got;
}

static int code_self(void *arg, dtproc_addr at, struct stack_code *out)
{
	for (size_t i = 0; i < nmaps; i++)
		if (at >= maps[i].start && at < maps[i].end) {
			*out = (struct stack_code){
				blind ? NULL : maps[i].object, maps[i].bias};
			return 1;
		}
	return 0;
}

static const struct stack_source self = {NULL, read_self, code_self};

static void add_map(const char *line)
{
	unsigned long long start, end, offset;
	char path[512] = "";

	if (sscanf(line, "%llx-%llx r-xp %llx %*s %*s %511s", &start, &end, &offset,
		    path) < 3)
		return;
	maps[nmaps].start = start;
	maps[nmaps].end = end;
	if (path[0] == '/') {
		assert_int_equal(object_open(path, NULL, &maps[nmaps].object), 0);
		assert_int_equal(
			object_bias(maps[nmaps].object, start, offset, &maps[nmaps].bias),
			0);
	}
	nmaps++;
}

static int read_maps(void **state)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[1024];

	while (fgets(line, sizeof line, f) && nmaps < 256)
		add_map(line);
	fclose(f);
	return 0;
}

static int drop_maps(void **state)
{
	while (nmaps)
		object_unref(maps[--nmaps].object);
	return 0;
}

static void regs_from(const ucontext_t *u, struct stack_regs *out)
{
	static const int order[] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
		REG_RBP, REG_RSP, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13,
		REG_R14, REG_R15, REG_RIP};

	for (int i = 0; i < ARCH_DWARF_REGS; i++)
		out->value[i] = (uint64_t)u->uc_mcontext.gregs[order[i]];
	out->known = (1u << ARCH_DWARF_REGS) - 1;
}

/* ------------------------------------------------------------------- walks */

static struct seen {
	struct stack_frame frames[ROOM];
	size_t n;
	enum stack_end end;
	void *backtrace[ROOM];
	int depth;
} seen;

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *arg)
{
	void *pc = (void *)_Unwind_GetIP(context);

	if (!pc)
		return _URC_END_OF_STACK;
	seen.backtrace[seen.depth++] = pc;
	return seen.depth < ROOM ? _URC_NO_REASON : _URC_END_OF_STACK;
}

/* Walks from here; and asks the compiler's unwinder. */
__attribute__((noinline)) static void look(void)
{
	struct stack_walker *w;
	struct stack_regs regs;
	ucontext_t u;

	seen.depth = 0;
	_Unwind_Backtrace(add_frame, NULL);
	assert_int_equal(stack_walker_create(&self, &w), 0);
	getcontext(&u);
	regs_from(&u, &regs);
	seen.n = stack_walk(w, &regs, seen.frames, ROOM, &seen.end);
	stack_walker_destroy(w);
}

__attribute__((noinline)) static int deep(int n)
{
	volatile char room[64];

	room[n & 63] = 1;
	if (n)
		return deep(n - 1) + room[n & 63];
	look();
	return room[0];
}

/* Both saw the same; the first frame (look) has another address in each. */
static void assert_same(void)
{
	assert_int_equal(seen.n, seen.depth);
	for (size_t i = 1; i < seen.n; i++) {
		if (seen.frames[i].pc != (uintptr_t)seen.backtrace[i])
			fail_msg("frame %zu is %#llx and not %p", i,
				(unsigned long long)seen.frames[i].pc, seen.backtrace[i]);
		if (i > 1 && !seen.frames[i - 2].signal && !seen.frames[i - 1].signal)
			assert_true(seen.frames[i - 1].cfa > seen.frames[i - 2].cfa);
	}
}

static void as_the_compiler_sees_it(void **state)
{
	deep(20);
	assert_same();
	assert_true(seen.n > 22);
	assert_int_equal(seen.end, STACK_BOTTOM);
	for (size_t i = 1; i < seen.n; i++) {
		assert_int_equal(seen.frames[i].via, STACK_CFI);
		assert_int_equal(seen.frames[i].exact, 0);
	}
}

static void no_more_than_asked_for(void **state)
{
	struct stack_frame frames[3];
	struct stack_walker *w;
	struct stack_regs regs;
	enum stack_end end;
	ucontext_t u;

	assert_int_equal(stack_walker_create(&self, &w), 0);
	getcontext(&u);
	regs_from(&u, &regs);
	memset(frames, 0x55, sizeof frames);
	assert_int_equal(stack_walk(w, &regs, frames, 2, &end), 2);
	assert_int_equal(end, STACK_FULL);
	assert_int_equal(frames[2].pc, 0x5555555555555555);
	assert_int_equal(stack_walk(w, &regs, frames, 0, &end), 0);
	stack_walker_destroy(w);
}

static void *thread(void *arg)
{
	deep(3);
	return arg;
}

static void of_a_thread(void **state)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, thread, NULL), 0);
	pthread_join(t, NULL);
	assert_same();
	assert_int_equal(seen.end, STACK_BOTTOM);
}

static int compare(const void *a, const void *b)
{
	static int once;

	if (!once++)
		deep(2);
	return *(const int *)a - *(const int *)b;
}

static void called_back_by_libc(void **state)
{
	int numbers[] = {3, 1, 2};

	qsort(numbers, 3, sizeof *numbers, compare);
	assert_same();
}

static void handler(int sig)
{
	deep(2);
}

static void in_a_handler(int flags)
{
	static char room[65536];
	const stack_t stack = {.ss_sp = room, .ss_size = sizeof room},
		      none = {.ss_flags = SS_DISABLE};
	struct sigaction act = {.sa_handler = handler, .sa_flags = flags};
	int signals = 0;

	assert_int_equal(sigaltstack(&stack, NULL), 0);
	assert_int_equal(sigaction(SIGUSR1, &act, NULL), 0);
	raise(SIGUSR1);
	assert_int_equal(sigaltstack(&none, NULL), 0);
	assert_same();
	for (size_t i = 0; i + 1 < seen.n; i++) {
		signals += seen.frames[i].signal;
		assert_int_equal(seen.frames[i + 1].exact, seen.frames[i].signal);
	}
	assert_int_equal(signals, 1);
	assert_int_equal(seen.end, STACK_BOTTOM);
}

static void of_a_signal(void **state)
{
	in_a_handler(0);
}

static void of_a_signal_with_its_own_stack(void **state)
{
	in_a_handler(SA_ONSTACK);
}

/* Of a copied piece: as far as it goes, and no further. */
static void of_a_copied_piece(void **state)
{
	static struct stack_frame frames[ROOM];
	static char bytes[4096];
	struct stack_source nothing = self, source;
	struct stack_copy copy;
	struct stack_walker *w;
	struct stack_regs regs;
	enum stack_end end;
	ucontext_t u;
	size_t n;

	getcontext(&u);
	regs_from(&u, &regs);
	copy = (struct stack_copy){
		regs.value[ARCH_DWARF_SP], bytes, sizeof bytes, &nothing};
	memcpy(bytes, (void *)(uintptr_t)copy.at, sizeof bytes);
	nothing.read = NULL;
	source = stack_copy_source(&copy);
	assert_int_equal(stack_walker_create(&source, &w), 0);
	n = stack_walk(w, &regs, frames, ROOM, &end);
	look();
	assert_true(n >= 3);
	for (size_t i = 1; i < n; i++)
		assert_int_equal(frames[i].pc, (uintptr_t)seen.backtrace[i + 1]);
	copy.len = 16;
	n = stack_walk(w, &regs, frames, ROOM, &end);
	assert_int_equal(n, 1);
	assert_int_equal(end, STACK_CUT);
	stack_walker_destroy(w);
}

/* Without any rules: frame pointers and guesses, and never a loop. */
static void of_code_that_nobody_describes(void **state)
{
	blind = 1;
	deep(5);
	blind = 0;
	assert_true(seen.n >= 1 && seen.n < ROOM);
	for (size_t i = 1; i < seen.n; i++)
		assert_int_not_equal(seen.frames[i].via, STACK_CFI);
}

/* ------------------------------------------------------------------- loops */

static uint64_t hall[512];

static ssize_t read_hall(void *arg, dtproc_addr at, void *buf, size_t len)
{
	if (at >= sizeof hall)
		return 0;
	len = len < sizeof hall - at ? len : sizeof hall - at;
	memcpy(buf, (char *)hall + at, len);
	return (ssize_t)len;
}

static int code_hall(void *arg, dtproc_addr at, struct stack_code *out)
{
	return 1;
}

/* Frame pointers that lead in a circle. */
static void a_circle_ends(void **state)
{
	const struct stack_source source = {NULL, read_hall, code_hall};
	struct stack_regs regs = {.known = UINT32_MAX};
	struct stack_frame frames[ROOM];
	struct stack_walker *w;
	enum stack_end end;

	memset(hall, 0xe8, sizeof hall); /* whatever is an address follows a call */
	for (int i = 0; i < 512; i += 2) {
		hall[i] = 64;
		hall[i + 1] = 0x100;
	}
	regs.value[ARCH_DWARF_FP] = 64;
	regs.value[ARCH_DWARF_SP] = 32;
	regs.value[ARCH_DWARF_PC] = 0x80;
	assert_int_equal(stack_walker_create(&source, &w), 0);
	assert_true(stack_walk(w, &regs, frames, ROOM, &end) <= ROOM);
	stack_walker_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_the_compiler_sees_it),
		cmocka_unit_test(no_more_than_asked_for),
		cmocka_unit_test(of_a_thread),
		cmocka_unit_test(called_back_by_libc),
		cmocka_unit_test(of_a_signal),
		cmocka_unit_test(of_a_signal_with_its_own_stack),
		cmocka_unit_test(of_a_copied_piece),
		cmocka_unit_test(of_code_that_nobody_describes),
		cmocka_unit_test(a_circle_ends),
	};

	return cmocka_run_group_tests(tests, read_maps, drop_maps);
}
