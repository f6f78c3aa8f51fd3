/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile KIND CALLS: programs that make a tracer's life hard with signals and stacks,
 * each of which must not notice one (rules D3, D6, D7).
 *   blocked   blocks every signal, SIGTRAP too
 *   owntrap   has a SIGTRAP handler and breakpoint instructions of its own
 *   ignored   ignores SIGTRAP, since before it is held
 *   both      a SIGTRAP handler since then, and a thread that blocks the signal
 *   raised    sends itself SIGTRAP in every way, and is sent some by a thread
 *   altstack  hits in a signal handler on an alternate stack
 *   tiny      hits on coroutine stacks of 4 KiB, with little left
 *   timer     a SIGALRM timer as fast as it goes; its handler looks at the PC
 *   jump      leaves its handler by siglongjmp
 *   fault     calls what faults at its first instruction, and mends that
 */
#include "page.h"
#include "target.h"
#include "known.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

static uint64_t wanted;
static volatile uint64_t traps, raised, queued;

static void handle(int signo, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags};

	sigemptyset(&sa.sa_mask);
	if (sigaction(signo, &sa, NULL))
		exit(98);
}

static int more(uint64_t n)
{
	return wanted ? n < wanted : !page->quit;
}

/* One call; `n` counts them. */
static void hit(uint64_t *n)
{
	if (target_call(*n, 5))
		page_bad("call %llu is wrong", (unsigned long long)*n);
	page->slot[0] = ++*n;
}

/* -------------------------------------------------------------- blocked, ignored */

static void blocked(void)
{
	sigset_t all, now;
	struct sigaction sa;
	uint64_t n = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	while (more(n)) {
		hit(&n);
		pthread_sigmask(SIG_SETMASK, NULL, &now);
		if (!sigismember(&now, SIGTRAP) || !sigismember(&now, SIGUSR1))
			page_bad("after call %llu the mask is another",
				(unsigned long long)n);
	}
	if (sigaction(SIGTRAP, NULL, &sa) || sa.sa_handler != SIG_DFL)
		page_bad("SIGTRAP has a handler");
	page->calls = n;
}

static void ignored(void)
{
	struct sigaction sa;
	uint64_t n = 0;

	signal(SIGTRAP, SIG_IGN);
	page_ready();
	while (more(n)) {
		hit(&n);
		raise(SIGTRAP); /* ignored, as it would be */
	}
	if (sigaction(SIGTRAP, NULL, &sa) || sa.sa_handler != SIG_IGN)
		page_bad("SIGTRAP is not ignored any more");
	page->calls = n;
}

/* -------------------------------------------------------------------- own traps */

extern const char own_trap_end[];

static void on_trap(int signo, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;

	(void)signo;
	if (info->si_code != SI_KERNEL && info->si_code != TRAP_BRKPT)
		page_bad("trap with code %d", info->si_code);
	if (uc->uc_mcontext.gregs[REG_RIP] != (greg_t)(uintptr_t)own_trap_end)
		page_bad("trap at %#llx, not %p",
			(unsigned long long)uc->uc_mcontext.gregs[REG_RIP],
			(const void *)own_trap_end);
	traps++;
}

__attribute__((noinline)) static void own_trap(void)
{
	__asm__ volatile("int3\n\t.globl own_trap_end\nown_trap_end:" ::: "memory");
}

static void owntrap(void)
{
	uint64_t n = 0;

	handle(SIGTRAP, on_trap, 0);
	while (more(n)) {
		hit(&n);
		own_trap();
		if (traps != n)
			page_bad("%llu traps after %llu", (unsigned long long)traps,
				(unsigned long long)n);
	}
	page->calls = n;
}

/* A handler for SIGTRAP, and a thread that blocks it: both must stay. */
static void *blocking_thread(void *arg)
{
	sigset_t all;
	uint64_t n = 0;

	(void)arg;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	while (more(n))
		hit(&n);
	atomic_fetch_add(&page->calls, n);
	return NULL;
}

static void both(void)
{
	struct sigaction sa;
	pthread_t thread;

	handle(SIGTRAP, on_trap, 0);
	page_ready();
	if (pthread_create(&thread, NULL, blocking_thread, NULL))
		exit(97);
	pthread_join(thread, NULL);
	if (sigaction(SIGTRAP, NULL, &sa) || sa.sa_sigaction != on_trap)
		page_bad("the program's SIGTRAP handler is gone");
	else
		own_trap();
}

/* ----------------------------------------------------------------------- raised */

static void on_raised(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	known_check(context);
	if (info->si_pid != getpid())
		page_bad("SIGTRAP from %d", info->si_pid);
	if (info->si_code == SI_TKILL || info->si_code == SI_USER)
		raised++;
	else if (info->si_code == SI_QUEUE && info->si_value.sival_int == (int)queued + 1)
		queued++;
	else
		page_bad("SIGTRAP code %d value %d, not %llu", info->si_code,
			info->si_value.sival_int, (unsigned long long)queued + 1);
}

