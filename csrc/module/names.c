/* SPDX-License-Identifier: MIT */
/* What only Python knows of code and threads: the module that a file is, the name that a thread was given. Nothing is imported and
 * no attribute of the program's objects is asked for that could run its code. */
#include "module/module.h"
#include "module/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame/dict_watch.h"
#include "frame/frame.h"

/* A module's source file: __file__, or its spec's origin. A new reference to a str, or NULL without an exception. */
static PyObject *source_of(PyObject *module) {
    PyObject *names = PyModule_GetDict(module);
    PyObject *file = names ? PyDict_GetItemString(names, "__file__") : NULL;
    if (file && PyUnicode_Check(file))
        return Py_NewRef(file);
    PyObject *spec = names ? PyDict_GetItemString(names, "__spec__") : NULL;
    PyObject *origin_name = spec ? PyUnicode_FromString("origin") : NULL;
    PyObject *origin = origin_name ? PyObject_GenericGetAttr(spec, origin_name) : NULL;
    Py_XDECREF(origin_name);
    PyErr_Clear();
    if (origin && !PyUnicode_Check(origin))
        Py_CLEAR(origin);
    return origin;
}

/* {source file: module name}. A file that is __main__ and a module of another name too is __main__: that is what runs. */
static PyObject *map_files(void) {
    PyObject *modules = PyDict_Copy(PyImport_GetModuleDict());
    PyObject *map = PyDict_New();
    PyObject *name, *module;
    Py_ssize_t position = 0;
    while (modules && map && PyDict_Next(modules, &position, &name, &module)) {
        if (!PyUnicode_CheckExact(name) || !PyModule_Check(module))
            continue;
        PyObject *file = source_of(module);
        bool is_main = PyUnicode_CompareWithASCIIString(name, "__main__") == 0;
        if (file && (is_main ? PyDict_SetItem(map, file, name) < 0 : !PyDict_SetDefault(map, file, name)))
            PyErr_Clear();
        Py_XDECREF(file);
    }
    Py_XDECREF(modules);
    PyErr_Clear();
    return map;
}

/* Frozen modules carry their name in their file: <frozen importlib._bootstrap>. */
static char *frozen_module(const char *file) {
    static const char prefix[] = "<frozen ";
    size_t size = strlen(file);
    if (strncmp(file, prefix, sizeof prefix - 1) != 0 || file[size - 1] != '>')
        return NULL;
    return strndup(file + sizeof prefix - 1, size - sizeof prefix);
}

static char *module_of(PyObject *map, const char *file) {
    PyObject *key = hp_text_to_unicode(file);
    PyObject *name = key && map ? PyDict_GetItemWithError(map, key) : NULL;
    char *text = name ? hp_text_from_unicode(name) : NULL;
    Py_XDECREF(key);
    PyErr_Clear();
    return text ? text : frozen_module(file);
}

/* The map of files costs a walk over sys.modules: made when the first slot needs it. Returns false when memory is short. */
static bool name_module(hp_module_state *state, uint32_t slot, PyObject **map) {
    hp_code_info info;
    if (!hp_code_table_info(state->code, slot, &info) || info.module || info.kind != HP_CODE_PYTHON || !info.file)
        return true;
    if (!*map && !(*map = map_files()))
        return false;
    char *module = module_of(*map, info.file);
    hp_code_info more = {.kind = HP_CODE_PYTHON, .module = module ? module : ""};
    hp_status status = hp_code_table_describe(state->code, slot, &more);
    free(module);
    return status == HP_OK;
}

/* Read by a copy first: another interpreter's object, under another GIL, may die at any moment until hp_code_describe keeps it alive. The
 * tracer may have told the module alone. */
static bool describe_slot(hp_module_state *state, uint32_t slot) {
    hp_code_info info;
    if (hp_code_table_info(state->code, slot, &info) && info.qualname)
        return true;
    PyObject *object = (PyObject *)hp_code_table_address(state->code, slot);
    if (!object || hp_code_units_at((uintptr_t)object) == 0)
        return true;
    return hp_code_describe(state->code, slot, object) == HP_OK;
}

