/* SPDX-License-Identifier: MIT */
/* The description of CPython 3.12. */
#include "frame/describe.h"
#include "frame/describe_arenas.h"
#include "frame/describe_dict.h"
#include "frame/head_lock_semaphore.h"

#if PY_VERSION_HEX >> 16 != 0x030C
#error "this file is for CPython 3.12"
#endif

const hp_description hp_description_here = {
    HP_DESCRIBE_COMMON,
    HP_DESCRIBE_ARENAS,
    HP_DESCRIBE_DICT,
    .suspended_first = FRAME_SUSPENDED,
    .suspended_last = FRAME_SUSPENDED,
    .awaiting_first = FRAME_SUSPENDED,
    .awaiting_last = FRAME_SUSPENDED,
    .only_coroutines_await = true,
    .frame_stack = offsetof(struct _PyInterpreterFrame, stacktop),
    .frame_stack_is_index = true,
    .values_tag = 1,
    .frame_executable = offsetof(struct _PyInterpreterFrame, f_code),
    .owner_shim = FRAME_OWNED_BY_CSTACK,
    .owner_last = FRAME_OWNED_BY_CSTACK,
    .end = HP_END_SHIM,
    .frame_instruction = offsetof(struct _PyInterpreterFrame, prev_instr),
    .instruction_lead = sizeof(_Py_CODEUNIT),
    .state_top = offsetof(PyThreadState, cframe),
    .state_top_in_cframe = true,
    .cframe_top = offsetof(_PyCFrame, current_frame),
    .interpreter_gil = offsetof(PyInterpreterState, ceval.gil),
};