static void raise_all(void)
{
	uint64_t n = 0, round;

	handle(SIGTRAP, on_raised, 0);
	while (more(n)) {
		hit(&n);
		round = n;
		raise(SIGTRAP);
		kill(getpid(), SIGTRAP);
		sigqueue(getpid(), SIGTRAP, (union sigval){.sival_int = (int)round});
		if (raised != round * 2 || queued != round)
			page_bad("round %llu: %llu raised, %llu queued",
				(unsigned long long)round, (unsigned long long)raised,
				(unsigned long long)queued);
	}
	page->calls = n;
	page->signals = raised + queued;
}

/* ----------------------------------------------------------------------- stacks */

static char alternate[64 * 1024], tiny_stack[2][4096] __attribute__((aligned(4096)));
static uint64_t in_handler;

static void on_alternate(int signo, siginfo_t *info, void *context)
{
	char here;

	(void)signo;
	(void)info;
	known_check(context);
	if (&here < alternate || &here >= alternate + sizeof alternate)
		page_bad("not on the alternate stack");
	hit(&in_handler);
}

static void altstack(void)
{
	stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate}, now;

	if (sigaltstack(&ss, NULL))
		exit(97);
	handle(SIGUSR1, on_alternate, SA_ONSTACK);
	while (more(in_handler))
		raise(SIGUSR1);
	if (sigaltstack(NULL, &now) || now.ss_sp != alternate || now.ss_flags)
		page_bad("the alternate stack is another");
	page->calls = in_handler;
}

static ucontext_t coroutines[3];
static uint64_t coroutine_hits;

static void coroutine(void)
{
	for (int me = 1;; me = 3 - me) {
		hit(&coroutine_hits);
		swapcontext(&coroutines[1], &coroutines[0]);
	}
}

/* The lower pages are canaries: a push too deep shows. */
static void tiny(void)
{
	memset(tiny_stack[0], 0x5a, sizeof tiny_stack[0]);
	getcontext(&coroutines[1]);
	coroutines[1].uc_stack.ss_sp = tiny_stack[1];
	coroutines[1].uc_stack.ss_size = sizeof tiny_stack[1];
	coroutines[1].uc_link = &coroutines[0];
	makecontext(&coroutines[1], coroutine, 0);
	while (more(coroutine_hits))
		swapcontext(&coroutines[0], &coroutines[1]);
	for (size_t i = 0; i < sizeof tiny_stack[0]; i++)
		if (tiny_stack[0][i] != 0x5a)
			page_bad("byte %zu below the stack has changed", i);
	page->calls = coroutine_hits;
}

/* ------------------------------------------------------------------------ timer */

static void on_alarm(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)info;
	known_check(context);
	atomic_fetch_add(&page->signals, 1);
}

static void timer(void)
{
	struct itimerval every = {{0, 200}, {0, 200}}, off = {{0, 0}, {0, 0}};
	uint64_t n = 0;

	handle(SIGALRM, on_alarm, SA_RESTART);
	setitimer(ITIMER_REAL, &every, NULL);
	while (more(n))
		hit(&n);
	setitimer(ITIMER_REAL, &off, NULL);
	page->calls = n;
}

static sigjmp_buf back;

static void on_jump(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)info;
	known_check(context);
	page->signals++;
	siglongjmp(back, 1);
}

/* A slot that is left in the middle must not be taken for one still in use. */
static void jump(void)
{
	struct itimerval soon = {{0, 0}, {0, 150}};
	volatile uint64_t n = 0;

	handle(SIGALRM, on_jump, 0);
	while (more(n)) {
		if (sigsetjmp(back, 1) == 0) {
			setitimer(ITIMER_REAL, &soon, NULL);
			for (;;)
				if (target_call(n, 5))
					page_bad("call %llu is wrong",
						(unsigned long long)n);
		}
		page->slot[0] = ++n;
	}
}

/* ------------------------------------------------------------------------ fault */

/* The first instruction faults, and is made again when the handler has mended that. */
uint64_t fault_target(const uint64_t *from);
__asm__(".text; .p2align 4; .globl fault_target; .type fault_target, @function\n"
	"fault_target: mov (%rdi), %rax; ret\n.size fault_target, .-fault_target");

static uint64_t *absent;

static void on_fault(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	known_check(context);
	if (info->si_addr != absent)
		page_bad("a fault at %p", info->si_addr);
	mprotect(absent, 4096, PROT_READ);
	page->signals++;
}

static void fault(void)
{
	uint64_t n = 0;

	absent = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	handle(SIGSEGV, on_fault, 0);
	for (; more(n); page->slot[0] = ++n) {
		mprotect(absent, 4096, PROT_NONE);
		if (fault_target(absent))
			page_bad("call %llu is wrong", (unsigned long long)n);
	}
	page->calls = n;
	if (page->signals != n)
		page_bad("%llu faults", (unsigned long long)page->signals);
}

static const struct {
	const char *name;
	void (*run)(void);
	int late; /* says itself when it is ready */
} kinds[] = {{"blocked", blocked, 0}, {"owntrap", owntrap, 0}, {"ignored", ignored, 1},
	{"both", both, 1}, {"raised", raise_all, 0}, {"altstack", altstack, 0},
	{"tiny", tiny, 0}, {"timer", timer, 0}, {"jump", jump, 0}, {"fault", fault, 0}};

int main(int argc, char **argv)
{
	wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
	page_open();
	known_init();
	for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i].name, argv[1])) {
			if (!kinds[i].late)
				page_ready();
			kinds[i].run();
			return page_end("hostile");
		}
	return 99;
}
