/* SPDX-License-Identifier: MIT */
/* One pass from the end adds up inclusive values, one walk without recursion (depth may be 100,000) fills rows and edges. */
#include "tree/summary.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/pairs.h"
#include "tree/error_bars.h"
#include "tree/shares.h"

typedef struct inclusive {
    uint64_t samples, sampled, exact;
} inclusive;

/* The work in hand. Functions are indexed by id, edges in order of discovery. */
typedef struct summary {
    const hp_tree *tree;
    inclusive *inclusive; /* by node */
    uint32_t *edge_of;    /* by node */
    hp_row *rows;         /* by function */
    unsigned *row_seen;   /* by function; ROW_EXISTS: it has a node */
    uint32_t *row_active; /* by function: its nodes on the walk's stack */
    hp_edge *edges;       /* owned until handed to the profile */
    unsigned *edge_seen;
    uint32_t *edge_active;
    uint32_t edge_count;
    uint32_t edge_capacity, seen_capacity, active_capacity;
    hp_pairs edge_index; /* (caller, callee) -> edge */
    hp_shares shares;
} summary;

enum { ROW_EXISTS = 1u << 30, ROW_DIVIDED = 1u << 29 };

unsigned hp_node_seen(const hp_node *node) {
    bool exact = node->exact != 0 || node->overhead != 0;
    bool sampled = node->samples != 0 || node->sampled != 0;
    unsigned seen = sampled ? HP_SEEN_SAMPLED : 0;
    if (node->calls != 0)
        seen |= HP_SEEN_CALLS | HP_SEEN_EXACT;
    if (exact)
        seen |= HP_SEEN_EXACT;
    bool passed_through = node->calls == 0 && !exact && !sampled;
    if ((node->flags & HP_NODE_PARTIAL) != 0 || passed_through)
        seen |= HP_SEEN_BOUND;
    return seen;
}

hp_measured hp_seen_measured(unsigned seen) {
    if ((seen & HP_SEEN_EXACT) == 0)
        return HP_SAMPLED;
    return (seen & HP_SEEN_CALLS) != 0 && (seen & (HP_SEEN_SAMPLED | HP_SEEN_BOUND)) == 0 ? HP_EXACT : HP_MIXED;
}

static void summary_fini(summary *work) {
    free(work->inclusive);
    free(work->edge_of);
    free(work->rows);
    free(work->row_seen);
    free(work->row_active);
    free(work->edges);
    free(work->edge_seen);
    free(work->edge_active);
    hp_pairs_fini(&work->edge_index);
    hp_shares_fini(&work->shares);
}

static hp_status summary_init(summary *work, const hp_profile *profile) {
    size_t nodes = profile->tree.count;
    size_t functions = profile->function_count;
    *work = (summary){.tree = &profile->tree};
    work->inclusive = malloc(nodes * sizeof *work->inclusive);
    work->edge_of = malloc(nodes * sizeof *work->edge_of);
    work->rows = calloc(functions, sizeof *work->rows);
    work->row_seen = calloc(functions, sizeof *work->row_seen);
    work->row_active = calloc(functions, sizeof *work->row_active);
    bool whole =
        work->inclusive != NULL && work->edge_of != NULL && work->rows != NULL && work->row_seen != NULL && work->row_active != NULL;
    hp_status status = hp_shares_init(&work->shares, profile);
    return whole ? status : HP_NO_MEMORY;
}

static void add_up(summary *work) {
    const hp_node *nodes = work->tree->nodes;
    for (uint32_t i = 0; i < work->tree->count; i++)
        work->inclusive[i] = (inclusive){nodes[i].samples, nodes[i].sampled, nodes[i].exact};
    for (uint32_t i = work->tree->count - 1; i > 0; i--) { /* children lie behind their parents */
        inclusive *above = &work->inclusive[nodes[i].parent];
        above->samples += work->inclusive[i].samples;
        above->sampled += work->inclusive[i].sampled;
        above->exact += work->inclusive[i].exact;
    }
}

static bool edges_widen(summary *work) {
    uint32_t needed = work->edge_count + 1;
    hp_edge *edges = hp_array_grow(work->edges, &work->edge_capacity, needed, sizeof *edges);
    if (edges != NULL)
        work->edges = edges;
    unsigned *seen = hp_array_grow(work->edge_seen, &work->seen_capacity, needed, sizeof *seen);
    if (seen != NULL)
        work->edge_seen = seen;
    uint32_t *active = hp_array_grow(work->edge_active, &work->active_capacity, needed, sizeof *active);
    if (active != NULL)
        work->edge_active = active;
    return edges != NULL && seen != NULL && active != NULL;
}

static uint32_t edge_find_or_add(summary *work, uint32_t caller, uint32_t callee) {
    if (!edges_widen(work))
        return HP_NO_PAIR;
    uint32_t edge = hp_pairs_put(&work->edge_index, caller, callee, work->edge_count);
    if (edge == work->edge_count) {
        work->edges[edge] = (hp_edge){.caller = caller, .callee = callee};
        work->edge_seen[edge] = 0;
        work->edge_active[edge] = 0;
        work->edge_count++;
    }
    return edge;
}

