/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machine code of a program: what a CPU brings, beside compile.c that brings memory.
 * To add a CPU: <cpu>-machine.c with these two, and its name in meson.build.
 *
 * The code may not use more than general registers: the victim's others are not saved
 * where it is to run.  It keeps no absolute address but those of helpers and constants.
 */
#ifndef BPF_MACHINE_H
#define BPF_MACHINE_H

#include "program.h"

/* The code as C sees it: runs for a hit, and says at which instruction it ended. */
typedef uint32_t bpf_machine_fn(struct rt_hit *);

/* Bytes that the code of `p` cannot exceed. */
size_t bpf_machine_room(const struct bpf_program *p);
/* Writes it to memory of so many bytes; bytes written, or 0: out of memory. */
size_t bpf_machine_write(const struct bpf_program *p, uint8_t *to);

#endif
