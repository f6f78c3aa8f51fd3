/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A live process as its client sees it: who it is, why it may not be held, its memory,
 * and the client's end of the wire to the keeper that holds it.  Nothing here locks:
 * a struct belongs to whoever has the handle's lock.
 */
#ifndef VICTIM_VICTIM_H
#define VICTIM_VICTIM_H

#include "linker.h"
#include "maps.h"

#include <base/err.h>
#include <wire/proto.h>

/* -------------------------------------------------------- proc.c: who it is */

/* Of /proc/PID/stat. */
struct victim_stat {
	char state; /* R S D T t Z X ... */
	pid_t ppid;
	unsigned long flags;    /* PF_* of the kernel */
	uint64_t start_time;    /* ticks since boot: with the PID it names the process */
	dtproc_addr start_code; /* of its program's text; 1 or 0: not for us to see */
	char comm[64];
};

/* Of /proc/PID/status. */
struct victim_status {
	pid_t tgid, tracer; /* tracer 0: none */
	uid_t uid[4];       /* real, effective, saved, file system */
	gid_t gid[4];
	uint64_t caps; /* permitted */
};

/* ENOPROC, EPERM (hidden /proc), EPROTO (not what the kernel writes). */
int victim_stat_read(pid_t pid, struct victim_stat *out) MUST_USE;
int victim_stat_parse(const char *text, struct victim_stat *out) MUST_USE;
int victim_status_read(pid_t pid, struct victim_status *out) MUST_USE;
int victim_status_parse(const char *text, struct victim_status *out) MUST_USE;

/*
 * A thread by whose directory in /proc the memory of process `pid` is seen: `pid`
 * itself, unless that thread has ended and others go on.
 */
pid_t victim_live_tid(pid_t pid);

/* Has the process behind this pidfd ended?  One system call. */
int victim_ended(int pidfd);
/*
 * How it ended, where the kernel keeps that (Linux 6.15): 0 and a status as of
 * waitpid(2), or DTPROC_ESTATE when that is not known.
 */
int victim_exit_status(int pidfd, int *status) MUST_USE;
/* Opens a pidfd and makes sure that it is that of the thread group `pid`. */
int victim_pidfd_open(pid_t pid, int *pidfd) MUST_USE;
/* Moves a new descriptor out of the way of 0, 1 and 2, which the client may lack. */
int victim_lift(int fd);

/* ------------------------------------------- check.c: why it may not be held */

enum victim_purpose { VICTIM_READ, VICTIM_CONTROL };

/*
 * Is there something to hold at all (rule C2)?  ENOPROC, EZOMBIE, EKTHREAD, ESELF,
 * ETRACED (to control only).
 */
int victim_check(pid_t pid, enum victim_purpose purpose) MUST_USE;
/* The same, and looks whether one of its threads has a tracer. */
int victim_check_again(pid_t pid, enum victim_purpose purpose) MUST_USE;
/* Is there a /proc, and does it call processes by our numbers?  ESYS. */
int victim_check_proc(void) MUST_USE;

/* ------------------------------------------ refusal.c: why the kernel refuses */

/* The kernel refused: finds out by what.  Returns EPERM, or what victim_check says. */
int victim_check_refusal(pid_t pid, enum victim_purpose purpose) MUST_USE;
/* The kernel refused a child of our own.  Returns EPERM. */
int victim_check_own_child(void) MUST_USE;
/*
 * A control grab was refused.  If that may have been a keeper's doing waits until that
 * keeper has ended; 1: it is worth another try.
 */
int victim_await_keeper(pid_t pid, int timeout_ms);
/* Why the kernel refused, as text, from what is known of us and of it. */
struct victim_caller {
	uid_t uid;
	gid_t gid;
	int ptrace_capable; /* CAP_SYS_PTRACE is effective */
	uint64_t caps;      /* permitted */
	int yama;           /* ptrace_scope; 0 also without Yama */
	int filtered;       /* under a seccomp filter */
	int apart;          /* in a user namespace, and the process is outside of it */
};
const char *victim_refusal_text(const struct victim_caller *,
	const struct victim_status *, uid_t proc_owner, char *buf, size_t room);

/* ------------------------------------------------- program.c: what to start */

/*
 * The file that a shell would execute for `file` (PATH); the caller frees it.  ENOEXEC
 * names the file and the reason; EUNOBSERVABLE: set-id, and we may not observe that.
 */
int victim_program_find(const char *file, char **path) MUST_USE;
/* Where the keeper's binary is; the caller frees it. */
int victim_keeper_find(char **path) MUST_USE;

