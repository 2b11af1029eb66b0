/* SPDX-License-Identifier: MIT */
/* Blocks, and the suspended frames that hold them. */
#include <stdlib.h>
#include <string.h>

#include "tracer/calibrate.h"
#include "tracer/hook_handle.h"
#include "tracer/recorder.h"

static bool remember(hp_tracer *tracer, hp_suspended suspended) {
    if (tracer->suspended_count == tracer->suspended_capacity) {
        uint32_t capacity = tracer->suspended_capacity ? tracer->suspended_capacity * 2 : 16;
        hp_suspended *bigger = realloc(tracer->suspended, capacity * sizeof *bigger);
        if (bigger == NULL)
            return false;
        tracer->suspended = bigger;
        tracer->suspended_capacity = capacity;
    }
    tracer->suspended[tracer->suspended_count++] = suspended;
    return true;
}

bool hp_suspended_holds_block(const hp_tracer *tracer, const hp_python_frame *frame, const PyCodeObject *code) {
    for (uint32_t i = tracer->suspended_count; i-- > 0;)
        if (tracer->suspended[i].frame == frame && tracer->suspended[i].code == code)
            return true;
    return false;
}

static bool holds_in_pieces(hp_tracer *tracer, const hp_shadow *stack) {
    uint64_t epoch = hp_code_table_epoch(tracer->code);
    for (uint32_t i = 0; i < stack->depth; i++) {
        const hp_entry *entry = &stack->entries[i];
        const hp_code_state *host =
            entry->kind == HP_ENTRY_BLOCK ? hp_code_states_find(&tracer->states, (uintptr_t)entry->code, epoch) : NULL;
        if (host != NULL && (host->flags & HP_CODE_IN_PIECES))
            return true;
    }
    return false;
}

bool hp_blocks_in_pieces(hp_tracer *tracer) {
    bool any = tracer->suspended_count > 0;
    for (const hp_recorder *recorder = tracer->recorders; recorder != NULL && !any; recorder = recorder->next) {
        any = holds_in_pieces(tracer, &recorder->stack);
        for (uint32_t i = 0; i < recorder->parked_count && !any; i++)
            any = holds_in_pieces(tracer, &recorder->parked[i]);
    }
    return any;
}

static void remove_at(hp_tracer *tracer, uint32_t index) {
    tracer->suspended_count--;
    memmove(&tracer->suspended[index], &tracer->suspended[index + 1], (tracer->suspended_count - index) * sizeof *tracer->suspended);
}

void hp_suspended_forget(hp_tracer *tracer, const hp_python_frame *frame) {
    hp_choices_forget(&tracer->choices, frame);
    for (uint32_t i = tracer->suspended_count; i-- > 0;)
        if (tracer->suspended[i].frame == frame)
            remove_at(tracer, i);
}

static void set_holds_block(hp_tracer *tracer, PyCodeObject *code, bool holds) {
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state != NULL)
        state->flags = holds ? state->flags | HP_CODE_HOLDS_BLOCK : state->flags & ~(uint32_t)HP_CODE_HOLDS_BLOCK;
}

void hp_blocks_suspend(hp_tracer *tracer, const hp_shadow *stack, hp_python_frame *frame, uint32_t from) {
    for (uint32_t i = from; i < stack->depth; i++) {
        const hp_entry *entry = &stack->entries[i];
        if (entry->kind != HP_ENTRY_BLOCK || entry->frame != frame)
            continue;
        uint32_t slot = tracer->tree.nodes[entry->node].function;
        if (remember(tracer, (hp_suspended){.frame = frame, .code = entry->code, .token = entry->detail, .slot = slot}))
            set_holds_block(tracer, entry->code, true);
    }
}

static bool enter_block(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *frame, PyCodeObject *code, uint32_t slot,
                        uintptr_t token, bool is_call) {
    if (recorder->stack.depth == 0 || !hp_shadow_reserve(&recorder->stack))
        return false;
    hp_code_state state = {.slot = slot, .flags = HP_CODE_ARMED};
    hp_shadow_enter(tracer, recorder, &state, (hp_entry){.frame = frame, .code = code, .detail = token, .kind = HP_ENTRY_BLOCK}, is_call);
    return true;
}

