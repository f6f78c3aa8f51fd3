/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Failures that pass: a signal came, or the kernel was short of something for a moment.
 * For what cannot be reported and left undone (text to be restored, a message that keeps
 * two sides in step, a thread that is ours already):
 *
 *	for (unsigned tries = 0; (n = pwrite(...)) < 0 && retry_after(errno, &tries);)
 *		;
 */
#ifndef BASE_RETRY_H
#define BASE_RETRY_H

/*
 * 1: try again, 0: it will not pass.  Naps in between, longer each time; after `tries` of
 * them, an eighth of a second in all, it gives up.
 */
int retry_after(int eno, unsigned *tries);

#endif
