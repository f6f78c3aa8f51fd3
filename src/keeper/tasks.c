/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of traced threads. */
#include "keeper.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct task *task_get(struct keeper *k, pid_t tid)
{
	return hash_get(&k->tasks, (uint64_t)tid);
}

/* With room for its hits, which a client may be waiting for: none may be lost later. */
static struct task *task_new(struct keeper *k, pid_t tid)
{
	struct task *t = calloc(1, sizeof *t);

	if (t &&
		!vec_reserve((void **)&k->hits.at, &k->hits.room, 2 * (k->tasks.n + 1),
			sizeof *k->hits.at) &&
		!hash_put(&k->tasks, (uint64_t)tid, t))
		return t;
	free(t);
	return NULL;
}

struct task *task_add(struct keeper *k, pid_t tid, pid_t tgid)
{
	struct task *t = task_get(k, tid);

	if (t)
		return t;
	/* It is traced already: without us it would die of a trap. */
	for (unsigned tries = 0; !(t = task_new(k, tid));) {
		if (!retry_after(ENOMEM, &tries)) {
			err_nomem("a thread of the victim");
			return NULL;
		}
	}
	t->tid = tid;
	t->tgid = tgid;
	t->sharer = tgid != k->pid;
	return t;
}

void task_drop(struct keeper *k, pid_t tid)
{
	free(hash_take(&k->tasks, (uint64_t)tid));
}

int tasks_left(struct keeper *k)
{
	hash_each(&k->tasks, i)
		if (!((struct task *)k->tasks.slots[i].value)->sharer)
			return 1;
	return 0;
}

struct task *task_stopped(struct keeper *k)
{
	hash_each(&k->tasks, i) {
		struct task *t = k->tasks.slots[i].value;
		if (t->run == TASK_STOPPED && !t->sharer)
			return t;
	}
	return NULL;
}

FILE *proc_open(const char *fmt, ...)
{
	char path[64];
	unsigned tries = 0;
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(path, sizeof path, fmt, ap);
	va_end(ap);
	do {
		f = fopen(path, "re");
	} while (!f && retry_after(errno, &tries));
	return f;
}

char task_state(pid_t tid)
{
	char buf[256], *p;
	FILE *f = proc_open("/proc/%d/stat", tid);

	if (!f)
		return 'X';
	size_t n = fread(buf, 1, sizeof buf - 1, f);
	fclose(f);
	buf[n] = 0;
	p = strrchr(buf, ')');
	return p && p[1] ? p[2] : 'X';
}

int task_times(pid_t tid, uint64_t *run, uint64_t *wait)
{
	FILE *f = proc_open("/proc/%d/schedstat", tid);
	int got = f ? fscanf(f, "%lu %lu", run, wait) : 0;

	if (f)
		fclose(f);
	return got == 2 ? 0 : -1;
}

dtproc_addr task_auxv(pid_t tid, uint64_t type)
{
	char path[64];
	Elf64_auxv_t aux;
	dtproc_addr value = 0;

	snprintf(path, sizeof path, "/proc/%d/auxv", tid);
	CLEAN_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	while (read(fd, &aux, sizeof aux) == sizeof aux && aux.a_type != AT_NULL)
		if (aux.a_type == type)
			value = aux.a_un.a_val;
	return value;
}

long task_status(pid_t tid, const char *field)
{
	char line[256];
	size_t len = strlen(field);
	long value = -1;
	FILE *f = proc_open("/proc/%d/status", tid);

	if (!f)
		return -1;
	while (value < 0 && fgets(line, sizeof line, f))
		if (!strncmp(line, field, len))
			sscanf(line + len, "%ld", &value);
	fclose(f);
	return value;
}

uint64_t task_mask(pid_t tid, const char *field)
{
	char line[256];
	unsigned long value = 0;
	size_t len = strlen(field);
	FILE *f = proc_open("/proc/%d/status", tid);

	if (!f)
		return 0;
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, field, len) && sscanf(line + len, "%lx", &value) == 1)
			break;
	fclose(f);
	return value;
}
