/* SPDX-License-Identifier: BSD-2-Clause */
/* Which file to execute: a victim's program, and the keeper's binary. */
#include "victim.h"

#include <base/clean.h>
#include <base/rule.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static int cannot(const char *file, int eno)
{
	return err_set(DTPROC_ENOEXEC, "cannot execute '%s': %s", file, strerror(eno));
}

/* 0 when `path` is a file that we may execute, else the errno. */
static int executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (!S_ISREG(st.st_mode) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		return EACCES;
	return 0;
}

/* Looks along PATH as a shell does: the first file that can be executed. */
static int search(const char *file, char **out)
{
	const char *dir = getenv("PATH");
	int worst = ENOENT;

	if (!dir)
		dir = "/bin:/usr/bin";
	for (;;) {
		size_t len = strcspn(dir, ":");
		char *path;
		/* An empty member means the working directory. */
		if (asprintf(&path, "%.*s%s%s", (int)len, dir, len ? "/" : "./", file) <
			0)
			return err_nomem("a path");
		int eno = executable(path);
		if (eno == 0) {
			*out = path;
			return 0;
		}
		free(path);
		if (eno == EACCES)
			worst = EACCES;
		if (!dir[len])
			return cannot(file, worst);
		dir += len + 1;
	}
}

/* Would the kernel give the program other ids or capabilities than ours? */
static int is_set_id(const char *path)
{
	CLEAN_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char magic[2];

	if (stat(path, &st) < 0)
		return 0;
	if (fd >= 0 && pread(fd, magic, 2, 0) == 2 && magic[0] == '#' && magic[1] == '!')
		return 0; /* set-id bits of scripts mean nothing */
	if ((st.st_mode & S_ISUID) && st.st_uid != geteuid())
		return 1;
	if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getegid())
		return 1;
	return getxattr(path, "security.capability", NULL, 0) > 0;
}

int victim_program_find(const char *file, char **out)
{
	CLEAN_FREE char *path = NULL;
	int rc;

	if (!*file)
		return cannot(file, ENOENT);
	if (strchr(file, '/') || !RULE(C1, path)) {
		path = strdup(file);
		if (!path)
			return err_nomem("a path");
		rc = executable(path);
		if (rc)
			return cannot(file, rc);
	} else {
		rc = search(file, &path);
		if (rc)
			return rc;
	}
	if (geteuid() != 0 && is_set_id(path))
		return err_set(DTPROC_EUNOBSERVABLE,
			"'%s' is a set-id program: only root may observe it", path);
	*out = TAKE_PTR(path);
	return 0;
}

/* ---------------------------------------------------------------- keeper */

#ifndef DTPROC_KEEPER_PATH
#error DTPROC_KEEPER_PATH is set by the build
#endif

/* Where the keeper lies, seen from the file that holds this code. */
static const char *const beside[] = {
	"dtproc/dtproc-keeper",           /* installed library */
	"../keeper/dtproc-keeper",        /* build tree: src/trace/libdtproc.so */
	"src/keeper/dtproc-keeper",       /* a program in the build tree's root */
	"../src/keeper/dtproc-keeper",    /* one that has the library linked in */
	"../../src/keeper/dtproc-keeper", /* a test */
};

/* The absolute name of the file that this code was loaded from. */
static int own_file(char *buf, size_t room)
{
	Dl_info info;
	ssize_t n;

	if (dladdr((void *)(uintptr_t)victim_keeper_find, &info) && info.dli_fname &&
		info.dli_fname[0] == '/') {
		snprintf(buf, room, "%s", info.dli_fname);
		return 0;
	}
	n = readlink("/proc/self/exe", buf, room - 1);
	if (n <= 0)
		return -1;
	buf[n] = 0;
	return 0;
}

static int duplicate(const char *path, char **out)
{
	char *copy = strdup(path);

	if (!copy)
		return err_nomem("a path");
	*out = copy;
	return 0;
}

int victim_keeper_find(char **out)
{
	const char *named = secure_getenv("DTPROC_KEEPER");
	char own[PATH_MAX], path[PATH_MAX + 64], *slash;

	if (named && *named)
		return duplicate(named, out);
	if (own_file(own, sizeof own) == 0 && (slash = strrchr(own, '/'))) {
		for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
			snprintf(path, sizeof path, "%.*s/%s", (int)(slash - own), own,
				beside[i]);
			if (executable(path) == 0)
				return duplicate(path, out);
		}
	}
	return duplicate(DTPROC_KEEPER_PATH, out);
}
