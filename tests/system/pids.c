/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PIDs are used again: a handle never crosses to a successor (rules A7, H4, H5).
 *
 * Each case runs in a PID namespace of its own, where this test may choose the PID of a
 * child (clone3 with set_tid) and where pid_max is small, so that numbers come back
 * within milliseconds.  Victims are forks of this very program: the successor of one has
 * its name, program and addresses, and differs in `whoami` alone.  Each watches its own
 * text, which is to hold no trap but while it is held itself.
 */
#include "lib.h"

#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CHOSEN 299 /* below pid_max, above what a namespace begins with */

static struct dtproc *dt;
static volatile unsigned whoami;

/* What victims and test share. */
static struct shared {
	_Atomic unsigned bad, killed, born;
	_Atomic int quit;
} * shared;

/* Called by victims all the time, and never. */
long called(long x);
long uncalled(long x);
__asm__(".text; .p2align 12\n"
	".globl called; .type called, @function\n"
	"called: push %rbp; mov %rsp, %rbp; lea (%rdi,%rdi), %rax; pop %rbp; ret\n"
	".size called, .-called; .p2align 4\n"
	".globl uncalled; .type uncalled, @function\n"
	"uncalled: push %rbp; mov %rsp, %rbp; pop %rbp; ret; .size uncalled, .-uncalled\n"
	".p2align 12");

/* ------------------------------------------------------------------ namespaces */

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

/* Becomes root of a user namespace, as an ordinary user must. */
static bool become_root(void)
{
	char map[32];

	snprintf(map, sizeof map, "0 %u 1", (unsigned)getuid());
	return unshare(CLONE_NEWUSER) == 0 &&
	       write_text("/proc/self/setgroups", "deny") &&
	       write_text("/proc/self/uid_map", map);
}

/* PID 1 of the namespace: runs `fn` in a child and reaps whatever ends. */
static int be_init(void (*fn)(void))
{
	int status, result = 1;
	pid_t pid, worker;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (mount("proc", "/proc", "proc", 0, NULL))
		return 2;
	write_text("/proc/sys/kernel/pid_max", "400");
	worker = fork();
	if (worker == 0) {
		fn();
		t_leave();
	}
	while ((pid = wait(&status)) > 0)
		if (pid == worker) {
			result = status != 0;
			break;
		}
	return result;
}

