/* SPDX-License-Identifier: MIT */
/* What can only be known when the whole file has been read.
 *
 * A row without calls was sampled, except in a file of ours without the marker: there nothing was. Tachyon's files (marked
 * `('__sampled__',): True`) hold samples where calls should be: on top of the stack where primitive calls stand, anywhere on it where
 * calls stand; and its callers are bare sample counts, whose time follows from their row's. */
#include <stdlib.h>

#include "formats/pstats/reading.h"

static void settle_row(const hp_pstats_reading *r, hp_row *row) {
    bool counted = row->calls != 0;
    row->samples = r->tachyon ? row->primitive_calls : 0;
    row->primitive_calls = row->primitive_calls < row->calls ? row->primitive_calls : row->calls;
    if (r->tachyon) {
        row->calls = row->primitive_calls = 0;
        return;
    }
    if (!counted && (r->marked || !r->ours))
        return;
    row->measured = HP_EXACT;
    row->self_exact = row->self_sampled;
    row->total_exact = row->total_sampled;
    row->self_sampled = row->total_sampled = 0;
}

/* The time of so many of a row's samples; more than it has count as all. */
static uint64_t share(const hp_row *row, uint64_t samples) {
    return samples >= row->calls ? row->total_sampled : (uint64_t)((double)row->total_sampled / (double)row->calls * (double)samples);
}

static void settle_edge(const hp_pstats_reading *r, hp_edge *edge) {
    bool counted = edge->calls != 0;
    edge->primitive_calls = edge->primitive_calls < edge->calls ? edge->primitive_calls : edge->calls;
    if (r->tachyon) {
        const hp_row *row = &r->profile->rows[edge->callee];
        if (edge->total_sampled == 0 && row->calls != 0)
            edge->total_sampled = share(row, edge->calls);
        edge->calls = edge->primitive_calls = 0;
        return;
    }
    if (!counted && (r->marked || !r->ours))
        return;
    edge->measured = HP_EXACT;
    edge->self_exact = edge->self_sampled;
    edge->total_exact = edge->total_sampled;
    edge->self_sampled = edge->total_sampled = 0;
}

static int edge_order(const void *left, const void *right) {
    const hp_edge *a = left, *b = right;
    if (a->caller != b->caller)
        return a->caller < b->caller ? -1 : 1;
    return a->callee < b->callee ? -1 : a->callee > b->callee;
}

static void edges_merge(hp_profile *profile) {
    uint32_t used = 0;
    if (profile->edge_count > 1)
        qsort(profile->edges, profile->edge_count, sizeof *profile->edges, edge_order);
    for (uint32_t i = 0; i < profile->edge_count; i++) {
        const hp_edge *edge = &profile->edges[i];
        if (used == 0 || edge_order(&profile->edges[used - 1], edge) != 0) {
            profile->edges[used++] = *edge;
            continue;
        }
        hp_edge *into = &profile->edges[used - 1];
        into->calls = hp_add_saturated(into->calls, edge->calls);
        into->primitive_calls = hp_add_saturated(into->primitive_calls, edge->primitive_calls);
        into->self_sampled = hp_add_saturated(into->self_sampled, edge->self_sampled);
        into->total_sampled = hp_add_saturated(into->total_sampled, edge->total_sampled);
    }
    profile->edge_count = used;
}

/* Who has no caller is a root. */
static hp_status add_roots(hp_pstats_reading *r) {
    hp_profile *profile = r->profile;
    hp_status status = HP_OK;
    bool *called = calloc((size_t)profile->row_count + 1, sizeof *called);
    if (called == NULL)
        return hp_pstats_no_memory(r);
    for (uint32_t i = 0; i < profile->edge_count; i++) {
        const hp_edge *edge = &profile->edges[i];
        called[edge->callee] = true;
        if (edge->caller != HP_NO_FUNCTION)
            profile->rows[edge->caller].samples++;
    }
    for (uint32_t i = 0; status == HP_OK && i < profile->row_count; i++) {
        const hp_row *row = &profile->rows[i];
        hp_pstats_numbers numbers = {row->calls, row->primitive_calls, row->self_sampled, row->total_sampled};
        if (!called[i] && row->samples != 0)
            status = hp_pstats_add_edge(r, HP_NO_FUNCTION, row->function, &numbers);
    }
    free(called);
    return status;
}

/* Rows of functions that the file does not name (the profile has some of its own) are left out. */
static void rows_settle(hp_pstats_reading *r) {
    hp_profile *profile = r->profile;
    uint32_t used = 0;
    for (uint32_t i = 0; i < profile->row_count; i++) {
        if (profile->rows[i].samples == 0)
            continue;
        profile->rows[used] = profile->rows[i];
        settle_row(r, &profile->rows[used++]);
    }
    profile->row_count = used;
}

/* Each of Tachyon's samples is one interval: the rate follows from the row that most of them hit. */
static void tachyon_settle(hp_pstats_reading *r) {
    hp_meta *meta = &r->profile->meta;
    uint64_t most = 0;
    for (uint32_t i = 0; i < r->profile->row_count; i++) {
        const hp_row *row = &r->profile->rows[i];
        meta->samples_kept = hp_add_saturated(meta->samples_kept, row->primitive_calls);
        if (row->calls > most && row->total_sampled != 0) {
            most = row->calls;
            meta->rate_hz = (double)row->calls * 1e9 / (double)row->total_sampled;
        }
    }
}

hp_status hp_pstats_settle(hp_pstats_reading *r) {
    hp_profile *profile = r->profile;
    /* A caller that has no row of its own gets one of zeros. */
    if (profile->function_count != 0 && hp_pstats_row(r, profile->function_count - 1) == NULL)
        return hp_pstats_no_memory(r);
    hp_status status = add_roots(r);
    if (status != HP_OK)
        return status;
    edges_merge(profile);
    for (uint32_t i = 0; i < profile->edge_count; i++)
        settle_edge(r, &profile->edges[i]);
    if (r->tachyon)
        tachyon_settle(r);
    rows_settle(r);
    return HP_OK;
}
