/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dtproc maps | threads | files PID..., tree [PID...]: what pmap, ptree and pfiles are
 * elsewhere.  All of it is read from /proc: nobody is stopped.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "cmd.h"

FILE *cmd_proc_open(pid_t pid, pid_t tid, const char *file)
{
	char path[80];

	if (tid)
		snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)pid, (int)tid,
			file);
	else
		snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	return fopen(path, "re");
}

static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = '.';
}

int cmd_task_read(pid_t pid, pid_t tid, struct cmd_task *out)
{
	FILE *f = cmd_proc_open(pid, tid, "stat");
	char line[1024], *open, *close;
	unsigned long user = 0, system = 0;
	int parent = 0;

	*out = (struct cmd_task){.pid = pid, .tid = tid ? tid : pid, .state = '?'};
	if (!f)
		return -1;
	line[fread(line, 1, sizeof line - 1, f)] = 0;
	fclose(f);
	open = strchr(line, '(');
	close = strrchr(line, ')');
	if (!open || !close || close < open)
		return -1;
	*close = 0;
	snprintf(out->name, sizeof out->name, "%s", open + 1);
	make_printable(out->name);
	sscanf(close + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		&out->state, &parent, &user, &system);
	out->parent = parent;
	out->cpu = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct cmd_task *one = a, *other = b;

	return (one->tid > other->tid) - (one->tid < other->tid);
}

/* The numbers in a folder of /proc: tasks of `pid`, or all processes for 0. */
static struct cmd_task *list(const char *path, pid_t pid, size_t *n)
{
	DIR *d = opendir(path);
	struct cmd_task *at = d ? malloc(sizeof *at) : NULL, *more;
	size_t room = 1;

	*n = 0;
	for (struct dirent *e; at && (e = readdir(d));) {
		pid_t id;

		if (cmd_parse_pid(e->d_name, &id))
			continue;
		if (*n == room) {
			more = realloc(at, (room *= 2) * sizeof *at);
			if (!more)
				break;
			at = more;
		}
		if (cmd_task_read(pid ? pid : id, pid ? id : 0, &at[*n]) == 0)
			++*n;
	}
	if (d)
		closedir(d);
	if (at)
		qsort(at, *n, sizeof *at, by_id);
	return at;
}

struct cmd_task *cmd_tasks(pid_t pid, size_t *n)
{
	char path[40];

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	return list(path, pid, n);
}

const char *cmd_state_word(char state)
{
	static const struct {
		char letter;
		const char *word;
	} words[] = {{'R', "running"}, {'S', "sleeping"}, {'D', "in the kernel"},
		{'T', "stopped"}, {'t', "held by a tracer"}, {'Z', "ended"},
		{'X', "ended"}, {'I', "idle"}};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (words[i].letter == state)
			return words[i].word;
	return "unknown";
}

void cmd_command(pid_t pid, char *out, size_t room)
{
	FILE *f = cmd_proc_open(pid, 0, "cmdline");
	size_t n = f ? fread(out, 1, room - 1, f) : 0;
	struct cmd_task t;

	if (f)
		fclose(f);
	while (n && !out[n - 1])
		n--;
	for (size_t i = 0; i < n; i++)
		out[i] = out[i] ? out[i] : ' ';
	out[n] = 0;
	make_printable(out);
	if (n)
		return;
	(void)cmd_task_read(pid, 0, &t);
	snprintf(out, room, "[%s]", t.name);
}

/* --------------------------------------------------------------------- maps */

static int maps(pid_t pid)
{
	FILE *f = cmd_proc_open(pid, 0, "maps");
	unsigned long start, end, total = 0;
	char *line = NULL, prot[5];
	size_t room = 0;
	int at;

	if (!f)
		return -1;
	while (getline(&line, &room, f) > 0) {
		at = 0;
		if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %n", &start, &end, prot, &at) <
				3 ||
			!at)
			continue;
		line[strcspn(line, "\n")] = 0;
		make_printable(line);
		total += (end - start) / 1024;
		printf("%016lx %8luK %s  %s\n", start, (end - start) / 1024, prot,
			line[at] ? line + at : "[anon]");
	}
	printf("%-16s %8luK\n", "total", total);
	free(line);
	at = ferror(f);
	fclose(f);
	return at ? -1 : 0;
}

/* ------------------------------------------------------------------ threads */

static int threads(pid_t pid)
{
	size_t n;
	struct cmd_task *at = cmd_tasks(pid, &n);

	if (!at)
		return -1;
	printf("%8s %-16s %-16s %10s\n", "TID", "NAME", "STATE", "CPU");
	for (size_t i = 0; i < n; i++)
		printf("%8d %-16s %-16s %9.2fs\n", (int)at[i].tid, at[i].name,
			cmd_state_word(at[i].state), at[i].cpu);
	free(at);
	return 0;
}

/* -------------------------------------------------------------------- files */

static const char *type_of(const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFCHR:
		return "character";
	case S_IFBLK:
		return "block";
	case S_IFIFO:
		return "pipe";
	case S_IFSOCK:
		return "socket";
	default:
		return "anon";
	}
}

static void access_of(pid_t pid, const char *fd, long long *pos, unsigned *flags)
{
	char file[40], line[128];
	FILE *f;

	*pos = 0;
	*flags = 0;
	snprintf(file, sizeof file, "fdinfo/%s", fd);
	f = cmd_proc_open(pid, 0, file);
	while (f && fgets(line, sizeof line, f)) {
		sscanf(line, "pos: %lld", pos);
		sscanf(line, "flags: %o", flags);
	}
	if (f)
		fclose(f);
}

