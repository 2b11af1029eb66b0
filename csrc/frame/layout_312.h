/* SPDX-License-Identifier: MIT */
/* CPython 3.12: as 3.11, reordered. Each entry into the evaluation loop puts a shim on the C stack whose code is a trampoline. */
#ifndef HP_FRAME_LAYOUT_312_H
#define HP_FRAME_LAYOUT_312_H

#include <internal/pycore_frame.h>

static inline struct _PyInterpreterFrame *hp_layout_top(PyThreadState *state) {
    return state->cframe->current_frame;
}
static inline PyObject *hp_layout_executable(const struct _PyInterpreterFrame *frame) {
    return (PyObject *)frame->f_code;
}
static inline bool hp_layout_is_shim(char owner) {
    return owner >= FRAME_OWNED_BY_CSTACK;
}
static inline const char *hp_layout_instruction(const struct _PyInterpreterFrame *frame) {
    return (const char *)frame->prev_instr;
}

#endif
