/* SPDX-License-Identifier: MIT */
/* What callbacks are bound to: a Python object that knows its tracer, and outlives it where the interpreter or another tool keeps a
 * callback. */
#ifndef HP_TRACER_HOOK_HANDLE_H
#define HP_TRACER_HOOK_HANDLE_H

#include "tracer/tracer.h"

typedef struct hp_handle {
    PyObject_HEAD hp_tracer *tracer; /* NULL when it is gone */
} hp_handle;

/* New reference; NULL with an exception. */
hp_handle *hp_handle_new(hp_tracer *tracer);
/* The tracer goes: forgets it and drops the reference. NULL is allowed. */
void hp_handle_end(hp_handle *handle);

static inline hp_tracer *hp_handle_tracer(PyObject *handle) {
    return ((hp_handle *)handle)->tracer;
}

#endif
