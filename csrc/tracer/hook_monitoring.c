/* SPDX-License-Identifier: MIT */
/* sys.monitoring (PEP 669), 3.12 and later.
 *
 * Two tool ids. The recorder's carries local events of the functions that are armed, so that the rest of the program runs at full speed;
 * discovery's has one global event, PY_START, and returns DISABLE for each function it has judged. They cannot share an id: DISABLE would
 * also silence the local event at that place, for good. Before 3.15 unwinding and throw() have no local events; their global ones are
 * switched on once, while anything is armed. Nothing global is switched per call: each change makes every code object be instrumented anew,
 * and 3.13.0 allows only 2^24 of them. */
#include "tracer/hook_tool_ids.h"
#include "tracer/recorder.h"

static hp_monitoring *monitoring_of(const hp_tracer *tracer) {
    return tracer->hook_data;
}

/* --- events ------------------------------------------------------------------------------------------------------------------------- */

/* Another tool may get hold of a callback, by registering its own in its place, and call it with anything. */
static bool is_event(PyObject *const *arguments, size_t count, Py_ssize_t at_least) {
    return PyVectorcall_NARGS(count) >= at_least && PyCode_Check(arguments[0]);
}

#define HP_CALLBACK(name, at_least, action)                                                                                                \
    static PyObject *name(PyObject *self, PyObject *const *arguments, size_t count, PyObject *Py_UNUSED(keywords)) {                       \
        hp_tracer *tracer = hp_callback_tracer(self);                                                                                      \
        if (tracer != NULL && is_event(arguments, count, at_least)) {                                                                      \
            PyCodeObject *code = (PyCodeObject *)arguments[0];                                                                             \
            action;                                                                                                                        \
        }                                                                                                                                  \
        Py_RETURN_NONE;                                                                                                                    \
    }

HP_CALLBACK(on_start, 1, hp_record_start(tracer, code, HP_START_CALL))
HP_CALLBACK(on_resume, 1, hp_record_start(tracer, code, HP_START_RESUME))
HP_CALLBACK(on_throw, 1, hp_record_start(tracer, code, HP_START_THROW))
HP_CALLBACK(on_return, 1, hp_record_end(tracer, code, false))
HP_CALLBACK(on_yield, 1, hp_record_end(tracer, code, true))
HP_CALLBACK(on_call, 3, ((void)code, hp_record_c_call(tracer, PyThreadState_Get(), arguments[2])))
HP_CALLBACK(on_c_return, 3, ((void)code, hp_record_c_return(tracer, PyThreadState_Get(), arguments[2])))

/* Where everything is traced by function, all that is met is armed, wherever it runs. */
static bool wants_extent(hp_tracer *tracer, PyThreadState *thread) {
    return hp_gate_open(tracer, thread) || (tracer->everything && tracer->by_function);
}

/* True when the function at hand was taken up: this very call is recorded, as its own events begin only with the next. */
static bool take_up(hp_tracer *tracer, PyThreadState *thread, PyCodeObject *code) {
    if (!wants_extent(tracer, thread))
        return false;
    hp_record_start(tracer, code, HP_START_CALL);
    if (!hp_gate_open(tracer, thread))
        return false;
    const hp_shadow *stack = &hp_gate_here.recorder->stack;
    if (stack->depth == 0 || stack->entries[stack->depth - 1].frame != hp_frame_current(thread))
        return false;
    hp_tracer_found(tracer, code, hp_frame_current(thread));
    return true;
}

static bool stays_in_sight(hp_tracer *tracer, PyCodeObject *code) {
    /* A coroutine's call may be suspended and go on later: then only time closes the window. */
    if (hp_discovery_keeps(&tracer->discovery, hp_now_ns(), hp_tracer_is_idle(tracer)))
        return true;
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state != NULL)
        hp_tracer_let_go(tracer, state);
    return false;
}

static bool carries_events(hp_monitoring *m, PyCodeObject *code) {
    PyObject *events = PyObject_CallMethod(m->module, "get_local_events", "iO", m->ids[HP_RECORDER], code);
    bool any = events != NULL && PyLong_AsLong(events) > 0;
    Py_XDECREF(events);
    PyErr_Clear();
    return any;
}