static void in_namespace(void (*fn)(void))
{
	int status;
	pid_t pid;

	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if ((getuid() != 0 && !become_root()) || unshare(CLONE_NEWPID | CLONE_NEWNS)) {
		t_note("no PID namespace here: %s", strerror(errno));
		return;
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(be_init(fn));
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		t_note("no /proc for a PID namespace here");
	else
		CHECK(status == 0, "in the namespace: %#x", status);
}

/* --------------------------------------------------------------------- victims */

/* Computes and watches its own text; `trap`: has a trap of its own in `uncalled`. */
__attribute__((noreturn)) static void be_victim(unsigned who, bool trap)
{
	volatile unsigned char *text = (unsigned char *)(uintptr_t)uncalled;

	whoami = who;
	syscall(SYS_close_range, 3, ~0u, 0);
	if (trap) {
		mprotect((void *)((uintptr_t)text & ~4095ul), 4096,
			PROT_READ | PROT_WRITE | PROT_EXEC);
		*text = 0xcc;
	}
	shared->born++;
	for (long i = 0; !shared->quit; i++) {
		shared->bad += called(i) != 2 * i || whoami != who;
		shared->bad += trap && *text != 0xcc;
		syscall(SYS_sched_yield);
	}
	_exit(0);
}

/* A child with this PID, as soon as it is free; 0: any PID. */
static pid_t born(pid_t pid, unsigned who, bool trap)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	long child = -1;

	if (pid) {
		args.set_tid = (uintptr_t)&pid;
		args.set_tid_size = 1;
	}
	if (!WITHIN(3000, (child = syscall(SYS_clone3, &args, sizeof args)) >= 0 ||
				  errno != EEXIST))
		NEED(0, "PID %d is not free", pid);
	NEED(child >= 0, "clone3: %s", strerror(errno));
	if (child == 0)
		be_victim(who, trap);
	return (pid_t)child;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The process as it should be when nobody holds it. */
static void check_own(pid_t pid, const char *when)
{
	CHECK(proc_alive(pid), "%s: the successor is dead", when);
	CHECK(proc_status(pid, "TracerPid") == 0, "%s: traced by %ld", when,
		proc_status(pid, "TracerPid"));
	CHECK(proc_threads_in(pid, "tT") == 0, "%s: stopped", when);
	CHECK(proc_text_differs(pid) == 0, "%s: its text differs", when);
	CHECK(shared->bad == 0, "%s: %u wrong", when, shared->bad);
}

static unsigned who_behind(struct dtproc_proc *p)
{
	unsigned who = 0;

	if (dtproc_proc_read(p, (uintptr_t)&whoami, &who, sizeof who) !=
		(ssize_t)sizeof who)
		return 0;
	return who;
}

static void nothing(struct dtproc_proc *p, struct dtproc_bkpt *b, pid_t tid, void *arg)
{
}

/* ----------------------------------------------------------------------- cases */

/* A7: what idles in the cache is not handed out for the next owner of its PID. */
static void cached(void)
{
	struct dtproc_proc *p, *held;

	OK(dtproc_open(NULL, &dt));
	for (unsigned i = 1; i <= (unsigned)t_times(100, 2000); i++) {
		pid_t pid = born(CHOSEN, i, false);

		OK(dtproc_proc_grab(dt, pid, DTPROC_GRAB_RDONLY, &held));
		NEED(WITHIN(1000, who_behind(held) == i), "not %u", i);
		OK(dtproc_proc_grab(dt, pid, DTPROC_GRAB_RDONLY, &p));
		CHECK(p == held, "one process, two handles");
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		end(pid);
		pid = born(CHOSEN, 100000 + i, false);
		CHECK(who_behind(held) == 0, "the old handle reads of %u",
			who_behind(held));
		OK(dtproc_proc_grab(dt, pid, DTPROC_GRAB_RDONLY, &p));
		NEED(WITHIN(1000, who_behind(p) == 100000 + i), "%u, not %u",
			who_behind(p), 100000 + i);
		CHECK(p != held && who_behind(held) == 0, "the old handle serves");
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		if (i % 2)
			dtproc_proc_release(held, DTPROC_RELEASE_DEFAULT);
		end(pid);
	}
	dtproc_close(dt);
}

/* What can be asked of a handle whose process is gone, and its PID another's. */
static void ask_all(struct dtproc_proc *p, unsigned i)
{
	struct dtproc_bkpt *b;
	unsigned evil = 666;
	dtproc_addr at;

	CHECK(who_behind(p) == 0, "it reads of %u", who_behind(p));
	CHECK(dtproc_proc_write(p, (uintptr_t)&whoami, &evil, sizeof evil) < 0,
		"a write to the dead");
	CHECK(dtproc_bkpt_add(p, (uintptr_t)uncalled, nothing, NULL, &b) < 0,
		"a breakpoint in the dead");
	CHECK(dtproc_proc_stop(p) < 0, "stopped, though dead");
	CHECK(dtproc_proc_continue(p) <= 0, "continued");
	if (i % 8 == 0)
		CHECK(dtproc_proc_symbol(p, "a.out", "called", &at, NULL) < 0,
			"a symbol of the dead");
}

/* A7, A9, A10: a held victim dies; every way to release it leaves the next one alone. */
static void held(void)
{
	struct dtproc_proc *p, *next;
	struct dtproc_bkpt *b;

	for (unsigned i = 1; i <= (unsigned)t_times(40, 500); i++) {
		pid_t pid = born(CHOSEN, i, false);

		OK(dtproc_open(NULL, &dt));
		OK(dtproc_proc_grab(dt, pid, i % 3 ? 0 : DTPROC_GRAB_UNMONITORED, &p));
		if (i % 3)
			OK(dtproc_bkpt_add(p, (uintptr_t)uncalled, nothing, NULL, &b));
		if (i % 2)
			OK(dtproc_proc_continue(p));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		pid = born(CHOSEN, 100000 + i, i % 5 == 0);
		if (i % 7)
			ask_all(p, i);
		if (i % 4 == 0) {
			OK(dtproc_proc_grab(dt, pid, 0, &next));
			CHECK(next != p, "the dead one's handle");
			dtproc_proc_release(next, DTPROC_RELEASE_RUN);
		}
		dtproc_proc_release(p, (enum dtproc_release_mode)(i % 4));
		dtproc_close(dt);
		if (i % 5)
			check_own(pid, "released");
		CHECK(proc_alive(pid) && shared->bad == 0, "%u wrong", shared->bad);
		end(pid);
	}
}

/* The keeper and its victim die together; `p` is locked, so nobody reacts yet. */
static void kill_both(pid_t pid)
{
	long keeper = proc_status(pid, "TracerPid");

	NEED(keeper > 0, "not traced");
	kill(pid, SIGSTOP); /* it must not run into a trap that nobody holds */
	kill((pid_t)keeper, SIGKILL);
	NEED(WITHIN(2000, proc_status(pid, "TracerPid") == 0), "the keeper lives");
	end(pid);
}

/* H4: the repair after a killed keeper is not done to the victim's successor. */
static void repaired(void)
{
	struct dtproc_proc_status st;
	struct dtproc_proc *p;
	struct dtproc_bkpt *b;

	OK(dtproc_open(NULL, &dt));
	for (unsigned i = 1; i <= (unsigned)t_times(30, 1000); i++) {
		pid_t pid = born(CHOSEN, i, false);

		OK(dtproc_proc_grab(dt, pid, 0, &p));
		OK(dtproc_bkpt_add(p, (uintptr_t)uncalled, nothing, NULL, &b));
		OK(dtproc_proc_continue(p));
		OK(dtproc_proc_lock(p));
		kill_both(pid);
		unsigned before = shared->born;
		pid = born(CHOSEN, 100000 + i, true);
		NEED(WITHIN(1000, shared->born != before), "not born");
		OK(dtproc_proc_unlock(p));
		OK(dtproc_proc_wait(p, 5000));
		dtproc_proc_status(p, &st);
		CHECK(st.run == DTPROC_LOST || st.run == DTPROC_KILLED, "state %d",
			st.run);
		dtproc_proc_release(
			p, i % 2 ? DTPROC_RELEASE_KILL : DTPROC_RELEASE_STOPPED);
		CHECK(proc_alive(pid), "the successor is dead");
		CHECK(proc_threads_in(pid, "tT") == 0, "the successor is stopped");
		CHECK(shared->bad == 0, "%u wrong: its own trap is gone", shared->bad);
		end(pid);
	}
	dtproc_close(dt);
}

/* A10: kill at the end of a created victim is not for the next owner of its PID. */
static void created(void)
{
	struct dtproc_proc *p;
	pid_t pid = 0, first;

	for (unsigned i = 1; i <= (unsigned)t_times(30, 1000); i++) {
		OK(dtproc_open(NULL, &dt));
		OK(dtproc_proc_create_command(dt, "/bin/sleep 60", &p));
		pid = first = dtproc_proc_pid(p);
		if (i % 2)
			OK(dtproc_proc_continue(p));
		if (i % 3)
			OK(dtproc_proc_lock(p));
		if (i % 3 == 1) /* its end goes to nobody: init reaps it */
			kill((pid_t)proc_status(pid, "TracerPid"), SIGKILL);
		kill(pid, SIGKILL);
		pid = born(pid, i, false);
		CHECK(pid == first, "%d, not %d", pid, first);
		if (i % 3)
			OK(dtproc_proc_unlock(p));
		dtproc_proc_release(
			p, i % 5 ? DTPROC_RELEASE_DEFAULT : DTPROC_RELEASE_KILL);
		dtproc_close(dt);
		check_own(pid, "behind a created one");
		end(pid);
	}
}

/* ------------------------------------------------------------- numbers in a hurry */

/* Processes and threads that live for microseconds, none of which may be killed. */
static void *short_thread(void *arg)
{
	return arg;
}

__attribute__((noreturn)) static void be_bystander(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	syscall(SYS_close_range, 3, ~0u, 0);
	while (!shared->quit) {
		pthread_t t;
		int status = 0;
		pid_t pid = fork();

		if (pid == 0) {
			shared->bad += called(21) != 42;
			_exit(7);
		}
		if (pid > 0 && waitpid(pid, &status, 0) == pid && status != 7 << 8)
			shared->killed++;
		if (pthread_create(&t, NULL, short_thread, NULL) == 0)
			pthread_join(t, NULL);
	}
	_exit(0);
}

static pid_t bystander(void)
{
	pid_t pid = fork();

	if (pid == 0)
		be_bystander();
	return pid;
}

/* A victim whose threads come and go, so that their TIDs are other processes' soon. */
static pid_t busy_victim(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	syscall(SYS_close_range, 3, ~0u, 0);
	for (long i = 0; !shared->quit; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, short_thread, NULL) == 0)
			pthread_join(t, NULL);
		shared->bad += called(i) != 2 * i;
		shared->born++;
	}
	_exit(0);
}

