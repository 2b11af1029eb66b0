/* SPDX-License-Identifier: MIT */
/* Calls of targets that are not traced: those that a rate or the budget leaves out, and what is left of those that came to their limit of
 * events. Both are decided once for an outermost call: calls of the same target beneath it are not asked again.
 *
 * Where the hook sees all calls, an activation is known by its frame (hp_skip). Where a wrapper switches the hook on, it is asked first,
 * when there is no frame yet: such a call is known by the frame that it comes from (hp_left_out), and the hook stays off in it, or leaving
 * calls out would cost what tracing them costs. */
#include <stdlib.h>
#include <string.h>

#include "tracer/chance.h"
#include "tracer/recorder.h"

/* --- known by their frames ---------------------------------------------------------------------------------------------------------- */

void hp_recorder_skip(hp_recorder *recorder, hp_python_frame *frame, PyCodeObject *code, bool limited) {
    hp_thread_forget_edge(recorder->thread); /* what it runs from now on is the program's */
    if (recorder->skip_count == recorder->skip_capacity) {
        uint32_t capacity = recorder->skip_capacity ? recorder->skip_capacity * 2 : 8;
        hp_skip *skips = realloc(recorder->skips, capacity * sizeof *skips);
        if (skips == NULL)
            return; /* a recursive call of it may be asked again: harmless */
        recorder->skips = skips;
        recorder->skip_capacity = capacity;
    }
    recorder->skips[recorder->skip_count++] = (hp_skip){frame, code, limited};
    hp_gate_update(recorder);
}

static uint32_t find(const hp_recorder *recorder, const hp_python_frame *frame, const PyCodeObject *code) {
    for (uint32_t i = recorder->skip_count; i-- > 0;)
        if (recorder->skips[i].frame == frame && recorder->skips[i].code == code)
            return i;
    return recorder->skip_count;
}

/* Those above it may be other greenlets', and stay. */
bool hp_recorder_unskip(hp_recorder *recorder, const hp_python_frame *frame, const PyCodeObject *code) {
    uint32_t at = find(recorder, frame, code);
    if (at == recorder->skip_count)
        return false;
    bool limited = recorder->skips[at].limited;
    recorder->skip_count--;
    memmove(&recorder->skips[at], &recorder->skips[at + 1], (recorder->skip_count - at) * sizeof *recorder->skips);
    hp_gate_update(recorder);
    return limited;
}

void hp_recorder_forget_skips(hp_recorder *recorder) {
    recorder->skip_count = 0;
    hp_gate_update(recorder);
}

bool hp_recorder_skipped(const hp_recorder *recorder, const hp_python_frame *frame, const PyCodeObject *code) {
    return find(recorder, frame, code) < recorder->skip_count;
}

/* Only the real chain tells: an activation that stands in another greenlet is not above this one, and of some the end was missed. A
 * recursive call is mostly skipped by its first step. */
bool hp_recorder_skips(const hp_recorder *recorder, hp_python_frame *host, const PyCodeObject *code) {
    if (recorder->skip_count == 0)
        return false;
    for (hp_python_frame *frame = host; frame != NULL; frame = hp_frame_previous(frame))
        if (hp_frame_code(frame) == code && hp_recorder_skipped(recorder, frame, code))
            return true;
    return false;
}

/* --- chance -------------------------------------------------------------------------------------------------------------------------- */

bool hp_target_draw(hp_tracer *tracer, const hp_code_state *state) {
    return hp_chance_draw(&tracer->random, hp_budget_threshold(&tracer->budget, state->threshold));
}

/* --- known by where they come from --------------------------------------------------------------------------------------------------- */

static bool is_known(const hp_recorder *recorder, const hp_python_frame *host, const PyCodeObject *code) {
    for (uint32_t i = recorder->left_out_count; i-- > 0;)
        if (recorder->left_out[i].host == host && recorder->left_out[i].code == code)
            return true;
    return false;
}

/* Only the real chain tells whose greenlet this is. Recursive calls are noted as well, so that the first step of the next one ends here. */
bool hp_left_out_holds(const hp_recorder *recorder, hp_python_frame *host, const PyCodeObject *code) {
    if (recorder->left_out_count == 0)
        return false;
    for (hp_python_frame *frame = host; frame != NULL; frame = hp_frame_previous(frame))
        if (hp_frame_code(frame) == code && is_known(recorder, hp_frame_previous(frame), code))
            return true;
    return false;
}

/* An id in any case: where memory is short a recursive call of it may be asked again, which is harmless. */
static uint64_t note(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *host, PyCodeObject *code) {
    uint64_t id = ++tracer->left_out;
    if (recorder->left_out_count == recorder->left_out_capacity) {
        uint32_t capacity = recorder->left_out_capacity ? recorder->left_out_capacity * 2 : 8;
        hp_left_out *bigger = realloc(recorder->left_out, capacity * sizeof *bigger);
        if (bigger == NULL)
            return id;
        recorder->left_out = bigger;
        recorder->left_out_capacity = capacity;
    }
    recorder->left_out[recorder->left_out_count++] = (hp_left_out){id, host, code};
    return id;
}

/* No event comes of such a call: it has to tell itself that a window of the budget is over. */
static void spend(hp_tracer *tracer, hp_code_state *state) {
    state->units += HP_UNITS_GATED;
    if (hp_budget_spend_at(&tracer->budget, HP_UNITS_GATED, hp_ticks()) && tracer->budget.share > 0)
        hp_budget_look(tracer);
}

uint64_t hp_left_out_begin(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *host, PyCodeObject *code) {
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    recorder->drawn = NULL;
    if (state == NULL || (state->flags & HP_CODE_PROBE))
        return 0;
    if (hp_left_out_holds(recorder, host, code) || hp_recorder_skips(recorder, host, code))
        return note(tracer, recorder, host, code);
    if (hp_target_is_whole(tracer, state))
        return 0;
    if (hp_target_draw(tracer, state)) {
        recorder->drawn = code;
        return 0;
    }
    tracer->counts.skipped++;
    spend(tracer, state);
    return note(tracer, recorder, host, code);
}

void hp_left_out_end(hp_recorder *recorder, uint64_t id) {
    for (uint32_t i = recorder->left_out_count; i-- > 0;)
        if (recorder->left_out[i].id == id) {
            recorder->left_out_count--;
            memmove(&recorder->left_out[i], &recorder->left_out[i + 1], (recorder->left_out_count - i) * sizeof *recorder->left_out);
            return;
        }
}
