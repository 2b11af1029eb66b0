/* SPDX-License-Identifier: MIT */
/* Shared by merge.c (adding) and merge_finish.c (order). */
#ifndef HP_TREE_MERGE_PRIVATE_H
#define HP_TREE_MERGE_PRIVATE_H

#include "base/strings.h"
#include "tree/merge.h"
#include "tree/totals.h"

/* Invariant: `sum` holds everything added, ids in order of arrival; string i of `threads` is the name of its thread i; `ids` has the ids of
 * its sources; `warnings` are sorted, and different. */
struct hp_merge {
    hp_profile *sum;
    hp_strings *ids;
    hp_strings *threads;
    const char *last_thread; /* names behind it are `<other threads>`; NULL: none is */
    const char *warnings[HP_MERGE_WARNINGS];
    uint32_t warning_count;
    bool warnings_lost;
    bool spoiled; /* memory was short in the midst of adding */
    hp_totals totals;
    /* From the ids of the profile being added to those of `sum`; kept from profile to profile. */
    uint32_t *functions, *nodes, *thread_map;
    uint32_t function_capacity, node_capacity, thread_capacity;
};

#define HP_MERGE_OTHER_THREADS "<other threads>"
#define HP_MERGE_WARNINGS_LOST "warnings of merged profiles beyond 100 different ones were left out"

/* tree/merge_finish.c: everything in an order that depends on nothing but itself. */
hp_status hp_merge_order(const hp_profile *sum, hp_profile *out);
/* tree/merge_meta.c: `out->meta` from its sources, which are sorted. */
hp_status hp_merge_meta(hp_profile *out);

#endif
