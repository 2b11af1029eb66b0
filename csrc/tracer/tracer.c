/* SPDX-License-Identifier: MIT */
/* The tracer as others see it: targets, warnings, life and death. */
#include <stdlib.h>
#include <string.h>

#include "frame/frame.h"
#include "tracer/calibrate.h"
#include "tracer/recorder.h"

enum { HP_MOST_NODES = 4000000 };

/* A static: gates of all threads, which outlive tracers, are compared with it. Guarded by: GIL. */
static uint64_t last_id;

int hp_tracer_no_memory(void) {
    PyErr_SetString(PyExc_MemoryError, "not enough memory to trace calls");
    return -1;
}

void hp_tracer_warn(hp_tracer *tracer, const char *sentence) {
    for (uint32_t i = 0; i < tracer->warning_count; i++)
        if (tracer->warnings[i] == sentence)
            return;
    if (tracer->warning_count < sizeof tracer->warnings / sizeof *tracer->warnings)
        tracer->warnings[tracer->warning_count++] = sentence;
}

const char *hp_tracer_warning(const hp_tracer *tracer, uint32_t index) {
    return index < tracer->warning_count ? tracer->warnings[index] : NULL;
}

/* --- functions ---------------------------------------------------------------------------------------------------------------------- */

/* The module is known from the globals only, and those are at hand only while the function runs. */
static void name_module(hp_tracer *tracer, uint32_t slot, const PyCodeObject *code, hp_python_frame *frame) {
    PyThreadState *thread = PyThreadState_Get();
    if (frame == NULL || frame != hp_frame_current(thread) || hp_frame_code(frame) != code)
        return;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *globals = PyEval_GetGlobals(); /* borrowed */
    PyObject *name = globals != NULL && PyDict_CheckExact(globals) ? PyDict_GetItemString(globals, "__name__") : NULL;
    char *text = name != NULL && PyUnicode_CheckExact(name) ? hp_code_text(name) : NULL;
    if (text != NULL)
        hp_code_table_describe(tracer->code, slot, &(hp_code_info){.kind = HP_CODE_PYTHON, .module = text});
    free(text);
    PyErr_Restore(type, value, traceback);
}

hp_code_state *hp_tracer_state(hp_tracer *tracer, PyCodeObject *code, hp_python_frame *frame) {
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state != NULL && !(state->flags & HP_CODE_DESCRIBED)) {
        state->flags |= HP_CODE_DESCRIBED;
        /* In full: a slot that is known by its module only would pass for described. */
        if (!tracer->calibrating && hp_code_describe(tracer->code, state->slot, code) == HP_OK)
            name_module(tracer, state->slot, code, frame);
    }
    return state;
}

/* What was let go before and has been missed since stays late, however often it is let go again. */
static void note_missed(const hp_tracer *tracer, hp_code_state *state) {
    if ((state->flags & HP_CODE_LET_GO) && hp_discovery_missed(&tracer->discovery, state->let_go_at))
        state->flags |= HP_CODE_LATE;
}

static bool any_extent(const hp_tracer *tracer) {
    for (const hp_recorder *recorder = tracer->recorders; recorder != NULL; recorder = recorder->next)
        if (recorder->gate == HP_GATE_OPEN)
            return true;
    return false;
}

bool hp_tracer_is_idle(const hp_tracer *tracer) {
    return tracer->generator_targets == 0 && tracer->suspended_count == 0 && !any_extent(tracer);
}

/* A call that runs already, or is suspended, may be what misses it. */
void hp_tracer_let_go(hp_tracer *tracer, hp_code_state *state) {
    note_missed(tracer, state);
    state->flags |= HP_CODE_LET_GO | (tracer->discovery.extents > 0 && !hp_tracer_is_idle(tracer) ? HP_CODE_LATE : 0u);
    state->let_go_at = hp_discovery_let_go(&tracer->discovery);
}

void hp_tracer_found(hp_tracer *tracer, PyCodeObject *code, hp_python_frame *frame) {
    hp_code_state *state = hp_tracer_state(tracer, code, frame);
    if (state == NULL || (state->flags & (HP_CODE_ARMED | HP_CODE_DROPPED)))
        return;
    note_missed(tracer, state);
    state->flags &= ~(uint32_t)HP_CODE_LET_GO;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (tracer->hook->arm(tracer, code) < 0)
        PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    tracer->discovery.found++;
    tracer->counts.learned++;
    tracer->budget.units += HP_UNITS_FOUND;
    tracer->budget.meeting += HP_UNITS_FOUND;
}

/* --- targets ------------------------------------------------------------------------------------------------------------------------ */

