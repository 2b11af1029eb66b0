/* SPDX-License-Identifier: MIT */
/* From the order of arrival to one that everything has by itself: threads by name, functions by their names and place, nodes level by
 * level, under each parent by function; lines by node, estimates by thread, sources by id. */
#include <stdlib.h>
#include <string.h>

#include "tree/merge_private.h"

/* From ids of `sum` to those of `out`. */
typedef struct order_maps {
    const hp_profile *sum;
    hp_profile *out;
    uint32_t *functions, *nodes, *threads;
} order_maps;

static int compare_u64(uint64_t a, uint64_t b) {
    return a < b ? -1 : a > b;
}

static int thread_order(const void *a, const void *b, void *context) {
    const hp_profile_thread *threads = ((const order_maps *)context)->sum->threads;
    return strcmp(threads[*(const uint32_t *)a].name, threads[*(const uint32_t *)b].name);
}

static int function_order(const void *a, const void *b, void *context) {
    const hp_function *functions = ((const order_maps *)context)->sum->functions;
    const hp_function *f = &functions[*(const uint32_t *)a], *g = &functions[*(const uint32_t *)b];
    const char *const left[] = {f->module, f->qualname, f->file, f->name}, *const right[] = {g->module, g->qualname, g->file, g->name};
    for (unsigned i = 0; i < 4; i++) {
        int order = strcmp(left[i], right[i]);
        if (order != 0)
            return order;
    }
    int order = compare_u64(f->first_line, g->first_line);
    return order != 0 ? order : compare_u64((uint64_t)f->kind, (uint64_t)g->kind);
}

static uint32_t *numbers_below(uint32_t count) {
    uint32_t *numbers = malloc(((size_t)count + 1) * sizeof *numbers);
    for (uint32_t i = 0; numbers != NULL && i < count; i++)
        numbers[i] = i;
    return numbers;
}

static hp_status order_threads(order_maps *maps) {
    uint32_t count = maps->sum->thread_count, *order = numbers_below(count);
    hp_status status = order == NULL ? HP_NO_MEMORY : HP_OK;
    if (status == HP_OK)
        qsort_r(order, count, sizeof *order, thread_order, maps);
    for (uint32_t i = 0; i < count && status == HP_OK; i++) {
        const hp_profile_thread *from = &maps->sum->threads[order[i]];
        if (hp_profile_add_thread(maps->out, from->name, 0) != i) {
            status = HP_NO_MEMORY;
            break;
        }
        hp_profile_thread *to = &maps->out->threads[i];
        hp_profile_thread values = *from;
        values.name = to->name;
        values.root = to->root;
        *to = values;
        maps->threads[order[i]] = i;
        maps->nodes[from->root] = to->root;
        maps->functions[maps->sum->tree.nodes[from->root].function] = maps->out->tree.nodes[to->root].function;
    }
    free(order);
    return status;
}

/* Function 0 and the roots' have their place by now. */
static hp_status order_functions(order_maps *maps) {
    uint32_t count = maps->sum->function_count, *order = numbers_below(count);
    hp_status status = order == NULL ? HP_NO_MEMORY : HP_OK;
    if (status == HP_OK)
        qsort_r(order, count, sizeof *order, function_order, maps);
    for (uint32_t i = 0; i < count && status == HP_OK; i++) {
        uint32_t *to = &maps->functions[order[i]];
        if (*to == HP_NO_FUNCTION)
            *to = hp_profile_function(maps->out, &maps->sum->functions[order[i]]);
        status = *to == HP_NO_FUNCTION ? HP_NO_MEMORY : HP_OK;
    }
    free(order);
    return status;
}

/* --- nodes ---------------------------------------------------------------------------------------------------------------------------- */

static int node_order(const void *a, const void *b, void *context) {
    const order_maps *maps = context;
    const hp_node *nodes = maps->sum->tree.nodes;
    return (int)compare_u64(maps->functions[nodes[*(const uint32_t *)a].function], maps->functions[nodes[*(const uint32_t *)b].function]);
}

static hp_status place_node(order_maps *maps, uint32_t i) {
    const hp_node *from = &maps->sum->tree.nodes[i];
    hp_tree *tree = &maps->out->tree;
    if (maps->nodes[i] == HP_NO_NODE) {
        uint32_t parent = maps->nodes[from->parent], function = maps->functions[from->function];
        uint32_t to = hp_tree_find_or_add(tree, parent, function);
        if (tree->nodes[to].parent != parent || tree->nodes[to].function != function)
            return HP_NO_MEMORY;
        maps->nodes[i] = to;
    }
    hp_node *to = &tree->nodes[maps->nodes[i]];
    to->samples = from->samples;
    to->sampled = from->sampled;
    to->calls = from->calls;
    to->exact = from->exact;
    to->overhead = from->overhead;
    to->flags = from->flags;
    return HP_OK;
}

