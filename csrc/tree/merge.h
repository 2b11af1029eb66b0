/* SPDX-License-Identifier: MIT */
/* Many finished profiles to one.
 *
 * The result depends on which profiles were added and on nothing else: not on their order, nor on which of them had been merged before. For
 * that every number is a sum, a largest or a smallest value, or a set; what is a list is put into an order of its own at the end; and
 * metadata is computed from the list of sources, which each merged profile carries. A profile counts once, known by its id.
 *
 * Threads are folded by name, each run of digits in it taken for one `*`: ten thousand processes with twenty threads each give a tree of
 * some ten threads, not of two hundred thousand, and the workers of a pool are one. Beyond HP_MERGE_THREADS different names, the last in
 * the order of bytes are one, `<other threads>`. So the result grows with the different stacks, not with the number of profiles.
 *
 * Error bars: threads are independent, so their variances add. A profile's own are computed as it is added, while it is known for what time
 * its samples stand, and travel with the estimates.
 *
 * Memory: the sum and one profile; at the end, twice the sum. Owner: one thread. */
#ifndef HP_TREE_MERGE_H
#define HP_TREE_MERGE_H

#include "tree/profile.h"

enum { HP_MERGE_THREADS = 1000, HP_MERGE_WARNINGS = 100, HP_MERGE_TEXTS = 8 };

typedef struct hp_merge hp_merge;

hp_status hp_merge_new(hp_merge **out);
void hp_merge_free(hp_merge *merge);

/* Adds all of a finished profile, whose rows may be missing. `*added` is false where every one of its sources is in already. HP_BAD_VALUE
 * and a sentence, and nothing added, where it cannot be: another clock, some of its sources in already, no calling contexts, sums beyond 64
 * bits. After HP_NO_MEMORY the merge is good for nothing but hp_merge_free. */
hp_status hp_merge_add(hp_merge *merge, const hp_profile *profile, bool *added, hp_error *error);
/* A file that could not be read: counted, and its sentence is a warning of the result. */
hp_status hp_merge_leave_out(hp_merge *merge, const char *sentence);
/* The result, summarized, for the caller to free; the merge may go on. */
hp_status hp_merge_finish(hp_merge *merge, hp_profile **out, hp_error *error);

/* The sources of a profile: its own list, or itself. */
static inline const hp_meta *hp_profile_sources(const hp_profile *profile, uint32_t *count) {
    *count = profile->source_count > 0 ? profile->source_count : 1;
    return profile->source_count > 0 ? profile->sources : &profile->meta;
}

#endif