static void say_file(pid_t pid, int folder, const char *fd)
{
	static const char *const words[] = {"r", "w", "rw", "path"};
	char to[4097], mode[32];
	ssize_t n = readlinkat(folder, fd, to, sizeof to - 1);
	struct stat st = {0};
	long long pos;
	unsigned flags;

	if (n < 0 || fstatat(folder, fd, &st, 0)) /* closed meanwhile */
		return;
	to[n] = 0;
	make_printable(to);
	access_of(pid, fd, &pos, &flags);
	snprintf(mode, sizeof mode, "%s%s%s%s", words[flags & O_PATH ? 3 : flags & 3],
		flags & O_APPEND ? ",append" : "", flags & O_NONBLOCK ? ",nonblock" : "",
		flags & O_CLOEXEC ? ",cloexec" : "");
	printf("%5s %-10s %-20s %12lld  %s\n", fd, type_of(&st), mode, pos, to);
}

static int files(pid_t pid)
{
	char path[40];
	struct dirent **at;
	int n, folder;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n = folder < 0 ? -1 : scandir(path, &at, NULL, versionsort);
	if (n >= 0) {
		printf("%5s %-10s %-20s %12s  %s\n", "FD", "TYPE", "MODE", "OFFSET",
			"NAME");
		for (int i = 0; i < n; free(at[i++]))
			if (at[i]->d_name[0] != '.')
				say_file(pid, folder, at[i]->d_name);
		free(at);
	}
	if (folder >= 0)
		close(folder);
	return n < 0 ? -1 : 0;
}

/* --------------------------------------------------------------------- tree */

struct forest {
	struct cmd_task *at;
	size_t n;
};

static void say_branch(const struct forest *f, pid_t pid, int depth)
{
	char command[200];

	cmd_command(pid, command, sizeof command);
	printf("%*s%d %s\n", depth * 2, "", (int)pid, command);
	if (depth > 1000) /* two looks at a time make no loop of it */
		return;
	for (size_t i = 0; i < f->n; i++)
		if (f->at[i].parent == pid && f->at[i].pid != pid)
			say_branch(f, f->at[i].pid, depth + 1);
}

static const struct cmd_task *find(const struct forest *f, pid_t pid)
{
	const struct cmd_task key = {.tid = pid};

	return bsearch(&key, f->at, f->n, sizeof *f->at, by_id);
}

/* Those above it, the first process (and what has none) left out; their number. */
static int say_parents(const struct forest *f, pid_t pid, int levels)
{
	const struct cmd_task *t = find(f, pid);
	char command[200];
	int depth;

	if (!t || pid <= 1 || levels > 1000)
		return 0;
	depth = say_parents(f, t->parent, levels + 1);
	cmd_command(pid, command, sizeof command);
	printf("%*s%d %s\n", depth * 2, "", (int)pid, command);
	return depth + 1;
}

static int tree(pid_t pid)
{
	struct forest f;
	const struct cmd_task *t;

	f.at = list("/proc", 0, &f.n);
	if (!f.at)
		return -1;
	t = pid ? find(&f, pid) : NULL;
	if (t)
		say_branch(&f, pid, say_parents(&f, t->parent, 0));
	for (size_t i = 0; !pid && i < f.n; i++)
		if (!find(&f, f.at[i].parent))
			say_branch(&f, f.at[i].pid, 0);
	free(f.at);
	errno = pid && !t ? ENOENT : 0;
	return pid && !t ? -1 : 0;
}

/* ----------------------------------------------------------------- dispatch */

static const struct look {
	const char *name, *verb;
	int (*each)(pid_t); /* -1: errno tells */
	int heading;
} looks[] = {{"maps", "show the maps of", maps, 1},
	{"threads", "show the threads of", threads, 1},
	{"files", "show the files of", files, 1}, {"tree", "show the tree of", tree, 0}};

static int look_at(const struct look *l, const char *arg)
{
	char command[200];
	struct cmd_task t;
	pid_t pid;

	if (cmd_parse_pid(arg, &pid))
		return cmd_failed(l->verb, arg, "that is no process ID");
	if (cmd_task_read(pid, 0, &t))
		return cmd_failed(l->verb, arg, "no such process");
	if (t.state == 'Z' && l->heading)
		return cmd_failed(l->verb, arg, "it has ended");
	if (l->heading) {
		cmd_command(pid, command, sizeof command);
		printf("%d:\t%s\n", (int)pid, command);
	}
	if (l->each(pid) == 0)
		return 0;
	return cmd_failed(l->verb, arg,
		errno == ENOENT || errno == ESRCH ? "no such process" : strerror(errno));
}

int cmd_look(const char *tool, char **args)
{
	const struct look *l = looks, *end = looks + sizeof looks / sizeof looks[0];
	int bad = 0;

	while (l < end && strcmp(tool, l->name) != 0)
		l++;
	if (l == end)
		return -1;
	if (*args ? **args == '-' : l->heading) {
		fprintf(stderr, "Usage: dtproc %s %s\n", l->name,
			l->heading ? "pid..." : "[pid...]");
		return CMD_USAGE;
	}
	if (!*args)
		bad = tree(0) ? cmd_failed(l->verb, "all", strerror(errno)) : 0;
	for (; *args; args++)
		bad |= look_at(l, *args);
	return bad ? CMD_FATAL : CMD_OK;
}
