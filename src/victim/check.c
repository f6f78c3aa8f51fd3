/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a process cannot be held (rule C2).  The kernel says EPERM for a dozen reasons; we
 * look at the process and at ourselves, in the order in which the kernel looks:
 * the ids, the capabilities, "dumpable", and then the security modules, of which Yama
 * can be asked.  What is left is probably a seccomp filter or another module.
 */
#include "victim.h"

#include <dirent.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PF_KTHREAD 0x00200000ul
#define CAP_PTRACE (1ull << 19)

static int own_thread(pid_t pid, const struct victim_status *st)
{
	if (st->tgid == getpid())
		return err_set(DTPROC_ESELF,
			pid == st->tgid ? "that is this very process"
					: "that is a thread of this very process");
	if (st->tgid != pid)
		return err_set(DTPROC_ENOPROC,
			"it is a thread of process %d, not a process", (int)st->tgid);
	return 0;
}

/* "pid 4711 (name)" */
static void name_process(pid_t pid, char *buf, size_t room)
{
	struct victim_stat st;

	if (victim_stat_read(pid, &st))
		snprintf(buf, room, "pid %d", (int)pid);
	else
		snprintf(buf, room, "pid %d (%s)", (int)pid, st.comm);
}

static int is_a_keeper(pid_t pid)
{
	struct victim_stat st;

	return victim_stat_read(pid, &st) == 0 && !strcmp(st.comm, "dtproc-keeper");
}

/* For whom a keeper works: what its pidfd of the client says; 0: not for us to see. */
static pid_t client_of(pid_t keeper)
{
	char path[64], text[512], *line;
	int pid = 0;

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)keeper, WIRE_FD_CLIENT);
	if (victim_slurp(path, text, sizeof text) <= 0)
		return 0;
	line = strstr(text, "\nPid:");
	return line && sscanf(line, "\nPid: %d", &pid) == 1 && pid > 0 ? pid : 0;
}

static int traced(pid_t tracer)
{
	char who[96], whose[96];
	pid_t client = is_a_keeper(tracer) ? client_of(tracer) : 0;

	name_process(tracer, who, sizeof who);
	if (!client)
		return err_set(DTPROC_ETRACED, "already traced by %s", who);
	name_process(client, whose, sizeof whose);
	return err_set(DTPROC_ETRACED, "already traced by %s for %s", who, whose);
}

/* Who traces any thread of the process; 0: nobody. */
static pid_t tracer_of(pid_t pid)
{
	struct victim_status st;
	struct dirent *e;
	char path[40];
	pid_t found = 0, tid;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && !found && (e = readdir(d))) {
		tid = (pid_t)atoi(e->d_name);
		if (tid > 0 && !victim_status_read(tid, &st))
			found = st.tracer;
	}
	if (d)
		closedir(d);
	return found;
}

int victim_await_keeper(pid_t pid, int timeout_ms)
{
	pid_t tracer = tracer_of(pid);
	struct pollfd p = {.events = POLLIN};
	int gone;

	if (tracer == 0 || victim_pidfd_open(tracer, &p.fd))
		return 1;
	gone = is_a_keeper(tracer) && poll(&p, 1, timeout_ms) > 0;
	close(p.fd);
	return gone;
}

/* Nothing of it lives; an exec by another than its first thread looks so for a moment. */
static int is_zombie(pid_t pid, struct victim_stat *stat)
{
	for (int i = 0; i < 5; i++) {
		if ((stat->state != 'Z' && stat->state != 'X') ||
			victim_live_tid(pid) != pid)
			return 0;
		usleep(200);
		if (victim_stat_read(pid, stat))
			return 1;
	}
	return 1;
}

int victim_check(pid_t pid, enum victim_purpose purpose)
{
	struct victim_stat stat;
	struct victim_status status;
	int rc;

	if (pid <= 0)
		return err_set(DTPROC_ENOPROC, "no such process");
	rc = victim_stat_read(pid, &stat);
	if (rc == 0)
		rc = victim_status_read(pid, &status);
	if (rc)
		return rc;
	if (stat.flags & PF_KTHREAD)
		return err_set(DTPROC_EKTHREAD, "it is a kernel thread (%s)", stat.comm);
	rc = own_thread(pid, &status);
	if (rc)
		return rc;
	if (is_zombie(pid, &stat))
		return err_set(DTPROC_EZOMBIE,
			"it is a zombie: it has ended, and pid %d has not collected it",
			(int)stat.ppid);
	if (victim_is_keeper(pid))
		return err_set(DTPROC_ESELF, "it is a keeper of this very process");
	if (purpose == VICTIM_CONTROL && status.tracer > 0)
		return traced(status.tracer);
	return 0;
}