/* A TID used again, in the victim and by others, while the victim is grabbed. */
static void threads(void)
{
	pid_t by[2] = {bystander(), bystander()}, pid = busy_victim();
	unsigned grabs = 0, failed = 0;
	struct dtproc_proc *p;
	struct dtproc_bkpt *b;

	OK(dtproc_open(NULL, &dt));
	for (int i = 0; i < t_times(40, 3000); i++) {
		int rc = dtproc_proc_grab(dt, pid, 0, &p);

		if (rc) { /* a machine under load: seized slower than they are born */
			CHECK(rc == DTPROC_ETIMEOUT, "%s", dtproc_error_text());
			failed++;
			continue;
		}
		grabs++;
		OK(dtproc_bkpt_add(p, (uintptr_t)called, nothing, NULL, &b));
		OK(dtproc_proc_continue(p));
		t_pause(3000);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	}
	dtproc_close(dt);
	CHECK(grabs > failed, "%u grabs, %u failed", grabs, failed);
	CHECK(proc_alive(pid) && proc_text_differs(pid) == 0, "the victim");
	unsigned before = shared->born;
	CHECK(WITHIN(2000, shared->born != before), "it does not go on");
	CHECK(shared->bad == 0 && shared->killed == 0, "%u wrong, %u ended otherwise",
		shared->bad, shared->killed);
	shared->quit = 1;
	for (int i = 0; i < 2; i++)
		CHECK(wait_status(by[i], 2000) == 0, "bystander");
	CHECK(wait_status(pid, 2000) == 0, "victim");
}

