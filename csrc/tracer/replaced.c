/* SPDX-License-Identifier: MIT */
/* Targets whose function another tool gave another code object, made from the one that it had: line_profiler does so with what it profiles,
 * and copies all tools' local events along. Calls run the new one from then on, so it becomes the target, with the same rate.
 *
 * Those events tell, where there are any: nobody armed that code object. Else the wrapper does, which knows the function. */
#include "tracer/recorder.h"

static bool is_made_from(const PyCodeObject *code, const PyCodeObject *target) {
    return code != target && code->co_firstlineno == target->co_firstlineno && code->co_flags == target->co_flags &&
           PyUnicode_Compare(code->co_qualname, target->co_qualname) == 0 && PyUnicode_Compare(code->co_filename, target->co_filename) == 0;
}

static bool is_alive(const hp_tracer *tracer, const hp_code_state *state) {
    return state->address != 0 && hp_code_table_address(tracer->code, state->slot) == state->address;
}

static const hp_code_state *replaced_target(const hp_tracer *tracer, const PyCodeObject *code) {
    for (uint32_t i = 0; i <= tracer->states.mask; i++) {
        const hp_code_state *state = &tracer->states.states[i];
        if ((state->flags & HP_CODE_TARGET) && is_alive(tracer, state) && is_made_from(code, (const PyCodeObject *)state->address))
            return state;
    }
    return NULL;
}

static bool take_over(hp_tracer *tracer, PyCodeObject *code, const hp_code_state *from) {
    uintptr_t replaced = from->replaces != 0 ? from->replaces : from->address; /* the first, which the program knows */
    double rate = (double)from->threshold / (double)HP_BUDGET_ALL;
    if (hp_tracer_add_target(tracer, code, rate) < 0)
        return false;
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state == NULL)
        return false;
    state->replaces = replaced;
    tracer->replacements++;
    return true;
}

bool hp_tracer_take_over(hp_tracer *tracer, PyCodeObject *code) {
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state == NULL || tracer->calibrating || tracer->counts.targets == 0 ||
        (state->flags & (HP_CODE_TARGET | HP_CODE_ARMED | HP_CODE_DROPPED | HP_CODE_ASKED)))
        return false;
    state->flags |= HP_CODE_ASKED;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    const hp_code_state *from = replaced_target(tracer, code);
    bool taken = from != NULL && take_over(tracer, code, from);
    PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    return taken;
}

/* NULL: none, or none any more. */
static PyCodeObject *replacement_of(const hp_tracer *tracer, const PyCodeObject *code) {
    for (uint32_t i = 0; i <= tracer->states.mask; i++) {
        const hp_code_state *state = &tracer->states.states[i];
        if (state->replaces == (uintptr_t)code && (state->flags & HP_CODE_TARGET) && is_alive(tracer, state))
            return (PyCodeObject *)state->address;
    }
    return NULL;
}

int hp_tracer_remove_replacements(hp_tracer *tracer, const PyCodeObject *code) {
    int status = 0;
    for (PyCodeObject *each; tracer->replacements > 0 && status == 0 && (each = replacement_of(tracer, code)) != NULL;)
        status = hp_tracer_remove_target(tracer, each);
    return status;
}
