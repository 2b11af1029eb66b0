/* SPDX-License-Identifier: MIT */
/* Forks, and the end of the interpreter.
 *
 * Before a fork our native threads end, because from 3.12 on os.fork() warns the program when any exist. They start again afterwards,
 * but where that warning counts threads only after the hooks (3.13.0), "afterwards" must be later than the hooks: a pending call, which
 * waits until the frame that called os.fork() runs again. Only the main thread runs pending calls; a fork from another thread warns with
 * or without us, so there the hook itself starts them. So it does on 3.11, which never warns: there a frame that is traced runs pending
 * calls again and again before its first instruction until none is left, and one that waits for that frame's caller is never the last. A
 * child has a profiler that does not run: the data is its parent's. */
#include "module/module.h"
#include "module/session.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "module/stream.h"
#include "module/window.h"

void hp_fork_forget(hp_module_state *state) {
    state->restart_after_fork = false;
    Py_CLEAR(state->fork_frame);
}

static void restart_session(hp_module_state *state) {
    hp_error error = {0};
    if (state->session->sampler && hp_sampler_start(state->session->sampler, &error) != HP_OK)
        hp_session_warn(state->session, error.text);
    hp_stream_resume(state);
}

static void call_back(PyObject *callback) {
    Py_XINCREF(callback); /* it may put another in its place */
    PyObject *result = callback ? PyObject_CallNoArgs(callback) : NULL;
    if (callback && !result)
        PyErr_WriteUnraisable(callback);
    Py_XDECREF(result);
    Py_XDECREF(callback);
}

static void restart(hp_module_state *state) {
    bool wanted = state->restart_after_fork && !state->exiting;
    hp_fork_forget(state);
    if (wanted && state->session && state->session->running)
        restart_session(state);
    if (wanted)
        call_back(state->after_fork);
}

/* Whether `frame` calls (directly or not) what the calling thread runs now, from the same instruction as at the fork. */
static bool is_still_calling(PyFrameObject *frame, int instruction) {
    PyFrameObject *at = PyThreadState_GetFrame(PyThreadState_Get());
    if (at == frame) { /* the frame itself runs: os.fork() has returned */
        Py_DECREF(at);
        return false;
    }
    while (at && at != frame) {
        PyFrameObject *caller = PyFrame_GetBack(at);
        Py_DECREF(at);
        at = caller;
    }
    bool calling = at && PyFrame_GetLasti(frame) == instruction;
    Py_XDECREF(at);
    return calling;
}

static int restart_later(void *argument) {
    hp_module_state *state = argument;
    if (!state->restart_after_fork)
        return 0;
    bool inside = state->fork_frame && is_still_calling(state->fork_frame, state->fork_instruction);
    if (!inside || Py_AddPendingCall(restart_later, state) < 0)
        restart(state);
    return 0;
}

static bool in_main_thread(void) {
    return syscall(SYS_gettid) == getpid();
}

static void end_threads(hp_module_state *state) {
    hp_stream_pause(state);
    if (state->session && state->session->running && state->session->sampler) {
        int64_t now;
        (void)hp_session_see_threads(state->session, false, &now); /* short of memory: a gap of each is in nobody's time */
        hp_sampler_stop(state->session->sampler);
    }
    PyFrameObject *frame = PyEval_GetFrame();
    Py_XINCREF(frame);
    Py_XSETREF(state->fork_frame, frame);
    state->fork_instruction = frame ? PyFrame_GetLasti(frame) : 0;
    state->restart_after_fork = true;
}

static PyObject *before_fork(PyObject *module, PyObject *Py_UNUSED(none)) {
    hp_module_state *state = hp_module_state_of(module);
    if (!hp_session_begin_transition(state))
        Py_RETURN_NONE;
    if (state->after_fork || (state->session && state->session->running))
        end_threads(state);
    hp_session_end_transition(state);
    Py_RETURN_NONE;
}

static bool may_restart_later(void) {
    return Py_Version >= 0x030C0000 && in_main_thread();
}

