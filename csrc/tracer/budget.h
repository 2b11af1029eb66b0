/* SPDX-License-Identifier: MIT */
/* What tracing may cost: a share of one core's time. Over it, a smaller share of the targets' outermost calls is traced; within it, a
 * larger one again. Looked at where an outermost call of a target begins, at most every 250 ms. A call that is being traced is not cut
 * short, so one call that lasts may go over. Guarded by: GIL. */
#ifndef HP_TRACER_BUDGET_H
#define HP_TRACER_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define HP_BUDGET_ALL ((uint64_t)1 << 32)

struct hp_tracer;

typedef struct hp_budget {
    double share;    /* 0: no budget */
    uint64_t chosen; /* of 2^32: the share of outermost calls to trace, times their own rate */
    bool was_cut;    /* `chosen` was below all of them at some time */
    hp_timebase began;
    int64_t window_began_ns;
    uint64_t window_began_events;
} hp_budget;

void hp_budget_init(hp_budget *budget, double share);
/* An outermost call of a target is about to begin. */
void hp_budget_look(struct hp_tracer *tracer);

/* The threshold of a 32-bit random number below which a call with this threshold of its own is traced. */
static inline uint64_t hp_budget_threshold(const hp_budget *budget, uint64_t threshold) {
    return budget->chosen == HP_BUDGET_ALL ? threshold : (uint64_t)((double)threshold * ((double)budget->chosen / (double)HP_BUDGET_ALL));
}

#endif
