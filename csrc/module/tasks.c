/* SPDX-License-Identifier: MIT */
/* Chains of awaiting tasks, where there is exact data too.
 *
 * The tracer knows the caller of a target by the thread's stack, on which no awaiting task stands. Left as they are the two trees would put
 * one coroutine in two places: where it was sampled beneath a chain, and where its targets were called without one. Their times would add
 * up, and the awaiting functions' totals would lack all that is exact. So a thread in which anything was traced is shown as its stack was:
 * what stands in a path between the outermost task's name and the innermost one's, and the names, is taken out. Only time goes up and down
 * with it; no sample, line or nanosecond changes its function or its thread. */
#include <stdlib.h>
#include <string.h>

#include "module/assemble.h"

typedef struct unchaining {
    hp_gathered *gathered;
    bool *is_task;     /* by slot */
    bool *is_traced;   /* by thread */
    uint32_t *moved;   /* node of the old tree to node of the new one */
    uint32_t *outside; /* by node: the old node above the outermost task's name on its path, HP_NO_NODE where there is none */
    uint32_t slots;
    hp_tree tree;
} unchaining;

/* What exact data there is hangs beneath its thread. */
static bool mark_traced(unchaining *u) {
    const hp_tree *traced = &u->gathered->traced.tree;
    bool any = false;
    for (uint32_t i = 1; i < traced->count; i++) {
        uint32_t parent = traced->nodes[i].parent, thread = parent == 0 ? UINT32_MAX : traced->nodes[parent].function;
        if (parent == 0 || traced->nodes[parent].parent != 0 || thread >= u->gathered->thread_count)
            continue;
        u->is_traced[thread] = any = true;
    }
    return any;
}

static bool is_task(const unchaining *u, const hp_node *node) {
    return node->parent != 0 && node->function < u->slots && u->is_task[node->function];
}

static void add_values(hp_node *to, const hp_node *from) {
    to->samples += from->samples;
    to->sampled += from->sampled;
    to->overhead += from->overhead;
}

/* A name's own samples, of which there are none, would go to what is outside. */
static void move_node(unchaining *u, uint32_t i) {
    const hp_tree *from = &u->gathered->sampled.tree;
    const hp_node *node = &from->nodes[i];
    bool thread = node->parent == 0;
    u->outside[i] = thread ? HP_NO_NODE : u->outside[node->parent];
    if (!thread && u->is_traced[from->nodes[u->moved[i]].function] && is_task(u, node)) {
        u->outside[i] = u->outside[i] == HP_NO_NODE ? node->parent : u->outside[i];
        u->moved[i] = u->moved[u->outside[i]];
    } else {
        u->moved[i] = hp_tree_child(&u->tree, thread ? 0 : u->moved[node->parent], node->function);
    }
    add_values(&u->tree.nodes[u->moved[i]], node);
}

/* `moved` holds each node's thread until the node is moved. */
static void find_threads(unchaining *u) {
    const hp_tree *from = &u->gathered->sampled.tree;
    for (uint32_t i = 1; i < from->count; i++)
        u->moved[i] = from->nodes[i].parent == 0 ? i : u->moved[from->nodes[i].parent];
}

/* A function that awaited was counted in the total of samples that are not beneath it any more. Its estimate keeps those that are. */
static void count_path(const unchaining *u, uint32_t node, uint64_t *totals, uint32_t *seen) {
    uint64_t samples = u->tree.nodes[node].samples;
    for (uint32_t at = node; u->tree.nodes[at].parent != 0; at = u->tree.nodes[at].parent) {
        uint32_t slot = u->tree.nodes[at].function;
        if (slot < u->slots && seen[slot] != node) /* once for each path, however often the function stands on it */
            totals[slot] += samples;
        if (slot < u->slots)
            seen[slot] = node;
    }
}

static uint32_t thread_of(const hp_tree *tree, uint32_t node) {
    while (tree->nodes[node].parent != 0)
        node = tree->nodes[node].parent;
    return tree->nodes[node].function;
}

