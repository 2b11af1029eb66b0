/* SPDX-License-Identifier: MIT */
/* Samples and runs by (thread, function), for the error bars.
 *
 * A run is a maximal series of consecutive samples of a thread that have the function on top (self) or anywhere (total). Each tally
 * remembers the number of the thread's sample that counted last; a sample with the next number continues the run. `sequence` counts the
 * thread's samples up to and with those being added. */
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "sampler/private.h"

static uint32_t home(uint32_t thread, uint32_t slot, uint32_t mask) {
    return (uint32_t)((((uint64_t)thread << 32 | slot) * 0x9E3779B97F4A7C15u) >> 32) & mask;
}

static void index_put(hp_sampler *s, uint32_t *index, uint32_t mask, uint32_t which) {
    uint32_t at = home(s->tallies[which].thread, s->tallies[which].slot, mask);
    while (index[at] != UINT32_MAX)
        at = (at + 1) & mask;
    index[at] = which;
}

static bool reserve_one(hp_sampler *s) {
    if (s->tally_count < s->tally_capacity)
        return true;
    uint32_t capacity = s->tally_capacity == 0 ? 256 : s->tally_capacity * 2;
    hp_tally *tallies = realloc(s->tallies, capacity * sizeof *tallies);
    if (tallies == NULL)
        return false;
    s->tallies = tallies;
    uint32_t *index = malloc(capacity * 2 * sizeof *index);
    if (index == NULL)
        return false;
    memset(index, 0xFF, capacity * 2 * sizeof *index);
    for (uint32_t i = 0; i < s->tally_count; i++)
        index_put(s, index, capacity * 2 - 1, i);
    free(s->tally_index);
    s->tally_index = index;
    s->tally_mask = capacity * 2 - 1;
    s->tally_capacity = capacity;
    return true;
}

static uint32_t find_or_add(hp_sampler *s, uint32_t thread, uint32_t slot) {
    if (!reserve_one(s))
        return UINT32_MAX;
    uint32_t at = home(thread, slot, s->tally_mask);
    for (; s->tally_index[at] != UINT32_MAX; at = (at + 1) & s->tally_mask) {
        const hp_tally *tally = &s->tallies[s->tally_index[at]];
        if (tally->thread == thread && tally->slot == slot)
            return s->tally_index[at];
    }
    s->tallies[s->tally_count] = (hp_tally){.thread = thread, .slot = slot};
    s->tally_index[at] = s->tally_count;
    return s->tally_count++;
}

static bool reserve_nodes(hp_sampler *s) {
    if (s->tree.count <= s->tally_of_node_capacity)
        return true;
    uint32_t capacity = s->tree.capacity;
    uint32_t *of_node = hp_pages_resize(s->tally_of_node, s->tally_of_node_capacity * sizeof *of_node, capacity * sizeof *of_node);
    if (of_node == NULL)
        return false;
    memset(of_node + s->tally_of_node_capacity, 0xFF, (capacity - s->tally_of_node_capacity) * sizeof *of_node);
    s->tally_of_node = of_node;
    s->tally_of_node_capacity = capacity;
    return true;
}

/* A node belongs to one thread and one function, so its tally is found once. NULL: short of memory, the function has no error bar. */
static hp_tally *tally_of(hp_sampler *s, uint32_t thread, uint32_t node) {
    if (s->tally_of_node[node] == UINT32_MAX)
        s->tally_of_node[node] = find_or_add(s, thread, s->tree.nodes[node].function);
    return s->tally_of_node[node] == UINT32_MAX ? NULL : &s->tallies[s->tally_of_node[node]];
}

static void count_self(hp_tally *tally, uint64_t first, uint64_t last) {
    tally->self_samples += last - first + 1;
    tally->self_runs += tally->self_stamp == 0 || tally->self_stamp + 1 != first;
    tally->self_stamp = last;
}

/* A recursive function is met again on the same path: once is enough. */
static void count_total(hp_tally *tally, uint64_t first, uint64_t last) {
    if (tally->total_stamp == last)
        return;
    tally->total_samples += last - first + 1;
    tally->total_runs += tally->total_stamp == 0 || tally->total_stamp + 1 != first;
    tally->total_stamp = last;
}

void hp_tally_path(hp_sampler *sampler, const hp_watched *watched, uint32_t leaf, uint64_t count) {
    uint64_t last = watched->totals.samples, first = last - count + 1;
    if (!reserve_nodes(sampler))
        return;
    for (uint32_t node = leaf; node != watched->totals.root; node = sampler->tree.nodes[node].parent) {
        hp_tally *tally = tally_of(sampler, watched->thread->index, node);
        if (tally == NULL)
            continue;
        if (node == leaf)
            count_self(tally, first, last);
        count_total(tally, first, last);
    }
}

void hp_tally_clear(hp_sampler *sampler) {
    free(sampler->tallies);
    hp_pages_free(sampler->tally_of_node, sampler->tally_of_node_capacity * sizeof *sampler->tally_of_node);
    free(sampler->tally_index);
    sampler->tallies = NULL;
    sampler->tally_of_node = sampler->tally_index = NULL;
    sampler->tally_count = sampler->tally_capacity = sampler->tally_of_node_capacity = sampler->tally_mask = 0;
}
