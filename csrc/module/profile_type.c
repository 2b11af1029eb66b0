/* SPDX-License-Identifier: MIT */
/* The Profile type and what reads and writes files. Formats run without the GIL: a profile is immutable and `self` keeps it alive. */
#include "module/profile_type.h"

#include <stdlib.h>
#include <string.h>

#include "formats/format.h"
#include "tree/select.h"

PyObject *hp_profile_wrap(hp_module_state *state, hp_profile *profile) {
    hp_profile_object *self = PyObject_New(hp_profile_object, state->profile_type);
    if (!self) {
        hp_profile_free(profile);
        return NULL;
    }
    self->profile = profile;
    return (PyObject *)self;
}

static void profile_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    hp_profile_free(((hp_profile_object *)self)->profile);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *profile_sizeof(PyObject *self, PyObject *Py_UNUSED(none)) {
    return PyLong_FromUnsignedLongLong(sizeof(hp_profile_object) + hp_profile_bytes(((hp_profile_object *)self)->profile));
}

static PyObject *profile_repr(PyObject *self) {
    const hp_profile *profile = ((hp_profile_object *)self)->profile;
    return PyUnicode_FromFormat("<Profile of %u functions in %u threads>", profile->function_count, profile->thread_count);
}

/* "pstats, callgrind, ...", cut at `size`. */
static void list_formats(char *text, size_t size, bool read) {
    text[0] = '\0';
    for (const hp_format *const *format = hp_formats; *format; format++) {
        if (read ? !(*format)->read : !(*format)->write)
            continue;
        if (text[0])
            strncat(text, ", ", size - strlen(text) - 1);
        strncat(text, (*format)->name, size - strlen(text) - 1);
    }
}

static const hp_format *unknown_format(hp_module_state *state, PyObject *name) {
    char known[256];
    list_formats(known, sizeof known, false);
    PyErr_Format(state->format_error, "unknown format %R: it must be one of %s", name, known);
    return NULL;
}

static const hp_format *writable(hp_module_state *state, const hp_format *format) {
    if (format->write)
        return format;
    char known[256];
    list_formats(known, sizeof known, false);
    PyErr_Format(state->format_error, "format '%s' can be read but not written: write one of %s", format->name, known);
    return NULL;
}

static const hp_format *format_named(hp_module_state *state, PyObject *name) {
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "a format is named by a str, not by %.100s", Py_TYPE(name)->tp_name);
        return NULL;
    }
    const char *text = PyUnicode_AsUTF8(name);
    const hp_format *format = text ? hp_format_named(text) : NULL;
    PyErr_Clear();
    return format ? writable(state, format) : unknown_format(state, name);
}

static const hp_format *format_of_path(hp_module_state *state, const char *path, PyObject *shown) {
    const hp_format *format = hp_format_for_path(path);
    if (format)
        return writable(state, format);
    char known[256];
    list_formats(known, sizeof known, false);
    PyErr_Format(state->format_error, "the name %R does not tell a format: pass format=, one of %s", shown, known);
    return NULL;
}

static hp_module_state *state_of(PyObject *self) {
    return PyType_GetModuleState(Py_TYPE(self));
}

static PyObject *profile_write(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"path", "format", NULL};
    PyObject *path_argument, *format_argument = Py_None;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O:write", names, &path_argument, &format_argument))
        return NULL;
    char *path = hp_text_from_path(path_argument);
    if (!path)
        return NULL;
    hp_module_state *state = state_of(self);
    const hp_format *format =
        format_argument == Py_None ? format_of_path(state, path, path_argument) : format_named(state, format_argument);
    PyObject *result = NULL;
    if (format) {
        hp_error error = {0};
        hp_status status;
        Py_BEGIN_ALLOW_THREADS status = hp_export(((hp_profile_object *)self)->profile, path, format, &error);
        Py_END_ALLOW_THREADS result = status == HP_OK ? Py_NewRef(Py_None) : hp_raise(state, status, &error, path);
    }
    free(path);
    return result;
}

static hp_status encode(const hp_profile *profile, const hp_format *format, hp_sink **sink, hp_error *error) {
    if (hp_sink_memory(sink) != HP_OK)
        return hp_fail(error, HP_NO_MEMORY, 0, "no memory to encode a profile as %s", format->name);
    hp_status status = format->write(*sink, profile, error);
    return status == HP_OK ? hp_sink_flush(*sink, error) : status;
}

