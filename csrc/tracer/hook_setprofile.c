/* SPDX-License-Identifier: MIT */
/* PyEval_SetProfile: the hook of 3.11, selectable everywhere.
 *
 * Two ways to have it on. *For one call* (3.11, plain functions): hp_tracer_call switches the calling thread's profile function on around
 * the call, so that all else runs at full speed. *For good*, in every thread: for everything, for generator and coroutine targets (which
 * run in pieces), and on 3.12+ always, where switching costs 10 us and slows each hot function once more. A profile function that somebody
 * else has set is left alone: nothing is traced there, and a warning says so. */
#include <opcode.h>

#include "tracer/hook_handle.h"
#include "tracer/hook_tool_ids.h"
#include "tracer/recorder.h"

#if PY_VERSION_HEX >= 0x030C0000
enum { HP_SWITCHING_IS_CHEAP = false };
#else
enum { HP_SWITCHING_IS_CHEAP = true };
#endif

typedef struct hp_setprofile {
    hp_handle *handle;
    PyObject *installer; /* what threading.setprofile was given: new threads begin with it */
    PyObject *threading; /* the module that was given it: the program may put another, or none, in sys.modules. NULL: none was */
    bool for_good;
    bool quitting;            /* the event at hand is the last one that this thread wants */
    bool in_pieces;           /* a target or the host of a block is a generator or coroutine */
    PyMethodDef *starters[2]; /* of _thread: after a return of one, a thread may be new */
} hp_setprofile;

static const char others_function[] = "a thread has a profile function of another tool (sys.setprofile): nothing is traced in it";

static hp_setprofile *setprofile_of(const hp_tracer *tracer) {
    return tracer->hook_data;
}

/* --- events ------------------------------------------------------------------------------------------------------------------------- */

static bool runs_in_pieces(const PyCodeObject *code) {
    return (code->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR)) != 0;
}

static unsigned char operation(const PyCodeObject *code, uint32_t unit) {
    return ((const unsigned char *)code->co_code_adaptive)[unit * sizeof(_Py_CODEUNIT)];
}

static bool is_yield(unsigned char operation) {
#ifdef INSTRUMENTED_YIELD_VALUE
    if (operation == INSTRUMENTED_YIELD_VALUE)
        return true;
#endif
    return operation == YIELD_VALUE;
}

/* At the end of a stretch: 3.13 has gone on to the next instruction before it reports a yield. A return is never preceded by a yield: what
 * follows that is a RESUME. */
static bool stands_at_yield(hp_python_frame *frame, const PyCodeObject *code) {
    uint32_t unit = hp_frame_unit(frame);
    return is_yield(operation(code, unit)) || (unit > 0 && is_yield(operation(code, unit - 1)));
}

/* From 3.13 on a frame stands at the same instruction for a throw() as for a resume. Then it passes for a throw: the real chain is looked
 * at, which finds no more than a resume would. */
static bool is_surely_resumed(hp_python_frame *frame, const PyCodeObject *code) {
#if PY_VERSION_HEX >= 0x030D0000
    return ((void)frame, (void)code, false);
#elif PY_VERSION_HEX >= 0x030C0000
    return operation(code, hp_frame_unit(frame)) == RESUME || operation(code, hp_frame_unit(frame)) == INSTRUMENTED_RESUME;
#else
    return operation(code, hp_frame_unit(frame)) == RESUME || operation(code, hp_frame_unit(frame)) == RESUME_QUICK;
#endif
}

/* Calls, resumes and throws come as the same event. Where the frame stands tells them apart. */
static hp_start_kind start_kind(hp_python_frame *frame, const PyCodeObject *code) {
    if ((int)hp_frame_unit(frame) == code->_co_firsttraceable)
        return HP_START_CALL;
    return is_surely_resumed(frame, code) ? HP_START_RESUME : HP_START_THROW;
}

static void set_all(hp_tracer *tracer, bool on);
static void set_here(hp_tracer *tracer, bool on);

/* A thread that has just been made has run no Python code yet, so it is covered from its first call on (threading.setprofile begins later).
 */
static void cover_new_thread(hp_tracer *tracer, PyObject *function) {
    const hp_setprofile *s = setprofile_of(tracer);
    const PyMethodDef *definition = PyCFunction_Check(function) ? ((PyCFunctionObject *)function)->m_ml : NULL;
    if (s->for_good && definition != NULL && (definition == s->starters[0] || definition == s->starters[1]))
        set_all(tracer, true);
}

