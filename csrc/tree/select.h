/* SPDX-License-Identifier: MIT */
/* A part of a profile as a profile. */
#ifndef HP_TREE_SELECT_H
#define HP_TREE_SELECT_H

#include "tree/profile.h"

/* The samples that were taken in one of the states (bit `1 << state`), in a new profile, which the caller frees. Exact times and counts
 * have no state and are left out. The threads' own numbers stay those of the whole: shares and errors are of all of a thread's samples, so
 * an error bar says how well the time in these states is known. Where the runs are broken up by state nobody counted them; the cautious
 * number stands in. */
hp_status hp_profile_select(const hp_profile *from, uint32_t states, hp_profile **out);

#endif
