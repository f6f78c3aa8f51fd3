/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keeper by itself, over the wire: what it does with a victim, without handles.
 * Victims are forks of this test that call target() in some threads.
 */
#include "unit.h"

#include <bpf/bpf.h>
#include <runtime/runtime.h>
#include <victim/victim.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---------------------------------------------------------------------- victims */

struct page {
	volatile int quit, ready;
	volatile uint64_t calls[16], bad;
};

static struct page *page;

long target(long x);
__asm__(".text; .p2align 4; .globl target; .type target, @function\n"
	"target: push %rbp; mov %rsp, %rbp; lea (%rdi,%rdi), %rax; pop %rbp; ret\n"
	".size target, .-target");

static void *hammer(void *arg)
{
	long me = (long)arg;

	__atomic_fetch_add(&page->ready, 1, __ATOMIC_SEQ_CST);
	for (long i = 0; !page->quit; i++) {
		if (target(i) != 2 * i)
			page->bad++;
		page->calls[me]++;
	}
	return NULL;
}

static pid_t spawn(int threads)
{
	memset((void *)page, 0, sizeof *page);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pthread_t t[16];
		for (long i = 1; i < threads; i++)
			pthread_create(&t[i], NULL, hammer, (void *)i);
		hammer(NULL);
		for (long i = 1; i < threads; i++)
			pthread_join(t[i], NULL);
		_exit(page->bad ? 1 : 42);
	}
	while (page->ready < threads)
		usleep(100);
	return pid;
}