static int on_event(PyObject *self, PyFrameObject *Py_UNUSED(object), int what, PyObject *argument) {
    hp_tracer *tracer = hp_handle_tracer(self);
    PyThreadState *thread = PyThreadState_Get();
    hp_python_frame *frame = hp_frame_current(thread);
    if (tracer == NULL || frame == NULL)
        return 0;
    PyCodeObject *code = hp_frame_code(frame);
    switch (what) {
    case PyTrace_CALL:
        hp_record_start(tracer, code, runs_in_pieces(code) ? start_kind(frame, code) : HP_START_CALL);
        break;
    case PyTrace_RETURN:
        hp_record_end(tracer, code, argument != NULL && runs_in_pieces(code) && stands_at_yield(frame, code));
        break;
    case PyTrace_C_CALL:
        if (tracer->c_calls)
            hp_record_c_call(tracer, thread, argument);
        break;
    case PyTrace_C_RETURN:
        cover_new_thread(tracer, argument);
        /* fallthrough */
    case PyTrace_C_EXCEPTION:
        if (tracer->c_calls)
            hp_record_c_return(tracer, thread, argument);
        break;
    default:
        break;
    }
    if (HP_UNLIKELY(setprofile_of(tracer)->quitting)) {
        setprofile_of(tracer)->quitting = false;
        set_here(tracer, false); /* last: the tracer may be gone then */
    }
    return 0;
}

/* --- switching ---------------------------------------------------------------------------------------------------------------------- */

static void set_here(hp_tracer *tracer, bool on) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyEval_SetProfile(on ? on_event : NULL, on ? (PyObject *)setprofile_of(tracer)->handle : NULL);
    PyErr_Restore(type, value, traceback);
}

static void note_edge(hp_tracer *tracer, const PyCodeObject *target) {
    const hp_recorder *recorder = hp_recorder_here(tracer, PyThreadState_Get());
    if (recorder != NULL)
        atomic_store_explicit(&recorder->thread->edge_code, (uintptr_t)target, memory_order_release);
}

/* NULL: it is on already, or somebody else's is in its place. */
static PyObject *enter(hp_tracer *tracer, const PyCodeObject *target) {
    PyThreadState *thread = PyThreadState_Get();
    PyObject *handle = (PyObject *)setprofile_of(tracer)->handle;
    if (thread->c_profilefunc == on_event && thread->c_profileobj == handle)
        return NULL;
    if (thread->c_profilefunc != NULL && thread->c_profilefunc != on_event) {
        hp_tracer_warn(tracer, others_function);
        return NULL;
    }
    Py_INCREF(handle);
    set_here(tracer, true);
    if (hp_handle_tracer(handle) == tracer) /* switching runs audit hooks, which may have ended it */
        note_edge(tracer, target);
    return handle;
}

static void quit(hp_tracer *tracer) {
    setprofile_of(tracer)->quitting = HP_SWITCHING_IS_CHEAP && !setprofile_of(tracer)->for_good;
}

/* The call is over and our function is not there. The event limit may have switched it off; or another tool put its own in the place while
 * the call ran, and perhaps took that away again: then nobody saw the call end, and its clock must not run on. */
static void end_unseen(hp_tracer *tracer, PyThreadState *thread) {
    hp_recorder *recorder = hp_recorder_here(tracer, thread);
    bool open = recorder != NULL && recorder->stack.depth > 0;
    if (thread->c_profilefunc == NULL && !open)
        return;
    hp_tracer_warn(tracer, others_function);
    tracer->budget.was_cut = true;
    hp_python_frame *caller = hp_frame_current(thread);
    if (open && (caller == NULL || !hp_chain_read(&recorder->scratch, caller, &recorder->stack.entries[0])))
        hp_extent_abandon(tracer, recorder);
}

/* The call may have ended the tracer, which then has switched all threads off. */
static void leave(PyObject *handle) {
    hp_tracer *tracer = hp_handle_tracer(handle);
    PyThreadState *thread = PyThreadState_Get();
    if (tracer != NULL)
        note_edge(tracer, NULL);
    bool ours = thread->c_profilefunc == on_event && thread->c_profileobj == handle;
    if (tracer != NULL && !setprofile_of(tracer)->for_good && ours)
        set_here(tracer, false);
    else if (tracer != NULL && !ours)
        end_unseen(tracer, thread);
    Py_DECREF(handle);
}

typedef struct hp_census {
    unsigned without, ours, others;
} hp_census;

static hp_census count_threads(const hp_setprofile *s) {
    hp_census census = {0, 0, 0};
    for (PyThreadState *t = PyInterpreterState_ThreadHead(PyInterpreterState_Get()); t != NULL; t = PyThreadState_Next(t)) {
        bool ours = t->c_profilefunc == on_event || (t->c_profileobj != NULL && t->c_profileobj == s->installer);
        *(t->c_profilefunc == NULL ? &census.without : ours ? &census.ours : &census.others) += 1;
    }
    return census;
}

