/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Set-id programs (F4).
 *
 * The kernel ignores the set-id bits of a program that is executed under an unprivileged
 * tracer, and tells of the exec only afterwards.  But at that moment not one instruction
 * of the new image has run, and its stack still holds path, arguments and environment.
 * So the image is made to execute the same file once more, with the tracer gone: its
 * first instructions are overwritten by that system call, and the image, text and all,
 * is replaced by it.
 */
#include "keeper.h"
#include "ptrace.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Does the kernel honour set-id bits under us?  (CAP_SYS_PTRACE) */
static int tracer_is_privileged(void)
{
	return (task_mask(getpid(), "CapEff:") >> 19) & 1; /* CAP_SYS_PTRACE */
}

static int grants_privileges(const char *exe)
{
	struct stat st;
	struct statvfs fs;

	if (stat(exe, &st))
		return 0;
	if (!statvfs(exe, &fs) && (fs.f_flag & ST_NOSUID))
		return 0;
	if ((st.st_mode & S_ISUID) && st.st_uid != geteuid())
		return 1;
	if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
		st.st_gid != getegid())
		return 1;
	return getxattr(exe, "security.capability", NULL, 0) > 0;
}

/* Does AT_EXECFN still name the file?  (Not after fexecve of a descriptor.) */
static int names_file(pid_t pid, int mem, dtproc_addr execfn, const char *exe)
{
	char path[4096], full[4200];
	struct stat a, b;
	ssize_t n = pread(mem, path, sizeof path - 1, (off_t)execfn);

	if (n <= 0)
		return 0;
	path[n] = 0;
	snprintf(full, sizeof full,
		path[0] == '/' ? "/proc/%d/root%s" : "/proc/%d/cwd/%s", pid, path);
	return !stat(full, &a) && !stat(exe, &b) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/*
 * execve(rdi, rsi, rdx), and if that fails exit(127): the image is gone by then.  The
 * number is loaded here, because the exec that is about to end still sets rax to 0.
 */
static const uint8_t again[] = {0xb8, SYS_execve, 0, 0, 0, 0x0f, 0x05, 0xbf, 127, 0, 0, 0,
	0xb8, SYS_exit_group, 0, 0, 0, 0x0f, 0x05};

static int aim(pid_t tid, int mem, dtproc_addr execfn, const char *exe)
{
	static const char self[] = "/proc/self/exe";
	struct user_regs_struct regs;
	uint64_t argc = 0;

	if (pt_get_regs(tid, &regs))
		return 0;
	dtproc_addr sp = arch_get(&regs, ARCH_SP), pc = arch_get(&regs, ARCH_PC),
		    file = execfn;
	if (pread(mem, &argc, sizeof argc, (off_t)sp) != sizeof argc || argc > 1u << 24)
		return 0;
	if (!names_file(tid, mem, execfn, exe)) {
		file = sp - 4096;
		if (pwrite(mem, self, sizeof self, (off_t)file) != sizeof self)
			return 0;
	}
	if (pwrite(mem, again, sizeof again, (off_t)pc) != sizeof again)
		return 0;
	const uint64_t args[6] = {file, sp + 8, sp + 8 * (argc + 2)};
	arch_set_call(&regs, pc, SYS_execve, args);
	return !pt_set_regs(tid, &regs);
}

int setid_reexec(struct keeper *k, struct task *t)
{
	char exe[64];
	int done = 0;

	snprintf(exe, sizeof exe, "/proc/%d/exe", t->tid);
	if (tracer_is_privileged() || !grants_privileges(exe))
		return 0;
	dtproc_addr execfn = task_auxv(t->tid, AT_EXECFN);
	int mem = open_mem(k, t->tid, "a set-id program");
	if (mem >= 0 && execfn)
		done = aim(t->tid, mem, execfn, exe);
	if (mem >= 0)
		close(mem);
	if (done)
		pt_detach(t->tid, 0);
	return done;
}
