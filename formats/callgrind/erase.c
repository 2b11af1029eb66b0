/* SPDX-License-Identifier: MIT */
/* From a tree: every node's cost goes to its *loop-erased* stack, in which a function that is entered again goes back to its first
 * activation (A B C B becomes A B). No function stands twice in such a stack, so adding a cost to each function and each edge on it once
 * conserves by construction. Zeroing the edges that close a cycle is not enough: the function beneath then has more coming in than it has.
 *
 * One walk over the tree. `path` is the loop-erased stack of the node being visited, `place[f]` where f stood in it last: true if that
 * place still holds f and is not above the top. A node either goes back (the top drops) or puts one entry on top; what that overwrites,
 * an entry that a node further up erased and will need again, is kept until the node is left. So each step takes constant time. */
#include <stdlib.h>

#include "formats/callgrind/graph.h"

typedef struct entry {
    uint32_t function;
    hp_cost cost; /* inclusive, so far */
} entry;

/* What leaving a node must bring back. By depth in the tree. */
typedef struct undo {
    uint32_t depth;
    uint32_t place;
    bool pushed;
    entry overwritten;
} undo;

typedef struct eraser {
    hp_graph *graph;
    const hp_node *nodes;
    entry *path;
    uint32_t depth; /* entries that count; path[0] is the root */
    uint32_t *place;
    undo *undos;
    uint32_t undo_count;
    uint32_t capacity; /* of path and undos: the path is never deeper than the tree */
} eraser;

static bool reserve(eraser *e) {
    if (e->undo_count + 1 < e->capacity)
        return true;
    uint32_t capacity = e->capacity * 2;
    entry *path = realloc(e->path, capacity * sizeof *path);
    if (path == NULL)
        return false;
    e->path = path;
    undo *undos = realloc(e->undos, capacity * sizeof *undos);
    if (undos == NULL)
        return false;
    e->undos = undos;
    for (uint32_t i = e->capacity; i < capacity; i++)
        path[i] = (entry){.function = HP_NO_FUNCTION};
    e->capacity = capacity;
    return true;
}

static hp_status enter(eraser *e, uint32_t index) {
    const hp_node *node = &e->nodes[index];
    uint32_t function = node->function, place = e->place[function];
    if (!reserve(e))
        return HP_NO_MEMORY;
    undo *saved = &e->undos[e->undo_count++];
    *saved = (undo){.depth = e->depth, .place = place};
    if (place < e->depth && e->path[place].function == function) {
        e->depth = place + 1;
    } else {
        saved->pushed = true;
        saved->overwritten = e->path[e->depth];
        e->path[e->depth] = (entry){.function = function};
        e->place[function] = e->depth++;
    }
    hp_cost self = {{node->sampled, node->exact, node->calls}};
    hp_cost_add(&e->path[e->depth - 1].cost, &self);
    hp_cost_add(&e->graph->self[function], &self);
    return HP_OK;
}

static hp_status leave(eraser *e, uint32_t index) {
    const undo *saved = &e->undos[--e->undo_count];
    if (saved->pushed) {
        const entry *top = &e->path[saved->depth];
        entry *below = &e->path[saved->depth - 1];
        hp_graph_edge *edge = hp_graph_edge_of(e->graph, below->function, top->function);
        if (edge == NULL)
            return HP_NO_MEMORY;
        edge->calls += e->nodes[index].calls;
        hp_cost_add(&edge->cost, &top->cost);
        hp_cost_add(&below->cost, &top->cost);
        e->place[top->function] = saved->place;
        e->path[saved->depth] = saved->overwritten;
    }
    e->depth = saved->depth;
    return HP_OK;
}

static hp_status walk(eraser *e) {
    hp_status status = HP_OK;
    uint32_t at = e->nodes[0].first_child;
    while (at != HP_NO_NODE && status == HP_OK) {
        status = enter(e, at);
        if (e->nodes[at].first_child != HP_NO_NODE && status == HP_OK) {
            at = e->nodes[at].first_child;
            continue;
        }
        while (status == HP_OK && at != 0) {
            status = leave(e, at);
            if (e->nodes[at].next_sibling != HP_NO_NODE)
                break;
            at = e->nodes[at].parent;
        }
        at = at != 0 ? e->nodes[at].next_sibling : HP_NO_NODE;
    }
    return status;
}

hp_status hp_graph_from_tree(hp_graph *graph, const hp_profile *profile) {
    hp_status status = HP_NO_MEMORY;
    eraser e = {.graph = graph, .nodes = profile->tree.nodes, .depth = 1, .capacity = 64};
    e.path = malloc(e.capacity * sizeof *e.path);
    e.undos = malloc(e.capacity * sizeof *e.undos);
    e.place = malloc(((size_t)profile->function_count + 1) * sizeof *e.place);
    if (e.path == NULL || e.undos == NULL || e.place == NULL)
        goto done;
    for (uint32_t i = 0; i < e.capacity; i++)
        e.path[i] = (entry){.function = HP_NO_FUNCTION};
    for (uint32_t i = 0; i <= profile->function_count; i++)
        e.place[i] = HP_NO_NODE;
    e.path[0].function = graph->root;
    status = walk(&e);
done:
    free(e.path);
    free(e.undos);
    free(e.place);
    return status;
}