static PyObject *profile_encode(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"format", NULL};
    PyObject *name;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O:encode", names, &name))
        return NULL;
    hp_module_state *state = state_of(self);
    const hp_format *format = format_named(state, name);
    if (!format)
        return NULL;
    hp_sink *sink = NULL;
    hp_error error = {0};
    hp_status status;
    Py_BEGIN_ALLOW_THREADS status = encode(((hp_profile_object *)self)->profile, format, &sink, &error);
    Py_END_ALLOW_THREADS PyObject *result = NULL;
    if (status == HP_OK) {
        size_t size;
        const uint8_t *bytes = hp_sink_bytes(sink, &size);
        result = PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)size);
    } else if (status == HP_UNSUPPORTED) { /* the profile and the format do not go together: bad input, as for write() */
        PyErr_SetString(state->format_error, error.text);
    } else {
        hp_raise(state, status, &error, NULL);
    }
    hp_sink_free(sink);
    return result;
}

/* A writer that waits for its reader hears Ctrl-C as Python's own does. `waiting`: the thread state that it gave up. */
static bool go_on_after_signal(void *waiting) {
    PyThreadState **thread = waiting;
    PyEval_RestoreThread(*thread);
    bool goes_on = PyErr_CheckSignals() == 0;
    *thread = PyEval_SaveThread();
    return goes_on;
}

static hp_status write_to(const hp_profile *profile, const hp_format *format, int descriptor, PyThreadState **waiting, hp_error *error) {
    hp_sink *sink = NULL;
    if (hp_sink_descriptor(&sink, descriptor) != HP_OK)
        return hp_fail(error, HP_NO_MEMORY, 0, "no memory to write a profile as %s", format->name);
    hp_sink_ask_after_signals(sink, go_on_after_signal, waiting);
    hp_status status = format->write(sink, profile, error);
    if (status == HP_OK)
        status = hp_sink_flush(sink, error);
    hp_sink_free(sink);
    return status;
}

static PyObject *profile_write_to(PyObject *self, PyObject *arguments) {
    int descriptor;
    PyObject *name;
    if (!PyArg_ParseTuple(arguments, "iO:write_to", &descriptor, &name))
        return NULL;
    hp_module_state *state = state_of(self);
    const hp_format *format = format_named(state, name);
    if (!format)
        return NULL;
    hp_error error = {0};
    PyThreadState *thread = PyEval_SaveThread();
    hp_status status = write_to(((hp_profile_object *)self)->profile, format, descriptor, &thread, &error);
    PyEval_RestoreThread(thread);
    if (status == HP_OK)
        Py_RETURN_NONE;
    if (PyErr_Occurred()) /* what a signal's handler raised */
        return NULL;
    if (status != HP_UNSUPPORTED)
        return hp_raise(state, status, &error, NULL);
    PyErr_SetString(state->format_error, error.text); /* as for encode() */
    return NULL;
}

static int state_named(PyObject *name) {
    static const char *const names[HP_STATES] = HP_STATE_NAMES;
    for (int i = 0; PyUnicode_Check(name) && i < HP_STATES; i++)
        if (PyUnicode_CompareWithASCIIString(name, names[i]) == 0)
            return i;
    PyErr_Format(PyExc_ValueError, "there is no state %R", name);
    return -1;
}

static PyObject *profile_select(PyObject *self, PyObject *names) {
    PyObject *list = PySequence_Fast(names, "states is a sequence of names");
    uint32_t states = 0;
    int one = 0;
    for (Py_ssize_t i = 0; list && one >= 0 && i < PySequence_Fast_GET_SIZE(list); i++) {
        one = state_named(PySequence_Fast_GET_ITEM(list, i));
        states |= one >= 0 ? 1u << (unsigned)one : 0;
    }
    Py_XDECREF(list);
    if (!list || one < 0)
        return NULL;
    hp_profile *selected = NULL;
    hp_status status;
    Py_BEGIN_ALLOW_THREADS status = hp_profile_select(((hp_profile_object *)self)->profile, states, &selected);
    Py_END_ALLOW_THREADS return status == HP_OK ? hp_profile_wrap(state_of(self), selected) : hp_raise_status(state_of(self), status);
}

