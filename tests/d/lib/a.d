/* SPDX-License-Identifier: BSD-2-Clause */
#pragma D depends_on library b.d
translator info_t < int n > { twice = n * 2; name = "number"; };
inline int LIMIT = FOUR + 1;
