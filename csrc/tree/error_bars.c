/* SPDX-License-Identifier: MIT */
/* "Is the function on the stack?", asked at each sample, is a series of zeros and ones that comes in runs, so its mean varies more
 * than that of independent draws. Taken as a two-state Markov chain with p01 = P(1 after 0) and p10 = P(0 after 1), its correlation
 * after k steps is rho^k with rho = 1 - p01 - p10, and the variance of the mean of N samples tends to
 *
 *     p (1 - p) / N * (1 + rho) / (1 - rho)
 *
 * (Klotz, "Statistical inference in Bernoulli trials with dependence", Annals of Statistics 1, 1973). Both probabilities follow from
 * the number of runs. The share itself is Agresti and Coull's, (n + 2) / (N + 4) ("Approximate is better than exact", The American
 * Statistician 52, 1998): a function seen never or always has an interval too. */
#include "tree/error_bars.h"

#include <math.h>

static const double LARGEST_RHO = 0.999; /* fewer than two runs say nothing of how long a run is: wide, but finite */
static const double NORMAL_95 = 1.959963984540054;

static double correlation(double seen, double runs, double samples) {
    if (seen <= 0.0 || seen >= samples)
        return 0.0;
    double rho = 1.0 - runs / (samples - seen) - runs / seen;
    return rho < 0.0 ? 0.0 : rho > LARGEST_RHO ? LARGEST_RHO : rho;
}

double hp_error_variance(uint64_t seen, uint64_t runs, uint64_t samples, uint64_t ns) {
    if (samples == 0)
        return 0.0;
    double total = (double)samples;
    double ones = seen > samples ? total : (double)seen;
    double rho = correlation(ones, runs > seen ? ones : (double)runs, total);
    double share = (ones + 2.0) / (total + 4.0);
    double deviation_squared = share * (1.0 - share) / total * (1.0 + rho) / (1.0 - rho);
    return deviation_squared * (double)ns * (double)ns;
}

uint64_t hp_error_half_width(double variance) {
    double width = NORMAL_95 * sqrt(variance) + 0.5;
    return width >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)width;
}