static PyObject *after_fork_in_parent(PyObject *module, PyObject *Py_UNUSED(none)) {
    hp_module_state *state = hp_module_state_of(module);
    if (state->restart_after_fork && (!may_restart_later() || Py_AddPendingCall(restart_later, state) < 0))
        restart(state);
    Py_RETURN_NONE;
}

/* Locks may have been held by threads that do not exist here; then all that is the parent's goes, and targets stay. */
static void become_child(hp_module_state *state) {
    state->pid = getpid();
    hp_fork_forget(state);
    hp_code_table_after_fork(state->code);
    hp_session *session = state->session;
    if (session) {
        hp_threads_after_fork(session->threads);
        if (session->sampler)
            hp_sampler_after_fork_child(session->sampler);
        if (session->tracer)
            hp_tracer_after_fork_child(session->tracer);
    }
    hp_stream_drop(state);
    hp_windows_drop(state);
    hp_session_forget(state);
}

void hp_fork_check(hp_module_state *state) {
    if (state->pid != getpid())
        become_child(state);
}

static PyObject *after_fork_in_child(PyObject *module, PyObject *Py_UNUSED(none)) {
    hp_fork_check(hp_module_state_of(module));
    Py_RETURN_NONE;
}

/* Callbacks that were registered before us still run after this: nothing may start again. */
static PyObject *at_exit(PyObject *module, PyObject *Py_UNUSED(none)) {
    hp_module_state *state = hp_module_state_of(module);
    state->exiting = true;
    hp_session_look(state, true);
    hp_session_stop(state);
    Py_RETURN_NONE;
}

static PyObject *after_fork(PyObject *module, PyObject *callback) {
    hp_module_state *state = hp_module_state_of(module);
    if (callback != Py_None && !PyCallable_Check(callback)) {
        PyErr_Format(PyExc_TypeError, "after_fork takes a callable, or None for nothing, not %.100s", Py_TYPE(callback)->tp_name);
        return NULL;
    }
    Py_XSETREF(state->after_fork, callback == Py_None ? NULL : Py_NewRef(callback));
    Py_RETURN_NONE;
}

PyMethodDef hp_fork_methods[] = {
    {"after_fork", after_fork, METH_O,
     "after_fork($module, callback, /)\n--\n\nCalled in the parent after each fork, when a thread may be started again without a warning."},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef callbacks[] = {
    {"before", before_fork, METH_NOARGS, NULL},
    {"after_in_parent", after_fork_in_parent, METH_NOARGS, NULL},
    {"after_in_child", after_fork_in_child, METH_NOARGS, NULL},
    {"at_exit", at_exit, METH_NOARGS, NULL},
};

static int register_with_os(PyObject *module) {
    PyObject *os = PyImport_ImportModule("os");
    PyObject *function = os ? PyObject_GetAttrString(os, "register_at_fork") : NULL;
    PyObject *keywords = function ? PyDict_New() : NULL;
    for (int i = 0; keywords && i < 3; i++) {
        PyObject *callback = PyCFunction_New(&callbacks[i], module);
        if (!callback || PyDict_SetItemString(keywords, callbacks[i].ml_name, callback) < 0)
            Py_CLEAR(keywords);
        Py_XDECREF(callback);
    }
    PyObject *nothing = keywords ? PyTuple_New(0) : NULL;
    PyObject *result = nothing ? PyObject_Call(function, nothing, keywords) : NULL;
    Py_XDECREF(nothing);
    Py_XDECREF(keywords);
    Py_XDECREF(function);
    Py_XDECREF(os);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int register_at_exit(PyObject *module) {
    PyObject *atexit = PyImport_ImportModule("atexit");
    PyObject *callback = atexit ? PyCFunction_New(&callbacks[3], module) : NULL;
    PyObject *result = callback ? PyObject_CallMethod(atexit, "register", "O", callback) : NULL;
    Py_XDECREF(callback);
    Py_XDECREF(atexit);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

int hp_fork_register(PyObject *module) {
    return register_at_exit(module) < 0 ? -1 : register_with_os(module);
}
