/* SPDX-License-Identifier: MIT */
/* Which instructions call C code. The names are CPython's own (opcode.h, from 3.13 on opcode_ids.h); each version has its share of them.
 *
 * A frame on top of its stack that stands at a call is inside what it called, or the interpreter is making the callee's frame, or has just
 * removed it: for a tiny Python function that is half of the time. An instruction that was specialised for a Python callee is therefore no
 * call here (CALL_PY_*, CALL_BOUND_METHOD_*, CALL_KW_PY, CALL_KW_BOUND_METHOD, CALL_EX_PY, PRECALL_PYFUNC, PRECALL_BOUND_METHOD, and
 * CALL_ALLOC_AND_ENTER_INIT, whose object takes less than its __init__). One that was not specialised does not say: it counts as a call,
 * for what C code may take has no bound, and making a frame takes some 50 ns. */
#include <Python.h>
#include <opcode.h>

#include "frame/frame.h"

static const bool is_c_call[256] = {
#ifdef CALL
    [CALL] = true,
#endif
#ifdef CALL_ADAPTIVE
    [CALL_ADAPTIVE] = true,
#endif
#ifdef CALL_BUILTIN_CLASS
    [CALL_BUILTIN_CLASS] = true,
#endif
#ifdef CALL_BUILTIN_FAST
    [CALL_BUILTIN_FAST] = true,
#endif
#ifdef CALL_BUILTIN_FAST_WITH_KEYWORDS
    [CALL_BUILTIN_FAST_WITH_KEYWORDS] = true,
#endif
#ifdef CALL_BUILTIN_O
    [CALL_BUILTIN_O] = true,
#endif
#ifdef CALL_EX_NON_PY_GENERAL
    [CALL_EX_NON_PY_GENERAL] = true,
#endif
#ifdef CALL_FUNCTION_EX
    [CALL_FUNCTION_EX] = true,
#endif
#ifdef CALL_ISINSTANCE
    [CALL_ISINSTANCE] = true,
#endif
#ifdef CALL_KW
    [CALL_KW] = true,
#endif
#ifdef CALL_KW_NON_PY
    [CALL_KW_NON_PY] = true,
#endif
#ifdef CALL_LEN
    [CALL_LEN] = true,
#endif
#ifdef CALL_LIST_APPEND
    [CALL_LIST_APPEND] = true,
#endif
#ifdef CALL_METHOD_DESCRIPTOR_FAST
    [CALL_METHOD_DESCRIPTOR_FAST] = true,
#endif
#ifdef CALL_METHOD_DESCRIPTOR_FAST_WITH_KEYWORDS
    [CALL_METHOD_DESCRIPTOR_FAST_WITH_KEYWORDS] = true,
#endif
#ifdef CALL_METHOD_DESCRIPTOR_NOARGS
    [CALL_METHOD_DESCRIPTOR_NOARGS] = true,
#endif
#ifdef CALL_METHOD_DESCRIPTOR_O
    [CALL_METHOD_DESCRIPTOR_O] = true,
#endif
#ifdef CALL_NON_PY_GENERAL
    [CALL_NON_PY_GENERAL] = true,
#endif
#ifdef CALL_NO_KW_BUILTIN_FAST
    [CALL_NO_KW_BUILTIN_FAST] = true,
#endif
#ifdef CALL_NO_KW_BUILTIN_O
    [CALL_NO_KW_BUILTIN_O] = true,
#endif
#ifdef CALL_NO_KW_ISINSTANCE
    [CALL_NO_KW_ISINSTANCE] = true,
#endif
#ifdef CALL_NO_KW_LEN
    [CALL_NO_KW_LEN] = true,
#endif
#ifdef CALL_NO_KW_LIST_APPEND
    [CALL_NO_KW_LIST_APPEND] = true,
#endif
#ifdef CALL_NO_KW_METHOD_DESCRIPTOR_FAST
    [CALL_NO_KW_METHOD_DESCRIPTOR_FAST] = true,
#endif
#ifdef CALL_NO_KW_METHOD_DESCRIPTOR_NOARGS
    [CALL_NO_KW_METHOD_DESCRIPTOR_NOARGS] = true,
#endif
#ifdef CALL_NO_KW_METHOD_DESCRIPTOR_O
    [CALL_NO_KW_METHOD_DESCRIPTOR_O] = true,
#endif
#ifdef CALL_NO_KW_STR_1
    [CALL_NO_KW_STR_1] = true,
#endif
#ifdef CALL_NO_KW_TUPLE_1
    [CALL_NO_KW_TUPLE_1] = true,
#endif
#ifdef CALL_NO_KW_TYPE_1
    [CALL_NO_KW_TYPE_1] = true,
#endif
#ifdef CALL_STR_1
    [CALL_STR_1] = true,
#endif
#ifdef CALL_TUPLE_1
    [CALL_TUPLE_1] = true,
#endif
#ifdef CALL_TYPE_1
    [CALL_TYPE_1] = true,
#endif
#ifdef INSTRUMENTED_CALL
    [INSTRUMENTED_CALL] = true,
#endif
#ifdef INSTRUMENTED_CALL_FUNCTION_EX
    [INSTRUMENTED_CALL_FUNCTION_EX] = true,
#endif
#ifdef INSTRUMENTED_CALL_KW
    [INSTRUMENTED_CALL_KW] = true,
#endif
#ifdef PRECALL
    [PRECALL] = true,
#endif
#ifdef PRECALL_ADAPTIVE
    [PRECALL_ADAPTIVE] = true,
#endif
#ifdef PRECALL_BUILTIN_CLASS
    [PRECALL_BUILTIN_CLASS] = true,
#endif
#ifdef PRECALL_BUILTIN_FAST_WITH_KEYWORDS
    [PRECALL_BUILTIN_FAST_WITH_KEYWORDS] = true,
#endif
#ifdef PRECALL_METHOD_DESCRIPTOR_FAST_WITH_KEYWORDS
    [PRECALL_METHOD_DESCRIPTOR_FAST_WITH_KEYWORDS] = true,
#endif
#ifdef PRECALL_NO_KW_BUILTIN_FAST
    [PRECALL_NO_KW_BUILTIN_FAST] = true,
#endif
#ifdef PRECALL_NO_KW_BUILTIN_O
    [PRECALL_NO_KW_BUILTIN_O] = true,
#endif
#ifdef PRECALL_NO_KW_ISINSTANCE
    [PRECALL_NO_KW_ISINSTANCE] = true,
#endif
#ifdef PRECALL_NO_KW_LEN
    [PRECALL_NO_KW_LEN] = true,
#endif
#ifdef PRECALL_NO_KW_LIST_APPEND
    [PRECALL_NO_KW_LIST_APPEND] = true,
#endif
#ifdef PRECALL_NO_KW_METHOD_DESCRIPTOR_FAST
    [PRECALL_NO_KW_METHOD_DESCRIPTOR_FAST] = true,
#endif
#ifdef PRECALL_NO_KW_METHOD_DESCRIPTOR_NOARGS
    [PRECALL_NO_KW_METHOD_DESCRIPTOR_NOARGS] = true,
#endif
#ifdef PRECALL_NO_KW_METHOD_DESCRIPTOR_O
    [PRECALL_NO_KW_METHOD_DESCRIPTOR_O] = true,
#endif
#ifdef PRECALL_NO_KW_STR_1
    [PRECALL_NO_KW_STR_1] = true,
#endif
#ifdef PRECALL_NO_KW_TUPLE_1
    [PRECALL_NO_KW_TUPLE_1] = true,
#endif
#ifdef PRECALL_NO_KW_TYPE_1
    [PRECALL_NO_KW_TYPE_1] = true,
#endif
};

bool hp_instruction_is_c_call(uintptr_t instruction) {
    uint8_t opcode;
    return hp_memory_copy(&opcode, instruction, sizeof opcode) && is_c_call[opcode];
}
