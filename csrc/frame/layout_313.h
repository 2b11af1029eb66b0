/* SPDX-License-Identifier: MIT */
/* CPython 3.13: the thread state points at the top frame; `instr_ptr` is the instruction itself. Shims on the C stack run None. */
#ifndef HP_FRAME_LAYOUT_313_H
#define HP_FRAME_LAYOUT_313_H

#include <internal/pycore_frame.h>

static inline struct _PyInterpreterFrame *hp_layout_top(PyThreadState *state) {
    return state->current_frame;
}
static inline PyObject *hp_layout_executable(const struct _PyInterpreterFrame *frame) {
    return frame->f_executable;
}
static inline bool hp_layout_is_shim(char owner) {
    return owner >= FRAME_OWNED_BY_CSTACK;
}
static inline const char *hp_layout_instruction(const struct _PyInterpreterFrame *frame) {
    return (const char *)frame->instr_ptr;
}

#endif