/* `queue` holds the nodes in their new order; those behind `at` wait for their children to be found. */
static hp_status order_nodes(order_maps *maps) {
    const hp_tree *sum = &maps->sum->tree;
    uint32_t *queue = numbers_below(sum->count), end = 1;
    hp_status status = queue == NULL ? HP_NO_MEMORY : HP_OK;
    for (uint32_t at = 0; at < end && status == HP_OK; at++) {
        uint32_t first = end;
        for (uint32_t child = sum->nodes[queue[at]].first_child; child != HP_NO_NODE; child = sum->nodes[child].next_sibling)
            queue[end++] = child;
        if (end - first > 1)
            qsort_r(queue + first, end - first, sizeof *queue, node_order, maps);
        status = place_node(maps, queue[at]);
    }
    maps->out->tree.overflowed = sum->overflowed;
    free(queue);
    return status;
}

/* --- lists ---------------------------------------------------------------------------------------------------------------------------- */

static int line_order(const void *a, const void *b) {
    const hp_line *x = a, *y = b;
    int order = compare_u64(x->node, y->node);
    return order != 0 ? order : compare_u64((uint64_t)x->line << 4 | x->state, (uint64_t)y->line << 4 | y->state);
}

static int estimate_order(const void *a, const void *b) {
    const hp_estimate *x = a, *y = b;
    return compare_u64((uint64_t)x->thread << 32 | x->function, (uint64_t)y->thread << 32 | y->function);
}

static int source_order(const void *a, const void *b) {
    return memcmp(((const hp_meta *)a)->id, ((const hp_meta *)b)->id, sizeof((const hp_meta *)a)->id);
}

static hp_status order_lines(order_maps *maps) {
    hp_status status = HP_OK;
    for (uint32_t i = 0; i < maps->sum->line_count && status == HP_OK; i++) {
        hp_line line = maps->sum->lines[i];
        line.node = maps->nodes[line.node];
        status = hp_profile_add_line(maps->out, &line);
    }
    if (maps->out->line_count > 1)
        qsort(maps->out->lines, maps->out->line_count, sizeof *maps->out->lines, line_order);
    return status;
}

static hp_status order_estimates(order_maps *maps) {
    hp_status status = HP_OK;
    for (uint32_t i = 0; i < maps->sum->estimate_count && status == HP_OK; i++) {
        hp_estimate one = maps->sum->estimates[i];
        one.thread = maps->threads[one.thread];
        one.function = maps->functions[one.function];
        status = hp_profile_add_estimate(maps->out, &one);
    }
    if (maps->out->estimate_count > 1)
        qsort(maps->out->estimates, maps->out->estimate_count, sizeof *maps->out->estimates, estimate_order);
    return status;
}

static hp_status order_sources(order_maps *maps) {
    hp_status status = HP_OK;
    for (uint32_t i = 0; i < maps->sum->source_count && status == HP_OK; i++)
        status = hp_profile_add_source(maps->out, &maps->sum->sources[i]);
    if (maps->out->source_count > 1)
        qsort(maps->out->sources, maps->out->source_count, sizeof *maps->out->sources, source_order);
    maps->out->left_out = maps->sum->left_out;
    return status == HP_OK ? hp_merge_meta(maps->out) : status;
}

static uint32_t *empty_map(uint32_t count) {
    uint32_t *map = malloc(((size_t)count + 1) * sizeof *map);
    if (map != NULL)
        memset(map, 0xff, ((size_t)count + 1) * sizeof *map); /* HP_NO_FUNCTION, HP_NO_NODE */
    return map;
}

hp_status hp_merge_order(const hp_profile *sum, hp_profile *out) {
    static hp_status (*const steps[])(order_maps *) = {order_threads, order_functions, order_nodes,
                                                       order_lines,   order_estimates, order_sources};
    order_maps maps = {sum, out, empty_map(sum->function_count), empty_map(sum->tree.count), empty_map(sum->thread_count)};
    hp_status status = maps.functions == NULL || maps.nodes == NULL || maps.threads == NULL ? HP_NO_MEMORY : HP_OK;
    if (status == HP_OK)
        maps.functions[0] = maps.nodes[0] = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps && status == HP_OK; i++)
        status = steps[i](&maps);
    free(maps.functions);
    free(maps.nodes);
    free(maps.threads);
    return status;
}
