/* SPDX-License-Identifier: MIT */
/* A loop of calls is timed bare and traced. The difference is the cost of one activation. The part of it that lies between the two ticks of
 * the callee is found in the callee's own time (its body is empty), the rest falls to the caller. The best of several rounds counts:
 * anything that disturbs only adds.
 *
 * Runs before anything is armed, so no other thread has events; what it records goes to a thread and a tree that are dropped afterwards.
 *
 * It runs bytecode, so a signal handler of the program may run in it, and raise (Ctrl-C). That exception is the program's: calibration
 * ends there, without a result, and the exception is raised again in the program as soon as that goes on. */
#include "tracer/calibrate.h"

#include "tracer/recorder.h"

enum { HP_ROUNDS = 9, HP_CALLS = 400 };

static const char source[] = "def callee():\n"
                             "    pass\n"
                             "def caller(count):\n"
                             "    for _ in range(count):\n"
                             "        callee()\n";

static int raise_again(void *exception) {
    PyErr_SetObject((PyObject *)Py_TYPE((PyObject *)exception), exception);
    Py_DECREF((PyObject *)exception);
    return -1;
}

/* Handlers run in the main thread, and so do pending calls. */
static void raise_later(void) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value != NULL && Py_AddPendingCall(raise_again, value) == 0)
        value = NULL; /* the call's */
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

/* `caller`, called once; its ticks. 0 when it failed, or was interrupted. */
static uint64_t round_ticks(hp_tracer *tracer, PyObject *caller, PyObject *count) {
    uint64_t began = hp_ticks();
    PyObject *result = hp_tracer_call(tracer, caller, &count, 1, NULL);
    uint64_t ticks = hp_ticks() - began;
    if (result == NULL) {
        raise_later();
        return 0;
    }
    Py_DECREF(result);
    return ticks;
}

/* 0 when a round failed. */
static uint64_t best_bare(hp_tracer *tracer, PyObject *caller, PyObject *count) {
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < HP_ROUNDS && best > 0; i++) {
        uint64_t ticks = round_ticks(tracer, caller, count);
        best = ticks < best ? ticks : best;
    }
    return best;
}

typedef struct hp_own_times {
    uint64_t callee, caller;
} hp_own_times;

static hp_own_times own_times(const hp_tracer *tracer, uint32_t caller_slot, uint32_t callee_slot) {
    hp_own_times times = {0, 0};
    for (uint32_t i = 1; i < tracer->tree.count; i++) {
        const hp_node *node = &tracer->tree.nodes[i];
        if (node->parent != 0 && node->calls > 0)
            times.callee += node->function == callee_slot ? node->exact : 0,
                times.caller += node->function == caller_slot ? node->exact : 0;
    }
    return times;
}

/* False when a round failed. */
static bool best_traced(hp_tracer *tracer, PyObject *caller, PyObject *count, const uint32_t *slots, hp_own_times *best) {
    hp_own_times before = own_times(tracer, slots[0], slots[1]);
    *best = (hp_own_times){UINT64_MAX / 4, UINT64_MAX / 4};
    for (int i = 0; i < HP_ROUNDS; i++) {
        if (round_ticks(tracer, caller, count) == 0)
            return false;
        hp_own_times after = own_times(tracer, slots[0], slots[1]);
        hp_own_times own = {after.callee - before.callee, after.caller - before.caller};
        if (own.callee > 0 && own.callee + own.caller < best->callee + best->caller)
            *best = own;
        before = after;
    }
    return true;
}

static const char not_measured[] =
    "what tracing costs could not be measured, because another tool had the thread's profile function when it began: "
    "it is left in the times of traced functions";

static void settle(hp_tracer *tracer, uint64_t bare, hp_own_times traced) {
    if (traced.callee > UINT64_MAX / 8) { /* not one event */
        hp_tracer_warn(tracer, not_measured);
        return;
    }
    double per_call = 1.0 / HP_CALLS, body = (double)bare * per_call / 4.0; /* an empty body is about a quarter of an empty call */
    double all = ((double)(traced.callee + traced.caller) - (double)bare) * per_call;
    double inside = (double)traced.callee * per_call - body;
    inside = inside < 0 ? 0 : inside > all ? all : inside;
    if (all <= 0)
        return; /* disturbed throughout: nothing is subtracted */
    tracer->inside_ticks_per_call = inside;
    tracer->outside_ticks_per_call = all - inside;
}

static int measure(hp_tracer *tracer, PyObject *caller, PyObject *callee, PyObject *count) {
    PyCodeObject *codes[2] = {(PyCodeObject *)PyFunction_GET_CODE(caller), (PyCodeObject *)PyFunction_GET_CODE(callee)};
    uint32_t slots[2];
    hp_own_times traced;
    uint64_t bare = best_bare(tracer, caller, count) > 0 ? best_bare(tracer, caller, count) : 0; /* the first lets it specialise */
    if (bare == 0)
        return 0;
    for (int i = 0; i < 2; i++) {
        if (hp_tracer_arm(tracer, codes[i]) < 0)
            return -1;
        hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)codes[i], HP_CODE_PYTHON);
        if (state == NULL)
            return hp_tracer_no_memory();
        slots[i] = state->slot;
        state->flags |= HP_CODE_DESCRIBED | (i == 0 ? HP_CODE_TARGET : 0u);
        state->threshold = (uint64_t)1 << 32;
    }
    if (best_traced(tracer, caller, count, slots, &traced))
        settle(tracer, bare, traced);
    return tracer->hook->disarm(tracer, codes[0]) < 0 || tracer->hook->disarm(tracer, codes[1]) < 0 ? -1 : 0;
}

static PyObject *make_functions(void) {
    PyObject *names = PyDict_New(), *code = Py_CompileString(source, "<hybridprof calibration>", Py_file_input), *done = NULL;
    if (names != NULL && code != NULL && PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) == 0)
        done = PyEval_EvalCode(code, names, names);
    if (done == NULL)
        Py_CLEAR(names);
    Py_XDECREF(done);
    Py_XDECREF(code);
    return names;
}

int hp_tracer_calibrate(hp_tracer *tracer) {
    if (tracer->calibrated)
        return 0;
    tracer->calibrated = true;
    PyObject *names = make_functions(), *count = PyLong_FromLong(HP_CALLS);
    int status = -1;
    if (names == NULL || count == NULL)
        goto done;
    tracer->calibrating = true;
    status = measure(tracer, PyDict_GetItemString(names, "caller"), PyDict_GetItemString(names, "callee"), count);
    tracer->calibrating = false;
    if (hp_tracer_start_anew(tracer) < 0)
        status = -1;
    hp_discovery_init(&tracer->discovery);
    tracer->budget.units = 0; /* what this has cost comes once, and tells nothing of what tracing the program costs */
    hp_budget_restart(&tracer->budget);
done:
    Py_XDECREF(count);
    Py_XDECREF(names);
    return status;
}