static void enter_edge(summary *work, uint32_t i, uint32_t edge_id) {
    const hp_node *node = &work->tree->nodes[i];
    hp_edge *edge = &work->edges[edge_id];
    edge->calls += node->calls;
    edge->self_sampled += node->sampled;
    edge->self_exact += node->exact;
    work->edge_seen[edge_id] |= hp_node_seen(node);
    if (work->row_active[node->function] == 0)
        edge->primitive_calls += node->calls;
    if (work->edge_active[edge_id]++ == 0) {
        edge->total_sampled += work->inclusive[i].sampled;
        edge->total_exact += work->inclusive[i].exact;
    }
}

/* Nobody counted all of its activations: calls are a lower bound, or there is time of one that began unseen. */
bool hp_seen_is_bound(unsigned seen) {
    return (seen & HP_SEEN_BOUND) != 0 || (seen & (HP_SEEN_EXACT | HP_SEEN_CALLS)) == HP_SEEN_EXACT;
}

static void enter_row(summary *work, uint32_t i) {
    const hp_node *node = &work->tree->nodes[i];
    hp_row *row = &work->rows[node->function];
    row->samples += node->samples;
    row->calls += node->calls;
    row->self_sampled += node->sampled;
    row->self_exact += node->exact;
    bool divided = (node->flags & HP_NODE_DIVIDED) != 0;
    work->row_seen[node->function] |= hp_node_seen(node) | ROW_EXISTS | (divided ? ROW_DIVIDED : 0u);
    hp_share share = {.self_samples = node->samples, .self_ns = node->sampled, .bound = hp_seen_is_bound(hp_node_seen(node))};
    if (divided) /* what was taken out of its self time is as uncertain as what it became */
        share.self_samples = work->inclusive[i].samples;
    if (work->row_active[node->function]++ == 0) {
        share.total_samples = work->inclusive[i].samples;
        share.total_ns = work->inclusive[i].sampled;
        row->primitive_calls += node->calls;
        row->total_sampled += work->inclusive[i].sampled;
        row->total_exact += work->inclusive[i].exact;
    }
    hp_shares_add(&work->shares, node->function, &share);
}

static bool enter(summary *work, uint32_t i) {
    const hp_node *node = &work->tree->nodes[i];
    uint32_t edge = edge_find_or_add(work, work->tree->nodes[node->parent].function, node->function); /* the root has HP_NO_FUNCTION */
    if (edge == HP_NO_PAIR)
        return false;
    work->edge_of[i] = edge;
    enter_edge(work, i, edge);
    enter_row(work, i);
    return true;
}

static void leave(summary *work, uint32_t i) {
    const hp_node *node = &work->tree->nodes[i];
    work->row_active[node->function]--;
    work->edge_active[work->edge_of[i]]--;
    if (node->parent == 0)
        hp_shares_end_thread(&work->shares, i,
                             &(hp_share){.total_samples = work->inclusive[i].samples, .total_ns = work->inclusive[i].sampled});
}

/* Depth first, by the links alone: down to the first child, else along to the next sibling of the nearest node above that has one. */
static hp_status walk(summary *work) {
    const hp_node *nodes = work->tree->nodes;
    uint32_t i = nodes[0].first_child;
    while (i != HP_NO_NODE) {
        if (!enter(work, i))
            return HP_NO_MEMORY;
        if (nodes[i].first_child != HP_NO_NODE) {
            i = nodes[i].first_child;
            continue;
        }
        leave(work, i);
        while (nodes[i].next_sibling == HP_NO_NODE && nodes[i].parent != 0) {
            i = nodes[i].parent;
            leave(work, i);
        }
        i = nodes[i].next_sibling;
    }
    return HP_OK;
}

static int edge_order(const void *a, const void *b) {
    const hp_edge *x = a;
    const hp_edge *y = b;
    if (x->caller != y->caller)
        return x->caller < y->caller ? -1 : 1;
    return x->callee < y->callee ? -1 : x->callee > y->callee;
}

static void hand_over(summary *work, hp_profile *profile) {
    for (uint32_t e = 0; e < work->edge_count; e++)
        work->edges[e].measured = hp_seen_measured(work->edge_seen[e]);
    if (work->edge_count > 1)
        qsort(work->edges, work->edge_count, sizeof *work->edges, edge_order);
    uint32_t rows = 0;
    for (uint32_t f = 0; f < profile->function_count; f++) {
        if (work->row_seen[f] == 0)
            continue;
        hp_row row = work->rows[f];
        row.function = f;
        row.measured = hp_seen_measured(work->row_seen[f]);
        row.self_error_ns = hp_error_half_width(work->shares.self[f]);
        row.total_error_ns = hp_error_half_width(work->shares.total[f]);
        if (row.measured == HP_EXACT && (work->row_seen[f] & ROW_DIVIDED) == 0)
            row.self_error_ns = 0;
        if (row.measured == HP_EXACT && row.total_sampled == 0)
            row.total_error_ns = 0;
        work->rows[rows++] = row;
    }
    free(profile->rows);
    free(profile->edges);
    profile->rows = work->rows;
    profile->row_count = rows;
    profile->edges = work->edges;
    profile->edge_count = work->edge_count;
    work->rows = NULL;
    work->edges = NULL;
}

hp_status hp_profile_summarize(hp_profile *profile) {
    summary work;
    hp_status status = summary_init(&work, profile);
    if (status != HP_OK)
        goto done;
    add_up(&work);
    status = walk(&work);
    if (status == HP_OK)
        hand_over(&work, profile);
done:
    summary_fini(&work);
    return status;
}
