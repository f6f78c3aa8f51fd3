/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small harness for tests of the whole product.
 *
 * A test program is a list of cases.  Each runs in a process of its own with a time
 * limit; a case that hangs is killed and has failed.  CHECK() counts what is wrong and
 * goes on; NEED() ends the case.  `PROGRAM CASE...` runs some of them, DTPROC_SOAK=1
 * makes them long.
 *
 * A *victim* is one of tests/victims with its page mapped; it dies with its case.
 */
#ifndef SYSTEM_LIB_H
#define SYSTEM_LIB_H

#include <dtproc.h>
#include <victims/page.h>

#include <signal.h>
#include <stdbool.h>

struct t_case {
	const char *name;
	void (*run)(void);
	int seconds; /* limit, twice that at least; 0: 30 */
	int soak_seconds;
};

int t_main(int argc, char **argv, const struct t_case *cases, size_t n);
#define T_MAIN(cases)                                                                    \
	int main(int argc, char **argv)                                                  \
	{                                                                                \
		return t_main(argc, argv, cases, sizeof(cases) / sizeof *(cases));       \
	}

__attribute__((format(printf, 4, 5))) void t_fail(
	const char *file, int line, const char *what, const char *fmt, ...);
/* A remark that shows in the log. */
__attribute__((format(printf, 1, 2))) void t_note(const char *fmt, ...);
int t_failures(void);
/* A child that dies with us, whose failures are counted from 0. */
pid_t t_fork(void);
/* Ends the case, with its failures so far. */
__attribute__((noreturn)) void t_leave(void);

#define CHECK(cond, ...)                                                                 \
	((cond) ? (void)0 : t_fail(__FILE__, __LINE__, #cond, __VA_ARGS__))
#define NEED(cond, ...)                                                                  \
	((cond) ? (void)0 : (t_fail(__FILE__, __LINE__, #cond, __VA_ARGS__), t_leave()))
/* A call of the library that must succeed. */
#define OK(call)                                                                         \
	do {                                                                             \
		long code_ = (long)(call);                                               \
		if (code_ < 0) {                                                         \
			t_fail(__FILE__, __LINE__, #call, "%ld: %s", code_,              \
				dtproc_error_text());                                    \
			t_leave();                                                       \
		}                                                                        \
	} while (0)

/* Is this the long run?  t_times(a, b): a in the short one, b in the long one. */
bool t_soak(void);
int t_times(int check, int soak);
/*
 * How much longer things may take: 4 when this machine is idle (6 with sanitizers), since
 * others are slower and their CPUs not theirs alone; with its load more, 16 at most.
 */
unsigned t_slack(void);
/* Does cond hold before `ms` (times the slack) are over?  Looks every millisecond. */
#define WITHIN(ms, cond)                                                                 \
	({                                                                               \
		uint64_t end_ = page_clock() + (uint64_t)(ms)*1000000 * t_slack();       \
		bool holds_;                                                             \
		while (!(holds_ = (cond)) && page_clock() < end_)                        \
			page_nap(1000000);                                               \
		holds_;                                                                  \
	})
/* Random, printed at the start (DTPROC_SEED repeats it). */
unsigned t_random(unsigned below);
/* A random pause of up to `us` microseconds. */
void t_pause(unsigned us);

/* A path in the build tree.  Static, one of eight in turn. */
const char *t_built(const char *name);
/*
 * Makes the folder of a template, with keeper and hammer in it: what another user's part
 * executes must be where that user may look, wherever the build tree is.
 */
void t_open_house(char *dir);

/* ------------------------------------------------------------------- victims */

struct vic {
	pid_t pid;
	struct page *page;
	char file[64];
};

/*
 * Starts one of tests/victims ("hammer 4 0"), or of the directory that VICTIMS names; its
 * output goes to the log.
 */
void vic_start(struct vic *, const char *line);
/* The page only; the program is started by someone else, with VICTIM_PAGE set to file. */
void vic_page(struct vic *);
void vic_go(struct vic *);
/* An idle victim calls once in each thread. */
void vic_poke(struct vic *);
/* Tells it to quit, and checks that it ends by itself with nothing wrong. */
void vic_end(struct vic *);
/* Waits for its own end: its calls are done. */
void vic_wait(struct vic *, int timeout_ms);
void vic_kill(struct vic *);
/* Alive, without a tracer, running, text clean, computing on (and nothing wrong). */
void vic_check_free(struct vic *, const char *when);
/* Sum of what its threads have counted. */
uint64_t vic_progress(const struct vic *);

/* -------------------------------------------------------------------- looking */

/* A field of /proc/PID/status as a number ("TracerPid"); -1 when there is none. */
long proc_status(pid_t pid, const char *field);
bool proc_alive(pid_t pid); /* and no zombie */
/* State letter of a thread; 0: gone. */
char proc_state(pid_t tid);
/* How many threads of it are in one of these states ("tT"). */
int proc_threads_in(pid_t pid, const char *states);
/* Bytes of its text that differ from the file's; -1 when it cannot be read. */
long proc_text_differs(pid_t pid);
/* Keepers that live. */
int proc_keepers(void);  /* those of DTPROC_KEEPER */
int proc_fds(void);      /* of this process */
int proc_children(void); /* of this process, zombies too */
long proc_rss_kb(pid_t pid);
void proc_tell(pid_t pid); /* notes what its threads are doing */
/* No keeper after a second at most. */
void check_no_keeper(const char *when);

/* -------------------------------------------------------------------- clients */

/* The dtproc command running, its output in a file. */
struct cmd {
	pid_t pid;
	char out[64], err[64];
};

/* The command: of this build, or what DTPROC names. */
const char *t_dtproc(void);
void cmd_start(struct cmd *, const char *const argv[]); /* without argv[0] */
/* Waits for its end; its status as waitpid gives it, -1 at the time limit. */
int cmd_wait(struct cmd *, int timeout_ms);
/* Its standard output or error so far.  Borrowed until the next call. */
const char *cmd_text(const char *file);
/* Waits until the probes are armed: text of BEGIN, fired before victims run. */
bool cmd_wait_text(struct cmd *, const char *text, int timeout_ms);
void cmd_forget(struct cmd *); /* removes its files */

/*
 * dtproc -q -p PID -n CLAUSE, with a BEGIN clause in front; returns when probes are
 * armed and the victim runs.  False: it ended instead (the log tells why).
 */
bool cmd_trace(struct cmd *, pid_t pid, const char *clause);
/* Ends it by SIGINT; its status. */
int cmd_interrupt(struct cmd *);
/* Forks a client that runs fn and ends; `armed` of its page tells how far it is. */
pid_t client_fork(void (*fn)(void *), void *arg);
/* Waits; the status, or -1 at the limit. */
int wait_status(pid_t pid, int timeout_ms);

/* A callback that does nothing. */
void no_callback(struct dtproc_proc *, struct dtproc_bkpt *, pid_t tid, void *arg);
/* Creates `sh -c "exit 7"` and sees it end as it should. */
void create_once(struct dtproc *);
/* Grabs, sets a breakpoint, and lets go. */
void grab_once(struct dtproc *, struct vic *);
/* What began at `from` took less time than a missed hang-up (FAREWELL_MS) does. */
void check_quick(uint64_t from, const char *what);

/* Runs what is in a session until it is done or `ms` are over; its output, malloced. */
char *session_run(struct dtproc *, int ms);
/* The number behind a key in aggregation output ("name   123"); -1: none. */
long long text_count(const char *text, const char *key);

#endif
