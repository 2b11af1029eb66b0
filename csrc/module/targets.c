/* SPDX-License-Identifier: MIT */
/* What is remembered from session to session: targets, hidden files, names of threads. The running tracer is told as well. */
#include "module/module.h"
#include "module/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static PyCodeObject *check_code(PyObject *object) {
    if (PyCode_Check(object))
        return (PyCodeObject *)object;
    PyErr_Format(PyExc_TypeError, "a target is a code object (function.__code__), not %.100s", Py_TYPE(object)->tp_name);
    return NULL;
}

static int remember_target(hp_module_state *state, PyCodeObject *code, double rate) {
    PyObject *key = PyLong_FromVoidPtr(code);
    PyObject *entry = key ? Py_BuildValue("(Od)", code, rate) : NULL;
    int result = entry ? PyDict_SetItem(state->targets, key, entry) : -1;
    Py_XDECREF(entry);
    Py_XDECREF(key);
    return result;
}

static PyObject *add_target(PyObject *module, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"code", "rate", NULL};
    PyObject *object;
    double rate = 1.0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|d:add_target", names, &object, &rate))
        return NULL;
    hp_module_state *state = hp_module_state_of(module);
    PyCodeObject *code = check_code(object);
    if (!code)
        return NULL;
    if (!(rate > 0 && rate <= 1)) {
        PyObject *shown = PyFloat_FromDouble(rate);
        PyErr_Format(PyExc_ValueError, "rate must be above 0 and at most 1 (a share of the calls), not %R", shown);
        Py_XDECREF(shown);
        return NULL;
    }
    if (remember_target(state, code, rate) < 0 || (state->tracer && hp_tracer_add_target(state->tracer, code, rate) < 0))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *remove_target(PyObject *module, PyObject *object) {
    hp_module_state *state = hp_module_state_of(module);
    PyCodeObject *code = check_code(object);
    PyObject *key = code ? PyLong_FromVoidPtr(code) : NULL;
    if (!key)
        return NULL;
    int known = PyDict_Contains(state->targets, key);
    int result = known;
    if (known > 0)
        result = state->tracer ? hp_tracer_remove_target(state->tracer, code) : 0;
    if (known > 0 && PyDict_DelItem(state->targets, key) < 0)
        result = -1;
    Py_DECREF(key);
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *forget_beneath(PyObject *module, PyObject *Py_UNUSED(none)) {
    hp_module_state *state = hp_module_state_of(module);
    if (state->tracer)
        hp_tracer_forget_beneath(state->tracer);
    Py_RETURN_NONE;
}

static PyObject *targets(PyObject *module, PyObject *Py_UNUSED(none)) {
    return PyDict_Values(hp_module_state_of(module)->targets);
}

static PyObject *trace_everything(PyObject *module, PyObject *flag) {
    hp_module_state *state = hp_module_state_of(module);
    int on = PyObject_IsTrue(flag);
    if (on < 0 || (state->tracer && hp_tracer_trace_everything(state->tracer, on != 0) < 0))
        return NULL;
    state->everything = on != 0;
    Py_RETURN_NONE;
}

static PyObject *hide_file(PyObject *module, PyObject *argument) {
    hp_hidden *hidden = &hp_module_state_of(module)->hidden;
    if (!PyUnicode_Check(argument) || PyUnicode_GET_LENGTH(argument) == 0) {
        PyErr_Format(PyExc_ValueError, "prefix must be the beginning of a file name, not %R: an empty one would hide everything", argument);
        return NULL;
    }
    char *prefix = hp_text_from_unicode(argument);
    if (!prefix)
        return NULL;
    for (uint32_t i = 0; i < hidden->count; i++) {
        if (strcmp(hidden->prefixes[i], prefix) == 0) {
            free(prefix);
            Py_RETURN_NONE;
        }
    }
    char **grown = realloc(hidden->prefixes, ((size_t)hidden->count + 1) * sizeof *grown);
    if (!grown) {
        free(prefix);
        return hp_raise_no_memory("not enough memory to remember a file prefix to hide");
    }
    hidden->prefixes = grown;
    grown[hidden->count++] = prefix;
    Py_RETURN_NONE;
}

/* Kept by the id of the thread's state, which no later thread gets, unlike its ident. A thread that has ended needs no name. */
static PyObject *set_thread_name(PyObject *module, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"ident", "name", NULL};
    unsigned long ident;
    PyObject *name;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "kU:set_thread_name", names, &ident, &name))
        return NULL;
    hp_module_state *state = hp_module_state_of(module);
    PyThreadState *at = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    while (at && at->thread_id != ident)
        at = PyThreadState_Next(at);
    if (!at)
        Py_RETURN_NONE;
    PyObject *key = PyLong_FromUnsignedLongLong(PyThreadState_GetID(at));
    int result = key ? PyDict_SetItem(state->names, key, name) : -1;
    Py_XDECREF(key);
    if (result < 0)
        return NULL;
    if (hp_session_settle(state) && state->session && state->session->running)
        hp_names_threads(state, state->session);
    Py_RETURN_NONE;
}