#if PY_VERSION_HEX < 0x030D0000
static void set_threads(hp_tracer *tracer, bool on) {
    PyObject *handle = (PyObject *)setprofile_of(tracer)->handle;
    for (PyThreadState *t = PyInterpreterState_ThreadHead(PyInterpreterState_Get()); t != NULL; t = PyThreadState_Next(t))
        if (t->c_profilefunc == (on ? NULL : on_event) && _PyEval_SetProfile(t, on ? on_event : NULL, on ? handle : NULL) < 0)
            PyErr_Clear();
}
#else
/* One thread's function cannot be set from another any more, only all at once: then those of other tools would be lost. */
static void set_threads(hp_tracer *tracer, bool on) {
    hp_census census = count_threads(setprofile_of(tracer));
    if ((on ? census.without : census.ours) == 0)
        return;
    if (census.others == 0)
        PyEval_SetProfileAllThreads(on ? on_event : NULL, on ? (PyObject *)setprofile_of(tracer)->handle : NULL);
    else if (PyThreadState_Get()->c_profilefunc == (on ? NULL : on_event))
        set_here(tracer, on);
}
#endif

static void set_all(hp_tracer *tracer, bool on) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    set_threads(tracer, on);
    if (on && count_threads(setprofile_of(tracer)).others > 0)
        hp_tracer_warn(tracer, others_function);
    PyErr_Restore(type, value, traceback);
}

/* --- new threads ---------------------------------------------------------------------------------------------------------------------- */

/* Called in a new thread as its Python profile function, with its first event: puts the real one in its place. */
static PyObject *install(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    hp_tracer *tracer = hp_handle_tracer(self);
    if (tracer == NULL || !setprofile_of(tracer)->for_good) {
        PyEval_SetProfile(NULL, NULL);
        Py_RETURN_NONE;
    }
    PyEval_SetProfile(on_event, self);
    if (count >= 2 && PyUnicode_Check(arguments[1]) && PyUnicode_CompareWithASCIIString(arguments[1], "call") == 0)
        on_event(self, NULL, PyTrace_CALL, Py_None);
    Py_RETURN_NONE;
}

/* A static: PyCFunction keeps a pointer to it. Constant. */
static PyMethodDef install_method = {"install", (PyCFunction)(void (*)(void))install, METH_FASTCALL, NULL};

/* Calls threading.setprofile(installer) if the place is free. */
static int set_threading(hp_setprofile *s) {
    PyObject *threading = PyImport_ImportModule("threading"), *present = NULL, *done = NULL;
    if (threading != NULL)
        present = PyObject_CallMethod(threading, "getprofile", NULL);
    if (present == Py_None)
        done = PyObject_CallMethod(threading, "setprofile", "O", s->installer);
    if (done != NULL)
        Py_XSETREF(s->threading, Py_NewRef(threading));
    bool failed = present == NULL || PyErr_Occurred() != NULL;
    Py_XDECREF(done);
    Py_XDECREF(present);
    Py_XDECREF(threading);
    return failed ? -1 : 0;
}

/* The same with None, if the place is still ours. Cannot fail: where it is not reached, `install` takes itself off each new thread. */
static void unset_threading(hp_setprofile *s) {
    PyObject *present = s->threading != NULL ? PyObject_CallMethod(s->threading, "getprofile", NULL) : NULL, *done = NULL;
    if (present != NULL && present == s->installer)
        done = PyObject_CallMethod(s->threading, "setprofile", "O", Py_None);
    PyErr_Clear();
    Py_XDECREF(done);
    Py_XDECREF(present);
    Py_CLEAR(s->threading);
}

/* --- the hook ------------------------------------------------------------------------------------------------------------------------- */

static int set_for_good(hp_tracer *tracer, bool on) {
    hp_setprofile *s = setprofile_of(tracer);
    if (s->for_good == on)
        return 0;
    s->for_good = on;
    if (on && set_threading(s) < 0)
        return -1;
    set_all(tracer, on);
    if (!on)
        unset_threading(s); /* last: what it calls is none of the program's calls */
    return 0;
}

static int arm(hp_tracer *tracer, PyCodeObject *code) {
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state == NULL)
        return hp_tracer_no_memory();
    state->flags |= HP_CODE_ARMED; /* all ends are reported where starts are */
    setprofile_of(tracer)->in_pieces |= runs_in_pieces(code);
    if (!HP_SWITCHING_IS_CHEAP || setprofile_of(tracer)->in_pieces)
        return set_for_good(tracer, true);
    return 0;
}