struct victim_program {
	const char *path;
	char *const *argv, *const *envp;
};

/* ------------------------------------------ share.c: memory for both sides */

/* A memfd of `size` bytes that cannot shrink, out of the way of 0, 1 and 2.  ESYS. */
int victim_memfd(const char *name, size_t size, int *fd) MUST_USE;
/* Writes all bytes from offset 0.  ESYS. */
int victim_memfd_write(int fd, const void *bytes, size_t len) MUST_USE;

/* ---------------------------------------------------- ctl.c: its keeper */

struct victim_ctl {
	int requests, events; /* our ends of the sockets */
	int bulk, ledger;     /* memfds */
	int keeper;           /* pidfd of the keeper */
	pid_t keeper_pid, stub;
	uint32_t seq;
	int broken; /* hung up or out of step: no more requests */
	const struct wire_ledger *map;
};

/* One that was never opened: closing it does nothing. */
#define VICTIM_CTL_NONE                                                                  \
	((struct victim_ctl){.requests = -1,                                             \
		.events = -1,                                                            \
		.bulk = -1,                                                              \
		.ledger = -1,                                                            \
		.keeper = -1,                                                            \
		.broken = 1})

/* How long an answer may take beyond the victim's own deadline, before we give up. */
#define VICTIM_ANSWER_MS 20000

/*
 * Starts a keeper, for create with the stub that becomes `program` (NULL: grab).  The
 * victim is not held yet: WIRE_START does that.  EKEEPER names the binary and why.
 */
int victim_ctl_open(struct victim_ctl *, const struct victim_program *program) MUST_USE;
/* Ends a dead or silent keeper and starts a successor on the same ledger (rule H4). */
int victim_ctl_replace(struct victim_ctl *) MUST_USE;
/* Hangs up and waits until the keeper is gone (it lets go by itself). */
void victim_ctl_hang_up(struct victim_ctl *);
/* The same, and gives the memfds and the ledger's mapping back. */
void victim_ctl_close(struct victim_ctl *);
/* In a child that the client forked: gives everything back without a word. */
void victim_ctl_abandon(struct victim_ctl *);

/*
 * One request and its reply.  Fills in magic, version and seq of *req.  Returns 0 or
 * the reply's code with its text; ELOST when the keeper died, EPROTO when it talks
 * nonsense, ETIMEOUT when it does not answer: then the wire is `broken`.  *fd (may be
 * NULL): the descriptor that came along, or -1.
 */
int victim_ctl_call(struct victim_ctl *, struct wire_request *req, const int *fds,
	int nfds, struct wire_reply *reply, int *fd) MUST_USE;
/* Receives an event: 1, 0 when there is none, ELOST at hang-up, EPROTO. */
/* `fds`, of which the caller closes those that are not -1: what came along. */
int victim_ctl_event(
	struct victim_ctl *, struct wire_event *event, int fds[WIRE_CHILD_FDS]) MUST_USE;
/*
 * The wire to a followed child, from what came along with WIRE_EV_CHILD on its parent's;
 * those that it takes become -1.  EPROTO: they are not all there, or not what they should
 * be (the client may have no descriptors left).
 */
int victim_ctl_adopt(struct victim_ctl *, const struct victim_ctl *parent,
	int fds[WIRE_CHILD_FDS]) MUST_USE;
int victim_ctl_ack(struct victim_ctl *, uint32_t seq) MUST_USE;
/* The bulk memfd: bytes in from offset 0, out again. */
int victim_ctl_put(struct victim_ctl *, const void *bytes, size_t len) MUST_USE;
int victim_ctl_get(struct victim_ctl *, void *bytes, size_t len) MUST_USE;
/* Replaces our traps in bytes read from `addr` by what the program has there. */
void victim_ctl_overlay(
	const struct victim_ctl *, dtproc_addr addr, void *bytes, size_t len);
/* Is the process one of this client's keepers? */
int victim_is_keeper(pid_t pid);

/* ---------------------------------------------------------- mem.c: memory */

/* Opens /proc/PID/mem for reading; EPERM (the text says by what), ENOPROC. */
int victim_mem_open(pid_t pid, int *fd) MUST_USE;
/*
 * Bytes copied, fewer when the range ends; ERANGE when there are none; EIMAGE when the
 * descriptor's image is gone (exec or exit).
 */
ssize_t victim_mem_read(int fd, dtproc_addr addr, void *buf, size_t len) MUST_USE;

#endif