/* It is met for the first time and carries the recorder's events, though nobody armed it: they were copied with the code that it was made
 * from. They come next, so this call is not recorded here too; unless the
 * recorder's id is the higher one, whose events come first: then they met no target yet. */
static void ask_for_copy(hp_tracer *tracer, PyCodeObject *code, hp_code_state *state) {
    if (state->flags & HP_CODE_ASKED)
        return;
    if (!carries_events(monitoring_of(tracer), code)) {
        state->flags |= HP_CODE_ASKED;
        return;
    }
    if (!hp_tracer_take_over(tracer, code))
        hp_tracer_found(tracer, code, NULL);
    else if (monitoring_of(tracer)->ids[HP_RECORDER] > monitoring_of(tracer)->ids[HP_DISCOVERY])
        hp_record_start(tracer, code, HP_START_CALL);
}

static PyObject *on_discovery(PyObject *self, PyObject *const *arguments, size_t count, PyObject *Py_UNUSED(keywords)) {
    hp_tracer *tracer = hp_callback_tracer(self);
    if (tracer == NULL || !is_event(arguments, count, 1))
        Py_RETURN_NONE;
    PyCodeObject *code = (PyCodeObject *)arguments[0];
    PyThreadState *thread = PyThreadState_Get();
    if (hp_budget_pause_is_due(&tracer->budget))
        hp_budget_look(tracer);
    if (tracer->wants_rest && hp_tracer_rest(tracer))
        Py_RETURN_NONE;
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state != NULL && (state->flags & HP_CODE_PROBE))
        return Py_NewRef(monitoring_of(tracer)->disable);
    if (state != NULL && !(state->flags & (HP_CODE_ARMED | HP_CODE_DROPPED))) {
        ask_for_copy(tracer, code, state);
        state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    }
    bool armed = state != NULL && (state->flags & (HP_CODE_ARMED | HP_CODE_DROPPED));
    if (!armed && (!tracer->everything || tracer->by_function) && !take_up(tracer, thread, code) && stays_in_sight(tracer, code))
        Py_RETURN_NONE;
    return Py_NewRef(monitoring_of(tracer)->disable);
}

/* --- talking to sys.monitoring ---------------------------------------------------------------------------------------------------------
 */

const hp_event_callback hp_event_callbacks[] = {
    {"PY_START", HP_RECORDER, on_start},
    {"PY_RESUME", HP_RECORDER, on_resume},
    {"PY_THROW", HP_RECORDER, on_throw},
    {"PY_RETURN", HP_RECORDER, on_return},
    {"PY_UNWIND", HP_RECORDER, on_return},
    {"PY_YIELD", HP_RECORDER, on_yield},
    {"CALL", HP_RECORDER, on_call},
    {"C_RETURN", HP_RECORDER, on_c_return},
    {"C_RAISE", HP_RECORDER, on_c_return},
    {"PY_START", HP_DISCOVERY, on_discovery},
    {NULL, HP_RECORDER, NULL},
};

static int set_local(hp_monitoring *m, PyCodeObject *code, PyObject *events) {
    if (m->ids[HP_RECORDER] < 0)
        return 0; /* lost: once it is taken again all that is armed gets its events */
    PyObject *arguments[] = {m->recorder_id, (PyObject *)code, events};
    PyObject *result = PyObject_Vectorcall(m->set_local_events, arguments, 3, NULL);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* --- the hook ------------------------------------------------------------------------------------------------------------------------ */

/* An id that was lost gets its events when it is taken again. */
static int set_global(hp_monitoring *m, int tool, long events) {
    return m->ids[tool] < 0 ? 0 : hp_monitoring_call(m, "set_events", "ll", m->ids[tool], events);
}

static int set_globals(hp_monitoring *m, bool everything, bool armed) {
    long recorder = everything ? m->local_set | m->global_set : armed ? m->global_set : 0;
    m->global_on = armed;
    if (set_global(m, HP_RECORDER, recorder) < 0)
        return -1;
    return set_global(m, HP_DISCOVERY, armed ? hp_event_number(m, "PY_START") : 0);
}

static int arm(hp_tracer *tracer, PyCodeObject *code) {
    hp_monitoring *m = monitoring_of(tracer);
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state == NULL)
        return hp_tracer_no_memory();
    if (state->flags & HP_CODE_ARMED)
        return 0;
    if ((!m->global_on && set_globals(m, tracer->everything && !tracer->by_function, true) < 0) || set_local(m, code, m->local_events) < 0)
        return -1;
    state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state != NULL)
        state->flags = (state->flags & ~(uint32_t)HP_CODE_DROPPED) | HP_CODE_ARMED;
    return 0;
}

