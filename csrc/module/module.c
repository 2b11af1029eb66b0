/* SPDX-License-Identifier: MIT */
/* The definition of `hybridprof._core`: multi-phase initialisation, heap types, state in the module. */
#include "module/module.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "module/session.h"
#include "module/stream.h"
#include "module/window.h"
#include "tree/error_bars.h"
#include "tree/line_table.h"

/* Which instance of the module lives. Static because it is about the process: threads, code objects and forks belong to it, so there can
 * be one profiler in it, whatever the number of interpreters or imports. Guarded by: the main interpreter's GIL (checked first). */
static bool is_loaded;

static bool refuse(const char *sentence) {
    PyErr_SetString(PyExc_ImportError, sentence);
    return false;
}

static bool may_load(void) {
#ifdef Py_GIL_DISABLED
    return refuse("hybridprof needs the GIL: this is a free-threaded build of Python; use the ordinary one of the same version");
#endif
    if (PyInterpreterState_Get() != PyInterpreterState_Main())
        return refuse("hybridprof profiles a process from its main interpreter: import it there, not in a subinterpreter");
    if (is_loaded)
        return refuse("hybridprof._core is loaded already and cannot be loaded twice: keep the first one in sys.modules");
    return true;
}

static int add_types(PyObject *module, hp_module_state *state) {
    state->format_error = PyErr_NewExceptionWithDoc("hybridprof._core.FormatError",
                                                    "A file or path is not what it should be; the message is one sentence with the path. "
                                                    "Also raised for unknown formats.",
                                                    PyExc_ValueError, NULL);
    if (!state->format_error || PyModule_AddObjectRef(module, "FormatError", state->format_error) < 0)
        return -1;
    state->profile_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &hp_profile_type_spec, NULL);
    if (!state->profile_type || PyModule_AddType(module, state->profile_type) < 0)
        return -1;
    state->format_type = hp_format_type_new();
    if (!state->format_type || PyModule_AddObjectRef(module, "Format", (PyObject *)state->format_type) < 0)
        return -1;
    PyObject *merge_type = PyType_FromModuleAndSpec(module, &hp_merge_type_spec, NULL);
    int added = merge_type ? PyModule_AddType(module, (PyTypeObject *)merge_type) : -1;
    Py_XDECREF(merge_type);
    if (added < 0)
        return -1;
    state->deep_function_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &hp_deep_function_type_spec, NULL);
    return state->deep_function_type ? PyModule_AddType(module, state->deep_function_type) : -1;
}

static int add_hooks(PyObject *module) {
    PyObject *hooks = hp_monitoring_is_there() ? Py_BuildValue("(ss)", "monitoring", "setprofile") : Py_BuildValue("(s)", "setprofile");
    int result = hooks ? PyModule_AddObjectRef(module, "HOOKS", hooks) : -1;
    Py_XDECREF(hooks);
    return result;
}

/* How long what no sample met may have run, in mean gaps: the half width of its interval. */
static int add_unseen_gaps(PyObject *module) {
    enum { GAP = 1000000 };
    PyObject *gaps = PyFloat_FromDouble((double)hp_error_half_width(hp_error_unseen(GAP)) / GAP);
    int result = gaps ? PyModule_AddObjectRef(module, "UNSEEN_GAPS", gaps) : -1;
    Py_XDECREF(gaps);
    return result;
}

static int module_exec(PyObject *module) {
    if (!may_load())
        return -1;
    hp_module_state *state = hp_module_state_of(module);
    hp_clock_init();
    state->pid = getpid();
    state->targets = PyDict_New();
    state->names = PyDict_New();
    if (!state->targets || !state->names || add_types(module, state) < 0 || add_hooks(module) < 0 || add_unseen_gaps(module) < 0)
        return -1;
    if (PyModule_AddFunctions(module, hp_session_methods) < 0 || PyModule_AddFunctions(module, hp_target_methods) < 0 ||
        PyModule_AddFunctions(module, hp_fork_methods) < 0 || PyModule_AddFunctions(module, hp_exit_file_methods) < 0 ||
        PyModule_AddFunctions(module, hp_window_methods) < 0)
        return -1;
    hp_status status = hp_code_table_new(&state->code);
    if (status != HP_OK) {
        hp_raise_status(state, status);
        return -1;
    }
    if (hp_fork_register(module) < 0)
        return -1;
    state->module = module;
    is_loaded = true;
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    const hp_module_state *state = hp_module_state_of(module);
    Py_VISIT(state->targets);
    Py_VISIT(state->names);
    Py_VISIT(state->format_error);
    Py_VISIT(state->profile_type);
    Py_VISIT(state->format_type);
    Py_VISIT(state->deep_function_type);
    Py_VISIT(state->after_fork);
    return 0;
}

