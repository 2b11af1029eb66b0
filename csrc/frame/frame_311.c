/* SPDX-License-Identifier: MIT */
/* The description of CPython 3.11. */
#include "frame/describe.h"
#include "frame/describe_dict.h"
#include "frame/head_lock_semaphore.h"

#if PY_VERSION_HEX >> 16 != 0x030B
#error "this file is for CPython 3.11"
#endif

const hp_description hp_description_here = {
    HP_DESCRIBE_COMMON,
    HP_DESCRIBE_DICT,
    .interpreter_breaker = offsetof(PyInterpreterState, ceval.eval_breaker),
    .suspended_first = FRAME_SUSPENDED,
    .suspended_last = FRAME_SUSPENDED,
    .awaiting_first = FRAME_SUSPENDED,
    .awaiting_last = FRAME_SUSPENDED,
    .only_coroutines_await = true,
    .frame_stack = offsetof(struct _PyInterpreterFrame, stacktop),
    .frame_stack_is_index = true,
    .values_before = 4 * sizeof(void *),
    .frame_executable = offsetof(struct _PyInterpreterFrame, f_code),
    .owner_shim = FRAME_OWNED_BY_FRAME_OBJECT + 1,
    .owner_last = FRAME_OWNED_BY_FRAME_OBJECT,
    .frame_is_entry = offsetof(struct _PyInterpreterFrame, is_entry),
    .end = HP_END_ENTRY_FRAME,
    .frame_instruction = offsetof(struct _PyInterpreterFrame, prev_instr),
    .instruction_lead = sizeof(_Py_CODEUNIT),
    .state_top = offsetof(PyThreadState, cframe),
    .state_top_in_cframe = true,
    .cframe_top = offsetof(_PyCFrame, current_frame),
    .gil = (uintptr_t)&_PyRuntime.ceval.gil,
    .current_state = (uintptr_t)&_PyRuntime.gilstate.tstate_current,
};
