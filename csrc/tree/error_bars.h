/* SPDX-License-Identifier: MIT */
/* How far a sampled time may lie from the truth.
 *
 * The truth meant is the share of time that the program would show in the long run, of which one profile is a stretch. "Is the function on
 * the stack?" is taken as a two-state Markov chain: independent from sample to sample, or staying a while (tests/c/test_error_bars.c).
 *
 * - Simulated with five or more runs expected, the 95 % interval holds the truth in 90 to 99 % of all cases, whatever the share.
 * - With fewer runs it cannot be relied on: a function that seldom comes and then stays may not have been seen at all.
 * - A program in phases (first it loads, then it computes) repeats nothing, so there is no long run to estimate. The share of phases as
 * they were in this one profile was inside in over 98 % of simulated cases, but the interval is far too wide for them: one phase seen once
 *   gives one of up to the thread's whole time, although the samples place each end of the phase to within one sampling interval. */
#ifndef HP_TREE_ERROR_BARS_H
#define HP_TREE_ERROR_BARS_H

#include <stdint.h>

/* Variance of the time (ns^2) of what was seen in `seen` of `samples` samples, in `runs` unbroken runs, of a thread sampled for `ns`.
 * Never 0 where there are samples, never less with fewer runs. */
double hp_error_variance(uint64_t seen, uint64_t runs, uint64_t samples, uint64_t ns);
/* Half width of the 95 % interval, ns. */
uint64_t hp_error_half_width(double variance);
/* The variance whose half width is `ns`: for a time of which nothing is known but itself. */
double hp_error_of_whole(uint64_t ns);

#endif