void hp_names_describe(hp_module_state *state) {
    uint32_t count = hp_code_table_count(state->code);
    PyObject *map = NULL;
    bool complete = true;
    for (uint32_t slot = state->described; slot < count; slot++)
        complete = describe_slot(state, slot) && complete;
    for (uint32_t slot = state->described; complete && slot < count; slot++)
        complete = name_module(state, slot, &map);
    Py_XDECREF(map);
    PyErr_Clear();
    if (complete && count > state->described)
        state->described = count;
}

/* What a class has under an attribute's name may be a property, whose code is the program's: it must not run where a dict is about to
 * change. A slot (a member descriptor) is CPython's own. */
static bool is_plain_attribute(PyObject *object, PyObject *name) {
    PyObject *found = _PyType_Lookup(Py_TYPE(object), name); /* borrowed */
    return !found || !Py_TYPE(found)->tp_descr_get || Py_IS_TYPE(found, &PyMemberDescr_Type);
}

/* threading._active[ident]._name, if the program has imported threading. Borrowed lookups; the name is a new reference or NULL. */
static PyObject *threading_name(PyObject *active, unsigned long ident) {
    PyObject *key = PyLong_FromUnsignedLong(ident);
    PyObject *thread = key ? PyDict_GetItemWithError(active, key) : NULL;
    PyObject *attribute = thread ? PyUnicode_FromString("_name") : NULL;
    PyObject *name = attribute && is_plain_attribute(thread, attribute) ? PyObject_GenericGetAttr(thread, attribute) : NULL;
    Py_XDECREF(attribute);
    Py_XDECREF(key);
    PyErr_Clear();
    if (name && !PyUnicode_Check(name))
        Py_CLEAR(name);
    return name;
}

static PyObject *find_active(void) {
    PyObject *threading = PyDict_GetItemString(PyImport_GetModuleDict(), "threading");
    PyObject *names = threading && PyModule_Check(threading) ? PyModule_GetDict(threading) : NULL;
    PyObject *active = names ? PyDict_GetItemString(names, "_active") : NULL;
    return active && PyDict_Check(active) ? Py_NewRef(active) : NULL;
}

/* What set_thread_name said, else what threading says, else that the main thread is the main thread. */
static char *name_of(hp_module_state *state, PyObject *active, const hp_thread *thread, unsigned long ident) {
    PyObject *key = PyLong_FromUnsignedLongLong(thread->state_id);
    PyObject *name = key ? Py_XNewRef(PyDict_GetItemWithError(state->names, key)) : NULL;
    Py_XDECREF(key);
    PyErr_Clear();
    if (!name && active)
        name = threading_name(active, ident);
    if (!name && thread->native_id == (uint64_t)state->pid)
        return strdup("MainThread");
    char *text = name ? hp_text_from_unicode(name) : NULL;
    Py_XDECREF(name);
    PyErr_Clear();
    return text;
}

/* Where a thread ends before anybody asks for its name: threading takes it out of _active in that very thread, and the dict tells us first.
 * A program may import threading later than the profiler: then sys.modules and the module tell of that. Guarded by: GIL. */
static hp_module_state *watching;

static void thread_ends(PyObject *active, PyObject *key) {
    const PyThreadState *own = PyThreadState_Get();
    hp_session *session = watching->session;
    if (!session || !session->running || !PyLong_Check(key) || PyLong_AsUnsignedLongMask(key) != own->thread_id)
        return;
    uint64_t interpreter_id = (uint64_t)PyInterpreterState_GetID(own->interp);
    const hp_thread *thread = hp_threads_find(session->threads, interpreter_id, PyThreadState_GetID((PyThreadState *)own));
    char *name = thread ? name_of(watching, active, thread, own->thread_id) : NULL;
    if (name)
        (void)hp_threads_set_name(session->threads, thread->index, name); /* short memory: it stays unnamed */
    free(name);
}

static void told(PyObject *dict, PyObject *key, PyObject *value) {
    PyObject *type, *error, *traceback;
    if (!watching)
        return;
    PyErr_Fetch(&type, &error, &traceback);
    bool has_name = PyUnicode_Check(key);
    if (!value)
        thread_ends(dict, key);
    else if (has_name && PyModule_Check(value) && PyUnicode_CompareWithASCIIString(key, "threading") == 0) {
        hp_dict_unwatch(dict);
        hp_dict_watch(PyModule_GetDict(value));
    } else if (has_name && PyDict_Check(value) && PyUnicode_CompareWithASCIIString(key, "_active") == 0) {
        hp_dict_unwatch(dict);
        hp_dict_watch(value);
    }
    PyErr_Restore(type, error, traceback);
}

