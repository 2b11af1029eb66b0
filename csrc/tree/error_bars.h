/* SPDX-License-Identifier: MIT */
/* How far a sampled time may lie from the truth.
 *
 * The truth meant is the time that the function took in this very run of the program, not what another run or a longer one would show. So
 * nothing is assumed of the program: only the sampler is random. A phase seen once is known to within a few sampling intervals, however
 * long it was; a function that comes and goes between two samples has the error of counting.
 *
 * Simulated with the sampler's own gaps (tests/c/test_error_bars.c: flicker, phases, periods, bursts; 30 samples and more), the 95 %
 * interval holds the truth in 93 to 97 % of all profiles where three or more runs are expected, in 93 % or more where there are fewer: for
 * a function so rare that most profiles miss it, in nearly all. */
#ifndef HP_TREE_ERROR_BARS_H
#define HP_TREE_ERROR_BARS_H

#include <stdbool.h>
#include <stdint.h>

/* E[G^2] and E[G^3] of the times G that single samples of a thread stand for, where E[G] is 1. */
typedef struct hp_gaps {
    double second, third;
} hp_gaps;

/* From the sums of the times, their squares and their cubes. Those that the sampler draws, unless the measured ones are wider than chance.
 */
hp_gaps hp_gaps_measured(uint64_t samples, double sum, double squares, double cubes);
/* They are those that the sampler draws. */
bool hp_gaps_usual(const hp_gaps *gaps);

/* Variance of the time (ns^2) of what was seen in `seen` of `samples` samples, in `runs` unbroken runs (0: nobody counted them), of a
 * thread sampled for `ns`. Never 0 where there are samples, never more with fewer runs; the half width is never above `ns`. */
double hp_error_variance(uint64_t seen, uint64_t runs, uint64_t samples, uint64_t ns);
/* The same of what no sample met, at this mean gap: the half width is 2.72 gaps, 95 % of what goes unmet for longer is met. */
double hp_error_unseen(double gap_ns);
/* The same for gaps of another kind. */
double hp_error_variance_of(const hp_gaps *gaps, uint64_t seen, uint64_t runs, uint64_t samples, uint64_t ns);
/* Runs to expect if samples were independent. Only a program that comes and goes in step with the samples has more, which random gaps
 * prevent: so this is the cautious number where runs were not counted. */
uint64_t hp_error_independent_runs(uint64_t seen, uint64_t samples);
/* A variance (ns^2) in whole us^2, rounded up: what was sampled is never without error. */
uint64_t hp_error_whole_us2(double variance);
/* Half width of the 95 % interval, ns. */
uint64_t hp_error_half_width(double variance);
/* The variance whose half width is `ns`: for a time of which nothing is known but itself. */
double hp_error_of_whole(uint64_t ns);

#endif
