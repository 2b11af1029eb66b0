/* SPDX-License-Identifier: MIT */
/* PyEval_SetProfile: the hook of 3.11, selectable everywhere.
 *
 * Two ways to have it on. *For one call* (3.11, plain functions): hp_tracer_call switches the calling thread's profile function on around
 * the call, so that all else runs at full speed. *For good* in every thread: for everything, for generator and coroutine targets (which run
 * in pieces), and on 3.12+ always, where switching costs 10 us and slows each hot function once more. A profile function that somebody else
 * has set is left alone: nothing is traced there, and a warning says so. */
#include "tracer/recorder.h"

typedef struct hp_setprofile {
    PyObject *handle;    /* what the profile function is bound to; shows whose it is */
    PyObject *installer; /* for threading.setprofile: new threads begin with it */
    bool for_good;
    uint32_t targets_for_good;
} hp_setprofile;

static const char others_function[] = "a thread has a profile function of another tool (sys.setprofile): nothing is traced in it";

static hp_setprofile *setprofile_of(const hp_tracer *tracer) { return tracer->hook_data; }

/* --- events ------------------------------------------------------------------------------------------------------------------------- */

static bool runs_in_pieces(const PyCodeObject *code) { return (code->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR)) != 0; }

/* The event is the same for calls, resumes and throws; where the frame stands tells them apart: at its first RESUME, behind, or before it
 * (throw() into a generator that never started). */
static hp_start_kind start_kind(hp_frame *frame, const PyCodeObject *code) {
    uint32_t unit = hp_frame_unit(frame);
    if (unit == (uint32_t)code->_co_firsttraceable)
        return HP_START_CALL;
    return hp_frame_stands_at_resume(frame) ? HP_START_RESUME : HP_START_THROW;
}

static int on_event(PyObject *self, PyFrameObject *Py_UNUSED(object), int what, PyObject *argument) {
    hp_tracer *tracer = PyCapsule_GetPointer(self, NULL);
    PyThreadState *thread = PyThreadState_Get();
    hp_frame *frame = hp_frame_current(thread);
    if (tracer == NULL || frame == NULL) {
        PyErr_Clear();
        return 0;
    }
    PyCodeObject *code = hp_frame_code(frame);
    switch (what) {
    case PyTrace_CALL:
        hp_record_start(tracer, code, runs_in_pieces(code) ? start_kind(frame, code) : HP_START_CALL);
        break;
    case PyTrace_RETURN:
        hp_record_end(tracer, code, argument != NULL && runs_in_pieces(code) && !hp_frame_stands_at_return(frame));
        break;
    case PyTrace_C_CALL:
        if (tracer->c_calls)
            hp_record_c_call(tracer, thread, argument);
        break;
    case PyTrace_C_RETURN:
    case PyTrace_C_EXCEPTION:
        if (tracer->c_calls)
            hp_record_c_return(tracer, thread, argument);
        break;
    default:
        break;
    }
    return 0;
}
