/* SPDX-License-Identifier: MIT */
/* Extents: where they begin in the tree, and their clock. */
#include <stdlib.h>
#include <string.h>

#include "tracer/recorder.h"

enum { HP_MOST_PARKED = 4096, HP_KEPT_ENTRIES = 4096 };

static bool same_context(const hp_recorder *recorder, uint64_t epoch) {
    const hp_chain *now = &recorder->scratch, *last = &recorder->context;
    if (now->count != last->count || recorder->context_epoch != epoch || recorder->context_node == HP_NO_NODE)
        return false;
    for (uint32_t i = 0; i < now->count; i++)
        if (now->links[i].code != last->links[i].code)
            return false;
    return true;
}

static uint32_t context_node(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *above) {
    uint64_t epoch = hp_code_table_epoch(tracer->code);
    hp_chain_read(&recorder->scratch, above, NULL);
    if (same_context(recorder, epoch))
        return recorder->context_node;
    uint32_t node = recorder->root;
    for (uint32_t i = recorder->scratch.count; i-- > 0;) {
        hp_code_state *state = hp_tracer_state(tracer, recorder->scratch.links[i].code, recorder->scratch.links[i].frame);
        if (state != NULL)
            node = hp_tree_child(&tracer->tree, node, state->slot);
    }
    hp_chain read = recorder->scratch;
    recorder->scratch = recorder->context;
    recorder->context = read;
    recorder->context_node = node;
    recorder->context_epoch = epoch;
    return node;
}

static void start_clock(hp_recorder *recorder) {
    hp_shadow_publish(recorder);
    recorder->last = hp_ticks();
    recorder->began = recorder->last;
    hp_thread_enter_traced(recorder->thread, recorder->last);
}

static void stop_clock(hp_recorder *recorder) {
    recorder->inside += recorder->last - recorder->began;
    hp_thread_leave_traced(recorder->thread, recorder->last);
}

void hp_extent_begin(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *above, uint32_t node_flags, const hp_code_state *state,
                     hp_entry entry, bool is_call) {
    if (!hp_shadow_reserve(&recorder->stack))
        return;
    uint32_t slot = state->slot; /* the context's functions may move the states */
    uint32_t context = context_node(tracer, recorder, above);
    hp_shadow *stack = &recorder->stack;
    entry.node = entry.time_node = hp_tree_child(&tracer->tree, context, slot);
    stack->node_flags = node_flags;
    hp_node *node = &tracer->tree.nodes[entry.node];
    node->calls += is_call;
    node->overhead += entry.kind == HP_ENTRY_CALL;
    node->flags |= node_flags;
    recorder->events++;
    stack->entries[stack->depth++] = entry;
    start_clock(recorder);
    hp_gate_update(recorder);
    hp_budget_extent_began(tracer, recorder);
}

void hp_extent_end(hp_recorder *recorder) {
    hp_shadow *stack = &recorder->stack;
    stop_clock(recorder);
    if (stack->capacity > HP_KEPT_ENTRIES) {
        free(stack->entries);
        *stack = (hp_shadow){0};
    }
    hp_gate_update(recorder);
}

static void remove_parked(hp_recorder *recorder, uint32_t index) {
    recorder->parked_count--;
    memmove(&recorder->parked[index], &recorder->parked[index + 1], (recorder->parked_count - index) * sizeof *recorder->parked);
    recorder->failed_switches = 0;
}

void hp_extent_forget(hp_tracer *tracer, hp_recorder *recorder, uint32_t index) {
    hp_shadow *stack = &recorder->parked[index];
    for (uint32_t i = 0; i < stack->depth; i++)
        tracer->counts.truncated += stack->entries[i].kind == HP_ENTRY_CALL;
    free(stack->entries);
    remove_parked(recorder, index);
    hp_gate_update(recorder);
}

void hp_extent_cut(hp_tracer *tracer, hp_recorder *recorder) {
    hp_shadow_close_to(tracer, recorder, 0, hp_ticks());
    hp_extent_end(recorder);
    hp_thread_forget_edge(recorder->thread);
}

void hp_extent_truncate(hp_tracer *tracer, hp_recorder *recorder, bool limited) {
    hp_entry first = recorder->stack.entries[0];
    hp_extent_cut(tracer, recorder);
    if (first.kind == HP_ENTRY_CALL)
        hp_recorder_skip(recorder, first.frame, first.code, limited);
}

void hp_extent_abandon(hp_tracer *tracer, hp_recorder *recorder) {
    if (recorder->stack.depth == 0)
        return;
    hp_shadow_close_to(tracer, recorder, 0, recorder->last);
    hp_extent_end(recorder);
    hp_thread_forget_edge(recorder->thread);
    tracer->budget.was_cut = true;
}

bool hp_extents_begin_with(const hp_tracer *tracer, uintptr_t code) {
    for (const hp_recorder *recorder = tracer->recorders; recorder != NULL; recorder = recorder->next) {
        if (recorder->stack.depth > 0 && (uintptr_t)recorder->stack.entries[0].code == code)
            return true;
        for (uint32_t i = 0; i < recorder->parked_count; i++)
            if ((uintptr_t)recorder->parked[i].entries[0].code == code)
                return true;
    }
    return false;
}

