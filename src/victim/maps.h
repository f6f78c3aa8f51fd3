/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory map of a live process, from /proc/PID/maps. */
#ifndef VICTIM_MAPS_H
#define VICTIM_MAPS_H

#include <base/err.h>

/* More mappings than this are an error, not a loop (vm.max_map_count is 65530). */
#define VICTIM_MAPS_MAX 262144

enum victim_map_prot {
	VICTIM_MAP_READ = 1 << 0,
	VICTIM_MAP_WRITE = 1 << 1,
	VICTIM_MAP_EXEC = 1 << 2,
	VICTIM_MAP_SHARED = 1 << 3,
	VICTIM_MAP_DELETED = 1 << 4, /* its file has no name any more */
};

struct victim_map {
	dtproc_addr start, end; /* end: first address behind it */
	uint64_t offset;        /* in the file */
	uint64_t dev, inode;    /* dev as makedev(); inode 0: no file */
	unsigned flags;         /* enum victim_map_prot */
	const char *path;       /* "" for anonymous memory; "[heap]" and the like */
};

struct victim_maps {
	struct victim_map *at; /* by address, without overlap */
	size_t n, room;
	char *names; /* what `path` points into, but for those that came by an update */
	size_t names_len;
};

/* Reads all mappings; the caller frees the result.  ENOPROC, EPERM, ESYS, ELIMIT. */
int victim_maps_read(pid_t pid, struct victim_maps *out) MUST_USE;
/* The same from text of `len` bytes that nobody has vouched for. */
int victim_maps_parse(const char *text, size_t len, struct victim_maps *out) MUST_USE;
/*
 * Is this mapping, seen earlier, still there as it was?  Asks the kernel for it alone
 * (Linux 6.11); 0 also when that cannot be told.
 */
int victim_maps_still(pid_t pid, const struct victim_map *);
void victim_maps_free(struct victim_maps *);
/*
 * The first mapping of a file's code that ends behind `from` and begins before `to`,
 * asked for alone (Linux 6.11; else all are read).  Its path is the caller's:
 * victim_map_free(). ERANGE: there is none.
 */
int victim_maps_code(
	pid_t pid, dtproc_addr from, dtproc_addr to, struct victim_map *out) MUST_USE;
void victim_map_free(struct victim_map *);
/*
 * The mapping that holds an address, of whatever kind, by a descriptor of
 * victim_maps_open(); as above.  ESYS: the kernel cannot be asked for one (Linux 6.11).
 */
int victim_maps_ask(int fd, dtproc_addr at, struct victim_map *out) MUST_USE;
/*
 * Forgets what was mapped in [from, to) and puts the code there that is mapped now; `fd`
 * is one of victim_maps_open().
 */
int victim_maps_update(pid_t pid, int fd, struct victim_maps *, dtproc_addr from,
	dtproc_addr to) MUST_USE;
/* A descriptor of the maps of the present image, for that; -1. */
int victim_maps_open(pid_t pid);
/* The first that ends behind `addr`, or the end of the array. */
const struct victim_map *victim_maps_behind(const struct victim_maps *, dtproc_addr addr);
/* The mapping that holds `addr`, or NULL.  Borrowed. */
const struct victim_map *victim_maps_find(const struct victim_maps *, dtproc_addr addr);

#endif
