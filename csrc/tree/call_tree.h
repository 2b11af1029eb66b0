/* SPDX-License-Identifier: MIT */
/* The calling-context tree: a node is (parent, function) and carries both what was sampled and what was counted.
 *
 * Invariants: node 0 is the root and has no function; a parent's index is below its children's, so one pass from the end adds
 * up inclusive values without recursion; (parent, function) is unique. The children of the root are the threads.
 * In live trees `function` is a code-table slot and `exact` is in ticks; in a profile it is a function id and ns.
 * Owner: one thread, or whoever holds the lock its owner names. Not thread-safe by itself. */
#ifndef HP_TREE_CALL_TREE_H
#define HP_TREE_CALL_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define HP_NO_NODE UINT32_MAX
#define HP_NO_FUNCTION UINT32_MAX

enum {
    HP_NODE_PARTIAL = 1u << 0, /* calls is a lower bound: a share of calls was traced, or the function was met late */
    HP_NODE_DIVIDED = 1u << 2, /* samples beneath it took a part out of `exact`, which is an estimate since */
    HP_NODE_OPEN = 1u << 1,    /* an activation was still open when this was collected */
};

typedef struct hp_node {
    uint32_t parent;
    uint32_t function;
    uint32_t first_child; /* newest first */
    uint32_t next_sibling;
    uint64_t samples;  /* stacks that ended here */
    uint64_t sampled;  /* self time by sampling, outside traced extents, ns */
    uint64_t calls;    /* exact: activations that began while traced */
    uint64_t exact;    /* self time by tracing, less calibrated overhead */
    uint64_t overhead; /* what tracing itself cost here, taken out of `exact` */
    uint32_t flags;
    uint32_t recent_child; /* last child asked for: the common case of hp_tree_child costs one comparison */
} hp_node;

typedef struct hp_tree {
    hp_node *nodes;
    uint32_t count;
    uint32_t capacity;
    uint32_t reserved;   /* room kept for overflow nodes that do not exist yet */
    uint32_t limit;      /* most nodes, but that a thread always gets its root and its `<overflow>`; past it hp_tree_child returns the
                            `<overflow>` child of the thread's root */
    uint64_t overflowed; /* how often */
    uint32_t *index;     /* open addressing over (parent, function); power of two; HP_NO_NODE is empty */
    uint32_t index_mask;
    uint32_t overflow_function; /* the function of overflow nodes */
} hp_tree;

/* `limit` 0: no limit but 2^31. `overflow_function` is given to nodes that stand for what did not fit. */
hp_status hp_tree_init(hp_tree *tree, uint32_t limit, uint32_t overflow_function);
void hp_tree_fini(hp_tree *tree);
/* Node numbers stay. HP_NO_MEMORY: `into` is empty. */
hp_status hp_tree_copy(hp_tree *into, const hp_tree *from);

/* Slow path of hp_tree_child: finds or makes. Never fails: when memory or the limit is reached the overflow child of the topmost possible
 * ancestor (one per thread root, reserved in time) is returned and counted. */
uint32_t hp_tree_find_or_add(hp_tree *tree, uint32_t parent, uint32_t function);

static inline uint32_t hp_tree_child(hp_tree *tree, uint32_t parent, uint32_t function) {
    uint32_t recent = tree->nodes[parent].recent_child;
    if (recent != HP_NO_NODE && tree->nodes[recent].function == function)
        return recent;
    return hp_tree_find_or_add(tree, parent, function);
}

/* HP_NO_NODE if there is none. */
uint32_t hp_tree_find(const hp_tree *tree, uint32_t parent, uint32_t function);

/* Depth first through all that lies beneath `top`, by the links alone: for (at = top; at != HP_NO_NODE; at = hp_tree_next(tree, top, at)).
 */
static inline uint32_t hp_tree_next(const hp_tree *tree, uint32_t top, uint32_t at) {
    if (tree->nodes[at].first_child != HP_NO_NODE)
        return tree->nodes[at].first_child;
    while (at != top && tree->nodes[at].next_sibling == HP_NO_NODE)
        at = tree->nodes[at].parent;
    return at == top ? HP_NO_NODE : tree->nodes[at].next_sibling;
}

/* What hp_tree_add does with a node of `from`: the function id it becomes, or one of these. */
#define HP_MAP_HIDE                                                                                                                        \
    (UINT32_MAX -                                                                                                                          \
     1u) /* leave the node out, its own samples, times and children go to its parent (not its calls: they are not the parent's) */

/* Adds every value of `from` to `into`. `map[function]` gives the function id in `into`; roots' children (threads) are mapped like all
 * others. `exact_scale` turns `exact` and `overhead` into the unit of `into` (ns per tick; 1.0 between profiles). `node_map`, if not NULL,
 * receives for each node of `from` its node in `into` (from->count entries). HP_BAD_VALUE, and nothing added, where a function that occurs
 * maps to HP_NO_FUNCTION or a thread to HP_MAP_HIDE. */
hp_status hp_tree_add(hp_tree *into, const hp_tree *from, const uint32_t *map, double exact_scale, uint32_t *node_map);

/* For who reads a tree only to add it to another: without its index (half of what a large tree costs to read) nothing can be found in it,
 * and whether each node is there once is left to hp_tree_add or whoever else takes them. Room for `count` more nodes; HP_NO_MEMORY. */
hp_status hp_tree_unindexed_reserve(hp_tree *tree, uint32_t count);
/* Room was reserved; the links between siblings are not made. */
static inline void hp_tree_unindexed_append(hp_tree *tree, uint32_t parent, uint32_t function) {
    tree->nodes[tree->count++] = (hp_node){parent, function, HP_NO_NODE, HP_NO_NODE, 0, 0, 0, 0, 0, 0, HP_NO_NODE};
}

/* Debug audit: HP_OK or HP_BAD_FORMAT if an invariant above is broken. For tests. */
hp_status hp_tree_check(const hp_tree *tree);

#endif