/* ------------------------------------------------------------ refusals */

static void user_name(uid_t uid, char *buf, size_t room)
{
	struct passwd pw, *found = NULL;
	char text[1024];

	if (getpwuid_r(uid, &pw, text, sizeof text, &found) == 0 && found)
		snprintf(buf, room, "%s", found->pw_name);
	else
		snprintf(buf, room, "uid %u", (unsigned)uid);
}

/* Are the first three ids (real, effective, saved) all `id`? */
static int all(const uid_t *ids, uid_t id)
{
	return ids[0] == id && ids[1] == id && ids[2] == id;
}

static int same_among_themselves(const uid_t *ids)
{
	return all(ids, ids[0]);
}

static const char *yama_text(int scope)
{
	if (scope == 1)
		return "permission denied by Yama's ptrace_scope 1: only descendants of the "
		       "tracer may be held; become root, or set "
		       "/proc/sys/kernel/yama/ptrace_scope to 0";
	if (scope == 2)
		return "permission denied by Yama's ptrace_scope 2: only root may hold "
		       "processes";
	return "permission denied by Yama's ptrace_scope 3: nobody may hold processes "
	       "until the machine is started anew";
}

/* What ids and capabilities say; NULL: nothing against it. */
static const char *ids_text(const struct victim_caller *us,
	const struct victim_status *it, char *buf, size_t room)
{
	char user[64];

	if (!same_among_themselves(it->uid) || !same_among_themselves(it->gid))
		return "permission denied: it runs a set-id program";
	if (!all(it->uid, us->uid)) {
		user_name(it->uid[0], user, sizeof user);
		snprintf(buf, room, "permission denied: it belongs to another user (%s)",
			user);
		return buf;
	}
	if (!all(it->gid, us->gid))
		return "permission denied: it runs with another group (set-id, or started "
		       "under another login)";
	if (it->caps & ~us->caps)
		return "permission denied: it has capabilities that the caller lacks";
	return NULL;
}

const char *victim_refusal_text(const struct victim_caller *us,
	const struct victim_status *it, uid_t proc_owner, char *buf, size_t room)
{
	const char *why = us->ptrace_capable ? NULL : ids_text(us, it, buf, room);

	if (why)
		return why;
	if (!us->ptrace_capable && proc_owner != it->uid[1])
		return "permission denied: it is not dumpable (a set-id or unreadable "
		       "program, or it asked for that with prctl)";
	if (us->yama == 3 || (us->yama && !us->ptrace_capable))
		return yama_text(us->yama);
	return "permission denied: probably a seccomp filter or security module";
}

static int yama_scope(void)
{
	char text[16];

	if (victim_slurp("/proc/sys/kernel/yama/ptrace_scope", text, sizeof text) <= 0)
		return 0;
	return text[0] >= '0' && text[0] <= '3' ? text[0] - '0' : 0;
}

static void know_ourselves(struct victim_caller *us)
{
	char text[4096], *line;
	unsigned long long prm = 0, eff = 0;

	*us = (struct victim_caller){getuid(), getgid(), 0, 0, yama_scope()};
	if (victim_slurp("/proc/self/status", text, sizeof text) <= 0)
		return;
	line = strstr(text, "\nCapPrm:");
	if (line && sscanf(line, "\nCapPrm: %llx CapEff: %llx", &prm, &eff) == 2) {
		us->caps = prm;
		us->ptrace_capable = (eff & CAP_PTRACE) != 0;
	}
}

int victim_check_refusal(pid_t pid, enum victim_purpose purpose)
{
	struct victim_caller us;
	struct victim_status it;
	struct stat st;
	char path[40], buf[160];
	pid_t tracer = purpose == VICTIM_CONTROL ? tracer_of(pid) : 0;
	int rc = victim_check(pid, purpose);

	if (rc)
		return rc;
	if (tracer > 0)
		return traced(tracer);
	rc = victim_status_read(pid, &it);
	if (rc)
		return rc;
	/* The directory itself always shows the effective user; its files do not. */
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (stat(path, &st) < 0)
		return err_set(DTPROC_ENOPROC, "no such process");
	know_ourselves(&us);
	return err_set(DTPROC_EPERM, "%s",
		victim_refusal_text(&us, &it, st.st_uid, buf, sizeof buf));
}
