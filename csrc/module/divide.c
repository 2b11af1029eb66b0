/* SPDX-License-Identifier: MIT */
/* Beneath a target time goes by difference to whoever had the last event. A function that carries none (the budget took them, or it was not
 * met yet) leaves its time in its caller's node, which then says "exact" of what is not the caller's. The samples beneath targets know:
 * each has the whole stack and the node that had the time. So the node's time is divided as its samples are; what goes to the functions
 * below is sampled time with its error, the node keeps the rest, and the sum stays exact.
 *
 * A node without samples keeps its time. A stack whose upper part is not the node's own path (an edge, another thread's change) divides
 * nothing. Neither does what of a stack begins with a function that reports all its calls: it was met before its event, or after its end,
 * and the moment is its caller's. A profile function reports everything, so there is nothing to divide then. */
#include "module/divide.h"

#include <stdlib.h>
#include <string.h>

enum { NO_UNIT = 0xfffffff }; /* no table has a line for it */

typedef struct path {
    uint32_t *slots; /* innermost first */
    uint32_t count, capacity;
} path;

static bool reserve(uint32_t **slots, uint32_t *capacity, uint32_t needed) {
    if (needed <= *capacity)
        return true;
    uint32_t more = needed + needed / 2 + 64;
    uint32_t *bigger = realloc(*slots, more * sizeof *bigger);
    if (bigger == NULL)
        return false;
    *slots = bigger;
    *capacity = more;
    return true;
}

/* Blocks and C functions stand in the tracer's tree only. By slot; each is asked for once, because the table's mutex is everybody's. */
static bool *frames_by_slot(hp_code_table *code, const hp_tree *traced, uint32_t slot_count) {
    bool *is_frame = calloc((size_t)slot_count + 1, sizeof *is_frame), *known = calloc((size_t)slot_count + 1, sizeof *known);
    for (uint32_t i = 1; is_frame != NULL && known != NULL && i < traced->count; i++) {
        uint32_t slot = traced->nodes[i].function;
        hp_code_info info;
        if (traced->nodes[i].parent == 0 || slot >= slot_count || known[slot])
            continue;
        known[slot] = true;
        is_frame[slot] = !hp_code_table_info(code, slot, &info) || info.kind == HP_CODE_PYTHON;
    }
    if (known == NULL) {
        free(is_frame);
        return NULL;
    }
    free(known);
    return is_frame;
}

/* The functions down to a node, and the thread's index as the last. `is_frame`: which of them count; NULL: all. */
static bool path_read(path *p, const hp_tree *tree, uint32_t node, const bool *is_frame, uint32_t slot_count) {
    p->count = 0;
    for (uint32_t at = node; at != 0; at = tree->nodes[at].parent) {
        uint32_t function = tree->nodes[at].function;
        bool thread = tree->nodes[at].parent == 0;
        if (is_frame != NULL && !thread && (function >= slot_count || !is_frame[function]))
            continue;
        if (!reserve(&p->slots, &p->capacity, p->count + 1))
            return false;
        p->slots[p->count++] = function;
    }
    return true;
}

/* How many frames of the stack lie below the node's; 0 where it ends in that, or is another stack. */
static uint32_t frames_below(const path *node, const path *stack) {
    if (node->count == 0 || stack->count <= node->count)
        return 0;
    uint32_t below = stack->count - node->count;
    return memcmp(node->slots, stack->slots + below, node->count * sizeof *node->slots) == 0 ? below : 0;
}

static bool *reported_by_slot(const hp_traced *traced, uint32_t slot_count) {
    bool *reported = calloc((size_t)slot_count + 1, sizeof *reported);
    for (uint32_t i = 0; reported != NULL && i < traced->reported_count; i++)
        if (traced->reported_slots[i] < slot_count)
            reported[traced->reported_slots[i]] = true;
    return reported;
}

/* How many innermost frames of those below the node's stand at an edge. */
static uint32_t frames_at_edge(const path *stack, uint32_t below, const bool *reported, uint32_t slot_count) {
    while (below > 0 && stack->slots[below - 1] < slot_count && !reported[stack->slots[below - 1]])
        below--;
    return below;
}

static bool keep_slots(hp_division *d, const uint32_t *slots, uint32_t count) {
    if (!reserve(&d->slots, &d->slot_capacity, d->slot_count + count))
        return false;
    if (count > 0)
        memcpy(d->slots + d->slot_count, slots, count * sizeof *d->slots);
    d->slot_count += count;
    return true;
}

static hp_status find_stacks(hp_division *d, const hp_gathered *gathered, const bool *reported, uint32_t slot_count) {
    const hp_sampled *sampled = &gathered->sampled;
    const hp_traced *traced = &gathered->traced;
    path node = {0}, stack = {0};
    bool *is_frame = frames_by_slot(gathered->code, &traced->tree, slot_count);
    hp_status status = is_frame != NULL ? HP_OK : HP_NO_MEMORY;
    for (uint32_t i = 0; i < d->count && status == HP_OK; i++) {
        const hp_sampled_beneath *entry = &sampled->beneath[i];
        uint32_t below = 0;
        bool known = entry->traced_node > 0 && entry->traced_node < traced->tree.count && entry->leaf < sampled->tree.count;
        if (known) {
            d->samples[entry->traced_node] += entry->samples;
            if (!path_read(&node, &traced->tree, entry->traced_node, is_frame, slot_count) ||
                !path_read(&stack, &sampled->tree, entry->leaf, NULL, slot_count))
                status = HP_NO_MEMORY;
            below = status == HP_OK ? frames_below(&node, &stack) : 0;
        }
        uint32_t edge = below > 0 ? frames_at_edge(&stack, below, reported, slot_count) : 0;
        d->is_edge[i] = edge > 0;
        if (!keep_slots(d, stack.slots + edge, below - edge))
            status = HP_NO_MEMORY;
        d->begin[i + 1] = d->slot_count;
    }
    free(is_frame);
    free(node.slots);
    free(stack.slots);
    return status;
}

