/* SPDX-License-Identifier: MIT */
/* What recording one call costs, from several measurements (*looks*): one when tracing begins, others while the program runs.
 *
 * The lowest counts, of the bare loop and of the traced one alike: a neighbour, an interrupt, cold caches only ever add. An estimate that
 * is too low leaves some of tracing in the times of functions; one that is too high takes away time that they had. A processor that
 * changes its frequency makes looks differ too, and then the lowest is right for the fastest stretch only. Which of the two it was cannot
 * be told from here: so the spread of the looks is reported, as the error of all that was taken out.
 *
 * All numbers are ticks of one call. Plain data; owner and guard are those of whoever holds it. */
#ifndef HP_TRACER_LOOKS_H
#define HP_TRACER_LOOKS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct hp_look {
    double bare;   /* of the loop without events; 0: not measured */
    double callee; /* what was recorded as the callee's own time, whose body is empty */
    double caller; /* and as the caller's */
} hp_look;

typedef struct hp_looks {
    double bare;           /* the lowest; 0: none was measured */
    double callee, caller; /* of the look with the lowest sum */
    double highest;        /* sum */
    uint32_t count;
} hp_looks;

/* A cost, and how it is divided. */
typedef struct hp_look_cost {
    double inside;  /* in the interval of the call that is recorded */
    double outside; /* in its caller's */
} hp_look_cost;

void hp_looks_add(hp_looks *looks, hp_look look);
/* By the lowest; zeros while nothing is known, or where the traced loop was no slower than the bare one. */
hp_look_cost hp_looks_cost(const hp_looks *looks);
/* By how much of the cost the highest look lies above it: 0.5 where one found half as much again. */
double hp_looks_spread(const hp_looks *looks);
/* Whether this one lies so far above the lowest that it should be taken again: whatever disturbed it may be over. */
bool hp_looks_is_high(const hp_looks *looks, hp_look look);
/* From this spread on the reader of a profile is told. */
#define HP_LOOKS_AGREE 0.25

#endif
