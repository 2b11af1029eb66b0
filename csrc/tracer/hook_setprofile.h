/* SPDX-License-Identifier: MIT */
/* What the files of the setprofile hook share. */
#ifndef HP_TRACER_HOOK_SETPROFILE_H
#define HP_TRACER_HOOK_SETPROFILE_H

#include "tracer/hook_handle.h"
#include "tracer/recorder.h"

/* Owner: the tracer. Guarded by: GIL. */
typedef struct hp_setprofile {
    hp_handle *handle;
    PyObject *installer; /* what threading.setprofile was given: new threads begin with it */
    PyObject *threading; /* the module that was given it: the program may put another, or none, in sys.modules. NULL: none was */
    bool for_good;
    bool quitting; /* the event at hand is the last one that this thread wants */
    bool closing;
    bool pausing;             /* it is to go off for some time, once the event at hand is over */
    bool paused;              /* it would be on for good, were it not for the budget */
    int64_t paused_until_ns;  /* CLOCK_MONOTONIC: not on for good before */
    PyThreadState *deaf;      /* a thread that calls functions of `threading` for us: they are none of the program's calls */
    PyMethodDef *starters[2]; /* of _thread: after a return of one, a thread may be new */
} hp_setprofile;

static inline hp_setprofile *hp_setprofile_of(const hp_tracer *tracer) {
    return tracer->hook_data;
}

/* hook_setprofile.c */
int hp_setprofile_event(PyObject *self, PyFrameObject *object, int what, PyObject *argument);

/* hook_setprofile_tax.c */
/* A thread's function goes on, and has gone off. The latter may end extents of all threads, and ask for a pause. */
void hp_setprofile_tax_begin(const hp_tracer *tracer, hp_recorder *recorder);
void hp_setprofile_tax_end(hp_tracer *tracer, hp_recorder *recorder);

/* hook_setprofile_threads.c */
extern const char hp_setprofile_others[]; /* the warning that a thread has another tool's function */
/* Keeps the exception that may be set. Runs audit hooks, which may end the tracer. */
void hp_setprofile_here(hp_tracer *tracer, bool on);
void hp_setprofile_all(hp_tracer *tracer, bool on);
/* What `threading` gives to new threads. New reference; NULL with an exception. */
PyObject *hp_setprofile_new_installer(PyObject *handle);
/* Threads that `threading` starts begin with it, if the place is free. -1 with an exception. */
int hp_setprofile_set_threading(hp_setprofile *s);
/* No more. Cannot fail: where the place is not reached, the installer takes itself off each new thread. */
void hp_setprofile_unset_threading(hp_setprofile *s);

#endif
