/* SPDX-License-Identifier: MIT */
#include "tree/totals.h"

static const char samples_name[] = "samples", calls_name[] = "calls", times_name[] = "times (ns)";

static void add(uint64_t *total, uint64_t value) {
    *total = hp_add_saturated(*total, value);
}

static void add_nodes(hp_totals *totals, const hp_tree *tree) {
    for (uint32_t i = 0; i < tree->count; i++) {
        const hp_node *node = &tree->nodes[i];
        add(&totals->samples, node->samples);
        add(&totals->calls, node->calls);
        add(&totals->times, node->sampled);
        add(&totals->times, node->exact);
        add(&totals->times, node->overhead);
    }
}

static void add_threads(hp_totals *totals, const hp_profile *profile) {
    for (uint32_t i = 0; i < profile->thread_count; i++) {
        const hp_profile_thread *thread = &profile->threads[i];
        add(&totals->thread_samples, thread->samples);
        add(&totals->thread_traced_samples, thread->traced_samples);
        add(&totals->thread_measured, thread->measured_ns);
        add(&totals->thread_times, thread->sampled_ns);
        add(&totals->thread_times, thread->exact_ns);
        add(&totals->thread_times, thread->overhead_ns);
        add(&totals->thread_unresolved, thread->unresolved_ns);
    }
}

/* Inclusive times are not added up: time is in those of all of its callers. */
static bool add_rows(hp_totals *totals, const hp_profile *profile) {
    bool fits = true;
    for (uint32_t i = 0; i < profile->row_count; i++) {
        const hp_row *row = &profile->rows[i];
        add(&totals->samples, row->samples);
        add(&totals->calls, row->calls);
        add(&totals->times, row->self_sampled);
        add(&totals->times, row->self_exact);
        fits &= hp_add_saturated(row->total_sampled, row->total_exact) != UINT64_MAX;
    }
    return fits;
}

/* Nor are edges: their sums may be more than the calls and times of rows in a file of somebody else's. */
static const char *check_edges(const hp_profile *profile) {
    for (uint32_t i = 0; i < profile->edge_count; i++) {
        const hp_edge *edge = &profile->edges[i];
        if (edge->calls == UINT64_MAX)
            return calls_name;
        if (hp_add_saturated(edge->self_sampled, edge->self_exact) == UINT64_MAX ||
            hp_add_saturated(edge->total_sampled, edge->total_exact) == UINT64_MAX)
            return times_name;
    }
    return NULL;
}

const char *hp_totals_add(hp_totals *totals, const hp_profile *profile) {
    bool table = profile->tree.count <= 1; /* else rows and edges follow from the tree, and may not be there yet */
    bool rows_fit = true;
    add_nodes(totals, &profile->tree);
    add_threads(totals, profile);
    if (table)
        rows_fit = add_rows(totals, profile);
    if (totals->samples == UINT64_MAX || totals->thread_samples == UINT64_MAX || totals->thread_traced_samples == UINT64_MAX)
        return samples_name;
    if (totals->calls == UINT64_MAX)
        return calls_name;
    if (!rows_fit || totals->times == UINT64_MAX || totals->thread_measured == UINT64_MAX || totals->thread_times == UINT64_MAX ||
        totals->thread_unresolved == UINT64_MAX)
        return times_name;
    return table ? check_edges(profile) : NULL;
}