/* The garbage collector may clear a module whose functions are still called: everything below copes with what is missing, but for the
 * containers, which are therefore emptied and not dropped. */
static int module_clear(PyObject *module) {
    const hp_module_state *state = hp_module_state_of(module);
    if (state->targets)
        PyDict_Clear(state->targets);
    if (state->names)
        PyDict_Clear(state->names);
    return 0;
}

/* atexit has stopped the session long before; this is for an import that failed and for embedders. The code table stays: what watches the
 * deaths of code objects is installed for the life of the process and writes to it. */
static void module_free(void *object) {
    hp_module_state *state = hp_module_state_of(object);
    if (state->module) {
        hp_session_stop(state);
        hp_session_drop(state);
        hp_stream_drop(state);
        hp_windows_drop(state);
        hp_names_unwatch(state);
        is_loaded = false;
    }
    for (uint32_t i = 0; i < state->hidden.count; i++)
        free(state->hidden.prefixes[i]);
    free(state->hidden.prefixes);
    Py_CLEAR(state->targets);
    Py_CLEAR(state->names);
    Py_CLEAR(state->format_error);
    Py_CLEAR(state->profile_type);
    Py_CLEAR(state->format_type);
    Py_CLEAR(state->deep_function_type);
    Py_CLEAR(state->after_fork);
}

/* The lines of a code object's instruction units, 0 where one has none: what co_positions() says, decoded as profiles decode it. */
static PyObject *unit_lines(PyObject *Py_UNUSED(module), PyObject *arguments) {
    const char *table;
    Py_ssize_t size;
    unsigned first_line, units;
    if (!PyArg_ParseTuple(arguments, "y#II:_unit_lines", &table, &size, &first_line, &units))
        return NULL;
    hp_line_reader reader;
    hp_line_reader_init(&reader, (const uint8_t *)table, (size_t)size, first_line);
    PyObject *list = PyList_New(units);
    for (unsigned unit = 0; list && unit < units; unit++) {
        PyObject *line = PyLong_FromUnsignedLong(hp_line_reader_line(&reader, unit));
        if (!line)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, unit, line);
    }
    return list;
}

static PyMethodDef module_methods[] = {
    {"formats", hp_core_formats, METH_NOARGS,
     "formats($module, /)\n--\n\nEach format: name, suffixes, prefix, can_read, can_write, and as attributes "
     "is_text, readers, keeps, loses, remark."},
    {"format_for_path", hp_core_format_for_path, METH_O,
     "format_for_path($module, path, /)\n--\n\nThe format that a file's name tells, or None."},
    {"load", hp_core_load, METH_O, "load($module, path, /)\n--\n\nReads a profile, by content. FormatError or OSError, each one sentence."},
    {"sources", hp_core_sources, METH_O,
     "sources($module, path, /)\n--\n\nWhat a file was merged from, or itself: see Profile.sources(). Reads little of it."},
    {"diff", hp_core_diff, METH_VARARGS,
     "diff($module, base, new, compare, /)\n--\n\nTwo Profiles compared, as plain data. ValueError where their clocks differ."},
    {"diff_stacks", hp_core_diff_stacks, METH_VARARGS,
     "diff_stacks($module, base, new, compare, /)\n--\n\nDifferential collapsed stacks. FormatError where one has no stacks."},
    {"diff_write", hp_core_diff_write, METH_VARARGS,
     "diff_write($module, base, new, compare, path, /)\n--\n\nThe same, atomically to a file."},
    {"_unit_lines", unit_lines, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "hybridprof._core",
    .m_doc = "The measuring core. One session per process; every function is safe from any thread. Times are ns, rates Hz.",
    .m_size = sizeof(hp_module_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void) {
    return PyModuleDef_Init(&module_definition);
}