static bool applies(const hp_gathered *gathered) {
    return gathered->has_sampled && gathered->has_traced && gathered->clock == HP_CLOCK_WALL &&
           gathered->traced.hook == HP_HOOK_MONITORING && gathered->sampled.task_slot_count == 0;
}

hp_status hp_division_prepare(hp_division *division, const hp_gathered *gathered, uint32_t slot_count) {
    *division = (hp_division){0};
    if (!applies(gathered) || gathered->sampled.beneath_count == 0)
        return HP_OK;
    size_t count = division->count = gathered->sampled.beneath_count;
    bool *reported = reported_by_slot(&gathered->traced, slot_count);
    division->begin = calloc(count + 1, sizeof *division->begin);
    division->leaf = calloc(count, sizeof *division->leaf);
    division->is_edge = calloc(count, sizeof *division->is_edge);
    division->samples = calloc(gathered->traced.tree.count, sizeof *division->samples);
    hp_status status = HP_NO_MEMORY;
    if (reported && division->begin && division->leaf && division->is_edge && division->samples)
        status = find_stacks(division, gathered, reported, slot_count);
    free(reported);
    return status;
}

/* --- giving ----------------------------------------------------------------------------------------------------------------------------
 */

/* The profile's node for the functions of entry `i` beneath the node that had the time. */
static uint32_t leaf_of(const hp_division *d, uint32_t i, hp_profile *profile, const uint32_t *map, uint32_t node) {
    uint32_t at = node;
    for (uint32_t k = d->begin[i + 1]; k-- > d->begin[i];) {
        uint32_t function = map[d->slots[k]];
        if (function != HP_MAP_HIDE)
            at = hp_tree_child(&profile->tree, at, function);
    }
    return at == node ? HP_NO_NODE : at;
}

/* Samples that divide are samples of the thread like all that have time. */
static void add_to_thread(hp_gathered *gathered, uint32_t traced_node, uint64_t samples, uint32_t slot_count) {
    const hp_node *nodes = gathered->traced.tree.nodes;
    while (nodes[traced_node].parent != 0)
        traced_node = nodes[traced_node].parent;
    for (uint32_t i = 0; i < gathered->sampled.thread_count; i++)
        if (gathered->sampled.threads[i].thread == nodes[traced_node].function - slot_count) /* threads were moved past the slots */
            gathered->sampled.threads[i].divided += samples;
}

static uint64_t share_of(const hp_division *d, uint32_t traced_node, uint64_t samples, double ns) {
    return (uint64_t)(ns * ((double)samples / (double)d->samples[traced_node]));
}

static void give(hp_node *from, hp_node *to, uint64_t share, uint64_t samples) {
    share = share < from->exact ? share : from->exact;
    from->exact -= share;
    from->flags |= HP_NODE_DIVIDED;
    to->sampled += share;
    to->samples += samples;
}

static hp_status place_lines(hp_division *d, const hp_sampled *sampled, const hp_tree *traced, double ns_per_tick) {
    d->places = malloc(((size_t)sampled->beneath_line_count + 1) * sizeof *d->places);
    if (d->places == NULL)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i < sampled->beneath_line_count; i++) {
        const hp_sampled_line *line = &sampled->beneath_lines[i];
        if (line->node >= d->count || d->leaf[line->node] == HP_NO_NODE)
            continue;
        uint32_t node = sampled->beneath[line->node].traced_node;
        d->places[d->place_count++] =
            (hp_place){.slot = d->slots[d->begin[line->node]],
                       .unit = d->is_edge[line->node] ? NO_UNIT : line->unit,
                       .node = d->leaf[line->node],
                       .state = (hp_thread_state)line->state,
                       .samples = line->samples,
                       .sampled = share_of(d, node, line->samples, (double)traced->nodes[node].exact * ns_per_tick)};
    }
    return HP_OK;
}

hp_status hp_division_apply(hp_division *division, hp_gathered *gathered, hp_profile *profile, const uint32_t *map,
                            const uint32_t *traced_map, double ns_per_tick, uint32_t slot_count) {
    if (division->count == 0)
        return HP_OK;
    const hp_tree *traced = &gathered->traced.tree;
    for (uint32_t i = 0; i < division->count; i++) {
        const hp_sampled_beneath *entry = &gathered->sampled.beneath[i];
        bool any = division->begin[i + 1] > division->begin[i];
        division->leaf[i] = any ? leaf_of(division, i, profile, map, traced_map[entry->traced_node]) : HP_NO_NODE;
        if (division->leaf[i] == HP_NO_NODE)
            continue;
        double ns = (double)traced->nodes[entry->traced_node].exact * ns_per_tick;
        hp_node *nodes = profile->tree.nodes; /* they move as leaves are made */
        give(&nodes[traced_map[entry->traced_node]], &nodes[division->leaf[i]], share_of(division, entry->traced_node, entry->samples, ns),
             entry->samples);
        add_to_thread(gathered, entry->traced_node, entry->samples, slot_count);
    }
    return place_lines(division, &gathered->sampled, traced, ns_per_tick);
}

void hp_division_fini(hp_division *division) {
    free(division->begin);
    free(division->leaf);
    free(division->is_edge);
    free(division->slots);
    free(division->samples);
    free(division->places);
    *division = (hp_division){0};
}
