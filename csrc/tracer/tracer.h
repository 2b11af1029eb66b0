/* SPDX-License-Identifier: MIT */
/* The tracer: exact calls, times and callers beneath targets.
 *
 * One recorder (recorder.c: shadow stack -> call tree) under two thin hooks that implement hook.h. Everything here is guarded by the
 * GIL. Times inside are ticks. A target's tree hangs at the calling context in which it was entered. */
#ifndef HP_TRACER_TRACER_H
#define HP_TRACER_TRACER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/code_table.h"
#include "base/threads.h"
#include "tree/call_tree.h"

typedef enum hp_hook_kind { HP_HOOK_AUTO = 0, HP_HOOK_MONITORING, HP_HOOK_SETPROFILE } hp_hook_kind;

typedef struct hp_tracer_options {
    hp_hook_kind hook; /* AUTO: monitoring on 3.12+, setprofile on 3.11 */
    bool c_calls;
    double
        budget; /* share of one core's time that recording may take, 0 < budget <= 1; 0: no limit. Not for trace_everything. See budget.h */
    uint64_t event_limit; /* events of one outermost call of a target, after which it goes on untraced; 0: none. See budget.h */
    uint64_t seed;        /* of the choice of calls where a rate is below 1; 0: from the system */
} hp_tracer_options;

typedef struct hp_tracer_counts {
    uint64_t targets;      /* code objects marked as targets now */
    uint64_t calls;        /* activations recorded */
    uint64_t events;       /* events handled beneath targets */
    uint64_t gated;        /* events that met a closed gate */
    uint64_t truncated;    /* activations whose end was never seen */
    uint64_t skipped;      /* outermost calls of targets that the rate left out */
    uint64_t learned;      /* functions discovered beneath targets */
    uint64_t memory_bytes; /* what the tracer holds now */
} hp_tracer_counts;

/* A copy for the caller; hp_traced_fini frees it. */
typedef struct hp_traced_thread {
    uint32_t thread;       /* index in hp_threads */
    uint32_t root;         /* node in tree */
    uint64_t inside_ticks; /* beneath targets, until the moment of collection, open extents included */
} hp_traced_thread;
typedef struct hp_traced {
    hp_tree tree; /* children of the root: threads, `function` = index in hp_threads; below: slots; exact and overhead in ticks.
                   * Sum of exact + overhead of a thread == its inside_ticks. Context nodes above a target have calls == 0. */
    hp_traced_thread *threads;
    uint32_t thread_count;
    /* Targets all of whose activations in this session are in the tree. A stack that was sampled outside extents and ends in one of them
     * was caught while the hook was on its way into or out of the extent: that time is the hook's. */
    uint32_t *whole_slots;
    uint32_t whole_count;
    /* Functions all of whose calls beneath targets were reported since they were met: a stack beneath a target that ends in one, while its
     * caller's node had the time, was caught at an edge too. */
    uint32_t *reported_slots;
    uint32_t reported_count;
    /* Functions whose events the budget took at some time. */
    struct hp_traced_spared {
        uint32_t slot;
        float share; /* of a core: what they cost */
    } *spared;
    uint32_t spared_count;
    hp_tracer_counts counts;
    hp_hook_kind hook;
    double overhead_per_call_ticks; /* as calibrated: what recording one call adds to its own and its caller's time together */
    double overhead_spread;         /* by how much of it the highest of several calibrations lies above the one that counts */
} hp_traced;
void hp_traced_fini(hp_traced *traced);

typedef struct hp_tracer hp_tracer;

/* All below: GIL held. Functions that return -1 have set a Python exception; `module/` passes it on.
 * hp_tracer_new arms nothing and costs the program nothing. It fails with a sentence where the hook is not possible (RuntimeError), e.g. no
 * free tool id. */
