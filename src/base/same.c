/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kcmp(2) knows.  The seccomp filters of containers refuse it to all but CAP_SYS_PTRACE,
 * and kernels can be built without; then /proc has to tell.  Memory of two programs
 * differs in the addresses that the kernel chose at random for each; memory of a forked
 * child has its parent's, but other counters: it has mapped hardly anything yet, and
 * goes its own way.  What cannot be told counts as one memory, which costs less: such a
 * child is held in vain, one that is overlooked would run into a trap of ours.
 */
#include "same.h"
#include "slurp.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRIES 10

static int slurp(pid_t pid, const char *name, char *buf, size_t room)
{
	char path[48];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	return slurp_file(path, buf, room) > 0 ? 0 : -1;
}

/* Field `n` of proc(5)'s stat, from the end of the second on. */
static unsigned long long number(const char *s, int n)
{
	for (; s && n > 2; n--)
		s = strchr(s + 1, ' ');
	return s ? strtoull(s + 1, NULL, 10) : 0;
}

/* Where the kernel put program, stack and arguments, or -1 (1 or 0: not for us). */
static int layout(pid_t pid, unsigned long long out[3])
{
	static const int numbers[3] = {26, 28, 48}; /* startcode, startstack, arg_start */
	char text[1024], *s;

	if (slurp(pid, "stat", text, sizeof text) || !(s = strrchr(text, ')')))
		return -1;
	for (int i = 0; i < 3; i++)
		out[i] = number(s, numbers[i]);
	return out[1] > 1 ? 0 : -1;
}

static int looks_same(pid_t a, pid_t b)
{
	unsigned long long at[2][3];
	char before[128], after[128], other[128];

	if (layout(a, at[0]) || layout(b, at[1]) || memcmp(at[0], at[1], sizeof at[0]))
		return 0;
	for (int i = 0; i < TRIES; i++) {
		if (slurp(a, "statm", before, sizeof before) ||
			slurp(b, "statm", other, sizeof other) ||
			slurp(a, "statm", after, sizeof after))
			return 0;
		if (!strcmp(before, other))
			return 1;
		if (!strcmp(before, after))
			return 0;
	}
	return 1;
}

static long compare(pid_t a, pid_t b)
{
	return syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0);
}

int same_memory(pid_t a, pid_t b)
{
	long order = compare(a, b);

	if (order < 0 && (errno == EPERM || errno == ENOSYS) &&
		compare(getpid(), getpid()) < 0) /* refused as such, not for these two */
		return looks_same(a, b);
	return order == 0;
}
