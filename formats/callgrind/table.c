/* SPDX-License-Identifier: MIT */
/* From rows and edges, where there is no tree (a pstats file). Their totals do not conserve once there is recursion, so only their
 * proportions are used: edges that close a cycle are left out (found by a walk from the roots), then from the leaves upwards each
 * function's self cost and what its callees passed to it is divided among its callers, by time for time and by calls for calls. Without
 * recursion that gives back the measured totals, to the ns that rounding to a double took; with it, totals are as in a loop-erased
 * stack as far as a table can tell. The division is of integers and loses nothing. */
#include <stdlib.h>
#include <string.h>

#include "formats/callgrind/graph.h"

__extension__ typedef unsigned __int128 wide;

typedef struct spreader {
    hp_graph *graph;
    const hp_edge *edges;
    uint32_t edge_count, function_count;
    uint32_t *out_start; /* by caller, and one more: edges[] is sorted by caller */
    uint32_t *in_start;  /* by callee, and one more */
    uint32_t *in;        /* indices of edges */
    uint32_t *order;     /* functions, callees first */
    uint32_t ordered;
    uint32_t *stack, *next; /* the walk: functions, and by function the next edge to look at */
    uint8_t *state;         /* by function */
    bool *kept;             /* by edge: does not close a cycle */
    hp_cost *inclusive;     /* by function */
} spreader;

enum { UNSEEN, ON_STACK, DONE };

static bool usable(const spreader *s, const hp_edge *edge) {
    return edge->callee < s->function_count && (edge->caller < s->function_count || edge->caller == HP_NO_FUNCTION) &&
           edge->caller != edge->callee;
}

static void index_edges(spreader *s) {
    for (uint32_t i = 0; i < s->edge_count; i++) {
        if (!usable(s, &s->edges[i]))
            continue;
        s->in_start[s->edges[i].callee + 1]++;
        s->kept[i] = s->edges[i].caller == HP_NO_FUNCTION;
    }
    for (uint32_t f = 0; f < s->function_count; f++)
        s->in_start[f + 1] += s->in_start[f];
    for (uint32_t i = 0; i < s->edge_count; i++) {
        if (usable(s, &s->edges[i]))
            s->in[s->in_start[s->edges[i].callee]++] = i;
    }
    /* Placing moved each start to its end, which is where the next one starts. */
    memmove(s->in_start + 1, s->in_start, s->function_count * sizeof *s->in_start);
    s->in_start[0] = 0;
    uint32_t at = 0;
    for (uint32_t f = 0; f <= s->function_count; f++) {
        while (at < s->edge_count && s->edges[at].caller < f)
            at++;
        s->out_start[f] = at;
    }
}

static void walk_from(spreader *s, uint32_t function) {
    uint32_t depth = 0;
    if (s->state[function] != UNSEEN)
        return;
    s->stack[depth++] = function;
    s->state[function] = ON_STACK;
    while (depth != 0) {
        uint32_t top = s->stack[depth - 1], at = s->next[top];
        if (at == s->out_start[top + 1]) {
            s->state[top] = DONE;
            s->order[s->ordered++] = top;
            depth--;
            continue;
        }
        s->next[top]++;
        uint32_t callee = s->edges[at].callee;
        if (!usable(s, &s->edges[at]) || s->state[callee] == ON_STACK)
            continue;
        s->kept[at] = true;
        if (s->state[callee] == UNSEEN) {
            s->stack[depth++] = callee;
            s->state[callee] = ON_STACK;
        }
    }
}

/* Roots first, so that cycles are cut where the program closed them; then what no root reaches. */
static void order_functions(spreader *s) {
    for (uint32_t f = 0; f < s->function_count; f++)
        s->next[f] = s->out_start[f];
    for (uint32_t i = 0; i < s->edge_count; i++) {
        if (usable(s, &s->edges[i]) && s->edges[i].caller == HP_NO_FUNCTION)
            walk_from(s, s->edges[i].callee);
    }
    for (uint32_t f = 0; f < s->function_count; f++) {
        if (s->in_start[f] == s->in_start[f + 1])
            walk_from(s, f);
    }
    for (uint32_t f = 0; f < s->function_count; f++)
        walk_from(s, f);
}

static uint64_t weight_of(const hp_edge *edge, int event) {
    uint64_t calls = edge->measured != HP_SAMPLED ? edge->calls : 0;
    uint64_t time = edge->total_sampled + edge->total_exact;
    return event == HP_EVENT_CALLS ? (calls != 0 ? calls : 1) : time != 0 ? time : 1;
}

