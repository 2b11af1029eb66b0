/* SPDX-License-Identifier: MIT */
/* What callbacks are bound to: a Python object that knows its tracer, and outlives it where the interpreter or another tool keeps a
 * callback. And callbacks themselves: the interpreter calls their C function at once, where a PyCFunction would look at its flags and check
 * the recursion first, at each event. */
#ifndef HP_TRACER_HOOK_HANDLE_H
#define HP_TRACER_HOOK_HANDLE_H

#include "tracer/tracer.h"

typedef struct hp_handle {
    PyObject_HEAD hp_tracer *tracer; /* NULL when it is gone */
} hp_handle;

typedef struct hp_callback {
    PyObject_HEAD vectorcallfunc function;
    hp_handle *handle; /* owned */
} hp_callback;

/* New reference; NULL with an exception. */
hp_handle *hp_handle_new(hp_tracer *tracer);
/* A type of callbacks, and one of them. New references; NULL with an exception. `function` is called with the callback itself first. */
PyTypeObject *hp_callback_type_new(void);
PyObject *hp_callback_new(PyTypeObject *type, hp_handle *handle, vectorcallfunc function);
/* The tracer goes: forgets it and drops the reference. NULL is allowed. */
void hp_handle_end(hp_handle *handle);

static inline hp_tracer *hp_handle_tracer(PyObject *handle) {
    return ((hp_handle *)handle)->tracer;
}
static inline hp_tracer *hp_callback_tracer(PyObject *callback) {
    return ((hp_callback *)callback)->handle->tracer;
}

#endif
