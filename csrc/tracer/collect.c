/* SPDX-License-Identifier: MIT */
/* What was recorded, as a copy: open activations up to now included, the cost of recording taken out. */
#include <stdlib.h>
#include <string.h>

#include "tracer/calibrate.h"
#include "tracer/recorder.h"

void hp_traced_fini(hp_traced *traced) {
    hp_tree_fini(&traced->tree);
    free(traced->threads);
    free(traced->whole_slots);
    free(traced->reported_slots);
    free(traced->spared);
    *traced = (hp_traced){0};
}

/* Brings the books of every open stack up to now. Another thread's extent is told from outside: it waits for the GIL. */
static void account_open(hp_tracer *tracer, hp_recorder *recorder) {
    hp_shadow *stack = &recorder->stack;
    if (stack->depth == 0)
        return;
    uint64_t now = hp_ticks();
    tracer->tree.nodes[stack->entries[stack->depth - 1].time_node].exact += now - recorder->last;
    recorder->last = now;
}

static void mark_open(hp_tree *tree, const hp_shadow *stack) {
    for (uint32_t i = 0; i < stack->depth; i++)
        tree->nodes[stack->entries[i].node].flags |= HP_NODE_OPEN;
}

static bool is_late(const hp_tracer *tracer, const hp_tree *tree, const hp_node *node, const bool *late, uint32_t slots) {
    uint32_t caller = tree->nodes[node->parent].function;
    hp_code_info info;
    if (node->function < slots && late[node->function])
        return true;
    return caller < slots && late[caller] && tree->nodes[node->parent].parent != 0 &&
           hp_code_table_info(tracer->code, node->function, &info) && info.kind == HP_CODE_C;
}

static void mark_partial(const hp_tracer *tracer, hp_tree *tree) {
    uint32_t slots = hp_code_table_count(tracer->code);
    bool *late = calloc(slots + 1, sizeof *late);
    if (late == NULL)
        return;
    for (uint32_t i = 0; i <= tracer->states.mask; i++) {
        const hp_code_state *state = &tracer->states.states[i];
        bool missed = (state->flags & HP_CODE_LET_GO) && hp_discovery_missed(&tracer->discovery, state->let_go_at);
        if (state->address != 0 && ((state->flags & HP_CODE_LATE) || missed) && state->slot < slots)
            late[state->slot] = true;
    }
    for (uint32_t i = 0; i < tracer->states.late_count; i++)
        if (tracer->states.late_slots[i] < slots)
            late[tracer->states.late_slots[i]] = true;
    bool all = tracer->budget.was_cut || tracer->states.late_lost;
    for (uint32_t i = 1; i < tree->count; i++) {
        hp_node *node = &tree->nodes[i];
        /* Over the budget any function may have been called beneath a call that was left out; C functions are reported by their callers'
         * events. */
        if (node->parent != 0 && node->calls > 0 && (all || is_late(tracer, tree, node, late, slots)))
            node->flags |= HP_NODE_PARTIAL;
    }
    free(late);
}

static bool is_reported(const hp_code_state *state) {
    return (state->flags & (HP_CODE_ARMED | HP_CODE_LATE | HP_CODE_DROPPED)) == HP_CODE_ARMED;
}

static hp_status list_slots(const hp_tracer *tracer, hp_traced *out) {
    out->whole_slots = calloc((size_t)tracer->states.used + 1, sizeof *out->whole_slots);
    out->reported_slots = calloc((size_t)tracer->states.used + 1, sizeof *out->reported_slots);
    out->spared = calloc((size_t)tracer->states.used + 1, sizeof *out->spared);
    if (out->whole_slots == NULL || out->reported_slots == NULL || out->spared == NULL)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i <= tracer->states.mask; i++) {
        const hp_code_state *state = &tracer->states.states[i];
        if (state->address != 0 && state->spared > 0)
            out->spared[out->spared_count++] = (struct hp_traced_spared){state->slot, state->spared};
        if (state->address != 0 && is_reported(state))
            out->reported_slots[out->reported_count++] = state->slot;
        if (state->address != 0 && (state->flags & HP_CODE_WHOLE) && !tracer->budget.was_cut)
            out->whole_slots[out->whole_count++] = state->slot;
    }
    return HP_OK;
}

