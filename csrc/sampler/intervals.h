/* SPDX-License-Identifier: MIT */
/* Random sampling intervals.
 *
 * Exponential with mean 1/rate, so that the moments form a Poisson process: no period of the program can align with it, and each moment
 * is equally likely whatever the program did before. The tails are folded: shorter than 0.1 means would only measure ourselves, longer
 * than 5 means leaves holes (0.7 % of all). What folding adds and takes is divided out, so the mean is exact. Folding does not bias: an
 * interval's length is drawn before the program decides what it does. */
#ifndef HP_SAMPLER_INTERVALS_H
#define HP_SAMPLER_INTERVALS_H

#include <stdint.h>

typedef struct hp_intervals {
    uint64_t state[2]; /* xoroshiro128+; never both zero */
} hp_intervals;

/* seed 0: from the system. */
void hp_intervals_init(hp_intervals *intervals, uint64_t seed);
int64_t hp_intervals_next(hp_intervals *intervals, double rate_hz);

#endif
