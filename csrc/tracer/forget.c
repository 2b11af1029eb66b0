/* SPDX-License-Identifier: MIT */
/* What was met beneath targets loses its events when they go; and where nothing is left to trace, so does all code. */
#include <stdlib.h>

#include "tracer/recorder.h"

/* Calibration's own functions are called by nobody else, and looked at again: they keep their events. */
static bool is_armed(const hp_tracer *tracer, const hp_code_state *state) {
    return state->address != 0 && (state->flags & (HP_CODE_ARMED | HP_CODE_PROBE)) == HP_CODE_ARMED &&
           hp_code_table_address(tracer->code, state->slot) == state->address;
}

static void disarm_beneath(hp_tracer *tracer) {
    const hp_code_states *states = &tracer->states;
    bool spares = tracer->hook->drop != NULL && !tracer->everything && !tracer->budget.paused;
    PyCodeObject **found = spares ? calloc(states->used + 1u, sizeof *found) : NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; found != NULL && i <= states->mask; i++) {
        const hp_code_state *state = &states->states[i];
        if (is_armed(tracer, state) && !(state->flags & (HP_CODE_TARGET | HP_CODE_HOLDS_BLOCK)))
            found[count++] = (PyCodeObject *)Py_NewRef((PyObject *)state->address);
    }
    for (uint32_t i = 0; i < count; i++) { /* which may move the states */
        hp_shadows_leave_to_caller(tracer, found[i]);
        if (tracer->hook->disarm(tracer, found[i]) < 0)
            PyErr_Clear();
        Py_DECREF(found[i]);
    }
    free(found);
}

/* Calls of others that run, or are suspended, call on what has just lost its events: all of it is met again at once. */
static void meet_beneath_others(hp_tracer *tracer) {
    if (tracer->hook->meet_again != NULL && !tracer->everything && !hp_tracer_is_idle(tracer))
        tracer->hook->meet_again(tracer);
}

static bool any_armed(const hp_tracer *tracer) {
    for (uint32_t i = 0; i <= tracer->states.mask; i++)
        if (is_armed(tracer, &tracer->states.states[i]))
            return true;
    return false;
}

/* The budget would give them their events back, beneath whatever is traced by then. They are met again instead. */
static void forget_spared(hp_tracer *tracer) {
    for (uint32_t i = 0; i <= tracer->states.mask; i++) {
        hp_code_state *state = &tracer->states.states[i];
        if (state->address != 0 && (state->flags & HP_CODE_DROPPED)) {
            state->flags &= ~(uint32_t)HP_CODE_DROPPED;
            hp_tracer_let_go(tracer, state);
        }
    }
    tracer->budget.dropped = 0;
}

static bool may_rest(const hp_tracer *tracer) {
    return tracer->counts.targets == 0 && !tracer->everything && !tracer->budget.paused && hp_tracer_is_idle(tracer);
}

bool hp_tracer_rest(hp_tracer *tracer) {
    if (!may_rest(tracer))
        return false;
    tracer->wants_rest = false;
    disarm_beneath(tracer); /* what held a block, or was met by the last call, until now */
    if (tracer->hook->rest == NULL || any_armed(tracer))
        return false;
    forget_spared(tracer);
    tracer->hook->rest(tracer);
    return true;
}

void hp_tracer_forget_beneath(hp_tracer *tracer) {
    disarm_beneath(tracer);
    meet_beneath_others(tracer);
    tracer->wants_rest = tracer->counts.targets == 0;
    (void)hp_tracer_rest(tracer);
}