static void finish(pid_t pid)
{
	int status = 0;

	page->quit = 1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static uint64_t calls(void)
{
	uint64_t n = 0;

	for (int i = 0; i < 16; i++)
		n += page->calls[i];
	return n;
}

/* Are there calls soon? */
static int moves(uint64_t before)
{
	for (int i = 0; i < 10000 && calls() <= before; i++)
		usleep(1000);
	return calls() > before;
}

static uint8_t text_byte(pid_t pid)
{
	char path[64];
	uint8_t byte = 0;

	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	int fd = open(path, O_RDONLY);
	assert_true(pread(fd, &byte, 1, (off_t)(uintptr_t)target) == 1);
	close(fd);
	return byte;
}

/* --------------------------------------------------------------------- the wire */

static uint64_t call_with(struct victim_ctl *c, struct wire_request r, int pass, int want)
{
	struct wire_reply rep = {0};
	int fd = -1, code = victim_ctl_call(c, &r, &pass, pass >= 0, &rep, &fd);

	if (code != want)
		print_message("%s: %s\n", wire_op_name(r.op), err_text());
	assert_int_equal(code, want);
	if (fd >= 0)
		close(fd);
	return rep.value;
}

static uint64_t call(struct victim_ctl *c, struct wire_request r, int want)
{
	return call_with(c, r, -1, want);
}

/* WIRE_START of a process that runs. */
static void start(struct victim_ctl *c, pid_t pid, uint32_t flags)
{
	struct wire_request r = {
		.op = WIRE_START, .pid = pid, .flags = flags, .arg = 2000};
	int pidfd;

	assert_int_equal(victim_pidfd_open(pid, &pidfd), 0);
	call_with(c, r, pidfd, 0);
	close(pidfd);
}

static uint64_t simple(struct victim_ctl *c, enum wire_op op)
{
	return call(c, (struct wire_request){.op = op}, 0);
}

static void grab(struct victim_ctl *c, pid_t pid)
{
	assert_int_equal(victim_ctl_open(c, NULL), 0);
	start(c, pid, 0);
}

/* One program that does nothing: the ledger counts the hits. */
static void load_program(struct victim_ctl *c)
{
	struct {
		struct wire_program head;
		struct bpf_blob blob;
		struct bpf_code code[2];
	} p = {.blob = {.magic = BPF_BLOB_MAGIC,
		       .version = BPF_BLOB_VERSION,
		       .bytes = sizeof p.blob + sizeof p.code,
		       .codes = 2},
		.code = {{.op = 0xb7}, {.op = 0x95}}};

	p.head.bytes = p.blob.bytes;
	assert_int_equal(victim_ctl_put(c, &p, sizeof p), 0);
	call(c, (struct wire_request){.op = WIRE_PROGRAMS, .count = sizeof p}, 0);
}

static uint64_t arm(struct victim_ctl *c, enum wire_site_kind kind, enum wire_op op)
{
	struct wire_site s = {.addr = (uintptr_t)target, .user = 7, .kind = kind};

	assert_int_equal(victim_ctl_put(c, &s, sizeof s), 0);
	uint64_t value = call(c, (struct wire_request){.op = op, .count = 1}, 0);
	assert_int_equal(victim_ctl_get(c, &s, sizeof s), 0);
	assert_int_equal(s.result, 0);
	return value;
}

static void detach(struct victim_ctl *c)
{
	call(c, (struct wire_request){.op = WIRE_DETACH, .arg = WIRE_END_RUN}, 0);
	victim_ctl_close(c);
}

static struct wire_event next_event(struct victim_ctl *c)
{
	struct wire_event e = {0};
	struct pollfd p = {.fd = c->events, .events = POLLIN};
	int fds[WIRE_CHILD_FDS];

	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(victim_ctl_event(c, &e, fds), 1);
	for (size_t i = 0; i < WIRE_CHILD_FDS; i++)
		close(fds[i]);
	return e;
}

/* ------------------------------------------------------------------------ tests */

/* C3, C5, C6: it idles with clean text, runs on continue, and continue is harmless. */
static void test_grab_and_let_go(void **state)
{
	struct victim_ctl c;
	pid_t pid = spawn(4);

	grab(&c, pid);
	uint64_t before = calls();
	usleep(20000);
	assert_int_equal(calls(), before);
	assert_int_equal(simple(&c, WIRE_CONTINUE), 1);
	assert_int_equal(simple(&c, WIRE_CONTINUE), 0);
	assert_true(moves(before));
	detach(&c);
	finish(pid);
}

/* D1, D2, C5: hits are counted, text is clean when idle and after the release. */
static void test_hits(void **state)
{
	struct victim_ctl c;
	pid_t pid = spawn(4);

	grab(&c, pid);
	load_program(&c);
	assert_int_equal(arm(&c, WIRE_SITE_PROBE, WIRE_ARM), 1);
	assert_int_equal(text_byte(pid), 0x55);
	uint64_t before = calls();
	simple(&c, WIRE_CONTINUE);
	assert_int_equal(text_byte(pid), 0xcc);
	for (int i = 0; i < 20; i++) {
		usleep(5000);
		simple(&c, WIRE_STOP);
		assert_int_equal(text_byte(pid), 0x55);
		simple(&c, WIRE_CONTINUE);
	}
	simple(&c, WIRE_STOP);
	uint64_t hits = c.map->hits, done = calls() - before;
	/* At most one call of each thread is under way. */
	print_message("%lu hits, %lu calls, %lu pauses\n", hits, done, c.map->pauses);
	assert_true(hits > 20 && hits >= done && hits <= done + 4);
	simple(&c, WIRE_CONTINUE);
	arm(&c, WIRE_SITE_PROBE, WIRE_DISARM);
	assert_int_equal(text_byte(pid), 0x55);
	detach(&c);
	assert_int_equal(text_byte(pid), 0x55);
	finish(pid);
}

/* Is it in what the victim, a fork of this program, has of files? */
static int in_a_file(uint64_t pc)
{
	Dl_info info;

	return dladdr((void *)(uintptr_t)pc, &info) != 0;
}

/* D6: threads that hit and are stopped are shown in the program's text, in no slot. */
static void test_threads(void **state)
{
	struct wire_thread t[4];
	struct victim_ctl c;
	pid_t pid = spawn(4);
	uint64_t at_target = 0;

	(void)state;
	grab(&c, pid);
	load_program(&c);
	arm(&c, WIRE_SITE_PROBE, WIRE_ARM);
	simple(&c, WIRE_CONTINUE);
	for (int i = 0; i < 100; i++) {
		simple(&c, WIRE_THREADS);
		assert_int_equal(victim_ctl_get(&c, t, sizeof t), 0);
		for (int n = 0; n < 4; n++) {
			assert_true(t[n].stopped && in_a_file(t[n].pc));
			at_target += t[n].pc == (uintptr_t)target;
		}
	}
	print_message("%lu of 400 at the trap\n", at_target);
	assert_true(at_target > 0);
	detach(&c);
	finish(pid);
}

/* D2: an event breakpoint stops all threads until it is acknowledged. */
static void test_events(void **state)
{
	struct victim_ctl c;
	pid_t pid = spawn(3);

	(void)state;
	grab(&c, pid);
	arm(&c, WIRE_SITE_EVENT, WIRE_ARM);
	uint64_t before = calls();
	simple(&c, WIRE_CONTINUE);
	for (int i = 0; i < 50; i++) {
		struct wire_event e = next_event(&c);
		assert_int_equal(e.kind, WIRE_EV_BREAKPOINT);
		assert_int_equal(e.addr, (uintptr_t)target);
		uint64_t now = calls();
		if (i % 10 == 0)
			usleep(5000);
		assert_int_equal(calls(), now);
		assert_int_equal(victim_ctl_ack(&c, e.seq), 0);
	}
	simple(&c, WIRE_STOP);
	uint64_t done = calls() - before;
	assert_true(c.map->events >= done && c.map->events <= done + 3);
	detach(&c);
	finish(pid);
}

/* G1: stopped by others is told, and stays. */
static void test_stopped(void **state)
{
	struct victim_ctl c;
	pid_t pid = spawn(2);

	(void)state;
	grab(&c, pid);
	simple(&c, WIRE_CONTINUE);
	kill(pid, SIGSTOP);
	struct wire_event e = next_event(&c);
	assert_int_equal(e.kind, WIRE_EV_STOPPED);
	assert_int_equal(e.code, SIGSTOP);
	assert_int_equal(victim_ctl_ack(&c, e.seq), 0);
	uint64_t before = calls();
	for (int i = 0; i < 500 && (usleep(20000), calls() != before); i++)
		before = calls();
	assert_int_equal(calls(), before);
	simple(&c, WIRE_STOP);
	simple(&c, WIRE_CONTINUE);
	usleep(20000);
	assert_int_equal(calls(), before);
	kill(pid, SIGCONT);
	e = next_event(&c);
	assert_int_equal(e.kind, WIRE_EV_CONTINUED);
	assert_int_equal(victim_ctl_ack(&c, e.seq), 0);
	assert_true(moves(before));
	detach(&c);
	finish(pid);
}

/* H6: the end of the victim is told. */
static void test_killed(void **state)
{
	struct victim_ctl c;
	pid_t pid = spawn(3);

	(void)state;
	grab(&c, pid);
	load_program(&c);
	arm(&c, WIRE_SITE_PROBE, WIRE_ARM);
	simple(&c, WIRE_CONTINUE);
	usleep(3000);
	kill(pid, SIGKILL);
	struct wire_event e = next_event(&c);
	assert_int_equal(e.kind, WIRE_EV_KILLED);
	assert_int_equal(e.code, SIGKILL);
	call(&c, (struct wire_request){.op = WIRE_STOP}, DTPROC_EKILLED);
	victim_ctl_close(&c);
	waitpid(pid, NULL, 0);
}

/* H5: hang-up at any moment leaves the victim as it was. */
static void test_hangup(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct victim_ctl c;
		pid_t pid = spawn(1 + i % 4);
		grab(&c, pid);
		load_program(&c);
		arm(&c, WIRE_SITE_PROBE, WIRE_ARM);
		simple(&c, WIRE_CONTINUE);
		usleep((unsigned)(i * 300));
		victim_ctl_close(&c);
		assert_int_equal(text_byte(pid), 0x55);
		finish(pid);
	}
}

