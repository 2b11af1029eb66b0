/* SPDX-License-Identifier: MIT */
#include "tree/shares.h"

#include <math.h>
#include <stdlib.h>

#include "tree/error_bars.h"

hp_status hp_shares_init(hp_shares *shares, const hp_profile *profile) {
    size_t count = profile->function_count;
    *shares = (hp_shares){.profile = profile};
    shares->by_function = calloc(count, sizeof *shares->by_function);
    shares->touched = malloc(count * sizeof *shares->touched);
    shares->self = calloc(count, sizeof *shares->self);
    shares->total = calloc(count, sizeof *shares->total);
    if (shares->by_function == NULL || shares->touched == NULL || shares->self == NULL || shares->total == NULL)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i < profile->thread_count; i++) {
        if (hp_pairs_put(&shares->threads, profile->threads[i].root, 0, i) == HP_NO_PAIR)
            return HP_NO_MEMORY;
    }
    for (uint32_t i = 0; i < profile->estimate_count; i++) {
        const hp_estimate *estimate = &profile->estimates[i];
        if (estimate->thread >= profile->thread_count || estimate->function >= count)
            return HP_BAD_VALUE;
        if (hp_pairs_put(&shares->estimates, estimate->thread, estimate->function, i) == HP_NO_PAIR)
            return HP_NO_MEMORY;
    }
    return HP_OK;
}

void hp_shares_fini(hp_shares *shares) {
    free(shares->by_function);
    free(shares->touched);
    free(shares->self);
    free(shares->total);
    hp_pairs_fini(&shares->estimates);
    hp_pairs_fini(&shares->threads);
    *shares = (hp_shares){0};
}

static bool is_empty(const hp_share *share) {
    return !share->bound && (share->self_samples | share->self_ns | share->total_samples | share->total_ns) == 0;
}

