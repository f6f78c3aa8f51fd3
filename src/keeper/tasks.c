/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of traced threads. */
#include "keeper.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct task *task_get(struct keeper *k, pid_t tid)
{
	return hash_get(&k->tasks, (uint64_t)tid);
}

struct task *task_add(struct keeper *k, pid_t tid, pid_t tgid)
{
	struct task *t = task_get(k, tid);

	if (t)
		return t;
	t = calloc(1, sizeof *t);
	if (!t || hash_put(&k->tasks, (uint64_t)tid, t)) {
		free(t);
		err_nomem("a thread of the victim");
		return NULL;
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

char task_state(pid_t tid)
{
	char path[64], buf[256], *p;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", tid);
	f = fopen(path, "re");
	if (!f)
		return 'X';
	size_t n = fread(buf, 1, sizeof buf - 1, f);
	fclose(f);
	buf[n] = 0;
	p = strrchr(buf, ')');
	return p && p[1] ? p[2] : 'X';
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
	char path[64], line[256];
	size_t len = strlen(field);
	long value = -1;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", tid);
	f = fopen(path, "re");
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
	char path[64], line[256];
	unsigned long value = 0;
	size_t len = strlen(field);
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, field, len) && sscanf(line + len, "%lx", &value) == 1)
			break;
	fclose(f);
	return value;
}
