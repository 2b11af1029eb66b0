/* SPDX-License-Identifier: MIT */
/* The current thread's Python frames, for code that holds the GIL (hooks). Everything is inline: a hook runs for each call.
 *
 * "Complete" is CPython's own word: a frame that has passed its prologue, so that sys._getframe() shows it. The sampler, which has no
 * GIL, must not use any of this: it would read code objects that may die. */
#ifndef HP_FRAME_CURRENT_H
#define HP_FRAME_CURRENT_H

#include "frame/layout.h"

/* The state that this thread runs with the GIL; NULL, or another thread's, where it does not hold it. The old name is deprecated in 3.15,
 * the new one came with 3.13. */
static inline PyThreadState *hp_state_current(void) {
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_GetUnchecked();
#else
    return _PyThreadState_UncheckedGet();
#endif
}

/* The top frame of `state`, complete or not, shims included; NULL where no Python code runs. */
static inline struct _PyInterpreterFrame *hp_frame_top(PyThreadState *state) {
    return hp_layout_top(state);
}

static inline PyCodeObject *hp_frame_code(struct _PyInterpreterFrame *frame) {
    return (PyCodeObject *)hp_layout_executable(frame);
}

/* False for shims (entries from C), for frames in their prologue and for executables that are not code objects. */
static inline bool hp_frame_complete(struct _PyInterpreterFrame *frame) {
    if (hp_layout_is_shim(frame->owner))
        return false;
    PyObject *executable = hp_layout_executable(frame);
    if (executable == NULL || !PyCode_Check(executable))
        return false;
    if (frame->owner == FRAME_OWNED_BY_GENERATOR)
        return true;
    PyCodeObject *code = (PyCodeObject *)executable;
    return hp_layout_instruction(frame) >= (const char *)code->co_code_adaptive + (size_t)code->_co_firsttraceable * sizeof(_Py_CODEUNIT);
}

static inline struct _PyInterpreterFrame *hp_frame_first_complete(struct _PyInterpreterFrame *frame) {
    while (frame != NULL && !hp_frame_complete(frame))
        frame = frame->previous;
    return frame;
}

/* The frame that runs now, as sys._getframe() sees it; NULL where there is none. */
static inline struct _PyInterpreterFrame *hp_frame_current(PyThreadState *state) {
    return hp_frame_first_complete(hp_layout_top(state));
}

/* Its caller, shims and incomplete frames skipped; NULL at the end. */
static inline struct _PyInterpreterFrame *hp_frame_previous(struct _PyInterpreterFrame *frame) {
    return hp_frame_first_complete(frame->previous);
}

/* Index of the instruction unit the frame stands at. */
static inline uint32_t hp_frame_unit(struct _PyInterpreterFrame *frame) {
    ptrdiff_t offset = hp_layout_instruction(frame) - (const char *)hp_frame_code(frame)->co_code_adaptive;
    return offset < 0 ? 0 : (uint32_t)((size_t)offset / sizeof(_Py_CODEUNIT));
}

/* True for the frame of a generator, coroutine or async generator, which lies in that object on the heap. */
static inline bool hp_frame_of_generator(struct _PyInterpreterFrame *frame) {
    return frame->owner == FRAME_OWNED_BY_GENERATOR;
}

#endif