void hp_shares_add(hp_shares *shares, uint32_t function, const hp_share *share) {
    hp_share *own = &shares->by_function[function];
    if (is_empty(share))
        return;
    if (is_empty(own))
        shares->touched[shares->touched_count++] = function;
    own->self_samples += share->self_samples;
    own->self_ns += share->self_ns;
    own->total_samples += share->total_samples;
    own->total_ns += share->total_ns;
    own->self_runs += share->self_samples != 0;
    own->total_runs += share->total_samples != 0;
    own->bound |= share->bound;
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* Samples that the estimate does not know (there is none, or a hidden callee's went to its caller) count as independent ones. */
static uint64_t runs_of(uint64_t known_samples, uint64_t known_runs, uint64_t seen, uint64_t samples) {
    return known_runs + (seen > known_samples ? hp_error_independent_runs(seen - known_samples, samples) : 0);
}

static double variance_of(const hp_share *all, uint64_t ns, uint64_t seen, uint64_t runs) {
    return all->total_samples == 0 ? hp_error_of_whole(ns) : hp_error_variance(seen, runs, all->total_samples, all->total_ns);
}

/* Where variances are given, only what the estimate does not know is left to judge here. */
static double estimated(const hp_share *all, uint64_t known, uint64_t runs, uint64_t variance_us2, uint64_t seen, uint64_t ns) {
    uint64_t beyond = seen > known ? seen - known : 0;
    if (variance_us2 == 0)
        return variance_of(all, ns, larger(seen, known), runs_of(known, runs, seen, all->total_samples));
    double rest = beyond == 0 ? 0.0 : variance_of(all, ns, beyond, hp_error_independent_runs(beyond, all->total_samples));
    return (double)variance_us2 * 1e6 + rest;
}

static double self_variance(const hp_share *all, const hp_share *share, const hp_estimate *known) {
    if (known == NULL)
        return variance_of(all, share->self_ns, share->self_samples,
                           larger(share->self_runs, runs_of(0, 0, share->self_samples, all->total_samples)));
    return estimated(all, known->self_samples, known->self_runs, known->self_variance_us2, share->self_samples, share->self_ns);
}

static double total_variance(const hp_share *all, const hp_share *share, const hp_estimate *known) {
    if (known == NULL)
        return variance_of(all, share->total_ns, share->total_samples,
                           larger(share->total_runs, runs_of(0, 0, share->total_samples, all->total_samples)));
    return estimated(all, known->total_samples, known->total_runs, known->total_variance_us2, share->total_samples, share->total_ns);
}

/* Of a thread without a sample, or whose sampled time was cut to nothing (what was traced of it took all of its life); 0 where nobody
 * sampled: then its times are lower bounds as its calls are. */
static double unseen_by_rate(const hp_profile *profile) {
    return profile->meta.rate_hz > 0.0 ? hp_error_unseen(1e9 / profile->meta.rate_hz) : 0.0;
}

const hp_estimate *hp_shares_estimate(const hp_shares *shares, uint32_t function) {
    uint32_t thread = shares->thread;
    uint32_t place = thread == HP_NO_PAIR ? HP_NO_PAIR : hp_pairs_get(&shares->estimates, thread, function);
    return place == HP_NO_PAIR ? NULL : &shares->profile->estimates[place];
}

void hp_shares_whole(hp_shares *shares, uint32_t root, const hp_share *whole) {
    uint32_t thread = shares->thread = hp_pairs_get(&shares->threads, root, 0);
    hp_share *all = &shares->all;
    *all = *whole;
    if (thread != HP_NO_PAIR) {
        all->total_samples = larger(all->total_samples, shares->profile->threads[thread].samples);
        all->total_ns = larger(all->total_ns, shares->profile->threads[thread].sampled_ns);
    }
    shares->root_function = shares->profile->tree.nodes[root].function;
    shares->unmet = all->total_samples == 0 || all->total_ns == 0 ? unseen_by_rate(shares->profile) : 0.0;
}

hp_variances hp_shares_judge(const hp_shares *shares, uint32_t function) {
    const hp_share *share = &shares->by_function[function];
    const hp_estimate *known = hp_shares_estimate(shares, function);
    double unmet = share->bound ? shares->unmet : 0.0;
    bool is_root = shares->root_function == function;
    return (hp_variances){self_variance(&shares->all, share, known) + unmet,
                          is_root ? 0.0 : total_variance(&shares->all, share, known) + unmet};
}

void hp_shares_end_thread(hp_shares *shares, uint32_t root, const hp_share *whole) {
    hp_shares_whole(shares, root, whole);
    for (uint32_t i = 0; i < shares->touched_count; i++) {
        uint32_t function = shares->touched[i];
        hp_variances found = hp_shares_judge(shares, function);
        shares->self[function] += found.self;
        shares->total[function] += found.total;
        shares->by_function[function] = (hp_share){0};
    }
    shares->touched_count = 0;
}

/* --- parts of functions -----------------------------------------------------------------------------------------------------------------
 */

static double usual_of(const hp_share *all, const hp_estimate *known, bool self) {
    return self ? variance_of(all, 0, known->self_samples, known->self_runs) : variance_of(all, 0, known->total_samples, known->total_runs);
}

static int number_order(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double hp_shares_widening(const hp_shares *shares, double *room) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < shares->touched_count; i++) {
        const hp_estimate *known = hp_shares_estimate(shares, shares->touched[i]);
        double usual = known == NULL ? 0.0 : usual_of(&shares->all, known, false);
        if (usual > 0.0)
            room[count++] = known->total_variance_us2 == 0 ? 1.0 : (double)known->total_variance_us2 * 1e6 / usual;
    }
    if (count == 0)
        return 1.0;
    qsort(room, count, sizeof *room, number_order);
    return fmax(room[count / 2], 1.0);
}

/* What the whole function has beyond what such gaps explain, as an open gap (csrc/module/widths.c), may all be of this part. */
static double excess_of(const hp_share *all, const hp_estimate *known, double widening, bool self) {
    uint64_t given = known == NULL ? 0 : self ? known->self_variance_us2 : known->total_variance_us2;
    return given == 0 ? 0.0 : fmax((double)given * 1e6 - widening * usual_of(all, known, self), 0.0);
}

static double of_part(const hp_share *all, uint64_t seen, uint64_t ns, double widening, double excess) {
    double variance = variance_of(all, ns, seen, hp_error_independent_runs(seen, all->total_samples)) * widening + excess;
    return all->total_samples == 0 ? variance : fmin(variance, hp_error_of_whole(all->total_ns));
}

hp_variances hp_shares_judge_part(const hp_shares *shares, uint32_t function, const hp_share *part, double widening) {
    const hp_share *all = &shares->all, *whole = &shares->by_function[function];
    const hp_estimate *known = hp_shares_estimate(shares, function);
    hp_variances found = hp_shares_judge(shares, function);
    double unmet = part->bound ? shares->unmet : 0.0;
    if (is_empty(part))
        return (hp_variances){0.0, 0.0};
    if (part->self_samples != whole->self_samples || all->total_samples == 0)
        found.self = of_part(all, part->self_samples, part->self_ns, widening, excess_of(all, known, widening, true)) + unmet;
    if (shares->root_function != function && (part->total_samples != whole->total_samples || all->total_samples == 0))
        found.total = of_part(all, part->total_samples, part->total_ns, widening, excess_of(all, known, widening, false)) + unmet;
    return found;
}