static size_t put_rate(char *text, size_t room, size_t used, PyCodeObject *code, double rate) {
    char *name = hp_text_from_unicode(code->co_qualname);
    int added = snprintf(text + used, room - used, "%s%.60s (%.3g %%)", used > 0 ? ", " : "", name ? name : "<unknown>", 100.0 * rate);
    free(name);
    return added < 0 ? used : used + (size_t)added < room ? used + (size_t)added : room - 1;
}

char *hp_chance_rates(hp_module_state *state) {
    enum { SHOWN = 5 };
    char text[HP_ERROR_TEXT] = "";
    size_t used = 0;
    int shown = 0;
    PyObject *key, *entry;
    Py_ssize_t position = 0;
    while (state->targets && PyDict_Next(state->targets, &position, &key, &entry)) {
        double rate = PyFloat_AsDouble(PyTuple_GET_ITEM(entry, 1));
        if (rate < 1.0 && shown++ < SHOWN)
            used = put_rate(text, sizeof text, used, (PyCodeObject *)PyTuple_GET_ITEM(entry, 0), rate);
    }
    PyErr_Clear();
    if (shown > SHOWN)
        snprintf(text + used, sizeof text - used, ", and %d others", shown - SHOWN);
    return strdup(text);
}

PyMethodDef hp_target_methods[] = {
    {"add_target", (PyCFunction)(void (*)(void))add_target, METH_VARARGS | METH_KEYWORDS,
     "add_target($module, /, code, rate=1.0)\n--\n\nEach outermost call of this code object is traced with this probability, now and in "
     "later "
     "sessions. Kept alive."},
    {"remove_target", remove_target, METH_O, "remove_target($module, code, /)\n--\n\nNo target any more; unknown ones are ignored."},
    {"forget_beneath", forget_beneath, METH_NOARGS,
     "forget_beneath($module, /)\n--\n\nFunctions that are no targets lose their events; beneath targets and blocks they are met again."},
    {"targets", targets, METH_NOARGS, "targets($module, /)\n--\n\n(code, rate) of each target."},
    {"trace_everything", trace_everything, METH_O,
     "trace_everything($module, on, /)\n--\n\nEvery call in every thread, now and in later sessions."},
    {"hide_file", hide_file, METH_O,
     "hide_file($module, prefix, /)\n--\n\nFunctions whose file begins with this are left out of profiles; their time and children go to "
     "their "
     "callers."},
    {"set_thread_name", (PyCFunction)(void (*)(void))set_thread_name, METH_VARARGS | METH_KEYWORDS,
     "set_thread_name($module, /, ident, name)\n--\n\nident: threading.get_ident()."},
    {NULL, NULL, 0, NULL},
};