PyObject *hp_core_load(PyObject *module, PyObject *path_argument) {
    char *path = hp_text_from_path(path_argument);
    if (!path)
        return NULL;
    hp_profile *profile = NULL;
    hp_error error = {0};
    hp_status status;
    Py_BEGIN_ALLOW_THREADS status = hp_import(path, HP_IMPORT_ALL, &profile, &error);
    Py_END_ALLOW_THREADS PyObject *result =
        status == HP_OK ? hp_profile_wrap(hp_module_state_of(module), profile) : hp_raise(hp_module_state_of(module), status, &error, path);
    free(path);
    return result;
}

static PyObject *suffixes_of(const hp_format *format) {
    Py_ssize_t count = 0;
    while (format->suffixes && format->suffixes[count])
        count++;
    PyObject *suffixes = PyTuple_New(count);
    for (Py_ssize_t i = 0; suffixes && i < count; i++) {
        PyObject *suffix = PyUnicode_FromString(format->suffixes[i]);
        if (!suffix)
            Py_CLEAR(suffixes);
        else
            PyTuple_SET_ITEM(suffixes, i, suffix);
    }
    return suffixes;
}

/* The parts of a profile that are among `kept`. */
static PyObject *parts_of(unsigned kept) {
    static const char *const names[] = HP_KEEPS_NAMES;
    PyObject *parts = PyTuple_New(__builtin_popcount(kept));
    Py_ssize_t count = 0;
    for (unsigned i = 0; parts && i < sizeof names / sizeof *names; i++) {
        PyObject *part = (kept >> i & 1) != 0 ? PyUnicode_FromString(names[i]) : NULL;
        if (part)
            PyTuple_SET_ITEM(parts, count++, part);
        else if ((kept >> i & 1) != 0)
            Py_CLEAR(parts);
    }
    return parts;
}

/* The first five are its items, and the rest attributes only: who unpacks a format knows what it gets. */
static PyStructSequence_Field format_fields[] = {
    {"name", NULL},    {"suffixes", NULL}, {"prefix", NULL}, {"can_read", NULL}, {"can_write", NULL}, {"is_text", NULL},
    {"readers", NULL}, {"keeps", NULL},    {"loses", NULL},  {"remark", NULL},   {NULL, NULL},
};
enum { FORMAT_ITEMS = 5, FORMAT_FIELDS = sizeof format_fields / sizeof *format_fields - 1 };

PyTypeObject *hp_format_type_new(void) {
    PyStructSequence_Desc description = {"hybridprof._core.Format", NULL, format_fields, FORMAT_ITEMS};
    return PyStructSequence_NewType(&description);
}

static PyObject *format_row(PyTypeObject *type, const hp_format *format) {
    PyObject *values[FORMAT_FIELDS] = {PyUnicode_FromString(format->name),
                                       suffixes_of(format),
                                       format->prefix ? PyUnicode_FromString(format->prefix) : Py_NewRef(Py_None),
                                       PyBool_FromLong(format->read != NULL),
                                       PyBool_FromLong(format->write != NULL),
                                       PyBool_FromLong(format->is_text),
                                       PyUnicode_FromString(format->readers),
                                       parts_of(format->keeps),
                                       parts_of(HP_KEEPS_ALL & ~format->keeps),
                                       format->remark ? PyUnicode_FromString(format->remark) : Py_NewRef(Py_None)};
    PyObject *row = PyStructSequence_New(type);
    bool whole = row != NULL;
    for (Py_ssize_t i = 0; i < FORMAT_FIELDS; i++) {
        whole = whole && values[i];
        if (row && values[i])
            PyStructSequence_SetItem(row, i, values[i]); /* takes it over */
        else
            Py_XDECREF(values[i]);
    }
    if (!whole)
        Py_CLEAR(row);
    return row;
}

PyObject *hp_core_formats(PyObject *module, PyObject *Py_UNUSED(none)) {
    PyObject *list = PyList_New(0);
    for (const hp_format *const *at = hp_formats; list && *at; at++) {
        PyObject *row = format_row(hp_module_state_of(module)->format_type, *at);
        if (!row || PyList_Append(list, row) < 0)
            Py_CLEAR(list);
        Py_XDECREF(row);
    }
    return list;
}

PyObject *hp_core_format_for_path(PyObject *Py_UNUSED(module), PyObject *path_argument) {
    char *path = hp_text_from_path(path_argument);
    if (!path)
        return NULL;
    const hp_format *format = hp_format_for_path(path);
    free(path);
    return format ? PyUnicode_FromString(format->name) : Py_NewRef(Py_None);
}

