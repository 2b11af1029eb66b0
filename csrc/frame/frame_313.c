/* SPDX-License-Identifier: MIT */
/* The description of CPython 3.13. */
#include "frame/describe.h"
#include "frame/describe_arenas.h"
#include "frame/describe_dict.h"
#include "frame/head_lock_mutex.h"

#if PY_VERSION_HEX >> 16 != 0x030D
#error "this file is for CPython 3.13"
#endif

const hp_description hp_description_here = {
    HP_DESCRIBE_COMMON,
    HP_DESCRIBE_ARENAS,
    .allocator_is_pointer = true,
    HP_DESCRIBE_DICT,
    .suspended_first = FRAME_SUSPENDED,
    .suspended_last = FRAME_SUSPENDED_YIELD_FROM,
    .awaiting_first = FRAME_SUSPENDED_YIELD_FROM,
    .awaiting_last = FRAME_SUSPENDED_YIELD_FROM,
    .frame_stack = offsetof(struct _PyInterpreterFrame, stacktop),
    .frame_stack_is_index = true,
    .values_inline = sizeof(PyObject) + offsetof(struct _dictvalues, values),
    .values_first = offsetof(struct _dictvalues, values),
    .frame_executable = offsetof(struct _PyInterpreterFrame, f_executable),
    .owner_shim = FRAME_OWNED_BY_CSTACK,
    .owner_last = FRAME_OWNED_BY_CSTACK,
    .end = HP_END_SHIM,
    .frame_instruction = offsetof(struct _PyInterpreterFrame, instr_ptr),
    .state_top = offsetof(PyThreadState, current_frame),
    .interpreter_gil = offsetof(PyInterpreterState, ceval.gil),
};
