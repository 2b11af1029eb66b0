/* SPDX-License-Identifier: MIT */
/* Room is kept for every overflow node that may still be needed (`reserved`: one under the root, one under each thread and under that one),
 * so that hp_tree_find_or_add has something true to return when memory or the limit is reached. */
#include "tree/call_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/pages.h"

enum { FIRST_CAPACITY = 64, LEAST_LIMIT = 3 };
#define MOST_NODES (1u << 31)

/* Where (parent, function) is in the index, or where it would go. */
static uint32_t *tree_place(const hp_tree *tree, uint32_t parent, uint32_t function) {
    for (uint32_t at = (uint32_t)hp_hash_pair(parent, function) & tree->index_mask;; at = (at + 1) & tree->index_mask) {
        uint32_t node = tree->index[at];
        if (node == HP_NO_NODE || (tree->nodes[node].parent == parent && tree->nodes[node].function == function))
            return &tree->index[at];
    }
}

static size_t nodes_size(const hp_tree *tree) {
    return tree->nodes == NULL ? 0 : tree->capacity * sizeof *tree->nodes;
}

static size_t index_size(const hp_tree *tree) {
    return tree->index == NULL ? 0 : ((size_t)tree->index_mask + 1) * sizeof *tree->index;
}

/* Nodes and index grow together: an index of twice the capacity is never more than half full, and appending below capacity cannot fail. */
static bool tree_grow(hp_tree *tree, uint32_t capacity) {
    size_t size = 2;
    while (size < (size_t)capacity * 2)
        size *= 2;
    uint32_t *index = hp_pages_resize(NULL, 0, size * sizeof *index);
    if (index == NULL)
        return false;
    hp_node *nodes = hp_pages_resize(tree->nodes, nodes_size(tree), capacity * sizeof *nodes);
    if (nodes == NULL) {
        hp_pages_free(index, size * sizeof *index);
        return false;
    }
    memset(index, 0xff, size * sizeof *index);
    hp_pages_free(tree->index, index_size(tree));
    tree->index = index;
    tree->index_mask = (uint32_t)(size - 1);
    tree->nodes = nodes;
    tree->capacity = capacity;
    for (uint32_t i = 1; i < tree->count; i++)
        *tree_place(tree, nodes[i].parent, nodes[i].function) = i;
    return true;
}

hp_status hp_tree_unindexed_reserve(hp_tree *tree, uint32_t count) {
    hp_pages_free(tree->index, index_size(tree));
    tree->index = NULL;
    if (count > MOST_NODES - tree->count)
        return HP_NO_MEMORY;
    uint32_t needed = tree->count + count;
    if (needed <= tree->capacity)
        return HP_OK;
    uint32_t capacity = needed < tree->capacity * UINT64_C(2) && tree->capacity < MOST_NODES / 2 ? tree->capacity * 2 : needed;
    hp_node *nodes = hp_pages_resize(tree->nodes, nodes_size(tree), capacity * sizeof *nodes);
    if (nodes == NULL)
        return HP_NO_MEMORY;
    tree->nodes = nodes;
    tree->capacity = capacity;
    return HP_OK;
}

hp_status hp_tree_init(hp_tree *tree, uint32_t limit, uint32_t overflow_function) {
    *tree = (hp_tree){.limit = limit == 0 || limit > MOST_NODES ? MOST_NODES : limit, .overflow_function = overflow_function};
    if (tree->limit < LEAST_LIMIT)
        tree->limit = LEAST_LIMIT;
    if (!tree_grow(tree, tree->limit < FIRST_CAPACITY ? tree->limit : FIRST_CAPACITY))
        return HP_NO_MEMORY;
    tree->nodes[0] = (hp_node){HP_NO_NODE, HP_NO_FUNCTION, HP_NO_NODE, HP_NO_NODE, 0, 0, 0, 0, 0, 0, HP_NO_NODE};
    tree->count = 1;
    tree->reserved = 2;
    return HP_OK;
}

void hp_tree_fini(hp_tree *tree) {
    hp_pages_free(tree->nodes, nodes_size(tree));
    hp_pages_free(tree->index, index_size(tree));
    *tree = (hp_tree){0};
}

hp_status hp_tree_copy(hp_tree *into, const hp_tree *from) {
    *into = *from;
    into->nodes = hp_pages_resize(NULL, 0, nodes_size(from));
    into->index = from->index == NULL ? NULL : hp_pages_resize(NULL, 0, index_size(from));
    if (into->nodes == NULL || (into->index == NULL && from->index != NULL)) {
        hp_tree_fini(into);
        return HP_NO_MEMORY;
    }
    if (from->count > 0)
        memcpy(into->nodes, from->nodes, from->count * sizeof *into->nodes);
    if (from->index != NULL)
        memcpy(into->index, from->index, index_size(from));
    return HP_OK;
}

uint32_t hp_tree_find(const hp_tree *tree, uint32_t parent, uint32_t function) {
    return *tree_place(tree, parent, function);
}

static bool is_thread(const hp_tree *tree, uint32_t node) {
    return node != 0 && tree->nodes[node].parent == 0;
}

/* A thread's `function` is its index, which may equal the overflow function: a thread is never an overflow node. */
static bool is_overflow(const hp_tree *tree, uint32_t node) {
    return node != 0 && !is_thread(tree, node) && tree->nodes[node].function == tree->overflow_function;
}

static bool is_reserved(const hp_tree *tree, uint32_t parent, uint32_t function) {
    return function == tree->overflow_function && (parent == 0 || is_thread(tree, parent));
}

