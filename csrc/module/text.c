/* SPDX-License-Identifier: MIT */
#include "module/module.h"

#include <string.h>

PyObject *hp_text_to_unicode(const char *text) {
    Py_ssize_t size = (Py_ssize_t)strlen(text);
    PyObject *unicode = PyUnicode_DecodeUTF8(text, size, "surrogatepass");
    if (unicode || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
        return unicode;
    /* A file can hold any bytes in a name. */
    PyErr_Clear();
    return PyUnicode_DecodeUTF8(text, size, "backslashreplace");
}

static char *copy_bytes(PyObject *bytes) {
    char *copy = bytes ? strdup(PyBytes_AS_STRING(bytes)) : NULL;
    if (bytes && !copy)
        hp_raise_no_memory("not enough memory for a copy of a name or path");
    Py_XDECREF(bytes);
    return copy;
}

char *hp_text_from_unicode(PyObject *unicode) {
    return copy_bytes(PyUnicode_AsEncodedString(unicode, "utf-8", "surrogatepass"));
}

char *hp_text_from_path(PyObject *path) {
    PyObject *bytes = NULL;
    return PyUnicode_FSConverter(path, &bytes) ? copy_bytes(bytes) : NULL;
}
