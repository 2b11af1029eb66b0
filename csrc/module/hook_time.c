/* SPDX-License-Identifier: MIT */
/* A target's frame exists for a moment before the hook has opened its extent, and for a moment after it has closed it. Stacks that are
 * sampled then end in the target, outside any extent. Where every activation of a target was traced this cannot be time of its own, which
 * would make it "mixed" and its count a lower bound: it is what tracing costs, and goes there. */
#include <stdlib.h>

#include "module/assemble.h"

static bool *whole_by_slot(const hp_gathered *gathered, uint32_t slots) {
    bool *whole = calloc((size_t)slots + 1, sizeof *whole);
    for (uint32_t i = 0; whole && i < gathered->traced.whole_count; i++)
        if (gathered->traced.whole_slots[i] < slots)
            whole[gathered->traced.whole_slots[i]] = true;
    return whole;
}

static bool is_whole(const hp_tree *tree, uint32_t node, const bool *whole, uint32_t slots) {
    return tree->nodes[node].parent != 0 && tree->nodes[node].function < slots && whole[tree->nodes[node].function];
}

static void move_lines(hp_sampled *sampled, const bool *whole, uint32_t slots) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sampled->line_count; i++)
        if (!is_whole(&sampled->tree, sampled->lines[i].node, whole, slots))
            sampled->lines[kept++] = sampled->lines[i];
    sampled->line_count = kept;
}

static void move_estimates(hp_sampled *sampled, const bool *whole, uint32_t slots) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sampled->estimate_count; i++)
        if (sampled->estimates[i].function >= slots || !whole[sampled->estimates[i].function])
            sampled->estimates[kept++] = sampled->estimates[i];
    sampled->estimate_count = kept;
}

/* Where a call has a hook of its own (3.11) the sampler knows which samples were taken on that hook's way: they are in no function's time.
 */
static void add_known(hp_sampled *sampled) {
    for (uint32_t i = 0; i < sampled->thread_count; i++)
        if (sampled->threads[i].root != HP_NO_NODE)
            sampled->tree.nodes[sampled->threads[i].root].overhead += sampled->threads[i].hook_ns;
}

void hp_assemble_hook_time(hp_gathered *gathered) {
    if (gathered->has_sampled)
        add_known(&gathered->sampled);
    bool applies = gathered->has_sampled && gathered->has_traced && gathered->traced.whole_count > 0 && gathered->clock == HP_CLOCK_WALL;
    uint32_t slots = hp_code_table_count(gathered->code);
    bool *whole = applies ? whole_by_slot(gathered, slots) : NULL;
    if (!whole)
        return; /* short of memory the target is called mixed, which is less than the truth and not against it */
    hp_tree *tree = &gathered->sampled.tree;
    for (uint32_t i = 1; i < tree->count; i++) {
        if (!is_whole(tree, i, whole, slots))
            continue;
        tree->nodes[i].overhead += tree->nodes[i].sampled;
        tree->nodes[i].samples = tree->nodes[i].sampled = 0;
    }
    move_lines(&gathered->sampled, whole, slots);
    move_estimates(&gathered->sampled, whole, slots);
    free(whole);
}
