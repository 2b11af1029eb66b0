/* SPDX-License-Identifier: MIT */
/* Sampled outside + exact inside + overhead <= measured, for each thread. */
#include <stdlib.h>
#include <string.h>

#include "module/assemble.h"

/* By node: its thread in the profile, HP_NO_NODE where it has none. NULL when memory is short. */
static uint32_t *owners(const hp_profile *profile) {
    const hp_tree *tree = &profile->tree;
    uint32_t *owner = malloc((size_t)tree->count * sizeof *owner);
    if (!owner)
        return NULL;
    memset(owner, 0xff, (size_t)tree->count * sizeof *owner);
    for (uint32_t i = 0; i < profile->thread_count; i++)
        owner[profile->threads[i].root] = i;
    for (uint32_t i = 1; i < tree->count; i++)
        if (owner[i] == HP_NO_NODE)
            owner[i] = owner[tree->nodes[i].parent];
    return owner;
}

/* Each thread's times are those of its nodes, so that table, tree and threads agree to the nanosecond. */
static void sum_threads(hp_profile *profile, const uint32_t *owner) {
    for (uint32_t i = 0; i < profile->thread_count; i++)
        profile->threads[i].sampled_ns = profile->threads[i].exact_ns = profile->threads[i].overhead_ns = 0;
    for (uint32_t i = 1; i < profile->tree.count; i++) {
        const hp_node *node = &profile->tree.nodes[i];
        if (owner[i] == HP_NO_NODE)
            continue;
        hp_profile_thread *thread = &profile->threads[owner[i]];
        thread->sampled_ns += node->sampled;
        thread->exact_ns += node->exact;
        thread->overhead_ns += node->overhead;
    }
}

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* By the session's own clock, so that the residual is a check and not a tautology. Without a sampler nobody looked outside targets:
 * then what was measured is the time beneath them. */
static void measure_lives(const hp_gathered *gathered, const uint32_t *threads, hp_profile *profile) {
    for (uint32_t i = 0; i < gathered->thread_count; i++) {
        const hp_gathered_thread *from = &gathered->threads[i];
        if (threads[i] != UINT32_MAX && gathered->has_sampled && gathered->clock == HP_CLOCK_WALL && from->lived_ns > 0)
            profile->threads[threads[i]].measured_ns = (uint64_t)from->lived_ns;
    }
}

static void take_sampled(const hp_gathered *gathered, const uint32_t *threads, hp_profile *profile) {
    for (uint32_t i = 0; i < gathered->sampled.thread_count; i++) {
        const hp_sampled_thread *from = &gathered->sampled.threads[i];
        if (from->thread >= gathered->thread_count || threads[from->thread] == UINT32_MAX)
            continue;
        hp_profile_thread *thread = &profile->threads[threads[from->thread]];
        thread->samples = from->samples + from->divided;
        thread->traced_samples = from->traced_samples;
        thread->unresolved_ns = from->unresolved_ns;
        if (gathered->clock == HP_CLOCK_CPU)
            thread->measured_ns = from->measured_ns;
        else
            thread->measured_ns -= smaller(thread->measured_ns, from->aside_ns);
    }
}

static uint64_t scaled(uint64_t ns, uint64_t part, uint64_t whole) {
    return whole == 0 ? 0 : (uint64_t)((unsigned __int128)ns * part / whole);
}

/* Rounded down, so that nodes hold no more than is left; a node has what its lines have and what no line had. */
static bool scale_down(hp_profile *profile, const uint32_t *owner, const uint64_t *left) {
    uint64_t *cut = calloc(profile->tree.count, sizeof *cut); /* by node, what its lines lose; what they had before is part of its own */
    uint64_t *had = calloc(profile->tree.count, sizeof *had);
    for (uint32_t i = 0; cut && had && i < profile->line_count; i++) {
        hp_line *line = &profile->lines[i];
        uint32_t thread = owner[line->node];
        if (thread == HP_NO_NODE)
            continue;
        uint64_t kept = scaled(line->sampled, left[thread], profile->threads[thread].sampled_ns);
        had[line->node] += line->sampled;
        cut[line->node] += line->sampled - kept;
        line->sampled = kept;
    }
    for (uint32_t i = 1; cut && had && i < profile->tree.count; i++) {
        uint64_t *sampled = &profile->tree.nodes[i].sampled;
        uint64_t of_lines = had[i] < *sampled ? had[i] : *sampled, rest = *sampled - of_lines;
        if (owner[i] != HP_NO_NODE)
            *sampled = of_lines - smaller(of_lines, cut[i]) + scaled(rest, left[owner[i]], profile->threads[owner[i]].sampled_ns);
    }
    bool done = cut && had;
    free(cut);
    free(had);
    return done;
}

/* Exact time is what it is; a thread that the sampler never met lived at least for that. Sampled time is what is left of a life at most:
 * two clocks and a thread's last moments differ by microseconds, and what a thread of ours ran by the way stands beneath another one. */
static hp_status reconcile(hp_profile *profile, const uint32_t *owner) {
    uint64_t *left = malloc(((size_t)profile->thread_count + 1) * sizeof *left);
    bool all = true;
    if (!left)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i < profile->thread_count; i++) {
        hp_profile_thread *thread = &profile->threads[i];
        uint64_t inside = thread->exact_ns + thread->overhead_ns;
        if (thread->measured_ns < inside)
            thread->measured_ns = inside;
        left[i] = smaller(thread->sampled_ns, thread->measured_ns - inside);
        all = all && left[i] == thread->sampled_ns;
        thread->unresolved_ns = smaller(thread->unresolved_ns, left[i]);
    }
    bool done = all || scale_down(profile, owner, left);
    if (!all && done)
        sum_threads(profile, owner);
    free(left);
    return done ? HP_OK : HP_NO_MEMORY;
}

hp_status hp_assemble_times(const hp_gathered *gathered, const uint32_t *threads, hp_profile *profile) {
    uint32_t *owner = owners(profile);
    if (!owner)
        return HP_NO_MEMORY;
    sum_threads(profile, owner);
    measure_lives(gathered, threads, profile);
    take_sampled(gathered, threads, profile);
    hp_status status = reconcile(profile, owner);
    free(owner);
    return status;
}