bool hp_extents_end_of(hp_tracer *tracer, const PyCodeObject *code) {
    bool any = false;
    for (hp_recorder *recorder = tracer->recorders; recorder != NULL; recorder = recorder->next) {
        for (uint32_t i = recorder->parked_count; i-- > 0;)
            if (recorder->parked[i].entries[0].code == code) {
                hp_extent_forget(tracer, recorder, i);
                any = true;
            }
        if (recorder->stack.depth > 0 && recorder->stack.entries[0].code == code) {
            hp_extent_cut(tracer, recorder);
            any = true;
        }
    }
    return any;
}

void hp_extents_end(hp_tracer *tracer) {
    hp_recorders_reap(tracer);
    for (hp_recorder *recorder = tracer->recorders; recorder != NULL; recorder = recorder->next) {
        while (recorder->parked_count > 0)
            hp_extent_forget(tracer, recorder, 0);
        if (recorder->stack.depth > 0) {
            hp_extent_cut(tracer, recorder);
        }
    }
}

void hp_extents_truncate(hp_tracer *tracer) {
    for (hp_recorder *recorder = tracer->recorders; recorder != NULL; recorder = recorder->next) {
        while (recorder->parked_count > 0)
            hp_extent_forget(tracer, recorder, recorder->parked_count - 1);
        if (recorder->stack.depth > 0)
            hp_extent_truncate(tracer, recorder, false);
    }
    if (tracer->hook->quit != NULL)
        tracer->hook->quit(tracer);
}

void hp_extent_park(hp_tracer *tracer, hp_recorder *recorder) {
    hp_shadow *stack = &recorder->stack;
    if (stack->depth == 0)
        return;
    uint64_t now = hp_ticks();
    tracer->tree.nodes[stack->entries[stack->depth - 1].time_node].exact += now - recorder->last;
    recorder->last = now;
    stop_clock(recorder);
    stack->events = recorder->events - recorder->events_began;
    if (recorder->parked_count == HP_MOST_PARKED)
        hp_extent_forget(tracer, recorder, 0);
    hp_shadow *parked = realloc(recorder->parked, (recorder->parked_count + 1) * sizeof *parked);
    if (parked == NULL) {
        free(stack->entries);
    } else {
        recorder->parked = parked;
        recorder->parked[recorder->parked_count++] = *stack;
    }
    *stack = (hp_shadow){0};
    hp_gate_update(recorder);
}

void hp_extent_unpark(hp_tracer *tracer, hp_recorder *recorder, uint32_t index) {
    hp_shadow stack = recorder->parked[index];
    remove_parked(recorder, index);
    hp_extent_park(tracer, recorder);
    free(recorder->stack.entries);
    recorder->stack = stack;
    recorder->events_began = recorder->events - stack.events;
    start_clock(recorder);
    hp_gate_update(recorder);
}

void hp_extent_switch_to(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *frame, const PyCodeObject *code) {
    for (uint32_t i = recorder->parked_count; i-- > 0;) {
        const hp_shadow *parked = &recorder->parked[i];
        const hp_entry *top = &parked->entries[parked->depth - 1];
        if (top->frame != frame || top->code != code || !hp_chain_read(&recorder->scratch, frame, &parked->entries[0]))
            continue;
        hp_extent_unpark(tracer, recorder, i);
        return;
    }
}

/* Its end closes the extent: the budget leaves it its events for now, and where it has none, or none any more, it gets them. */
void hp_extent_begin_outermost(hp_tracer *tracer, hp_recorder *recorder, const hp_code_state *state, hp_entry entry, bool is_call) {
    hp_extent_begin(tracer, recorder, NULL, 0, state, entry, is_call);
    if (!tracer->by_function || recorder->stack.depth == 0)
        return;
    hp_code_state *own = hp_tracer_state(tracer, entry.code, entry.frame);
    if (own != NULL) {
        own->flags |= HP_CODE_OUTERMOST;
        own->outermost_ticks = recorder->last;
        if (own->flags & HP_CODE_DROPPED) {
            own->flags &= ~(uint32_t)HP_CODE_DROPPED;
            tracer->budget.dropped -= tracer->budget.dropped > 0;
        }
    }
    hp_tracer_found(tracer, entry.code, entry.frame);
}

void hp_extent_begin_everything(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *caller) {
    if (caller == NULL || !hp_chain_read(&recorder->scratch, caller, NULL))
        return;
    uint32_t last = recorder->scratch.count - 1;
    hp_link outermost = recorder->scratch.links[last];
    hp_code_state *state = hp_tracer_state(tracer, outermost.code, outermost.frame);
    if (state == NULL)
        return;
    hp_chain all = recorder->scratch;
    recorder->scratch = (hp_chain){0}; /* hp_extent_begin reads a chain of its own */
    hp_extent_begin_outermost(tracer, recorder, state,
                              (hp_entry){.frame = outermost.frame, .code = outermost.code, .kind = HP_ENTRY_CONTEXT}, false);
    if (recorder->stack.depth > 0)
        hp_shadow_enter_chain(tracer, recorder, all.links, last, HP_ENTRY_CONTEXT);
    free(recorder->scratch.links);
    recorder->scratch = all;
}