hp_tracer *hp_tracer_new(const hp_tracer_options *options, hp_code_table *code, hp_threads *threads);
/* The session runs from here on: a target added later may have been sampled before. */
void hp_tracer_session_began(hp_tracer *tracer);
/* Disarms everything, gives the tool ids back. */
void hp_tracer_free(hp_tracer *tracer);
/* [GIL] Whoever calls into Python (`threading`, audit hooks), where the GIL may change hands and anybody may end the session, holds the
 * tracer meanwhile: its memory stays. False from the release: it has ended, and may be gone now. */
void hp_tracer_hold(hp_tracer *tracer);
bool hp_tracer_release(hp_tracer *tracer);

/* Marks a code object: each outermost call of it is traced with probability `rate` (0 < rate <= 1). Again: the new rate counts. */
int hp_tracer_add_target(hp_tracer *tracer, PyCodeObject *code, double rate);
int hp_tracer_remove_target(hp_tracer *tracer, PyCodeObject *code);
/* What was met beneath a target or a block has events wherever it is called, and each costs two thirds of a traced one: they go with a
 * target, and here where blocks alone are no longer wanted. Beneath others it is met again: at once by calls that are under way, else by
 * the next one, and where that one comes too soon to be watched its counts are lower bounds. Where memory is short it keeps its events,
 * which is dear and no more. */
void hp_tracer_forget_beneath(hp_tracer *tracer);
/* Every call in every thread, from now on, frames that are active now excepted. */
int hp_tracer_trace_everything(hp_tracer *tracer, bool on);
/* A block in the current frame: what it calls is traced. Returns a token > 0; leave with the same token from the same thread or task, in
 * any order and even if the frame was suspended between. */
long hp_tracer_enter_block(hp_tracer *tracer, const char *name);
int hp_tracer_leave_block(hp_tracer *tracer, long token);

/* Another budget from now on. False, and nothing changed: it would be the last one, or the first where everything is traced. */
bool hp_tracer_set_budget(hp_tracer *tracer, double share);

/* True if this code object's functions must be called through hp_tracer_call to be traced (3.11's wrapper); false where marking is enough.
 */
bool hp_tracer_needs_wrapper(const hp_tracer *tracer, PyCodeObject *code);
/* Calls `function` with its thread's profile hook on, if its code is a target. Vectorcall protocol. */
PyObject *hp_tracer_call(hp_tracer *tracer, PyObject *function, PyObject *const *arguments, size_t count_and_flags, PyObject *keywords);

/* Measures once more what recording a call costs, where that may be done and is due; `last`: due in any case. For whoever is about to ask
 * for numbers. Runs code of our own, and so perhaps a signal handler or another thread: the tracer may be gone afterwards. */
void hp_tracer_look(hp_tracer *tracer, bool last);
/* For tests: from now on calibrations find so many times what they measured. */
void hp_calibration_distort(double factor);

/* Copies what was recorded, open activations up to now included. Tracing goes on. */
hp_status hp_tracer_collect(hp_tracer *tracer, hp_traced *out);
hp_tracer_counts hp_tracer_counts_now(const hp_tracer *tracer);
/* What it has cost so far. No copy and no walk over the tree, so that it may be asked often. */
typedef struct hp_tracer_costs {
    uint64_t events, gated; /* as in hp_tracer_counts */
    uint64_t units;         /* events, each kind by its weight, those that met a closed gate included */
    double unit_ns; /* what one unit costs, as calibrated. Apart from `units`, because it becomes more exact as time goes by: whoever wants
                     * the cost of a stretch of time multiplies the units of that stretch */
    uint64_t bytes; /* of what grows with the program: tree and records of functions */
} hp_tracer_costs;
hp_tracer_costs hp_tracer_costs_now(const hp_tracer *tracer);
/* "monitoring", "setprofile" */
const char *hp_tracer_hook_name(const hp_tracer *tracer);
/* One sentence for the user when something cannot be traced or stays incomplete (tool id taken, discovery impossible), else NULL. Static or
 * owned by the tracer. */
const char *hp_tracer_warning(const hp_tracer *tracer, uint32_t index);

/* In a forked child: records of other threads are dropped, this thread's stack starts anew, targets stay. */
void hp_tracer_after_fork_child(hp_tracer *tracer);

#endif
