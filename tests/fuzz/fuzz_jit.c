/* SPDX-License-Identifier: BSD-2-Clause */
/* Files with the names of generated code: any bytes, as both of their forms. */
#include <object/object.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_as(int fd, enum object_jit_form form, const uint8_t *data, size_t size)
{
	struct object_jit *j;
	uint64_t at = 0, start, len;

	if (object_jit_create(&j) || object_jit_read(j, fd, form))
		abort();
	for (size_t i = 0; i + 8 <= size; i += 8) {
		memcpy(&at, data + i, sizeof at);
		const char *name = object_jit_at(j, at, &start, &len);

		if (name && (at - start >= len || !*name))
			abort();
	}
	object_jit_destroy(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	read_as(fd, OBJECT_JIT_MAP, data, size);
	read_as(fd, OBJECT_JIT_DUMP, data, size);
	close(fd);
	return 0;
}