static bool correct_estimates(unchaining *u, uint32_t thread) {
    hp_sampled *sampled = &u->gathered->sampled;
    uint64_t *totals = calloc((size_t)u->slots + 1, sizeof *totals);
    uint32_t *seen = calloc((size_t)u->slots + 1, sizeof *seen);
    for (uint32_t i = 1; totals && seen && i < u->tree.count; i++)
        if (u->tree.nodes[i].samples > 0 && thread_of(&u->tree, i) == thread)
            count_path(u, i, totals, seen);
    for (uint32_t i = 0; totals && seen && i < sampled->estimate_count; i++) {
        hp_estimate *estimate = &sampled->estimates[i];
        if (estimate->thread == thread && estimate->function < u->slots && estimate->total_samples > totals[estimate->function])
            estimate->total_samples = totals[estimate->function];
        estimate->total_runs = estimate->total_runs < estimate->total_samples ? estimate->total_runs : estimate->total_samples;
    }
    bool done = totals && seen;
    free(totals);
    free(seen);
    return done;
}

static hp_status unchain(unchaining *u) {
    hp_sampled *sampled = &u->gathered->sampled;
    hp_status status = hp_tree_init(&u->tree, 0, sampled->tree.overflow_function);
    if (status != HP_OK)
        return status;
    find_threads(u);
    for (uint32_t i = 1; i < sampled->tree.count; i++)
        move_node(u, i);
    if (u->tree.overflowed > 0)
        return HP_NO_MEMORY; /* there is no bound on nodes here, so memory was short */
    for (uint32_t i = 0; i < u->gathered->thread_count; i++)
        if (u->is_traced[i] && !correct_estimates(u, i))
            return HP_NO_MEMORY;
    for (uint32_t i = 0; i < sampled->line_count; i++)
        sampled->lines[i].node = u->moved[sampled->lines[i].node];
    hp_timeline_map(&sampled->timeline, u->moved);
    for (uint32_t i = 0; i < sampled->thread_count; i++) {
        hp_sampled_thread *thread = &sampled->threads[i];
        thread->root = thread->root != HP_NO_NODE ? u->moved[thread->root] : HP_NO_NODE;
        thread->open_leaf = thread->open_leaf != HP_NO_NODE ? u->moved[thread->open_leaf] : HP_NO_NODE;
    }
    u->tree.overflowed = sampled->tree.overflowed;
    hp_tree old = sampled->tree;
    sampled->tree = u->tree;
    u->tree = old;
    return HP_OK;
}

hp_status hp_assemble_tasks(hp_gathered *gathered) {
    const hp_sampled *sampled = &gathered->sampled;
    if (!gathered->has_sampled || !gathered->has_traced || sampled->task_slot_count == 0)
        return HP_OK;
    unchaining u = {.gathered = gathered, .slots = hp_code_table_count(gathered->code)};
    hp_status status = HP_NO_MEMORY;
    u.is_task = calloc((size_t)u.slots + 1, sizeof *u.is_task);
    u.is_traced = calloc((size_t)gathered->thread_count + 1, sizeof *u.is_traced);
    u.moved = calloc((size_t)sampled->tree.count + 1, sizeof *u.moved);
    u.outside = calloc((size_t)sampled->tree.count + 1, sizeof *u.outside);
    if (!u.is_task || !u.is_traced || !u.moved || !u.outside)
        goto done;
    for (uint32_t i = 0; i < sampled->task_slot_count; i++)
        if (sampled->task_slots[i] < u.slots)
            u.is_task[sampled->task_slots[i]] = true;
    status = HP_OK;
    gathered->unchained = mark_traced(&u);
    if (gathered->unchained)
        status = unchain(&u);
done:
    hp_tree_fini(&u.tree);
    free(u.is_task);
    free(u.is_traced);
    free(u.moved);
    free(u.outside);
    return status;
}