/* H5: the same victim again and again, with four threads in the middle of everything. */
static void test_hangup_often(void **state)
{
	pid_t pid = spawn(4);

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct victim_ctl c;

		grab(&c, pid);
		load_program(&c);
		arm(&c, WIRE_SITE_PROBE, WIRE_ARM);
		simple(&c, WIRE_CONTINUE);
		usleep(i % 50 * 20);
		victim_ctl_close(&c);
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
		assert_int_equal(text_byte(pid), 0x55);
	}
	finish(pid);
}

/* H4: the successor of a keeper that was killed repairs the text. */
static void test_repair(void **state)
{
	struct victim_ctl c;
	pid_t pid = spawn(1);

	(void)state;
	grab(&c, pid);
	load_program(&c);
	kill(pid, SIGSTOP); /* so that it hits nothing while nobody holds it */
	arm(&c, WIRE_SITE_PROBE, WIRE_ARM);
	simple(&c, WIRE_CONTINUE);
	struct wire_event e = next_event(&c);
	assert_int_equal(e.kind, WIRE_EV_STOPPED);
	assert_int_equal(text_byte(pid), 0xcc);
	kill(c.keeper_pid, SIGKILL);
	assert_int_equal(victim_ctl_replace(&c), 0);
	start(&c, pid, WIRE_REPAIR);
	assert_int_equal(text_byte(pid), 0x55);
	victim_ctl_close(&c);
	kill(pid, SIGCONT);
	finish(pid);
}

