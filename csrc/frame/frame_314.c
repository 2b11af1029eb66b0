/* SPDX-License-Identifier: MIT */
/* The description of CPython 3.14. */
#include "frame/describe.h"
#include "frame/head_lock_mutex.h"

#if PY_VERSION_HEX >> 16 != 0x030E
#error "this file is for CPython 3.14"
#endif

const hp_description hp_description_here = {
    HP_DESCRIBE_COMMON,
    .frame_executable = offsetof(struct _PyInterpreterFrame, f_executable),
    .executable_tag = HP_LAYOUT_TAG,
    .owner_shim = FRAME_OWNED_BY_INTERPRETER,
    .owner_last = FRAME_OWNED_BY_CSTACK,
    .end = HP_END_SHIM,
    .frame_instruction = offsetof(struct _PyInterpreterFrame, instr_ptr),
    .state_top = offsetof(PyThreadState, current_frame),
    .interpreter_gil = offsetof(PyInterpreterState, ceval.gil),
};
