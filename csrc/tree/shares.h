/* SPDX-License-Identifier: MIT */
/* The errors of rows, thread by thread: threads are independent, so their variances add.
 *
 * The sampler's estimates say in how many runs a function was seen. Where there is none (a file of others, an estimate that was lost)
 * each of its nodes counts as a run, and no fewer than independent samples would give: what is not known widens the interval, as long
 * runs would narrow it unfounded. Where some calls were not traced (hp_share.bound), what samples did not meet of them is in the error too.
 * A thread's own total is its clock's, not an estimate, and has no error.
 *
 * A part of a function's time (one caller's, one context's) is on the stack whenever the function is where it has all of its samples, and
 * then has its runs. Else nobody counted its runs: it comes and goes as independent samples would, which is the cautious number. Owner: one
 * thread. */
#ifndef HP_TREE_SHARES_H
#define HP_TREE_SHARES_H

#include "base/pairs.h"
#include "tree/profile.h"

/* What a node adds to its function. `total` values are 0 where its function is above it already. */
typedef struct hp_share {
    uint64_t self_samples, self_ns;
    uint64_t total_samples, total_ns;
    uint64_t self_runs, total_runs; /* nodes with samples, for now */
    bool bound;                     /* some activations were not counted: no sample of them does not mean no time */
} hp_share;

typedef struct hp_variances {
    double self, total; /* ns^2 */
} hp_variances;

typedef struct hp_shares {
    const hp_profile *profile;
    hp_share *by_function; /* of the thread in hand */
    uint32_t *touched;     /* functions with a share in it */
    uint32_t touched_count;
    hp_pairs estimates;   /* (thread, function) -> index */
    hp_pairs threads;     /* (root, 0) -> index */
    double *self, *total; /* variances by function */
    /* Of the thread that is complete: */
    hp_share all;
    uint32_t thread, root_function;
    double unmet; /* the variance of what nobody counted, where no sample is there to tell */
} hp_shares;

/* HP_BAD_VALUE where an estimate is of no thread or function of the profile. */
hp_status hp_shares_init(hp_shares *shares, const hp_profile *profile);
void hp_shares_fini(hp_shares *shares);
void hp_shares_add(hp_shares *shares, uint32_t function, const hp_share *share);
/* The thread whose root is this node is complete; `whole` are its root's inclusive values. */
void hp_shares_end_thread(hp_shares *shares, uint32_t root, const hp_share *whole);

/* The same without an end: from here on functions and parts of them can be judged. */
void hp_shares_whole(hp_shares *shares, uint32_t root, const hp_share *whole);
hp_variances hp_shares_judge(const hp_shares *shares, uint32_t function);
/* NULL: the sampler said nothing of it. */
const hp_estimate *hp_shares_estimate(const hp_shares *shares, uint32_t function);
/* By how much this thread's gaps make variances larger than the sampler's own gaps would: the middle of what its functions were given.
 * room: as many numbers as functions were touched. */
double hp_shares_widening(const hp_shares *shares, double *room);
/* Of a part of what the function has in this thread. */
hp_variances hp_shares_judge_part(const hp_shares *shares, uint32_t function, const hp_share *part, double widening);

#endif