/* Room is there. */
static uint32_t tree_append(hp_tree *tree, uint32_t parent, uint32_t function) {
    uint32_t node = tree->count++;
    if (is_reserved(tree, parent, function))
        tree->reserved--;
    else if (parent == 0)
        tree->reserved++;
    hp_node *above = &tree->nodes[parent];
    tree->nodes[node] = (hp_node){parent, function, HP_NO_NODE, above->first_child, 0, 0, 0, 0, 0, 0, HP_NO_NODE};
    above->first_child = node;
    *tree_place(tree, parent, function) = node;
    return node;
}

static bool tree_has_room(hp_tree *tree, uint32_t parent, uint32_t function) {
    if (is_reserved(tree, parent, function))
        return true;
    uint64_t needed = (uint64_t)tree->count + tree->reserved + (parent == 0 ? 2 : 1);
    if (needed > (parent == 0 ? MOST_NODES : tree->limit))
        return false;
    if (needed <= tree->capacity)
        return true;
    if (needed > tree->limit)
        return tree_grow(tree, (uint32_t)(needed + needed / 4));
    return tree_grow(tree, tree->capacity > tree->limit / 2 ? tree->limit : tree->capacity * 2);
}

/* All that does not fit in a thread is gathered in one node below its root. A new thread does not fit only when memory is short: in a live
 * tree, whose threads bear their indexes, its time then goes to thread 0. */
static uint32_t tree_overflow(hp_tree *tree, uint32_t parent) {
    tree->overflowed++;
    while (parent != 0 && !is_thread(tree, parent))
        parent = tree->nodes[parent].parent;
    uint32_t found = hp_tree_find(tree, parent, tree->overflow_function);
    return found != HP_NO_NODE ? found : tree_append(tree, parent, tree->overflow_function);
}

uint32_t hp_tree_find_or_add(hp_tree *tree, uint32_t parent, uint32_t function) {
    uint32_t found = hp_tree_find(tree, parent, function);
    if (found == HP_NO_NODE) {
        if (is_overflow(tree, parent)) {
            tree->overflowed++; /* what is below what did not fit does not fit */
            return parent;
        }
        if (!tree_has_room(tree, parent, function))
            return tree_overflow(tree, parent);
        found = tree_append(tree, parent, function);
    }
    tree->nodes[parent].recent_child = found;
    return found;
}

static uint64_t scaled(uint64_t value, double scale) {
    if (scale == 1.0) /* exact beyond 2^53 too */
        return value;
    double result = (double)value * scale + 0.5;
    return result < 0.0 ? 0 : result >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)result;
}

static void node_add(hp_node *into, const hp_node *from, double exact_scale, bool hidden) {
    into->samples += from->samples;
    into->sampled += from->sampled;
    into->exact += scaled(from->exact, exact_scale);
    into->overhead += scaled(from->overhead, exact_scale);
    if (hidden) /* its activations are not activations of its parent */
        return;
    into->calls += from->calls;
    into->flags |= from->flags;
}

static bool map_is_whole(const hp_tree *from, const uint32_t *map) {
    for (uint32_t i = 1; i < from->count; i++) {
        uint32_t function = map[from->nodes[i].function];
        if (function == HP_NO_FUNCTION || (function == HP_MAP_HIDE && from->nodes[i].parent == 0))
            return false;
    }
    return true;
}

hp_status hp_tree_add(hp_tree *into, const hp_tree *from, const uint32_t *map, double exact_scale, uint32_t *node_map) {
    uint32_t *own_map = NULL;
    if (!map_is_whole(from, map))
        return HP_BAD_VALUE;
    if (node_map == NULL) {
        own_map = malloc(from->count * sizeof *own_map);
        if (own_map == NULL)
            return HP_NO_MEMORY;
        node_map = own_map;
    }
    node_map[0] = 0;
    for (uint32_t i = 1; i < from->count; i++) {
        const hp_node *node = &from->nodes[i];
        uint32_t parent = node_map[node->parent];
        uint32_t function = map[node->function];
        bool hidden = function == HP_MAP_HIDE;
        node_map[i] = hidden ? parent : hp_tree_child(into, parent, function);
        node_add(&into->nodes[node_map[i]], node, exact_scale, hidden);
    }
    into->overflowed += from->overflowed;
    free(own_map);
    return HP_OK;
}

static bool children_are_sound(const hp_tree *tree) {
    uint32_t seen = 1;
    for (uint32_t i = 0; i < tree->count; i++) {
        uint32_t child = tree->nodes[i].first_child;
        for (; child != HP_NO_NODE; child = tree->nodes[child].next_sibling) {
            if (child >= tree->count || tree->nodes[child].parent != i || ++seen > tree->count)
                return false;
        }
    }
    return seen == tree->count;
}

static bool node_is_sound(const hp_tree *tree, uint32_t i) {
    const hp_node *node = &tree->nodes[i];
    if (node->recent_child != HP_NO_NODE && (node->recent_child >= tree->count || tree->nodes[node->recent_child].parent != i))
        return false;
    if (i == 0)
        return node->parent == HP_NO_NODE && node->function == HP_NO_FUNCTION;
    return node->parent < i && node->function != HP_NO_FUNCTION && hp_tree_find(tree, node->parent, node->function) == i;
}

hp_status hp_tree_check(const hp_tree *tree) {
    if (tree->count == 0 || tree->count > tree->capacity)
        return HP_BAD_FORMAT;
    if ((uint64_t)tree->count + tree->reserved > tree->capacity || tree->index_mask / 2 + 1 < tree->capacity)
        return HP_BAD_FORMAT;
    for (uint32_t i = 0; i < tree->count; i++) {
        if (!node_is_sound(tree, i))
            return HP_BAD_FORMAT;
    }
    return children_are_sound(tree) ? HP_OK : HP_BAD_FORMAT;
}
