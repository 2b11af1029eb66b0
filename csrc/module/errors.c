/* SPDX-License-Identifier: MIT */
/* The only translation of a status into an exception. The messages are the sentences of the floors below. */
#include "module/module.h"

#include <errno.h>
#include <string.h>

static const char NO_MEMORY[] = "not enough memory for what the profiler was asked; what it has measured is kept";

/* OSError(errno, sentence, path): Python picks the subclass (FileNotFoundError, PermissionError, ...) by errno. */
static void raise_system(const hp_error *error, const char *path) {
    PyObject *filename = path ? PyUnicode_DecodeFSDefault(path) : Py_NewRef(Py_None);
    if (!filename)
        return;
    PyObject *text = hp_text_to_unicode(error->text);
    PyObject *arguments = text ? Py_BuildValue("(iOO)", error->system, text, filename) : NULL;
    if (arguments)
        PyErr_SetObject(PyExc_OSError, arguments);
    Py_XDECREF(arguments);
    Py_XDECREF(text);
    Py_DECREF(filename);
}

/* What a file is blamed for is a FormatError; the same status about an argument or the machine is not. */
static PyObject *exception_of(const hp_module_state *state, hp_status status, const char *path) {
    if (status == HP_BAD_FORMAT || (path && (status == HP_UNSUPPORTED || status == HP_BAD_VALUE)))
        return state->format_error;
    return status == HP_BAD_VALUE ? PyExc_ValueError : PyExc_RuntimeError;
}

/* Where there is not even memory for the sentence, Python raises the MemoryError that it keeps for that. */
PyObject *hp_raise_no_memory(const char *sentence) {
    PyErr_SetString(PyExc_MemoryError, sentence);
    return NULL;
}

PyObject *hp_raise(hp_module_state *state, hp_status status, const hp_error *error, const char *path) {
    if (error->status != status)
        return hp_raise_status(state, status); /* whoever failed had no sentence for it */
    if (status == HP_NO_MEMORY)
        return hp_raise_no_memory(error->text[0] ? error->text : NO_MEMORY);
    if (status == HP_IO) {
        raise_system(error, path);
        return NULL;
    }
    PyObject *text = hp_text_to_unicode(error->text);
    if (text)
        PyErr_SetObject(exception_of(state, status, path), text);
    Py_XDECREF(text);
    return NULL;
}

PyObject *hp_raise_status(hp_module_state *state, hp_status status) {
    hp_error error = {.status = status};
    if (status != HP_NO_MEMORY)
        strcpy(error.text,
               status == HP_AGAIN ? "the program changed too fast to be read; try again" : "a bound of the profiler was reached");
    return hp_raise(state, status, &error, NULL);
}