/* Whether some thread has an activation of this function on its stack. Others' stacks stand still: the GIL is held. */
static bool is_active(const hp_tracer *tracer, const PyCodeObject *code) {
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    if (PyInterpreterState_GetID(interpreter) != tracer->interpreter_id)
        return true;
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(interpreter); thread != NULL; thread = PyThreadState_Next(thread))
        for (hp_python_frame *frame = hp_frame_current(thread); frame != NULL; frame = hp_frame_previous(frame))
            if (hp_frame_code(frame) == code)
                return true;
    return false;
}

/* Where a wrapper is needed, calls that go round it are not traced. */
static bool will_be_whole(const hp_tracer *tracer, PyCodeObject *code, double rate) {
    bool never_seen = !tracer->session_began || !hp_code_table_met(tracer->code, (uintptr_t)code, HP_CODE_PYTHON);
    return rate >= 1.0 && never_seen && !hp_tracer_needs_wrapper(tracer, code) && !is_active(tracer, code);
}

void hp_tracer_session_began(hp_tracer *tracer) {
    tracer->session_began = true;
}

static void refresh(hp_tracer *tracer) {
    int64_t now = hp_now_ns();
    if (tracer->refreshed_at_ns != 0 && now - tracer->refreshed_at_ns < tracer->hook->refresh_every_ns)
        return;
    tracer->refreshed_at_ns = now;
    tracer->hook->refresh(tracer);
}

int hp_tracer_arm(hp_tracer *tracer, PyCodeObject *code) {
    if (tracer->hook->arm(tracer, code) == 0)
        return 0;
    PyErr_Clear();
    tracer->hook->refresh(tracer);
    return tracer->hook->arm(tracer, code);
}

int hp_tracer_add_target(hp_tracer *tracer, PyCodeObject *code, double rate) {
    bool whole = will_be_whole(tracer, code, rate);
    if (hp_tracer_calibrate(tracer) < 0)
        return -1;
    refresh(tracer);
    if (hp_tracer_arm(tracer, code) < 0)
        return -1;
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state == NULL)
        return hp_tracer_no_memory();
    bool is_new = (state->flags & HP_CODE_TARGET) == 0;
    tracer->counts.targets += is_new;
    tracer->generator_targets += is_new && hp_code_runs_in_pieces(code);
    state->flags &= ~(uint32_t)(HP_CODE_LET_GO | HP_CODE_DROPPED);
    if (whole && !(state->flags & HP_CODE_TARGET))
        state->flags |= HP_CODE_WHOLE;
    else if (rate < 1.0)
        state->flags &= ~(uint32_t)HP_CODE_WHOLE;
    state->flags |= HP_CODE_TARGET;
    state->threshold = rate >= 1.0 ? (uint64_t)1 << 32 : (uint64_t)(rate * 4294967296.0);
    return tracer->hook->cover != NULL ? tracer->hook->cover(tracer, false) : 0;
}

int hp_tracer_remove_target(hp_tracer *tracer, PyCodeObject *code) {
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state == NULL)
        return hp_tracer_no_memory();
    if (!(state->flags & HP_CODE_TARGET))
        return 0;
    state->flags &= ~(uint32_t)(HP_CODE_TARGET | HP_CODE_WHOLE);
    tracer->counts.targets--;
    tracer->generator_targets -= hp_code_runs_in_pieces(code);
    if (!tracer->everything)
        (void)hp_extents_end_of(tracer, code);
    if (hp_tracer_remove_replacements(tracer, code) < 0)
        return -1;
    /* Where everything is traced by function these are its events for that too, and nobody would meet it again. */
    if (tracer->by_function && (tracer->everything || tracer->budget.paused))
        return 0;
    int status = tracer->hook->disarm(tracer, code);
    hp_tracer_forget_beneath(tracer);
    return status;
}

static const char no_budget_for_everything[] =
    "not everything is traced: within a budget that takes hook=\"monitoring\", by which single functions can be spared; sampling goes on";
static const char no_ids_for_everything[] = "not everything is traced: within a budget that takes two of the monitoring tool ids 3, 4 and "
                                            "5, and other tools hold them; sampling goes on";