/* Where another tool freed the id they cannot be taken now: that is no error of the program's, but before 3.14 they are still there when
 * the id is ours again. */
static int drop(hp_tracer *tracer, PyCodeObject *code) {
    hp_monitoring *m = monitoring_of(tracer);
    PyObject *none = PyLong_FromLong(0);
    int status = none != NULL ? set_local(m, code, none) : -1;
    Py_XDECREF(none);
    PyErr_Clear();
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state != NULL && (status < 0 || m->ids[HP_RECORDER] < 0))
        state->flags |= HP_CODE_STALE;
    return status;
}

static int disarm(hp_tracer *tracer, PyCodeObject *code) {
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state == NULL)
        return hp_tracer_no_memory();
    /* Beneath other targets it is unknown again: the next call looks for it. Calls that are under way would miss it; for those whoever
     * disarms has it met again at once. */
    state->flags &= ~(uint32_t)HP_CODE_ARMED;
    if (hp_tracer_is_idle(tracer))
        hp_tracer_let_go(tracer, state);
    tracer->discovery.found++;
    (void)drop(tracer, code);
    return 0;
}

static int everything(hp_tracer *tracer, bool on) {
    hp_monitoring *m = monitoring_of(tracer);
    return set_globals(m, on && !tracer->by_function, m->global_on || (on && tracer->by_function));
}

#if PY_VERSION_HEX >= 0x030E0000 && PY_VERSION_HEX < 0x030F0000
/* 3.14 with its JIT on: restart_events() drops executors while it holds the runtime's lock of threads, and each hundredth dropped one takes
 * that lock again: the program hangs (gh-141658; 3.15 is mended). set_events() drops all of them first, by this function; we do as it does.
 * Weak: builds without a JIT have none. */
extern void _Py_Executors_InvalidateAll(PyInterpreterState *, int) __attribute__((weak));
static void drop_executors(void) {
    if (_Py_Executors_InvalidateAll != NULL)
        _Py_Executors_InvalidateAll(PyInterpreterState_Get(), 1);
}
#else
static void drop_executors(void) {}
#endif

static void meet_again(hp_tracer *tracer) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    drop_executors();
    PyObject *result = PyObject_CallMethod(monitoring_of(tracer)->module, "restart_events", NULL);
    Py_XDECREF(result);
    PyErr_Restore(type, value, traceback);
}

static void rest(hp_tracer *tracer) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (monitoring_of(tracer)->global_on)
        (void)set_globals(monitoring_of(tracer), false, false);
    PyErr_Restore(type, value, traceback);
}

static void learn(hp_tracer *tracer) {
    if (!tracer->everything && hp_discovery_begin(&tracer->discovery, hp_now_ns(), tracer->states.used))
        meet_again(tracer);
}

/* Before 3.14 freeing a tool id leaves local events as they are, for the next owner of the id to stumble over; and where that is us, a
 * function that was let go meanwhile would be recorded by them and by discovery as well. */
static void set_all_local(hp_tracer *tracer, PyObject *armed, PyObject *stale) {
    hp_monitoring *m = monitoring_of(tracer);
    for (uint32_t i = 0; i <= tracer->states.mask; i++) {
        const hp_code_state *state = &tracer->states.states[i];
        PyObject *events = state->flags & HP_CODE_ARMED ? armed : state->flags & HP_CODE_STALE ? stale : NULL;
        if (state->address != 0 && events != NULL && hp_code_table_address(tracer->code, state->slot) == state->address &&
            set_local(m, (PyCodeObject *)state->address, events) < 0)
            PyErr_Clear();
    }
}

