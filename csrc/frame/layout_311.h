/* SPDX-License-Identifier: MIT */
/* CPython 3.11: the chain starts at the C frame that the evaluation loop keeps; `prev_instr` is one unit before the next instruction.
 * There are no shims. */
#ifndef HP_FRAME_LAYOUT_311_H
#define HP_FRAME_LAYOUT_311_H

#include <internal/pycore_frame.h>

static inline struct _PyInterpreterFrame *hp_layout_top(PyThreadState *state) {
    return state->cframe->current_frame;
}
static inline PyObject *hp_layout_executable(const struct _PyInterpreterFrame *frame) {
    return (PyObject *)frame->f_code;
}
static inline bool hp_layout_is_shim(char owner) {
    return owner > FRAME_OWNED_BY_FRAME_OBJECT;
}
static inline const char *hp_layout_instruction(const struct _PyInterpreterFrame *frame) {
    return (const char *)frame->prev_instr;
}

#endif