/* One PID, whose owner is killed and born again all the time. */
static void *rebirths(void *arg)
{
	pid_t pid = 0;
	unsigned who = 0;

	while (!shared->quit) {
		pid = born(CHOSEN, ++who, false);
		t_pause(4000);
		end(pid);
	}
	return NULL;
}

/* Grabs by PID while it changes hands: what is held is one process, all the time. */
static void grabbed(void)
{
	unsigned held_ones = 0, refused = 0;
	struct dtproc_proc *p;
	pthread_t t;

	OK(dtproc_open(NULL, &dt));
	pthread_create(&t, NULL, rebirths, NULL);
	for (int i = 0; i < t_times(300, 6000); i++) {
		int rc = dtproc_proc_grab(dt, CHOSEN, i % 3 ? 0 : DTPROC_GRAB_RDONLY, &p);
		unsigned first, again;

		if (rc) {
			CHECK(rc == DTPROC_ENOPROC || rc == DTPROC_EZOMBIE ||
					rc == DTPROC_EKILLED || rc == DTPROC_EEXITED ||
					rc == DTPROC_EIMAGE,
				"%d: %s", rc, dtproc_error_text());
			refused++;
			t_pause(2000);
			continue;
		}
		held_ones++;
		first = who_behind(p);
		if (i % 2 && i % 3 && dtproc_proc_continue(p))
			CHECK(who_behind(p) == 0, "%s", dtproc_error_text());
		t_pause(2000);
		again = who_behind(p);
		CHECK(!first || !again || first == again, "%u became %u", first, again);
		dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
	}
	shared->quit = 1;
	pthread_join(t, NULL);
	dtproc_close(dt);
	CHECK(held_ones > 0 && shared->bad == 0, "%u held, %u wrong", held_ones,
		shared->bad);
	t_note("%u held, %u refused, %u born", held_ones, refused, shared->born);
	check_no_keeper("grabbed");
}