static void set_all_armed(hp_tracer *tracer, bool on) {
    PyObject *none = PyLong_FromLong(0);
    if (none != NULL)
        set_all_local(tracer, on ? monitoring_of(tracer)->local_events : none, none);
    Py_XDECREF(none);
    PyErr_Clear();
}

static void note_stale(hp_tracer *tracer) {
    for (uint32_t i = 0; i <= tracer->states.mask; i++)
        if (tracer->states.states[i].flags & HP_CODE_ARMED)
            tracer->states.states[i].flags |= HP_CODE_STALE;
}

static int use_recorder_id(hp_monitoring *m) {
    Py_XSETREF(m->recorder_id, PyLong_FromLong(m->ids[HP_RECORDER]));
    return m->recorder_id != NULL ? 0 : -1;
}

static const char missed[] = "another tool freed the monitoring tool id that tracing used: calls in between were missed";
static const char nothing_traced[] = "another tool took the monitoring tool id that tracing used, and none of 3, 4 and 5 is free: from "
                                     "then on nothing is traced; sampling goes on";
static const char nothing_found[] =
    "another tool took the monitoring tool id by which functions are met: from then on only those are traced "
    "that were met before; sampling goes on";

/* Their ends may have gone by unseen. They end with their last event, as what has happened since is not known, and the time since is the
 * sampler's again. */
static void abandon_all(hp_tracer *tracer) {
    for (hp_recorder *recorder = tracer->recorders; recorder != NULL; recorder = recorder->next) {
        while (recorder->parked_count > 0)
            hp_extent_forget(tracer, recorder, recorder->parked_count - 1);
        hp_extent_abandon(tracer, recorder);
    }
}

/* What was lost together is told in one sentence. */
static void refresh(hp_tracer *tracer) {
    hp_monitoring *m = monitoring_of(tracer);
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    bool recorder_lost, taken;
    if (hp_tool_ids_look_after(m, &recorder_lost, &taken)) {
        tracer->budget.was_cut = true; /* any call may have been missed */
        hp_tracer_warn(tracer, m->ids[HP_RECORDER] < 0 ? nothing_traced : m->ids[HP_DISCOVERY] < 0 ? nothing_found : missed);
        if (recorder_lost) {
            abandon_all(tracer);
            note_stale(tracer);
        }
        if (use_recorder_id(m) == 0 && recorder_lost && m->ids[HP_RECORDER] >= 0)
            set_all_armed(tracer, true);
        (void)set_globals(m, tracer->everything && !tracer->by_function, m->global_on);
        PyErr_Clear();
        /* What was met under the lost id may have gone by unseen since; and where discovery's id became the recorder's, what DISABLE
         * silenced stays silent until then. */
        if (taken && m->global_on && m->ids[HP_RECORDER] >= 0)
            meet_again(tracer);
    }
    PyErr_Clear();
    PyErr_Restore(type, value, traceback);
}

static void close_hook(hp_tracer *tracer) {
    hp_monitoring *m = monitoring_of(tracer);
    if (m == NULL)
        return;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (m->module != NULL) {
        if (hp_tool_id_is_ours(m, HP_RECORDER) == 1) /* else they would be another tool's events */
            set_all_armed(tracer, false);
        hp_tool_id_give_back(m, HP_RECORDER);
        hp_tool_id_give_back(m, HP_DISCOVERY);
    }
    hp_handle_end(m->handle);
    Py_XDECREF((PyObject *)m->callback_type);
    Py_XDECREF(m->local_events);
    Py_XDECREF(m->recorder_id);
    Py_XDECREF(m->set_local_events);
    Py_XDECREF(m->names[HP_RECORDER]);
    Py_XDECREF(m->names[HP_DISCOVERY]);
    Py_XDECREF(m->disable);
    Py_XDECREF(m->module);
    PyMem_RawFree(m);
    tracer->hook_data = NULL;
    PyErr_Restore(type, value, traceback);
}

