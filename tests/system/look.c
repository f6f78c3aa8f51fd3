/* SPDX-License-Identifier: BSD-2-Clause */
/* What the machine tells about processes: states, tracers, text, keepers, counts. */
#include "lib.h"

#include <ctype.h>
#include <dirent.h>
#include <string.h>

/* A small file of /proc, NUL-terminated; "" when it cannot be read. */
static const char *slurp(char *buf, size_t size, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

long proc_status(pid_t pid, const char *field)
{
	char path[64], text[4096], name[64];
	const char *at;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	snprintf(name, sizeof name, "\n%s:", field);
	at = strstr(slurp(text, sizeof text, path), name);
	return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

static char state_in(const char *path)
{
	char text[1024];
	const char *at = strrchr(slurp(text, sizeof text, path), ')');

	return at && at[1] ? at[2] : 0;
}

char proc_state(pid_t tid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/stat", tid);
	return state_in(path);
}

bool proc_alive(pid_t pid)
{
	char state = proc_state(pid);

	/* A leader that ended before its threads looks like a zombie. */
	return state && (state != 'Z' || proc_status(pid, "Threads") > 1) && state != 'X';
}

static int count_dir(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	for (struct dirent *d; dir && (d = readdir(dir));)
		n += d->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

int proc_threads_in(pid_t pid, const char *states)
{
	char path[64];
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	dir = opendir(path);
	for (struct dirent *d; dir && (d = readdir(dir));) {
		char stat[128], state;

		snprintf(stat, sizeof stat, "%s/%.20s/stat", path, d->d_name);
		state = d->d_name[0] == '.' ? 0 : state_in(stat);
		n += state && strchr(states, state);
	}
	if (dir)
		closedir(dir);
	return n;
}

int proc_fds(void)
{
	return count_dir("/proc/self/fd") - 1;
}

int proc_children(void)
{
	char path[64], text[4096];
	int n = 0;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
	slurp(text, sizeof text, path);
	for (const char *at = text; *at; at++)
		n += *at == ' ';
	return n;
}

long proc_rss_kb(pid_t pid)
{
	return proc_status(pid, "VmRSS");
}

static bool is_keeper(const char *pid)
{
	const char *ours = getenv("DTPROC_KEEPER");
	char path[300], exe[512];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%s/exe", pid);
	n = readlink(path, exe, sizeof exe - 1);
	exe[n > 0 ? n : 0] = '\0';
	return n > 0 && ours && !strcmp(exe, ours);
}

int proc_keepers(void)
{
	DIR *dir = opendir("/proc");
	int n = 0;

	for (struct dirent *d; dir && (d = readdir(dir));)
		n += isdigit((unsigned char)d->d_name[0]) && is_keeper(d->d_name);
	if (dir)
		closedir(dir);
	return n;
}

/* What a process is doing. */
static void tell(const char *pid)
{
	char path[64], wait[64], call[128], where[512];

	snprintf(path, sizeof path, "/proc/%.20s/wchan", pid);
	slurp(wait, sizeof wait, path);
	snprintf(path, sizeof path, "/proc/%.20s/syscall", pid);
	slurp(call, sizeof call, path);
	snprintf(path, sizeof path, "/proc/%.20s/stack", pid);
	t_note("%s: state %c, in %s, call %s%s", pid, proc_state(atoi(pid)), wait, call,
		slurp(where, sizeof where, path));
}

void proc_tell(pid_t pid)
{
	char path[64];
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	dir = opendir(path);
	for (struct dirent *d; dir && (d = readdir(dir));)
		if (d->d_name[0] != '.')
			tell(d->d_name);
	if (dir)
		closedir(dir);
}

/* What the keepers that are left are doing. */
static void tell_keepers(void)
{
	DIR *dir = opendir("/proc");

	for (struct dirent *d; dir && (d = readdir(dir));)
		if (isdigit((unsigned char)d->d_name[0]) && is_keeper(d->d_name))
			tell(d->d_name);
	if (dir)
		closedir(dir);
}

void check_no_keeper(const char *when)
{
	if (!WITHIN(1500, proc_keepers() == 0))
		tell_keepers();
	CHECK(WITHIN(1500, proc_keepers() == 0), "%s: %d keepers left", when,
		proc_keepers());
}

/* ----------------------------------------------------------------------- text */

/* Bytes of [lo, hi) of the process that differ from the file's at `offset`. */
static long range_differs(int mem, int file, uint64_t lo, uint64_t hi, uint64_t offset)
{
	static unsigned char ours[65536], theirs[65536];
	long differs = 0;

	for (uint64_t at = lo; at < hi; at += sizeof ours) {
		size_t want = hi - at < sizeof ours ? (size_t)(hi - at) : sizeof ours;
		ssize_t n = pread(mem, theirs, want, (off_t)at);
		ssize_t m = pread(file, ours, want, (off_t)(offset + (at - lo)));

		if (n < 0)
			return -1;
		for (ssize_t i = 0; i < n && i < m; i++)
			if (ours[i] != theirs[i] && !differs++)
				t_note("text at %#llx is %02x, not %02x",
					(unsigned long long)(at + (uint64_t)i), theirs[i],
					ours[i]);
	}
	return differs;
}

static long line_differs(int mem, const char *line)
{
	unsigned long long lo, hi, offset;
	char perms[8], path[512];
	int file;
	long differs;

	if (sscanf(line, "%llx-%llx %7s %llx %*s %*s %511[^\n]", &lo, &hi, perms, &offset,
		    path) != 5 ||
		perms[2] != 'x' || path[0] != '/')
		return 0;
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return 0; /* a slot of ours, or deleted */
	differs = range_differs(mem, file, lo, hi, offset);
	close(file);
	return differs;
}

long proc_text_differs(pid_t pid)
{
	char path[64], line[1024];
	FILE *maps;
	long differs = 0;
	int mem;

	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	while (maps && mem >= 0 && differs >= 0 && fgets(line, sizeof line, maps)) {
		long n = line_differs(mem, line);

		differs = n < 0 ? -1 : differs + n;
	}
	if (!maps || mem < 0)
		differs = -1;
	if (maps)
		fclose(maps);
	if (mem >= 0)
		close(mem);
	return differs;
}