/* Programs that cannot be executed: their stub's PID may be a bystander's by then. */
static void not_executed(void)
{
	pid_t by[2] = {bystander(), bystander()};
	struct dtproc_proc *p;

	OK(dtproc_open(NULL, &dt));
	for (int i = 0; i < t_times(60, 2000); i++) {
		int rc = dtproc_proc_create_command(
			dt, i % 2 ? "/proc/self/mounts" : "/bin/true", &p);

		if (rc == 0) {
			if (i % 4)
				OK(dtproc_proc_continue(p));
			dtproc_proc_release(p, DTPROC_RELEASE_DEFAULT);
		}
	}
	dtproc_close(dt);
	shared->quit = 1;
	for (int i = 0; i < 2; i++)
		CHECK(wait_status(by[i], 2000) == 0, "bystander");
	CHECK(shared->killed == 0, "%u bystanders were killed", shared->killed);
}

/* dtproc -p: its count is of the process that had the PID when it began. */
static void command(void)
{
	struct cmd c;

	for (unsigned i = 1; i <= (unsigned)t_times(3, 100); i++) {
		pid_t pid = born(CHOSEN, i, false);

		NEED(cmd_trace(&c, pid, "pid$target:a.out:called:entry { @ = count(); }"),
			"no trace");
		end(pid);
		pid = born(CHOSEN, 100000 + i, false);
		CHECK(cmd_wait(&c, 5000) == 0, "%s", cmd_text(c.err));
		check_own(pid, "dtproc -p");
		cmd_forget(&c);
		end(pid);
	}
}

#define IN_NAMESPACE(name)                                                               \
	static void name##_inside(void)                                                  \
	{                                                                                \
		in_namespace(name);                                                      \
	}
IN_NAMESPACE(cached)
IN_NAMESPACE(held)
IN_NAMESPACE(repaired)
IN_NAMESPACE(created)
IN_NAMESPACE(threads)
IN_NAMESPACE(grabbed)
IN_NAMESPACE(not_executed)
IN_NAMESPACE(command)

static const struct t_case cases[] = {
	{"cached", cached_inside, 60, 600},
	{"held", held_inside, 60, 600},
	{"repaired", repaired_inside, 60, 600},
	{"created", created_inside, 60, 600},
	{"threads", threads_inside, 60, 900},
	{"grabbed", grabbed_inside, 60, 900},
	{"not-executed", not_executed_inside, 60, 600},
	{"command", command_inside, 60, 600},
};

T_MAIN(cases)
