/* SPDX-License-Identifier: MIT */
/* A call graph whose edges conserve cost: for every function and event, what comes in is its self cost plus what goes out.
 *
 * Callgrind's readers know no stacks. They take the sum of the incoming edges for a function's inclusive cost, or push shares down the
 * graph; both are right only if edges conserve. */
#ifndef HP_FORMATS_CALLGRIND_GRAPH_H
#define HP_FORMATS_CALLGRIND_GRAPH_H

#include "formats/format.h"

enum { HP_EVENT_SAMPLED, HP_EVENT_EXACT, HP_EVENT_CALLS, HP_EVENT_COUNT };

typedef struct hp_cost {
    uint64_t of[HP_EVENT_COUNT]; /* ns, ns, calls */
} hp_cost;

typedef struct hp_graph_edge {
    uint32_t caller, callee; /* function ids; the root's is graph->root */
    uint64_t calls;          /* exact, 0 where only sampled */
    hp_cost cost;            /* inclusive */
} hp_graph_edge;

typedef struct hp_graph_line {
    uint32_t function, line;
    uint64_t sampled;
} hp_graph_line;

typedef struct hp_graph {
    uint32_t root; /* = number of functions: stands above all threads */
    hp_cost total;
    hp_cost *self;        /* by function id, and the root */
    hp_graph_edge *edges; /* by caller, then callee; unique; the cost may be zero */
    uint32_t edge_count, edge_capacity;
    uint32_t *edge_start; /* by caller, and one more */
    hp_graph_line *lines; /* by function, then line; unique */
    uint32_t line_count;
    uint32_t *line_start; /* by function, and one more */
    uint32_t *index;      /* over (caller, callee), open addressing; HP_NO_NODE is empty */
    uint32_t index_mask;
} hp_graph;

hp_status hp_graph_init(hp_graph *graph, const hp_profile *profile);
void hp_graph_fini(hp_graph *graph);

/* Adds to the edge of these two, making it if need be. NULL when memory is short. */
hp_graph_edge *hp_graph_edge_of(hp_graph *graph, uint32_t caller, uint32_t callee);
/* The two ways to fill it: erase.c, table.c. */
hp_status hp_graph_from_tree(hp_graph *graph, const hp_profile *profile);
hp_status hp_graph_from_table(hp_graph *graph, const hp_profile *profile);

static inline void hp_cost_add(hp_cost *into, const hp_cost *cost) {
    for (int i = 0; i < HP_EVENT_COUNT; i++)
        into->of[i] += cost->of[i];
}
static inline bool hp_cost_is_zero(const hp_cost *cost) {
    return (cost->of[HP_EVENT_SAMPLED] | cost->of[HP_EVENT_EXACT] | cost->of[HP_EVENT_CALLS]) == 0;
}

#endif
