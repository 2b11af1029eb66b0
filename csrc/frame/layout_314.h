/* SPDX-License-Identifier: MIT */
/* CPython 3.14: as 3.13, but the executable is a tagged reference, and shims belong to the interpreter or lie on the C stack. */
#ifndef HP_FRAME_LAYOUT_314_H
#define HP_FRAME_LAYOUT_314_H

#include <internal/pycore_interpframe.h>

/* Low bits of a reference that are not part of the address, in every build (1 or 3, by version): objects are aligned to 8. */
enum { HP_LAYOUT_TAG = 3 };

static inline struct _PyInterpreterFrame *hp_layout_top(PyThreadState *state) {
    return state->current_frame;
}
static inline PyObject *hp_layout_executable(const struct _PyInterpreterFrame *frame) {
    return (PyObject *)(frame->f_executable.bits & ~(uintptr_t)HP_LAYOUT_TAG);
}
static inline bool hp_layout_is_shim(char owner) {
    return owner >= FRAME_OWNED_BY_INTERPRETER;
}
static inline const char *hp_layout_instruction(const struct _PyInterpreterFrame *frame) {
    return (const char *)frame->instr_ptr;
}

#endif
