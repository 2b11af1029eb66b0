/* SPDX-License-Identifier: MIT */
/* What tracing may cost: a share of one core's time, counted in windows of 250 ms.
 *
 * The cost is counted as events come, in units, so that a call which lasts is no way round it: as soon as a window's allowance is spent,
 * in the midst of whatever runs, tracing sheds load. First functions lose their events, those that tell least of the time for what they
 * cost (the sampler still sees them); where that is not enough, or the hook cannot, extents that are under way end there, and a smaller
 * share of the targets' outermost calls is traced from then on. In windows that leave half of the allowance the share doubles; functions
 * get their events back after ten of those, and may lose them again. Events that meet a closed gate cost the program too and count.
 *
 * Where calls of a target are so many that leaving them out costs too much, the target itself loses its events for a while.
 *
 * Everything can be traced within a budget too: each function has events of its own then, and loses them when they cost too much. Where
 * that is not enough, because functions that extents began with a short while ago are called all the time, nothing is traced for ten
 * windows.
 *
 * Beside that share there may be a limit for each outermost call of a target: events, of which a call has two. The stretches of a
 * coroutine's or generator's call count together.
 *
 * Guarded by: GIL. */
#ifndef HP_TRACER_BUDGET_H
#define HP_TRACER_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define HP_BUDGET_ALL ((uint64_t)1 << 32)

/* Costs in units. Measured (ns added to a call, quiet machine): gated 29, 33 and 34, traced 51, 50 and 49 on 3.12, 3.13 and 3.15: most of
 * both is the interpreter's way to the callbacks. A call whose caller was not on top of the shadow stack is a traced one and what finding
 * the caller took, by the clock: that depends on the depth, and where the budget spares functions most calls may be such. What meeting a
 * function and giving it events costs is a guess. */
enum { HP_UNITS_GATED = 2, HP_UNITS_TRACED = 3, HP_UNITS_FOUND = 100 };

struct hp_tracer;
struct hp_recorder;

typedef struct hp_budget {
    double share;         /* 0: no budget */
    uint32_t gated_units; /* HP_UNITS_GATED where the hook can spare functions, or all; elsewhere tracing less would save none of them */
    uint64_t chosen;      /* of 2^32: the share of outermost calls to trace, times their own rate */
    bool was_cut;         /* `chosen` was below all of them at some time, or an extent was ended */
    bool held;            /* what is spent now is not the program's: nobody looks at it */
    bool paused;          /* everything is traced, but not now: what is left costs too much */
    uint32_t dropped;     /* functions without their events now */
    uint32_t clean_windows;
    hp_timebase began;
    int64_t window_began_ns;
    uint64_t window_ends_ticks; /* for a look that costs little; UINT64_MAX: there is no budget */
    int64_t shed_ns;            /* CLOCK_MONOTONIC */
    uint64_t units, window_began_units;
    uint64_t once;          /* of those of this window: what will not come again, whatever is spared */
    uint64_t meeting;       /* of those of this window, since they were counted: functions met, each of them once */
    double grace_ns;        /* how much of that is forgiven yet: a program may make new functions for ever */
    uint64_t spent_at;      /* in units: the allowance is spent */
    uint64_t event_limit;   /* of one extent; UINT64_MAX: none */
    uint64_t limit_look_at; /* in units: an extent may have come to its limit */
    uint64_t look_at;       /* the smaller of the two */
} hp_budget;

void hp_budget_init(hp_budget *budget, double share, uint64_t event_limit);
/* An extent begins, whose events are counted from here on. */
void hp_budget_extent_began(struct hp_tracer *tracer, struct hp_recorder *recorder);
/* Of all events of this tracer, with or without a budget; and the ns that one costs. */
uint64_t hp_budget_units(const struct hp_tracer *tracer);
double hp_budget_unit_ns(const struct hp_tracer *tracer);
/* Of a call whose caller took so long to find. */
uint64_t hp_budget_slow_units(const struct hp_tracer *tracer, uint64_t ticks);
/* It is a further stretch of a call that had so many events before it was suspended. */
void hp_budget_extent_goes_on(struct hp_tracer *tracer, struct hp_recorder *recorder, uint64_t had);
/* Calibration is over: from now on what is spent counts. */
void hp_budget_restart(hp_budget *budget);
/* Whether a window is over, or its allowance spent; and then what follows from that. */
void hp_budget_look(struct hp_tracer *tracer);

static inline bool hp_budget_has_limit(const hp_budget *budget) {
    return budget->event_limit < UINT64_MAX;
}

static inline bool hp_budget_spend(hp_budget *budget, uint64_t units) {
    budget->units += units;
    return budget->units >= budget->look_at;
}
/* The same of an event at `ticks`: where little happens the allowance is never spent, and only time tells that a window is over. */
static inline bool hp_budget_spend_at(hp_budget *budget, uint64_t units, uint64_t ticks) {
    return hp_budget_spend(budget, units) || ticks >= budget->window_ends_ticks;
}

/* While nothing is traced, events that meet a closed gate are all there are: they have to tell that a window is over. */
static inline bool hp_budget_pause_is_due(const hp_budget *budget) {
    return budget->paused && hp_ticks() >= budget->window_ends_ticks;
}

/* The threshold of a 32-bit random number below which a call with this threshold of its own is traced. */
static inline uint64_t hp_budget_threshold(const hp_budget *budget, uint64_t threshold) {
    return budget->chosen == HP_BUDGET_ALL ? threshold : (uint64_t)((double)threshold * ((double)budget->chosen / (double)HP_BUDGET_ALL));
}

#endif
