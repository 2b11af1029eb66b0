/* SPDX-License-Identifier: MIT */
/* Samples come at random gaps of mean d, and each gives the time since the one before it to what it sees. That is wrong only where "the
 * function is on the stack" changes: at a beginning the age of the gap is credited too much, at an end too little. For exponential gaps
 * two ages, u apart, have the covariance d^2 exp(-u / d). Summed over all beginnings and ends, with their signs, this is
 *
 *     variance = 2 d^2 * (expected number of runs in the samples)
 *
 * for each timeline: phases (each end adds d^2), periods, bursts and flicker alike. The sampler's gaps are exponential ones clamped to
 * [0.1, 5] (csrc/sampler/intervals.c), of mean 1 then. Their moments replace the 2 by
 *
 *     2 Var(age) = 2 (E[G^3] / 3 - (E[G^2] / 2)^2) = 1.66461    where runs are long: the ages at both ends are independent,
 *     E[G^2]                                       = 1.92711    where samples are independent: N p (1 - p) E[G^2], and N p (1 - p) runs.
 *
 * Between them lies 1 - correlation of successive samples, which seen and runs tell.
 *
 * A sampler that comes too late, on a busy machine, makes gaps that are not those which it drew: some are many times the mean, and whoever
 * is seen after one is credited with all of it. Then the thread's own gaps, measured, stand for G (hp_gaps_measured). Among them are long
 * ones in which the function came and went and short ones in which it did neither, for which no one point between the two constants is
 * right: runs count no more than independent samples would. Simulated with one gap in twenty some twenty times as long
 * (tests/c/test_coverage.c): by the drawn gaps the interval holds the truth in 20 to 70 % of all profiles, by the measured ones in 90 % or
 * more.
 *
 * Few runs: a phase is one run in each repetition, but short runs are themselves a random number, small where too little was seen. One run
 * more makes up for that, a quarter of one where runs are long. Found by simulation (tests/c/test_error_bars.c): half a run for all covers
 * 92 % of three short runs and 97 % of one long one. */
#include "tree/error_bars.h"

#include <math.h>

static const double NORMAL_95 = 1.959963984540054;
static const hp_gaps USUAL = {1.9271050328, 5.2822198};

/* Moments of few gaps are uncertain themselves: E[G^4] is 18, so one standard deviation of the second is 2 / sqrt(samples) of it. */
hp_gaps hp_gaps_measured(uint64_t samples, double sum, double squares, double cubes) {
    double count = (double)samples, mean = sum / count;
    if (samples < 2 || !(mean > 0.0))
        return USUAL;
    hp_gaps measured = {squares / count / (mean * mean), cubes / count / (mean * mean * mean)};
    if (measured.second <= USUAL.second * (1.0 + 2.0 / sqrt(count)))
        return USUAL;
    /* No gaps have a third moment below the square of their second (Cauchy and Schwarz); sums of which most is gone by rounding may. */
    measured.third = fmax(fmax(measured.third, USUAL.third), measured.second * measured.second);
    return measured;
}

bool hp_gaps_usual(const hp_gaps *gaps) {
    return gaps->second <= USUAL.second;
}

static double of_long_runs(const hp_gaps *gaps) {
    return 2.0 * (gaps->third / 3.0 - gaps->second * gaps->second / 4.0);
}

static double of_each_run(const hp_gaps *gaps, double seen, double runs, double samples) {
    double long_runs = of_long_runs(gaps), independent = gaps->second;
    if (seen <= 0.0)
        return independent;
    double change = seen < samples ? runs / seen + runs / (samples - seen) : 0.0; /* 1 - correlation */
    return long_runs + (independent - long_runs) * (change < 1.0 ? change : 1.0);
}

/* In squares of the mean gap. */
static double of_all_runs(const hp_gaps *gaps, double seen, double runs, double samples) {
    double margin = 0.25 + 0.75 * (seen <= 0.0 ? 1.0 : runs / seen), each = of_each_run(gaps, seen, runs, samples);
    if (hp_gaps_usual(gaps))
        return each * (runs + margin);
    double independent = gaps->second * seen * (1.0 - seen / samples);
    return fmin(each * runs, independent) + fmax(each, of_long_runs(gaps)) * margin;
}

uint64_t hp_error_independent_runs(uint64_t seen, uint64_t samples) {
    if (seen >= samples)
        return samples != 0;
    double runs = ceil((double)seen * ((double)(samples - seen) + 1.0) / (double)samples);
    return runs < (double)seen ? (uint64_t)runs : seen;
}

double hp_error_variance(uint64_t seen, uint64_t runs, uint64_t samples, uint64_t ns) {
    return hp_error_variance_of(&USUAL, seen, runs, samples, ns);
}

double hp_error_variance_of(const hp_gaps *gaps, uint64_t seen, uint64_t runs, uint64_t samples, uint64_t ns) {
    if (samples == 0)
        return 0.0;
    uint64_t ones = seen > samples ? samples : seen;
    if (runs == 0)
        runs = hp_error_independent_runs(ones, samples);
    double gap = (double)ns / (double)samples;
    double variance = of_all_runs(gaps, (double)ones, (double)(runs > ones ? ones : runs), (double)samples) * gap * gap;
    double most = hp_error_of_whole(ns);
    return variance < most ? variance : most;
}

double hp_error_unseen(double gap_ns) {
    return USUAL.second * gap_ns * gap_ns;
}

uint64_t hp_error_whole_us2(double variance) {
    double us2 = ceil(fmax(variance, 0.0) / 1e6);
    return us2 < 18446744073709549568.0 ? (uint64_t)us2 : UINT64_MAX;
}

uint64_t hp_error_half_width(double variance) {
    double width = NORMAL_95 * sqrt(variance) + 0.5;
    return width >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)width;
}

double hp_error_of_whole(uint64_t ns) {
    double deviation = (double)ns / NORMAL_95;
    return deviation * deviation;
}
