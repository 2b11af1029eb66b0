/* SPDX-License-Identifier: MIT */
/* What a hook is: the thin layer that turns the interpreter's events into calls of the recorder. */
#ifndef HP_TRACER_HOOK_H
#define HP_TRACER_HOOK_H

#include "tracer/tracer.h"

/* What a thread's own hook was switched on with. */
typedef struct hp_entered {
    PyObject *handle;  /* outlives the tracer; NULL: there is nothing to leave */
    uint64_t round;    /* the hook's */
    uint64_t left_out; /* the call is not traced, and the hook was not touched. 0: it is */
} hp_entered;

typedef struct hp_hook {
    const char *name;
    hp_hook_kind kind;
    /* Takes what it needs (tool ids) and switches nothing on. -1 with RuntimeError set where it cannot work. */
    int (*open)(hp_tracer *tracer);
    /* Switches everything off and gives everything back. Never fails, leaves no error set. */
    void (*close)(hp_tracer *tracer);
    /* From now on the starts and ends of this function are reported. Cheap when it is so already. Sets HP_CODE_ARMED where ends are sure to
     * be seen. */
    int (*arm)(hp_tracer *tracer, PyCodeObject *code);
    int (*disarm)(hp_tracer *tracer, PyCodeObject *code);
    /* No events of this function any more, as the budget wants it. NULL where one function alone cannot be spared. */
    int (*drop)(hp_tracer *tracer, PyCodeObject *code);
    /* The calling thread's extent was ended in the midst of it: what is on for its sake may go off, once the event at hand
     * is over: switching runs the program's audit hooks, which may end the tracer. NULL: nothing is. */
    void (*quit)(hp_tracer *tracer);
    /* Every function in every thread: by events for all of them or, where the tracer says so (`by_function`), by giving each its own when
     * it is met. */
    int (*everything)(hp_tracer *tracer, bool on);
    /* An outermost call of a target begins (or a block): time to look for functions that are not armed yet. */
    void (*learn)(hp_tracer *tracer);
    /* Every function is to be met anew, also those that were met while nobody wanted them. NULL where `drop` is. */
    void (*meet_again)(hp_tracer *tracer);
    /* Nothing is armed and no call runs: what is on for all code goes off, until something is armed. NULL: nothing is. */
    void (*rest)(hp_tracer *tracer);
    /* Makes sure that threads that came by other ways are covered, and that nobody took the hook away. */
    void (*refresh)(hp_tracer *tracer);
    /* Whether events of the calling thread come to nobody but us. Leaves no exception. */
    bool (*is_alone)(const hp_tracer *tracer);
    int64_t refresh_every_ns; /* how old the last look may be where many targets are added: a look costs as much as arming a function */
    bool (*needs_wrapper)(const hp_tracer *tracer, PyCodeObject *code);
    /* The budget is spent: what is on for all threads, for the sake of targets that run in pieces, goes off for some time. False: nothing
     * is. NULL where `drop` is, and where it must stay on. */
    bool (*pause)(hp_tracer *tracer);
    /* Something that runs in pieces may have become a target or none any more, or have left a block; `host`: it is about to enter one. NULL
     * where arming is enough. -1 with an exception. */
    int (*cover)(hp_tracer *tracer, bool host);
    /* Switch the calling thread's own hook on and off around one call of `target`, unless that is left out, or around a block (NULL); NULL
     * where marking is enough. It is off when all that were entered have been left. */
    hp_entered (*enter)(hp_tracer *tracer, PyCodeObject *target);
    void (*leave)(hp_entered entered); /* the call may have ended the tracer */
} hp_hook;

extern const hp_hook hp_hook_setprofile;
extern const hp_hook hp_hook_monitoring; /* 3.12+ */

/* The hooks of this interpreter, the default first; NULL past the end. */
const hp_hook *hp_hook_offered(unsigned index);

#endif
