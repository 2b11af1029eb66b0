/* SPDX-License-Identifier: MIT */
#include "tracer/hook_handle.h"

static void free_handle(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(type);
}

hp_handle *hp_handle_new(hp_tracer *tracer) {
    PyType_Slot slots[] = {{Py_tp_dealloc, (void *)free_handle}, {0, NULL}};
    PyType_Spec spec = {.name = "hybridprof._core.TracerHandle",
                        .basicsize = (int)sizeof(hp_handle),
                        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                        .slots = slots};
    PyTypeObject *type = (PyTypeObject *)PyType_FromSpec(&spec);
    hp_handle *handle = type != NULL ? PyObject_New(hp_handle, type) : NULL;
    Py_XDECREF(type); /* the instance holds it */
    if (handle != NULL)
        handle->tracer = tracer;
    return handle;
}

void hp_handle_end(hp_handle *handle) {
    if (handle != NULL)
        handle->tracer = NULL;
    Py_XDECREF(handle);
}