static int disarm(hp_tracer *tracer, PyCodeObject *code) {
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state == NULL)
        return hp_tracer_no_memory();
    if (tracer->counts.targets > 0 || tracer->everything || tracer->last_token > 0)
        return 0;
    setprofile_of(tracer)->in_pieces = false;
    return set_for_good(tracer, false);
}

static int everything(hp_tracer *tracer, bool on) {
    bool still = !on && (setprofile_of(tracer)->in_pieces || (!HP_SWITCHING_IS_CHEAP && tracer->counts.targets > 0));
    return set_for_good(tracer, on || still);
}

/* Nothing to learn: each call beneath a target is reported. */
static void learn(hp_tracer *Py_UNUSED(tracer)) {}

/* Events of a thread that has not our function went to nobody, or to another tool: what is open there has stood still since. */
static void abandon_unheard(hp_tracer *tracer) {
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    if (PyInterpreterState_GetID(interpreter) != tracer->interpreter_id)
        return;
    for (PyThreadState *t = PyInterpreterState_ThreadHead(interpreter); t != NULL; t = PyThreadState_Next(t))
        for (hp_recorder *recorder = t->c_profilefunc != on_event ? tracer->recorders : NULL; recorder != NULL; recorder = recorder->next)
            if (recorder->thread->state_id == PyThreadState_GetID(t) && recorder->stack.depth > 0) {
                hp_tracer_warn(tracer, others_function);
                hp_extent_abandon(tracer, recorder);
            }
}

/* Threads that did not come through `threading`, and those that another tool had for itself. */
static void refresh(hp_tracer *tracer) {
    if (!setprofile_of(tracer)->for_good)
        return;
    abandon_unheard(tracer);
    set_all(tracer, true);
}

static void close_hook(hp_tracer *tracer) {
    hp_setprofile *s = setprofile_of(tracer);
    PyObject *type, *value, *traceback;
    if (s == NULL)
        return;
    PyErr_Fetch(&type, &value, &traceback);
    set_all(tracer, false);
    unset_threading(s);
    hp_handle_end(s->handle);
    Py_XDECREF(s->installer);
    PyMem_RawFree(s);
    tracer->hook_data = NULL;
    PyErr_Restore(type, value, traceback);
}

static void find_starters(hp_setprofile *s) {
    static const char *const names[] = {"start_new_thread", "start_joinable_thread"};
    PyObject *module = PyImport_ImportModule("_thread");
    for (int i = 0; i < 2 && module != NULL; i++) {
        PyObject *starter = PyObject_GetAttrString(module, names[i]);
        s->starters[i] = starter != NULL && PyCFunction_Check(starter) ? ((PyCFunctionObject *)starter)->m_ml : NULL;
        Py_XDECREF(starter);
        PyErr_Clear(); /* start_joinable_thread came with 3.13 */
    }
    Py_XDECREF(module);
    PyErr_Clear();
}

static int open_hook(hp_tracer *tracer) {
    hp_setprofile *s = PyMem_RawCalloc(1, sizeof *s);
    if (s == NULL)
        return hp_tracer_no_memory();
    tracer->hook_data = s;
    find_starters(s);
    s->handle = hp_handle_new(tracer);
    s->installer = s->handle != NULL ? PyCFunction_New(&install_method, (PyObject *)s->handle) : NULL;
    if (s->installer != NULL)
        return 0;
    close_hook(tracer);
    return -1;
}

static bool is_alone(const hp_tracer *Py_UNUSED(tracer)) {
    Py_tracefunc function = PyThreadState_Get()->c_profilefunc;
#if PY_VERSION_HEX >= 0x030C0000
    if (hp_tool_ids_others_listen(NULL))
        return false;
#endif
    return function == NULL || function == on_event;
}

static bool needs_wrapper(const hp_tracer *Py_UNUSED(tracer), PyCodeObject *code) {
    return HP_SWITCHING_IS_CHEAP && !runs_in_pieces(code);
}

const hp_hook hp_hook_setprofile = {
    .name = "setprofile",
    .kind = HP_HOOK_SETPROFILE,
    .open = open_hook,
    .close = close_hook,
    .arm = arm,
    .disarm = disarm,
    .quit = quit,
    .everything = everything,
    .learn = learn,
    .refresh = refresh,
    .is_alone = is_alone,
    .needs_wrapper = needs_wrapper,
    .enter = enter,
    .leave = leave,
};