static int find_events(hp_monitoring *m, bool c_calls) {
    long start = hp_event_number(m, "PY_START"), resume = hp_event_number(m, "PY_RESUME"), back = hp_event_number(m, "PY_RETURN"),
         yield = hp_event_number(m, "PY_YIELD"), unwind = hp_event_number(m, "PY_UNWIND"), thrown = hp_event_number(m, "PY_THROW"),
         call = hp_event_number(m, "CALL");
    if (PyErr_Occurred())
        return -1;
    m->local_set = start | resume | back | yield | (c_calls ? call : 0);
    m->global_set = unwind | thrown;
    m->local_events = PyLong_FromLong(m->local_set);
    m->set_local_events = PyObject_GetAttrString(m->module, "set_local_events");
    m->disable = PyObject_GetAttrString(m->module, "DISABLE");
    return m->local_events != NULL && m->set_local_events != NULL && m->disable != NULL ? 0 : -1;
}

/* From 3.15 on frames that unwind and throw() have local events too: then other code's exceptions cost nothing. Asked of the interpreter.
 */
static int prefer_local(hp_monitoring *m) {
    PyObject *set = PyLong_FromLong(m->local_set | m->global_set), *none = PyLong_FromLong(0);
    PyCodeObject *probe = PyCode_NewEmpty("<hybridprof>", "probe", 1);
    int status = set != NULL && none != NULL && probe != NULL ? 0 : -1;
    if (status == 0 && set_local(m, probe, set) == 0 && set_local(m, probe, none) == 0) {
        m->local_set |= m->global_set;
        m->global_set = 0;
        Py_SETREF(m->local_events, Py_NewRef(set));
    } else if (status == 0 && PyErr_ExceptionMatches(PyExc_ValueError))
        PyErr_Clear();
    Py_XDECREF(probe);
    Py_XDECREF(none);
    Py_XDECREF(set);
    return PyErr_Occurred() ? -1 : status;
}

static PyObject *monitoring_module(void) {
    PyObject *sys = PyImport_ImportModule("sys"), *module = sys != NULL ? PyObject_GetAttrString(sys, "monitoring") : NULL;
    Py_XDECREF(sys);
    return module;
}

static int open_hook(hp_tracer *tracer) {
    hp_monitoring *m = PyMem_RawCalloc(1, sizeof *m);
    if (m == NULL)
        return hp_tracer_no_memory();
    tracer->hook_data = m;
    m->ids[HP_RECORDER] = m->ids[HP_DISCOVERY] = -1;
    m->module = monitoring_module();
    m->handle = hp_handle_new(tracer);
    m->callback_type = hp_callback_type_new();
    m->names[HP_RECORDER] = PyUnicode_FromString("hybridprof");
    m->names[HP_DISCOVERY] = PyUnicode_FromString("hybridprof discovery");
    bool made = m->module != NULL && m->handle != NULL && m->callback_type != NULL && m->names[HP_RECORDER] != NULL &&
                m->names[HP_DISCOVERY] != NULL;
    int taken = made && find_events(m, tracer->c_calls) == 0 ? hp_tool_id_take(m, HP_RECORDER) : -1;
    if (taken == 1)
        taken = hp_tool_id_take(m, HP_DISCOVERY);
    if (taken == 1 && use_recorder_id(m) == 0 && prefer_local(m) == 0)
        return 0;
    if (taken == 0)
        PyErr_SetString(PyExc_RuntimeError, "tracing needs two of the monitoring tool ids 3, 4 and 5, and other tools hold them");
    close_hook(tracer);
    return -1;
}

static bool is_alone(const hp_tracer *tracer) {
    const hp_monitoring *m = monitoring_of(tracer);
    return PyThreadState_Get()->c_profilefunc == NULL && !hp_tool_ids_others_listen(m->names);
}

static bool needs_wrapper(const hp_tracer *Py_UNUSED(tracer), PyCodeObject *Py_UNUSED(code)) {
    return false;
}

const hp_hook hp_hook_monitoring = {
    .name = "monitoring",
    .kind = HP_HOOK_MONITORING,
    .open = open_hook,
    .close = close_hook,
    .arm = arm,
    .disarm = disarm,
    .drop = drop,
    .everything = everything,
    .learn = learn,
    .meet_again = meet_again,
    .rest = rest,
    .refresh = refresh,
    .is_alone = is_alone,
    .refresh_every_ns = 1000000,
    .needs_wrapper = needs_wrapper,
};
