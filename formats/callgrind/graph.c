/* SPDX-License-Identifier: MIT */
#include "formats/callgrind/graph.h"

#include <stdlib.h>
#include <string.h>

static uint32_t slot_of(const hp_graph *graph, uint32_t caller, uint32_t callee) {
    uint64_t mixed = ((uint64_t)caller << 32 | callee) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t slot = (uint32_t)(mixed >> 32) & graph->index_mask;
    while (graph->index[slot] != HP_NO_NODE) {
        const hp_graph_edge *edge = &graph->edges[graph->index[slot]];
        if (edge->caller == caller && edge->callee == callee)
            break;
        slot = (slot + 1) & graph->index_mask;
    }
    return slot;
}

static bool grow(hp_graph *graph) {
    uint32_t capacity = graph->edge_capacity != 0 ? graph->edge_capacity * 2 : 512;
    hp_graph_edge *edges = realloc(graph->edges, capacity * sizeof *edges);
    if (edges == NULL)
        return false;
    graph->edges = edges;
    graph->edge_capacity = capacity;
    uint32_t *index = malloc((size_t)capacity * 2 * sizeof *index);
    if (index == NULL)
        return false;
    free(graph->index);
    graph->index = index;
    graph->index_mask = capacity * 2 - 1;
    memset(index, 0xff, (size_t)capacity * 2 * sizeof *index);
    for (uint32_t i = 0; i < graph->edge_count; i++)
        index[slot_of(graph, edges[i].caller, edges[i].callee)] = i;
    return true;
}

hp_graph_edge *hp_graph_edge_of(hp_graph *graph, uint32_t caller, uint32_t callee) {
    if (graph->edge_count == graph->edge_capacity && !grow(graph))
        return NULL;
    uint32_t slot = slot_of(graph, caller, callee);
    if (graph->index[slot] == HP_NO_NODE) {
        graph->index[slot] = graph->edge_count;
        graph->edges[graph->edge_count++] = (hp_graph_edge){.caller = caller, .callee = callee};
    }
    return &graph->edges[graph->index[slot]];
}

static int line_order(const void *left, const void *right) {
    const hp_graph_line *a = left, *b = right;
    if (a->function != b->function)
        return a->function < b->function ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

typedef enum end { CALLER, CALLEE } end;

static uint32_t end_of(const hp_graph_edge *edge, end which) {
    return which == CALLER ? edge->caller : edge->callee;
}

/* Edges in stable order of one end. `start` has room for each function and two more, and tells afterwards where each one's edges begin. */
static void edges_order(const hp_graph *graph, end which, const uint32_t *from, uint32_t *to, uint32_t *start) {
    memset(start, 0, ((size_t)graph->root + 2) * sizeof *start);
    for (uint32_t i = 0; i < graph->edge_count; i++)
        start[end_of(&graph->edges[i], which) + 1]++;
    for (uint32_t i = 0; i <= graph->root; i++)
        start[i + 1] += start[i];
    for (uint32_t i = 0; i < graph->edge_count; i++) {
        uint32_t edge = from != NULL ? from[i] : i;
        to[start[end_of(&graph->edges[edge], which)]++] = edge;
    }
    /* Placing moved each start to its end, which is where the next one starts. */
    memmove(start + 1, start, ((size_t)graph->root + 1) * sizeof *start);
    start[0] = 0;
}

/* By counting, last key first: qsort took a third of an export. */
static hp_status edges_sort(hp_graph *graph) {
    size_t count = (size_t)graph->edge_count + 1;
    uint32_t *by_callee = malloc(count * sizeof *by_callee), *by_both = malloc(count * sizeof *by_both);
    hp_graph_edge *sorted = malloc(count * sizeof *sorted);
    graph->edge_start = malloc(((size_t)graph->root + 2) * sizeof *graph->edge_start);
    hp_status status = HP_NO_MEMORY;
    if (by_callee == NULL || by_both == NULL || sorted == NULL || graph->edge_start == NULL)
        goto done;
    edges_order(graph, CALLEE, NULL, by_callee, graph->edge_start);
    edges_order(graph, CALLER, by_callee, by_both, graph->edge_start);
    for (uint32_t i = 0; i < graph->edge_count; i++)
        sorted[i] = graph->edges[by_both[i]];
    free(graph->edges);
    graph->edges = sorted;
    sorted = NULL;
    status = HP_OK;
done:
    free(by_callee);
    free(by_both);
    free(sorted);
    return status;
}

static void lines_merge(hp_graph *graph) {
    uint32_t used = 0;
    if (graph->line_count > 1)
        qsort(graph->lines, graph->line_count, sizeof *graph->lines, line_order);
    for (uint32_t i = 0; i < graph->line_count; i++) {
        if (used != 0 && line_order(&graph->lines[used - 1], &graph->lines[i]) == 0)
            graph->lines[used - 1].sampled += graph->lines[i].sampled;
        else
            graph->lines[used++] = graph->lines[i];
    }
    graph->line_count = used;
    for (uint32_t i = 0; i < used; i++)
        graph->line_start[graph->lines[i].function + 1]++;
    for (uint32_t i = 0; i <= graph->root; i++)
        graph->line_start[i + 1] += graph->line_start[i];
}

/* A line that is not known stays out: the writer gives a function's rest to its first line. */
static hp_status lines_take(hp_graph *graph, const hp_profile *profile) {
    graph->lines = malloc(((size_t)profile->line_count + 1) * sizeof *graph->lines);
    graph->line_start = calloc((size_t)graph->root + 2, sizeof *graph->line_start);
    if (graph->lines == NULL || graph->line_start == NULL)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i < profile->line_count; i++) {
        const hp_line *line = &profile->lines[i];
        if (line->line == 0 || line->sampled == 0 || line->node == 0 || line->node >= profile->tree.count)
            continue;
        graph->lines[graph->line_count++] = (hp_graph_line){profile->tree.nodes[line->node].function, line->line, line->sampled};
    }
    lines_merge(graph);
    return HP_OK;
}

hp_status hp_graph_init(hp_graph *graph, const hp_profile *profile) {
    *graph = (hp_graph){.root = profile->function_count};
    hp_status status = HP_NO_MEMORY;
    graph->self = calloc((size_t)graph->root + 1, sizeof *graph->self);
    if (graph->self != NULL)
        status = profile->tree.count > 1 ? hp_graph_from_tree(graph, profile) : hp_graph_from_table(graph, profile);
    if (status == HP_OK)
        status = edges_sort(graph);
    if (status == HP_OK)
        status = lines_take(graph, profile);
    for (uint32_t i = 0; status == HP_OK && i <= graph->root; i++)
        hp_cost_add(&graph->total, &graph->self[i]);
    if (status != HP_OK)
        hp_graph_fini(graph);
    return status;
}

void hp_graph_fini(hp_graph *graph) {
    free(graph->self);
    free(graph->edges);
    free(graph->edge_start);
    free(graph->lines);
    free(graph->line_start);
    free(graph->index);
    *graph = (hp_graph){0};
}
