/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "tracer/recorder.h"

enum { HP_FIRST_ENTRIES = 64, HP_FIRST_LINKS = 64, HP_SWITCH_PATIENCE = 1000000 };

bool hp_shadow_reserve(hp_shadow *stack) {
    if (stack->depth < stack->capacity)
        return true;
    uint32_t capacity = stack->capacity ? stack->capacity * 2 : HP_FIRST_ENTRIES;
    hp_entry *entries = realloc(stack->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return false;
    stack->entries = entries;
    stack->capacity = capacity;
    return true;
}

/* Its blocks have ends of their own; the ends of its C calls are reported by its events, so those are over now. */
static void leave_to_caller(hp_shadow *stack, const PyCodeObject *code) {
    uint32_t kept = stack->depth > 0 ? 1 : 0;
    for (uint32_t i = 1; i < stack->depth; i++) {
        hp_entry entry = stack->entries[i];
        if (entry.code == code && entry.kind == HP_ENTRY_C)
            continue;
        if (entry.code == code && entry.kind < HP_ENTRY_C) {
            entry.kind = HP_ENTRY_UNSEEN;
            entry.time_node = stack->entries[kept - 1].time_node;
        }
        stack->entries[kept++] = entry;
    }
    stack->depth = kept;
}

void hp_shadows_leave_to_caller(hp_tracer *tracer, const PyCodeObject *code) {
    uint64_t now = hp_ticks();
    for (hp_recorder *recorder = tracer->recorders; recorder != NULL; recorder = recorder->next) {
        hp_shadow *stack = &recorder->stack;
        if (stack->depth > 0) {
            tracer->tree.nodes[stack->entries[stack->depth - 1].time_node].exact += now - recorder->last;
            recorder->last = now;
        }
        leave_to_caller(stack, code);
        if (stack->depth > 0)
            hp_shadow_publish(recorder);
        for (uint32_t i = 0; i < recorder->parked_count; i++)
            leave_to_caller(&recorder->parked[i], code);
    }
}

void hp_shadow_enter(hp_tracer *tracer, hp_recorder *recorder, const hp_code_state *state, hp_entry entry, bool is_call) {
    const hp_entry *top = &recorder->stack.entries[recorder->stack.depth - 1];
    entry.node = hp_tree_child(&tracer->tree, top->node, state->slot);
    bool armed = (state->flags & HP_CODE_ARMED) || (tracer->everything && !(state->flags & HP_CODE_DROPPED)); /* or is about to be */
    bool timed = entry.kind == HP_ENTRY_CALL || entry.kind >= HP_ENTRY_C || armed;
    entry.time_node = timed ? entry.node : top->time_node;
    hp_node *node = &tracer->tree.nodes[entry.node];
    node->calls += is_call;
    node->overhead += entry.kind == HP_ENTRY_CALL || entry.kind == HP_ENTRY_C;
    node->flags |= recorder->stack.node_flags;
    recorder->events++;
    hp_shadow_push(tracer, recorder, entry, hp_ticks());
}

void hp_shadow_close_to(hp_tracer *tracer, hp_recorder *recorder, uint32_t depth, uint64_t now) {
    hp_shadow *stack = &recorder->stack;
    if (stack->depth <= depth)
        return;
    tracer->tree.nodes[stack->entries[stack->depth - 1].time_node].exact += now - recorder->last;
    recorder->last = now;
    while (stack->depth > depth)
        tracer->counts.truncated += stack->entries[--stack->depth].kind == HP_ENTRY_CALL;
    if (depth > 0)
        hp_shadow_publish(recorder);
}

static bool holds(const hp_entry *entry, const hp_python_frame *frame, const PyCodeObject *code) {
    return entry->frame == frame && entry->code == code;
}

uint32_t hp_shadow_find(const hp_shadow *stack, const hp_python_frame *frame, const PyCodeObject *code) {
    for (uint32_t i = stack->depth; i-- > 0;)
        if (holds(&stack->entries[i], frame, code) && stack->entries[i].kind < HP_ENTRY_C)
            return i;
    return stack->depth;
}

uint32_t hp_shadow_find_lowest(const hp_shadow *stack, const hp_python_frame *frame, const PyCodeObject *code) {
    uint32_t lowest = stack->depth;
    for (uint32_t i = stack->depth; i-- > 0;)
        if (holds(&stack->entries[i], frame, code)) {
            lowest = i;
            if (stack->entries[i].kind < HP_ENTRY_C)
                break;
        } else if (lowest < stack->depth)
            break; /* a frame's entries lie together */
    return lowest;
}

static bool add_link(hp_chain *chain, hp_python_frame *frame) {
    if (chain->count == chain->capacity) {
        uint32_t capacity = chain->capacity ? chain->capacity * 2 : HP_FIRST_LINKS;
        hp_link *links = realloc(chain->links, capacity * sizeof *links);
        if (links == NULL)
            return false;
        chain->links = links;
        chain->capacity = capacity;
    }
    chain->links[chain->count++] = (hp_link){frame, hp_frame_code(frame)};
    return true;
}

bool hp_chain_read(hp_chain *chain, hp_python_frame *from, const hp_entry *base) {
    chain->count = 0;
    for (hp_python_frame *frame = from; frame != NULL; frame = hp_frame_previous(frame)) {
        if (!add_link(chain, frame))
            return false;
        if (base != NULL && holds(base, frame, hp_frame_code(frame)))
            return true;
    }
    return base == NULL;
}

void hp_shadow_enter_chain(hp_tracer *tracer, hp_recorder *recorder, const hp_link *links, uint32_t count, hp_entry_kind kind) {
    for (uint32_t i = count; i-- > 0;) {
        hp_code_state *state = hp_tracer_state(tracer, links[i].code, links[i].frame);
        if (state == NULL || !hp_shadow_reserve(&recorder->stack))
            return;
        bool was_armed = (state->flags & HP_CODE_ARMED) != 0;
        hp_entry_kind own = kind == HP_ENTRY_CONTEXT && (state->flags & HP_CODE_DROPPED) ? HP_ENTRY_UNSEEN : kind;
        hp_shadow_enter(tracer, recorder, state, (hp_entry){.frame = links[i].frame, .code = links[i].code, .kind = own}, false);
        if (!was_armed && (!tracer->everything || tracer->by_function))
            hp_tracer_found(tracer, links[i].code, links[i].frame);
    }
}

/* Both sequences are in the order of the real stack. An entry whose frame is no longer in the chain has ended, and all above it with it. */
static uint32_t match(const hp_shadow *stack, const hp_chain *chain, uint32_t *inner_links) {
    uint32_t kept = 1, at = chain->count - 1;
    for (uint32_t i = 1; i < stack->depth; i++) {
        const hp_entry *entry = &stack->entries[i];
        if (holds(entry, stack->entries[kept - 1].frame, stack->entries[kept - 1].code)) {
            kept = i + 1;
            continue;
        }
        uint32_t k = at;
        while (k > 0 && !holds(entry, chain->links[k - 1].frame, chain->links[k - 1].code))
            k--;
        if (k == 0)
            break;
        at = k - 1;
        kept = i + 1;
    }
    *inner_links = at;
    return kept;
}

/* The chain in `scratch` is whole. Takes up the parked stack whose base is in it. */
static bool switch_stack(hp_tracer *tracer, hp_recorder *recorder) {
    for (uint32_t i = 0; i < recorder->scratch.count; i++)
        for (uint32_t p = 0; p < recorder->parked_count; p++)
            if (holds(&recorder->parked[p].entries[0], recorder->scratch.links[i].frame, recorder->scratch.links[i].code)) {
                hp_extent_unpark(tracer, recorder, p);
                return true;
            }
    if (recorder->parked_count > 0 && ++recorder->failed_switches > HP_SWITCH_PATIENCE)
        hp_extent_forget(tracer, recorder, 0);
    return false;
}

bool hp_shadow_top_stands(const hp_shadow *stack, hp_python_frame *frame) {
    uint32_t at = stack->depth - 1;
    for (; at > 0 && stack->entries[at].kind == HP_ENTRY_UNSEEN; at--) {
        if (frame == NULL || !holds(&stack->entries[at], frame, hp_frame_code(frame)))
            return false;
        frame = hp_frame_previous(frame);
    }
    return frame != NULL && holds(&stack->entries[at], frame, hp_frame_code(frame));
}

bool hp_shadow_resolve(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *caller, hp_entry_kind context_kind) {
    hp_shadow *stack = &recorder->stack;
    if (caller == NULL)
        return false;
    if (stack->depth > 0 && hp_shadow_top_stands(stack, caller))
        return true;
    if (stack->depth == 0 || !hp_chain_read(&recorder->scratch, caller, &stack->entries[0])) {
        if (recorder->parked_count == 0 || !hp_chain_read(&recorder->scratch, caller, NULL) || !switch_stack(tracer, recorder))
            return false;
        if (!hp_chain_read(&recorder->scratch, caller, &stack->entries[0]))
            return false;
    }
    uint32_t inner = 0, kept = match(stack, &recorder->scratch, &inner);
    hp_shadow_close_to(tracer, recorder, kept, hp_ticks());
    hp_shadow_enter_chain(tracer, recorder, recorder->scratch.links, inner, context_kind);
    return true;
}