int hp_tracer_trace_everything(hp_tracer *tracer, bool on) {
    if (on == (tracer->everything || tracer->budget.paused))
        return 0;
    if (on && tracer->budget.share > 0 && tracer->hook->drop == NULL) {
        hp_tracer_warn(tracer, tracer->ids_taken ? no_ids_for_everything : no_budget_for_everything);
        return 0;
    }
    if (hp_tracer_calibrate(tracer) < 0)
        return -1;
    tracer->hook->refresh(tracer);
    tracer->by_function = on && tracer->budget.share > 0;
    if (tracer->hook->everything(tracer, on) < 0)
        return -1;
    if (on && tracer->by_function)
        tracer->hook->meet_again(tracer);
    tracer->everything = on;
    tracer->budget.paused = false;
    /* What was open so far has no entries for the frames above it (on), or is beneath no target any more (off). */
    hp_extents_end(tracer);
    return 0;
}

/* --- life ----------------------------------------------------------------------------------------------------------------------------- */

static const hp_hook *choose(hp_hook_kind kind) {
    for (unsigned i = 0; hp_hook_offered(i) != NULL; i++)
        if (kind == HP_HOOK_AUTO || hp_hook_offered(i)->kind == kind)
            return hp_hook_offered(i);
    return NULL;
}

static int open_hook(hp_tracer *tracer, hp_hook_kind kind) {
    const hp_hook *hook = choose(kind);
    if (hook == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "hook=\"monitoring\" needs Python 3.12 or later; this one offers hook=\"setprofile\"");
        return -1;
    }
    tracer->hook = hook;
    if (hook->open(tracer) == 0)
        return 0;
    tracer->hook = NULL;
    if (kind != HP_HOOK_AUTO || hook == &hp_hook_setprofile || !PyErr_ExceptionMatches(PyExc_RuntimeError))
        return -1;
    PyErr_Clear();
    tracer->ids_taken = true;
    hp_tracer_warn(
        tracer,
        "tracing through setprofile, which is slower: two of the monitoring tool ids 3, 4 and 5 are needed and other tools hold them");
    if (hp_hook_setprofile.open(tracer) < 0)
        return -1;
    tracer->hook = &hp_hook_setprofile;
    return 0;
}

/* Records of all threads go, and the gates of all threads are of the past. */
static void forget_records(hp_tracer *tracer) {
    hp_recorders_forget(tracer);
    tracer->id = ++last_id;
}

int hp_tracer_start_anew(hp_tracer *tracer) {
    hp_tree anew;
    if (hp_tree_init(&anew, HP_MOST_NODES, 0) != HP_OK)
        return hp_tracer_no_memory();
    forget_records(tracer);
    hp_tree_fini(&tracer->tree);
    tracer->tree = anew;
    hp_code_states_forget_nodes(&tracer->states);
    tracer->counts = (hp_tracer_counts){.targets = tracer->counts.targets};
    return 0;
}

hp_tracer *hp_tracer_new(const hp_tracer_options *options, hp_code_table *code, hp_threads *threads) {
    hp_tracer *tracer = PyMem_RawCalloc(1, sizeof *tracer);
    if (tracer == NULL) {
        (void)hp_tracer_no_memory();
        return NULL;
    }
    hp_clock_init();
    *tracer = (hp_tracer){.id = ++last_id, .code = code, .threads = threads, .c_calls = options->c_calls};
    tracer->interpreter_id = PyInterpreterState_GetID(PyInterpreterState_Get());
    tracer->random = options->seed != 0 ? options->seed : hp_ticks() ^ (uint64_t)(uintptr_t)tracer;
    hp_discovery_init(&tracer->discovery);
    hp_budget_init(&tracer->budget, options->budget, options->event_limit);
    if (hp_code_states_init(&tracer->states, code) != HP_OK || hp_tree_init(&tracer->tree, HP_MOST_NODES, 0) != HP_OK) {
        (void)hp_tracer_no_memory();
        hp_tracer_free(tracer);
        return NULL;
    }
    if (open_hook(tracer, options->hook) < 0) {
        hp_tracer_free(tracer);
        return NULL;
    }
    tracer->budget.gated_units = tracer->hook->drop != NULL || tracer->hook->pause != NULL ? HP_UNITS_GATED : 0;
    return tracer;
}

static void dispose(hp_tracer *tracer) {
    hp_extents_end(tracer);
    forget_records(tracer);
    hp_code_states_fini(&tracer->states);
    hp_tree_fini(&tracer->tree);
    free(tracer->suspended);
    hp_choices_fini(&tracer->choices);
    PyMem_RawFree(tracer->hook_data);
    PyMem_RawFree(tracer);
}

void hp_tracer_hold(hp_tracer *tracer) {
    tracer->holders++;
}

bool hp_tracer_release(hp_tracer *tracer) {
    bool goes_on = !tracer->ended;
    if (--tracer->holders == 0 && !goes_on)
        dispose(tracer);
    return goes_on;
}

