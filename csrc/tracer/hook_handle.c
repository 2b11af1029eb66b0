/* SPDX-License-Identifier: MIT */
#include "tracer/hook_handle.h"

#include <structmember.h>

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

static void free_callback(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    Py_DECREF(((hp_callback *)self)->handle);
    PyObject_Free(self);
    Py_DECREF(type);
}

PyTypeObject *hp_callback_type_new(void) {
    static PyMemberDef members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(hp_callback, function), READONLY, NULL}, {0}};
    PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)free_callback}, {Py_tp_call, (void *)PyVectorcall_Call}, {Py_tp_members, members}, {0, NULL}};
    PyType_Spec spec = {.name = "hybridprof._core.TracerCallback",
                        .basicsize = (int)sizeof(hp_callback),
                        .flags =
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_VECTORCALL,
                        .slots = slots};
    return (PyTypeObject *)PyType_FromSpec(&spec);
}

PyObject *hp_callback_new(PyTypeObject *type, hp_handle *handle, vectorcallfunc function) {
    hp_callback *callback = PyObject_New(hp_callback, type);
    if (callback == NULL)
        return NULL;
    callback->function = function;
    callback->handle = (hp_handle *)Py_NewRef((PyObject *)handle);
    return (PyObject *)callback;
}

void hp_handle_end(hp_handle *handle) {
    if (handle != NULL)
        handle->tracer = NULL;
    Py_XDECREF(handle);
}
