/* SPDX-License-Identifier: MIT */
/* What the tracer knows of each function, by address: its slot and its flags.
 *
 * A cache in front of the code table, whose mutex no event may take. An entry is good while its `epoch` is the table's; after any death
 * it is asked for again, once, and an address that now has another slot is another function: its flags start anew.
 * Guarded by: GIL. Pointers into the table are valid until the next hp_code_states_get. */
#ifndef HP_TRACER_CODE_STATES_H
#define HP_TRACER_CODE_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/code_table.h"

enum {
    HP_CODE_TARGET = 1u << 0,
    HP_CODE_ARMED = 1u << 1, /* the hook reports the starts and ends of this function */
    HP_CODE_LATE = 1u << 2,  /* met after calls of it may have been missed: counts are lower bounds */
    HP_CODE_DESCRIBED = 1u << 3,
    HP_CODE_LET_GO = 1u << 4,      /* discovery was told not to report it again; see `let_go_at` */
    HP_CODE_HOLDS_BLOCK = 1u << 5, /* a suspended frame of it has open blocks */
    HP_CODE_DROPPED = 1u << 7,     /* the budget took its events away: it is left to the sampler */
    HP_CODE_OUTERMOST = 1u << 8,   /* extents of everything began with it; see `outermost_ticks` */
    HP_CODE_ASKED = 1u << 9,       /* whether it stands in for a target was asked */
    HP_CODE_PROBE = 1u << 10,      /* of our own, for calibration */
    HP_CODE_IN_PIECES = 1u << 12,  /* a generator or coroutine, as far as one was armed */
    HP_CODE_STALE = 1u << 11,      /* may still carry events under a tool id that was lost */
    HP_CODE_WHOLE = 1u << 6,       /* a target from before its first activation of this session on, with a rate of 1 */
};

typedef struct hp_code_state {
    uintptr_t address; /* 0: free */
    uint64_t epoch;
    uint32_t slot;
    uint32_t flags;
    uint64_t threshold;       /* targets: traced when a random 32-bit number is below it */
    uintptr_t replaces;       /* targets: the code object that its function had before; see replaced.c */
    uint64_t outermost_ticks; /* when an extent of everything began with it, the last time */
    uint64_t let_go_at;       /* extents that may have begun without discovery watching it, counted when it was let go */
    /* The node beneath which it was last called, and its own there: most functions have one caller at a time. No function is called beneath
     * node 0. */
    uint32_t last_parent, last_node;
    uint64_t units;          /* what its events cost in the budget's present window */
    int64_t spared_until_ns; /* CLOCK_MONOTONIC: not given back before */
    uint32_t spared_times;   /* in a row: each time for twice as long */
    float spared;            /* share of a core that they cost when the budget took them, the last time; 0: it never did */
} hp_code_state;

typedef struct hp_code_states {
    hp_code_table *table;
    hp_code_state *states;
    uint32_t mask;
    uint32_t used;
    uint32_t *late_slots; /* HP_CODE_LATE of functions whose address is another's now */
    uint32_t late_count;
    bool late_lost; /* memory was short for one of them */
} hp_code_states;

hp_status hp_code_states_init(hp_code_states *states, hp_code_table *table);
void hp_code_states_fini(hp_code_states *states);
/* Finds or makes. NULL when memory is short. */
hp_code_state *hp_code_states_add(hp_code_states *states, uintptr_t address, hp_code_kind kind);
/* The tree begins anew: no node is known. */
void hp_code_states_forget_nodes(hp_code_states *states);

static inline uint32_t hp_code_states_hash(uintptr_t address) {
    return (uint32_t)(((uint64_t)(address >> 4) * 0x9E3779B97F4A7C15u) >> 32);
}

/* The entry if the address was met before and nothing died since, else NULL. */
static inline hp_code_state *hp_code_states_find(const hp_code_states *states, uintptr_t address, uint64_t epoch) {
    hp_code_state *state = &states->states[hp_code_states_hash(address) & states->mask];
    while (state->address != address) {
        if (state->address == 0)
            return NULL;
        state = state == states->states + states->mask ? states->states : state + 1;
    }
    return state->epoch == epoch ? state : NULL;
}

static inline hp_code_state *hp_code_states_get(hp_code_states *states, uintptr_t address, hp_code_kind kind) {
    hp_code_state *state = hp_code_states_find(states, address, hp_code_table_epoch(states->table));
    return state != NULL ? state : hp_code_states_add(states, address, kind);
}

#endif