/* Closing the hook runs Python too: whoever is let go meanwhile by the other holders does not dispose of what is still being closed. */
void hp_tracer_free(hp_tracer *tracer) {
    hp_tracer_hold(tracer);
    tracer->ended = true;
    if (tracer->hook != NULL)
        tracer->hook->close(tracer);
    hp_calibration_free(tracer);
    (void)hp_tracer_release(tracer);
}

void hp_tracer_after_fork_child(hp_tracer *tracer) {
    if (hp_tracer_start_anew(tracer) < 0)
        PyErr_Clear(); /* the parent's records stay, in a session that the child is about to drop: no reason to end the program */
    tracer->hook->refresh(tracer);
}

static uint64_t recorder_bytes(const hp_recorder *recorder) {
    uint64_t entries = recorder->stack.capacity;
    for (uint32_t i = 0; i < recorder->parked_count; i++)
        entries += recorder->parked[i].capacity;
    return sizeof *recorder + entries * sizeof(hp_entry) + recorder->parked_count * sizeof(hp_shadow) +
           recorder->skip_capacity * sizeof(hp_skip) + recorder->left_out_capacity * sizeof(hp_left_out) +
           ((uint64_t)recorder->scratch.capacity + recorder->context.capacity) * sizeof(hp_link);
}

static uint64_t memory_bytes(const hp_tracer *tracer) {
    const hp_code_states *states = &tracer->states;
    uint64_t bytes = sizeof *tracer + tracer->tree.capacity * sizeof(hp_node) + ((uint64_t)tracer->tree.index_mask + 1) * sizeof(uint32_t);
    bytes += ((uint64_t)states->mask + 1) * sizeof(hp_code_state) + states->late_count * sizeof(uint32_t);
    bytes +=
        tracer->suspended_capacity * sizeof(hp_suspended) + (tracer->choices.places ? tracer->choices.mask + 1ull : 0) * sizeof(hp_choice);
    for (const hp_recorder *recorder = tracer->recorders; recorder != NULL; recorder = recorder->next)
        bytes += recorder_bytes(recorder);
    return bytes;
}

hp_tracer_counts hp_tracer_counts_now(const hp_tracer *tracer) {
    hp_tracer_counts counts = tracer->counts;
    counts.calls = 0;
    counts.memory_bytes = memory_bytes(tracer);
    for (const hp_recorder *recorder = tracer->recorders; recorder != NULL; recorder = recorder->next)
        counts.events += recorder->events;
    for (uint32_t i = 0; i < tracer->tree.count; i++)
        counts.calls += tracer->tree.nodes[i].calls;
    return counts;
}

hp_tracer_costs hp_tracer_costs_now(const hp_tracer *tracer) {
    hp_tracer_costs costs = {.events = tracer->counts.events,
                             .gated = tracer->counts.gated,
                             .units = hp_budget_units(tracer),
                             .unit_ns = hp_budget_unit_ns(tracer)};
    for (const hp_recorder *recorder = tracer->recorders; recorder != NULL; recorder = recorder->next)
        costs.events += recorder->events;
    const hp_tree *tree = &tracer->tree;
    costs.bytes = tree->capacity * sizeof *tree->nodes + (tree->index == NULL ? 0 : (tree->index_mask + 1ull) * sizeof *tree->index) +
                  (tracer->states.mask + 1ull) * sizeof *tracer->states.states;
    return costs;
}

const char *hp_tracer_hook_name(const hp_tracer *tracer) {
    return tracer->hook->name;
}

bool hp_tracer_needs_wrapper(const hp_tracer *tracer, PyCodeObject *code) {
    return tracer->hook->needs_wrapper(tracer, code);
}

static bool is_target(hp_tracer *tracer, PyObject *function) {
    if (!PyFunction_Check(function))
        return false;
    PyCodeObject *code = (PyCodeObject *)PyFunction_GET_CODE(function);
    const hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state == NULL || !(state->flags & HP_CODE_TARGET))
        return state != NULL && hp_tracer_take_over(tracer, code);
    return true;
}

/* The function may stop the session it is traced by: after the call the tracer may be gone. */
PyObject *hp_tracer_call(hp_tracer *tracer, PyObject *function, PyObject *const *arguments, size_t count_and_flags, PyObject *keywords) {
    const hp_hook *hook = tracer->hook;
    hp_entered entered = {0};
    if (hook->enter != NULL && is_target(tracer, function))
        entered = hook->enter(tracer, (PyCodeObject *)PyFunction_GET_CODE(function));
    PyObject *result = PyObject_Vectorcall(function, arguments, count_and_flags, keywords);
    if (entered.handle != NULL)
        hook->leave(entered);
    return result;
}
