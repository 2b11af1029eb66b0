/* SPDX-License-Identifier: MIT */
/* Samples in the order of time, where that was asked for: which stack a thread had when, and for how much of its time the sample stands.
 *
 * Moments are of sampled time alone: beneath targets there are none, as there the exact tree has the time. A node tells its thread, so a
 * moment names none. Sorted by time. */
#ifndef HP_TREE_TIMELINE_H
#define HP_TREE_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "tree/call_tree.h"

/* What times are rounded to. An interval of 10 ms at random needs some 9 bits then, and rounding never adds up: weights are differences of
 * rounded times. */
enum { HP_MOMENT_NS = 50000 };
#define HP_MOMENT_TIME_LIMIT (INT64_MAX / HP_MOMENT_NS) /* times in ns are numbers of 63 bits */

typedef struct hp_moment {
    uint64_t time; /* since the session began, when the sample was taken: the end of what it stands for. In HP_MOMENT_NS */
    uint32_t node;
    uint32_t weight; /* in HP_MOMENT_NS */
} hp_moment;

/* Owner: the profile. All zero: there is none. */
typedef struct hp_timeline {
    hp_moment *moments;
    uint32_t count, capacity;
    uint64_t lost; /* samples that were taken and are not in it: the bound on memory was reached, or their stack has another name now */
    uint64_t next; /* while it is measured: the number of the first sample that it does not have */
    bool kept;     /* it was asked for */
} hp_timeline;

void hp_timeline_fini(hp_timeline *timeline);
hp_status hp_timeline_reserve(hp_timeline *timeline, uint32_t more);
/* Room was reserved. */
static inline void hp_timeline_append(hp_timeline *timeline, hp_moment moment) {
    timeline->moments[timeline->count++] = moment;
}
/* `map`: from nodes to nodes, UINT32_MAX for what is left out and lost. */
void hp_timeline_map(hp_timeline *timeline, const uint32_t *map);

/* Thread by thread, each in the order of time; moments that stand for nothing are left out. `order` from starts[i] to starts[i + 1] are
 * places of moments beneath roots[i], by rising root. Owner: whoever asked. */
typedef struct hp_timeline_parts {
    uint32_t *order, *roots, *starts;
    uint32_t count;
} hp_timeline_parts;
/* HP_NO_MEMORY: free it all the same. */
hp_status hp_timeline_split(const hp_timeline *timeline, const hp_tree *tree, hp_timeline_parts *parts);
void hp_timeline_parts_fini(hp_timeline_parts *parts);

/* What a moment stands for, ns: from when, and not from before what the moment ahead of it in its thread stands for, to when. Files may
 * claim any weight: what would lie beyond the moment's own time is cut off, so that no sum of lengths passes the last time. */
static inline uint64_t hp_moment_begin_ns(const hp_moment *moment, uint64_t not_before) {
    uint64_t begin = moment->time > moment->weight ? (moment->time - moment->weight) * HP_MOMENT_NS : 0;
    return begin > not_before ? begin : not_before;
}
static inline uint64_t hp_moment_end_ns(const hp_moment *moment) {
    return moment->time * HP_MOMENT_NS;
}

#endif
