/* SPDX-License-Identifier: MIT */
/* The description of CPython 3.14. */
#include "frame/describe.h"
#include "frame/describe_arenas.h"
#include "frame/head_lock_mutex.h"

#include <internal/pycore_frame.h>
#include <internal/pycore_tstate.h>

#if PY_VERSION_HEX >> 16 != 0x030E
#error "this file is for CPython 3.14"
#endif

const hp_description hp_description_here = {
    HP_DESCRIBE_COMMON,
    HP_DESCRIBE_ARENAS,
    .allocator_is_pointer = true,
    .suspended_first = FRAME_SUSPENDED,
    .suspended_last = FRAME_SUSPENDED_YIELD_FROM,
    .awaiting_first = FRAME_SUSPENDED_YIELD_FROM,
    .awaiting_last = FRAME_SUSPENDED_YIELD_FROM,
    .frame_stack = offsetof(struct _PyInterpreterFrame, stackpointer),
    .state_task = offsetof(_PyThreadStateImpl, asyncio_running_task),
    .frame_executable = offsetof(struct _PyInterpreterFrame, f_executable),
    .executable_tag = HP_LAYOUT_TAG,
    .owner_shim = FRAME_OWNED_BY_INTERPRETER,
    .owner_last = FRAME_OWNED_BY_CSTACK,
    .end = HP_END_SHIM,
    .frame_instruction = offsetof(struct _PyInterpreterFrame, instr_ptr),
    .state_top = offsetof(PyThreadState, current_frame),
    .interpreter_gil = offsetof(PyInterpreterState, ceval.gil),
};
