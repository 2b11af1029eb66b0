/* SPDX-License-Identifier: MIT */
#include "tree/shares.h"

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

void hp_shares_end_thread(hp_shares *shares, uint32_t root, const hp_share *whole) {
    uint32_t thread = hp_pairs_get(&shares->threads, root, 0);
    hp_share all = *whole;
    if (thread != HP_NO_PAIR) {
        all.total_samples = larger(all.total_samples, shares->profile->threads[thread].samples);
        all.total_ns = larger(all.total_ns, shares->profile->threads[thread].sampled_ns);
    }
    for (uint32_t i = 0; i < shares->touched_count; i++) {
        uint32_t function = shares->touched[i];
        const hp_share *share = &shares->by_function[function];
        uint32_t place = thread == HP_NO_PAIR ? HP_NO_PAIR : hp_pairs_get(&shares->estimates, thread, function);
        const hp_estimate *known = place == HP_NO_PAIR ? NULL : &shares->profile->estimates[place];
        bool is_root = shares->profile->tree.nodes[root].function == function;
        double unmet = share->bound && (all.total_samples == 0 || all.total_ns == 0) ? unseen_by_rate(shares->profile) : 0.0;
        shares->self[function] += self_variance(&all, share, known) + unmet;
        shares->total[function] += is_root ? 0.0 : total_variance(&all, share, known) + unmet;
        shares->by_function[function] = (hp_share){0};
    }
    shares->touched_count = 0;
}
