/* SPDX-License-Identifier: MIT */
/* How far a sampled time may lie from the truth. */
#ifndef HP_TREE_ERROR_BARS_H
#define HP_TREE_ERROR_BARS_H

#include <stdint.h>

/* Variance of the time (ns^2) of what was seen in `seen` of `samples` samples, in `runs` unbroken runs, of a thread sampled for `ns`. */
double hp_error_variance(uint64_t seen, uint64_t runs, uint64_t samples, uint64_t ns);
/* Half width of the 95 % interval, ns. */
uint64_t hp_error_half_width(double variance);

#endif
