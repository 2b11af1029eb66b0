/* SPDX-License-Identifier: MIT */
/* The part of a description that reads the same in every version's headers. Included by frame_3NN.c alone. */
#ifndef HP_FRAME_DESCRIBE_H
#define HP_FRAME_DESCRIBE_H

#include "frame/description.h"
#include "frame/layout.h"

#include <internal/pycore_interp.h>
#include <internal/pycore_runtime.h>

#ifdef Py_GIL_DISABLED
#define HP_WHY_NOT "the sampler proves what it reads by who holds the GIL, and this is a free-threaded build; use one with the GIL"
#else
#define HP_WHY_NOT NULL
#endif

#define HP_DESCRIBE_COMMON                                                                                                                 \
    .unsupported = HP_WHY_NOT, .frame_size = offsetof(struct _PyInterpreterFrame, localsplus),                                             \
    .frame_previous = offsetof(struct _PyInterpreterFrame, previous), .frame_owner = offsetof(struct _PyInterpreterFrame, owner),          \
    .owner_generator = FRAME_OWNED_BY_GENERATOR,                                                                                           \
    .generator_error = offsetof(PyGenObject, gi_iframe) - offsetof(PyGenObject, gi_exc_state), .coroutine_type = (uintptr_t)&PyCoro_Type,  \
    .generator_type = (uintptr_t)&PyGen_Type, .async_generator_type = (uintptr_t)&PyAsyncGen_Type,                                         \
    .generator_frame = offsetof(PyGenObject, gi_iframe), .generator_state = offsetof(PyGenObject, gi_frame_state),                         \
    .state_error = offsetof(PyThreadState, exc_info), .state_own_error = offsetof(PyThreadState, exc_state),                               \
    .code_instructions = offsetof(PyCodeObject, co_code_adaptive), .code_first_traceable = offsetof(PyCodeObject, _co_firsttraceable),     \
    .code_type = (uintptr_t)&PyCode_Type, .object_type = offsetof(PyObject, ob_type), .variable_size = offsetof(PyVarObject, ob_size),     \
    .state_next = offsetof(PyThreadState, next), .state_interpreter = offsetof(PyThreadState, interp),                                     \
    .state_id = offsetof(PyThreadState, id), .state_pthread = offsetof(PyThreadState, thread_id),                                          \
    .state_native_id = offsetof(PyThreadState, native_thread_id), .state_size = sizeof(PyThreadState),                                     \
    .state_chunk = offsetof(PyThreadState, datastack_chunk), .chunk_previous = offsetof(_PyStackChunk, previous),                          \
    .chunk_size = offsetof(_PyStackChunk, size), .interpreter_next = offsetof(PyInterpreterState, next),                                   \
    .interpreter_id = offsetof(PyInterpreterState, id), .interpreter_threads = offsetof(PyInterpreterState, threads.head),                 \
    .interpreter_collecting = offsetof(PyInterpreterState, gc.collecting), .gil_size = sizeof(struct _gil_runtime_state),                  \
    .gil_last_holder = offsetof(struct _gil_runtime_state, last_holder), .gil_locked = offsetof(struct _gil_runtime_state, locked),        \
    .gil_switches = offsetof(struct _gil_runtime_state, switch_number), .first_interpreter = (uintptr_t)&_PyRuntime.interpreters.head,     \
    .finalizing = (uintptr_t)&_PyRuntime._finalizing

#endif