static uint64_t cost(double ticks_each, uint64_t count, uint64_t at_most) {
    double ticks = ticks_each * (double)count;
    return ticks < (double)at_most ? (uint64_t)ticks : at_most;
}

/* Until here `overhead` counted activations. An activation's recording costs time in its own interval and in its caller's. */
static void subtract_overhead(const hp_tracer *tracer, hp_tree *tree) {
    uint64_t *below = calloc(tree->count, sizeof *below);
    for (uint32_t i = tree->count; below != NULL && i-- > 1;)
        below[tree->nodes[i].parent] += tree->nodes[i].overhead;
    for (uint32_t i = 0; i < tree->count; i++) {
        hp_node *node = &tree->nodes[i];
        uint64_t own = cost(tracer->inside_ticks_per_call, node->overhead, node->exact);
        uint64_t callees = below != NULL ? cost(tracer->outside_ticks_per_call, below[i], node->exact - own) : 0;
        node->overhead = own + callees;
        node->exact -= node->overhead;
    }
    free(below);
}

static hp_status list_threads(const hp_tracer *tracer, hp_traced *out) {
    /* The records of threads that have ended are gone; their nodes and sums stay. */
    uint32_t count = 0;
    for (uint32_t node = tracer->tree.nodes[0].first_child; node != HP_NO_NODE; node = tracer->tree.nodes[node].next_sibling)
        count++;
    out->threads = calloc(count ? count : 1, sizeof *out->threads);
    if (out->threads == NULL)
        return HP_NO_MEMORY;
    out->thread_count = count;
    for (uint32_t node = tracer->tree.nodes[0].first_child; node != HP_NO_NODE; node = tracer->tree.nodes[node].next_sibling)
        out->threads[--count] = (hp_traced_thread){.thread = tracer->tree.nodes[node].function, .root = node};
    return HP_OK;
}

/* Every tick inside was given to a node of the thread, so the sum is the time; it needs no books of its own. */
static hp_status sum_threads(const hp_tree *tree, hp_traced *out) {
    uint64_t *sums = calloc(tree->count, sizeof *sums);
    if (sums == NULL)
        return HP_NO_MEMORY;
    for (uint32_t i = tree->count; i-- > 1;) {
        sums[i] += tree->nodes[i].exact;
        sums[tree->nodes[i].parent] += sums[i];
    }
    for (uint32_t t = 0; t < out->thread_count; t++)
        out->threads[t].inside_ticks = sums[out->threads[t].root];
    free(sums);
    return HP_OK;
}

hp_status hp_tracer_collect(hp_tracer *tracer, hp_traced *out) {
    *out = (hp_traced){.hook = tracer->hook->kind};
    tracer->hook->refresh(tracer);
    /* A pause in which no function with events is called ends when somebody asks for numbers, if not before. Only that: a profile function
     * may be switched off within an event and nowhere else. */
    if (tracer->by_function)
        hp_budget_look(tracer);
    hp_recorders_reap(tracer); /* nobody else would end what a thread left open: its time would grow for ever */
    for (hp_recorder *recorder = tracer->recorders; recorder != NULL; recorder = recorder->next)
        account_open(tracer, recorder);
    hp_status status = hp_tree_copy(&out->tree, &tracer->tree);
    if (status != HP_OK)
        return status;
    hp_calibration_hide(tracer, &out->tree);
    for (hp_recorder *recorder = tracer->recorders; recorder != NULL; recorder = recorder->next) {
        mark_open(&out->tree, &recorder->stack);
        for (uint32_t i = 0; i < recorder->parked_count; i++)
            mark_open(&out->tree, &recorder->parked[i]);
    }
    status = list_threads(tracer, out);
    if (status == HP_OK)
        status = sum_threads(&out->tree, out);
    if (status == HP_OK)
        status = list_slots(tracer, out);
    if (status != HP_OK) {
        hp_traced_fini(out);
        return status;
    }
    subtract_overhead(tracer, &out->tree);
    mark_partial(tracer, &out->tree);
    out->counts = hp_tracer_counts_now(tracer);
    out->overhead_per_call_ticks = tracer->inside_ticks_per_call + tracer->outside_ticks_per_call;
    out->overhead_spread = hp_tracer_cost_spread(tracer);
    return HP_OK;
}
