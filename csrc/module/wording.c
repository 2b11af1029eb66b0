/* SPDX-License-Identifier: MIT */
#include "module/wording.h"

#include <stdlib.h>

/* Which folders are taken off the names of files. -1 with an exception set. */
static int read_roots(PyObject *argument, hp_gathered *gathered) {
    if (argument == Py_None)
        return 0;
    PyObject *items = PySequence_Tuple(argument);
    Py_ssize_t count = items ? PyTuple_GET_SIZE(items) : 0;
    gathered->roots = items ? calloc((size_t)count + 1, sizeof *gathered->roots) : NULL;
    for (Py_ssize_t i = 0; gathered->roots && i < count; i++) {
        PyObject *item = PyTuple_GET_ITEM(items, i);
        char *root = PyUnicode_Check(item) ? hp_text_from_unicode(item) : NULL;
        if (!root) {
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_TypeError, "a root is a str, not %.100s", Py_TYPE(item)->tp_name);
            break;
        }
        gathered->roots[gathered->root_count++] = root;
    }
    if (items && !gathered->roots)
        PyErr_NoMemory();
    Py_XDECREF(items);
    return PyErr_Occurred() ? -1 : 0;
}

static int read_program(PyObject *argument, hp_gathered *gathered) {
    if (argument == Py_None)
        return 0;
    if (!PyUnicode_Check(argument)) {
        PyErr_Format(PyExc_TypeError, "program is a str or None, not %.100s", Py_TYPE(argument)->tp_name);
        return -1;
    }
    free(gathered->program);
    gathered->program = hp_text_from_unicode(argument);
    return gathered->program ? 0 : -1;
}

int hp_wording_read(PyObject *roots, PyObject *program, hp_gathered *words) {
    return read_roots(roots, words) < 0 || read_program(program, words) < 0 ? -1 : 0;
}

void hp_wording_move(hp_gathered *words, hp_gathered *gathered) {
    gathered->roots = words->roots;
    gathered->root_count = words->root_count;
    if (words->program) {
        free(gathered->program);
        gathered->program = words->program;
    }
    *words = (hp_gathered){0};
}