/* Running totals are divided, not parts, so the parts add up to the whole. A table of anybody's may say more of the edges than 64 bits
 * hold: their proportions are what counts, so that the product below stays within 128. */
static void share_out(const spreader *s, uint32_t function, int event, hp_cost *parts) {
    uint32_t from = s->in_start[function], to = s->in_start[function + 1];
    wide all = 0, so_far = 0;
    uint64_t given = 0, whole = s->inclusive[function].of[event];
    unsigned shift = 0;
    for (uint32_t i = from; i < to; i++)
        all += s->kept[s->in[i]] ? weight_of(&s->edges[s->in[i]], event) : 0;
    while (all >> shift > UINT64_MAX)
        shift++;
    for (uint32_t i = from; i < to; i++) {
        so_far += s->kept[s->in[i]] ? weight_of(&s->edges[s->in[i]], event) : 0;
        uint64_t until = all != 0 ? (uint64_t)(whole * (so_far >> shift) / (all >> shift)) : 0;
        parts[i - from].of[event] = until - given;
        given = until;
    }
}

static hp_status pass_up(spreader *s, uint32_t function, hp_cost *parts) {
    uint32_t from = s->in_start[function], to = s->in_start[function + 1];
    bool any = false;
    hp_cost_add(&s->inclusive[function], &s->graph->self[function]);
    for (int event = 0; event < HP_EVENT_COUNT; event++)
        share_out(s, function, event, parts);
    for (uint32_t i = from; i < to; i++) {
        const hp_edge *edge = &s->edges[s->in[i]];
        if (!s->kept[s->in[i]])
            continue;
        any = true;
        hp_graph_edge *made = hp_graph_edge_of(s->graph, edge->caller == HP_NO_FUNCTION ? s->graph->root : edge->caller, function);
        if (made == NULL)
            return HP_NO_MEMORY;
        made->calls += edge->measured != HP_SAMPLED ? edge->calls : 0;
        hp_cost_add(&made->cost, &parts[i - from]);
        if (edge->caller != HP_NO_FUNCTION)
            hp_cost_add(&s->inclusive[edge->caller], &parts[i - from]);
    }
    if (any)
        return HP_OK;
    hp_graph_edge *made = hp_graph_edge_of(s->graph, s->graph->root, function);
    if (made != NULL)
        hp_cost_add(&made->cost, &s->inclusive[function]);
    return made != NULL ? HP_OK : HP_NO_MEMORY;
}

static bool allocate(spreader *s) {
    size_t functions = (size_t)s->function_count + 2, edges = (size_t)s->edge_count + 1;
    s->out_start = calloc(functions, sizeof *s->out_start);
    s->in_start = calloc(functions, sizeof *s->in_start);
    s->in = calloc(edges, sizeof *s->in);
    s->order = calloc(functions, sizeof *s->order);
    s->stack = calloc(functions, sizeof *s->stack);
    s->next = calloc(functions, sizeof *s->next);
    s->state = calloc(functions, sizeof *s->state);
    s->kept = calloc(edges, sizeof *s->kept);
    s->inclusive = calloc(functions, sizeof *s->inclusive);
    return s->out_start && s->in_start && s->in && s->order && s->stack && s->next && s->state && s->kept && s->inclusive;
}

hp_status hp_graph_from_table(hp_graph *graph, const hp_profile *profile) {
    spreader s = {.graph = graph, .edges = profile->edges, .edge_count = profile->edge_count, .function_count = profile->function_count};
    hp_cost *parts = calloc((size_t)profile->edge_count + 1, sizeof *parts);
    hp_status status = HP_NO_MEMORY;
    if (parts == NULL || !allocate(&s))
        goto done;
    status = HP_OK;
    for (uint32_t i = 0; i < profile->row_count; i++) {
        const hp_row *row = &profile->rows[i];
        graph->self[row->function] = (hp_cost){{row->self_sampled, row->self_exact, row->measured != HP_SAMPLED ? row->calls : 0}};
    }
    index_edges(&s);
    order_functions(&s);
    for (uint32_t i = 0; i < s.ordered && status == HP_OK; i++)
        status = pass_up(&s, s.order[i], parts);
done:
    free(parts);
    free(s.out_start);
    free(s.in_start);
    free(s.in);
    free(s.order);
    free(s.stack);
    free(s.next);
    free(s.state);
    free(s.kept);
    free(s.inclusive);
    return status;
}
