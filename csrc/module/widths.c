/* SPDX-License-Identifier: MIT */
/* Error bars come from runs (tree/error_bars.h). Two things make them wider than runs tell, and only where there are any: samples that
 * stand for times which are not those that the sampler drew, and time that no sample stands for (sampler/open_gap.c). Such variances are
 * given, and go with the profile wherever it goes. */
#include <stdlib.h>

#include "module/assemble.h"
#include "tree/error_bars.h"

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* Slots that folded into one function may have shared stacks: such samples were counted for each, though a thread has each only once. */
static void clamp_estimates(hp_profile *profile) {
    for (uint32_t i = 0; i < profile->estimate_count; i++) {
        hp_estimate *estimate = &profile->estimates[i];
        estimate->total_samples = smaller(estimate->total_samples, profile->threads[estimate->thread].samples);
        estimate->total_runs = smaller(estimate->total_runs, estimate->total_samples);
        estimate->self_samples = smaller(estimate->self_samples, estimate->total_samples);
        estimate->self_runs = smaller(estimate->self_runs, estimate->self_samples);
    }
}

static uint64_t us2_of(const hp_gaps *gaps, const hp_sampled_thread *thread, uint64_t seen, uint64_t runs) {
    return seen == 0 ? 0 : hp_error_whole_us2(hp_error_variance_of(gaps, seen, runs, thread->samples, thread->sampled_ns));
}

static void widen(hp_estimate *estimate, const hp_sampled_thread *thread) {
    hp_gaps gaps = hp_gaps_measured(thread->samples, (double)thread->sampled_ns, thread->squares, thread->cubes);
    if (hp_gaps_usual(&gaps))
        return;
    estimate->self_variance_us2 = us2_of(&gaps, thread, estimate->self_samples, estimate->self_runs);
    estimate->total_variance_us2 = us2_of(&gaps, thread, estimate->total_samples, estimate->total_runs);
}

/* By index in the profile; NULL: it was not sampled. */
static const hp_sampled_thread **sampled_threads(const hp_gathered *gathered, const uint32_t *threads, const hp_profile *profile) {
    const hp_sampled_thread **found = calloc((size_t)profile->thread_count + 1, sizeof *found);
    for (uint32_t i = 0; found && i < gathered->sampled.thread_count; i++) {
        const hp_sampled_thread *thread = &gathered->sampled.threads[i];
        if (thread->thread < gathered->thread_count && threads[thread->thread] != UINT32_MAX)
            found[threads[thread->thread]] = thread;
    }
    return found;
}

static hp_estimate *estimate_of(const hp_profile *profile, uint32_t thread, uint32_t function) {
    uint32_t low = 0, high = profile->estimate_count; /* they are in the order of both */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const hp_estimate *at = &profile->estimates[middle];
        if (at->thread < thread || (at->thread == thread && at->function < function))
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < profile->estimate_count && profile->estimates[low].thread == thread && profile->estimates[low].function == function;
    return found ? &profile->estimates[low] : NULL;
}

static void add_open(uint64_t *variance_us2, uint64_t seen, uint64_t runs, const hp_profile_thread *thread, double open_ns) {
    uint64_t usual =
        *variance_us2 != 0 ? *variance_us2 : hp_error_whole_us2(hp_error_variance(seen, runs, thread->samples, thread->sampled_ns));
    uint64_t widened = usual + hp_error_whole_us2(open_ns * open_ns), most = hp_error_whole_us2(hp_error_of_whole(thread->sampled_ns));
    /* Of a thread whose sampled time was cut to nothing only the gap is known. */
    *variance_us2 = most > 0 && widened > most ? most : widened;
}

/* Nobody saw whether what is on this stack stayed until the end of the gap. */
static void widen_open(hp_profile *profile, uint32_t thread, uint32_t leaf, double open_ns, bool *done) {
    const hp_node *nodes = profile->tree.nodes;
    for (uint32_t at = leaf; at != 0; at = nodes[at].parent) {
        hp_estimate *e = estimate_of(profile, thread, nodes[at].function);
        if (!e)
            continue;
        const hp_profile_thread *of = &profile->threads[thread];
        if (at == leaf)
            add_open(&e->self_variance_us2, e->self_samples, e->self_runs, of, open_ns);
        if (!done[e - profile->estimates]) /* once, however often it is on the stack */
            add_open(&e->total_variance_us2, e->total_samples, e->total_runs, of, open_ns);
        done[e - profile->estimates] = true;
    }
}

hp_status hp_assemble_widths(const hp_gathered *gathered, const uint32_t *threads, const uint32_t *node_map, hp_profile *profile) {
    clamp_estimates(profile);
    const hp_sampled_thread **sampled = sampled_threads(gathered, threads, profile);
    bool *done = calloc((size_t)profile->estimate_count + 1, sizeof *done);
    hp_status status = sampled && done ? HP_OK : HP_NO_MEMORY;
    for (uint32_t i = 0; status == HP_OK && i < profile->estimate_count; i++)
        if (sampled[profile->estimates[i].thread] != NULL)
            widen(&profile->estimates[i], sampled[profile->estimates[i].thread]);
    for (uint32_t i = 0; status == HP_OK && i < profile->thread_count; i++)
        if (sampled[i] != NULL && sampled[i]->open_ns > 0 && sampled[i]->open_leaf != HP_NO_NODE)
            widen_open(profile, i, node_map[sampled[i]->open_leaf], (double)sampled[i]->open_ns, done);
    free(sampled);
    free(done);
    return status;
}
