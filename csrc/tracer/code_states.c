/* SPDX-License-Identifier: MIT */
#include "tracer/code_states.h"

#include <stdlib.h>
#include <string.h>

enum { HP_FIRST_STATES = 1024 };

hp_status hp_code_states_init(hp_code_states *states, hp_code_table *table) {
    *states = (hp_code_states){.table = table, .mask = HP_FIRST_STATES - 1};
    states->states = calloc(HP_FIRST_STATES, sizeof *states->states);
    return states->states != NULL ? HP_OK : HP_NO_MEMORY;
}

void hp_code_states_fini(hp_code_states *states) {
    free(states->states);
    free(states->late_slots);
    *states = (hp_code_states){0};
}

static hp_code_state *place(hp_code_state *states, uint32_t mask, uintptr_t address) {
    uint32_t at = hp_code_states_hash(address) & mask;
    while (states[at].address != 0 && states[at].address != address)
        at = (at + 1) & mask;
    return &states[at];
}

static bool grow(hp_code_states *states) {
    uint32_t mask = states->mask * 2 + 1;
    hp_code_state *bigger = calloc((size_t)mask + 1, sizeof *bigger);
    if (bigger == NULL)
        return false;
    for (uint32_t i = 0; i <= states->mask; i++)
        if (states->states[i].address != 0)
            *place(bigger, mask, states->states[i].address) = states->states[i];
    free(states->states);
    states->states = bigger;
    states->mask = mask;
    return true;
}

static void keep_late(hp_code_states *states, uint32_t slot) {
    uint32_t *slots = realloc(states->late_slots, (states->late_count + 1u) * sizeof *slots);
    if (slots == NULL) {
        states->late_lost = true;
        return;
    }
    states->late_slots = slots;
    states->late_slots[states->late_count++] = slot;
}

hp_code_state *hp_code_states_add(hp_code_states *states, uintptr_t address, hp_code_kind kind) {
    /* At most half full: probes stay short, and a search always meets a free place. */
    if (states->used >= states->mask / 2 && !grow(states))
        return NULL;
    hp_code_state *state = place(states->states, states->mask, address);
    uint64_t epoch = hp_code_table_epoch(states->table);
    uint32_t slot = hp_code_table_slot(states->table, address, kind);
    if (slot == HP_NO_SLOT)
        return NULL;
    if (state->address == 0)
        states->used++;
    if (state->address != 0 && state->slot != slot && (state->flags & HP_CODE_LATE))
        keep_late(states, state->slot);
    if (state->address == 0 || state->slot != slot)
        *state = (hp_code_state){.address = address, .slot = slot};
    state->epoch = epoch;
    return state;
}

void hp_code_states_forget_nodes(hp_code_states *states) {
    for (uint32_t i = 0; i <= states->mask; i++)
        states->states[i].last_parent = states->states[i].last_node = 0;
}