void hp_blocks_resume(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *frame, PyCodeObject *code) {
    bool others = false;
    for (uint32_t i = 0; i < tracer->suspended_count;) {
        hp_suspended suspended = tracer->suspended[i];
        if (suspended.code != code || suspended.frame != frame) {
            others = others || suspended.code == code;
            i++;
            continue;
        }
        remove_at(tracer, i);
        enter_block(tracer, recorder, frame, code, suspended.slot, suspended.token, false);
    }
    set_holds_block(tracer, code, others);
}

static bool is_ours(PyFrameObject *object) {
    PyObject *globals = PyFrame_GetGlobals(object);
    PyObject *name = PyDict_GetItemString(globals, "__name__"); /* borrowed */
    const char *text = name != NULL && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
    if (text == NULL)
        PyErr_Clear();
    bool ours = text != NULL && strncmp(text, "hybridprof.", strlen("hybridprof.")) == 0;
    Py_DECREF(globals);
    return ours;
}

/* The frame that opens the block: the `__enter__` of a context manager in our own package is not the user's. */
static hp_python_frame *host_frame(PyThreadState *thread) {
    hp_python_frame *frame = hp_frame_current(thread);
    PyFrameObject *object = PyThreadState_GetFrame(thread);
    while (object != NULL && is_ours(object)) {
        Py_SETREF(object, PyFrame_GetBack(object));
        frame = hp_frame_previous(frame);
    }
    frame = object != NULL ? frame : NULL;
    Py_XDECREF(object);
    return frame;
}

/* Closing the block, or making its host the top, cuts off our own frames in between: they are not calls whose end was missed. */
static void forgive_ours(hp_shadow *stack, PyThreadState *thread) {
    hp_python_frame *frame = hp_frame_current(thread);
    PyFrameObject *object = PyThreadState_GetFrame(thread);
    while (object != NULL && frame != NULL && is_ours(object)) {
        uint32_t at = hp_shadow_find(stack, frame, hp_frame_code(frame));
        if (at < stack->depth && stack->entries[at].kind == HP_ENTRY_CALL)
            stack->entries[at].kind = HP_ENTRY_CONTEXT;
        Py_SETREF(object, PyFrame_GetBack(object));
        frame = hp_frame_previous(frame);
    }
    Py_XDECREF(object);
}

/* Where stacks are aside, other greenlets may have blocks open. */
void hp_block_hook_leave(hp_tracer *tracer, hp_recorder *recorder) {
    hp_entered entered = recorder->block_hook;
    if (entered.handle == NULL || recorder->parked_count > 0)
        return;
    recorder->block_hook = (hp_entered){0};
    tracer->hook->leave(entered);
}

/* Where marking is not enough (3.11) the thread's own hook is on for as long as a block is open. */
static void block_hook_enter(hp_tracer *tracer, hp_recorder *recorder) {
    if (tracer->hook->enter == NULL || recorder->block_hook.handle != NULL)
        return;
    hp_entered entered = tracer->hook->enter(tracer, NULL);
    recorder->block_hook = entered;
}

/* Makes the host's frame the top of the stack, beginning an extent if it is beneath nothing. */
static bool reach_host(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *host, PyCodeObject *code) {
    if (hp_shadow_resolve(tracer, recorder, host, HP_ENTRY_CONTEXT))
        return true;
    hp_code_state *state = hp_tracer_state(tracer, code, host);
    hp_extent_park(tracer, recorder);
    if (state == NULL)
        return false;
    if (tracer->everything)
        hp_extent_begin_everything(tracer, recorder, host);
    else
        hp_extent_begin(tracer, recorder, hp_frame_previous(host), 0, &(hp_code_state){.slot = state->slot},
                        (hp_entry){.frame = host, .code = code, .kind = HP_ENTRY_CONTEXT}, false);
    return recorder->stack.depth > 0;
}