static PyObject *profile_sources(PyObject *self, PyObject *Py_UNUSED(none)) {
    return hp_profile_source_list(((hp_profile_object *)self)->profile);
}

static PyObject *profile_left_out(PyObject *self, PyObject *Py_UNUSED(none)) {
    return PyLong_FromUnsignedLongLong(((hp_profile_object *)self)->profile->left_out);
}

static PyObject *profile_timeline(PyObject *self, PyObject *Py_UNUSED(none)) {
    const hp_timeline *line = &((hp_profile_object *)self)->profile->timeline;
    if (!line->kept)
        Py_RETURN_NONE;
    return Py_BuildValue("(IK)", (unsigned)line->count, (unsigned long long)line->lost);
}

static PyMethodDef profile_methods[] = {
    {"meta", (PyCFunction)hp_profile_meta, METH_NOARGS,
     "meta($self, /)\n--\n\nThe keys of `hybridprof info --json`, and profile_id (32 hex digits), sampler_method, tracer_hook, "
     "tracing_spared."},
    {"functions", (PyCFunction)hp_profile_functions, METH_NOARGS,
     "functions($self, /)\n--\n\n(qualname, module, name, file, line, calls, primitive_calls, self_ns, total_ns, self_error_ns, "
     "total_error_ns, "
     "measured, samples, kind) of every function."},
    {"edges", (PyCFunction)hp_profile_edges, METH_NOARGS,
     "edges($self, /)\n--\n\n(caller, callee, calls, primitive_calls, self_ns, total_ns, measured); caller -1 at a thread's root."},
    {"nodes", (PyCFunction)hp_profile_nodes, METH_NOARGS,
     "nodes($self, /)\n--\n\n(parent, function, calls, self_ns, total_ns, samples, measured), parents first."},
    {"errors", (PyCFunction)hp_profile_errors, METH_NOARGS,
     "errors($self, /)\n--\n\nHalf widths of the 95 % intervals (ns) of what nodes(), edges(), threads and states have."},
    {"threads", (PyCFunction)hp_profile_threads, METH_NOARGS, "threads($self, /)\n--\n\nA dict for each thread; times in ns."},
    {"lines", (PyCFunction)hp_profile_lines, METH_NOARGS, "lines($self, /)\n--\n\n(node, line, samples, sampled_ns, state)."},
    {"sources", profile_sources, METH_NOARGS,
     "sources($self, /)\n--\n\nA dict for each profile that was merged into this one; itself where none was."},
    {"left_out", profile_left_out, METH_NOARGS, "left_out($self, /)\n--\n\nFiles that merges could not read."},
    {"timeline", profile_timeline, METH_NOARGS,
     "timeline($self, /)\n--\n\n(samples, lost) of the samples in the order of time; None where they were not asked for."},
    {"select", profile_select, METH_O,
     "select($self, states, /)\n--\n\nThe samples in these states (a sequence of names), as a Profile. ValueError for an unknown name."},
    {"write", (PyCFunction)(void (*)(void))profile_write, METH_VARARGS | METH_KEYWORDS,
     "write($self, /, path, format=None)\n--\n\nWrites the profile atomically, without the GIL. FormatError or OSError."},
    {"encode", (PyCFunction)(void (*)(void))profile_encode, METH_VARARGS | METH_KEYWORDS,
     "encode($self, /, format)\n--\n\nThe bytes that write() would write."},
    {"write_to", profile_write_to, METH_VARARGS,
     "write_to($self, descriptor, format, /)\n--\n\nWrites it to a pipe or whatever else is open there, piece by piece, without the GIL."},
    {"__sizeof__", profile_sizeof, METH_NOARGS, "__sizeof__($self, /)\n--\n\nBytes of memory, about."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot profile_slots[] = {
    {Py_tp_dealloc, profile_dealloc},
    {Py_tp_repr, profile_repr},
    {Py_tp_methods, profile_methods},
    {Py_tp_doc, "Finished, immutable data. Made by snapshot() and load()."},
    {0, NULL},
};

PyType_Spec hp_profile_type_spec = {
    .name = "hybridprof._core.Profile",
    .basicsize = sizeof(hp_profile_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = profile_slots,
};
