/* SPDX-License-Identifier: MIT */
/* Samples at the places where they were taken. They have threads of their own beside those that hold the sums: what was measured exactly
 * has no moments, and rounding and what was lost would make the sums of these a little less than what the tree says. */
#include "formats/gecko/tables.h"

/* The reader takes a sample to last until the next, so what nobody sampled (calls of targets, say) begins with a sample of nothing. */
static bool add_gap(hp_gecko_tables *t, uint64_t from, uint64_t to) {
    return from >= to || hp_gecko_add_sample(t, &(hp_gecko_sample){.stack = HP_GECKO_NONE, .begin_ns = from});
}

/* Leaves have no stack that others stand on: theirs is made when it is first met. */
static uint32_t stack_of(hp_gecko_tables *t, const hp_profile *profile, uint32_t *inner, uint32_t node) {
    const hp_node *at = &profile->tree.nodes[node];
    if (inner[node] == HP_GECKO_NONE)
        inner[node] = hp_gecko_add_stack(t, hp_gecko_frame_of(t, at->function, 0, HP_GECKO_SAMPLED + HP_STATE_UNKNOWN),
                                         at->parent == 0 ? HP_GECKO_NONE : inner[at->parent]);
    return inner[node];
}

static bool add_moments(hp_gecko_tables *t, const hp_profile *profile, uint32_t *inner, const hp_timeline_parts *parts, uint32_t part) {
    uint64_t end = 0;
    for (uint32_t i = parts->starts[part]; i < parts->starts[part + 1]; i++) {
        const hp_moment *moment = &profile->timeline.moments[parts->order[i]];
        uint32_t stack = stack_of(t, profile, inner, moment->node);
        uint64_t begin = hp_moment_begin_ns(moment, end);
        hp_gecko_sample sample = {stack, hp_moment_end_ns(moment) - begin, begin};
        if (stack == HP_GECKO_NONE || !add_gap(t, end, begin) || !hp_gecko_add_sample(t, &sample))
            return false;
        end = hp_moment_end_ns(moment);
    }
    return true;
}

static uint32_t thread_of(const hp_gecko_tables *t, uint32_t root) {
    for (uint32_t i = 0; i < t->thread_count; i++)
        if (t->threads[i].root == root)
            return t->threads[i].thread;
    return HP_GECKO_NONE;
}

hp_status hp_gecko_add_timeline(hp_gecko_tables *tables, const hp_profile *profile, uint32_t *inner) {
    hp_timeline_parts parts;
    hp_status status = hp_timeline_split(&profile->timeline, &profile->tree, &parts);
    for (uint32_t i = 0; status == HP_OK && i < parts.count; i++) {
        hp_gecko_thread *made = hp_gecko_add_thread(tables, parts.roots[i], thread_of(tables, parts.roots[i]));
        if (made != NULL)
            made->in_time = true;
        if (made == NULL || !add_moments(tables, profile, inner, &parts, i))
            status = HP_NO_MEMORY;
    }
    hp_timeline_parts_fini(&parts);
    return status;
}
