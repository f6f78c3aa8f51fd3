/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a rule of docs/process-control.md is upheld: `if (RULE(A5, surplus) ...`.  Always
 * true, but in the build of `make check-mutations`, where the environment takes out the
 * one that DTPROC_WITHOUT names ("A5.surplus") and a test has to notice
 * (tests/mutations.txt).
 */
#ifndef BASE_RULE_H
#define BASE_RULE_H

#ifdef DTPROC_MUTATIONS
#define RULE(rule, part) rule_stands(#rule "." #part)
int rule_stands(const char *name);
#else
#define RULE(rule, part) 1
#endif

#endif
