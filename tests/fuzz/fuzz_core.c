/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a core file: its threads are walked and their addresses named. */
#include <stack/stack.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM 32

static void walk(struct stack_core *core, const struct stack_core_thread *t)
{
	const struct stack_view view = {stack_core_space(core), STACK_NOW};
	const struct stack_source source = stack_view_source(&view);
	struct stack_frame frames[ROOM];
	struct stack_walker *w;
	struct stack_regs regs;
	struct stack_name name;
	enum stack_end end;

	if (stack_walker_create(&source, &w))
		abort();
	stack_regs_from(&t->regs, &regs);
	size_t n = stack_walk(w, &regs, frames, ROOM, &end);

	if (n < 1 || n > ROOM)
		abort();
	for (size_t i = 0; i < n; i++)
		(void)stack_space_name(
			stack_core_space(core), frames[i].pc, STACK_NOW, &name);
	stack_walker_destroy(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	const struct stack_core_thread *threads;
	struct stack_core *core;
	char path[32];
	size_t n;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (stack_core_open(path, &core) == 0) {
		threads = stack_core_threads(core, &n);
		for (size_t i = 0; i < n && i < 4; i++)
			walk(core, &threads[i]);
		stack_core_close(core);
	}
	close(fd);
	return 0;
}
