/* SPDX-License-Identifier: MIT */
#include "tree/timeline.h"

#include <stdlib.h>

#include "base/array.h"

void hp_timeline_fini(hp_timeline *timeline) {
    free(timeline->moments);
    *timeline = (hp_timeline){0};
}

hp_status hp_timeline_reserve(hp_timeline *timeline, uint32_t more) {
    if (timeline->count > UINT32_MAX / 2 - more)
        return HP_NO_MEMORY;
    hp_moment *moments = hp_array_grow(timeline->moments, &timeline->capacity, timeline->count + more, sizeof *moments);
    if (moments == NULL)
        return HP_NO_MEMORY;
    timeline->moments = moments;
    return HP_OK;
}

void hp_timeline_map(hp_timeline *timeline, const uint32_t *map) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < timeline->count; i++) {
        hp_moment moment = timeline->moments[i];
        moment.node = map[moment.node];
        if (moment.node != UINT32_MAX)
            timeline->moments[kept++] = moment;
    }
    timeline->lost += timeline->count - kept;
    timeline->count = kept;
}

/* Each node's thread: parents come before children. */
static void find_roots(const hp_tree *tree, uint32_t *root_of) {
    root_of[0] = 0;
    for (uint32_t i = 1; i < tree->count; i++)
        root_of[i] = tree->nodes[i].parent == 0 ? i : root_of[tree->nodes[i].parent];
}

/* `places`: by root, how many moments there are; and then where the next of them goes. */
static void place_moments(const hp_timeline *timeline, const hp_tree *tree, const uint32_t *root_of, uint32_t *places,
                          hp_timeline_parts *parts) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < timeline->count; i++)
        places[root_of[timeline->moments[i].node]] += timeline->moments[i].weight != 0;
    for (uint32_t root = 1; root < tree->count; root++) {
        uint32_t here = places[root];
        places[root] = at;
        if (here == 0)
            continue;
        parts->roots[parts->count] = root;
        parts->starts[parts->count++] = at;
        at += here;
    }
    parts->starts[parts->count] = at;
    for (uint32_t i = 0; i < timeline->count; i++)
        if (timeline->moments[i].weight != 0)
            parts->order[places[root_of[timeline->moments[i].node]]++] = i;
}

static uint32_t count_roots(const hp_tree *tree) {
    uint32_t count = 0;
    for (uint32_t i = 1; i < tree->count; i++)
        count += tree->nodes[i].parent == 0;
    return count;
}

hp_status hp_timeline_split(const hp_timeline *timeline, const hp_tree *tree, hp_timeline_parts *parts) {
    uint32_t threads = count_roots(tree);
    uint32_t *root_of = malloc(tree->count * sizeof *root_of), *places = calloc(tree->count, sizeof *places);
    *parts = (hp_timeline_parts){.order = malloc((timeline->count + 1u) * sizeof *parts->order),
                                 .roots = malloc((threads + 1u) * sizeof *parts->roots),
                                 .starts = calloc(threads + 1u, sizeof *parts->starts)};
    bool enough = root_of != NULL && places != NULL && parts->order != NULL && parts->roots != NULL && parts->starts != NULL;
    if (enough) {
        find_roots(tree, root_of);
        place_moments(timeline, tree, root_of, places, parts);
    }
    free(root_of);
    free(places);
    return enough ? HP_OK : HP_NO_MEMORY;
}

void hp_timeline_parts_fini(hp_timeline_parts *parts) {
    free(parts->order);
    free(parts->roots);
    free(parts->starts);
    *parts = (hp_timeline_parts){0};
}
