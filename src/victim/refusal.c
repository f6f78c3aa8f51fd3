/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why the kernel refuses (rule C2), and what to do next.  It says EPERM for a dozen
 * reasons; we look at the process and at ourselves, in the order in which the kernel
 * looks: the ids, "dumpable", capabilities and user namespaces, and then the security
 * modules, of which Yama can be asked.  What is left is probably a seccomp filter or
 * another module.
 *
 * In a container root may lack CAP_SYS_PTRACE, so "become root" is no advice there.
 */
#include "victim.h"

#include <base/slurp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CAP_PTRACE (1ull << 19)
#define DENIED "permission denied: "

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

static const char *way_out(const struct victim_caller *us)
{
	return us->uid == 0 ? "; this root lacks CAP_SYS_PTRACE (for a container: "
			      "--cap-add=SYS_PTRACE)"
			    : "; only root may hold it";
}

static const char *yama_text(const struct victim_caller *us, char *buf, size_t room)
{
	if (us->yama == 1)
		snprintf(buf, room,
			"permission denied by Yama's ptrace_scope 1: only descendants of "
			"the tracer may be held; start it with -c, %s, or set "
			"/proc/sys/kernel/yama/ptrace_scope to 0",
			us->uid == 0 ? "give CAP_SYS_PTRACE to this root "
				       "(for a container: --cap-add=SYS_PTRACE)"
				     : "become root");
	else if (us->yama == 2)
		snprintf(buf, room,
			"permission denied by Yama's ptrace_scope 2: only root may hold "
			"processes%s",
			us->uid == 0 ? ", with CAP_SYS_PTRACE (for a container: "
				       "--cap-add=SYS_PTRACE)"
				     : "");
	else
		snprintf(buf, room,
			"permission denied by Yama's ptrace_scope 3: nobody may hold "
			"processes until the machine is started anew");
	return buf;
}

/* What ids and capabilities say; NULL: nothing against it. */
static const char *ids_text(const struct victim_caller *us,
	const struct victim_status *it, uid_t owner, char *user, size_t room)
{
	if (!same_among_themselves(it->uid) || !same_among_themselves(it->gid))
		return "it runs a set-id program";
	if (!all(it->uid, us->uid)) {
		char name[64];
		user_name(it->uid[0], name, sizeof name);
		snprintf(user, room, "it belongs to another user (%s)", name);
		return user;
	}
	if (!all(it->gid, us->gid))
		return "it runs with another group (set-id, or started under another "
		       "login)";
	if (owner != it->uid[1])
		return "it is not dumpable (a set-id or unreadable program, or it asked "
		       "for that with prctl)";
	if (it->caps & ~us->caps)
		return "it has capabilities that the caller lacks";
	return NULL;
}

const char *victim_refusal_text(const struct victim_caller *us,
	const struct victim_status *it, uid_t proc_owner, char *buf, size_t room)
{
	char user[96];
	const char *why = us->ptrace_capable
				  ? NULL
				  : ids_text(us, it, proc_owner, user, sizeof user);

	if (why) {
		snprintf(buf, room, DENIED "%s%s", why, way_out(us));
		return buf;
	}
	if (us->apart)
		return DENIED "it is outside of this process's user namespace, where "
			      "nobody in here has rights; run dtproc out there";
	if (us->yama == 3 || (us->yama && !us->ptrace_capable))
		return yama_text(us, buf, room);
	if (us->filtered)
		return DENIED
			"probably by the seccomp filter of this container (start it "
			"with --cap-add=SYS_PTRACE, or with --security-opt "
			"seccomp=unconfined), else by a security module";
	return DENIED "probably a seccomp filter or security module";
}

static int yama_scope(void)
{
	char text[16];

	if (slurp_file("/proc/sys/kernel/yama/ptrace_scope", text, sizeof text) <= 0)
		return 0;
	return text[0] >= '0' && text[0] <= '3' ? text[0] - '0' : 0;
}

static void know_ourselves(struct victim_caller *us)
{
	char text[4096], *line;
	unsigned long long prm = 0, eff = 0;

	*us = (struct victim_caller){
		.uid = getuid(), .gid = getgid(), .yama = yama_scope()};
	if (slurp_file("/proc/self/status", text, sizeof text) <= 0)
		return;
	line = strstr(text, "\nCapPrm:");
	if (line && sscanf(line, "\nCapPrm: %llx CapEff: %llx", &prm, &eff) == 2) {
		us->caps = prm;
		us->ptrace_capable = (eff & CAP_PTRACE) != 0;
	}
	us->filtered = strstr(text, "\nSeccomp:\t2") != NULL;
}

/* Are we in a user namespace that is not the machine's own? */
static int nested(void)
{
	char text[128];
	unsigned long inside, outside, n;

	/* One that is not mapped yet has an empty map. */
	return slurp_file("/proc/self/uid_map", text, sizeof text) >= 0 &&
	       (sscanf(text, "%lu %lu %lu", &inside, &outside, &n) != 3 || outside != 0 ||
		       n != 4294967295ul);
}

/* Does even looking at it fail, though we are in a namespace where we might? */
static int apart(pid_t pid)
{
	char path[40], link[64];

	snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
	return nested() && readlink(path, link, sizeof link) < 0;
}

int victim_check_refusal(pid_t pid, enum victim_purpose purpose)
{
	struct victim_caller us;
	struct victim_status it;
	struct stat st;
	char path[40], buf[ERR_TEXT_MAX];
	int rc = victim_check_again(pid, purpose);

	if (rc == 0)
		rc = victim_status_read(pid, &it);
	if (rc)
		return rc;
	/* The directory itself always shows the effective user; its files do not. */
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (stat(path, &st) < 0)
		return err_set(DTPROC_ENOPROC, "no such process");
	know_ourselves(&us);
	us.apart = apart(pid);
	return err_set(DTPROC_EPERM, "%s",
		victim_refusal_text(&us, &it, st.st_uid, buf, sizeof buf));
}

int victim_check_own_child(void)
{
	struct victim_caller us;
	struct victim_status it;
	char buf[ERR_TEXT_MAX];
	int rc = victim_status_read(getpid(), &it);

	if (rc)
		return rc;
	know_ourselves(&us);
	if (us.yama == 1) /* has nothing against descendants */
		us.yama = 0;
	return err_set(DTPROC_EPERM, "%s",
		victim_refusal_text(&us, &it, it.uid[1], buf, sizeof buf));
}
