/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Symbols that were stripped off a file: a debug file of the same build-id, the one that
 * .gnu_debuglink names, .gnu_debugdata in the file itself (xz), and last a debuginfod
 * server, when the user has named one (DEBUGINFOD_URLS).
 */
#include <dlfcn.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <limits.h>
#include <lzma.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <base/clean.h>
#include "own.h"

#define DEBUGDATA_MAX (256u << 20)
#define LZMA_MEMORY (128u << 20)
#define DEBUG_FOLDER "/usr/lib/debug"

struct wanted {
	const char *path;
	const void *id;
	size_t id_len; /* 0: it has none */
	const char *link;
	uint32_t crc;
};

static int has_symbols(Elf *elf)
{
	GElf_Shdr sh;

	for (Elf_Scn *s = elf_nextscn(elf, NULL); s; s = elf_nextscn(elf, s))
		if (gelf_getshdr(s, &sh) && sh.sh_type == SHT_SYMTAB && sh.sh_size)
			return 1;
	return 0;
}

/* The checksum of .gnu_debuglink: CRC-32 as of IEEE 802.3. */
static uint32_t checksum(int fd)
{
	static uint32_t table[256]; /* filled in alike by whoever comes first */
	unsigned char bytes[16384];
	uint32_t crc = ~0u;
	ssize_t got;

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
		__atomic_store_n(&table[i], c, __ATOMIC_RELAXED);
	}
	for (off_t at = 0; (got = pread(fd, bytes, sizeof bytes, at)) > 0; at += got)
		for (ssize_t i = 0; i < got; i++)
			crc = table[(crc ^ bytes[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}

static int is_same(const struct wanted *w, Elf *elf, int fd)
{
	const void *id;
	ssize_t len = dwelf_elf_gnu_build_id(elf, &id);

	if (w->id_len)
		return len == (ssize_t)w->id_len && !memcmp(id, w->id, w->id_len);
	return checksum(fd) == w->crc;
}

/* Takes an open file if it has symbols and is the one.  1: it is. */
static int take_file(const struct wanted *w, int *fd, struct object_more *out)
{
	Elf *elf = elf_begin(*fd, ELF_C_READ, NULL);

	if (!elf)
		return 0;
	if (elf_kind(elf) != ELF_K_ELF || !has_symbols(elf) || !is_same(w, elf, *fd)) {
		elf_end(elf);
		return 0;
	}
	*out = (struct object_more){.elf = elf, .fd = TAKE_FD(*fd)};
	return 1;
}

static int try_path(const struct wanted *w, const char *path, struct object_more *out)
{
	CLEAN_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return 0;
	return take_file(w, &fd, out);
}

static int by_build_id(const struct wanted *w, struct object_more *out)
{
	char path[PATH_MAX];
	const unsigned char *id = w->id;
	int n = snprintf(path, sizeof path, DEBUG_FOLDER "/.build-id/%02x/",
		w->id_len ? id[0] : 0);

	if (w->id_len < 2 || w->id_len > 64)
		return 0;
	for (size_t i = 1; i < w->id_len; i++)
		n += snprintf(path + n, sizeof path - (size_t)n, "%02x", id[i]);
	snprintf(path + n, sizeof path - (size_t)n, ".debug");
	return try_path(w, path, out);
}

static int by_link(const struct wanted *w, struct object_more *out)
{
	static const char *const forms[] = {
		"%.0s%.*s/%s", "%.0s%.*s/.debug/%s", "%s%.*s/%s"};
	const char *slash = strrchr(w->path, '/');
	char path[PATH_MAX];

	if (!w->link || !slash || !w->link[0] || strchr(w->link, '/'))
		return 0;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		snprintf(path, sizeof path, forms[i], DEBUG_FOLDER,
			(int)(slash - w->path), w->path, w->link);
		if (strcmp(path, w->path) != 0 && try_path(w, path, out))
			return 1;
	}
	return 0;
}

/* Unpacks what an xz stream of `len` bytes holds; NULL: it is corrupt or too large. */
static char *unpack(const void *packed, size_t len, size_t *size)
{
	lzma_stream z = LZMA_STREAM_INIT;
	size_t room = len * 4 + 65536;
	char *bytes = malloc(room);
	lzma_ret got = bytes ? lzma_stream_decoder(&z, LZMA_MEMORY, 0) : LZMA_MEM_ERROR;

	z.next_in = packed;
	z.avail_in = len;
	while (got == LZMA_OK) {
		if (z.total_out == room && room < DEBUGDATA_MAX) {
			char *more = realloc(bytes, room *= 2);

			if (!more)
				break;
			bytes = more;
		}
		z.next_out = (uint8_t *)bytes + z.total_out;
		z.avail_out = room - z.total_out;
		got = z.avail_out ? lzma_code(&z, LZMA_FINISH) : LZMA_MEM_ERROR;
	}
	*size = z.total_out;
	lzma_end(&z);
	if (got == LZMA_STREAM_END)
		return bytes;
	free(bytes);
	return NULL;
}

static int take_bytes(char **bytes, size_t size, struct object_more *out)
{
	Elf *elf = elf_memory(*bytes, size);

	if (!elf)
		return 0;
	*out = (struct object_more){.elf = elf, .fd = -1, .bytes = TAKE_PTR(*bytes)};
	return 1;
}

/* The file's own, packed symbols. */
static int by_debugdata(Elf *elf, struct object_more *out)
{
	size_t names, size;
	GElf_Shdr sh;

	if (elf_getshdrstrndx(elf, &names))
		return 0;
	for (Elf_Scn *s = elf_nextscn(elf, NULL); s; s = elf_nextscn(elf, s)) {
		const char *name =
			gelf_getshdr(s, &sh) ? elf_strptr(elf, names, sh.sh_name) : NULL;

		if (!name || strcmp(name, ".gnu_debugdata") != 0)
			continue;
		const Elf_Data *d = elf_rawdata(s, NULL);

		if (!d || !d->d_buf || d->d_size > DEBUGDATA_MAX / 4)
			return 0;
		CLEAN_FREE char *bytes = unpack(d->d_buf, d->d_size, &size);

		return bytes ? take_bytes(&bytes, size, out) : 0;
	}
	return 0;
}

/* A server's, if the user named one.  libdebuginfod bounds its own waiting. */
static int by_server(const struct wanted *w, struct object_more *out)
{
	const char *urls = getenv("DEBUGINFOD_URLS");
	void *lib = urls && *urls && w->id_len
			    ? dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL)
			    : NULL;
	void *(*begin)(void) = lib ? dlsym(lib, "debuginfod_begin") : NULL;
	int (*find)(void *, const unsigned char *, int, char **) =
		lib ? dlsym(lib, "debuginfod_find_debuginfo") : NULL;
	void (*end)(void *) = lib ? dlsym(lib, "debuginfod_end") : NULL;
	void *client = begin && find && end ? begin() : NULL;
	CLEAN_FD int fd = client ? find(client, w->id, (int)w->id_len, NULL) : -1;

	if (client)
		end(client);
	return fd >= 0 ? take_file(w, &fd, out) : 0;
}

int object_more_open(void *elf, const char *path, struct object_more *out)
{
	GElf_Word crc = 0;
	const void *id = NULL;
	ssize_t len = dwelf_elf_gnu_build_id(elf, &id);
	struct wanted w = {.path = path, .id = id, .id_len = len < 0 ? 0 : (size_t)len};

	w.link = dwelf_elf_gnu_debuglink(elf, &crc);
	w.crc = crc;
	return by_build_id(&w, out) || by_link(&w, out) || by_debugdata(elf, out) ||
	       by_server(&w, out);
}

void object_more_close(struct object_more *m)
{
	elf_end(m->elf);
	clean_fd(&m->fd);
	free(m->bytes);
}