void hp_names_watch(hp_module_state *state) {
    if (!hp_dict_watch_open(told))
        return;
    watching = state;
    PyObject *active = find_active();
    hp_dict_watch(active ? active : PyImport_GetModuleDict());
    Py_XDECREF(active);
    PyErr_Clear();
}

void hp_names_unwatch(const hp_module_state *state) {
    if (watching == state)
        watching = NULL;
}

void hp_names_threads(hp_module_state *state, hp_session *session) {
    int64_t now;
    if (hp_session_see_threads(session, false, &now) != HP_OK)
        return;
    PyObject *active = find_active();
    uint32_t count = hp_threads_count(session->threads);
    for (uint32_t i = 0; i < count; i++) {
        const hp_thread *thread = hp_threads_at(session->threads, i);
        /* Idents are used again: only a thread that is alive now can be the one that threading knows by its ident. */
        if (atomic_load_explicit(&thread->last_seen_ns, memory_order_relaxed) < now)
            continue;
        char *name = name_of(state, active, thread, (unsigned long)thread->pthread);
        const char *known = hp_threads_name(session->threads, i);
        if (name && (!known || strcmp(known, name) != 0))
            (void)hp_threads_set_name(session->threads, i, name); /* short memory: it keeps the old one */
        free(name);
    }
    Py_XDECREF(active);
    PyErr_Clear();
}

/* The main interpreter's named threads by native id, and of those that share one by number. */
static hp_status list_main_threads(hp_threads *threads, hp_pairs *served) {
    uint32_t count = served->size == 0 ? hp_threads_count(threads) : 0; /* else it is done */
    for (uint32_t i = 0; i < count; i++) {
        const hp_thread *thread = hp_threads_at(threads, i);
        uint32_t native_id = (uint32_t)thread->native_id, number = 0;
        if (thread->interpreter_id != 0 || native_id == 0 || !hp_threads_name(threads, i))
            continue;
        while (hp_pairs_get(served, native_id, number) != HP_NO_PAIR)
            number++;
        if (hp_pairs_put(served, native_id, number, i) == HP_NO_PAIR)
            return HP_NO_MEMORY;
    }
    return HP_OK;
}

static bool lived_at_once(const hp_thread *a, const hp_thread *b) {
    return a->first_seen_ns <= atomic_load_explicit(&b->last_seen_ns, memory_order_relaxed) &&
           b->first_seen_ns <= atomic_load_explicit(&a->last_seen_ns, memory_order_relaxed);
}

/* A native thread has a state in each interpreter that it is in; the main interpreter knows its name, if any does. */
static const char *name_in_main(hp_threads *threads, const hp_thread *inner, const hp_pairs *served) {
    uint32_t native_id = (uint32_t)inner->native_id, i;
    for (uint32_t number = 0; (i = hp_pairs_get(served, native_id, number)) != HP_NO_PAIR; number++)
        if (lived_at_once(inner, hp_threads_at(threads, i)))
            return hp_threads_name(threads, i);
    return NULL;
}

hp_status hp_names_thread(hp_threads *threads, const hp_thread *thread, hp_pairs *served, char **out) {
    const char *name = hp_threads_name(threads, thread->index);
    char where[48] = "", others[48] = "";
    *out = NULL;
    if (thread->interpreter_id == 0 && thread->earlier == 0) {
        *out = name ? strdup(name) : NULL;
        return name && !*out ? HP_NO_MEMORY : HP_OK;
    }
    if (thread->interpreter_id != 0) {
        if (list_main_threads(threads, served) != HP_OK)
            return HP_NO_MEMORY;
        const char *in_main = name_in_main(threads, thread, served); /* what the system knows is cut off after 15 bytes */
        name = in_main ? in_main : name;
        snprintf(where, sizeof where, " (interpreter %llu)", (unsigned long long)thread->interpreter_id);
    }
    if (thread->earlier > 0)
        snprintf(others, sizeof others, " and %u that ended before", thread->earlier);
    return asprintf(out, "%s%s%s", name ? name : "unnamed", where, others) < 0 ? HP_NO_MEMORY : HP_OK;
}
