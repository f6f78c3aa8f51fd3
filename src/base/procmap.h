/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking /proc/PID/maps for one mapping (Linux 6.11), as of <linux/fs.h> there. */
#ifndef BASE_PROCMAP_H
#define BASE_PROCMAP_H

#include <stdint.h>
#include <sys/ioctl.h>

/* Flags: of the mapping (the first four are what is wanted, too), and what is wanted. */
enum procmap_flags {
	PROCMAP_READ = 1 << 0,
	PROCMAP_WRITE = 1 << 1,
	PROCMAP_EXEC = 1 << 2,
	PROCMAP_SHARED = 1 << 3,
	PROCMAP_OR_NEXT = 1 << 4, /* else: that holds addr */
	PROCMAP_FILE = 1 << 5,
};

struct procmap {
	uint64_t size, flags, addr;
	uint64_t start, end, map_flags, page_size, offset, inode;
	uint32_t dev_major, dev_minor, name_size, build_id_size;
	uint64_t name_addr, build_id_addr;
};

/* ioctl(2) of a descriptor of maps; ENOENT: there is none, ENOTTY: an older kernel. */
#define PROCMAP_ASK _IOWR('f', 17, struct procmap)

#endif
