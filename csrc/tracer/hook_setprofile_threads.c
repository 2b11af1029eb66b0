/* SPDX-License-Identifier: MIT */
/* The profile functions of all threads, those that are yet to begin included. */
#include "tracer/hook_setprofile.h"

const char hp_setprofile_others[] = "a thread has a profile function of another tool (sys.setprofile): nothing is traced in it";

void hp_setprofile_here(hp_tracer *tracer, bool on) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyEval_SetProfile(on ? hp_setprofile_event : NULL, on ? (PyObject *)hp_setprofile_of(tracer)->handle : NULL);
    PyErr_Restore(type, value, traceback);
}

typedef struct hp_census {
    unsigned without, ours, others;
} hp_census;

static hp_census count_threads(const hp_setprofile *s) {
    hp_census census = {0, 0, 0};
    for (PyThreadState *t = PyInterpreterState_ThreadHead(PyInterpreterState_Get()); t != NULL; t = PyThreadState_Next(t)) {
        bool ours = t->c_profilefunc == hp_setprofile_event || (t->c_profileobj != NULL && t->c_profileobj == s->installer);
        *(t->c_profilefunc == NULL ? &census.without : ours ? &census.ours : &census.others) += 1;
    }
    return census;
}

#if PY_VERSION_HEX < 0x030D0000
/* A thread in a call that had it on for itself keeps it until that ends. */
static bool keeps(const hp_tracer *tracer, PyThreadState *thread) {
    for (const hp_recorder *r = hp_setprofile_of(tracer)->closing ? NULL : tracer->recorders; r != NULL; r = r->next)
        if (r->thread->state_id == PyThreadState_GetID(thread) && r->entered > 0)
            return true;
    return false;
}

static void set_threads(hp_tracer *tracer, bool on) {
    PyObject *handle = (PyObject *)hp_setprofile_of(tracer)->handle;
    for (PyThreadState *t = PyInterpreterState_ThreadHead(PyInterpreterState_Get()); t != NULL; t = PyThreadState_Next(t)) {
        if (t->c_profilefunc != (on ? NULL : hp_setprofile_event) || (!on && keeps(tracer, t)))
            continue;
        if (_PyEval_SetProfile(t, on ? hp_setprofile_event : NULL, on ? handle : NULL) < 0)
            PyErr_Clear();
        if (on && tracer->ended) /* an audit hook has ended it: nobody switches on any more */
            break;
    }
}
#else
/* One thread's function cannot be set from another any more, only all at once: then those of other tools would be lost. */
static void set_threads(hp_tracer *tracer, bool on) {
    hp_census census = count_threads(hp_setprofile_of(tracer));
    if ((on ? census.without : census.ours) == 0)
        return;
    if (census.others == 0)
        PyEval_SetProfileAllThreads(on ? hp_setprofile_event : NULL, on ? (PyObject *)hp_setprofile_of(tracer)->handle : NULL);
    else if (PyThreadState_Get()->c_profilefunc == (on ? NULL : hp_setprofile_event))
        hp_setprofile_here(tracer, on);
}
#endif

void hp_setprofile_all(hp_tracer *tracer, bool on) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    hp_tracer_hold(tracer);
    PyObject *handle = Py_XNewRef((PyObject *)hp_setprofile_of(tracer)->handle);
    set_threads(tracer, on);
    if (on && !tracer->ended && count_threads(hp_setprofile_of(tracer)).others > 0)
        hp_tracer_warn(tracer, hp_setprofile_others);
    Py_XDECREF(handle);
    (void)hp_tracer_release(tracer);
    PyErr_Restore(type, value, traceback);
}

/* --- new threads ---------------------------------------------------------------------------------------------------------------------- */

/* Called in a new thread as its Python profile function, with its first event: puts the real one in its place. */
static PyObject *install(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    hp_tracer *tracer = hp_handle_tracer(self);
    if (tracer == NULL || !hp_setprofile_of(tracer)->for_good) {
        PyEval_SetProfile(NULL, NULL);
        Py_RETURN_NONE;
    }
    PyEval_SetProfile(hp_setprofile_event, self);
    if (count >= 2 && PyUnicode_Check(arguments[1]) && PyUnicode_CompareWithASCIIString(arguments[1], "call") == 0)
        hp_setprofile_event(self, NULL, PyTrace_CALL, Py_None);
    Py_RETURN_NONE;
}

/* A static: PyCFunction keeps a pointer to it. Constant. */
static PyMethodDef install_method = {"install", (PyCFunction)(void (*)(void))install, METH_FASTCALL, NULL};

PyObject *hp_setprofile_new_installer(PyObject *handle) {
    return PyCFunction_New(&install_method, handle);
}

int hp_setprofile_set_threading(hp_setprofile *s) {
    PyObject *threading = PyImport_ImportModule("threading"), *present = NULL, *done = NULL;
    s->deaf = PyThreadState_Get();
    if (threading != NULL)
        present = PyObject_CallMethod(threading, "getprofile", NULL);
    if (present == Py_None && !s->closing) { /* what is closed in the midst takes itself off each new thread */
        PyObject *installer = Py_NewRef(s->installer);
        done = PyObject_CallMethod(threading, "setprofile", "O", installer);
        Py_DECREF(installer);
    }
    if (done != NULL && !s->closing)
        Py_XSETREF(s->threading, Py_NewRef(threading));
    s->deaf = NULL;
    bool failed = present == NULL || PyErr_Occurred() != NULL;
    Py_XDECREF(done);
    Py_XDECREF(present);
    Py_XDECREF(threading);
    return failed ? -1 : 0;
}

void hp_setprofile_unset_threading(hp_setprofile *s) {
    s->deaf = PyThreadState_Get();
    PyObject *present = s->threading != NULL ? PyObject_CallMethod(s->threading, "getprofile", NULL) : NULL, *done = NULL;
    if (present != NULL && present == s->installer)
        done = PyObject_CallMethod(s->threading, "setprofile", "O", Py_None);
    s->deaf = NULL;
    PyErr_Clear();
    Py_XDECREF(done);
    Py_XDECREF(present);
    Py_CLEAR(s->threading);
}
