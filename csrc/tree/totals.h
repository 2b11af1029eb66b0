/* SPDX-License-Identifier: MIT */
/* What the numbers of profiles add up to. Rows, edges, formats and viewers add in 64 bits, and a sum that wrapped looks like any other:
 * where the totals fit every sum of parts does, so whoever lets a profile in (a reader, a merge) looks at these once. */
#ifndef HP_TREE_TOTALS_H
#define HP_TREE_TOTALS_H

#include "tree/profile.h"

/* By kind of number. Sums saturate: UINT64_MAX is no sum but one that did not fit. */
typedef struct hp_totals {
    uint64_t samples, calls, times; /* of nodes, or of rows; times of all sorts together, as they are shown */
    uint64_t thread_samples, thread_traced_samples, thread_measured, thread_times, thread_unresolved;
} hp_totals;

/* What did not fit, as a sentence has it ("times (ns)"); NULL: all did. Of a table also what is too large by itself counts. */
const char *hp_totals_add(hp_totals *totals, const hp_profile *profile);

static inline uint64_t hp_add_saturated(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif
