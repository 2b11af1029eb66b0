/* SPDX-License-Identifier: MIT */
/* One walk as in summary.c, thread by thread: a part is judged beside all that its function has in the thread, so that a thread must be
 * complete before the first of its parts is. */
#include "tree/part_errors.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "tree/error_bars.h"
#include "tree/shares.h"
#include "tree/summary.h"

/* The work in hand. Edges are indexed as the profile's, functions by id. */
typedef struct parts {
    const hp_profile *profile;
    hp_part_errors *out;
    hp_share *nodes; /* by node: self, inclusive */
    uint32_t *met;   /* nodes of the thread in hand */
    uint32_t met_count;
    uint32_t *edge_of; /* by node */
    hp_share *edges;   /* of the thread in hand */
    uint32_t *edge_active;
    hp_variances *edge_variances;
    bool *edge_divided;
    uint32_t *active; /* by function: its nodes on the walk's stack */
    unsigned *seen;   /* by function, of the thread in hand */
    double *room;
    uint32_t *line_of, *next_line; /* a node's lines: the first, HP_NO_NODE where there is none; the one after each */
    uint32_t thread_capacity, state_capacity;
    hp_shares shares;
} parts;

enum { PART_DIVIDED = 1u << 29 };

static void parts_fini(parts *work) {
    free(work->nodes);
    free(work->met);
    free(work->edge_of);
    free(work->edges);
    free(work->edge_active);
    free(work->edge_variances);
    free(work->edge_divided);
    free(work->active);
    free(work->seen);
    free(work->room);
    free(work->line_of);
    free(work->next_line);
    hp_shares_fini(&work->shares);
}

static hp_status parts_init(parts *work, const hp_profile *profile, hp_part_errors *out) {
    size_t nodes = profile->tree.count, functions = profile->function_count, edges = (size_t)profile->edge_count + 1;
    *work = (parts){.profile = profile, .out = out};
    work->nodes = calloc(nodes, sizeof *work->nodes);
    work->met = malloc(nodes * sizeof *work->met);
    work->edge_of = malloc(nodes * sizeof *work->edge_of);
    work->edges = calloc(edges, sizeof *work->edges);
    work->edge_active = calloc(edges, sizeof *work->edge_active);
    work->edge_variances = calloc(edges, sizeof *work->edge_variances);
    work->edge_divided = calloc(edges, sizeof *work->edge_divided);
    work->active = calloc(functions, sizeof *work->active);
    work->seen = calloc(functions, sizeof *work->seen);
    work->room = malloc(functions * sizeof *work->room);
    work->line_of = malloc(nodes * sizeof *work->line_of);
    work->next_line = malloc(((size_t)profile->line_count + 1) * sizeof *work->next_line);
    out->nodes = calloc(nodes, sizeof *out->nodes);
    out->edges = calloc(edges, sizeof *out->edges);
    hp_status status = hp_shares_init(&work->shares, profile);
    bool whole = work->nodes && work->met && work->edge_of && work->edges && work->edge_active && work->edge_variances &&
                 work->edge_divided && work->active && work->seen && work->room && work->line_of && work->next_line && out->nodes &&
                 out->edges;
    return whole ? status : HP_NO_MEMORY;
}

static void list_lines(parts *work) {
    memset(work->line_of, 0xff, work->profile->tree.count * sizeof *work->line_of);
    for (uint32_t i = 0; i < work->profile->line_count; i++) {
        uint32_t node = work->profile->lines[i].node;
        work->next_line[i] = work->line_of[node];
        work->line_of[node] = i;
    }
}

static void add_up(parts *work) {
    const hp_tree *tree = &work->profile->tree;
    for (uint32_t i = tree->count; i-- > 0;) { /* children lie behind their parents */
        const hp_node *node = &tree->nodes[i];
        hp_share *own = &work->nodes[i];
        own->self_samples = node->samples;
        own->self_ns = node->sampled;
        own->total_samples += node->samples;
        own->total_ns += node->sampled;
        own->bound = hp_seen_is_bound(hp_node_seen(node));
        if ((node->flags & HP_NODE_DIVIDED) != 0)
            own->self_samples = own->total_samples;
        if (i == 0)
            break;
        work->nodes[node->parent].total_samples += own->total_samples;
        work->nodes[node->parent].total_ns += own->total_ns;
    }
}

/* Edges are in the order of caller and callee, and there is one for each pair of the tree. */
static uint32_t edge_of(const hp_profile *profile, uint32_t caller, uint32_t callee) {
    uint32_t low = 0, high = profile->edge_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const hp_edge *at = &profile->edges[middle];
        if (at->caller < caller || (at->caller == caller && at->callee < callee))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static hp_share outermost(const hp_share *node, bool is_outermost) {
    hp_share share = *node;
    if (!is_outermost)
        share.total_samples = share.total_ns = 0;
    return share;
}

static void add(hp_share *into, const hp_share *share) {
    into->self_samples += share->self_samples;
    into->self_ns += share->self_ns;
    into->total_samples += share->total_samples;
    into->total_ns += share->total_ns;
    into->bound |= share->bound;
}

static void enter(parts *work, uint32_t i) {
    const hp_node *nodes = work->profile->tree.nodes, *node = &nodes[i];
    bool divided = (node->flags & HP_NODE_DIVIDED) != 0;
    uint32_t edge = work->edge_of[i] = edge_of(work->profile, nodes[node->parent].function, node->function);
    hp_share of_function = outermost(&work->nodes[i], work->active[node->function]++ == 0);
    hp_share of_edge = outermost(&work->nodes[i], work->edge_active[edge]++ == 0);
    work->met[work->met_count++] = i;
    hp_shares_add(&work->shares, node->function, &of_function);
    add(&work->edges[edge], &of_edge);
    work->edge_divided[edge] |= divided;
    work->seen[node->function] |= hp_node_seen(node) | (divided ? PART_DIVIDED : 0u);
}

static void leave(parts *work, uint32_t i) {
    work->active[work->profile->tree.nodes[i].function]--;
    work->edge_active[work->edge_of[i]]--;
}

/* Depth first, by the links alone: depth has no bound. */
static void walk(parts *work, uint32_t root) {
    const hp_node *nodes = work->profile->tree.nodes;
    uint32_t i = root;
    for (;;) {
        enter(work, i);
        if (nodes[i].first_child != HP_NO_NODE) {
            i = nodes[i].first_child;
            continue;
        }
        leave(work, i);
        while (i != root && nodes[i].next_sibling == HP_NO_NODE) {
            i = nodes[i].parent;
            leave(work, i);
        }
        if (i == root)
            return;
        i = nodes[i].next_sibling;
    }
}

/* As rows are: what is exact has no error but for what samples took out of it. */
static hp_part_error error_of(hp_variances found, hp_measured measured, bool divided, uint64_t total_sampled) {
    bool exact = measured == HP_EXACT;
    return (hp_part_error){exact && !divided ? 0 : hp_error_half_width(found.self),
                           exact && total_sampled == 0 ? 0 : hp_error_half_width(found.total)};
}

static hp_status judge_functions(parts *work, uint32_t root) {
    hp_part_errors *out = work->out;
    uint32_t needed = out->thread_count + work->shares.touched_count;
    hp_thread_error *wider = hp_array_grow(out->threads, &work->thread_capacity, needed + 1, sizeof *wider);
    if (wider == NULL)
        return HP_NO_MEMORY;
    out->threads = wider;
    for (uint32_t i = 0; i < work->shares.touched_count; i++) {
        uint32_t function = work->shares.touched[i];
        unsigned seen = work->seen[function];
        hp_part_error error = error_of(hp_shares_judge(&work->shares, function), hp_seen_measured(seen), (seen & PART_DIVIDED) != 0,
                                       work->shares.by_function[function].total_ns);
        out->threads[out->thread_count++] = (hp_thread_error){root, function, error};
    }
    return HP_OK;
}

static void judge_nodes(parts *work, double widening) {
    const hp_node *nodes = work->profile->tree.nodes;
    for (uint32_t k = 0; k < work->met_count; k++) {
        uint32_t i = work->met[k];
        hp_variances found = hp_shares_judge_part(&work->shares, nodes[i].function, &work->nodes[i], widening);
        work->out->nodes[i] =
            error_of(found, hp_seen_measured(hp_node_seen(&nodes[i])), (nodes[i].flags & HP_NODE_DIVIDED) != 0, work->nodes[i].total_ns);
    }
}

/* Threads are independent: an edge's variances add. Taken once, by the first of its nodes. */
static void judge_edges(parts *work, double widening) {
    for (uint32_t k = 0; k < work->met_count; k++) {
        uint32_t edge = work->edge_of[work->met[k]];
        uint32_t callee = work->profile->tree.nodes[work->met[k]].function;
        hp_variances found = hp_shares_judge_part(&work->shares, callee, &work->edges[edge], widening);
        work->edge_variances[edge].self += found.self;
        work->edge_variances[edge].total += found.total;
        work->edges[edge] = (hp_share){0};
    }
}

static hp_status put_state(parts *work, hp_state_error found) {
    hp_part_errors *out = work->out;
    hp_state_error *wider = hp_array_grow(out->states, &work->state_capacity, out->state_count + 1, sizeof *wider);
    if (wider == NULL)
        return HP_NO_MEMORY;
    out->states = wider;
    out->states[out->state_count++] = found;
    return HP_OK;
}

static hp_status judge_states(parts *work, uint32_t node, double widening) {
    hp_share by_state[HP_STATES] = {0};
    hp_status status = HP_OK;
    for (uint32_t i = work->line_of[node]; i != HP_NO_NODE; i = work->next_line[i]) {
        const hp_line *line = &work->profile->lines[i];
        add(&by_state[line->state], &(hp_share){.self_samples = line->samples, .self_ns = line->sampled});
    }
    for (int state = 0; state < HP_STATES && status == HP_OK; state++) {
        if (by_state[state].self_samples == 0 && by_state[state].self_ns == 0)
            continue;
        hp_variances found = hp_shares_judge_part(&work->shares, work->profile->tree.nodes[node].function, &by_state[state], widening);
        status = put_state(work, (hp_state_error){node, (hp_thread_state)state, hp_error_half_width(found.self)});
    }
    return status;
}

static hp_status judge_thread(parts *work, uint32_t root) {
    hp_share whole = {.total_samples = work->nodes[root].total_samples, .total_ns = work->nodes[root].total_ns};
    hp_shares_whole(&work->shares, root, &whole);
    double widening = hp_shares_widening(&work->shares, work->room);
    hp_status status = judge_functions(work, root);
    judge_nodes(work, widening);
    judge_edges(work, widening);
    for (uint32_t k = 0; k < work->met_count && status == HP_OK; k++)
        status = judge_states(work, work->met[k], widening);
    for (uint32_t k = 0; k < work->met_count; k++)
        work->seen[work->profile->tree.nodes[work->met[k]].function] = 0;
    work->met_count = 0;
    hp_shares_end_thread(&work->shares, root, &whole);
    return status;
}

static void finish_edges(parts *work) {
    for (uint32_t e = 0; e < work->profile->edge_count; e++) {
        const hp_edge *edge = &work->profile->edges[e];
        work->out->edges[e] = error_of(work->edge_variances[e], edge->measured, work->edge_divided[e], edge->total_sampled);
    }
}

hp_status hp_part_errors_init(hp_part_errors *errors, const hp_profile *profile) {
    parts work;
    *errors = (hp_part_errors){0};
    hp_status status = parts_init(&work, profile, errors);
    uint32_t root = profile->tree.count > 1 ? profile->tree.nodes[0].first_child : HP_NO_NODE;
    if (status == HP_OK && root != HP_NO_NODE) {
        list_lines(&work);
        add_up(&work);
    }
    for (; status == HP_OK && root != HP_NO_NODE; root = profile->tree.nodes[root].next_sibling) {
        walk(&work, root);
        status = judge_thread(&work, root);
    }
    if (status == HP_OK)
        finish_edges(&work);
    parts_fini(&work);
    return status;
}

void hp_part_errors_fini(hp_part_errors *errors) {
    free(errors->nodes);
    free(errors->edges);
    free(errors->threads);
    free(errors->states);
    *errors = (hp_part_errors){0};
}