/* A7: the PID is another process's than the pidfd's, which has ended: it is let be. */
static void test_another_process(void **state)
{
	struct wire_request r = {.op = WIRE_START, .arg = 2000};
	struct victim_ctl c;
	pid_t dead = fork(), pid;
	int pidfd;

	(void)state;
	if (dead == 0)
		_exit(0);
	assert_int_equal(victim_pidfd_open(dead, &pidfd), 0);
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	pid = spawn(3);
	for (uint32_t flags = 0; flags <= WIRE_REPAIR; flags += WIRE_REPAIR) {
		r.pid = pid;
		r.flags = flags;
		assert_int_equal(victim_ctl_open(&c, NULL), 0);
		call_with(&c, r, pidfd, DTPROC_ENOPROC);
		victim_ctl_close(&c);
	}
	close(pidfd);
	finish(pid);
}

/* One that is no child of the keeper is no stub; and a grab wants a pidfd. */
static void test_no_stub(void **state)
{
	struct wire_request r = {.op = WIRE_START, .flags = WIRE_CREATE, .arg = 2000};
	struct victim_ctl c;

	(void)state;
	r.pid = spawn(1);
	assert_int_equal(victim_ctl_open(&c, NULL), 0);
	call(&c, r, DTPROC_EEXITED);
	victim_ctl_close(&c);
	r.flags = 0;
	assert_int_equal(victim_ctl_open(&c, NULL), 0);
	call(&c, r, DTPROC_EPROTO);
	victim_ctl_close(&c);
	finish(r.pid);
}

/* H5: a keeper that lives lets go when its wire is given up; no trap waits for nobody. */
static void test_hung_up_on(void **state)
{
	struct victim_ctl c;
	pid_t pid = spawn(2);

	(void)state;
	grab(&c, pid);
	load_program(&c);
	arm(&c, WIRE_SITE_PROBE, WIRE_ARM);
	kill(pid, SIGSTOP); /* or the guard would repair a text that was left */
	simple(&c, WIRE_CONTINUE);
	assert_int_equal(next_event(&c).kind, WIRE_EV_STOPPED);
	assert_int_equal(text_byte(pid), 0xcc);
	assert_int_equal(victim_ctl_replace(&c), 0);
	assert_int_equal(text_byte(pid), 0x55);
	start(&c, pid, WIRE_REPAIR);
	victim_ctl_close(&c);
	kill(pid, SIGCONT);
	finish(pid);
}

/* Before WIRE_START there is nobody to kill, the keeper itself least of all. */
static void test_kill_nobody(void **state)
{
	struct victim_ctl c;

	(void)state;
	assert_int_equal(victim_ctl_open(&c, NULL), 0);
	call(&c, (struct wire_request){.op = WIRE_DETACH, .arg = WIRE_END_KILL}, 0);
	simple(&c, WIRE_FINISH);
	victim_ctl_close(&c);
}

/* A segment that could shrink would be the keeper's SIGBUS; a file has no seals at all.
 */
static void test_segment_without_seals(void **state)
{
	struct wire_request r = {.op = WIRE_SEGMENT};
	struct wire_reply reply;
	struct victim_ctl c;
	FILE *file = tmpfile();
	int event = eventfd(0, EFD_CLOEXEC), none = -1;
	int fds[2][2] = {{fileno(file), event},
		{memfd_create("segment", MFD_CLOEXEC | MFD_ALLOW_SEALING), event}};

	(void)state;
	assert_int_equal(victim_ctl_open(&c, NULL), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ftruncate(fds[i][0], 1 << 20), 0);
		assert_int_equal(
			victim_ctl_call(&c, &r, fds[i], 2, &reply, &none), DTPROC_EPROTO);
		assert_non_null(strstr(err_text(), "could shrink"));
	}
	victim_ctl_close(&c);
	close(fds[1][0]);
	close(event);
	fclose(file);
}

static int make_page(void **state)
{
	(void)state;
	page = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return page == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grab_and_let_go),
		cmocka_unit_test(test_hits),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_hangup),
		cmocka_unit_test(test_hangup_often),
		cmocka_unit_test(test_repair),
		cmocka_unit_test(test_another_process),
		cmocka_unit_test(test_no_stub),
		cmocka_unit_test(test_hung_up_on),
		cmocka_unit_test(test_kill_nobody),
		cmocka_unit_test(test_segment_without_seals),
	};

	return cmocka_run_group_tests(tests, make_page, NULL);
}
