/* SPDX-License-Identifier: BSD-2-Clause */
typedef struct info { int twice; string name; } info_t;
inline int FOUR = 4;