static long begin_block(hp_tracer *tracer, PyThreadState *thread, hp_python_frame *host, const char *name) {
    PyCodeObject *code = hp_frame_code(host);
    if (hp_tracer_calibrate(tracer) < 0)
        return tracer->ended ? (PyErr_Clear(), 0) : -1;
    if (hp_tracer_arm(tracer, code) < 0)
        return -1;
    if (!tracer->ended && tracer->hook->cover != NULL && hp_code_runs_in_pieces(code) && tracer->hook->cover(tracer, true) < 0)
        return -1;
    if (tracer->ended)
        return 0;
    hp_recorder *recorder = hp_recorder_here(tracer, thread);
    uint32_t slot = hp_code_table_named(tracer->code, HP_CODE_BLOCK, name);
    if (recorder == NULL || slot == HP_NO_SLOT)
        return hp_tracer_no_memory();
    block_hook_enter(tracer, recorder);
    if (tracer->ended)
        return 0;
    tracer->hook->learn(tracer);
    forgive_ours(&recorder->stack, thread);
    uintptr_t token = ++tracer->last_token;
    if (!reach_host(tracer, recorder, host, code) || !enter_block(tracer, recorder, host, code, slot, token, true))
        return hp_tracer_no_memory();
    return (long)token;
}

/* What begins may call Python more than once, and the session may end in it: then there is no block. */
long hp_tracer_enter_block(hp_tracer *tracer, const char *name) {
    PyThreadState *thread = PyThreadState_Get();
    hp_python_frame *host = host_frame(thread);
    if (host == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "a block needs a Python frame to be opened in, and this thread has none");
        return -1;
    }
    hp_tracer_hold(tracer);
    long token = begin_block(tracer, thread, host, name);
    return hp_tracer_release(tracer) || token < 0 ? token : 0;
}

static int leave_at(hp_tracer *tracer, hp_recorder *recorder, PyThreadState *thread, uint32_t at) {
    hp_shadow *stack = &recorder->stack;
    uint64_t now = hp_ticks();
    /* The host's own entry is at the bottom only because the block began there. */
    bool last =
        at == 1 && stack->entries[0].kind == HP_ENTRY_CONTEXT && stack->entries[0].frame == stack->entries[1].frame && !tracer->everything;
    forgive_ours(stack, thread);
    hp_shadow_close_to(tracer, recorder, last ? 0 : at, now);
    if (stack->depth == 0) {
        hp_extent_end(recorder);
        hp_block_hook_leave(tracer, recorder);
    }
    return 0;
}

static int leave_block(hp_tracer *tracer, PyThreadState *thread, uintptr_t token) {
    for (uint32_t i = tracer->suspended_count; i-- > 0;)
        if (tracer->suspended[i].token == token)
            remove_at(tracer, i);
    if (!hp_gate_open(tracer, thread)) {
        /* The budget may have ended the extent that the hook was switched on for. */
        if (hp_gate_here.tracer_id == tracer->id && hp_gate_here.state_id == thread->id)
            hp_block_hook_leave(tracer, hp_gate_here.recorder);
        return 0;
    }
    hp_recorder *recorder = hp_gate_here.recorder;
    for (uint32_t i = recorder->stack.depth; i-- > 0;)
        if (recorder->stack.entries[i].kind == HP_ENTRY_BLOCK && recorder->stack.entries[i].detail == token)
            return leave_at(tracer, recorder, thread, i);
    return 0;
}

int hp_tracer_leave_block(hp_tracer *tracer, long token) {
    PyThreadState *thread = PyThreadState_Get();
    bool known = hp_gate_here.tracer_id == tracer->id && hp_gate_here.state_id == thread->id;
    PyObject *handle = known ? Py_XNewRef(hp_gate_here.recorder->block_hook.handle) : NULL;
    int status = token > 0 ? leave_block(tracer, thread, (uintptr_t)token) : 0;
    /* Switching the hook runs audit hooks, which may have ended the tracer. */
    bool goes_on = handle == NULL || hp_handle_tracer(handle) == tracer;
    Py_XDECREF(handle);
    return status == 0 && goes_on && tracer->hook->cover != NULL ? tracer->hook->cover(tracer, false) : status;
}
