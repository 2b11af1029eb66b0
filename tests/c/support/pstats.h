/* SPDX-License-Identifier: MIT */
/* Asking a profile by names, and the round trip that every profile read from pstats must stand. */
#ifndef HP_TESTS_SUPPORT_PSTATS_H
#define HP_TESTS_SUPPORT_PSTATS_H

#include "formats/format.h"

/* The row of the function of this name, NULL if there is none; fails if there are two. */
const hp_row *row_of(const hp_profile *profile, const char *name);
/* `caller` "": the root. */
const hp_edge *edge_of(const hp_profile *profile, const char *caller, const char *callee);
/* What is read back has the rows that were written, and written again it is the same file. Only the marker's remark on functions that are
 * both exact and sampled is lost: the file cannot say which they are. */
void assert_round_trip(const hp_profile *profile, bool unique_keys);

#endif
